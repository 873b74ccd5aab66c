//! Open vSwitch as a target, from the outside: what it agrees and disagrees with, and that nothing outlives it.
//!
//! Where it is not installed each test says so and why, and is content; with `CONNTRUTH_REQUIRE=ovs` it fails.
#![cfg(target_os = "linux")]
// What is skipped is said; and it is processes of the real world that must be gone in time.
#![allow(clippy::print_stderr, clippy::disallowed_methods)]

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

mod program;
use program::{command, files, marked, run_if_there};

/// Runs it against Open vSwitch; none where there is none.
#[track_caller]
fn run(arguments: &[&str]) -> Option<Output> {
    run_if_there("ovs", &[arguments, &["--target", "ovs"]].concat())
}

#[track_caller]
fn asks(steps: &[&str], code: i32) -> Option<String> {
    let output = run(&[&["try"], steps].concat())?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert_eq!(output.status.code(), Some(code), "{said}");
    Some(said)
}

#[test]
fn five_days_pass_exactly() {
    asks(&["tcp client:40000 > server:80", "opened", "expires 5d", "no entry"], 0);
}

#[test]
fn a_connection_opens_and_closes_in_linux_words() {
    let steps = [
        "tcp client:40000 > server:80",
        "> S = new SYN_SENT 120s",
        "< S. = established reply SYN_RECV 60s",
        "> . = established ESTABLISHED 5d",
        "> F. = established FIN_WAIT 120s",
        "< . = established reply CLOSE_WAIT",
        "< F. = established reply LAST_ACK",
        "> . = established TIME_WAIT",
    ];
    asks(&steps, 0);
}

#[test]
fn what_a_rule_drops_is_not_committed() {
    asks(&["udp client:1 > server:2", "> (40) lost = new", "table (empty)", "> (40) = new 30s"], 0);
}

#[test]
fn zones_and_untracked_packets() {
    asks(
        &[
            "udp client:1 > server:2",
            "> (40) notrack = untracked",
            "no entry",
            "> (40) zone 7 = new 30s zone 7",
        ],
        0,
    );
}

/// Linux finds it INVALID.
#[test]
fn a_difference_fails() {
    let far = "> . seq next+1000000000 = invalid";
    let said = asks(&["tcp client:40000 > server:80", "opened", far], 1);
    if let Some(said) = said {
        assert!(said.contains("expected invalid, got established"), "{said}");
    }
}

/// Its exit code is that of a missing target too, so `run` is not asked: which of the two it was, the words say.
#[test]
fn what_a_switch_has_not_is_unsupported() {
    if run(&["try", "udp client:1 > server:2", ">"]).is_none() {
        return;
    }
    let output =
        command(&["try", "sctp client:1 > server:2", "> INIT = new", "--target", "ovs"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("ovs has no tracker for sctp"), "{said}");
}

/// The sleeps here are the moments at which the program is killed, not waits for it.
#[test]
fn killed_at_any_moment_it_leaves_nothing_behind() {
    if run(&["try", "udp client:1 > server:2", ">"]).is_none() {
        return;
    }
    for (number, delay) in [1, 20, 60, 200].into_iter().enumerate() {
        let mark = format!("ovs-killed-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(&mark);
        std::fs::create_dir_all(&folder).unwrap();
        let mut running = command(&["diff", "--target", "ovs", "--duration", "60s"])
            .env("CONNTRUTH_TEST_MARK", &mark)
            .env("TMPDIR", &folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        running.kill().unwrap();
        running.wait().unwrap();
        let patience = Instant::now() + Duration::from_secs(600);
        while !marked(&mark).is_empty() || !files(&folder).is_empty() {
            let left = (marked(&mark), files(&folder));
            assert!(Instant::now() < patience, "left behind {delay} ms after the start: {left:?}");
            std::thread::yield_now();
        }
        std::fs::remove_dir(&folder).unwrap();
    }
}
