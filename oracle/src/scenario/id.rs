//! What a world is called, so that it can be told from its siblings and found again.

use std::collections::BTreeSet;
use std::fmt;

use conntruth_engine::Family;

use crate::language::ast::Story;

/// What a world is called: the scenario's path, and what sets this world apart from its other worlds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// `tcp/opening/handshake`
    pub scenario: String,
    /// Set where the scenario runs in more than one family.
    pub family: Option<Family>,
    /// What `each` gave this world, as far as it takes to tell it from its siblings: claims that follow from the rest are
    /// no part of a name.
    pub variant: Vec<(String, String)>,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scenario)?;
        let mut parts: Vec<String> =
            self.variant.iter().map(|(name, value)| format!("{name}={value}")).collect();
        parts.extend(
            self.family.map(|family| if family == Family::Ipv4 { "ipv4" } else { "ipv6" }.to_owned()),
        );
        if parts.is_empty() { Ok(()) } else { write!(f, " [{}]", parts.join(" ")) }
    }
}

/// Which of the values that `each` gives tell the variants apart: none that the ones before it decide.
pub(super) fn telling(stories: &[Story]) -> Vec<usize> {
    let count = stories.first().map_or(0, |story| story.variant.len());
    let mut kept: Vec<usize> = (0..count).collect();
    for at in (0..count).rev() {
        let fewer: Vec<usize> = kept.iter().copied().filter(|other| *other != at).collect();
        let values = |story: &Story| -> Vec<String> {
            fewer.iter().filter_map(|at| story.variant.get(*at).map(|(_, value)| value.clone())).collect()
        };
        let distinct: BTreeSet<Vec<String>> = stories.iter().map(values).collect();
        if distinct.len() == stories.len() {
            kept = fewer;
        }
    }
    kept
}
