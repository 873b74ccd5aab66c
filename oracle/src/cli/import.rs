//! `conntruth import`: a capture becomes a scenario, and so do bytes that a fuzzer has found.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::capture::{Source, TrackerArgs};
use super::{Error, Exit, Tone};
use crate::generate::Traffic;
use crate::import::{Trouble, import};
use crate::suite;

const EXAMPLES: &str = "\
Examples:
  conntruth import strange.pcap > strange.ct           read it, give it a sentence of its own, keep it
  conntruth import strange.pcap --output strange.ct
  tcpdump -r all.pcap -w - port 80 | conntruth import -
  conntruth import offloaded.pcap --set checksum=0
  conntruth import --bytes crash-3fbd3f92              what a fuzzer has found, as a story

Packets stand there in the language's words, with numbers relative to the first ones, wherever the words mean exactly \
what was captured; fragments, odd headers and protocols without words stand there as raw bytes. Payloads are replaced \
by their lengths.

With --bytes the file is an input of a fuzzer or of a property: any bytes are a story, the same one in `conntruth diff`, in \
every corpus, and here.";

/// Make a scenario of a capture or of a fuzzer's input, with a claim under each packet.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A pcap or pcapng file; `-` is standard input.
    #[arg(value_name = "FILE")]
    capture: PathBuf,
    /// The file is no capture: its bytes are choices, which make a story.
    #[arg(long, conflicts_with_all = ["set", "helper", "profile"])]
    bytes: bool,
    /// The file to write; stdout where none is given.
    #[arg(long, short, value_name = "FILE.ct")]
    output: Option<PathBuf>,
    #[command(flatten)]
    tracker: TrackerArgs,
}

pub(super) fn run(args: &Args, tone: &Tone) -> Result<Exit, Error> {
    if args.bytes {
        return args.write(&story(&args.capture)?).map(|()| Exit::Fine);
    }
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
    args.write(&imported.text)?;
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

impl Args {
    fn write(&self, text: &str) -> Result<(), Error> {
        match &self.output {
            Some(path) => {
                suite::replace(path, text).map_err(|error| format!("{}: {error}", path.display()))?
            }
            None => std::io::stdout().lock().write_all(text.as_bytes())?,
        }
        Ok(())
    }
}

/// The story that bytes are, with the claims that hold for the reference.
fn story(path: &Path) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().lock().read_to_end(&mut bytes),
        false => File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)),
    };
    read.map_err(|error| format!("{}: {error}", path.display()))?;
    let name = path.file_name().map_or("standard input".into(), |name| name.to_string_lossy());
    let story = Traffic::decode(&bytes).scenario();
    Ok(format!("# What the {} bytes of {name} are.\n{story}", bytes.len()))
}
