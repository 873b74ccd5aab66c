//! Associations as stories, each as the running kernel (6.18.44) answered it. A packet is `>` or `<`, the tag it carries,
//! and its chunks (`INIT:7` announces tag 7, `ABORT!` returns the tag); then its class, the state, and why.

use crate::engine::Engine;
use crate::packet::Packet;
use crate::profile::LINUX_6_18;
use crate::snapshot::ProtoInfo;
use crate::time::Time;
use crate::wire::checksum;

fn chunk(word: &str) -> Vec<u8> {
    const NAMES: [(&str, u8); 13] = [
        ("DATA", 0),
        ("INIT", 1),
        ("INIT_ACK", 2),
        ("SACK", 3),
        ("HEARTBEAT", 4),
        ("HEARTBEAT_ACK", 5),
        ("ABORT", 6),
        ("SHUTDOWN", 7),
        ("SHUTDOWN_ACK", 8),
        ("ERROR", 9),
        ("COOKIE_ECHO", 10),
        ("COOKIE_ACK", 11),
        ("SHUTDOWN_COMPLETE", 14),
    ];
    let (word, is_returned) = word.strip_suffix('!').map_or((word, false), |word| (word, true));
    let (name, announced) = word.split_once(':').map_or((word, None), |(name, tag)| (name, Some(tag)));
    let kind = NAMES.iter().find(|&&(known, _)| known == name).expect("a known chunk").1;
    let body: Vec<u8> = match announced {
        Some(tag) => [tag.parse::<u32>().unwrap().to_be_bytes(), [0; 4], [0; 4], [0; 4]].concat(),
        None => vec![1; 4],
    };
    let mut bytes = vec![kind, u8::from(is_returned), 0, body.len() as u8 + 4];
    bytes.extend(body);
    bytes
}

fn packet(is_reply: bool, tag: u32, chunks: &[u8]) -> Vec<u8> {
    let (mut ports, mut addresses) = ([[0x13, 0x88], [0x0b, 0x59]], [[10, 0, 0, 1], [10, 0, 1, 1]]);
    if is_reply {
        ports.reverse();
        addresses.reverse();
    }
    let total = (32 + chunks.len()) as u16;
    let mut bytes = vec![0x45, 0];
    bytes.extend(total.to_be_bytes());
    bytes.extend([0, 0, 0, 0, 64, 132, 0, 0]);
    bytes.extend(addresses.concat());
    let seal = checksum::seal(checksum::sum(&bytes));
    bytes[10..12].copy_from_slice(&seal);
    bytes.extend(ports.concat());
    bytes.extend(tag.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(chunks);
    let crc = checksum::crc32c(&[&bytes[20..]]);
    bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[track_caller]
fn check(story: &str) {
    let mut engine = Engine::new(&LINUX_6_18);
    let mut told = String::new();
    for line in story.trim().lines() {
        let (sent, _) = line.split_once('=').expect("a packet and what becomes of it");
        let mut words = sent.split_whitespace();
        let is_reply = words.next() == Some("<");
        let tag = words.next().unwrap().parse().unwrap();
        let chunks: Vec<u8> = words.flat_map(chunk).collect();
        let bytes = packet(is_reply, tag, &chunks);
        let outcome = engine.forward(Time::from_secs(1), &Packet::new(&bytes));
        let conn = engine.conns().next();
        let state = match conn.as_ref().map(|conn| conn.info) {
            Some(ProtoInfo::Sctp { state, tags: [original, reply] }) => {
                format!("{state} {original} {reply} {}s", conn.map_or(0, |conn| conn.timeout))
            }
            _ => "nothing".into(),
        };
        let class = outcome.class.word().unwrap_or("-");
        let indent = line.len() - line.trim_start().len();
        told +=
            &format!("\n{:indent$}{}= {class}, {state}, {}", "", sent.trim_start(), outcome.reason.slug());
    }
    assert_eq!(told.trim(), story.trim());
}

#[test]
fn an_association_from_the_first_to_the_last_chunk() {
    check(
        "
        > 0 INIT:7 = NEW, CLOSED 0 7 10s, sctp-new
        < 7 INIT_ACK:9 = ESTABLISHED_REPLY, COOKIE_WAIT 9 7 3s, sctp-accepted
        > 9 COOKIE_ECHO = ESTABLISHED, COOKIE_ECHOED 9 7 3s, sctp-accepted
        < 7 COOKIE_ACK = ESTABLISHED_REPLY, ESTABLISHED 9 7 210s, sctp-accepted
        > 9 DATA = ESTABLISHED, ESTABLISHED 9 7 210s, sctp-accepted
        < 9 SACK = INVALID, ESTABLISHED 9 7 210s, sctp-tag
        > 9 SHUTDOWN = ESTABLISHED, SHUTDOWN_SENT 9 7 3s, sctp-accepted
        < 7 SHUTDOWN_ACK = ESTABLISHED_REPLY, SHUTDOWN_ACK_SENT 9 7 3s, sctp-accepted
        > 9 SHUTDOWN_COMPLETE = ESTABLISHED, CLOSED 9 7 10s, sctp-accepted
        ",
    );
}

#[test]
fn what_opens_an_association() {
    for (chunks, expected) in [
        ("5 INIT:7", "INVALID, nothing, sctp-tag"),
        ("0 INIT:7", "NEW, CLOSED 0 7 10s, sctp-new"),
        ("5 HEARTBEAT", "NEW, HEARTBEAT_SENT 5 0 30s, sctp-new"),
        ("5 HEARTBEAT_ACK", "NEW, CLOSED 5 0 10s, sctp-new"),
        ("5 SHUTDOWN_ACK", "NEW, SHUTDOWN_ACK_SENT 0 5 3s, sctp-new"),
        ("0 COOKIE_ECHO", "NEW, CLOSED 0 0 10s, sctp-new"),
        ("5 COOKIE_ECHO", "INVALID, nothing, sctp-tag"),
        ("0 SHUTDOWN", "NEW, CLOSED 0 0 10s, sctp-new"),
        ("0 DATA", "INVALID, nothing, sctp-new-invalid"),
        ("5 ABORT", "INVALID, nothing, sctp-new-invalid"),
        ("5 HEARTBEAT DATA", "INVALID, nothing, sctp-new-invalid"),
        ("5 HEARTBEAT ERROR", "NEW, CLOSED 5 0 10s, sctp-new"),
        ("5 SACK COOKIE_ACK", "INVALID, nothing, sctp-chunks"),
        ("0 INIT:7 DATA", "INVALID, nothing, sctp-chunks"),
        ("0", "INVALID, nothing, sctp-no-chunk"),
    ] {
        check(&format!("> {chunks} = {expected}"));
    }
}

#[test]
fn an_init_again_does_not_renew_but_its_tag_counts() {
    check(
        "
        > 0 INIT:7 = NEW, CLOSED 0 7 10s, sctp-new
        > 0 INIT:8 = NEW, CLOSED 0 8 10s, sctp-init-again
        < 7 INIT_ACK:9 = INVALID, CLOSED 0 8 10s, sctp-tag
        < 8 INIT_ACK:9 = ESTABLISHED_REPLY, COOKIE_WAIT 9 8 3s, sctp-accepted
        ",
    );
}

#[test]
fn colliding_inits_are_answered_with_their_own_tags() {
    check(
        "
        > 0 INIT:7 = NEW, CLOSED 0 7 10s, sctp-new
        < 0 INIT:9 = ESTABLISHED_REPLY, CLOSED 9 7 10s, sctp-init-again
        < 7 INIT_ACK:5 = INVALID, CLOSED 9 7 10s, sctp-collision
        < 7 INIT_ACK:9 = ESTABLISHED_REPLY, COOKIE_WAIT 9 7 3s, sctp-accepted
        > 9 INIT_ACK:5 = INVALID, COOKIE_WAIT 9 7 3s, sctp-collision
        ",
    );
}

#[test]
fn a_heartbeat_with_a_strange_tag_and_its_answer() {
    check(
        "
        > 5 HEARTBEAT = NEW, HEARTBEAT_SENT 5 0 30s, sctp-new
        < 6 HEARTBEAT_ACK = ESTABLISHED_REPLY, ESTABLISHED 5 6 210s, sctp-accepted
        > 8 HEARTBEAT DATA = INVALID, ESTABLISHED 5 6 210s, sctp-tag
        > 8 HEARTBEAT HEARTBEAT = INVALID, ESTABLISHED 5 6 210s, sctp-tag
        > 5 HEARTBEAT = ESTABLISHED, ESTABLISHED 5 6 210s, sctp-accepted
        < 4 HEARTBEAT_ACK = INVALID, ESTABLISHED 5 6 210s, sctp-tag
        > 8 HEARTBEAT = ESTABLISHED, ESTABLISHED 5 6 210s, sctp-heartbeat
        > 8 HEARTBEAT = ESTABLISHED, ESTABLISHED 5 6 210s, sctp-heartbeat
        < 4 DATA HEARTBEAT_ACK = INVALID, ESTABLISHED 5 6 210s, sctp-tag
        < 4 HEARTBEAT_ACK = ESTABLISHED_REPLY, ESTABLISHED 0 4 210s, sctp-accepted
        > 8 HEARTBEAT = ESTABLISHED, ESTABLISHED 8 4 210s, sctp-accepted
        ",
    );
}

#[test]
fn the_t_bit_returns_the_tag() {
    let opened = "
        > 5 HEARTBEAT = NEW, HEARTBEAT_SENT 5 0 30s, sctp-new
        < 6 HEARTBEAT_ACK = ESTABLISHED_REPLY, ESTABLISHED 5 6 210s, sctp-accepted";
    for (sent, expected) in [
        ("> 5 ABORT", "ESTABLISHED, CLOSED 5 6 10s, sctp-accepted"),
        ("> 6 ABORT", "INVALID, ESTABLISHED 5 6 210s, sctp-tag"),
        ("> 6 ABORT!", "ESTABLISHED, CLOSED 5 6 10s, sctp-accepted"),
        ("< 5 ABORT!", "ESTABLISHED_REPLY, CLOSED 5 6 10s, sctp-accepted"),
    ] {
        check(&format!("{opened}\n        {sent} = {expected}"));
    }
}

/// Chunks before the one that is refused have had their effect.
#[test]
fn a_packet_refused_in_the_middle_leaves_its_first_chunks_behind() {
    check(
        "
        > 5 HEARTBEAT = NEW, HEARTBEAT_SENT 5 0 30s, sctp-new
        < 6 HEARTBEAT_ACK = ESTABLISHED_REPLY, ESTABLISHED 5 6 210s, sctp-accepted
        > 6 SHUTDOWN ABORT = INVALID, SHUTDOWN_SENT 5 6 210s, sctp-tag
        ",
    );
}
