//! A run in the Test Anything Protocol, version 14.

use std::fmt::Write;

use crate::paint::Paint;
use crate::scenario::Verdict;

use super::Suite;

/// The run, a line for each world; what failed is told in a YAML block.
pub fn tap(suite: &Suite) -> String {
    let mut out = String::from("TAP version 14\n");
    let _ = writeln!(out, "1..{}", suite.worlds.len());
    for (index, world) in suite.worlds.iter().enumerate() {
        // A number sign would begin a directive.
        let id = world.plan.id.to_string().replace('#', "\\#");
        let number = index + 1;
        let _ = match &world.verdict {
            Verdict::Passed => writeln!(out, "ok {number} - {id}"),
            Verdict::Failed => writeln!(out, "not ok {number} - {id}"),
            Verdict::Known(why) => writeln!(out, "not ok {number} - {id} # TODO known: {why}"),
            Verdict::Skipped(why) | Verdict::Unsupported(why) => {
                writeln!(out, "ok {number} - {id} # SKIP {}: {why}", world.word())
            }
        };
        if world.verdict == Verdict::Failed {
            let text = world.told(Paint::PLAIN);
            let _ = writeln!(out, "  ---\n  message: |");
            for line in text.lines() {
                let _ = writeln!(out, "    {line}");
            }
            let _ = writeln!(out, "  ...");
        }
    }
    out
}
