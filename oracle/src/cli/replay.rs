//! `conntruth replay`: what the tracker makes of a capture.

use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};

use super::capture::{Source, TrackerArgs};
use super::{Error, Exit, Tone, state};
use crate::replay::{Record, Replayer, json, text};

const EXAMPLES: &str = "\
Examples:
  conntruth replay web.pcap                      one line a packet
  conntruth replay web.pcap --table              ... and the table left at the end
  conntruth replay web.pcap --format jsonl       one JSON object a packet
  conntruth replay web.pcap --set tcp_loose=0    with another configuration
  tcpdump -w - | conntruth replay -              from standard input
  conntruth replay a.pcap --save-state a.json    keep the tracker as it is at the end
  conntruth replay b.pcap --load-state a.json    ... and go on from there

Packets enter at PREROUTING and are confirmed at POSTROUTING, as on a forwarding box; the captured time stamps \
drive the clock. Where they run backwards the clock stands still, and packets without one come at the time of the \
packet before. Connections whose time has come are noticed at the next packet: their destroy events stand before \
that packet's own.

A capture that cannot be read to its end is an error, with exit code 2: the packets before the place have been \
written by then, the table is not.";

/// Say what the tracker makes of a capture.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A pcap or pcapng file; `-` is standard input.
    capture: PathBuf,
    /// How to write the packets.
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    format: Format,
    /// Append the table left at the end.
    #[arg(long)]
    table: bool,
    /// Keep the whole tracker, as it is at the end, in this file.
    #[arg(long, value_name = "FILE")]
    save_state: Option<PathBuf>,
    /// Go on with a tracker that was kept; its clock stands where it was.
    #[arg(long, value_name = "FILE")]
    load_state: Option<PathBuf>,
    #[command(flatten)]
    tracker: TrackerArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One aligned line a packet.
    Text,
    /// One JSON object a packet.
    Jsonl,
    /// Nothing: to measure all the rest.
    #[value(hide = true)]
    None,
}

pub(super) fn run(args: &Args, tone: &Tone) -> Result<Exit, Error> {
    let mut replayer = match &args.load_state {
        Some(path) => {
            let resumed = args.tracker.resume(&state::load(path)?);
            resumed.map_err(|error| format!("{}: {error}", path.display()))?
        }
        None => args.tracker.replayer()?,
    };
    let mut source = Source::open(&args.capture)?;
    // Only text has colours to be taken out of it.
    let (mut printer, out): (_, Box<dyn Write>) = match args.format {
        Format::Text => {
            (Printer::Text(text::Lines::new(!tone.is_quiet())), Box::new(anstream::stdout().lock()))
        }
        Format::Jsonl => (Printer::Jsonl, Box::new(std::io::stdout().lock())),
        Format::None => (Printer::None, Box::new(std::io::sink())),
    };
    let mut out = BufWriter::with_capacity(1 << 16, out);
    let mut progress = Progress::new(tone);
    let ended = feed(&mut source, &mut replayer, &mut printer, &mut out, &mut progress);
    // What was read before an error is written before the error is told.
    printer.flush(&mut out)?;
    progress.finish();
    ended?;
    if args.table {
        printer.table(&mut out, &replayer)?;
    }
    out.flush()?;
    source.tell(replayer.tally(), tone)?;
    if let Some(path) = &args.save_state {
        state::keep(path, &replayer.save())?;
    }
    if args.format == Format::Text {
        close(args, &replayer, tone);
    }
    Ok(Exit::Fine)
}

fn feed(
    source: &mut Source,
    replayer: &mut Replayer,
    printer: &mut Printer,
    out: &mut impl Write,
    progress: &mut Progress,
) -> Result<(), Error> {
    loop {
        let captured = match source.capture.next_packet() {
            Ok(Some(captured)) => captured,
            Ok(None) => return Ok(()),
            Err(error) => return Err(source.error(&error)),
        };
        progress.packet(captured.number);
        if let Some(record) = replayer.handle(&captured) {
            printer.record(out, &record)?;
        }
    }
}

/// The last line: what it was that ran, and how to run it again.
fn close(args: &Args, replayer: &Replayer, tone: &Tone) {
    let count = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let packets = count(replayer.tally().packets as usize, "packet");
    let left = count(replayer.engine().conns().count(), "connection");
    let (version, profile) = (env!("CARGO_PKG_VERSION"), args.tracker.profile().name);
    let mut table = String::from(if args.table { " --table" } else { "" });
    for (flag, path) in [("--load-state", &args.load_state), ("--save-state", &args.save_state)] {
        if let Some(path) = path {
            table.push_str(&format!(" {flag} {}", shell_word(&path.to_string_lossy())));
        }
    }
    tone.note(format_args!(
        "{packets}, {left} left; conntruth {version}, {profile}; repeat: conntruth replay {}{}{table}",
        shell_word(&args.capture.to_string_lossy()),
        args.tracker.as_typed(),
    ));
}

/// A word as a shell takes it, quoted if it must be.
fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

enum Printer {
    Text(text::Lines),
    Jsonl,
    None,
}

impl Printer {
    fn record(&mut self, out: &mut impl Write, record: &Record<'_>) -> std::io::Result<()> {
        match self {
            Printer::Text(lines) => lines.record(out, record),
            Printer::Jsonl => json::write_packet(out, record),
            Printer::None => Ok(()),
        }
    }

    fn flush(&mut self, out: &mut impl Write) -> std::io::Result<()> {
        if let Printer::Text(lines) = self {
            lines.flush(out)?;
        }
        out.flush()
    }

    fn table(&mut self, out: &mut impl Write, replayer: &Replayer) -> std::io::Result<()> {
        match self {
            Printer::Text(_) => {
                writeln!(out)?;
                text::write_table(out, replayer.engine())
            }
            Printer::Jsonl => json::write_table(out, replayer.engine()),
            Printer::None => Ok(()),
        }
    }
}

/// Shows on a terminal that something is going on, where the packets themselves do not.
struct Progress {
    bar: ProgressBar,
}

/// So many packets take a good part of a second with any output.
const PROGRESS_EVERY: u64 = 1 << 17;

impl Progress {
    fn new(tone: &Tone) -> Progress {
        let is_wanted = tone.shows_progress() && !std::io::stdout().is_terminal();
        let bar = if is_wanted { ProgressBar::no_length() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} packets, {per_sec}") {
            bar.set_style(style);
        }
        Progress { bar }
    }

    fn packet(&mut self, number: u64) {
        if number.is_multiple_of(PROGRESS_EVERY) {
            self.bar.set_position(number);
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
