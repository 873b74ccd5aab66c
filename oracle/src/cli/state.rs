//! `conntruth state`: what a tracker that was kept holds, or in what two of them differ.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use conntruth_engine::{ProcLine, State};

use super::{Error, Exit, Tone};
use crate::suite;

const EXAMPLES: &str = "\
Examples:
  conntruth replay web.pcap --save-state web.json    keep the tracker as it is at the end
  conntruth state web.json                           its table and its settings
  conntruth state before.json after.json             what has changed, in words";

/// Say what a kept tracker holds, or in what two of them differ.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A state that `replay --save-state` has written, or anybody with the library's `Engine::save`.
    state: PathBuf,
    /// A later one to compare with: exit code 1 when they differ.
    later: Option<PathBuf>,
}

pub(super) fn run(args: &Args, _tone: &Tone) -> Result<Exit, Error> {
    let state = load(&args.state)?;
    let mut out = anstream::stdout().lock();
    let Some(later) = &args.later else {
        writeln!(out, "{}, at {} s", state.profile(), state.now())?;
        for (knob, value) in state.sysctls().changed() {
            writeln!(out, "{} = {value}", knob.info().name)?;
        }
        for conn in &state.conns() {
            writeln!(out, "{}", ProcLine(conn))?;
        }
        return Ok(Exit::Fine);
    };
    let changes = state.changes(&load(later)?);
    for change in &changes {
        writeln!(out, "{change}")?;
    }
    if changes.is_empty() {
        writeln!(out, "no difference")?;
    }
    Ok(if changes.is_empty() { Exit::Fine } else { Exit::Failed })
}

/// Reads a state.
pub(super) fn load(path: &Path) -> Result<State, Error> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Writes a state.
pub(super) fn keep(path: &Path, state: &State) -> Result<(), Error> {
    let mut text = serde_json::to_string(state)?;
    text.push('\n');
    Ok(suite::replace(path, &text).map_err(|error| format!("{}: {error}", path.display()))?)
}
