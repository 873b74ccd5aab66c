//! Rules of reassembly as stories: a fragment `from-to`, `+` when more follow, `!` when its bytes are wrong ones, and what
//! becomes of it. Each was asked of the running kernel (6.18.44), which answered the same.

use super::{Defrag, Gathered, Place};
use crate::outcome::Hook;
use crate::reason::Reason;
use crate::sysctl::{Knob, Sysctls};
use crate::time::{Ticks, Time};
use crate::tuple::Family;
use crate::wire::checksum;
use crate::wire::ip;

const PROTOCOL: u8 = 99;
pub(super) const IN: Place = Place { hook: Hook::Prerouting, zone: 0 };

/// A fragment as a test describes it.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    family: Family,
    pub id: u16,
    offset: u16,
    data: Vec<u8>,
    more: bool,
    protocol: u8,
    /// ECN codepoint.
    pub ecn: u8,
    /// IPv4's bit that forbids fragmentation.
    dont: bool,
    /// IPv4 options, or IPv6 headers before the fragment header, the first of which is a destination options header.
    extra: Vec<u8>,
}

impl Piece {
    pub fn new(family: Family, offset: u16, data: &[u8], more: bool) -> Piece {
        let (data, extra) = (data.to_vec(), Vec::new());
        Piece { family, id: 1, offset, data, more, protocol: PROTOCOL, ecn: 0, dont: false, extra }
    }

    fn bytes(&self) -> Vec<u8> {
        match self.family {
            Family::Ipv4 => self.ipv4(),
            Family::Ipv6 => self.ipv6(),
        }
    }

    fn ipv4(&self) -> Vec<u8> {
        let header = 20 + self.extra.len();
        let total = (header + self.data.len()) as u16;
        let field = (self.offset / 8) | (u16::from(self.more) << 13) | (u16::from(self.dont) << 14);
        let mut bytes = vec![0x40 | (header / 4) as u8, self.ecn];
        for word in [total, self.id, field, 0x4000 | u16::from(self.protocol), 0] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend([10, 0, 0, 1, 10, 0, 1, 1]);
        bytes.extend(&self.extra);
        let seal = checksum::seal(checksum::sum(&bytes));
        bytes[10..12].copy_from_slice(&seal);
        bytes.extend(&self.data);
        bytes
    }

    fn ipv6(&self) -> Vec<u8> {
        let payload = (self.extra.len() + 8 + self.data.len()) as u16;
        let first = if self.extra.is_empty() { 44 } else { 60 };
        let mut bytes = vec![0x60, self.ecn << 4, 0, 0];
        bytes.extend(payload.to_be_bytes());
        bytes.extend([first, 64]);
        bytes.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend([0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend(&self.extra);
        bytes.extend([self.protocol, 0]);
        bytes.extend((self.offset | u16::from(self.more)).to_be_bytes());
        bytes.extend(u32::from(self.id).to_be_bytes());
        bytes.extend(&self.data);
        bytes
    }
}

/// The right byte at each place.
pub(super) fn right(range: std::ops::Range<u32>) -> Vec<u8> {
    range.map(|at| (at * 7 + at / 256) as u8).collect()
}

fn word(gathered: &Gathered) -> String {
    match gathered {
        Gathered::Whole => "no-fragment".into(),
        Gathered::Reassembled { bytes, .. } => {
            let header = if bytes[0] >> 4 == 4 { usize::from(bytes[0] & 15) * 4 } else { 40 };
            let payload = &bytes[header..];
            let is_right = payload == right(0..payload.len() as u32);
            format!("whole:{}{}", payload.len(), if is_right { "" } else { "!" })
        }
        Gathered::Pass => "pass".into(),
        Gathered::Held(reason) | Gathered::Dropped(reason) => {
            reason.slug().strip_prefix("fragment-").unwrap_or(reason.slug()).into()
        }
    }
}

pub(super) fn give(
    defrag: &mut Defrag,
    at: Time,
    place: Place,
    piece: &Piece,
    sysctls: &Sysctls,
) -> Gathered {
    let bytes = piece.bytes();
    let datagram = ip::receive(&bytes, false).expect("a good header");
    defrag.handle(at, place, &datagram, false, sysctls)
}

/// Plays a story and compares what becomes of each fragment.
#[track_caller]
fn check(family: Family, story: &str) {
    let (mut defrag, sysctls) = (Defrag::new(Ticks::new(250)), Sysctls::new());
    let mut told = Vec::new();
    for step in story.split(", ") {
        let (fragment, _) = step.split_once(' ').expect("a fragment and a word");
        let range = fragment.trim_end_matches(['+', '!']);
        let (from, to) = range.split_once('-').expect("from-to");
        let (from, to): (u32, u32) = (from.parse().unwrap(), to.parse().unwrap());
        let mut data = right(from..to);
        if fragment.contains('!') {
            data.iter_mut().for_each(|byte| *byte = !*byte);
        }
        let piece = Piece::new(family, from as u16, &data, fragment.contains('+'));
        let gathered = give(&mut defrag, Time::ZERO, IN, &piece, &sysctls);
        told.push(format!("{fragment} {}", word(&gathered)));
    }
    assert_eq!(told.join(", "), story);
}

#[track_caller]
fn check_both(story: &str) {
    check(Family::Ipv4, story);
    check(Family::Ipv6, story);
}

#[test]
fn pieces_come_in_any_order() {
    check_both("0-16+ held, 16-24 whole:24");
    check_both("16-24 held, 0-16+ whole:24");
    check_both("8-16+ held, 16-21 held, 0-8+ whole:21");
    check_both("16-24+ held, 24-32 held, 0-8+ held, 8-16+ whole:32");
}

#[test]
fn duplicates_are_dropped_and_the_first_bytes_win() {
    check_both("0-16+ held, 0-16+! duplicate, 8-16+! duplicate, 16-24 whole:24");
    check_both("0-8+ held, 8-16+ held, 0-16+! duplicate, 16-24 whole:24");
    // A duplicate's end is believed all the same.
    check(Family::Ipv4, "0-16+ held, 8-16! duplicate, 16-24 end");
    check(Family::Ipv6, "0-16+ held, 8-16! duplicate, 16-24 refused");
}

#[test]
fn other_overlaps_give_the_datagram_up() {
    check_both("8-16+ held, 0-8+ held, 0-16+ overlap, 16-24 held, 0-16+ whole:24");
    check_both("0-16+ held, 8-24+ overlap, 16-24 held, 0-16+ whole:24");
    check_both("16-32+ held, 8-24+ overlap, 0-8+ held");
    check_both("8-16+ held, 0-24+ overlap, 0-8+ held");
}

#[test]
fn contradicting_ends() {
    // IPv4 gives up, and what follows waits anew; IPv6 drops the offender alone.
    check(Family::Ipv4, "0-8+ held, 16-24 held, 16-32 end, 8-16+ held, 16-24 held, 0-8+ whole:24");
    check(Family::Ipv6, "0-8+ held, 16-24 held, 16-32 refused, 8-16+ whole:24");
    check(Family::Ipv4, "16-32+ held, 8-16 end, 0-8+ held");
    check(Family::Ipv6, "8-24+ held, 0-8 refused, 0-8+ held, 24-32 whole:32");
    check(Family::Ipv6, "16-24 held, 24-32+ refused, 0-16+ whole:24");
}

#[test]
fn empty_fragments() {
    check(Family::Ipv4, "0-8+ held, 8-8+ empty, 8-16 held, 0-8+ whole:16");
    check(Family::Ipv6, "0-8+ held, 8-8+ empty, 8-16 whole:16");
    // An empty last one is dropped, yet its end is believed, and the next piece that is held may complete.
    check(Family::Ipv6, "8-16+ held, 16-16 empty, 0-8+ whole:16");
    check(Family::Ipv6, "0-16+ held, 16-16 empty, 16-24 refused");
    // One far beyond raises the expected end.
    check(Family::Ipv6, "0-8+ held, 80-80+ empty, 8-16 refused");
    // A first one holds no transport header: see the next test.
    check(Family::Ipv6, "0-0+ pass, 0-8+ held, 8-16 whole:16");
}

#[test]
fn lengths_that_are_no_multiple_of_eight() {
    check(Family::Ipv4, "0-19+ held, 16-24 whole:24");
    check(Family::Ipv4, "0-4+ empty, 0-8+ held");
    check(Family::Ipv6, "0-16+ held, 16-20+ pass, 16-24 held, 0-16+ whole:24");
}

#[test]
fn datagrams_that_are_too_long() {
    check(Family::Ipv4, "65528-65537 held, 0-65488+ held, 65488-65528+ oversize");
    check(Family::Ipv6, "0-8+ held, 65528-65536+ oversize, 8-16 whole:16");
}

#[test]
fn a_first_ipv6_fragment_without_its_transport_header_goes_on_as_it_is() {
    let sysctls = Sysctls::new();
    for (protocol, needed) in [(6, 20), (17, 8), (58, 8), (132, 1)] {
        for (length, expected) in [((needed - 1) & !7, "pass"), ((needed + 7) & !7, "held")] {
            let mut piece = Piece::new(Family::Ipv6, 0, &right(0..length), true);
            piece.protocol = protocol;
            let mut defrag = Defrag::new(Ticks::new(250));
            let gathered = give(&mut defrag, Time::ZERO, IN, &piece, &sysctls);
            assert_eq!(word(&gathered), expected, "protocol {protocol}, {length} bytes");
        }
    }
}

#[test]
fn an_atomic_ipv6_fragment_only_loses_its_header() {
    check(Family::Ipv6, "0-13 whole:13");
}

#[test]
fn ecn_codepoints_that_exclude_each_other_end_the_datagram() {
    let sysctls = Sysctls::new();
    for family in [Family::Ipv4, Family::Ipv6] {
        for first in 0..4 {
            for second in 0..4 {
                let mut defrag = Defrag::new(Ticks::new(250));
                let mut piece = Piece::new(family, 0, &right(0..8), true);
                piece.ecn = first;
                give(&mut defrag, Time::ZERO, IN, &piece, &sysctls);
                let mut piece = Piece::new(family, 8, &right(8..16), false);
                piece.ecn = second;
                let gathered = give(&mut defrag, Time::ZERO, IN, &piece, &sysctls);
                let marked = match gathered {
                    Gathered::Reassembled { bytes, .. } if family == Family::Ipv4 => Some(bytes[1] & 3),
                    Gathered::Reassembled { bytes, .. } => Some(bytes[1] >> 4 & 3),
                    Gathered::Dropped(Reason::FragmentEcn {}) => None,
                    other => panic!("{other:?}"),
                };
                let expected = match (first, second) {
                    (a, b) if a == b => Some(a),
                    (0, _) | (_, 0) => None,
                    (3, _) | (_, 3) => Some(3),
                    (a, _) => Some(a),
                };
                assert_eq!(marked, expected, "{family:?} {first} {second}");
            }
        }
    }
}

#[test]
fn a_reassembled_ipv4_header_is_the_first_fragments_made_right() {
    let (mut defrag, sysctls) = (Defrag::new(Ticks::new(250)), Sysctls::new());
    let mut last = Piece::new(Family::Ipv4, 16, &right(16..24), false);
    last.extra = vec![1, 1, 1, 1, 1, 1, 1, 1];
    give(&mut defrag, Time::ZERO, IN, &last, &sysctls);
    let mut first = Piece::new(Family::Ipv4, 0, &right(0..16), true);
    first.extra = vec![7, 3, 4, 0];
    let Gathered::Reassembled { bytes, .. } = give(&mut defrag, Time::ZERO, IN, &first, &sysctls) else {
        panic!("not whole")
    };
    let mut whole = Piece::new(Family::Ipv4, 0, &right(0..24), false);
    whole.extra = first.extra;
    assert_eq!(bytes, whole.bytes());
}

/// The bit that forbids fragmentation stays when a fragment that had it was as large as any, header included.
#[test]
fn dont_fragment_is_kept_when_the_largest_fragment_had_it() {
    let sysctls = Sysctls::new();
    for (first, second, size, kept) in
        [(true, true, 8, true), (false, false, 8, false), (true, false, 8, true), (false, true, 8, false)]
    {
        let mut defrag = Defrag::new(Ticks::new(250));
        let mut piece = Piece::new(Family::Ipv4, 0, &right(0..16), true);
        piece.dont = first;
        give(&mut defrag, Time::ZERO, IN, &piece, &sysctls);
        let mut piece = Piece::new(Family::Ipv4, 16, &right(16..16 + size), false);
        piece.dont = second;
        let Gathered::Reassembled { bytes, .. } = give(&mut defrag, Time::ZERO, IN, &piece, &sysctls) else {
            panic!("not whole")
        };
        assert_eq!((bytes[6], bytes[7]), (if kept { 0x40 } else { 0 }, 0), "{first} {second}");
    }
}

#[test]
fn the_kernels_byte_for_the_place_of_the_next_header_overflows() {
    let (mut defrag, sysctls) = (Defrag::new(Ticks::new(250)), Sysctls::new());
    let mut piece = Piece::new(Family::Ipv6, 0, &right(0..8), false);
    piece.extra = vec![60, 31];
    piece.extra.resize(256, 0);
    piece.extra.extend([44, 0, 1, 4, 0, 0, 0, 0]);
    let Gathered::Reassembled { bytes, .. } = give(&mut defrag, Time::ZERO, IN, &piece, &sysctls) else {
        panic!("not whole")
    };
    // The second header, at 296, still names the fragment header; the first, at 40, has got the new value.
    assert_eq!((bytes[296], bytes[40]), (44, PROTOCOL));
}

#[test]
fn what_tells_datagrams_apart() {
    let sysctls = Sysctls::new();
    let output = Place { hook: Hook::Output, zone: 0 };
    let zone = Place { hook: Hook::Prerouting, zone: 1 };
    for family in [Family::Ipv4, Family::Ipv6] {
        let first = Piece::new(family, 0, &right(0..8), true);
        let last = Piece::new(family, 8, &right(8..16), false);
        let mut defrag = Defrag::new(Ticks::new(250));
        give(&mut defrag, Time::ZERO, IN, &first, &sysctls);
        for place in [output, zone] {
            assert_eq!(word(&give(&mut defrag, Time::ZERO, place, &last, &sysctls)), "held");
        }
        let mut other = last.clone();
        other.id = 2;
        assert_eq!(word(&give(&mut defrag, Time::ZERO, IN, &other, &sysctls)), "held");
        let mut other = last.clone();
        other.protocol = 98;
        let expected = if family == Family::Ipv4 { "held" } else { "whole:16" };
        assert_eq!(word(&give(&mut defrag, Time::ZERO, IN, &other, &sysctls)), expected);
    }
}

#[test]
fn a_datagram_is_given_up_at_its_time_whatever_comes_in_between() {
    let sysctls = Sysctls::new();
    for (family, seconds) in [(Family::Ipv4, 30), (Family::Ipv6, 60)] {
        for (nanos, expected) in
            [(Time::from_secs(seconds).0 - 1, "whole:24"), (Time::from_secs(seconds).0, "held")]
        {
            let mut defrag = Defrag::new(Ticks::new(250));
            let piece = |from: u32, to: u32, more| Piece::new(family, from as u16, &right(from..to), more);
            give(&mut defrag, Time::ZERO, IN, &piece(0, 8, true), &sysctls);
            assert_eq!(defrag.poll_timeout(), Some(Time::from_secs(seconds)));
            give(&mut defrag, Time::from_secs(seconds / 2), IN, &piece(8, 16, true), &sysctls);
            let gathered = give(&mut defrag, Time(nanos), IN, &piece(16, 24, false), &sysctls);
            assert_eq!(word(&gathered), expected, "{family:?} at {nanos}");
        }
    }
}

#[test]
fn a_timeout_of_zero_ends_with_the_tick() {
    let mut sysctls = Sysctls::new();
    sysctls.set(Knob::IpfragTime, 0).unwrap();
    let mut defrag = Defrag::new(Ticks::new(250));
    let first = Piece::new(Family::Ipv4, 0, &right(0..8), true);
    give(&mut defrag, Time::ZERO, IN, &first, &sysctls);
    assert_eq!(defrag.poll_timeout(), Some(Time(4_000_000)));
    defrag.handle_timeouts(Time(4_000_000));
    assert_eq!((defrag.poll_timeout(), defrag.memory), (None, [0, 0]));
}

/// `ipfrag_max_dist`: so many fragments of the source may come in between, and one more empties the datagram.
#[test]
fn an_ipv4_datagram_is_emptied_when_too_many_others_of_its_source_come_in_between() {
    for (limit, others, expected) in
        [(64, 63, "whole:16"), (64, 64, "too-far"), (3, 3, "too-far"), (0, 200, "whole:16")]
    {
        let mut sysctls = Sysctls::new();
        sysctls.set(Knob::IpfragMaxDist, limit).unwrap();
        let mut defrag = Defrag::new(Ticks::new(250));
        give(&mut defrag, Time::ZERO, IN, &Piece::new(Family::Ipv4, 0, &right(0..8), true), &sysctls);
        for id in 0..others {
            let mut other = Piece::new(Family::Ipv4, 0, &right(0..8), true);
            other.id = 1000 + id;
            give(&mut defrag, Time::ZERO, IN, &other, &sysctls);
        }
        let last = Piece::new(Family::Ipv4, 8, &right(8..16), false);
        let gathered = give(&mut defrag, Time::from_secs(10), IN, &last, &sysctls);
        assert_eq!(word(&gathered), expected, "limit {limit}, {others} others");
        if expected == "too-far" {
            // It waits anew, and for its full time.
            defrag.handle_timeouts(Time::from_secs(30));
            let first = Piece::new(Family::Ipv4, 0, &right(0..8), true);
            let gathered = give(&mut defrag, Time(Time::from_secs(40).0 - 1), IN, &first, &sysctls);
            assert_eq!(word(&gathered), "whole:16");
        }
    }
}

/// 985 first halves of 8 bytes fit under a million, at 832 bytes a packet and 184 (IPv6) or 200 (IPv4) a datagram.
#[test]
fn memory_is_bounded_and_given_back() {
    for (family, knob, fit) in [(Family::Ipv4, Knob::IpfragHigh, 969), (Family::Ipv6, Knob::Frag6High, 985)] {
        let mut sysctls = Sysctls::new();
        sysctls.set(Knob::IpfragLow, 0).unwrap();
        sysctls.set(Knob::Frag6Low, 0).unwrap();
        sysctls.set(knob, 1_000_000).unwrap();
        let mut defrag = Defrag::new(Ticks::new(250));
        let mut held = 0;
        for id in 0..1500 {
            let mut piece = Piece::new(family, 0, &right(0..8), true);
            piece.id = id;
            held += usize::from(word(&give(&mut defrag, Time::ZERO, IN, &piece, &sysctls)) == "held");
        }
        assert_eq!(held, fit, "{family:?}");
        // Even the last piece of a datagram that waits is dropped then.
        let last = Piece::new(family, 8, &right(8..16), false);
        assert_eq!(word(&give(&mut defrag, Time::ZERO, IN, &last, &sysctls)), "memory");
        defrag.handle_timeouts(Time::from_secs(100));
        assert_eq!((defrag.memory, defrag.queues.len(), defrag.sources.len()), ([0, 0], 0, 0));
    }
}
