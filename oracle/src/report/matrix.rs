//! The first page: areas against implementations, what each is like, and the causes of what failed.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::data::{Fingerprint, Run, area};
use super::html::{count, frame, mark, share, sign};
use crate::suite::Grounds;

type Names = BTreeMap<String, String>;

/// The page. `names` are the files of the scenarios' pages.
pub fn index(runs: &[Run], names: &Names) -> Markup {
    let mut areas: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for id in names.keys() {
        areas.entry(area(id)).or_default().push(id);
    }
    let body = html! {
        header.top {
            p.brand { "Conntruth" }
            h1 { "Conformance of connection trackers" }
            p.lead {
                (count(names.len(), "scenario")) " in " (count(areas.len(), "area")) ", "
                (count(runs.len(), "implementation")) ". Each cell is the share of worlds (a scenario in one variant and one "
                "address family) whose every claim held."
            }
        }
        main {
            section.cards { @for run in runs { (card(run)) } }
            section {
                div.tools {
                    h2 { "Matrix" }
                    label.search { span.away { "Filter scenarios" } input id="filter" type="search" placeholder="filter: tcp/reset, fragment …" autocomplete="off"; }
                    label.check { input id="differing" type="checkbox"; " only what did not pass" }
                }
                (legend())
                div.scroll {
                    div.matrix style=(format!("--n:{}", runs.len())) {
                        div.row.head { span { "area" } @for run in runs { span title=(run.name()) { (short(run)) } } }
                        @for (area, ids) in &areas { (one_area(area, ids, runs, names)) }
                    }
                }
            }
            @for run in runs { @if !run.causes.is_empty() { (causes(run, names)) } }
        }
        (foot(runs))
    };
    frame("Conntruth: conformance of connection trackers", "", &body, true)
}

fn legend() -> Markup {
    html! {
        p.legend {
            @for (outcome, words) in [("passed", "every claim held"), ("failed", "a claim did not"),
                ("known", "a known deviation"), ("unsupported", "cannot be asked"), ("skipped", "not for this profile")] {
                span { (mark(outcome)) " " (words) }
            }
        }
    }
}

fn short(run: &Run) -> Markup {
    html! {
        b { (run.target) }
        small { (if run.target == "reference" { &run.profile } else { &run.target_version }) }
    }
}

fn card(run: &Run) -> Markup {
    let (all, passed, failed) = (run.worlds(), run.count("passed"), run.count("failed"));
    let known = run.count("known");
    html! {
        article.card {
            h3 { (run.target) " " small { (run.target_version) } }
            p.big { span.number { (passed) } span.of { " of " (all) " worlds" } }
            (bar(passed, known, failed, all))
            p.facts {
                @for outcome in ["failed", "known", "unsupported", "skipped"] {
                    @let number = run.count(outcome);
                    @if number > 0 { span { (mark(outcome)) " " (number) " " (outcome) } }
                }
                @if passed == all { span { (mark("passed")) " all passed" } }
            }
            @if let Some(print) = &run.fingerprint { (fingerprint(print)) }
            @if !run.causes.is_empty() {
                p { a href=(format!("#causes-{}", anchor(run))) {
                    (failed) " failed for " (count(run.causes.len(), "cause"))
                } }
            }
        }
    }
}

/// So many exceptions are named.
const MOST_NAMED: usize = 40;

fn fingerprint(print: &Fingerprint) -> Markup {
    html! {
        @if print.except.is_empty() {
            p.print { "Behaves like profile " b { (print.profile) } " in all " (print.compared) " worlds." }
        } @else {
            details.print {
                summary {
                    "Behaves like profile " b { (print.profile) } " except in "
                    b { (print.except.len()) } " of " (print.compared) " worlds"
                }
                ul {
                    @for id in print.except.iter().take(MOST_NAMED) { li { code { (id) } } }
                    @if print.except.len() > MOST_NAMED { li { "and " (print.except.len() - MOST_NAMED) " more" } }
                }
            }
        }
    }
}

fn bar(passed: usize, known: usize, failed: usize, all: usize) -> Markup {
    html! {
        div.bar role="img" aria-label=(counted(passed, known, failed, all)) {
            i.passed style=(share(passed, all)) {}
            i.known style=(share(known, all)) {}
            i.failed style=(share(failed, all)) {}
        }
    }
}

/// `7 of 9 passed, 1 known, 1 failed`
fn counted(passed: usize, known: usize, failed: usize, all: usize) -> String {
    let known = if known > 0 { format!(", {known} known") } else { String::new() };
    format!("{passed} of {all} passed{known}, {failed} failed")
}

fn one_area(area: &str, ids: &[&str], runs: &[Run], names: &Names) -> Markup {
    html! {
        details.area {
            summary.row {
                span.name { (area) " " small { (ids.len()) } }
                @for run in runs { (cell(run, ids)) }
            }
            @for id in ids {
                @let outcomes = runs.iter().map(|run| run.scenarios.get(*id).map_or("none", super::Scenario::outcome));
                @let outcomes = outcomes.collect::<Vec<_>>();
                @let differs = outcomes.iter().any(|outcome| *outcome != "passed");
                a.row.one href=(format!("scenarios/{}.html", names[*id])) data-differs[differs] {
                    span.name { (id.strip_prefix(area).map_or(*id, |name| name.trim_start_matches('/'))) }
                    @for outcome in outcomes { span class=(format!("mark {outcome}")) title=(outcome) { (sign(outcome)) } }
                }
            }
        }
    }
}

/// How an implementation does in an area.
fn cell(run: &Run, ids: &[&str]) -> Markup {
    let scenarios = || ids.iter().filter_map(|id| run.scenarios.get(*id));
    let all: usize = scenarios().map(|scenario| scenario.worlds.len()).sum();
    let of = |outcome: &str| scenarios().map(|scenario| scenario.count(outcome)).sum::<usize>();
    let (passed, known, failed) = (of("passed"), of("known"), of("failed"));
    let kind = match (passed, failed) {
        _ if all == 0 => "none",
        (_, 1..) => "failed",
        (0, _) => "unsupported",
        _ if passed == all => "passed",
        _ => "partly",
    };
    html! {
        span class=(format!("cell {kind}")) title=(counted(passed, known, failed, all)) {
            @if all == 0 { "·" } @else { b { (passed) } small { "/" (all) } (bar(passed, known, failed, all)) }
        }
    }
}

fn causes(run: &Run, names: &Names) -> Markup {
    html! {
        section id=(format!("causes-{}", anchor(run))) {
            h2 { (run.target) ": " (run.count("failed")) " failed, " (count(run.causes.len(), "cause")) }
            p.lead { "The first packet whose answers differ names the cause. Those that others may follow from come first." }
            ol.causes { @for grounds in &run.causes { li { (one_cause(grounds, names)) } } }
        }
    }
}

fn one_cause(grounds: &Grounds, names: &Names) -> Markup {
    html! {
        h3 { (grounds.cause) " " small { (count(grounds.worlds.len(), "world")) } }
        table.differs {
            tr { th { "" } th { "reference" } th { "here" } }
            @for [field, reference, target] in &grounds.differs {
                tr { th { (field) } td { (reference) } td.wrong { (target) } }
            }
        }
        dl {
            @if let Some(smallest) = grounds.worlds.first() {
                dt { "smallest" }
                dd { (link(smallest, names)) ", " (count(grounds.packets, "packet")) ", at " code { (grounds.packet) } }
            }
            @for (name, text) in [("because", &grounds.why), ("rule", &grounds.rule), ("numbers", &grounds.numbers), ("source", &grounds.source)] {
                @if !text.is_empty() { dt { (name) } dd { (text) } }
            }
            @if !grounds.then.is_empty() {
                dt { "then" }
                dd { "in its worlds, cause " (grounds.then.iter().map(|then| (then + 1).to_string()).collect::<Vec<_>>().join(", ")) " may follow from it" }
            }
        }
        details {
            summary { "all " (count(grounds.worlds.len(), "world")) }
            ul { @for id in &grounds.worlds { li { (link(id, names)) } } }
        }
    }
}

/// A world's page: its scenario's.
fn link(world: &str, names: &Names) -> Markup {
    let id = world.split(" [").next().unwrap_or(world);
    html! {
        @match names.get(id) {
            Some(name) => { a href=(format!("scenarios/{name}.html")) { (world) } }
            None => { (world) }
        }
    }
}

fn anchor(run: &Run) -> String {
    run.name().chars().map(|sign| if sign.is_ascii_alphanumeric() { sign } else { '-' }).collect()
}

fn foot(runs: &[Run]) -> Markup {
    let versions: BTreeSet<&str> = runs.iter().map(|run| run.version.as_str()).collect();
    html! {
        footer {
            p { "conntruth " (versions.into_iter().collect::<Vec<_>>().join(", ")) ". Repeat with:" }
            pre { @for run in runs { (run.again) " --report DIR\n" } }
        }
    }
}
