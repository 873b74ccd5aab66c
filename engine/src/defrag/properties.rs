//! What must hold of reassembly for any fragments: nothing panics, memory is what it is counted as and stays under its
//! limit, time ends all, and a datagram that is cut and not tampered with comes out as it was.

use proptest::prelude::{Strategy, any, prop, proptest};

use super::tests::{IN, Piece, give, right};
use super::{Defrag, Gathered, packet_memory};
use crate::sysctl::{Knob, Sysctls};
use crate::time::{Ticks, Time};
use crate::tuple::Family;

fn family() -> impl Strategy<Value = Family> {
    prop::sample::select(vec![Family::Ipv4, Family::Ipv6])
}

/// Fragments that meet, of a few datagrams.
fn pieces() -> impl Strategy<Value = Vec<(u64, Piece)>> {
    let piece = (family(), 0u16..3, 0u16..12, 0u32..70, any::<bool>(), 0u8..4, 0u64..9);
    let piece = piece.prop_map(|(family, id, eighths, length, more, ecn, wait)| {
        let offset = if eighths == 11 { 65_528 } else { eighths * 8 };
        let mut piece = Piece::new(family, offset, &right(0..length), more);
        (piece.id, piece.ecn) = (id, ecn);
        (wait, piece)
    });
    prop::collection::vec(piece, 0..60)
}

/// What is counted is what the datagrams that wait are counted for, and no fewer bytes than they hold.
fn check_memory(defrag: &Defrag) {
    let mut counted = [0; 2];
    for (key, queue) in &defrag.queues {
        counted[key.family as usize] += queue.memory;
        let held: usize = queue.pieces.runs().map(<[u8]>::len).sum::<usize>() + queue.head.len();
        assert!(held as u64 <= queue.memory);
    }
    assert_eq!(counted, defrag.memory);
    assert_eq!(defrag.deadlines.len(), defrag.queues.len());
    let counting = defrag.queues.values().filter(|queue| queue.count.is_some()).count();
    assert_eq!(defrag.sources.values().map(|source| source.waiting as usize).sum::<usize>(), counting);
}

proptest! {
    #[test]
    fn memory_is_bounded_and_time_ends_all(
        pieces in pieces(),
        limit in prop::sample::select(vec![0i64, 3000, 10_000, 4_194_304]),
        distance in 0i64..5,
    ) {
        let mut sysctls = Sysctls::new();
        sysctls.set(Knob::IpfragMaxDist, distance).unwrap();
        sysctls.set(Knob::IpfragLow, 0).unwrap();
        sysctls.set(Knob::Frag6Low, 0).unwrap();
        for knob in [Knob::IpfragHigh, Knob::Frag6High] {
            sysctls.set(knob, limit).unwrap();
        }
        let mut defrag = Defrag::new(Ticks::new(250));
        let mut now = Time::ZERO;
        for (wait, piece) in pieces {
            now = now.plus(Time::from_secs(wait));
            give(&mut defrag, now, IN, &piece, &sysctls);
            check_memory(&defrag);
            let most = limit as u64 + packet_memory(200) + 200;
            assert!(defrag.memory.iter().all(|&held| held <= most));
        }
        while let Some(deadline) = defrag.poll_timeout() {
            defrag.handle_timeouts(deadline);
            check_memory(&defrag);
        }
        assert_eq!((defrag.memory, defrag.queues.len(), defrag.sources.len()), ([0, 0], 0, 0));
    }

    /// Whatever the cuts, the order and the repetitions.
    #[test]
    fn what_is_cut_comes_out_as_it_was(
        family in family(),
        length in 30u32..3000,
        cuts in prop::collection::btree_set(1u32..370, 0..12),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let sysctls = Sysctls::new();
        let mut ends: Vec<u32> = cuts.into_iter().map(|cut| cut * 8).filter(|&cut| cut < length).collect();
        ends.push(length);
        let mut from = 0;
        let mut pieces: Vec<Piece> = Vec::new();
        for end in ends {
            pieces.push(Piece::new(family, from as u16, &right(from..end), end < length));
            from = end;
        }
        if pieces.len() == 1 && family == Family::Ipv4 {
            return Ok(());
        }
        // First in any order with repetitions, then once more from the first to the last.
        let story: Vec<Piece> =
            order.iter().map(|index| index.get(&pieces).clone()).chain(pieces.iter().cloned()).collect();
        let mut defrag = Defrag::new(Ticks::new(250));
        let mut whole = 0;
        for piece in story {
            if let Gathered::Reassembled { bytes, .. } = give(&mut defrag, Time::ZERO, IN, &piece, &sysctls) {
                let header = if family == Family::Ipv4 { 20 } else { 40 };
                assert_eq!(bytes[header..], right(0..length));
                whole += 1;
            }
        }
        assert!(whole > 0);
    }
}
