//! States that were saved, restored, changed by hand, and compared.

use serde_json::{Value, json};

use super::State;
use crate::{Engine, Hook, Knob, LINUX_6_18, Packet, Time};

/// A UDP packet between two hosts, `at` the beginning or as a fragment.
fn udp(from: u8, to: u8, fragment: u16) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 36, 0, 7, 0, 0, 64, 17, 0, 0, 10, 0, 0, from, 10, 0, 0, to];
    packet[6..8].copy_from_slice(&fragment.to_be_bytes());
    let seal = crate::wire::checksum::seal(crate::wire::checksum::sum(&packet));
    packet[10..12].copy_from_slice(&seal);
    packet.extend([0, 53, 0, 53, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    packet
}

/// One connection, answered, one that waits for confirmation, and a datagram that waits.
fn engine() -> Engine {
    let mut engine = Engine::new(&LINUX_6_18);
    engine.set(Knob::Acct, 1).unwrap();
    engine.listen();
    engine.forward(Time::from_secs(1), &Packet::new(&udp(1, 2, 0)));
    engine.forward(Time::from_secs(2), &Packet::new(&udp(2, 1, 0)));
    engine.forward(Time::from_secs(2), &Packet::new(&udp(1, 2, 0x2000)));
    engine
}

fn saved(engine: &Engine) -> Value {
    serde_json::to_value(engine.save()).unwrap()
}

#[test]
fn a_restored_engine_is_the_same_and_goes_on_the_same() {
    let mut engine = engine();
    let passage = engine.handle(Time::from_secs(3), Hook::Prerouting, &Packet::new(&udp(3, 4, 0)));
    let state: State = serde_json::from_value(saved(&engine)).unwrap();
    let mut restored = Engine::restore(&state).unwrap();
    assert_eq!(restored.save(), engine.save());
    assert_eq!(state.changes(&restored.save()), []);
    // Who keeps a packet between the hooks finds its connection again by its number.
    let kept: crate::Passage = serde_json::from_value(serde_json::to_value(&passage).unwrap()).unwrap();
    let now = Time::from_secs(4);
    assert_eq!(restored.confirm(now, kept), engine.confirm(now, passage));
    let last = udp(1, 2, 2);
    assert_eq!(restored.forward(now, &Packet::new(&last)), engine.forward(now, &Packet::new(&last)));
    assert_eq!(restored.save(), engine.save());
    assert_eq!(restored.poll_timeout(), engine.poll_timeout());
}

#[test]
fn another_version_is_refused_before_the_rest_is_looked_at() {
    let text = r#"{"version":2,"what":"nobody knows yet"}"#;
    let error = serde_json::from_str::<State>(text).unwrap_err().to_string();
    assert!(error.starts_with("a state of version 2; this program reads version 1"), "{error}");
}

#[test]
fn no_clock_is_without_ticks() {
    for hz in [0, 10_001, u32::MAX] {
        let mut state = saved(&engine());
        state["hz"] = json!(hz);
        let error = serde_json::from_value::<State>(state).unwrap_err().to_string();
        assert_eq!(error, format!("no clock has {hz} ticks a second"));
    }
}

/// A state with one value at a JSON pointer made another, and why it is refused.
#[track_caller]
fn refused(pointer: &str, value: Value, why: &str) {
    let mut state = saved(&engine());
    *state.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
    let state: State = serde_json::from_value(state).unwrap();
    let error = Engine::restore(&state).map(drop).unwrap_err().to_string();
    assert!(error.contains(why), "{pointer}: {error}");
}

#[test]
fn what_does_not_fit_together_is_refused() {
    refused("/profile", json!("bsd"), "the profile `bsd`, which is not known");
    refused("/hz", json!(100), "counts 100 ticks a second, its profile 250");
    refused("/now", json!(1_u64 << 63), "further than can be");
    refused("/table/conns/0/0", json!(4_000_000_000_u32), "slot 4000000000 is not there");
    refused("/table/conns/0/1/number", json!(0), "its number was never given");
    refused("/table/conns/0/1/number", json!(9), "its number was never given");
    refused("/table/conns/0/1/expires", json!(u64::MAX), "longer than any timeout");
    refused("/table/conns/0/1/status", json!(0), "only what is confirmed has a timer");
    refused("/table/conns/0/1/link/list", json!(703), "would not be found in time");
    refused("/table/conns/0/1/link/list", json!(65_534), "would not be found in time");
    refused("/table/conns/0/1/proto", json!("Stateless"), "is not that protocol's");
    refused("/table/conns/0/1/tuples/0/src_id", json!(1), "does not belong there");
    refused("/table/conns/0/1/extra/counters/0/packets", json!(u64::MAX), "counted further");
    refused("/table/rows", json!([]), "not in the index");
    refused("/table/free", json!([0]), "there twice");
    refused("/table/next", json!(u64::MAX), "counted further");
    refused("/table/soonest", json!(u64::MAX), "due before the first");
    refused("/expected/last_number", json!(u64::MAX), "counted further");
    refused("/defrag/queues/0/1/head", json!([0x45]), "holds what no fragments make");
    refused("/defrag/queues/0/1/head/0", json!(0x4f), "holds what no fragments make");
    refused("/defrag/queues/0/1/pieces/end", json!(u32::MAX), "holds what no fragments make");
    refused("/defrag/queues/0/1/memory", json!(1), "holds what no fragments make");
    refused("/defrag/queues/0/1/deadline", json!([u64::MAX, 1]), "longer than it may");
    refused("/defrag/sources", json!([]), "not counted");
    refused("/defrag/made", json!(u64::MAX), "counted further");
}

#[test]
fn changes_are_told_in_words() {
    let mut engine = engine();
    let before = engine.save();
    engine.set(Knob::UdpStream, 90).unwrap();
    engine.forward(Time::from_secs(6), &Packet::new(&udp(1, 2, 0)));
    engine.forward(Time::from_secs(6), &Packet::new(&udp(1, 5, 0)));
    while engine.poll_event().is_some() {}
    let words: Vec<String> = before.changes(&engine.save()).iter().map(ToString::to_string).collect();
    let one = "connection 1 (udp src=10.0.0.1 dst=10.0.0.2 sport=53 dport=53)";
    assert_eq!(
        words,
        [
            "the clock: 2.000000000 s -> 6.000000000 s".to_owned(),
            "net.netfilter.nf_conntrack_udp_timeout_stream: 120 -> 90".to_owned(),
            format!("{one}: status SEEN_REPLY CONFIRMED -> SEEN_REPLY ASSURED CONFIRMED"),
            format!("{one}: dies at 32.000000000 s -> 96.000000000 s"),
            format!("{one}: original side packets 1 bytes 36 -> packets 2 bytes 72"),
            "connection 2 (udp src=10.0.0.1 dst=10.0.0.5 sport=53 dport=53) is new, with 30 s left"
                .to_owned(),
            "events that nobody has fetched: 2 -> 0".to_owned(),
        ]
    );
}

#[test]
fn a_change_that_nobody_can_see_is_still_told() {
    let engine = engine();
    let mut state = saved(&engine);
    *state.pointer_mut("/table/soonest").unwrap() = json!(1);
    let other: State = serde_json::from_value(state).unwrap();
    let words: Vec<String> = engine.save().changes(&other).iter().map(ToString::to_string).collect();
    assert_eq!(words, ["nothing that can be seen: the layout of the table or its timers"]);
}
