//! Mutants that nobody can tell from the original, and why.

/// Mutants with one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Equivalent {
    /// Their names; `*` stands for anything.
    pub names: &'static [&'static str],
    /// Why they cannot be noticed.
    pub reason: &'static str,
}

/// All of them.
pub const EQUIVALENT: &[Equivalent] = &[
];

/// Why a mutant cannot be noticed, if so.
pub(super) fn reason(name: &str) -> Option<&'static str> {
    let row = EQUIVALENT.iter().find(|row| row.names.iter().any(|pattern| fits(pattern, name)))?;
    Some(row.reason)
}

/// Whether a name has the parts of a pattern between its stars, in order, and its ends.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.len() >= last.len() && name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn stars_stand_for_anything() {
        assert!(fits("a b", "a b") && !fits("a b", "a bc"));
        assert!(fits("a * in NONE: *", "a reply SYN in NONE: ignored"));
        assert!(!fits("a * in NONE: *", "a reply SYN in CLOSE: ignored"));
        assert!(fits("a*", "a") && fits("*a", "ba") && !fits("ab*ba", "aba"));
    }
}
