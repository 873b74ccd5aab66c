//! `check` and `fmt` as scripts meet them: what they print, how they end, what they leave on disk.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const LAID_OUT: &str = "flow tcp client:1 > server:2\n\n+0      > S  = new\n";
const NOT_LAID_OUT: &str = "flow tcp client:1 >   server:2\n\n+0  > S = new\n";
const WRONG: &str = "flow tcp client:1 > server:2\n\n+0  > S = nwe\n";

/// A folder with one file in it.
fn folder(name: &str, text: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("case.ct"), text).unwrap();
    folder
}

fn conntruth(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_conntruth"))
        .args(arguments)
        .arg(".")
        .current_dir(folder)
        .output()
        .unwrap()
}

#[track_caller]
fn check(arguments: &[&str], folder: &Path, code: i32, stdout: &str, on_stderr: &str) {
    let output = conntruth(arguments, folder);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), stdout);
    assert!(stderr.contains(on_stderr), "{stderr}");
}

#[test]
fn fmt_says_and_does_what_is_to_do() {
    let folder = folder("fmt", NOT_LAID_OUT);
    check(&["fmt", "--check"], &folder, 1, "./case.ct\n", "1 file is not laid out");
    assert_eq!(std::fs::read_to_string(folder.join("case.ct")).unwrap(), NOT_LAID_OUT);
    check(&["fmt"], &folder, 0, "./case.ct\n", "1 file was laid out");
    assert_eq!(std::fs::read_to_string(folder.join("case.ct")).unwrap(), LAID_OUT);
    check(&["fmt", "--check"], &folder, 0, "", "");
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["case.ct"]);
}

#[test]
fn what_cannot_be_read_is_not_touched() {
    let folder = folder("wrong", WRONG);
    check(&["fmt"], &folder, 2, "", "did you mean `new`?");
    check(&["check"], &folder, 2, "", "1 mistake in 1 file");
    assert_eq!(std::fs::read_to_string(folder.join("case.ct")).unwrap(), WRONG);
}

#[test]
fn check_counts_what_could_be_run() {
    let folder = folder("check", &format!("family 4 6\n{LAID_OUT}"));
    check(&["check"], &folder, 0, "1 file, 2 worlds to run, no mistake\n", "");
}

#[test]
fn a_folder_without_scenarios_is_wrong_usage() {
    let folder = folder("empty", "");
    std::fs::remove_file(folder.join("case.ct")).unwrap();
    check(&["check"], &folder, 2, "", "no file in it ends with .ct");
    check(&["fmt"], &folder, 2, "", "no file in it ends with .ct");
}
