//! `diff` from the outside: exit codes, last lines, what it says of mistakes. The kernel has tests of its own.

use std::collections::BTreeMap;
use std::process::Command;

mod program;
use program::{Ran, conntruth};

fn diff(arguments: &[&str]) -> Ran {
    conntruth(&[&["diff"], arguments].concat())
}

#[track_caller]
fn check(arguments: &[&str], code: i32, says: &str) -> Ran {
    let ran = diff(arguments);
    let (out, err) = (&ran.out, &ran.err);
    assert_eq!(ran.code, code, "{arguments:?}\n{out}\n{err}");
    assert!(out.contains(says) || err.contains(says), "no `{says}` in\n{out}\n{err}");
    ran
}

#[test]
fn two_that_are_equal_are_fine_and_the_last_lines_repeat_the_run() {
    let ran = check(&["--cases", "300", "--seed", "9"], 0, "seed 9");
    let mut lines = ran.out.lines().rev();
    assert_eq!(lines.next(), Some("300 cases equal, 0 different, 0 causes"));
    assert_eq!(
        lines.next(),
        Some("again: conntruth diff --target reference --profile linux-6.18 --seed 9 --cases 300")
    );
    assert!(ran.out.contains("packets/s") && ran.out.contains("cells of TCP"), "{}", ran.out);
    assert_eq!(ran.err, "");
}

#[test]
fn the_alphabet_is_printed_beforehand_and_the_sequences_are_counted() {
    let ran = check(&["--depth", "1", "--protocol", "tcp"], 0, "36 letters");
    assert!(ran.out.contains("    > S seq abs 1000 win 1000 <>\n"), "{}", ran.out);
    assert!(ran.out.ends_with("36 sequences equal, 0 different, 0 causes\n"), "{}", ran.out);
}

#[test]
fn a_part_is_a_part() {
    let ran = check(&["--cases", "2000", "--shard", "2/2", "--protocol", "udp,icmp"], 0, "976 cases equal");
    assert!(ran.out.contains("--protocol udp,icmp --shard 2/2\n"), "{}", ran.out);
}

/// Parts on machines that know nothing of each other find together what one machine does: the same causes, each in as many
/// cases.
#[test]
fn parts_together_find_what_one_machine_does() {
    let itself = env!("CARGO_BIN_EXE_conntruth");
    let null = format!("exec:'{itself}' serve --null --takes worlds");
    let add = |found: &mut BTreeMap<String, u64>, more: &[&str]| {
        // A batch of cases and a part of one.
        let arguments = ["--target", &null, "--seed", "4", "--cases", "1100", "--protocol", "gre"];
        let ran = check(&[&arguments[..], more].concat(), 1, " different, ");
        let number = |text: &str| text.replace(',', "").parse::<u64>().ok();
        for line in ran.out.lines() {
            let Some((count, rest)) = line.split_once(' ') else { continue };
            if let (Some(count), Some((_, cause))) = (number(count), rest.split_once(": ")) {
                *found.entry(cause.to_owned()).or_default() += count;
            } else if let (Some(count), true) = (number(count), rest.starts_with("cases equal, ")) {
                *found.entry("equal".to_owned()).or_default() += count;
            }
        }
    };
    let (mut whole, mut parts) = (BTreeMap::new(), BTreeMap::new());
    add(&mut whole, &[]);
    ["1/2", "2/2"].into_iter().for_each(|part| add(&mut parts, &["--shard", part]));
    assert!(whole.len() > 10 && whole.values().sum::<u64>() == 1100, "{whole:?}");
    assert_eq!(parts, whole);
}

#[test]
fn mistakes_are_usage_and_nothing_to_do_is_one() {
    check(&["--protocol", "dccp"], 2, "one of tcp, udp");
    check(&["--shard", "3/2"], 2, "K of N");
    check(&["--duration", "soon"], 2, "`30s`");
    check(&["--depth", "0"], 2, "1..=12");
    check(&["--depth", "2", "--protocol", "gre"], 2, "alphabets for tcp, udp and icmp");
    check(&["--target", "nobody"], 2, "no target `nobody`");
    check(&["--cases", "0"], 2, "nothing to compare");
    check(&["--cases", "10", "--shard", "2/2"], 2, "nothing to compare");
}

#[test]
fn what_is_not_compared_is_listed() {
    let ran = check(&["--list-normalisations"], 0, "why:");
    for name in ["intervals", "ids", "order", "windows", "event-parts", "silence", "words"] {
        assert!(ran.out.lines().any(|line| line == name), "{name}");
    }
}

/// Any program can be compared; what it cannot do is not asked of it, what it does not show is not compared, and where it
/// breaks is a difference like any other.
#[test]
fn any_program_can_be_compared() {
    let itself = env!("CARGO_BIN_EXE_conntruth");
    for takes in ["steps", "worlds", "worlds --no-rules"] {
        let target = format!("exec:'{itself}' serve --takes {takes}");
        let ran = check(&["--target", &target, "--cases", "40"], 0, "40 cases equal, 0 different");
        assert!(ran.out.contains("normalised: intervals, ids, no-reasons\n"), "{}", ran.out);
    }
    let null = format!("exec:'{itself}' serve --null --takes worlds");
    let ran = check(&["--target", &null, "--cases", "16", "--protocol", "udp"], 1, " different, ");
    assert!(
        ran.out.contains("no-verdicts, no-states, no-timeouts, no-status, no-table, no-events"),
        "{}",
        ran.out
    );
    // An answer that is taken for a new connection: two packets are enough, and the scenario says what the target says.
    let (_, found) = ran.out.split_once("class differs (ESTABLISHED_REPLY / NEW)\n").expect("it is found");
    assert!(found.lines().next().unwrap().contains(", 2 packets when small"), "{found}");
    let scenario: String = found
        .lines()
        .skip(1)
        .map_while(|line| line.strip_prefix("  |"))
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect();
    let file = std::env::temp_dir().join(format!("conntruth-diff-{}.ct", std::process::id()));
    std::fs::write(&file, &scenario).unwrap();
    let run = |target: &str, code: i32| {
        let path = file.to_str().unwrap();
        let ran = Command::new(itself).args(["run", path, "--target", target]).output().unwrap();
        assert_eq!(ran.status.code(), Some(code), "{}\n{scenario}", String::from_utf8_lossy(&ran.stdout));
    };
    run(&null, 0);
    run("reference", 1);
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn where_a_program_breaks_is_a_difference() {
    // It says hello, begins, and ends when the first packet comes.
    let hello = r#"{\"type\":\"hello\",\"protocol\":1,\"name\":\"mock\",\"shows\":[\"class\"]}"#;
    let script = format!(
        r#"read -r x; echo "{hello}"; read -r x; echo "{{\"type\":\"done\"}}"; read -r x; echo out of memory >&2; exit 3"#
    );
    let target = format!("exec:sh -c '{script}'");
    let ran = check(&["--target", &target, "--cases", "1"], 1, "answer differs");
    assert!(ran.out.contains("1 packets when small") && ran.out.contains("out of memory"), "{}", ran.out);
}
