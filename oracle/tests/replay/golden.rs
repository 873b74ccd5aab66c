//! Captures of real traffic (with their licence beside them), and what was printed of them.

use super::{fixture, run_on};

#[track_caller]
fn check(snapshot: &str, name: &str, arguments: &[&str]) {
    let path = fixture(name);
    let path = path.to_str().expect("UTF-8");
    let (command, options) = arguments.split_first().expect("a command");
    let run = run_on(b"", &[&[*command, path], options].concat());
    assert_eq!(run.code, 0, "{}", run.err);
    let err = run.err.replace(path, name);
    insta::assert_snapshot!(snapshot, format!("{}--- stderr\n{err}", run.out));
}

#[test]
fn a_tcp_connection_as_json() {
    check("tcp_json", "http-get.pcap", &["replay", "--format", "jsonl", "--table"]);
}

#[test]
fn a_tcp_connection_as_text() {
    check("tcp_text", "http-get.pcap", &["replay", "--table"]);
}

#[test]
fn a_tcp_connection_picked_up_in_the_middle() {
    check("tcp_pick_up", "http-get_nosyn.pcap", &["replay", "--format", "jsonl", "--set", "acct=1"]);
}

#[test]
fn fragments_of_ipv6() {
    check("fragments_ipv6", "ipv6-fragmented-dns.pcap", &["replay", "--format", "jsonl", "--table"]);
}

#[test]
fn fragments_of_ipv4_that_contradict_each_other() {
    check("fragments_ipv4", "ipv4-fragmented-1.pcap", &["replay"]);
}

#[test]
fn a_vlan_and_packets_that_are_not_ip() {
    check("vlan", "icmp_dot1q.pcap", &["replay", "--table"]);
}

#[test]
fn a_wrong_checksum() {
    check("checksum", "chksums-ip4-udp-bad-chksum.pcap", &["replay"]);
}

#[test]
fn an_explanation_of_every_packet() {
    check("explain_ping", "icmp-icmp6-ping.pcap", &["explain"]);
}

#[test]
fn an_explanation_of_one_packet() {
    check("explain_one", "http-get.pcap", &["explain", "--packet", "3"]);
}
