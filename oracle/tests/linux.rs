//! The running kernel as a target, from the outside: what a run says, and that nothing outlives it.
//!
//! Where the machine cannot have it, each test says so and why, and is content; with `CONNTRUTH_REQUIRE=linux` it fails.
#![cfg(target_os = "linux")]

use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

mod program;
use program::{command, marked, run_if_there};

/// Runs it against the running kernel; none where that cannot be a target.
#[track_caller]
fn run(arguments: &[&str]) -> Option<Output> {
    run_if_there("linux", arguments)
}

#[test]
fn both_answers_side_by_side() {
    let Some(output) =
        run(&["try", "tcp client:1 > server:80", "opened", "+5d-1tick > R", "--target", "linux"])
    else {
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("linux") && text.contains("reference") && !text.contains('≠'), "{text}");
    assert_eq!(text.matches("established CLOSE 10s [ASSURED]").count(), 2, "{text}");
}

#[test]
fn what_a_kernel_contradicts_fails() {
    let arguments = ["try", "udp client:1 > server:2", "> (40) = new 31s", "--target", "linux"];
    let Some(output) = run(&arguments) else { return };
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("expected 31s, got 30s"), "{text}");
}

#[test]
fn what_a_namespace_cannot_have_is_unsupported_and_nothing_passed() {
    let folder = std::env::temp_dir().join(format!("conntruth-linux-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("max.ct");
    std::fs::write(&file, "set max 5\nflow udp client:1 > server:2\n> (40) = new\n").unwrap();
    let output = command(&["run", &file.display().to_string(), "--target", "linux"]).output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    // Also where there is no such target at all: nothing was run, so nothing is well.
    assert!(matches!(output.status.code(), Some(3 | 1)), "{said}");
    assert!(said.contains("unsupported") || said.contains("cannot be used here"), "{said}");
}

#[test]
fn an_unknown_target_is_a_mistake() {
    let output = command(&["run", "--target", "linus"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("there is no target `linus`") && text.contains("`linux`"), "{text}");
}

fn killed_after(mark: &str, delay: Duration) -> Option<()> {
    let mut running: Child = command(&["diff", "--target", "linux", "--duration", "60s"])
        .env("CONNTRUTH_TEST_MARK", mark)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(delay);
    let ended = running.try_wait().unwrap();
    running.kill().unwrap();
    running.wait().unwrap();
    // It ended by itself: there is no such target here.
    if ended.is_some() { None } else { Some(()) }
}

/// The sleeps here are the moments at which the program is killed, not waits for it.
#[test]
#[allow(clippy::disallowed_methods)]
fn killed_at_any_moment_it_leaves_nothing_behind() {
    if run(&["try", "udp client:1 > server:2", ">", "--target", "linux"]).is_none() {
        return;
    }
    for (number, delay) in [3, 15, 40, 90, 300].into_iter().enumerate() {
        let mark = format!("killed-{}-{number}", std::process::id());
        killed_after(&mark, Duration::from_millis(delay)).expect("it still runs then");
        // The kernel ends the child when its parent is gone; that takes a moment.
        let patience = Instant::now() + Duration::from_secs(600);
        while !marked(&mark).is_empty() {
            assert!(Instant::now() < patience, "left behind {delay} ms after the start: {:?}", marked(&mark));
            std::thread::yield_now();
        }
    }
}

/// Every statement of the subset is loaded into the running kernel, and packets fare there as in the reference.
#[test]
fn the_kernel_takes_every_statement() {
    let folder = std::env::temp_dir().join(format!("conntruth-rules-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (index, rule) in conntruth_engine::RuleSet::EVERY.iter().enumerate() {
        let text = format!(
            "rules\n    {rule}\nflow web tcp client:40000 > server:80\nflow dns udp client:5000 > server:53\n\
             flow own udp client:5000 > box:53\nflow out udp box:5001 > server:5\n\n\
             web > S\nweb < S.\nweb > .\ndns > (40)\ndns < (40)\nown > (40)\nout > (40)\n"
        );
        std::fs::write(folder.join(format!("rule-{index}.ct")), text).unwrap();
    }
    let path = folder.display().to_string();
    let blessed = command(&["run", &path, "--bless"]).output().unwrap();
    assert!(blessed.status.success(), "{}", String::from_utf8_lossy(&blessed.stderr));
    let output = run(&["run", &path, "--target", "linux"]);
    std::fs::remove_dir_all(&folder).unwrap();
    let Some(output) = output else { return };
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let count = conntruth_engine::RuleSet::EVERY.len();
    assert!(text.contains(&format!("{count} passed, 0 failed, 0 skipped")), "{text}");
}
