//! Vectors: each world as packets in hex, times, and the answers that are expected, self-contained.
//!
//! The answers are the reference's, in full; what the scenario itself claims stands beside them in its own words.

use std::collections::BTreeMap;
use std::fmt::Write;

use conntruth_engine::{Family, LINUX_6_18, Profile, Time, Tuple, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::language::ast::Grade;
use crate::scenario::{Plan, Record};
use crate::target::{self, Arrival, Fate, Observation, Path, Reference, Target, Why};

/// The version of the form.
const FORMAT: u32 = 1;

/// A suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vectors {
    /// The version of this form: 1.
    pub format: u32,
    /// The version of the program that wrote it.
    pub version: String,
    /// Whose semantics the answers have.
    pub profile: String,
    /// Timer ticks a second of that tracker: a deadline lies on a tick.
    pub hz: u32,
    /// The worlds. Each starts with an empty table and default settings, at time 0.
    pub worlds: Vec<World>,
}

/// A story to let happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// The scenario's path, and in brackets what sets this world apart from its other ones.
    pub id: String,
    /// What it shows.
    pub about: String,
    /// `must`, `should` or `may`.
    pub grade: String,
    /// Where the requirement comes from.
    pub sources: Vec<String>,
    /// Sysctls before the first step, in order.
    pub settings: Vec<Setting>,
    /// The rules on the tracker's host, in nftables' words: `TABLE HOOK statements`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// A sysctl and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The name; `net.netfilter.nf_conntrack_` or `net.ipv4.` is left out.
    pub name: String,
    /// The value, in the knob's own unit.
    pub value: i64,
}

/// One thing that happens at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Nanoseconds since the world began.
    pub at_ns: u64,
    /// The line of the scenario's file.
    pub line: usize,
    /// The step, and its claims, as they are written.
    pub note: String,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum What {
    /// A packet.
    Packet {
        /// From the network header on, in hex.
        hex: String,
        /// The hooks it passes: `forward`, `input`, `output`, `loopback`.
        path: String,
        /// A rule drops it between tracking and confirmation.
        #[serde(default, skip_serializing_if = "is_false")]
        lost: bool,
        /// It waits between tracking and confirmation until it is released.
        #[serde(default, skip_serializing_if = "is_false")]
        waits: bool,
        /// A rule exempts it from tracking.
        #[serde(default, skip_serializing_if = "is_false")]
        notrack: bool,
        /// The zone that a rule puts it into.
        #[serde(default, skip_serializing_if = "is_zero")]
        zone: u16,
        /// The answer.
        expect: Expected,
    },
    /// A packet that waited goes on.
    Release {
        /// Which: its number among the packets of this world that were to wait, from 0.
        waiting: usize,
        /// A rule drops it instead.
        #[serde(default, skip_serializing_if = "is_false")]
        lost: bool,
        /// The answer.
        expect: Expected,
    },
    /// A sysctl changes.
    Set(Setting),
    /// Time has passed, and the table is this.
    Table(Table),
}

/// The table at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
}

/// What is expected of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// What `ct state` matches on: `NEW`, `ESTABLISHED`, `ESTABLISHED_REPLY`, `RELATED`, `RELATED_REPLY`, `UNTRACKED`,
    /// `INVALID`; null for fragments that are held and for packets that the IP layer throws away.
    pub class: Option<String>,
    /// Whether the tracker lets it pass.
    pub accepted: bool,
    /// Whether it carries the entry.
    pub attached: bool,
    /// The entry that it belongs to or is about, as it stands after the packet.
    pub entry: Option<Entry>,
    /// The packet ended that entry.
    #[serde(default, skip_serializing_if = "is_false")]
    pub destroyed: bool,
    /// The rule's stable name.
    pub reason: String,
    /// The numbers that decided.
    pub numbers: BTreeMap<String, serde_json::Value>,
    /// The rule in a sentence.
    pub rule: String,
    /// Where the rule comes from.
    pub source: String,
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// `ipv4` or `ipv6`.
    pub family: String,
    /// The protocol's number.
    pub protocol: u8,
    /// The state's word, for protocols that have states.
    pub state: Option<String>,
    /// Nanoseconds left.
    pub left_ns: u64,
    /// The status bits by name.
    pub status: Vec<String>,
    /// The key of packets that travel as the first one did.
    pub original: BTreeMap<String, String>,
    /// The key of answers.
    pub reply: BTreeMap<String, String>,
    /// The connection mark.
    pub mark: u32,
    /// The zone.
    pub zone: u16,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(value: &u16) -> bool {
    *value == 0
}

/// The worlds as vectors. What belongs to another profile, or to a later version of the language, is left out; the second
/// value counts it.
pub fn vectors(plans: &[Plan], reference: &mut Reference) -> (Vectors, usize) {
    let identity = reference.identity();
    let profile = Profile::find(&identity.profile).unwrap_or(&LINUX_6_18);
    let plans = plans.iter().map(|plan| plan.clone().taped(profile).as_sent(profile));
    let (mut worlds, mut left_out) = (Vec::new(), 0);
    for plan in plans {
        if plan.refuses(&identity).is_some() {
            left_out += 1;
            continue;
        }
        let record = plan.run(reference);
        worlds.push(world(&plan, &record, reference));
    }
    let vectors = Vectors {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        profile: identity.profile,
        hz: identity.hz,
        worlds,
    };
    (vectors, left_out)
}

/// The schema of [`Vectors`], as it is published.
pub fn schema() -> String {
    let schema = schemars::schema_for!(Vectors);
    // A schema is made of strings, numbers and maps: nothing that could fail.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

fn world(plan: &Plan, record: &Record, reference: &mut Reference) -> World {
    let (script, story) = (plan.script(), plan.story());
    World {
        id: plan.id.to_string(),
        about: script.about.trim().to_owned(),
        grade: match story.grade {
            Grade::Must => "must",
            Grade::Should => "should",
            Grade::May => "may",
        }
        .to_owned(),
        sources: story.sources.clone(),
        settings: plan.config().settings.iter().map(setting).collect(),
        rules: plan.config().rules.rules().iter().map(ToString::to_string).collect(),
        steps: steps(plan, record, reference),
    }
}

fn setting(setting: &target::Setting) -> Setting {
    Setting { name: setting.name.clone(), value: setting.value }
}

/// The steps, with the table at every check: the world happens once more, so that there is a table to be read.
fn steps(plan: &Plan, record: &Record, reference: &mut Reference) -> Vec<Step> {
    use crate::scenario::Act;

    let text = &plan.script().text;
    let mut steps = Vec::new();
    let identity = reference.identity();
    let began = reference.begin(plan.config());
    debug_assert!(began.is_ok(), "it began before");
    for (step, seen) in plan.moves.iter().zip(&record.seen) {
        let what = match (&step.act, &seen.packet) {
            (Act::Packet(sent), Some(observation)) => {
                let _ = reference.packet(&sent.arrival);
                packet(&sent.arrival, observation)
            }
            (Act::Release(release, _), Some(observation)) => {
                let _ = reference.release(release);
                What::Release {
                    waiting: release.waiting,
                    lost: release.fate == Fate::Dropped,
                    expect: expected(observation),
                }
            }
            (Act::Set(said), _) => {
                let _ = reference.set(said);
                What::Set(setting(said))
            }
            (Act::Check, _) => {
                let _ = reference.advance(step.at);
                let entries = reference.table().unwrap_or_default();
                What::Table(Table { entries: entries.iter().map(entry).collect() })
            }
            _ => continue,
        };
        let node = plan.step(step);
        let claims = node.claims_for(&identity.profile);
        let end = claims.map_or(node.span.end, |claims| claims.span.end);
        let note = text.get(node.span.start..end.max(node.span.end)).unwrap_or_default();
        steps.push(Step {
            at_ns: step.at.as_nanos(),
            line: crate::scenario::line_and_column(text, node.span.start).0,
            note: note.split_whitespace().collect::<Vec<_>>().join(" "),
            what,
        });
    }
    steps
}

fn packet(arrival: &Arrival, seen: &Observation) -> What {
    What::Packet {
        hex: hex(&arrival.bytes),
        path: match arrival.path {
            Path::Forward => "forward",
            Path::Input => "input",
            Path::Output => "output",
            Path::Loopback => "loopback",
        }
        .to_owned(),
        lost: arrival.fate == Fate::Dropped,
        waits: arrival.fate == Fate::Waits,
        notrack: arrival.notrack,
        zone: arrival.zone,
        expect: expected(seen),
    }
}

fn expected(seen: &Observation) -> Expected {
    let reason = match &seen.why {
        Some(Why::Reason(reason)) => Some(reason),
        _ => None,
    };
    let numbers = reason.map(|reason| reason.numbers()).unwrap_or_default();
    Expected {
        class: seen.class.word().map(str::to_owned),
        accepted: seen.verdict == Verdict::Accept,
        attached: seen.attached,
        entry: seen.entry.as_ref().map(entry),
        destroyed: seen.destroyed,
        reason: reason.map_or("", |reason| reason.slug()).to_owned(),
        numbers: numbers
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), serde_json::to_value(value).ok()?)))
            .collect(),
        rule: reason.map_or("", |reason| reason.info().rule).to_owned(),
        source: reason.map_or("", |reason| reason.info().source).to_owned(),
    }
}

fn entry(entry: &target::Entry) -> Entry {
    let Time(left_ns) = entry.left.least;
    Entry {
        family: if entry.original.family == Family::Ipv4 { "ipv4" } else { "ipv6" }.to_owned(),
        protocol: entry.original.protocol,
        state: entry.state.as_deref().map(str::to_owned),
        left_ns,
        status: entry.status.names().map(str::to_owned).collect(),
        original: keys(&entry.original),
        reply: keys(&entry.reply),
        mark: entry.mark,
        zone: entry.zone,
    }
}

/// `src=10.0.0.1 dst=...` as a map.
fn keys(tuple: &Tuple) -> BTreeMap<String, String> {
    let text = tuple.to_string();
    text.split_whitespace()
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
