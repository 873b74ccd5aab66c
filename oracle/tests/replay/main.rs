//! `conntruth replay` and `explain` from the outside: captures of real traffic against what they printed when they
//! were last reviewed, and small captures built here against what the contract says of each.

mod build;
mod contract;
mod golden;
mod properties;
mod state;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run of the program gave.
struct Run {
    code: i32,
    out: String,
    err: String,
}

/// Runs the program, with a capture on its standard input.
#[track_caller]
fn run_on(capture: &[u8], arguments: &[&str]) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_conntruth"))
        .args(arguments)
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A program that refuses its arguments does not read.
    let _ = std::io::Write::write_all(&mut stdin, capture);
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    Run {
        code: output.status.code().expect("no signal"),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// The lines that `replay --format jsonl` prints.
#[track_caller]
fn replay(capture: &[u8], arguments: &[&str]) -> Vec<serde_json::Value> {
    let run = run_on(capture, &[&["replay", "-", "--format", "jsonl"], arguments].concat());
    assert_eq!(run.code, 0, "{}", run.err);
    run.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/captures").join(name)
}
