//! A run for scripts: an object for each world, and one for the sums.

use serde::Serialize;

use crate::language::words::{GRADES, word_of};
use crate::paint::Paint;
use crate::scenario::{Mismatch, Verdict};

use super::{Ended, Suite};

#[derive(Serialize)]
struct World<'a> {
    id: String,
    scenario: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<conntruth_engine::Family>,
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    variant: serde_json::Map<String, serde_json::Value>,
    outcome: &'a str,
    grade: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    packets: usize,
    claims: usize,
    virtual_ns: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<Failure<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

#[derive(Serialize)]
struct Failure<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    expected: &'a str,
    got: &'a str,
}

#[derive(Serialize)]
struct Sums<'a> {
    passed: usize,
    failed: usize,
    skipped: usize,
    unsupported: usize,
    known: usize,
    packets: usize,
    claims: usize,
    virtual_ns: u64,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    suite: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stale: &'a [String],
    target: &'a str,
    profile: &'a str,
    seed: u64,
}

/// The run, an object a line.
pub fn jsonl(suite: &Suite) -> String {
    let mut out = String::new();
    for ended in &suite.worlds {
        push(&mut out, &world(ended));
    }
    let totals = suite.totals();
    let sums = Sums {
        passed: totals.passed,
        failed: totals.failed,
        skipped: totals.skipped,
        unsupported: totals.unsupported,
        known: totals.known,
        packets: totals.packets,
        claims: totals.claims,
        virtual_ns: totals.time.as_nanos(),
        version: env!("CARGO_PKG_VERSION"),
        suite: suite.version.as_deref(),
        stale: &suite.stale,
        target: &suite.identity.name,
        profile: &suite.identity.profile,
        seed: 0,
    };
    for grounds in super::causes(suite) {
        push(&mut out, &serde_json::json!({ "cause": grounds }));
    }
    push(&mut out, &serde_json::json!({ "run": sums }));
    out
}

fn push(out: &mut String, value: &impl Serialize) {
    // Nothing here has keys that are no strings, which is all that can go wrong.
    out.push_str(&serde_json::to_string(value).unwrap_or_default());
    out.push('\n');
}

fn world(ended: &Ended) -> World<'_> {
    let id = &ended.plan.id;
    let record = ended.record.as_ref();
    let failed = record.filter(|_| ended.word() == "failed");
    World {
        id: id.to_string(),
        scenario: &id.scenario,
        family: id.family,
        variant: ended
            .plan
            .story()
            .variant
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect(),
        outcome: ended.word(),
        grade: word_of(GRADES, ended.plan.story().grade),
        why: ended.why(),
        packets: ended.packets(),
        claims: record.map_or(0, |record| record.claims),
        virtual_ns: record.map_or(0, |record| record.time.as_nanos()),
        failures: failed
            .iter()
            .flat_map(|record| &record.failures)
            .flat_map(|failure| failure.mismatches.iter().map(|mismatch| self::failure(ended, mismatch)))
            .collect(),
        text: (ended.verdict == Verdict::Failed).then(|| ended.told(Paint::PLAIN)),
    }
}

fn failure<'a>(ended: &'a Ended, mismatch: &'a Mismatch) -> Failure<'a> {
    let script = ended.plan.script();
    let (line, column) = crate::scenario::line_and_column(&script.text, mismatch.span.start);
    Failure { file: &script.name, line, column, expected: &mismatch.expected, got: &mismatch.got }
}
