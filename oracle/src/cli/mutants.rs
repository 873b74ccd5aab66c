//! `conntruth mutants`: how good the suite is.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use conntruth_engine::LINUX_6_18;
use globset::Glob;
use indicatif::ProgressBar;

use super::{Error, Exit, Tone};
use crate::mutants::{Score, all, score};
use crate::suite::{self, Suite};

const EXAMPLES: &str = "\
Examples:
  conntruth mutants                        every mutant against the suite that the program carries
  conntruth mutants --equivalent           ... and those that nobody can notice, with the reason
  conntruth mutants --filter 'bound *'     only some of them
  conntruth mutants my-suite/              how good scenarios of your own are

A mutant is the reference with one cell of a table, one bound, one timeout or one rule wrong. A suite notices it when a \
claim fails.";

/// Hold the suite against trackers that are wrong in one place each, and count how many it notices.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Scenario files, or folders of them; the suite in the program where none is given.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only mutants whose name fits, such as `tcp-cell *` or `*timeout*`.
    #[arg(long, value_name = "GLOB")]
    filter: Option<String>,
    /// Name the mutants that cannot be noticed.
    #[arg(long)]
    equivalent: bool,
    /// The share, in percent, of the others that must be noticed.
    #[arg(long, value_name = "PERCENT", default_value = "99", value_parser = clap::value_parser!(u8).range(0..=100))]
    at_least: u8,
    /// Threads.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

pub(super) fn run(args: &Args, tone: &Tone) -> Result<Exit, Error> {
    let read = if args.paths.is_empty() { suite::embedded() } else { suite::from_paths(&args.paths) };
    let files = read.map_err(|error| super::run::located(error, tone))?;
    let plans = Suite::plans(&files, LINUX_6_18.hz).map_err(|error| super::run::located(error, tone))?;
    if plans.is_empty() {
        return Err("there are no scenarios: a scenario's file name ends with `.ct`".into());
    }
    let mut mutants = all();
    if let Some(pattern) = &args.filter {
        let glob = Glob::new(pattern)?.compile_matcher();
        mutants.retain(|mutant| glob.is_match(&mutant.name));
        if mutants.is_empty() {
            return Err(format!("no mutant fits `{pattern}`").into());
        }
    }
    let jobs = args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let bar =
        if tone.shows_progress() { ProgressBar::new(mutants.len() as u64) } else { ProgressBar::hidden() };
    let score = score(&plans, &mutants, jobs, || bar.inc(1));
    bar.finish_and_clear();
    let mut out = anstream::stdout().lock();
    if !tone.is_quiet() {
        writeln!(
            out,
            "conntruth {}, {} mutants of {}, {} worlds, seed 0\n",
            env!("CARGO_PKG_VERSION"),
            mutants.len(),
            LINUX_6_18.name,
            plans.len()
        )?;
    }
    print(&mut out, &score, args, tone.is_quiet())?;
    let good = score.per_mille() >= usize::from(args.at_least) * 10 && score.stale.is_empty();
    Ok(if good { Exit::Fine } else { Exit::Failed })
}

fn print(out: &mut impl Write, score: &Score, args: &Args, quiet: bool) -> std::io::Result<()> {
    if !quiet {
        writeln!(out, "{:<32} {:>7} {:>9} {:>11} {:>9}", "", "mutants", "noticed", "equivalent", "survived")?;
        for (kind, tried, noticed, equal) in &score.kinds {
            let survived = tried - noticed - equal;
            writeln!(out, "{:<32} {tried:>7} {noticed:>9} {equal:>11} {survived:>9}", kind.words())?;
        }
        writeln!(out)?;
    }
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, reason) in &score.equivalent {
        reasons.entry(reason).or_default().push(name);
    }
    for (reason, names) in reasons.iter().filter(|_| args.equivalent) {
        writeln!(out, "cannot be noticed: {reason}")?;
        for name in names {
            writeln!(out, "  {name}")?;
        }
    }
    for name in &score.survivors {
        writeln!(out, "survived: {name}")?;
    }
    for name in &score.stale {
        writeln!(out, "noticed, though listed as one that cannot be: {name}")?;
    }
    let (all, noticed) = score.sums();
    let tenths = score.per_mille();
    let filter = args.filter.as_deref().map(|filter| format!(" --filter {}", super::run::shell(filter)));
    let paths: String = args
        .paths
        .iter()
        .map(|path| format!(" {}", super::run::shell(&path.display().to_string())))
        .collect();
    if !quiet {
        writeln!(out, "again: conntruth mutants{paths}{}", filter.unwrap_or_default())?;
    }
    writeln!(out, "{noticed} of {all} noticed ({}.{} %)", tenths / 10, tenths % 10)
}
