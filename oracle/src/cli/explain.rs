//! `conntruth explain`: why the tracker answers as it does.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::capture::{Source, TrackerArgs};
use super::run::Style;
use super::{Error, Exit, Tone};
use crate::explain::{Explainer, Stopped, explain_plan};
use crate::paint::Paint;
use crate::suite::{File, Suite};
use crate::target::Reference;

const EXAMPLES: &str = "\
Examples:
  conntruth explain web.pcap               each packet: the rule, its numbers, its source, what it changed
  conntruth explain web.pcap --packet 7    one packet, after those before it
  conntruth explain my-case.ct             the packets of a scenario
  conntruth explain tcp/opening/handshake  the packets of one that the program carries";

/// Say why the tracker answers as it does, packet by packet.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A pcap or pcapng file (`-` is standard input), or a scenario.
    #[arg(value_name = "CAPTURE|SCENARIO")]
    subject: PathBuf,
    /// Only this packet, by its number in the capture.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    packet: Option<u64>,
    /// Of a scenario: draw what happens before the sentences, hosts as columns, the tracker in the middle.
    #[arg(long, value_name = "STYLE", num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    trace: Option<Style>,
    #[command(flatten)]
    tracker: TrackerArgs,
}

pub(super) fn run(args: &Args, tone: &Tone) -> Result<Exit, Error> {
    if is_scenario(&args.subject) {
        return explain_scenario(args, tone);
    }
    explain_capture(args, tone)
}

/// A scenario's file, or the id of one that the program carries.
fn is_scenario(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "ct") || !path.exists() && carried(path).is_some()
}

fn carried(path: &Path) -> Option<File> {
    crate::suite::embedded().ok()?.into_iter().find(|file| Path::new(&file.id) == path)
}

fn explain_scenario(args: &Args, tone: &Tone) -> Result<Exit, Error> {
    if args.tracker.sets_something() {
        return Err("`--set` and `--helper` are for captures: a scenario says so itself".into());
    }
    let profile = args.tracker.profile();
    let files = match carried(&args.subject).filter(|_| !args.subject.exists()) {
        Some(file) => vec![file],
        None => crate::suite::from_paths(std::slice::from_ref(&args.subject))
            .map_err(|error| super::run::located(error, tone))?,
    };
    let plans = Suite::plans(&files, profile.hz).map_err(|error| super::run::located(error, tone))?;
    let mut out = BufWriter::new(anstream::stdout().lock());
    for (index, plan) in plans.iter().enumerate() {
        if plans.len() > 1 {
            let gap = if index > 0 { "\n" } else { "" };
            writeln!(out, "{gap}{}", plan.id)?;
        }
        if let Some(style) = args.trace {
            let record = plan.run(&mut Reference::new(profile));
            writeln!(out, "{}", style.draw(plan, &record, Paint::new(tone.colors_stdout())))?;
        }
        let packets = match explain_plan(&mut out, plan, profile, args.packet) {
            Ok(packets) => packets,
            Err(Stopped::Io(error)) => return Err(error.into()),
            Err(Stopped::Refused(refusal)) => return Err(refusal.into()),
        };
        if let Some(packet) = args.packet.filter(|packet| *packet > packets) {
            out.flush()?;
            return Err(format!("there is no packet {packet}, the last is {packets}").into());
        }
    }
    out.flush()?;
    Ok(Exit::Fine)
}

fn explain_capture(args: &Args, tone: &Tone) -> Result<Exit, Error> {
    if args.trace.is_some() {
        return Err("`--trace` is for scenarios: a capture knows no hosts".into());
    }
    let mut replayer = args.tracker.replayer()?;
    let mut source = Source::open(&args.subject)?;
    let mut out = BufWriter::new(anstream::stdout().lock());
    let mut explainer = Explainer::default();
    let mut last = 0;
    let mut written = 0;
    let ended = loop {
        let captured = match source.capture.next_packet() {
            Ok(Some(captured)) => captured,
            Ok(None) => break Ok(()),
            Err(error) => break Err(source.error(&error)),
        };
        last = captured.number;
        let is_wanted = args.packet.is_none_or(|packet| packet == captured.number);
        let is_last = args.packet == Some(captured.number);
        match (replayer.handle(&captured), captured.bytes) {
            (Some(record), _) if is_wanted => {
                if written > 0 {
                    writeln!(out)?;
                }
                written += 1;
                explainer.explain(&mut out, &record)?;
            }
            (Some(record), _) => explainer.pass(&record),
            (None, Err(why)) if is_last => return Err(format!("packet {last} is not IP: {why}").into()),
            (None, _) => {}
        }
        if is_last {
            break Ok(());
        }
    };
    out.flush()?;
    ended?;
    match args.packet {
        Some(packet) if packet > last => {
            Err(format!("there is no packet {packet}, the last is {last}").into())
        }
        Some(_) => Ok(Exit::Fine),
        None => source.tell(replayer.tally(), tone).map(|()| Exit::Fine),
    }
}
