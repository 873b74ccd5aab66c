//! Writes the matrix of CONFORMANCE.md anew: the suite against every target that can be used here, and what the causes of its
//! failures are. Each cause is to be explained in `explained.toml` beside this file; one that is not is named, and an error.
//!
//! ```sh
//! cargo run --release --example conformance -- reference linux linux:6.1 linux:6.12 linux:7.3 ovs \
//!     'exec:python3 oracle/adapters/toy/toy.py'
//! ```
#![allow(clippy::print_stderr, clippy::print_stdout, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use conntruth::scenario::Verdict;
use conntruth::suite::{self, Suite};
use conntruth::target::exec::Limits;
use conntruth::target::known::{self, Unusable, Wish};
use conntruth::target::{self, Target};
use conntruth_engine::LINUX_6_18;

const FILE: &str = "CONFORMANCE.md";
/// What stands between these is written here.
const MATRIX: &str = "matrix";
const OVS: &str = "differences of ovs";
const EXPLAINED: &str = include_str!("explained.toml");

/// Why a target differs, for people.
#[derive(serde::Deserialize)]
struct Explained {
    difference: Vec<Difference>,
}

#[derive(serde::Deserialize)]
struct Difference {
    /// The target's name, or what it begins with.
    target: String,
    /// What it does, in a sentence.
    says: String,
    /// What shows it.
    scenario: String,
    /// The causes, or what they begin with.
    causes: Vec<String>,
}

/// How a target fared in an area.
#[derive(Clone, Copy, Default)]
struct Score {
    passed: usize,
    failed: usize,
    /// Not for this target, or beyond it.
    apart: usize,
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.passed, self.failed) {
            (0, 0) => f.write_str("-"),
            (passed, 0) => write!(f, "{passed}"),
            (passed, failed) => write!(f, "{passed} **✗{failed}**"),
        }?;
        if self.apart > 0 { write!(f, " ({})", self.apart) } else { Ok(()) }
    }
}

struct Column {
    name: String,
    title: String,
    /// Causes of failures, with the number of worlds and the smallest.
    causes: Vec<(String, usize, String)>,
    areas: BTreeMap<String, Score>,
    total: Score,
    seconds: f64,
}

fn main() -> ExitCode {
    if let Some(code) = target::serve_if_asked() {
        return code;
    }
    let names: Vec<String> = std::env::args().skip(1).collect();
    match write(&names) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn write(names: &[String]) -> Result<(), String> {
    if names.is_empty() {
        return Err("name the targets, such as `reference linux ovs`".to_owned());
    }
    let explained: Explained =
        toml::from_str(EXPLAINED).map_err(|error| format!("explained.toml: {error}"))?;
    let columns: Result<Vec<Column>, String> = names.iter().map(|name| column(name)).collect();
    let columns = columns?;
    let mut text = std::fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))?;
    text = replaced(&text, MATRIX, &table(&columns))?;
    if let Some(ovs) = columns.iter().find(|column| column.name == "ovs") {
        text = replaced(&text, OVS, &differences(ovs, &explained))?;
    }
    std::fs::write(FILE, text).map_err(|error| error.to_string())?;
    let unexplained: Vec<String> =
        columns.iter().flat_map(|column| unexplained(column, &explained)).collect();
    if unexplained.is_empty() { Ok(()) } else { Err(format!("not explained:\n{}", unexplained.join("\n"))) }
}

/// The text with what stands between two marks replaced.
fn replaced(text: &str, mark: &str, new: &str) -> Result<String, String> {
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- end of {mark} -->\n"));
    let (before, rest) = text.split_once(&begin).ok_or(format!("{FILE} has no `{}`", begin.trim()))?;
    let (_, after) = rest.split_once(&end).ok_or(format!("{FILE} has no `{}`", end.trim()))?;
    Ok(format!("{before}{begin}\n{new}\n{end}{after}"))
}

/// Whether this explains a cause of a target.
fn explains(difference: &Difference, target: &str, cause: &str) -> bool {
    target.starts_with(&difference.target) && difference.causes.iter().any(|begin| cause.starts_with(begin))
}

/// A target's differences in a table, in the order of the explanations, with the number of worlds whose first difference is
/// of this kind.
fn differences(column: &Column, explained: &Explained) -> String {
    let mut text = "| difference | scenario | worlds |\n|---|---|---|\n".to_owned();
    for difference in &explained.difference {
        let ours = column.causes.iter().filter(|(cause, ..)| explains(difference, &column.name, cause));
        let worlds: usize = ours.map(|(_, worlds, _)| worlds).sum();
        if worlds > 0 {
            let _ = writeln!(text, "| {} | `{}` | {worlds} |", difference.says, difference.scenario);
        }
    }
    text
}

/// The causes that nobody has explained. A program at the other end of a pipe has a list of its own.
fn unexplained(column: &Column, explained: &Explained) -> Vec<String> {
    let is_told = |cause: &str| explained.difference.iter().any(|one| explains(one, &column.name, cause));
    let others =
        column.causes.iter().filter(|(cause, ..)| !is_told(cause) && !column.name.starts_with("exec:"));
    others
        .map(|(cause, worlds, smallest)| format!("{}: {cause} ({worlds} worlds), {smallest}", column.name))
        .collect()
}

fn column(name: &str) -> Result<Column, String> {
    let open = || {
        known::open(
            name,
            &Wish { profile: &LINUX_6_18, patience: Duration::from_secs(5), limits: Limits::default() },
        )
    };
    let target = open().map_err(|unusable| match unusable {
        Unusable::Missing(what) => format!("{name}: {what}"),
        Unusable::Unknown => format!("there is no target {name}"),
    })?;
    let identity = target.identity();
    let files = suite::embedded().map_err(|error| error.to_string())?;
    let plans = Suite::plans(&files, identity.hz).map_err(|error| error.to_string())?;
    let mut targets: Vec<Box<dyn Target + Send>> = vec![target];
    while targets.len() < known::side_by_side(&identity) {
        targets.push(open().map_err(|_| format!("{name} cannot be had twice"))?);
    }
    let started = Instant::now();
    let suite = Suite::run_side_by_side(plans, targets, |_| {}).ok_or("there is no target")?;
    let seconds = started.elapsed().as_secs_f64();
    let causes = suite::causes(&suite).into_iter();
    let causes = causes.map(|grounds| {
        let smallest = grounds.worlds.first().cloned().unwrap_or_default();
        (grounds.cause, grounds.worlds.len(), smallest)
    });
    let mut column = Column {
        name: name.to_owned(),
        causes: causes.collect(),
        title: format!("{} {}", identity.name, identity.version),
        areas: BTreeMap::new(),
        total: Score::default(),
        seconds,
    };
    for world in &suite.worlds {
        let area = world.plan.id.scenario.rsplit_once('/').map_or("", |(area, _)| area);
        for score in [column.areas.entry(area.to_owned()).or_default(), &mut column.total] {
            match world.verdict {
                Verdict::Passed => score.passed += 1,
                Verdict::Failed => score.failed += 1,
                Verdict::Skipped(_) | Verdict::Unsupported(_) | Verdict::Known(_) => score.apart += 1,
            }
        }
    }
    eprintln!("{}: {} in {:.1} s", column.title, column.total, column.seconds);
    Ok(column)
}

fn table(columns: &[Column]) -> String {
    let mut text = String::new();
    let row = |first: &str, cells: &mut dyn Iterator<Item = String>| {
        format!("| {first} | {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    text += &row("", &mut columns.iter().map(|column| column.title.clone()));
    let _ = writeln!(text, "|---{}|", "|---".repeat(columns.len()));
    let areas: Vec<&String> = columns.iter().take(1).flat_map(|column| column.areas.keys()).collect();
    for area in areas {
        text += &row(area, &mut columns.iter().map(|column| column.areas[area].to_string()));
    }
    text += &row("**all**", &mut columns.iter().map(|column| column.total.to_string()));
    text += &row("seconds", &mut columns.iter().map(|column| format!("{:.1}", column.seconds)));
    text
}
