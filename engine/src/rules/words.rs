//! The words of rules, as tables: fields with what they are compared to, names of numbers, codes of `reject`.
//!
//! Source: nftables 1.0.6, and for the numbers linux 6.18 include/uapi/linux/netfilter/nf_conntrack_common.h, the
//! IANA registries of protocols, ICMP and ICMPv6.

use crate::outcome::Hook;
use crate::rules::statement::{Policy, Table, Translator};

/// What of a packet or its connection is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    CtState,
    CtStatus,
    CtDirection,
    CtMark,
    CtZone,
    CtExpiration,
    CtHelper,
    Mark,
    L4Protocol,
    Family,
    Iif,
    Oif,
    /// So many bytes of the IPv4 header.
    Ip4(Slice),
    /// So many bytes of the IPv6 header.
    Ip6(Slice),
    /// So many bytes of the header of this transport protocol.
    Transport(u8, Slice),
}

/// Bytes of a header, and which bits of them: `(bytes >> shift) & mask`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slice {
    pub at: u8,
    pub length: u8,
    pub shift: u8,
    pub bits: u8,
}

const fn slice(at: u8, length: u8) -> Slice {
    Slice { at, length, shift: 0, bits: if length > 16 { 128 } else { length * 8 } }
}

/// What a field's values look like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Some of these bits.
    Flags(&'static [(&'static str, u32)]),
    /// A number of so many bits; some have names.
    Number(u8, &'static [(&'static str, u32)]),
    Address4,
    Address6,
    /// An interface's name.
    Name,
    /// A length of time, in milliseconds.
    Time,
    /// A text in quotes.
    Text,
}

pub(super) const TABLES: &[(&str, Table)] =
    &[("raw", Table::Raw), ("mangle", Table::Mangle), ("nat", Table::Nat), ("filter", Table::Filter)];

pub(super) const HOOKS: &[(&str, Hook)] = &[
    ("prerouting", Hook::Prerouting),
    ("input", Hook::Input),
    ("forward", Hook::Forward),
    ("output", Hook::Output),
    ("postrouting", Hook::Postrouting),
];

pub(super) const POLICIES: &[(&str, Policy)] = &[("accept", Policy::Accept), ("drop", Policy::Drop)];

/// `ct state`: one bit for each class.
pub(super) const STATES: &[(&str, u32)] =
    &[("invalid", 1), ("established", 2), ("related", 4), ("new", 8), ("untracked", 64)];

const STATUS: &[(&str, u32)] = &[
    ("expected", 1),
    ("seen-reply", 2),
    ("assured", 4),
    ("confirmed", 8),
    ("snat", 16),
    ("dnat", 32),
    ("dying", 512),
];

const DIRECTIONS: &[(&str, u32)] = &[("original", 0), ("reply", 1)];

pub(super) const TCP_FLAGS: &[(&str, u32)] =
    &[("fin", 1), ("syn", 2), ("rst", 4), ("psh", 8), ("ack", 16), ("urg", 32), ("ecn", 64), ("cwr", 128)];

const PROTOCOLS: &[(&str, u32)] = &[
    ("icmp", 1),
    ("igmp", 2),
    ("tcp", 6),
    ("udp", 17),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("ipv6-icmp", 58),
    ("sctp", 132),
    ("udplite", 136),
];

const FAMILIES: &[(&str, u32)] = &[("ipv4", 2), ("ipv6", 10)];

#[rustfmt::skip]
const DSCP: &[(&str, u32)] = &[
    ("cs0", 0), ("cs1", 8), ("cs2", 16), ("cs3", 24), ("cs4", 32), ("cs5", 40), ("cs6", 48), ("cs7", 56),
    ("af11", 10), ("af12", 12), ("af13", 14), ("af21", 18), ("af22", 20), ("af23", 22), ("af31", 26), ("af32", 28),
    ("af33", 30), ("af41", 34), ("af42", 36), ("af43", 38), ("ef", 46),
];

const ICMP_TYPES: &[(&str, u32)] = &[
    ("echo-reply", 0),
    ("destination-unreachable", 3),
    ("source-quench", 4),
    ("redirect", 5),
    ("echo-request", 8),
    ("router-advertisement", 9),
    ("router-solicitation", 10),
    ("time-exceeded", 11),
    ("parameter-problem", 12),
    ("timestamp-request", 13),
    ("timestamp-reply", 14),
    ("info-request", 15),
    ("info-reply", 16),
    ("address-mask-request", 17),
    ("address-mask-reply", 18),
];

const ICMPV6_TYPES: &[(&str, u32)] = &[
    ("destination-unreachable", 1),
    ("packet-too-big", 2),
    ("time-exceeded", 3),
    ("parameter-problem", 4),
    ("echo-request", 128),
    ("echo-reply", 129),
    ("nd-router-solicit", 133),
    ("nd-router-advert", 134),
    ("nd-neighbor-solicit", 135),
    ("nd-neighbor-advert", 136),
    ("nd-redirect", 137),
];

/// Codes of ICMP's "destination unreachable".
pub(super) const ICMP_CODES: &[(&str, u32)] = &[
    ("net-unreachable", 0),
    ("host-unreachable", 1),
    ("prot-unreachable", 2),
    ("port-unreachable", 3),
    ("frag-needed", 4),
    ("net-prohibited", 9),
    ("host-prohibited", 10),
    ("admin-prohibited", 13),
];

/// Codes of ICMPv6's "destination unreachable".
pub(super) const ICMPV6_CODES: &[(&str, u32)] = &[
    ("no-route", 0),
    ("admin-prohibited", 1),
    ("addr-unreachable", 3),
    ("port-unreachable", 4),
    ("policy-fail", 5),
    ("reject-route", 6),
];

/// `reject with icmpx`: the codes of both families.
///
/// Source: linux 6.18 net/netfilter/nft_reject.c `icmp_code_v4`, `icmp_code_v6`.
pub(super) const ICMPX_CODES: &[(&str, (u8, u8))] = &[
    ("no-route", (0, 0)),
    ("port-unreachable", (3, 4)),
    ("host-unreachable", (1, 3)),
    ("admin-prohibited", (13, 1)),
];

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

pub(super) const IP_PROTOCOL: Field = Field::Ip4(slice(9, 1));
pub(super) const IP6_NEXTHDR: Field = Field::Ip6(slice(6, 1));

/// All fields, by their words.
#[rustfmt::skip]
pub(super) const FIELDS: &[(&str, &str, Field, Kind)] = &[
    ("ct", "state", Field::CtState, Kind::Flags(STATES)),
    ("ct", "status", Field::CtStatus, Kind::Flags(STATUS)),
    ("ct", "direction", Field::CtDirection, Kind::Number(8, DIRECTIONS)),
    ("ct", "mark", Field::CtMark, Kind::Number(32, &[])),
    ("ct", "zone", Field::CtZone, Kind::Number(16, &[])),
    ("ct", "expiration", Field::CtExpiration, Kind::Time),
    ("ct", "helper", Field::CtHelper, Kind::Text),
    ("meta", "mark", Field::Mark, Kind::Number(32, &[])),
    ("meta", "l4proto", Field::L4Protocol, Kind::Number(8, PROTOCOLS)),
    ("meta", "nfproto", Field::Family, Kind::Number(8, FAMILIES)),
    ("iifname", "", Field::Iif, Kind::Name),
    ("oifname", "", Field::Oif, Kind::Name),
    ("ip", "saddr", Field::Ip4(slice(12, 4)), Kind::Address4),
    ("ip", "daddr", Field::Ip4(slice(16, 4)), Kind::Address4),
    ("ip", "protocol", IP_PROTOCOL, Kind::Number(8, PROTOCOLS)),
    ("ip", "dscp", Field::Ip4(Slice { at: 1, length: 1, shift: 2, bits: 6 }), Kind::Number(6, DSCP)),
    ("ip", "ttl", Field::Ip4(slice(8, 1)), Kind::Number(8, &[])),
    ("ip", "length", Field::Ip4(slice(2, 2)), Kind::Number(16, &[])),
    ("ip6", "saddr", Field::Ip6(slice(8, 16)), Kind::Address6),
    ("ip6", "daddr", Field::Ip6(slice(24, 16)), Kind::Address6),
    ("ip6", "nexthdr", IP6_NEXTHDR, Kind::Number(8, PROTOCOLS)),
    ("ip6", "dscp", Field::Ip6(Slice { at: 0, length: 2, shift: 6, bits: 6 }), Kind::Number(6, DSCP)),
    ("ip6", "hoplimit", Field::Ip6(slice(7, 1)), Kind::Number(8, &[])),
    ("ip6", "length", Field::Ip6(slice(4, 2)), Kind::Number(16, &[])),
    ("tcp", "sport", Field::Transport(TCP, slice(0, 2)), Kind::Number(16, &[])),
    ("tcp", "dport", Field::Transport(TCP, slice(2, 2)), Kind::Number(16, &[])),
    ("tcp", "flags", Field::Transport(TCP, slice(13, 1)), Kind::Flags(TCP_FLAGS)),
    ("udp", "sport", Field::Transport(UDP, slice(0, 2)), Kind::Number(16, &[])),
    ("udp", "dport", Field::Transport(UDP, slice(2, 2)), Kind::Number(16, &[])),
    ("sctp", "sport", Field::Transport(SCTP, slice(0, 2)), Kind::Number(16, &[])),
    ("sctp", "dport", Field::Transport(SCTP, slice(2, 2)), Kind::Number(16, &[])),
    ("icmp", "type", Field::Transport(ICMP, slice(0, 1)), Kind::Number(8, ICMP_TYPES)),
    ("icmp", "code", Field::Transport(ICMP, slice(1, 1)), Kind::Number(8, ICMP_CODES)),
    ("icmpv6", "type", Field::Transport(ICMPV6, slice(0, 1)), Kind::Number(8, ICMPV6_TYPES)),
    ("icmpv6", "code", Field::Transport(ICMPV6, slice(1, 1)), Kind::Number(8, ICMPV6_CODES)),
];

/// Statements by their first word, beside those that begin with a field.
pub(super) const STATEMENTS: &[&str] = &["accept", "drop", "reject", "notrack", "counter", "log", "limit"];

/// Statements that translate.
pub(super) const TRANSLATORS: &[(&str, Translator)] = &[
    ("snat", Translator::Source),
    ("dnat", Translator::Destination),
    ("masquerade", Translator::Masquerade),
    ("redirect", Translator::Redirect),
];
