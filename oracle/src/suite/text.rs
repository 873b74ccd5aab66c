//! A run as people read it: areas with their scenarios, then what failed, then the sums.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use conntruth_engine::Time;

use crate::language::words::GRADES;
use crate::paint::{Paint, Role};
use crate::scenario::Verdict;

use super::{Ended, Grounds, Suite, Totals};

/// What a run is to look like.
#[derive(Clone, Debug)]
pub struct Look {
    /// Colour or none.
    pub paint: Paint,
    /// A line for each scenario.
    pub each: bool,
    /// Sums alone.
    pub quiet: bool,
    /// Wall-clock time that the run took, where it is known.
    pub took: Option<std::time::Duration>,
    /// What to paste to repeat it.
    pub again: String,
}

/// The report of a run. Its last line is the contract's.
pub fn text(suite: &Suite, look: &Look) -> String {
    let mut out = String::new();
    let paint = look.paint;
    if !look.quiet {
        let identity = &suite.identity;
        let head = format!(
            "conntruth {}, target {} {}, profile {}, seed 0",
            env!("CARGO_PKG_VERSION"),
            identity.name,
            identity.version,
            identity.profile
        );
        let _ = writeln!(out, "{}\n", paint.over(Role::Dim, &head));
        areas(suite, look, &mut out);
    }
    let causes = super::causes(suite);
    failures(suite, &causes, paint, &mut out);
    if !causes.is_empty() {
        super::causes::write(&causes, suite.totals().failed, paint, &mut out);
    }
    if !look.quiet {
        sums(suite, look, &mut out);
    }
    let totals = suite.totals();
    let role = if totals.failed > 0 { Role::Bad } else { Role::Good };
    let _ = writeln!(out, "{}", paint.over(role, &totals.to_string()));
    out
}

/// So many failures are told in full.
const MOST_IN_FULL: usize = 10;
/// Of so many causes the smallest world is told in full.
const MOST_CAUSES_IN_FULL: usize = 3;

/// What failed. Of the worlds that have a cause in common one is enough.
fn failures(suite: &Suite, causes: &[Grounds], paint: Paint, out: &mut String) {
    let caused: BTreeSet<&str> = causes
        .iter()
        .enumerate()
        .flat_map(|(index, grounds)| grounds.worlds.iter().skip(usize::from(index < MOST_CAUSES_IN_FULL)))
        .map(String::as_str)
        .collect();
    let failed: Vec<&Ended> = suite
        .worlds
        .iter()
        .filter(|world| world.verdict == Verdict::Failed && !caused.contains(&*world.plan.id.to_string()))
        .collect();
    for world in failed.iter().take(MOST_IN_FULL) {
        let _ = writeln!(out, "\n{}", world.told(paint).trim_end());
    }
    if failed.len() > MOST_IN_FULL {
        let _ = writeln!(out, "\n{} more failed:", failed.len() - MOST_IN_FULL);
    }
    for world in failed.iter().skip(MOST_IN_FULL) {
        let _ = writeln!(out, "  {} {}", paint.over(Role::Bad, "✗"), world.told_in_a_line());
    }
    for id in &suite.stale {
        let _ = writeln!(
            out,
            "{}: {id}: there is no such world, and it is listed as a known failure",
            paint.over(Role::Bad, "error")
        );
    }
}

fn areas(suite: &Suite, look: &Look, out: &mut String) {
    let mut areas: BTreeMap<&str, Vec<&Ended>> = BTreeMap::new();
    for world in &suite.worlds {
        areas.entry(area_of(world)).or_default().push(world);
    }
    let wide = areas.keys().map(|area| area.chars().count()).max().unwrap_or(0);
    for (area, worlds) in areas {
        if look.each {
            each(area, &worlds, look.paint, out);
        } else {
            marks(&format!("{area:<wide$}"), &worlds, look.paint, out);
        }
    }
    for world in suite.worlds.iter().filter(|world| world.why().is_some()) {
        let (word, why) = (world.word(), world.why().unwrap_or_default());
        let _ =
            writeln!(out, "  {} {}: {why}", look.paint.over(Role::Odd, &format!("{word}:")), world.plan.id);
    }
}

/// The folder a scenario is in.
fn area_of(world: &Ended) -> &str {
    world.plan.id.scenario.rsplit_once('/').map_or("scenarios", |(area, _)| area)
}

/// So many marks stand on a line.
const MARKS: usize = 60;

/// An area in a line: how many worlds, how much time, and a mark for each.
fn marks(area: &str, worlds: &[&Ended], paint: Paint, out: &mut String) {
    let records = worlds.iter().filter_map(|world| world.record.as_ref());
    let time = span(records.fold(Time::ZERO, |sum, record| sum.plus(record.time)));
    let mut head = format!(
        "  {} {:>4} {}",
        paint.over(Role::Strong, area),
        worlds.len(),
        paint.over(Role::Dim, &format!("{time:>12}"))
    );
    for row in worlds.chunks(MARKS) {
        let row: String = row.iter().map(|world| mark(world, paint)).collect();
        let _ = writeln!(out, "{head}  {row}");
        head = format!("  {:1$} {2:4} {2:12}", "", area.chars().count(), "");
    }
}

fn mark(world: &Ended, paint: Paint) -> String {
    let (mark, role) = match world.verdict {
        Verdict::Passed => ("✓", Role::Good),
        Verdict::Failed => ("✗", Role::Bad),
        Verdict::Skipped(_) => ("-", Role::Odd),
        Verdict::Known(_) => ("k", Role::Odd),
        Verdict::Unsupported(_) => ("?", Role::Odd),
    };
    paint.over(role, mark)
}

fn each(area: &str, worlds: &[&Ended], paint: Paint, out: &mut String) {
    let _ = writeln!(out, "{}", paint.over(Role::Strong, area));
    for world in worlds {
        let id = world.plan.id.to_string();
        let name = id.strip_prefix(area).map_or(id.as_str(), |name| name.trim_start_matches('/'));
        let about = gist(&world.plan.script().about);
        let line = format!("  {} {name:<44} {}", mark(world, paint), paint.over(Role::Dim, &about));
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// The first sentence of what a scenario says of itself, as far as a line takes it.
fn gist(about: &str) -> String {
    const MOST: usize = 100;
    let text = about.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = text.split_once(". ").map_or(text.as_str(), |(first, _)| first).trim_end_matches('.');
    if sentence.chars().count() <= MOST {
        return sentence.to_owned();
    }
    let mut short = String::new();
    for word in sentence.split(' ') {
        if short.chars().count() + word.chars().count() >= MOST {
            break;
        }
        short.push_str(word);
        short.push(' ');
    }
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

fn sums(suite: &Suite, look: &Look, out: &mut String) {
    let totals = suite.totals();
    let mut line = format!(
        "{} packets, {} claims, {} of virtual time",
        totals.packets,
        totals.claims,
        span(totals.time)
    );
    if totals.unseen > 0 {
        let _ = write!(line, " ({} parts of them not shown by {})", totals.unseen, suite.identity.name);
    }
    if let Some(took) = look.took {
        let _ = write!(line, " in {}", wall(took));
        // Below a second it says nothing of the speed.
        let speed = totals.time.as_nanos() as f64 / (took.as_nanos().max(1) as f64);
        if speed >= 1.0 {
            let _ = write!(line, ", {speed:.0} times as fast as the clock");
        }
    }
    let _ = writeln!(out, "\n{}", look.paint.over(Role::Dim, &line));
    if totals.failed + totals.known + totals.unseen > 0 {
        let _ = writeln!(out, "{}", look.paint.over(Role::Dim, &grades(&totals, suite.version.as_deref())));
    }
    let _ = writeln!(out, "{}", look.paint.over(Role::Dim, &format!("again: {}", look.again)));
}

/// `must: 3 of 700 failed, should: 0 of 20, suite 0.1.0+3fa9c2d1`
fn grades(totals: &Totals, version: Option<&str>) -> String {
    let grades = GRADES.iter().map(|(word, grade)| (word, totals.grades[*grade as usize]));
    let words = grades.filter(|(_, graded)| graded.judged > 0);
    let words = words.map(|(word, graded)| format!("{word}: {} of {} failed", graded.failed, graded.judged));
    let version = version.map(|version| format!("suite {version}"));
    words.chain(version).collect::<Vec<_>>().join(", ")
}

/// `71 days`, `3 hours`, `40 s`
fn span(time: Time) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..180 => format!("{seconds} s"),
        180..10_800 => format!("{} min", seconds / 60),
        10_800..172_800 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn wall(took: std::time::Duration) -> String {
    let micros = took.as_micros();
    match micros {
        0..10_000 => format!("{:.1} ms", micros as f64 / 1000.0),
        10_000..2_000_000 => format!("{} ms", micros / 1000),
        _ => format!("{:.1} s", took.as_secs_f64()),
    }
}
