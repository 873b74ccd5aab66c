//! Kernels under virtual time as targets, from the outside: every one that is built here.
//!
//! Where none is built each test says so, and is content; `CONNTRUTH_REQUIRE=linux:6.12` makes the want of that one a
//! failure. None is built for the sake of a test: that takes minutes.
#![cfg(target_os = "linux")]
// What is skipped is said; and it is processes of the real world that must be gone in time.
#![allow(clippy::print_stderr, clippy::disallowed_methods)]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

mod program;
use program::{command, files, marked};

/// The kernels that are built, as targets are named.
fn kernels() -> Vec<String> {
    let built: Vec<String> =
        conntruth::kernels::all().into_iter().map(|kernel| format!("linux:{}", kernel.name)).collect();
    let required = std::env::var("CONNTRUTH_REQUIRE").unwrap_or_default();
    for name in required.split(',').filter(|name| name.starts_with("linux:")) {
        assert!(built.iter().any(|built| built == name), "{name} is required, and not built: {built:?}");
    }
    if built.is_empty() {
        eprintln!("skipped: no kernel is built; `conntruth kernel build 6.12` makes one");
    }
    built
}

#[track_caller]
fn said(output: &Output, code: i32) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[test]
fn five_days_pass_to_the_tick() {
    for kernel in kernels() {
        let steps = ["tcp client:1 > server:2", "opened", "expires 5d", "> . = new ESTABLISHED 300s"];
        let output = command(&[&["try"], &steps[..], &["--target", &kernel]].concat()).output().unwrap();
        said(&output, 0);
    }
}

#[test]
fn many_worlds_in_one_boot() {
    for kernel in kernels() {
        let output =
            command(&["run", "--filter", "tcp/timeouts/*", "--filter", "icmp/**", "--target", &kernel]);
        let output = { output }.output().unwrap();
        let text = said(&output, i32::from(!output.status.success()));
        let last = text.lines().find(|line| line.contains(" passed, ")).unwrap_or_default();
        let passed: usize = last.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0);
        assert!(passed > 60, "{text}");
    }
}

#[test]
fn a_kernel_agrees_with_itself() {
    for kernel in kernels().iter().take(1) {
        let what = ["--protocol", "tcp", "--seed", "3", "--cases", "500"];
        let arguments = [&["diff", "--reference", kernel, "--target", kernel], &what[..]].concat();
        let output = command(&arguments).output().unwrap();
        assert!(said(&output, 0).contains("500 cases equal, 0 different"));
    }
}

#[test]
fn what_is_not_built_is_missing_and_says_how_to_get_it() {
    let output = command(&["run", "--target", "linux:0.99"]).output().unwrap();
    assert!(said(&output, 3).contains("conntruth kernel build 0.99"));
    let output = command(&["run", "--target", "linux:/bin/true"]).output().unwrap();
    assert!(said(&output, 3).contains("no User-Mode Linux"));
    let output = command(&["kernel", "build", "none"]).output().unwrap();
    assert!(said(&output, 2).contains("is no version such as 6.12"));
}

/// When a program is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So many milliseconds after its start.
    Start(u64),
    /// So many microseconds after the kernel's: while that tries what its host can do, it has children under a tracer.
    Kernel(u64),
    /// The same, and the keeper that would clean up is killed with it.
    Keeper(u64),
}

/// What has not ended by then never does, however much else the machine has to do.
const PATIENCE: Duration = Duration::from_secs(600);

/// So long after the kernel's start, in microseconds.
const LATE: [u64; 13] = [0, 100, 200, 400, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 9_000, 20_000, 50_000];

#[test]
fn killed_early_it_leaves_nothing_behind() {
    killed_at([0, 1, 2, 3, 5, 8, 13, 100, 600].map(Moment::Start));
}

#[test]
fn killed_while_its_kernel_starts_it_leaves_nothing_behind() {
    killed_at(LATE.map(Moment::Kernel));
}

#[test]
fn killed_with_its_keeper_it_leaves_nothing_running() {
    killed_at(LATE.map(Moment::Keeper));
}

/// The sleeps in this are the moments at which the program is killed, not waits for it.
#[track_caller]
fn killed_at<const N: usize>(moments: [Moment; N]) {
    for kernel in kernels().iter().take(1) {
        for moment in moments {
            let name = format!("{moment:?}").replace(['(', ')'], "-");
            killed(kernel, moment, &format!("guest-killed-{}-{name}end", std::process::id()));
        }
    }
}

#[track_caller]
fn killed(kernel: &str, moment: Moment, mark: &str) {
    let folder = std::env::temp_dir().join(mark);
    std::fs::create_dir_all(&folder).unwrap();
    let mut running = command(&["run", "--filter", "tcp/table/*", "--target", kernel])
        .env("CONNTRUTH_TEST_MARK", mark)
        .env("TMPDIR", &folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let patience = Instant::now() + PATIENCE;
    match moment {
        Moment::Start(milliseconds) => std::thread::sleep(Duration::from_millis(milliseconds)),
        Moment::Kernel(microseconds) | Moment::Keeper(microseconds) => {
            // On a busy machine it may be over before anybody has looked.
            while !boots(running.id()) && running.try_wait().unwrap().is_none() {
                assert!(Instant::now() < patience, "{kernel} does not boot");
                // As long as it has not even a keeper there is no hurry.
                if children(running.id()).is_empty() {
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
            std::thread::sleep(Duration::from_micros(microseconds));
        }
    }
    let keepers = match moment {
        Moment::Keeper(_) => children(running.id()),
        Moment::Start(_) | Moment::Kernel(_) => Vec::new(),
    };
    // Some may have ended meanwhile, by themselves.
    let both: Vec<String> = keepers.iter().copied().chain([running.id()]).map(|id| id.to_string()).collect();
    let _ = Command::new("kill").arg("-KILL").args(both).stderr(Stdio::null()).status().unwrap();
    running.wait().unwrap();
    loop {
        let left = (marked(mark), files(&folder));
        match &left {
            (processes, files) if processes.is_empty() && files.is_empty() => break,
            // Nobody is left to remove them.
            (processes, files) if processes.is_empty() && !keepers.is_empty() => {
                files.iter().for_each(|path| drop(std::fs::remove_dir_all(path)));
            }
            _ => {}
        }
        assert!(Instant::now() < patience, "left behind at {moment:?}: {left:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::fs::remove_dir(&folder).unwrap();
}

/// Whether a process or one below it has been told to boot.
fn boots(process: u32) -> bool {
    let tasks = PathBuf::from(format!("/proc/{process}"));
    let told = std::fs::read(tasks.join("cmdline")).unwrap_or_default();
    let is_kernel = told.starts_with(b"/")
        && told.windows(12).any(|window| window == b"time-travel=")
        && !std::fs::read_link(tasks.join("exe")).is_ok_and(|exe| exe.ends_with("conntruth"));
    is_kernel || children(process).into_iter().any(boots)
}

fn children(process: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    children.unwrap_or_default().split_whitespace().filter_map(|child| child.parse().ok()).collect()
}
