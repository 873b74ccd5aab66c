//! `conntruth import`: a capture becomes a scenario.

use std::io::Write;
use std::path::PathBuf;

use super::capture::{Source, TrackerArgs};
use super::{Error, Exit, Tone};
use crate::import::{Trouble, import};
use crate::suite;

const EXAMPLES: &str = "\
Examples:
  conntruth import strange.pcap > strange.ct           read it, give it a sentence of its own, keep it
  conntruth import strange.pcap --output strange.ct
  tcpdump -r all.pcap -w - port 80 | conntruth import -
  conntruth import offloaded.pcap --set checksum=0

Packets stand there in the language's words, with numbers relative to the first ones, wherever the words mean exactly \
what was captured; fragments, odd headers and protocols without words stand there as raw bytes. Payloads are replaced \
by their lengths.";

/// Make a scenario of a capture, with a claim under each packet.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A pcap or pcapng file; `-` is standard input.
    capture: PathBuf,
    /// The file to write; stdout where none is given.
    #[arg(long, short, value_name = "FILE.ct")]
    output: Option<PathBuf>,
    #[command(flatten)]
    tracker: TrackerArgs,
}

pub(super) fn run(args: &Args, tone: &Tone) -> Result<Exit, Error> {
    let mut replayer = args.tracker.replayer()?;
    let settings: Vec<_> = replayer
        .engine()
        .sysctls()
        .changed()
        .filter(|(knob, _)| args.tracker.names(*knob))
        .map(|(knob, value)| (knob, i64::from(value)))
        .collect();
    let mut source = Source::open(&args.capture)?;
    let name = args.capture.file_name().map_or("standard input".into(), |name| name.to_string_lossy());
    let profile = args.tracker.profile();
    let imported = import(&name, &mut source.capture, &mut replayer, &settings, profile);
    source.tell(replayer.tally(), tone)?;
    let imported = match imported {
        Ok(imported) => imported,
        Err(Trouble::Capture(error)) => return Err(source.error(&error)),
        Err(trouble) => return Err(format!("{}: {trouble}", args.capture.display()).into()),
    };
    match &args.output {
        Some(path) => {
            suite::replace(path, &imported.text).map_err(|error| format!("{}: {error}", path.display()))?
        }
        None => std::io::stdout().lock().write_all(imported.text.as_bytes())?,
    }
    let count = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    tone.note(format_args!(
        "{} in {}, {} as raw bytes",
        count(imported.packets, "packet"),
        count(imported.flows, "flow"),
        imported.raw
    ));
    if imported.agree < imported.packets {
        tone.warn(format_args!(
            "{} of {} have another class here than in `conntruth replay`: what was left to a network card or cut \
             off is whole in a scenario",
            imported.packets - imported.agree,
            count(imported.packets, "packet")
        ));
    }
    Ok(Exit::Fine)
}
