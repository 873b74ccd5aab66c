//! `conntruth export`: the suite for those who will never run this program.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use conntruth_engine::{LINUX_6_18, Profile};

use super::{Error, Exit, Tone};
use crate::export::{capture, schema, vectors};
use crate::suite::Suite;
use crate::target::Reference;

const EXAMPLES: &str = "\
Examples:
  conntruth export --format vectors > suite.json       the whole suite, with every answer
  conntruth export --format schema > suite.schema.json the form of it
  conntruth export my-case.ct --format vectors         a scenario of your own
  conntruth export --format pcap --output captures/ --filter 'tcp/**'
                                                       a capture for each world

A capture holds packets and times alone. What else happens in a world (settings, rules, packets of the tracker's own \
host) is counted on stderr.";

/// Write scenarios as self-contained JSON, or as captures.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Scenario files, or folders of them; the suite in the program where none is given.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only scenarios whose id fits, such as `tcp/**`; may be given several times.
    #[arg(long, value_name = "GLOB")]
    filter: Vec<String>,
    /// As what.
    #[arg(long, value_name = "FORMAT")]
    format: Format,
    /// The file for the vectors, or the folder for captures; vectors go to stdout where none is given.
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Whose semantics the answers have.
    #[arg(long, value_name = "NAME", default_value = "linux-6.18")]
    profile: String,
}

/// As what to export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// JSON: packets in hex, times, answers, notes, sources.
    Vectors,
    /// The JSON Schema of the vectors.
    Schema,
    /// A capture for each world.
    Pcap,
}

pub(super) fn run(args: &Args, tone: &Tone) -> Result<Exit, Error> {
    if args.format == Format::Schema {
        put(args, schema().as_bytes())?;
        return Ok(Exit::Fine);
    }
    let profile = Profile::find(&args.profile).ok_or_else(|| {
        format!(
            "there is no profile `{}`; `conntruth profiles` lists them, {} is the default",
            args.profile, LINUX_6_18.name
        )
    })?;
    let files = super::run::selected(&args.paths, &args.filter, tone)?;
    let plans = Suite::plans(&files, profile.hz).map_err(|error| super::run::located(error, tone))?;
    if args.format == Format::Vectors {
        let (vectors, left_out) = vectors(&plans, &mut Reference::new(profile));
        let mut json = serde_json::to_string_pretty(&vectors)?;
        json.push('\n');
        put(args, json.as_bytes())?;
        let worlds = vectors.worlds.len();
        tone.note(format_args!("{worlds} worlds written, {left_out} not for {} left out", profile.name));
        return Ok(if worlds == 0 { Exit::Skipped } else { Exit::Fine });
    }
    let Some(folder) = &args.output else {
        return Err("captures go into a folder: `--output DIR`".into());
    };
    let at = |path: &std::path::Path, error: std::io::Error| format!("{}: {error}", path.display());
    std::fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
    let (mut names, mut partly) = (BTreeSet::new(), 0);
    for plan in plans.iter().map(|plan| plan.clone().taped(profile).as_sent(profile)) {
        let (bytes, missing) = capture(&plan);
        let path = folder.join(format!("{}.pcap", name(&plan.id.to_string(), &mut names)));
        std::fs::write(&path, bytes).map_err(|error| at(&path, error))?;
        partly += usize::from(!missing.is_nothing());
    }
    let s = if plans.len() == 1 { "" } else { "s" };
    tone.note(format_args!(
        "{} capture{s} in {}; of {partly} worlds a part is in no capture: settings, rules, local packets",
        plans.len(),
        folder.display()
    ));
    Ok(Exit::Fine)
}

fn put(args: &Args, bytes: &[u8]) -> Result<(), Error> {
    match &args.output {
        Some(path) => {
            std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        None => std::io::stdout().lock().write_all(bytes)?,
    }
    Ok(())
}

/// A name that any file system takes, and that no other world has.
fn name(id: &str, taken: &mut BTreeSet<String>) -> String {
    let plain: String = id
        .chars()
        .map(|sign| if sign.is_ascii_alphanumeric() || "-_=".contains(sign) { sign } else { '.' })
        .take(120)
        .collect();
    let plain = plain.trim_matches('.').to_owned();
    let mut name = plain.clone();
    let mut number = 2;
    while !taken.insert(name.clone()) {
        name = format!("{plain}-{number}");
        number += 1;
    }
    name
}
