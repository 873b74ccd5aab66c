//! The program `conntruth`. All it does is in the library; here are only the arguments and the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = conntruth::target::serve_if_asked() {
        return code;
    }
    conntruth::cli::main(std::env::args_os())
}
