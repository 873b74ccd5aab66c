//! A scenario's page: what it says, how each implementation did, and the ladder of every world with claims and answers
//! side by side, the first difference marked.

use maud::{Markup, html};

use super::data::{Run, Scenario, World, area};
use super::html::{count, frame, mark};
use crate::scenario::{Answer, Kind, Told};

/// The page of a scenario.
pub fn page(id: &str, runs: &[Run]) -> Markup {
    let all: Vec<(&Run, &Scenario)> =
        runs.iter().filter_map(|run| Some((run, run.scenarios.get(id)?))).collect();
    let Some((_, said)) = all.first() else { return html! {} };
    let name = id.strip_prefix(area(id)).map_or(id, |name| name.trim_start_matches('/'));
    let body = html! {
        header.top {
            p.brand { a href="../index.html" { "Conntruth" } " / " (area(id)) }
            h1 { (name) }
            p.lead { (said.about.trim()) }
            p.facts {
                span.grade { (said.grade) }
                @for source in &said.sources { span { (source) } }
            }
        }
        main {
            section.verdicts { @for (run, scenario) in &all { (verdict(run, scenario)) } }
            @for (name, same) in worlds(&all) { (world(&name, &same)) }
            section {
                h2 { "The scenario" }
                pre.source {
                    @let wrong = wrong_lines(&all);
                    @for (index, line) in said.text.lines().enumerate() {
                        @if wrong.contains(&(index + 1)) { mark { (line) } "\n" } @else { (line) "\n" }
                    }
                }
            }
        }
        footer { p { a href="../index.html" { "All scenarios" } } }
    };
    frame(&format!("{id} · Conntruth"), "../", &body, false)
}

fn verdict(run: &Run, scenario: &Scenario) -> Markup {
    let why = scenario.worlds.iter().find(|world| !world.why.is_empty()).map(|world| &world.why);
    html! {
        div class=(format!("verdict {}", scenario.outcome())) {
            (mark(scenario.outcome())) " "
            b { (run.target) } " "
            small { (scenario.count("passed")) " of " (count(scenario.worlds.len(), "world")) " passed" }
            @if let Some(why) = why { p.why { (why) } }
        }
    }
}

/// The lines of the file whose claims do not hold somewhere.
fn wrong_lines(all: &[(&Run, &Scenario)]) -> Vec<usize> {
    let worlds = all.iter().flat_map(|(_, scenario)| &scenario.worlds);
    let steps = worlds.flat_map(|world| &world.steps).filter(|step| !step.wrong.is_empty());
    steps.map(|step| step.line).collect()
}

/// Those of a world who have given the same answers, and what they were.
struct Same<'a> {
    who: Vec<&'a Run>,
    world: &'a World,
}

/// Each world by its name, in order, with the different ways in which it went.
fn worlds<'a>(all: &[(&'a Run, &'a Scenario)]) -> Vec<(String, Vec<Same<'a>>)> {
    let mut worlds: Vec<(String, Vec<Same<'a>>)> = Vec::new();
    for &(run, scenario) in all {
        for world in scenario.worlds.iter().filter(|world| !world.steps.is_empty()) {
            let at = match worlds.iter().position(|(name, _)| *name == world.name) {
                Some(at) => at,
                None => {
                    worlds.push((world.name.clone(), Vec::new()));
                    worlds.len() - 1
                }
            };
            let ways = &mut worlds[at].1;
            match ways.iter_mut().find(|way| way.world.outcome == world.outcome && alike(way.world, world)) {
                Some(way) => way.who.push(run),
                None => ways.push(Same { who: vec![run], world }),
            }
        }
    }
    worlds
}

/// Whether two worlds look the same but for the reasons: other implementations have other words for them, or none.
fn alike(left: &World, right: &World) -> bool {
    let bare = |answer: &Option<Answer>| {
        answer.as_ref().map(|answer| Answer { slug: String::new(), why: String::new(), ..answer.clone() })
    };
    left.steps.len() == right.steps.len()
        && left.steps.iter().zip(&right.steps).all(|(left, right)| {
            left.kind == right.kind && left.wrong == right.wrong && bare(&left.answer) == bare(&right.answer)
        })
}

fn world(name: &str, ways: &[Same<'_>]) -> Markup {
    html! {
        section.world {
            @if !name.is_empty() { h2 { (name.trim_matches(['[', ']'])) } }
            @for way in ways {
                h3 {
                    (mark(&way.world.outcome)) " "
                    (way.who.iter().map(|run| run.target.as_str()).collect::<Vec<_>>().join(", "))
                }
                (ladder(&way.world.steps))
            }
        }
    }
}

fn ladder(steps: &[Told]) -> Markup {
    let first = steps.iter().position(|step| !step.wrong.is_empty());
    html! {
        div.ladder {
            @for (index, step) in steps.iter().enumerate() {
                @match step.kind {
                    Kind::Packet | Kind::Hidden => { (packet(step, first == Some(index))) }
                    Kind::Gone => { div.step.aside { (time(step)) p { "† " (step.text) } } }
                    Kind::Set => { div.step.aside { (time(step)) p { code { (step.text) } } } }
                    Kind::Check => { (check(step, first == Some(index))) }
                }
            }
        }
    }
}

fn time(step: &Told) -> Markup {
    html! { time { (step.at) } }
}

fn packet(step: &Told, first: bool) -> Markup {
    let hidden = step.kind == Kind::Hidden;
    html! {
        div.step.packet.back[step.back].hidden[hidden].wrong[!step.wrong.is_empty()].first[first] {
            (time(step))
            div.wire {
                span.host { (step.left) }
                span.arrow { span.caption { (step.text) } }
                span.host { (step.right) }
            }
            div.told {
                @if hidden { p.quiet { "the tracker does not see it" } }
                @if let Some(answer) = &step.answer { (self::answer(answer)) }
                @if !step.claim.is_empty() && !step.wrong.is_empty() { p.claim { span { "claimed" } " " code { (step.claim) } } }
                (wrong(step, first))
                @if let Some(answer) = &step.answer { @if !answer.why.is_empty() {
                    p.why { @if !answer.slug.is_empty() { b { (answer.slug) } " " } (answer.why) }
                } }
            }
        }
    }
}

fn answer(answer: &Answer) -> Markup {
    let class = answer.class.split(' ').next().unwrap_or_default();
    html! {
        p.answer {
            span class=(format!("class {class}")) { (answer.class) }
            @for part in [&answer.state, &answer.left, &answer.flags] { @if !part.is_empty() { " " span { (part) } } }
            @if answer.dropped { " " span.dropped { "dropped" } }
            @if answer.waits { " " span { "waits" } }
        }
    }
}

fn check(step: &Told, first: bool) -> Markup {
    html! {
        div.step.check.wrong[!step.wrong.is_empty()].first[first] {
            (time(step))
            pre { (mark(if step.wrong.is_empty() { "passed" } else { "failed" })) " " (step.text) }
            div.told { (wrong(step, first)) }
        }
    }
}

fn wrong(step: &Told, first: bool) -> Markup {
    html! {
        @if !step.wrong.is_empty() {
            div.differs {
                @if first { p.flag { "the first difference" } }
                @for part in &step.wrong {
                    p { span.expected { (part.expected) } " claimed, " span.got { (part.got) } " found" }
                    @if let Some(detail) = &part.detail { pre { (detail) } }
                }
            }
        }
    }
}
