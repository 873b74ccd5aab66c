//! A tracker that is kept and taken up again: it goes on as if nothing had been; and what is no state is refused.

use conntruth::replay::{Replayer, json};
use conntruth_sim::capture::Capture;

use super::build::{Build, ping, tcp, udp};
use super::{fixture, run_on};

/// Handed on at every packet, through its text.
#[test]
fn it_goes_on_as_if_nothing_had_been() {
    for name in
        ["http-get.pcap", "ipv4-fragmented-1.pcap", "ipv6-fragmented-dns.pcap", "icmp-icmp6-ping.pcap"]
    {
        let mut replayers = [0; 2].map(|_| Replayer::new(&conntruth_engine::LINUX_6_18));
        replayers.iter_mut().for_each(|replayer| replayer.set("acct", 1).unwrap());
        let mut capture = Capture::open(&fixture(name)).unwrap();
        let [mut whole, mut handed_on] = replayers;
        while let Some(captured) = capture.next_packet().unwrap() {
            let text = serde_json::to_string(&handed_on.save()).unwrap();
            handed_on = Replayer::resume(&serde_json::from_str(&text).unwrap()).unwrap();
            let lines = [&mut whole, &mut handed_on].map(|replayer| {
                let mut line = Vec::new();
                let record = replayer.handle(&captured);
                record.map(|record| json::write_packet(&mut line, &record)).transpose().unwrap();
                String::from_utf8(line).unwrap()
            });
            assert_eq!(lines[0], lines[1], "{name}");
        }
        assert_eq!(whole.save(), handed_on.save(), "{name}");
    }
}

#[test]
fn states_are_kept_loaded_and_compared_on_the_command_line() {
    let folder = tempdir();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (first, second) = (path("first.json"), path("second.json"));
    let opening = Build::raw().packet(&tcp('>', "S", 1000, 0, b"")).packet(&udp('>', 40_000, b"x")).bytes();
    let set = ["--set", "events=0", "--set", "tcp_loose=0"];
    let run = run_on(&opening, &[&["replay", "-", "--save-state", &first], &set[..]].concat());
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains(&format!("--save-state {first}")), "{}", run.err);
    let answer = Build::raw().wait(2).packet(&tcp('<', "S.", 5000, 1001, b"")).packet(&ping(7)).bytes();
    let run = run_on(
        &answer,
        &["replay", "-", "--format", "jsonl", "--load-state", &first, "--save-state", &second],
    );
    assert_eq!(run.code, 0, "{}", run.err);
    let answered: serde_json::Value = serde_json::from_str(run.out.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&answered["ctinfo"], &answered["events"]),
        (&"ESTABLISHED_REPLY".into(), &serde_json::json!([]))
    );

    let run = run_on(b"", &["state", &first]);
    assert_eq!(run.code, 0, "{}", run.err);
    insta::assert_snapshot!(run.out, @"
    linux-6.18, at 1700000000.001000000 s
    net.netfilter.nf_conntrack_events = 0
    net.netfilter.nf_conntrack_tcp_loose = 0
    ipv4     2 tcp      6 120 SYN_SENT src=10.0.0.1 dst=10.0.1.1 sport=40000 dport=80 [UNREPLIED] src=10.0.1.1 dst=10.0.0.1 sport=80 dport=40000 mark=0 zone=0 use=2
    ipv4     2 udp      17 30 src=10.0.0.1 dst=10.0.1.1 sport=40000 dport=53 [UNREPLIED] src=10.0.1.1 dst=10.0.0.1 sport=53 dport=40000 mark=0 zone=0 use=2
    ");
    let run = run_on(b"", &["state", &first, &second]);
    assert_eq!(run.code, 1, "{}", run.err);
    let tcp =
        "connection 1 (tcp src=10.0.0.1 dst=10.0.1.1 sport=40000 dport=80): state SYN_SENT -> SYN_RECV\n";
    assert!(run.out.contains(tcp), "{}", run.out);
    let run = run_on(b"", &["state", &first, &first]);
    assert_eq!((run.code, &*run.out), (0, "no difference\n"));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_is_no_state_is_refused_in_a_sentence() {
    let folder = tempdir();
    let path = folder.join("state.json");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        run_on(b"", &["replay", "-", "--load-state", path.to_str().unwrap()])
    };
    for (text, why) in [
        ("", "EOF while parsing"),
        ("{}", "missing field `version`"),
        ("{\"version\":2}", "a state of version 2; this program reads version 1"),
    ] {
        let run = load(text);
        assert_eq!(run.code, 2, "{}", run.err);
        assert!(run.err.contains("state.json: ") && run.err.contains(why), "{}", run.err);
    }
    let mut state = serde_json::to_value(Replayer::new(&conntruth_engine::LINUX_6_18).save()).unwrap();
    state["profile"] = "linux-9".into();
    let run = load(&state.to_string());
    assert!(run.code == 2 && run.err.contains("the profile `linux-9`, which is not known"), "{}", run.err);
    std::fs::remove_dir_all(folder).unwrap();
}

/// A folder of this test's own.
fn tempdir() -> std::path::PathBuf {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("conntruth-state-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
