//! `conntruth fmt`: one layout for all scenario files.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::{Error, Exit, Tone};
use crate::{language, suite};

const EXAMPLES: &str = "\
Examples:
  conntruth fmt scenarios/                 lay out every scenario below a folder
  conntruth fmt --check scenarios/         only say which are not, and exit with 1
  conntruth fmt - < my-case.ct             from stdin to stdout";

/// Lay out scenario files: columns and blanks, never a word.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Change nothing; name the files that would change, and exit with 1 if there are any.
    #[arg(long)]
    check: bool,
    /// Scenario files, or folders of them; `-` is stdin.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
}

pub(super) fn run(args: &Args, tone: &Tone) -> Result<Exit, Error> {
    if args.paths == [Path::new("-")] {
        return standard_input(args, tone);
    }
    let mut out = anstream::stdout().lock();
    let (mut changed, mut unreadable) = (0, 0);
    for (path, text) in suite::texts(&args.paths)? {
        match language::format(&path.display().to_string(), &text) {
            Err(messages) => {
                tone.mistakes(&messages);
                unreadable += 1;
            }
            Ok(laid_out) if laid_out != text => {
                if !args.check {
                    suite::replace(&path, &laid_out)
                        .map_err(|error| format!("{}: {error}", path.display()))?;
                }
                writeln!(out, "{}", path.display())?;
                changed += 1;
            }
            Ok(_) => {}
        }
    }
    match (args.check, changed) {
        (_, 0) => {}
        (true, 1) => tone.note("1 file is not laid out"),
        (true, _) => tone.note(format_args!("{changed} files are not laid out")),
        (false, 1) => tone.note("1 file was laid out"),
        (false, _) => tone.note(format_args!("{changed} files were laid out")),
    }
    Ok(match (unreadable, args.check && changed > 0) {
        (0, false) => Exit::Fine,
        (0, true) => Exit::Failed,
        _ => Exit::Unusable,
    })
}

fn standard_input(args: &Args, tone: &Tone) -> Result<Exit, Error> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| format!("stdin: {error}"))?;
    match language::format("stdin", &text) {
        Err(messages) => {
            tone.mistakes(&messages);
            Ok(Exit::Unusable)
        }
        Ok(laid_out) if args.check => Ok(if laid_out == text { Exit::Fine } else { Exit::Failed }),
        Ok(laid_out) => {
            std::io::stdout().write_all(laid_out.as_bytes())?;
            Ok(Exit::Fine)
        }
    }
}
