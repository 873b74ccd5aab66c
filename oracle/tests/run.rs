//! `run`, `try` and `explain` of scenarios from the outside: exit codes, last lines, files.

use std::path::Path;
use std::process::Command;

mod program;
use program::{Folder, Ran, command, conntruth};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

const HOLDS: &str = "flow udp client:1 > server:2\n> (1)  = new 30s [UNREPLIED]\n";
const FAILS: &str = "flow udp client:1 > server:2\n> (1)  = new 31s [UNREPLIED]   # why\n";

#[test]
fn without_arguments_the_suite_runs() {
    let ran = conntruth(&[]);
    ran.ends(0).says("profile linux-6.18, seed 0").says("again: conntruth run --profile linux-6.18");
    let last = ran.out.lines().last().unwrap();
    let counts: Vec<&str> = last.split(", ").collect();
    assert!(counts[0].ends_with(" passed") && counts[1..] == ["0 failed", "0 skipped"], "{last}");
}

#[test]
fn each_ending_has_its_exit_code() {
    let folder = Folder::new("endings");
    let holds = folder.file("holds.ct", HOLDS);
    let fails = folder.file("fails.ct", FAILS);
    let later = "rules\n    filter forward ct label set web\nflow udp client:1 > server:2\n> (1)  = new\n";
    let later = folder.file("later.ct", later);
    let silent = folder.file("silent.ct", "flow udp client:1 > server:2\n> (1)\n");
    conntruth(&["run", text(&holds)]).ends(0).says("1 passed, 0 failed, 0 skipped\n");
    conntruth(&["run", text(&fails)]).ends(1).says("got 30s").says("0 passed, 1 failed, 0 skipped\n");
    conntruth(&["run", text(&silent)]).ends(1).says("it claims nothing");
    conntruth(&["run", text(&later)]).ends(3).says("0 passed, 0 failed, 0 skipped, 1 unsupported\n");
    conntruth(&["run", text(&folder.0)]).ends(1).says("1 passed, 2 failed, 0 skipped, 1 unsupported\n");
    conntruth(&["run", "--filter", "**/holds", text(&folder.0)])
        .ends(0)
        .says("1 passed, 0 failed, 0 skipped\n");
}

#[test]
fn what_selects_nothing_is_no_success() {
    let folder = Folder::new("nothing");
    conntruth(&["run", text(&folder.0)]).ends(2).complains("there are no scenarios");
    conntruth(&["run", "--filter", "no/such/*"]).ends(2).complains("none of ").complains("`no/such/*`");
    conntruth(&["run", "no-such-file.ct"]).ends(2).complains("no-such-file.ct");
    conntruth(&["run", "--filter", "a{b"]).ends(2).complains("a{b");
    conntruth(&["run", "--profile", "linux-9.99"]).ends(2).complains("there is no profile `linux-9.99`");
    conntruth(&["run", "--target", "linus"]).ends(2).complains("there is no target `linus`");
}

#[test]
fn mistakes_are_located_in_every_file() {
    let folder = Folder::new("mistakes");
    folder.file("one.ct", "flow udp client:1 > sever:2\n> (1)  = new\n");
    folder.file("two.ct", "flow udp client:1 > server:2\n> (1)  = now\n");
    let ran = conntruth(&["run", text(&folder.0)]);
    ran.ends(2)
        .complains("one.ct:1:21")
        .complains("did you mean `server`?")
        .complains("two.ct:2:")
        .complains("^^^");
    assert_eq!(ran.out, "");
}

#[test]
fn blessing_writes_the_file_and_nothing_else() {
    let folder = Folder::new("bless");
    let path = folder.file("scenarios/udp/fails.ct", FAILS);
    let ran = conntruth(&["run", "--bless", text(&path)]);
    ran.ends(0).says("1 passed, 0 failed, 0 skipped\n").complains("1 part blessed");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), FAILS.replace("31s", "30s"));
    conntruth(&["run", "--bless", text(&path)]).ends(0);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), FAILS.replace("31s", "30s"));
    conntruth(&["run", "--bless"]).ends(2).complains("name the files");
}

#[test]
fn a_machine_blesses_nothing() {
    let folder = Folder::new("ci");
    let path = folder.file("fails.ct", FAILS);
    let output = command(&["run", "--bless", text(&path)]).env("CI", "true").output().unwrap();
    Ran::from(output).ends(2).complains("CI is set");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), FAILS);
}

#[test]
fn formats_are_for_machines() {
    let folder = Folder::new("formats");
    let fails = folder.file("fails.ct", FAILS);
    let ran = conntruth(&["run", "--format", "jsonl", text(&fails)]);
    let objects: Vec<serde_json::Value> =
        ran.ends(1).out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects[0]["failures"][0]["line"], 2);
    assert_eq!(objects[0]["failures"][0]["got"], "30s");
    assert_eq!(objects[1]["run"]["failed"], 1);
    conntruth(&["run", "--format", "tap", text(&fails)]).ends(1).says("TAP version 14\n1..1\nnot ok 1 - ");
    conntruth(&["run", "--format", "junit", text(&fails)]).ends(1).says("<testsuites").says("failures=\"1\"");
    let quiet = conntruth(&["run", "--quiet", "--filter", "tcp/opening/*"]);
    assert_eq!(quiet.ends(0).out.lines().count(), 1);
}

#[test]
fn try_answers_and_saves() {
    let folder = Folder::new("try");
    let steps = ["try", "tcp client:1 > server:80", "> S", "< S.", "+1h", "> ."];
    let ran = conntruth(&steps);
    ran.ends(0).says("tcp-new-syn:").says("is forgotten").says("tcp-pick-up:").says("ESTABLISHED");
    let path = folder.0.join("saved.ct");
    let mut save = steps.to_vec();
    save.extend(["--save", text(&path)]);
    conntruth(&save).ends(0).complains("written");
    assert!(std::fs::read_to_string(&path).unwrap().contains("= established reply SYN_RECV 60s []"));
    conntruth(&["run", text(&path)]).ends(0).says("1 passed");
    conntruth(&save).ends(2).complains("is there already");
    conntruth(&["try", "udp client:1 > server:2", "> (1) = established"]).ends(1).says("got new");
    conntruth(&["try", "udp client:1 > server:2", "> what"]).ends(2).complains("command line:2:");
}

#[test]
fn any_bytes_are_a_scenario_that_passes() {
    let bytes = Folder::new("bytes");
    let (input, story) = (bytes.0.join("input"), bytes.0.join("story.ct"));
    std::fs::write(&input, *b"\xbb\x2c\0\x83\xfexntcp_timeout_last_a\0\0\0\0").unwrap();
    conntruth(&["import", "--bytes", text(&input), "--output", text(&story)]).ends(0);
    let written = std::fs::read_to_string(&story).unwrap();
    assert!(written.starts_with("# What the 29 bytes of input are.\n"), "{written}");
    assert!(written.contains("\n        = "), "{written}");
    conntruth(&["run", text(&story)]).ends(0).says("1 passed");
    conntruth(&["fmt", "--check", text(&story)]).ends(0);
    conntruth(&["import", "--bytes", "nowhere"]).ends(2).complains("nowhere: No such file");
    conntruth(&["import", "--bytes", text(&input), "--set", "checksum=0"])
        .ends(2)
        .complains("cannot be used");
}

#[test]
fn scenarios_are_explained() {
    conntruth(&["explain", "tcp/opening/handshake", "--packet", "1"])
        .ends(0)
        .says("tcp-new-syn")
        .says("source");
    conntruth(&["explain", "tcp/opening/handshake", "--packet", "9"])
        .ends(2)
        .complains("there is no packet 9");
    conntruth(&["explain", "no/such/thing.ct"]).ends(2).complains("no/such/thing.ct");
}

/// Parts have nothing in common, and together they are the whole.
#[test]
fn parts_are_the_whole() {
    let ids = |arguments: &[&str]| -> Vec<String> {
        let ran = conntruth(&[&["run", "--filter", "udp/**", "--format", "jsonl"], arguments].concat());
        ran.ends(0);
        let lines = ran.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let mut all: Vec<String> =
            lines.filter_map(|line| Some(line.get("id")?.as_str()?.to_owned())).collect();
        all.sort();
        all
    };
    let whole = ids(&[]);
    let mut parts: Vec<String> =
        ["1/3", "2/3", "3/3"].iter().flat_map(|part| ids(&["--shard", part])).collect();
    parts.sort();
    assert!(whole.len() > 20);
    assert_eq!(parts, whole);
    conntruth(&["run", "--filter", "udp/**", "--shard", "9/900"]).ends(0);
    conntruth(&["run", "--filter", "udp/**", "--shard", "900/900"]).ends(2).complains("none is in this part");
    conntruth(&["run", "--shard", "0/3"]).ends(2).complains("K of N");
}

/// What no time was left for is skipped and counted; where that is all, nothing is green.
#[test]
fn time_ends_a_run() {
    let ran = conntruth(&["run", "--filter", "udp/**", "--max-time", "0s"]);
    ran.ends(3).says("0 passed, 0 failed, ");
    assert!(!ran.out.contains(" 0 skipped"), "{}", ran.out);
    conntruth(&["run", "--filter", "udp/**", "--max-time", "10min"])
        .ends(0)
        .says(" 0 skipped")
        .says("--max-time 600s");
}

/// What the action of the repository runs: the summary where CI shows it, JUnit, and the run's exit code.
#[test]
fn ci_gets_a_summary_junit_and_the_exit_code() {
    let folder = Folder::new("ci-suite");
    let scenario = folder.file("s/wrong.ct", "flow udp client:1 > server:2\n\n> (4)\n= established\n");
    let (summary, output) = (folder.file("summary.md", "before\n"), folder.file("output", ""));
    let junit = folder.0.join("junit.xml");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/suite");
    let suite = |scenarios: &Path, filter: &str| {
        Command::new(&script)
            .env("CONNTRUTH", env!("CARGO_BIN_EXE_conntruth"))
            .env("TARGET", "reference")
            .env("SCENARIOS", scenarios)
            .env("ARGUMENTS", filter)
            .env("MAX_TIME", "1min")
            .env("JUNIT", &junit)
            .env("GITHUB_STEP_SUMMARY", &summary)
            .env("GITHUB_OUTPUT", &output)
            .output()
            .unwrap()
    };
    let ran = suite(&scenario, "");
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stderr));
    let text = std::fs::read_to_string(&summary).unwrap();
    assert!(text.starts_with("before\n") && text.contains("1 failed"), "{text}");
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "code=1\n");
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("failures=\"1\""), "{xml}");
    let ran = suite(Path::new(""), "--filter udp/*");
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// The steps of the action, as a runner would take them: with its inputs in the places that it names, `cargo install` is
/// asked for this program, and the suite runs with it.
#[test]
fn the_action_installs_the_program_and_runs_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let action = std::fs::read_to_string(root.join("action.yml")).unwrap();
    let folder = Folder::new("ci-action");
    let scenario = folder.file("s/udp.ct", "flow udp client:1 > server:2\n\n> (4)\n= new 30s [UNREPLIED]\n");
    // What stands for cargo puts the program where it is told to.
    let stand_in = format!(
        "#!/bin/sh\necho \"$@\" > '{asked}'\nwhile [ \"$1\" != --root ]; do shift; done\nmkdir -p \"$2/bin\"\ncp '{program}' \"$2/bin/conntruth\"\n",
        asked = folder.0.join("asked").display(),
        program = env!("CARGO_BIN_EXE_conntruth"),
    );
    folder.file("bin/cargo", &stand_in);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.0.join("bin/cargo"), mode).unwrap();
    let (summary, output) = (folder.file("summary.md", ""), folder.file("output", ""));
    let inputs = [("target", "reference"), ("scenarios", scenario.to_str().unwrap()), ("max-time", "1min")];
    let temp = folder.0.join("temp");
    let mut env: Vec<(String, String)> = Vec::new();
    let mut ran = 0;
    for line in action.lines().map(str::trim) {
        if let Some((name, value)) = line.split_once(": ${{ ")
            && name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')
        {
            let (expression, rest) = value.split_once(" }}").expect("an expression ends");
            let value = match expression.split_once('.').expect("a context and a name") {
                ("runner", "temp") => temp.to_str().unwrap(),
                ("inputs", input) => {
                    assert!(action.contains(&format!("\n  {input}:\n")), "no input `{input}`");
                    inputs.iter().find(|(known, _)| *known == input).map_or("", |(_, value)| *value)
                }
                other => panic!("{other:?} is not known"),
            };
            env.push((name.to_owned(), format!("{value}{rest}")));
        } else if let Some(step) = line.strip_prefix("run: ") {
            let path = format!("{}:{}", folder.0.join("bin").display(), std::env::var("PATH").unwrap());
            let mut command = Command::new("bash");
            command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step]).env("PATH", path);
            command.envs(env.drain(..)).env("GITHUB_ACTION_PATH", &root).env("RUNNER_TEMP", &temp);
            command.env("GITHUB_STEP_SUMMARY", &summary).env("GITHUB_OUTPUT", &output);
            let ended = command.output().unwrap();
            assert!(ended.status.success(), "{step}\n{}", String::from_utf8_lossy(&ended.stderr));
            ran += 1;
        }
    }
    assert_eq!(ran, 2);
    let asked = std::fs::read_to_string(folder.0.join("asked")).unwrap();
    assert!(
        asked.starts_with("install ") && asked.contains("--locked") && asked.contains("/oracle"),
        "{asked}"
    );
    assert!(std::fs::read_to_string(&summary).unwrap().contains("1 of 1 worlds passed"));
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "code=0\n");
}
