//! `conntruth check`: are these scenarios well written? Nothing is run.

use std::io::Write;
use std::path::PathBuf;

use super::{Error, Exit, Tone};
use crate::{language, suite};

const EXAMPLES: &str = "\
Examples:
  conntruth check my-case.ct
  conntruth check scenarios/               every scenario below a folder";

/// Check that scenario files can be read and make sense, without running them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Scenario files, or folders of them.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
}

pub(super) fn run(args: &Args, tone: &Tone) -> Result<Exit, Error> {
    let files = suite::texts(&args.paths)?;
    let (mut worlds, mut mistakes) = (0, 0);
    for (path, text) in &files {
        match language::read(&path.display().to_string(), text) {
            Ok(script) => worlds += script.stories.iter().map(|story| story.families.len()).sum::<usize>(),
            Err(messages) => {
                tone.mistakes(&messages);
                mistakes += messages.list.len();
            }
        }
    }
    let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    if mistakes > 0 {
        return Err(format!("{} in {}", count(mistakes, "mistake"), count(files.len(), "file")).into());
    }
    writeln!(
        std::io::stdout(),
        "{}, {} to run, no mistake",
        count(files.len(), "file"),
        count(worlds, "world")
    )?;
    Ok(Exit::Fine)
}
