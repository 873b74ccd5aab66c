//! What the contract says of `replay`, case by case.

use serde_json::{Value, json};

use super::build::{Build, ipv4, ipv6, ping, tcp, udp};
use super::{replay, run_on};

/// A handshake: client's first number 1000, server's 5000.
fn opened() -> Build {
    let capture = Build::raw().packet(&tcp('>', "S", 1000, 0, b""));
    capture.packet(&tcp('<', "S.", 5000, 1001, b"")).packet(&tcp('>', ".", 1001, 5001, b""))
}

fn field<'a>(lines: &'a [Value], packet: usize, pointer: &str) -> &'a Value {
    lines[packet - 1].pointer(pointer).unwrap_or(&Value::Null)
}

#[test]
fn the_first_packet_looks_as_the_contract_shows_it() {
    let run = run_on(&opened().bytes(), &["replay", "-", "--format", "jsonl"]);
    let first = run.out.lines().next().unwrap();
    let why = first.find(r#""why":"#).unwrap();
    let connection = first.find(r#","connection":"#).unwrap();
    let expected = concat!(
        r#"{"packet":1,"time":"1700000000.000000000","hook":"prerouting","ctinfo":"NEW","verdict":"ACCEPT","#,
        r#""reason":"tcp-new-syn","#,
        r#","connection":{"id":1,"family":"ipv4","protocol":"tcp","number":6,"state":"SYN_SENT","timeout":120,"#,
        r#""status":["CONFIRMED"],"original":{"src":"10.0.0.1","dst":"10.0.1.1","sport":40000,"dport":80},"#,
        r#""reply":{"src":"10.0.1.1","dst":"10.0.0.1","sport":80,"dport":40000},"mark":0,"zone":0,"helper":null,"#,
        r#""master":null,"tcp":{"wscale":[0,0],"flags":[0,0]}},"events":[{"type":"new","connection":1}]}"#,
    );
    assert_eq!(format!("{}{}", &first[..why], &first[connection..]), expected);
    let why: Value = serde_json::from_str(&first[why + 6..connection]).unwrap();
    assert_eq!(why["numbers"]["end"], 1001);
    assert!(why["rule"].is_string() && why["source"].as_str().unwrap().starts_with("linux 6.18 net/"));
}

#[test]
fn a_packet_cut_by_the_snap_length_has_the_length_of_its_header_and_a_right_checksum() {
    let data = tcp('>', "P.", 1001, 5001, &[7; 500]);
    let lines = replay(
        &opened().cut(&data, 40).packet(&tcp('<', ".", 5001, 1501, b"")).bytes(),
        &["--set", "acct=1"],
    );
    assert_eq!(lines[3]["ctinfo"], "ESTABLISHED");
    assert_eq!(lines[3]["truncated"], true);
    assert_eq!(lines[3]["why"]["numbers"]["end"], 1501);
    assert_eq!(lines[3]["connection"]["original"]["bytes"], 40 + 40 + 540);
    assert_eq!(lines[4]["truncated"], Value::Null);
    assert_eq!(lines[4]["ctinfo"], "ESTABLISHED_REPLY");
}

#[test]
fn a_total_length_of_zero_is_the_captured_length() {
    let mut data = tcp('>', "P.", 1001, 5001, &[7; 3000]);
    // What a card would fill in: the length, and both checksums.
    data[2..4].fill(0);
    data[10..12].fill(0);
    data[36..38].fill(0);
    let lines = replay(&opened().packet(&data).bytes(), &[]);
    assert_eq!(lines[3]["ctinfo"], "ESTABLISHED");
    assert_eq!(lines[3]["why"]["numbers"]["end"], 4001);
    assert_eq!(lines[3]["truncated"], Value::Null);
}

#[test]
fn what_the_ip_layer_discards_has_no_class() {
    let mut broken = ping(1);
    broken[8] ^= 1;
    let frame = [&[2; 12][..], &[8, 0], &ipv6(17, &[0; 8])].concat();
    let lines = replay(&Build::raw().packet(&broken).packet(&ping(1)[..12]).packet(&[0x55; 40]).bytes(), &[]);
    let reasons: Vec<_> = lines.iter().map(|line| line["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["ip-header-checksum", "ip-too-short", "ip-version"]);
    for line in &lines {
        assert_eq!((&line["ctinfo"], &line["connection"]), (&Value::Null, &Value::Null));
    }
    // The link layer says IPv4 and carries IPv6.
    let lines = replay(&Build::link(1).packet(&frame).bytes(), &[]);
    assert_eq!(lines[0]["reason"], "ip-version");
}

#[test]
fn an_invalid_packet_of_a_known_connection_shows_it_unattached() {
    let far = tcp('>', ".", 1_000_001_001, 5001, b"");
    let lines = replay(&opened().packet(&far).packet(&ipv4(1, &[3, 3, 0, 0, 0, 0, 0, 0])).bytes(), &[]);
    assert_eq!(lines[3]["ctinfo"], "INVALID");
    assert_eq!(lines[3]["verdict"], "ACCEPT");
    assert_eq!(lines[3]["reason"], "tcp-seq-over");
    assert_eq!(lines[3]["connection"]["id"], 1);
    assert_eq!(lines[3]["connection"]["attached"], false);
    assert_eq!(lines[2]["connection"].get("attached"), None);
    // And one of none.
    assert_eq!((&lines[4]["ctinfo"], &lines[4]["connection"]), (&json!("INVALID"), &Value::Null));
}

#[test]
fn a_connection_that_the_packet_destroys_is_shown_as_it_last_stood() {
    let refused = || Build::raw().packet(&tcp('>', "S", 1000, 0, b"")).packet(&tcp('<', "R.", 0, 1001, b""));
    for events in ["events=2", "events=0"] {
        let lines = replay(&refused().bytes(), &["--set", events, "--table"]);
        assert_eq!(lines[1]["ctinfo"], "ESTABLISHED_REPLY");
        assert_eq!(lines[1]["connection"]["id"], 1);
        assert_eq!(lines[1]["connection"]["destroyed"], true);
        let expected =
            if events == "events=0" { json!([]) } else { json!([{"type": "destroy", "connection": 1}]) };
        assert_eq!(lines[1]["events"], expected);
        assert_eq!(lines[2], json!({"table": [], "expectations": []}));
    }
}

#[test]
fn connections_whose_time_has_come_are_told_at_the_next_packet_and_first() {
    let capture = Build::raw()
        .packet(&udp('>', 1, b""))
        .packet(&udp('>', 2, b""))
        .wait(60_000)
        .packet(&udp('>', 1, b""));
    let lines = replay(&capture.bytes(), &[]);
    let expected = [("destroy", 1), ("destroy", 2), ("new", 3)];
    let expected: Vec<_> =
        expected.iter().map(|(kind, id)| json!({"type": kind, "connection": id})).collect();
    assert_eq!(lines[2]["events"], json!(expected));
    assert_eq!(lines[2]["connection"]["id"], 3);
    assert_eq!(lines[2]["connection"].get("destroyed"), None);
}

#[test]
fn the_keys_of_a_tuple_are_the_protocols() {
    let capture = Build::raw()
        .packet(&ping(7))
        .packet(&ipv4(47, &[0; 8]))
        .packet(&ipv4(89, &[0; 8]))
        .packet(&ipv6(89, &[]));
    let lines = replay(&capture.bytes(), &[]);
    let original = |packet| field(&lines, packet, "/connection/original");
    assert_eq!(*original(1), json!({"src": "10.0.0.1", "dst": "10.0.1.1", "type": 8, "code": 0, "id": 7}));
    assert_eq!(*original(2), json!({"src": "10.0.0.1", "dst": "10.0.1.1", "srckey": 0, "dstkey": 0}));
    assert_eq!(*original(3), json!({"src": "10.0.0.1", "dst": "10.0.1.1"}));
    assert_eq!(*original(4), json!({"src": "fd00::1", "dst": "fd00::2"}));
    assert_eq!(*field(&lines, 3, "/connection/protocol"), "unknown");
    assert_eq!(*field(&lines, 3, "/connection/number"), 89);
    assert_eq!(*field(&lines, 3, "/connection/state"), Value::Null);
    assert_eq!(*field(&lines, 4, "/connection/family"), "ipv6");
}

#[test]
fn time_that_runs_backwards_stands_still_and_is_told_once() {
    let capture = Build::raw()
        .packet(&udp('>', 1, b""))
        .wait(-10_000)
        .packet(&udp('>', 1, b""))
        .packet(&udp('>', 1, b""));
    let run = run_on(&capture.bytes(), &["replay", "-", "--format", "jsonl"]);
    assert_eq!(run.code, 0);
    assert_eq!(run.err.matches("warning").count(), 1, "{}", run.err);
    assert!(run.err.contains("packet 2 is older than the one before it"), "{}", run.err);
    let second: Value = serde_json::from_str(run.out.lines().nth(1).unwrap()).unwrap();
    assert_eq!(second["time"], "1699999990.001000000");
    assert_eq!(second["connection"]["timeout"], 30);
}

#[test]
fn packets_that_are_not_ip_are_skipped_and_numbered() {
    let frame = |kind: [u8; 2], inner: &[u8]| [&[2; 12][..], &kind, inner].concat();
    let arp = frame([8, 6], &[0; 46]);
    let capture = Build::link(1).packet(&arp).packet(&frame([8, 0], &ping(1))).packet(&arp);
    let run = run_on(&capture.bytes(), &["replay", "-", "--format", "jsonl"]);
    assert_eq!(run.out.lines().count(), 1);
    assert!(run.out.starts_with(r#"{"packet":2,"#));
    assert_eq!(run.err, "note: 2 packets are not IP and skipped: 2 ARP\n");
    let quiet = run_on(&capture_of_arp(), &["replay", "-", "--quiet"]);
    assert_eq!((quiet.code, quiet.out.as_str(), quiet.err.as_str()), (0, "", ""));
}

fn capture_of_arp() -> Vec<u8> {
    Build::link(1).packet(&[&[2; 12][..], &[8, 6], &[0; 46]].concat()).bytes()
}

#[test]
fn checksums_left_to_the_card_give_one_hint() {
    let mut bad = tcp('>', ".", 1001, 5001, b"");
    bad[36] ^= 0xff;
    let capture = opened().packet(&bad).packet(&bad).packet(&bad).bytes();
    let run = run_on(&capture, &["replay", "-", "--format", "jsonl"]);
    assert_eq!(run.err.matches("--set checksum=0").count(), 1, "{}", run.err);
    assert!(run.err.starts_with("hint: 3 of 5 packets from 10.0.0.1 "), "{}", run.err);
    let run = run_on(&capture, &["replay", "-", "--format", "jsonl", "--set", "checksum=0"]);
    assert_eq!(run.err, "");
    assert!(!run.out.contains("INVALID"));
}

#[test]
fn what_could_be_read_is_written_before_the_error_and_the_code_is_2() {
    let whole = opened().bytes();
    let run = run_on(&whole[..whole.len() - 1], &["replay", "-", "--format", "jsonl", "--table"]);
    assert_eq!((run.code, run.out.lines().count()), (2, 2));
    let expected = "error: standard input: packet 3, at byte 136: the file is cut short: the record has 56 bytes, 55 of \
                    them are there\n";
    assert_eq!(run.err, expected);
}

#[test]
fn mistakes_are_one_error_each_and_the_code_is_2() {
    let capture = opened().bytes();
    let cases: [(&[&str], &str); 9] = [
        (&["replay", "no-such-file"], "error: no-such-file: No such file or directory"),
        (
            &["replay", "-", "--set", "tcp_losse=0"],
            "error: --set tcp_losse=0: there is no sysctl `tcp_losse`; did you mean",
        ),
        (
            &["replay", "-", "--set", "tcp_loose"],
            "error: invalid value 'tcp_loose' for '--set <KEY=VALUE>': write KEY=VALUE",
        ),
        (
            &["replay", "-", "--set", "tcp_loose=2"],
            "error: --set tcp_loose=2: `tcp_loose` takes 0 to 1, not 2",
        ),
        (
            &["replay", "-", "--helper", "fpt"],
            "error: invalid value 'fpt' for '--helper <NAME[=PROTO/PORT]>': there is no helper `fpt`; there are ftp, irc, tftp",
        ),
        (&["replay"], "error: the following required arguments were not provided"),
        (&["explain", "-", "--packet", "4"], "error: there is no packet 4, the last is 3"),
        (&["explain", "a-story.ct"], "error: a-story.ct: "),
        (&["replai", "-"], "error: unrecognized subcommand 'replai'"),
    ];
    for (arguments, expected) in cases {
        let run = run_on(&capture, arguments);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{arguments:?}");
        assert!(run.err.starts_with(expected), "{arguments:?}: {}", run.err);
    }
    let run = run_on(&Build::link(105).packet(&[0; 30]).bytes(), &["replay", "-"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""));
    assert!(run.err.starts_with("error: standard input: link type 105 is not known"), "{}", run.err);
}

#[test]
fn a_helper_is_assigned_to_a_port() {
    let run = run_on(&opened().bytes(), &["replay", "-", "--format", "jsonl", "--helper", "ftp=tcp/80"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert!(run.out.contains(r#""status":["CONFIRMED","HELPER"]"#), "{}", run.out);
    assert!(run.out.contains(r#""helper":"ftp","master":null"#), "{}", run.out);
    for (helper, why) in [
        ("fpt=tcp/21", "there is no helper `fpt`; there are ftp, irc, tftp"),
        ("sip=udp/5060", "there is no helper `sip` in this version"),
        ("ftp=udp/21", "the helper ftp does not read udp"),
    ] {
        let run = run_on(&opened().bytes(), &["replay", "-", "--helper", helper]);
        assert_eq!(run.code, 2);
        assert!(run.err.starts_with(&format!("error: --helper {helper}: {why}")), "{}", run.err);
    }
}

#[test]
fn colour_is_there_when_asked_for_and_nowhere_else() {
    let capture = opened().bytes();
    assert!(run_on(&capture, &["replay", "-", "--color", "always"]).out.contains("\u{1b}["));
    assert!(!run_on(&capture, &["replay", "-"]).out.contains('\u{1b}'));
    assert!(!run_on(&capture, &["explain", "-", "--color", "never"]).out.contains('\u{1b}'));
}
