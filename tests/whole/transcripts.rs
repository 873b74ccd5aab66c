//! Whole ladders as people see them.

use conntruth_tests::{embedded, transcript};

#[track_caller]
fn of(id: &str) -> String {
    let files = embedded();
    let file = files.iter().find(|file| file.id == id).unwrap_or_else(|| panic!("there is no {id}"));
    transcript(id, &file.script.text)
}

#[test]
fn handshake() {
    insta::assert_snapshot!(of("tcp/opening/handshake"));
}

#[test]
fn port_unreachable() {
    insta::assert_snapshot!(of("icmp/port-unreachable"));
}

#[test]
fn fragments() {
    insta::assert_snapshot!(of("fragments/in-any-order"));
}

#[test]
fn hidden_packets() {
    let text = "\
flow tcp client:40000 > server:80
    opened
    hidden
        2x > P. (1460)
        < .
+5min > P. (10)
set tcp_be_liberal 1
A: +1s  > P. (1460)
        again A lost
        client:9 > box:53 udp (20)
        box:53 > client:9 udp (40) notrack
+6d
table (empty)
";
    insta::assert_snapshot!(transcript("hidden", text));
}
