//! The adapter protocol from the outside: programs that behave, and programs that do not.

use std::path::{Path, PathBuf};
use std::process::Command;

mod program;
use program::{CONNTRUTH, Folder, conntruth};

fn adapters() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters")
}

/// Whether a program is there; said in words where it is not.
#[allow(clippy::print_stderr)]
fn is_there(program: &str, version: &str) -> bool {
    let is = Command::new(program).arg(version).output().is_ok_and(|output| output.status.success());
    if !is {
        eprintln!("skipped: there is no {program} on this machine");
    }
    is
}

const HELLO: &str =
    r#"{"type":"hello","protocol":1,"name":"mock","shows":["class"],"time":"virtual","takes":"steps"}"#;

/// A shell script as an adapter: it says hello, and then does what `then` says.
fn mock(hello: &str, then: &str) -> String {
    format!("exec:sh -c 'read -r line; echo {}; {then}'", hello.replace('"', "\\\""))
}

/// Runs two scenarios against a misbehaving adapter.
#[track_caller]
fn misbehaves(name: &str, then: &str, more: &[&str], says: &[&str]) {
    let folder = Folder::new(name);
    let claim = "# It opens.\nflow udp client:1 > server:2\n> (1)  = new\n";
    folder.file("a.ct", claim);
    folder.file("b.ct", claim);
    let target = mock(HELLO, then);
    let mut arguments = vec!["run", folder.0.to_str().unwrap(), "--target", &target];
    arguments.extend(more);
    let ran = conntruth(&arguments);
    ran.ends(1).says("0 passed, 2 failed, 0 skipped\n").complains("the adapter is probably wrong");
    for text in says {
        ran.says(text);
    }
}

/// What a right answer to `begin` is, in the shell.
const BEGUN: &str = r#"read -r line; echo "{\"type\":\"done\"}""#;

#[test]
fn crashing_is_a_result_with_its_stderr() {
    misbehaves(
        "crash",
        &format!("{BEGUN}; echo the table is corrupt >&2; exit 7"),
        &[],
        &["the adapter ended with exit code 7", "| the table is corrupt"],
    );
    misbehaves(
        "signal",
        &format!("{BEGUN}; kill -SEGV $$; sleep 9"),
        &[],
        &["the adapter crashed: signal 11"],
    );
}

#[test]
fn hanging_is_ended() {
    misbehaves(
        "hang",
        &format!("{BEGUN}; sleep 60"),
        &["--answer-time", "200ms"],
        &["the adapter gave no answer for 0.2 s and was ended"],
    );
}

#[test]
fn flooding_is_ended() {
    let most = ["--answer-bytes", "100000"];
    misbehaves(
        "flood",
        &format!("{BEGUN}; exec cat /dev/zero"),
        &most,
        &["the adapter said more than 100000 bytes"],
    );
    misbehaves("lines", &format!("{BEGUN}; exec yes"), &most, &["the adapter was ended: it"]);
}

#[test]
fn nonsense_is_shown() {
    let answers = [
        ("chat", "echo got a packet", "`got a packet` (whatever is not an answer belongs on stderr)"),
        (
            "kind",
            r#"echo "{\"type\":\"table\",\"entries\":[]}""#,
            "it answered `table` where `packet` was to come",
        ),
        (
            "class",
            r#"echo "{\"type\":\"packet\",\"class\":\"new\"}""#,
            "unknown variant `new`, expected one of `NEW`",
        ),
        ("missing", r#"echo "{\"type\":\"packet\"}""#, "it shows classes, and `class` is missing"),
        ("escape", r#"printf "\033[2Jboo\n""#, "\\u{1b}[2Jboo"),
    ];
    for (name, then, says) in answers {
        misbehaves(name, &format!("{BEGUN}; read -r line; {then}; sleep 1"), &[], &[says]);
    }
}

#[test]
fn speaking_without_being_asked_is_a_failure() {
    misbehaves(
        "unasked",
        r#"echo "{\"type\":\"done\"}"; sleep 5"#,
        &["--answer-time", "2s"],
        &["the adapter"],
    );
}

#[test]
fn an_error_is_told_with_its_context() {
    misbehaves(
        "error",
        &format!(
            r#"{BEGUN}; read -r line; echo "{{\"type\":\"error\",\"reason\":\"no room\",\"context\":\"slab.c:7\"}}"; read -r line; {BEGUN}; read -r line; {BEGUN}"#
        ),
        &[],
        &["the adapter says: no room", "| slab.c:7"],
    );
}

#[test]
fn what_is_unsupported_is_no_failure() {
    let folder = Folder::new("unsupported");
    let file = folder.file("a.ct", "flow udp client:1 > server:2\n> (1)  = new\n");
    let then = format!(
        r#"{BEGUN}; read -r line; echo "{{\"type\":\"unsupported\",\"reason\":\"no UDP\",\"issue\":\"https://example.org/7\"}}"; {BEGUN}"#
    );
    conntruth(&["run", file.to_str().unwrap(), "--target", &mock(HELLO, &then), "--validate"])
        .ends(3)
        .says("no UDP (https://example.org/7)")
        .says("0 passed, 0 failed, 0 skipped, 1 unsupported\n");
}

#[test]
fn validation_points_at_the_field() {
    let folder = Folder::new("validate");
    let file = folder.file("a.ct", "flow udp client:1 > server:2\n> (1)  = new\n");
    let answer = r#"{\"type\":\"packet\",\"class\":\"NEW\",\"entry\":{\"protocol\":17,\"original\":{\"src\":\"10.0.0.1\",\"dst\":\"10.0.1.1\",\"sport\":70000,\"dport\":2}}}"#;
    let target = mock(HELLO, &format!("{BEGUN}; read -r line; echo \"{answer}\"; sleep 1"));
    conntruth(&["run", file.to_str().unwrap(), "--target", &target, "--validate"])
        .ends(1)
        .says("at /entry/original/sport: 70000");
    let target = mock(&HELLO.replace("shows", "show"), "sleep 1");
    conntruth(&["run", file.to_str().unwrap(), "--target", &target, "--validate"])
        .ends(3)
        .complains("`hello`: at its top: ")
        .complains("\"shows\" is a required property");
}

#[test]
fn an_adapter_that_cannot_begin_is_no_target() {
    let refused = [
        ("exec:no-such-program-anywhere", "`no-such-program-anywhere` cannot be started"),
        ("exec:", "there is no command after `exec:`"),
        ("exec:sh -c 'exit", "a quote does not end"),
        ("exec:sh -c 'echo no such library >&2; exit 127'", "| no such library"),
    ];
    for (target, complaint) in refused {
        conntruth(&["run", "--target", target]).ends(3).complains(complaint);
    }
    let target = mock(&HELLO.replace(":1,", ":2,"), "sleep 1");
    conntruth(&["run", "--target", &target]).ends(3).complains("speaks version 2 of the protocol, not 1");
    let target = mock(&HELLO.replace("\"takes\"", "\"profile\":\"linux-2.0\",\"takes\""), "sleep 1");
    conntruth(&["run", "--target", &target]).ends(3).complains("`linux-2.0`, which is no profile");
}

#[test]
fn the_reference_through_the_protocol_passes_the_suite() {
    for takes in ["steps", "worlds"] {
        let target = format!("exec:'{CONNTRUTH}' serve --takes {takes}");
        conntruth(&["run", "--target", &target, "--validate"]).ends(0).says(" passed, 0 failed, 0 skipped");
    }
}

/// Without rules of its own it is told what the scenario's rules do to each packet, and leaves the same behind.
#[test]
fn the_reference_without_rules_passes_those_about_rules() {
    let run = |takes: &str, paths: &[&str]| {
        let target = format!("exec:'{CONNTRUTH}' serve --takes {takes} --no-rules");
        let mut arguments = vec!["run", "--target", &target, "--validate"];
        arguments.extend(paths);
        conntruth(&arguments)
    };
    for takes in ["steps", "worlds"] {
        let ran = run(takes, &["--filter", "{rules,hooks,ftp,irc,tftp,nat}/*"]);
        ran.ends(0).says(" passed, 0 failed, 0 skipped").says("not shown by reference");
        let passed: usize = ran.out.lines().last().unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!(passed > 90, "only {passed} of those about rules passed\n{}", ran.out);
    }
    let folder = Folder::new("told");
    // What only the rules decide is not held against the adapter; what the tracker then does is.
    let drop = "rules\n    filter forward udp dport 2 drop\nflow udp client:1 > server:2\n> (1)\n";
    let about_rules = folder.file("rules.ct", &format!("{drop}        = dropped\n"));
    let about_entry = folder.file("entry.ct", &format!("{drop}        = dropped no entry\n"));
    let wrong = folder.file("wrong.ct", &format!("{drop}        = new\ncount 1\n"));
    for takes in ["steps", "worlds"] {
        let of = |file: &Path| run(takes, &[file.to_str().unwrap()]);
        of(&about_rules)
            .ends(3)
            .says("the target does not show what rules decide, and all claims are about that");
        of(&about_entry).ends(0).says("1 passed");
        of(&wrong).ends(1).says("got 0 entries");
    }
}

/// A clock that runs by itself is waited for, one that can be put forward is put forward, one that stands still says so.
#[test]
fn clocks_that_run_by_themselves() {
    let folder = Folder::new("clocks");
    let text = "set udp_timeout 2\nflow udp client:1 > server:2\n\
                +0  > (1)  = new 2s\n+1s  < (1)  = established reply 2s\n+1s  entry 1s\nexpires 1s\n";
    let short = folder.file("short.ct", text);
    let long = folder
        .file("long.ct", "flow tcp client:1 > server:2\nopened\n+1h > .  = established 5d\nexpires 5d\n");
    let run = |time: &str, file: &Path, more: &[&str]| {
        let target = format!("exec:'{CONNTRUTH}' serve --time {time} --takes worlds");
        let arguments = ["run", file.to_str().unwrap(), "--target", &target, "--validate"];
        conntruth(&[&arguments, more].concat())
    };
    #[allow(clippy::disallowed_methods)] // Real time is what is measured.
    let started = std::time::Instant::now();
    run("real", &short, &[]).ends(0).says("1 passed");
    assert!(started.elapsed().as_secs_f64() > 3.9, "nobody waited: {:?}", started.elapsed());
    run("real", &long, &["--patience", "2s"]).ends(3).says(" s of real time at once, and --patience is 2 s");
    run("age", &short, &[]).ends(0).says("1 passed");
    run("age", &long, &[]).ends(0).says("1 passed");
    run("none", &short, &[]).ends(3).says("reference cannot let time pass, and this needs 1 s of it");
    // Wrong by more than the clock runs on meanwhile is wrong.
    let wrong = folder.file("wrong.ct", &text.replace("entry 1s", "entry 3s"));
    run("real", &wrong, &[]).ends(1).says("expected 3s, got ");
    run("age", &wrong, &[]).ends(1).says("expected 3s, got ");
}

/// What a target does not show is not compared; a scenario of which nothing is seen is not green.
#[test]
fn a_target_is_judged_by_what_it_shows() {
    let folder = Folder::new("levels");
    let both =
        folder.file("both.ct", "flow udp client:1 > server:2\n> (1)  = new 31s [ASSURED]\ntable (empty)\n");
    let blind = folder.file("blind.ct", "flow udp client:1 > server:2\n> (1)  = * 31s\ntable (empty)\n");
    let target = format!("exec:'{CONNTRUTH}' serve --null");
    let run = |file: &Path| conntruth(&["run", file.to_str().unwrap(), "--target", &target]);
    run(&both).ends(0).says("3 parts of them not shown by null").says("1 passed");
    run(&blind).ends(3).says("the target does not show timeouts, and all claims are about that");
}

/// Writes an adapter in a language, makes it as its author is told to, and runs the suite against it.
#[track_caller]
fn skeleton(folder: &Folder, language: &str, build: &[&str], command: &str) {
    let into = folder.0.join(language);
    let into = into.to_str().unwrap();
    let said = conntruth(&["init", "--language", language, into]);
    said.ends(0).says("conntruth run --target ").says(&format!("exec:{}", command.replace("{}", into)));
    conntruth(&["init", "--language", language, into]).ends(2).complains("is there already");
    if let [program, arguments @ ..] = build {
        let made = Command::new(program)
            .args(arguments)
            .current_dir(into)
            .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("skeleton"))
            .env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go"))
            .output()
            .unwrap();
        let what = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{language}: {what}");
        assert!(!what.contains("warning"), "{language}: {what}");
        if *program == "cargo" {
            let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skeleton/debug/adapter");
            let place = Path::new(into).join("target/release");
            std::fs::create_dir_all(&place).unwrap();
            std::fs::copy(made, place.join("adapter")).unwrap();
        }
    }
    let ran = conntruth(&["run", "--target", &format!("exec:{}", command.replace("{}", into)), "--validate"]);
    ran.ends(1).says("not shown by my-tracker");
    assert!(!ran.out.contains("the adapter was ended"), "{}", ran.out);
    let passed = ran.out.lines().last().unwrap().split(' ').next().and_then(|count| count.parse().ok());
    assert!(passed > Some(150_usize), "{language}: only {passed:?} passed");
}

#[test]
fn the_skeletons_run_as_they_stand() {
    let folder = Folder::new("skeletons");
    if is_there("python3", "--version") {
        skeleton(&folder, "python", &[], "python3 {}/adapter.py");
    }
    if is_there("cc", "--version") && is_there("make", "--version") {
        skeleton(&folder, "c", &["make", "-s"], "{}/adapter");
    }
}

#[test]
fn the_skeleton_in_go_runs_as_it_stands() {
    if is_there("go", "version") {
        skeleton(&Folder::new("go"), "go", &["go", "build", "-o", "adapter", "."], "{}/adapter");
    }
}

/// What it depends on is on this machine already: Conntruth itself does.
#[test]
fn the_skeleton_in_rust_runs_as_it_stands() {
    let build = ["cargo", "build", "--quiet", "--offline"];
    skeleton(&Folder::new("rust"), "rust", &build, "{}/target/release/adapter");
}

#[test]
fn the_toy_fails_as_it_is_known_to() {
    if !is_there("python3", "--version") {
        return;
    }
    let toy = adapters().join("toy");
    let target = format!("exec:python3 {}", toy.join("toy.py").display());
    let known = toy.join("known.toml");
    let ran = conntruth(&["run", "--target", &target, "--known", known.to_str().unwrap(), "--validate"]);
    ran.ends(0).says(" known\n").says(" passed, 0 failed");
    let text = std::fs::read_to_string(&known).unwrap();
    assert!(!text.contains(conntruth::suite::UNEXPLAINED), "a known failure of the toy has no reason");
}

#[test]
fn a_list_of_known_failures_is_kept_true() {
    let folder = Folder::new("known");
    folder.file("fails.ct", "flow udp client:1 > server:2\n> (1)  = new 31s\n");
    folder.file("holds.ct", "flow udp client:1 > server:2\n> (1)  = new 30s\n");
    let scenarios = folder.0.to_str().unwrap().to_owned();
    let known = folder.0.join("known.toml");
    let known = known.to_str().unwrap();
    conntruth(&["run", &scenarios]).ends(1).says("1 passed, 1 failed");
    conntruth(&["run", &scenarios, "--write-known", known])
        .ends(0)
        .says("1 passed, 0 failed, 0 skipped, 1 known\n");
    conntruth(&["run", &scenarios, "--known", known]).ends(0).says("1 known\n");
    let text = std::fs::read_to_string(known).unwrap();
    assert!(text.contains("difference = \"step 1: expected 31s, got 30s\""), "{text}");
    // Reasons and links stay.
    let explained =
        text.replace("not explained yet", "because").replace("difference", "issue = \"#7\"\ndifference");
    std::fs::write(known, &explained).unwrap();
    conntruth(&["run", &scenarios, "--write-known", known]).ends(0);
    assert_eq!(std::fs::read_to_string(known).unwrap(), explained);
    // Another difference, a failure that is none any more, a world that there is not.
    std::fs::write(known, explained.replace("got 30s", "got 29s")).unwrap();
    conntruth(&["run", &scenarios, "--known", known])
        .ends(1)
        .says("it fails in another way than is known: step 1: expected 31s, got 29s");
    std::fs::write(known, explained.replace("fails\"", "holds\"")).unwrap();
    conntruth(&["run", &scenarios, "--known", known])
        .ends(1)
        .says("it passes, and is listed as a known failure");
    std::fs::write(known, explained.clone() + "[[known]]\nid = \"gone\"\nreason = \"\"\ndifference = \"\"\n")
        .unwrap();
    conntruth(&["run", &scenarios, "--known", known]).ends(1).says("gone: there is no such world");
    // Not written as it should be.
    std::fs::write(known, "[[known]]\nid = 7\n").unwrap();
    conntruth(&["run", &scenarios, "--known", known]).ends(2).complains("id = 7");
    conntruth(&["run", &scenarios, "--known", "no-such-file"]).ends(2).complains("no-such-file");
}

#[test]
fn the_suite_can_be_pinned_and_graded() {
    let version = conntruth::suite::version();
    conntruth(&["run", "--filter", "udp/*", "--suite-version", &version]).ends(0);
    conntruth(&["run", "--suite-version", "0.0.1+00000000"])
        .ends(2)
        .complains(&format!("is {version}, not 0.0.1"));
    let folder = Folder::new("grades");
    let file = folder.file(
        "may.ct",
        "# Both are fine.\ngrade may\nsource RFC 0\nflow udp client:1 > server:2\n> (1)  = new 31s\n",
    );
    let file = file.to_str().unwrap();
    conntruth(&["run", file])
        .ends(1)
        .says("may: Both are fine.")
        .says("source: RFC 0")
        .says("may: 1 of 1 failed");
    conntruth(&["run", file, "--grade", "should"]).ends(2).complains("none of 1 scenarios has this grade");
}

/// The published schema and the made parts of the manual are what the types say. `CONNTRUTH_WRITE=1` writes them.
#[test]
fn schema_and_manual_are_those_of_the_types() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let writes = std::env::var_os("CONNTRUTH_WRITE").is_some();
    let keep = |name: &str, wanted: &dyn Fn(&str) -> String| {
        let path = root.join(name);
        let is = std::fs::read_to_string(&path).unwrap_or_default();
        let wanted = wanted(&is);
        if writes {
            std::fs::write(&path, &wanted).unwrap();
        } else {
            assert!(
                is == wanted,
                "{name} is old: write it with CONNTRUTH_WRITE=1 cargo test -p conntruth --test adapter"
            );
        }
    };
    let schema = serde_json::to_string_pretty(&conntruth::target::exec::schema()).unwrap() + "\n";
    keep("adapter.schema.json", &|_| schema.clone());
    keep("PROTOCOL.md", &|text| {
        let text = made(text, "conversations", &conntruth::target::exec::manual::conversations());
        made(&text, "messages", &conntruth::target::exec::manual::messages())
    });
}

/// A text with its made part made anew.
fn made(text: &str, name: &str, part: &str) -> String {
    let mark = format!("<!-- made: {name} -->\n");
    let (before, rest) = text.split_once(&mark).expect("it has the mark");
    let (_, after) = rest.split_once("<!-- end -->").expect("and the end");
    format!("{before}{mark}{part}<!-- end -->{after}")
}

/// Every message of the suite's conversations, and every one in the manual, is one of the schema.
#[test]
fn the_published_schema_takes_what_is_said() {
    let schema = conntruth::target::exec::schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let manual = conntruth::target::exec::manual::conversations();
    let lines: Vec<&str> =
        manual.lines().filter_map(|line| line.strip_prefix("> ").or(line.strip_prefix("< "))).collect();
    assert!(lines.len() > 10, "{manual}");
    for line in lines {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(validator.is_valid(&value), "{line}");
    }
    assert!(!validator.is_valid(&serde_json::json!({ "type": "packet", "class": "new" })));
}
