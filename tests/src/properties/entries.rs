//! Entries: their tuples, how they are found, and how they end.

use arbitrary::{Arbitrary, Unstructured};
use conntruth::generate::Traffic;
use conntruth::target::Reference;
use conntruth_engine::{ConnSnapshot, Direction, Engine, LINUX_6_18, Status, Time, Tuple};

/// `invert ∘ invert` is the identity wherever there is an inverse.
pub fn inverting_twice_is_nothing(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    while !bytes.is_empty() {
        let Ok(tuple) = Tuple::arbitrary(&mut bytes) else { return };
        let Some(answer) = tuple.invert() else { continue };
        assert_eq!(answer.invert(), Some(tuple));
        assert_eq!((answer.protocol, answer.family), (tuple.protocol, tuple.family));
        assert_eq!((answer.src, answer.dst), (tuple.dst, tuple.src));
    }
}

/// After every event: all confirmed entries by both tuples, each with its direction; and an entry that only a packet
/// between the hooks knows by no tuple of the table.
pub fn found_by_both_tuples(bytes: &[u8]) {
    each_state(bytes, |engine| {
        for conn in engine.conns() {
            assert!(conn.status.has(Status::CONFIRMED), "only confirmed entries are listed: {conn}");
            let is_translated = conn.status.has(Status::SRC_NAT) || conn.status.has(Status::DST_NAT);
            assert_eq!(conn.original.invert() == Some(conn.reply), !is_translated, "{conn}");
            assert_found(engine, &conn, Direction::Original);
            assert_found(engine, &conn, Direction::Reply);
            // In no other zone.
            let elsewhere = engine.find(&conn.original, conn.zone.wrapping_add(7));
            assert!(elsewhere.is_none_or(|(other, _)| other.id != conn.id));
        }
    });
    unconfirmed_are_not_found(bytes);
}

fn assert_found(engine: &Engine, conn: &ConnSnapshot, direction: Direction) {
    let found = engine.find(conn.tuple(direction), conn.zone);
    // Where both tuples are the same the reply is found, as in the kernel.
    let expected = if conn.original == conn.reply { Direction::Reply } else { direction };
    assert_eq!(found, Some((conn.clone(), expected)), "{direction:?} of {conn}");
}

/// The first packets of stories stop between the hooks: what they made is in no table.
fn unconfirmed_are_not_found(bytes: &[u8]) {
    let traffic = Traffic::decode(bytes);
    let mut engine = Engine::new(&LINUX_6_18);
    let mut kept = Vec::new();
    for arrival in traffic.packets() {
        let packet = conntruth_engine::Packet {
            notrack: arrival.notrack,
            zone: arrival.zone,
            ..conntruth_engine::Packet::new(&arrival.bytes)
        };
        let passage = engine.handle(arrival.at, conntruth_engine::Hook::Prerouting, &packet);
        if let Some(conn) = passage.outcome().conn.and_then(|id| engine.conn(id)) {
            assert!(!conn.status.has(Status::CONFIRMED));
            assert_eq!(engine.find(&conn.original, conn.zone), None);
            assert_eq!(engine.find(&conn.reply, conn.zone), None);
        }
        kept.push(passage);
    }
    assert!(engine.is_empty());
    for passage in kept {
        let _ = engine.discard(passage);
    }
    assert!(engine.is_empty());
}

/// Without further packets: what is left falls, never rises, and ends exactly.
pub fn timeouts_fall(bytes: &[u8]) {
    let mut last = None;
    each_state(bytes, |engine| last = Some(engine.clone()));
    let Some(engine) = last else { return };
    for conn in engine.conns() {
        assert!(conn.deadline > engine.now(), "{conn} is dead at {}", engine.now());
        let mut left = conn.timeout;
        let mut later = engine.clone();
        let all = conn.deadline.since(engine.now()).as_nanos();
        for part in [all / 7, all / 2, all - all / 9, all - 1] {
            later.handle_timeouts(engine.now().plus(Time(part)));
            let Some(still) = later.conn(conn.id) else { panic!("{conn} ended before its time") };
            assert!(still.timeout <= left, "{} of {left} s: {conn}", still.timeout);
            assert_eq!(
                ConnSnapshot { timeout: conn.timeout, delta_secs: conn.delta_secs, ..still.clone() },
                conn
            );
            left = still.timeout;
        }
        later.handle_timeouts(conn.deadline);
        assert_eq!(later.conn(conn.id), None);
        assert!(later.conns().all(|other| other.deadline > conn.deadline));
    }
    let mut later = engine;
    while let Some(at) = later.poll_timeout() {
        later.handle_timeouts(at);
    }
    assert!(later.is_empty());
    assert_eq!(later.fragment_bytes(), [0, 0]);
}

/// Lets the reference see a story, and looks at its engine after every event.
pub(super) fn each_state(bytes: &[u8], mut look: impl FnMut(&Engine)) {
    let traffic = Traffic::decode(bytes);
    let run = traffic.run(&mut Reference::new(&LINUX_6_18), |reference, _, _| look(reference.engine()));
    assert_eq!(run, Ok(()), "{traffic}");
}
