//! `conntruth coverage`: what scenarios reach of tables, reasons and sysctls.

use std::io::Write;
use std::path::PathBuf;

use super::{Error, Exit, Tone};
use crate::coverage::{Coverage, Watched};
use crate::suite::Suite;
use crate::target::{Reference, Target};

const EXAMPLES: &str = "\
Examples:
  conntruth coverage                         what the suite in the program reaches
  conntruth coverage --filter 'tcp/reset/*'  what a part of it reaches
  conntruth coverage my-case.ct              what a scenario of your own reaches
  conntruth coverage --format jsonl | grep '\"reached\":0'";

/// Show which cells of the tables, which reasons and which sysctls scenarios reach, and which they do not.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Scenario files, or folders of them; the suite in the program where none is given.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only scenarios whose id fits, such as `tcp/**` or `*rst*`; may be given several times.
    #[arg(long, value_name = "GLOB")]
    filter: Vec<String>,
    /// How to report.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Whose semantics the reference has.
    #[arg(long, value_name = "NAME", default_value = "linux-6.18")]
    profile: String,
}

/// How to report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// An object a line.
    Jsonl,
}

pub(super) fn run(args: &Args, tone: &Tone) -> Result<Exit, Error> {
    let profile = super::run::profile(&args.profile)?;
    let files = super::run::selected(&args.paths, &args.filter, tone)?;
    let mut target = Watched::new(Reference::new(profile), Coverage::new(profile));
    let plans =
        Suite::plans(&files, target.identity().hz).map_err(|error| super::run::located(error, tone))?;
    let totals = Suite::run(plans, &mut target, |_| {}).totals();
    let coverage = &target.coverage;
    let out = match args.format {
        Format::Text if tone.colors_stdout() => format!("{coverage:#}"),
        Format::Text => coverage.to_string(),
        Format::Jsonl => coverage.jsonl(),
    };
    anstream::stdout().lock().write_all(out.as_bytes())?;
    let (failed, not_run) = (totals.failed, totals.skipped + totals.unsupported);
    if failed > 0 {
        let s = if failed == 1 { "" } else { "s" };
        tone.warn(format!("{failed} scenario{s} failed; what their packets reached counts all the same"));
    }
    if not_run > 0 {
        tone.warn(format!("{not_run} were skipped or are not supported yet: they reach nothing, or not all"));
    }
    Ok(if totals.passed + failed == 0 { Exit::Skipped } else { Exit::Fine })
}
