//! Causes: a thousand worlds that differ for one reason are one line.

use super::{Difference, Field};

/// What two differences must have in common to be one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause {
    /// The reference's rule at the first packet that differs.
    pub rule: String,
    /// In what they differ.
    pub field: Field,
    /// How, where there are few ways: classes, states, events.
    pub how: String,
}

impl Cause {
    /// The cause of a difference.
    pub fn of(difference: &Difference) -> Cause {
        let first = difference.mismatches.first();
        let field = first.map_or(Field::Class, |first| first.field);
        let few = matches!(field, Field::Class | Field::Verdict | Field::State | Field::Status);
        let how = match first.filter(|_| few) {
            Some(first) => format!("{} / {}", first.reference, first.target),
            None => String::new(),
        };
        Cause { rule: difference.rule.clone(), field, how }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rule = if self.rule.is_empty() { "a packet" } else { &self.rule };
        write!(f, "{rule}: {} differs", self.field)?;
        if self.how.is_empty() { Ok(()) } else { write!(f, " ({})", self.how) }
    }
}

/// A cause, how often it was met, and its smallest example.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What.
    pub cause: Cause,
    /// In how many worlds.
    pub count: u64,
    /// The first case, by its number.
    pub case: u64,
    /// What the smallest example differs in.
    pub difference: Difference,
    /// The smallest example, as a scenario that claims what the target has answered.
    pub scenario: String,
    /// How many packets it has.
    pub packets: usize,
    /// Whether it differed again when it was asked again.
    pub repeats: bool,
}
