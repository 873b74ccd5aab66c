//! A run as KTAP, the kernel's dialect of the Test Anything Protocol: an area is a test, its worlds are its subtests.
//!
//! Source: linux 6.18 Documentation/dev-tools/ktap.rst.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::paint::Paint;
use crate::scenario::{Verdict, diagnose};

use super::{Ended, Suite};

/// The run. What failed is told in diagnostic lines before its result.
pub fn ktap(suite: &Suite) -> String {
    let mut areas: BTreeMap<&str, Vec<&Ended>> = BTreeMap::new();
    for world in &suite.worlds {
        let id = world.plan.id.scenario.as_str();
        areas.entry(id.rsplit_once('/').map_or("scenarios", |(area, _)| area)).or_default().push(world);
    }
    let mut out = String::from("KTAP version 1\n");
    let _ = writeln!(out, "1..{}", areas.len());
    for (index, (area, worlds)) in areas.iter().enumerate() {
        let _ = writeln!(out, "  KTAP version 1\n  # Subtest: {}\n  1..{}", plain(area), worlds.len());
        for (number, world) in worlds.iter().enumerate() {
            subtest(number + 1, world, &mut out);
        }
        let is =
            |verdict: fn(&Verdict) -> bool| worlds.iter().filter(|world| verdict(&world.verdict)).count();
        let failed = is(|verdict| matches!(verdict, Verdict::Failed));
        let passed = is(|verdict| matches!(verdict, Verdict::Passed));
        let (number, name) = (index + 1, plain(area));
        let _ = match (failed, passed) {
            (1.., _) => writeln!(out, "not ok {number} {name}"),
            (0, 0) => writeln!(out, "ok {number} {name} # SKIP nothing of it was run"),
            _ => writeln!(out, "ok {number} {name}"),
        };
    }
    out
}

fn subtest(number: usize, world: &Ended, out: &mut String) {
    let id = plain(&world.plan.id.to_string());
    if let (Verdict::Failed, Some(record)) = (&world.verdict, &world.record) {
        for line in diagnose(&world.plan, record, Paint::PLAIN).lines() {
            let _ = writeln!(out, "  # {line}");
        }
    }
    let _ = match &world.verdict {
        Verdict::Passed => writeln!(out, "  ok {number} {id}"),
        Verdict::Failed => writeln!(out, "  not ok {number} {id}"),
        Verdict::Known(why) => writeln!(out, "  ok {number} {id} # XFAIL known: {}", plain(why)),
        Verdict::Skipped(why) | Verdict::Unsupported(why) => {
            writeln!(out, "  ok {number} {id} # SKIP {}: {}", world.word(), plain(why))
        }
    };
}

/// A number sign would begin a directive, a new line another result.
fn plain(text: &str) -> String {
    text.replace(['#', '\n', '\r'], " ")
}
