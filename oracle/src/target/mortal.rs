//! Programs that end with the process that started them, also when that is killed: this very program is started, asks
//! the kernel to end it with its parent, and becomes the other program.
//!
//! One that has children of its own, which may be stopped under a tracer when it is killed, is put into a namespace of
//! process numbers: what is left in there the kernel ends, once its first process has.
//!
//! ```text
//! whoever asks ─> warden ──────────> first process of a namespace ─> the program ─> its children
//!                 ends with the      ends with the warden, and
//!                 one that asks      everything in there with it
//! ```

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;

/// By this variable a process knows that it is to become another program; its value says which.
const PROGRAM: &str = "CONNTRUTH_BECOME";
/// And by this one how.
const STAGE: &str = "CONNTRUTH_BECOME_STAGE";
/// Who started it.
const PARENT: &str = "CONNTRUTH_BECOME_OF";

/// How a process becomes a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// At once.
    Plain,
    /// In a namespace that it makes.
    Warden,
    /// As the first process of that namespace.
    First,
}

impl Stage {
    const ALL: [(Stage, &str); 3] =
        [(Stage::Plain, "plain"), (Stage::Warden, "warden"), (Stage::First, "first")];

    fn word(self) -> &'static str {
        Stage::ALL.iter().find(|(stage, _)| *stage == self).map_or("", |(_, word)| word)
    }
}

/// A command that starts `program` so that it ends with this process; arguments and the rest may be added.
///
/// # Errors
/// When this program does not know where it is.
pub(super) fn command(program: &Path) -> io::Result<Command> {
    staged(program, Stage::Plain)
}

/// The same for a program with children, which end with it where the system lets us have a namespace. Its standard input
/// is not its own.
///
/// # Errors
/// As [`command`].
pub(super) fn with_children(program: &Path) -> io::Result<Command> {
    staged(program, Stage::Warden)
}

fn staged(program: &Path, stage: Stage) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env(PROGRAM, program).env(STAGE, stage.word()).env(PARENT, std::process::id().to_string());
    Ok(command)
}

/// Becomes the program that this process was started for, if it was.
pub(super) fn serve_if_asked() -> Option<ExitCode> {
    let program = PathBuf::from(std::env::var_os(PROGRAM)?);
    let wanted = std::env::var(STAGE).unwrap_or_default();
    let stage = Stage::ALL.iter().find(|(_, word)| *word == wanted).map(|(stage, _)| *stage);
    let ended = stage.ok_or_else(|| io::Error::other("there is no such stage")).and_then(|stage| {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // It may have gone before it was asked for.
        match stage {
            Stage::First => UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?).write_all(b"!")?,
            Stage::Plain | Stage::Warden => is_there()?,
        }
        match stage {
            Stage::Warden if make_namespace() => warden(&program),
            // Where there is no namespace to be had, its children are those of its group.
            Stage::Plain | Stage::Warden => Err(itself(&program).exec()),
            Stage::First => itself(&program).stdin(Stdio::null()).status(),
        }
    });
    Some(match ended {
        Ok(status) => code(status),
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}: {error}", program.display());
            ExitCode::FAILURE
        }
    })
}

/// Whether who started this process still runs.
fn is_there() -> io::Result<()> {
    let parent = nix::unistd::getppid().to_string();
    let is_there = std::env::var(PARENT).is_ok_and(|started| started == parent);
    if is_there { Ok(()) } else { Err(io::Error::other("nobody is there any more who wants it")) }
}

/// A namespace for the processes that this one starts: an ordinary user needs one of users around it.
fn make_namespace() -> bool {
    unshare(CloneFlags::CLONE_NEWPID).is_ok()
        || unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID).is_ok()
}

/// Starts the first process of a namespace, and stays until it has ended.
fn warden(program: &Path) -> io::Result<ExitStatus> {
    // Whoever gets other rights may have lost the signal with them.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    is_there()?;
    let (ours, theirs) = UnixStream::pair()?;
    let mut first = staged(program, Stage::First)?
        .args(std::env::args_os().skip(1))
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    let status = first.wait();
    drop(ours);
    status
}

/// The program, as whoever asked for it wants it.
fn itself(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).env_remove(PROGRAM).env_remove(STAGE).env_remove(PARENT);
    command
}

fn code(status: ExitStatus) -> ExitCode {
    let number = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(number).unwrap_or(1))
}
