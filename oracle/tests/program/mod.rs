//! What tests of the program from the outside have in common: how it is started, how what it said is read, a folder that
//! goes away, and what of it still runs.
#![allow(dead_code)] // Each test uses its part.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub const CONNTRUTH: &str = env!("CARGO_BIN_EXE_conntruth");

/// The program, about to be started.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(CONNTRUTH);
    command.args(arguments).env_remove("CI").env("NO_COLOR", "1");
    command
}

/// How it ended, and what it said.
pub fn conntruth(arguments: &[&str]) -> Ran {
    Ran::from(command(arguments).output().unwrap())
}

pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    #[track_caller]
    pub fn ends(&self, code: i32) -> &Ran {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(&self, text: &str) -> &Ran {
        assert!(self.out.contains(text), "no `{text}` in\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn complains(&self, text: &str) -> &Ran {
        assert!(self.err.contains(text), "no `{text}` in\n{}", self.err);
        self
    }
}

/// Runs it against a target; none where the machine cannot have that, which was then said. `CONNTRUTH_REQUIRE` makes it a
/// failure.
#[track_caller]
#[allow(clippy::print_stderr)]
pub fn run_if_there(target: &str, arguments: &[&str]) -> Option<Output> {
    let output = command(arguments).output().unwrap();
    if output.status.code() != Some(3) {
        return Some(output);
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let required = std::env::var("CONNTRUTH_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|name| name == target), "{why}");
    eprintln!("skipped: {why}");
    None
}

/// A folder of a test's own that goes away.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("conntruth-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Processes that carry this mark in their environment.
pub fn marked(mark: &str) -> Vec<String> {
    let Ok(all) = std::fs::read_dir("/proc") else { return Vec::new() };
    let is_marked = |path: &Path| {
        std::fs::read(path.join("environ"))
            .is_ok_and(|text| text.windows(mark.len()).any(|window| window == mark.as_bytes()))
    };
    let paths = all.flatten().map(|entry| entry.path());
    paths.filter(|path| is_marked(path)).map(|path| path.display().to_string()).collect()
}

/// What is in a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).map(|all| all.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}
