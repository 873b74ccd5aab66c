//! `conntruth completions`: what makes the Tab key work.

use std::io::Write;

use super::{Error, Exit};

/// Print shell completions.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  conntruth completions bash > ~/.local/share/bash-completion/completions/conntruth"
)]
pub(super) struct Args {
    /// For which shell.
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args, mut command: clap::Command) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "conntruth", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(Exit::Fine)
}
