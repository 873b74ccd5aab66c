//! Known failures of an implementation: a file that names them, with the reason and the difference that is expected.
//!
//! A known failure that does not fail any more, fails in another way, or names a world that there is not, is a failure
//! of the run: a list that nobody keeps true excuses everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::scenario::Verdict;
use crate::target::Identity;

use super::{Ended, NO_TIME, Suite};

/// A file of known failures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFailures {
    /// The version of the suite that it was written for, for people.
    #[serde(default)]
    pub suite: String,
    /// The failures.
    #[serde(default)]
    pub known: Vec<KnownFailure>,
}

/// One known failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFailure {
    /// The world's id, or a scenario's for all its worlds that fail in this way.
    pub id: String,
    /// Why it fails.
    pub reason: String,
    /// Where that is discussed: a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<String>,
    /// In what it fails: what [`difference`] says of it.
    pub difference: String,
}

/// What is written for a failure that nobody has explained.
pub const UNEXPLAINED: &str = "not explained yet";

/// In what a world failed, in a line that stays the same while the scenario and the answers do.
pub fn difference(ended: &Ended) -> Option<String> {
    let record = ended.record.as_ref()?;
    let Some(first) = record.failures.first() else { return Some("not all claims were reached".to_owned()) };
    let part = |mismatch: &crate::scenario::Mismatch| {
        format!("expected {}, got {}", one_line(&mismatch.expected), one_line(&mismatch.got))
    };
    let parts: Vec<String> = first.mismatches.iter().map(part).collect();
    Some(format!("step {}: {}", ended.plan.step_number(first.at) + 1, parts.join("; ")))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl KnownFailures {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is not written as it should be, or names a world twice.
    pub fn read(text: &str) -> Result<KnownFailures, String> {
        let file: KnownFailures = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut ids = BTreeSet::new();
        match file.known.iter().find(|known| !ids.insert(&known.id)) {
            Some(twice) => Err(format!("`{}` stands in it twice", twice.id)),
            None => Ok(file),
        }
    }

    /// All failures of a run, with the reasons and links of those that were known before.
    pub fn of(suite: &Suite, before: Option<&KnownFailures>) -> KnownFailures {
        let old: BTreeMap<&str, &KnownFailure> =
            before.iter().flat_map(|file| &file.known).map(|known| (known.id.as_str(), known)).collect();
        let failed = suite.worlds.iter().filter(|ended| ended.verdict == Verdict::Failed);
        let known = failed.filter_map(|ended| {
            let id = ended.plan.id.to_string();
            let old = old.get(id.as_str()).or_else(|| old.get(ended.plan.id.scenario.as_str()));
            Some(KnownFailure {
                reason: old.map_or(UNEXPLAINED, |known| &known.reason).to_owned(),
                issue: old.and_then(|known| known.issue.clone()),
                difference: difference(ended)?,
                id,
            })
        });
        KnownFailures { suite: suite.version.clone().unwrap_or_default(), known: known.collect() }
    }

    /// The file as it is written.
    pub fn write(&self, target: &Identity) -> String {
        let mut text = format!(
            "# Known failures of {} {}, held to {}.\n\
             #\n\
             # A world named here counts as `known` as long as it fails in just this way. One that passes, that differs in\n\
             # another way or that does not exist any more is a failure. `conntruth run --write-known FILE` writes this file\n\
             # and keeps reasons and links.\n\n",
            one_line(&target.name),
            one_line(&target.version),
            target.profile
        );
        let _ = writeln!(text, "suite = {}", quoted(&self.suite));
        for known in &self.known {
            let _ =
                writeln!(text, "\n[[known]]\nid = {}\nreason = {}", quoted(&known.id), quoted(&known.reason));
            if let Some(issue) = &known.issue {
                let _ = writeln!(text, "issue = {}", quoted(issue));
            }
            let _ = writeln!(text, "difference = {}", quoted(&known.difference));
        }
        text
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

impl Suite {
    /// Counts known failures as such, and what is wrong with the list as failures. What is wrong is told in the world's
    /// `note`; ids that fit none of the worlds of this run are stale unless `others` has them.
    pub fn excuse(&mut self, file: &KnownFailures, others: &BTreeSet<String>) {
        let mut used = BTreeSet::new();
        let by_id: BTreeMap<&str, &KnownFailure> =
            file.known.iter().map(|known| (known.id.as_str(), known)).collect();
        for ended in &mut self.worlds {
            let id = ended.plan.id.to_string();
            let own = by_id.get(id.as_str());
            let Some(known) = own.or_else(|| by_id.get(ended.plan.id.scenario.as_str())) else { continue };
            used.insert(known.id.clone());
            // A line for a whole scenario is no claim about each of its worlds.
            let is_own = own.is_some();
            match &ended.verdict {
                Verdict::Failed if difference(ended).as_ref() == Some(&known.difference) => {
                    let issue = known.issue.as_ref().map(|issue| format!(" ({issue})")).unwrap_or_default();
                    ended.verdict = Verdict::Known(format!("{}{issue}", known.reason));
                }
                Verdict::Failed => {
                    ended.note = Some(format!("it fails in another way than is known: {}", known.difference));
                }
                Verdict::Passed if is_own => {
                    ended.verdict = Verdict::Failed;
                    ended.note = Some("it passes, and is listed as a known failure".to_owned());
                }
                Verdict::Skipped(why) if why == NO_TIME => {}
                Verdict::Unsupported(why) | Verdict::Skipped(why) if is_own => {
                    ended.note = Some(format!("it is listed as a known failure, and was not run: {why}"));
                    ended.verdict = Verdict::Failed;
                }
                _ => {}
            }
        }
        let is_stale = |known: &&KnownFailure| !used.contains(&known.id) && !others.contains(&known.id);
        self.stale = file.known.iter().filter(is_stale).map(|known| known.id.clone()).collect();
    }
}
