//! The command line: arguments in, an exit code out.
//!
//! One file for each command, with its arguments (`Args`) and a `run` that returns the [`Exit`]. A command that does
//! not exist yet is not listed. Results go to stdout, everything else to stderr.

use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

mod capture;
mod check;
mod closely;
mod completions;
mod coverage;
mod diff;
mod explain;
mod export;
mod format;
mod import;
mod init;
mod kernel;
mod mutants;
mod profiles;
mod replay;
mod run;
mod serve;
mod state;
mod targets;
mod tone;
mod try_;

pub use tone::{ColorChoice, Tone};

/// The ground truth for connection tracking: what Linux's tracker makes of packets, and why.
#[derive(Debug, Parser)]
#[command(
    name = "conntruth",
    version,
    max_term_width = 100,
    after_help = "Without a command: `run`, the suite that the program carries."
)]
struct Cli {
    #[command(flatten)]
    tone: tone::Args,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Try(try_::Args),
    Replay(replay::Args),
    Explain(explain::Args),
    Check(check::Args),
    Fmt(format::Args),
    Coverage(coverage::Args),
    Diff(diff::Args),
    Init(init::Args),
    Mutants(mutants::Args),
    Import(import::Args),
    Export(export::Args),
    Profiles(profiles::Args),
    Targets(targets::Args),
    Serve(serve::Args),
    State(state::Args),
    Kernel(kernel::Args),
    Completions(completions::Args),
}

/// How a command ended. The numbers are a contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// All well.
    Fine = 0,
    /// A claim failed, or a divergence was found.
    Failed = 1,
    /// Wrong usage, unreadable input, or nothing was selected to run.
    Unusable = 2,
    /// The target cannot be used on this machine, or everything selected was skipped.
    Skipped = 3,
}

/// What stopped a command before it could give a result: one or two lines for stderr, and exit code 2.
pub type Error = Box<dyn std::error::Error>;

/// Mistakes in a scenario, rendered with their places.
#[derive(Debug)]
struct Located(String);

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Located {}

/// Runs the program with these arguments, the program's name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(usage) => {
            // Help and version are results; clap knows which stream each belongs to, and its codes are ours: 0 and 2.
            let _ = usage.print();
            return ExitCode::from(usage.exit_code() as u8);
        }
    };
    let tone = cli.tone.tone();
    let command = cli.command.unwrap_or_else(|| Command::Run(run::Args::bare()));
    let ended = match &command {
        Command::Run(args) => run::run(args, &tone),
        Command::Try(args) => try_::run(args, &tone),
        Command::Replay(args) => replay::run(args, &tone),
        Command::Explain(args) => explain::run(args, &tone),
        Command::Check(args) => check::run(args, &tone),
        Command::Fmt(args) => format::run(args, &tone),
        Command::Coverage(args) => coverage::run(args, &tone),
        Command::Diff(args) => diff::run(args, &tone),
        Command::Init(args) => init::run(args, &tone),
        Command::Mutants(args) => mutants::run(args, &tone),
        Command::Import(args) => import::run(args, &tone),
        Command::Export(args) => export::run(args, &tone),
        Command::Profiles(args) => profiles::run(args, &tone),
        Command::Targets(args) => targets::run(args, &tone),
        Command::Serve(args) => serve::run(args, &tone),
        Command::State(args) => state::run(args, &tone),
        Command::Kernel(args) => kernel::run(args, &tone),
        Command::Completions(args) => completions::run(args, Cli::command()),
    };
    let exit = ended.unwrap_or_else(|error| {
        if is_broken_pipe(error.as_ref()) {
            return Exit::Fine;
        }
        match error.downcast_ref::<Located>() {
            // It points at its place itself.
            Some(Located(text)) => {
                let _ = writeln!(anstream::stderr(), "{text}");
            }
            None => tone.error(error.as_ref()),
        }
        Exit::Unusable
    });
    ExitCode::from(exit as u8)
}

/// Whether the reader of our output has gone (`conntruth replay x.pcap | head`): nobody is left to tell.
fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        Cli::command().debug_assert();
    }
}
