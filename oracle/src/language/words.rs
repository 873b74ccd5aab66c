//! The vocabulary: every word that stands for a number, in tables that reader, printer and runner share, and the search
//! for the word that was meant.

use conntruth_engine::{EventKind, Hook};

use super::ast::Grade;
use super::ast::claim::{ClassWord, ExpectPart};
use super::ast::packet::{IcmpName, Protocol};

/// Protocols that have a word; `proto N` is any.
pub const PROTOCOLS: &[(&str, Protocol, u8)] = &[
    ("tcp", Protocol::Tcp, 6),
    ("udp", Protocol::Udp, 17),
    ("udplite", Protocol::UdpLite, 136),
    ("icmp", Protocol::Icmp(None), 1),
    ("icmpv4", Protocol::Icmp(Some(conntruth_engine::Family::Ipv4)), 1),
    ("icmpv6", Protocol::Icmp(Some(conntruth_engine::Family::Ipv6)), 58),
    ("sctp", Protocol::Sctp, 132),
    ("gre", Protocol::Gre, 47),
];

/// The letters of TCP's flags and their bits, in the order they are printed.
pub const TCP_FLAGS: &[(char, u8)] =
    &[('S', 0x02), ('F', 0x01), ('R', 0x04), ('P', 0x08), ('.', 0x10), ('U', 0x20), ('E', 0x40), ('W', 0x80)];

/// Classes.
pub const CLASSES: &[(&str, ClassWord)] = &[
    ("new", ClassWord::New),
    ("established", ClassWord::Established),
    ("related", ClassWord::Related),
    ("invalid", ClassWord::Invalid),
    ("untracked", ClassWord::Untracked),
    ("held", ClassWord::Held),
    ("discarded", ClassWord::Discarded),
];

/// Grades.
pub const GRADES: &[(&str, Grade)] = &[("must", Grade::Must), ("should", Grade::Should), ("may", Grade::May)];

/// Kinds of events.
pub const EVENTS: &[(&str, EventKind)] = &[
    ("new", EventKind::New),
    ("update", EventKind::Update),
    ("destroy", EventKind::Destroy),
    ("expect-new", EventKind::ExpectNew),
    ("expect-destroy", EventKind::ExpectDestroy),
];

/// Where a packet can be lost.
pub const HOOKS: &[(&str, Hook)] = &[
    ("prerouting", Hook::Prerouting),
    ("input", Hook::Input),
    ("forward", Hook::Forward),
    ("output", Hook::Output),
    ("postrouting", Hook::Postrouting),
];

const fn icmp(words: &'static str, v4: Option<(u8, u8)>, v6: Option<(u8, u8)>) -> IcmpName {
    IcmpName { words, v4, v6 }
}

/// ICMP messages by name, with type and code in ICMP and in ICMPv6.
///
/// Sources: RFC 792, RFC 950, RFC 1256, RFC 1812 (5.2.7), RFC 2710, RFC 3810, RFC 4443, RFC 4861.
#[rustfmt::skip]
pub const ICMP_NAMES: &[IcmpName] = &[
    icmp("echo request",            Some((8, 0)),  Some((128, 0))),
    icmp("echo reply",              Some((0, 0)),  Some((129, 0))),
    icmp("timestamp request",       Some((13, 0)), None),
    icmp("timestamp reply",         Some((14, 0)), None),
    icmp("information request",     Some((15, 0)), Some((139, 0))),
    icmp("information reply",       Some((16, 0)), Some((140, 0))),
    icmp("mask request",            Some((17, 0)), None),
    icmp("mask reply",              Some((18, 0)), None),
    icmp("unreachable net",         Some((3, 0)),  Some((1, 0))),
    icmp("unreachable host",        Some((3, 1)),  Some((1, 3))),
    icmp("unreachable protocol",    Some((3, 2)),  Some((4, 1))),
    icmp("unreachable port",        Some((3, 3)),  Some((1, 4))),
    icmp("unreachable too-big",     Some((3, 4)),  Some((2, 0))),
    icmp("unreachable source-route", Some((3, 5)), Some((1, 7))),
    icmp("unreachable net-prohibited", Some((3, 9)), Some((1, 1))),
    icmp("unreachable host-prohibited", Some((3, 10)), Some((1, 1))),
    icmp("unreachable prohibited",  Some((3, 13)), Some((1, 1))),
    icmp("unreachable policy",      Some((3, 13)), Some((1, 5))),
    icmp("source quench",           Some((4, 0)),  None),
    icmp("redirect net",            Some((5, 0)),  None),
    icmp("redirect host",           Some((5, 1)),  Some((137, 0))),
    icmp("time exceeded",           Some((11, 0)), Some((3, 0))),
    icmp("time reassembly",         Some((11, 1)), Some((3, 1))),
    icmp("parameter problem",       Some((12, 0)), Some((4, 0))),
    icmp("router advertisement",    Some((9, 0)),  Some((134, 0))),
    icmp("router solicitation",     Some((10, 0)), Some((133, 0))),
    icmp("neighbour solicitation",  None,          Some((135, 0))),
    icmp("neighbour advertisement", None,          Some((136, 0))),
    icmp("listener query",          None,          Some((130, 0))),
    icmp("listener report",         None,          Some((131, 0))),
    icmp("listener done",           None,          Some((132, 0))),
    icmp("listener report2",        None,          Some((143, 0))),
];

/// SCTP chunks. Source: RFC 9260 section 3.2.
pub const CHUNKS: &[(&str, u8)] = &[
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

/// IPv6 extension headers; `ext N` is any. Source: RFC 8200 section 4, RFC 4302, RFC 4303, RFC 6275, RFC 7401.
pub const EXTENSIONS: &[(&str, u8)] = &[
    ("hop", 0),
    ("routing", 43),
    ("fragment", 44),
    ("esp", 50),
    ("ah", 51),
    ("none", 59),
    ("dest", 60),
    ("mobility", 135),
    ("hip", 139),
];

/// Whose a key of an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyOf {
    /// One value for each direction.
    Direction,
    /// One value for the entry.
    Entry,
}

/// The keys of an entry, `name=value`, in the order of `conntrack -L`.
pub const KEYS: &[(&str, KeyOf)] = &[
    ("src", KeyOf::Direction),
    ("dst", KeyOf::Direction),
    ("sport", KeyOf::Direction),
    ("dport", KeyOf::Direction),
    ("type", KeyOf::Direction),
    ("code", KeyOf::Direction),
    ("id", KeyOf::Direction),
    ("srckey", KeyOf::Direction),
    ("dstkey", KeyOf::Direction),
    ("packets", KeyOf::Direction),
    ("bytes", KeyOf::Direction),
    ("tag", KeyOf::Direction),
    ("td_end", KeyOf::Direction),
    ("td_maxend", KeyOf::Direction),
    ("td_maxwin", KeyOf::Direction),
    ("td_maxack", KeyOf::Direction),
    ("td_scale", KeyOf::Direction),
    ("td_flags", KeyOf::Direction),
    ("stream_timeout", KeyOf::Entry),
    ("timeout", KeyOf::Entry),
    ("mark", KeyOf::Entry),
    ("zone", KeyOf::Entry),
    ("helper", KeyOf::Entry),
    ("delta-time", KeyOf::Entry),
    ("use", KeyOf::Entry),
];

/// The keys of an expectation, `name=value`, in the order of `conntrack -L expect`. `sport` and `dport` belong to what they
/// stand behind.
pub const EXPECT_KEYS: &[(&str, Option<ExpectPart>)] = &[
    ("proto", Some(ExpectPart::Tuple)),
    ("src", Some(ExpectPart::Tuple)),
    ("dst", Some(ExpectPart::Tuple)),
    ("mask-src", Some(ExpectPart::Mask)),
    ("mask-dst", Some(ExpectPart::Mask)),
    ("master-src", Some(ExpectPart::Master)),
    ("master-dst", Some(ExpectPart::Master)),
    ("sport", None),
    ("dport", None),
    ("zone", Some(ExpectPart::Whole)),
    ("class", Some(ExpectPart::Whole)),
    ("helper", Some(ExpectPart::Whole)),
];

/// The word of a value in one of the tables above.
pub fn word_of<T: PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    table.iter().find(|(_, other)| *other == value).map_or("?", |(word, _)| word)
}

/// The word that was meant, if one is near: the same in another case, one that begins so, or few letters away.
pub fn nearest<'w>(word: &str, among: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let lower = word.to_lowercase();
    let far = (word.chars().count() / 3).max(1);
    among
        .into_iter()
        .filter(|known| !known.is_empty() && *known != word)
        .map(|known| {
            let known_lower = known.to_lowercase();
            let begins = |long: &str, short: &str| short.len() >= 3 && long.starts_with(short);
            let prefix = begins(&known_lower, &lower) || begins(&lower, &known_lower);
            let distance = strsim::osa_distance(&lower, &known_lower);
            (if prefix { distance.min(far) } else { distance }, known)
        })
        .filter(|(distance, known)| *distance <= far && *distance < known.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
