//! Programs that end with the process that started them, also when that is killed: this very program is started, asks
//! the kernel to end it with its parent, and becomes the other program.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// By this variable a process knows that it is to become another program; its value says which.
const ROLE: &str = "CONNTRUTH_BECOME";

/// A command that starts `program` so that it ends with this process; arguments and the rest may be added.
///
/// # Errors
/// When this program does not know where it is.
pub(super) fn command(program: &Path) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env(ROLE, program);
    Ok(command)
}

/// Becomes the program that this process was started for, if it was.
pub(super) fn serve_if_asked() -> Option<ExitCode> {
    let program = std::env::var_os(ROLE)?;
    let error = match nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL) {
        Err(error) => io::Error::from(error),
        // Where it succeeds there is nothing to return to.
        Ok(()) => Command::new(program).args(std::env::args_os().skip(1)).env_remove(ROLE).exec(),
    };
    let _ = writeln!(io::stderr(), "{error}");
    Some(ExitCode::FAILURE)
}
