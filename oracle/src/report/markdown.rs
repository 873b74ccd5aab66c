//! A run in a few lines: a summary in Markdown for CI, and a badge.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::data::{Run, area};
use super::html::sign;

/// So many worlds that failed are named.
const MOST_NAMED: usize = 20;

/// A summary as CI shows it below a run.
pub fn markdown(run: &Run) -> String {
    let mut out = String::new();
    let (all, passed, failed) = (run.worlds(), run.count("passed"), run.count("failed"));
    let outcome = if failed > 0 { "failed" } else { "passed" };
    let _ = writeln!(
        out,
        "## {} conntruth: {} {}\n",
        sign(outcome),
        plain(&run.target),
        plain(&run.target_version)
    );
    let mut sums =
        format!("**{passed} of {all} worlds passed**, {failed} failed, {} skipped", run.count("skipped"));
    for word in ["unsupported", "known"] {
        if run.count(word) > 0 {
            let _ = write!(sums, ", {} {word}", run.count(word));
        }
    }
    let _ = writeln!(out, "{sums}; profile {}, conntruth {}\n", plain(&run.profile), run.version);
    if let Some(print) = &run.fingerprint {
        let but = match print.except.len() {
            0 => format!("in all {} worlds", print.compared),
            some => format!("except in {some} of {} worlds", print.compared),
        };
        let _ = writeln!(out, "It behaves like profile {} {but}.\n", plain(&print.profile));
    }
    areas(run, &mut out);
    if !run.causes.is_empty() {
        causes(run, &mut out);
    } else if failed > 0 {
        failures(run, &mut out);
    }
    let _ = writeln!(out, "Again: `{}`", run.again.replace('`', "'"));
    out
}

fn areas(run: &Run, out: &mut String) {
    let mut areas: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for (id, scenario) in &run.scenarios {
        let [passed, failed, other] = areas.entry(area(id)).or_default();
        *passed += scenario.count("passed");
        *failed += scenario.count("failed");
        *other += scenario.worlds.len() - scenario.count("passed") - scenario.count("failed");
    }
    let _ = writeln!(out, "| area | passed | failed | other |\n|---|--:|--:|--:|");
    for (area, [passed, failed, other]) in areas {
        let failed = if failed > 0 { format!("**{failed}**") } else { "0".to_owned() };
        let _ = writeln!(out, "| {} | {passed} | {failed} | {other} |", plain(area));
    }
    out.push('\n');
}

fn causes(run: &Run, out: &mut String) {
    let _ = writeln!(out, "### {} failed, causes: {}\n", run.count("failed"), run.causes.len());
    for (index, grounds) in run.causes.iter().enumerate() {
        let smallest = grounds.worlds.first().map(String::as_str).unwrap_or_default();
        let _ = writeln!(
            out,
            "{}. **{}**: worlds {}, the smallest {}",
            index + 1,
            plain(&grounds.cause),
            grounds.worlds.len(),
            plain(smallest)
        );
        for [field, reference, target] in &grounds.differs {
            let _ = writeln!(
                out,
                "   - {}: {} in the reference, {} here",
                plain(field),
                plain(reference),
                plain(target)
            );
        }
        if !grounds.rule.is_empty() {
            let _ = writeln!(out, "   - {} ({})", plain(&grounds.rule), plain(&grounds.source));
        }
    }
    out.push('\n');
}

fn failures(run: &Run, out: &mut String) {
    let failed: Vec<String> = run
        .scenarios
        .iter()
        .flat_map(|(id, scenario)| scenario.worlds.iter().map(move |world| (id, world)))
        .filter(|(_, world)| world.outcome == "failed")
        .map(|(id, world)| {
            let step = world.steps.iter().find(|step| !step.wrong.is_empty());
            let what = step.and_then(|step| step.wrong.first()).map_or_else(
                || "not all claims were reached".to_owned(),
                |part| format!("expected {}, got {}", part.expected, part.got),
            );
            let line = step.map_or(0, |step| step.line);
            format!("- {} line {line}: {}", plain(format!("{id} {}", world.name).trim()), plain(&what))
        })
        .collect();
    let _ = writeln!(out, "### Failed\n");
    for line in failed.iter().take(MOST_NAMED) {
        let _ = writeln!(out, "{line}");
    }
    if failed.len() > MOST_NAMED {
        let _ = writeln!(out, "- and {} more", failed.len() - MOST_NAMED);
    }
    out.push('\n');
}

/// Text that Markdown and HTML leave as it is, on one line.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '\n' | '\r' => plain.push(' '),
            '&' => plain.push_str("&amp;"),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '!' | '~' => {
                plain.push('\\');
                plain.push(sign);
            }
            _ => plain.push(sign),
        }
    }
    plain
}

/// What an endpoint of shields.io answers: the badge of a run.
pub fn badge(run: &Run) -> String {
    let (passed, failed) = (run.count("passed"), run.count("failed"));
    let all = passed + failed + run.count("known");
    let color = match (passed, failed) {
        (0, 0) => "lightgrey",
        (_, 0) => "brightgreen",
        _ if failed * 20 <= all => "yellow",
        _ => "red",
    };
    let badge = serde_json::json!({
        "schemaVersion": 1,
        "label": format!("conntruth {}", run.target),
        "message": format!("{passed}/{all} passed"),
        "color": color,
    });
    format!("{badge}\n")
}
