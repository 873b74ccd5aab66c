//! A run as data: all that the pages show of it, and nothing of how they look.

use std::collections::BTreeMap;

use conntruth_engine::Profile;
use serde::{Deserialize, Serialize};

use crate::language::ast::Grade;
use crate::scenario::{Told, told};
use crate::suite::{Ended, Grounds, Suite, agrees, causes};
use crate::target::{Reference, Target};

/// The version of this form; a file with another one is not read.
pub const FORMAT: u32 = 1;

/// A run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// `FORMAT`.
    pub format: u32,
    /// The version of the program.
    pub version: String,
    /// Who answered.
    pub target: String,
    /// Its version.
    pub target_version: String,
    /// Whose semantics it is held against.
    pub profile: String,
    /// What to paste to repeat it.
    pub again: String,
    /// The scenarios, by id.
    pub scenarios: BTreeMap<String, Scenario>,
    /// Why worlds failed, the first cause first.
    pub causes: Vec<Grounds>,
    /// The profile that it is nearest to.
    pub fingerprint: Option<Fingerprint>,
}

/// A scenario, and how its worlds ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scenario {
    /// The comment at its top.
    pub about: String,
    /// `must`, `should`, `may`.
    pub grade: String,
    /// Where the requirement comes from.
    pub sources: Vec<String>,
    /// The file.
    pub text: String,
    /// One for each variant and family.
    pub worlds: Vec<World>,
}

/// One world of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct World {
    /// `[order=3,2,1 ipv6]`; empty where there is only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `passed`, `failed`, `skipped`, `unsupported`, `known`.
    pub outcome: String,
    /// Why it was not run.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What happened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Told>,
}

/// Whose semantics a target has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The profile whose answers are most like its own.
    pub profile: String,
    /// How many worlds were compared.
    pub compared: usize,
    /// The worlds in which an answer differs.
    pub except: Vec<String>,
}

impl Run {
    /// A suite that was run.
    pub fn of(suite: &Suite, again: &str) -> Run {
        let mut scenarios: BTreeMap<String, Scenario> = BTreeMap::new();
        for ended in &suite.worlds {
            let id = &ended.plan.id.scenario;
            let world = world(ended, &suite.identity.profile);
            scenarios.entry(id.clone()).or_insert_with(|| scenario(ended)).worlds.push(world);
        }
        Run {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            target: suite.identity.name.clone(),
            target_version: suite.identity.version.clone(),
            profile: suite.identity.profile.clone(),
            again: again.to_owned(),
            scenarios,
            causes: causes(suite),
            fingerprint: fingerprint(suite),
        }
    }

    /// How many worlds ended so.
    pub fn count(&self, outcome: &str) -> usize {
        self.scenarios.values().map(|scenario| scenario.count(outcome)).sum()
    }

    /// All worlds.
    pub fn worlds(&self) -> usize {
        self.scenarios.values().map(|scenario| scenario.worlds.len()).sum()
    }

    /// What it is called where there are several: the target, and the profile where that is what differs.
    pub fn name(&self) -> String {
        match self.target.as_str() {
            "reference" => format!("reference {}", self.profile),
            _ => self.target.clone(),
        }
    }
}

impl Scenario {
    /// How many worlds ended so.
    pub fn count(&self, outcome: &str) -> usize {
        self.worlds.iter().filter(|world| world.outcome == outcome).count()
    }

    /// The word for all its worlds together: the worst of them.
    pub fn outcome(&self) -> &'static str {
        let order = ["failed", "known", "unsupported", "skipped", "passed"];
        order.into_iter().find(|word| self.count(word) > 0).unwrap_or("skipped")
    }
}

/// The area that a scenario is in.
pub fn area(id: &str) -> &str {
    id.rsplit_once('/').map_or("scenarios", |(area, _)| area)
}

fn scenario(ended: &Ended) -> Scenario {
    let (script, story) = (ended.plan.script(), ended.plan.story());
    Scenario {
        about: script.about.clone(),
        grade: match story.grade {
            Grade::Must => "must",
            Grade::Should => "should",
            Grade::May => "may",
        }
        .to_owned(),
        sources: story.sources.clone(),
        text: script.text.clone(),
        worlds: Vec::new(),
    }
}

fn world(ended: &Ended, profile: &str) -> World {
    let id = ended.plan.id.to_string();
    World {
        name: id.strip_prefix(&ended.plan.id.scenario).unwrap_or_default().trim().to_owned(),
        outcome: ended.word().to_owned(),
        why: ended.why().unwrap_or_default().to_owned(),
        steps: ended.record.as_ref().map(|record| told(&ended.plan, record, profile)).unwrap_or_default(),
    }
}

/// The profile whose answers differ from the target's in the fewest worlds; of equals the first.
fn fingerprint(suite: &Suite) -> Option<Fingerprint> {
    let run: Vec<_> =
        suite.worlds.iter().filter_map(|world| Some((&world.plan, world.record.as_ref()?))).collect();
    if run.is_empty() {
        return None;
    }
    let like = |profile: &&'static Profile| {
        let mut reference = Reference::new(profile);
        let identity = reference.identity();
        let except = run.iter().filter_map(|(plan, record)| {
            let model = plan.run(&mut reference);
            let same = agrees(&model, record, &identity, &suite.identity);
            (!same).then(|| plan.id.to_string())
        });
        Fingerprint { profile: profile.name.to_owned(), compared: run.len(), except: except.collect() }
    };
    Profile::ALL.iter().map(like).min_by_key(|print| print.except.len())
}
