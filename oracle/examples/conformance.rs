//! Writes the matrix of CONFORMANCE.md anew: the suite against every target that can be used here.
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
const BEGIN: &str = "<!-- matrix -->\n";
const END: &str = "<!-- end of matrix -->\n";

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
    title: String,
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
    let columns: Result<Vec<Column>, String> = names.iter().map(|name| column(name)).collect();
    let table = table(&columns?);
    let text = std::fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))?;
    let (before, rest) = text.split_once(BEGIN).ok_or("CONFORMANCE.md has no place for the matrix")?;
    let (_, after) = rest.split_once(END).ok_or("CONFORMANCE.md has no end of the matrix")?;
    std::fs::write(FILE, format!("{before}{BEGIN}\n{table}\n{END}{after}")).map_err(|error| error.to_string())
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
    let mut column = Column {
        title: format!("{} {}", identity.name, identity.version),
        areas: BTreeMap::new(),
        total: Score::default(),
        seconds: started.elapsed().as_secs_f64(),
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
