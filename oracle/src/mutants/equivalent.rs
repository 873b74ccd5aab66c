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
    Equivalent {
        names: &["tcp-cell * none in *"],
        reason: "a segment without SYN, ACK, FIN and RST is INVALID for its flags before the table is asked",
    },
    Equivalent {
        names: &["tcp-cell reply * in NONE: *", "sctp-cell reply * in NONE: *"],
        reason: "what begins a connection is its original direction: no packet of the other meets it in NONE",
    },
    Equivalent {
        names: &[
            "tcp-cell original SYN/ACK in NONE: ignored",
            "tcp-cell original FIN in NONE: ignored",
            "tcp-cell original RST in NONE: ignored",
        ],
        reason: "a segment that moves NONE to no state opens nothing, whatever else the cell says",
    },
    Equivalent {
        names: &["tcp-cell reply ACK in SYN_SENT2: SYN_SENT"],
        reason: "back to SYN_SENT means reopened after a close and ignored else, and SYN_SENT2 is no close",
    },
    Equivalent {
        names: &[
            "sctp-cell original ABORT in NONE: *",
            "sctp-cell original COOKIE_ACK in NONE: *",
            "sctp-cell original SHUTDOWN_COMPLETE in NONE: *",
        ],
        reason: "a packet with such a chunk opens no association: it is refused before the table is asked",
    },
    Equivalent {
        names: &["bound early_drop_buckets *"],
        reason: "which bucket a connection lies in is the business of each implementation's own hash",
    },
    Equivalent {
        names: &["default events 1"],
        reason: "it differs from 2 only while nobody listens, and in a scenario somebody always does",
    },
    Equivalent {
        names: &["default acct 1", "default timestamp 1"],
        reason: "a scenario can say what is counted and stamped, and not that nothing is",
    },
    Equivalent {
        names: &["default ipfrag_time 31", "default frag6_timeout 61"],
        reason: "the kernel's own fragment timer is up to two seconds late, so nothing is claimed of those two seconds",
    },
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
