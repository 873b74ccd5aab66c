//! `conntruth profiles`: the semantics there are.

use std::io::Write;

use conntruth_engine::Profile;

use super::{Error, Exit, Tone};

/// List the kernels whose semantics can be asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: &Args, _tone: &Tone) -> Result<Exit, Error> {
    let mut out = anstream::stdout().lock();
    let width = Profile::ALL.iter().map(|profile| profile.name.len()).max().unwrap_or(0);
    for profile in Profile::ALL {
        writeln!(out, "{:<width$}  {}", profile.name, profile.about)?;
    }
    Ok(Exit::Fine)
}
