//! Why: one variant for each rule of the tracker, with the numbers that decided it.
//!
//! The whole list is one table at the end of this file: slug, sentence, rule, source. Slugs are stable: scripts and
//! scenarios name them. Sources name a kernel release, a file and a symbol, or an RFC; no text is taken from either.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::helper::Style;
use crate::states::{SctpState, Segment, TcpState};
use crate::tuple::Direction;

/// A number of a reason, or a word where the rule compares words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A plain number: a sequence number, a length, seconds.
    Number(u64),
    /// A state, a kind of segment, a direction.
    Word(&'static str),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => number.fmt(f),
            Value::Word(word) => word.fmt(f),
        }
    }
}

macro_rules! values {
    ($($number:ty),*; $($word:ty => $to:expr),*) => {
        $(impl From<$number> for Value { fn from(n: $number) -> Value { Value::Number(n.into()) } })*
        $(impl From<$word> for Value { fn from(w: $word) -> Value { Value::Word($to(w)) } })*
    };
}
values!(u8, u16, u32, u64;
    Style => Style::word,
    TcpState => TcpState::word, SctpState => SctpState::word, Segment => Segment::word, Direction => direction_word);

fn direction_word(direction: Direction) -> &'static str {
    match direction {
        Direction::Original => "original",
        Direction::Reply => "reply",
    }
}

/// What is known of a reason without a packet: a row of the table of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ReasonInfo {
    /// The stable name.
    pub slug: &'static str,
    /// The rule in one sentence.
    pub rule: &'static str,
    /// Kernel release, file and symbol, or RFC section.
    pub source: &'static str,
    /// The names of its numbers.
    pub numbers: &'static [&'static str],
}

macro_rules! reasons {
    ($( $(#[doc = $rule:literal])+ $slug:literal $variant:ident { $($number:ident: $type:ty),* } $sentence:literal, $source:expr; )*) => {
        /// Why the tracker answered as it did: one variant for each rule, with its numbers.
        ///
        /// `Display` is the sentence with the numbers in it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[allow(missing_docs)]
        pub enum Reason { $( $(#[doc = $rule])+ $variant { $($number: $type),* }, )* }

        impl Reason {
            /// The table of reasons.
            pub const ALL: &'static [ReasonInfo] = &[ $( ReasonInfo {
                slug: $slug,
                rule: concat!($($rule),+).trim_ascii_start(),
                source: $source,
                numbers: &[$(stringify!($number)),*],
            } ),* ];

            /// The numbers that decided, by name.
            pub fn numbers(&self) -> Vec<(&'static str, Value)> {
                match *self { $( Reason::$variant { $($number),* } => vec![$((stringify!($number), Value::from($number))),*], )* }
            }

            fn index(&self) -> usize {
                #[allow(clippy::items_after_statements)]
                enum Index { $($variant),* }
                match self { $( Reason::$variant { .. } => Index::$variant as usize, )* }
            }
        }

        impl fmt::Display for Reason {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self { $( Reason::$variant { $($number),* } => { $( let _ = $number; )* write!(f, $sentence) } )* }
            }
        }
    };
}

impl Reason {
    /// The reason of a packet that opened a connection in the place of one that was closed.
    pub(crate) fn reopened(self) -> Reason {
        match self {
            Reason::TcpNewSyn { end, window } => Reason::TcpReopened { end, window },
            reason => reason,
        }
    }

    /// The rule's row: slug, sentence, source.
    pub fn info(&self) -> &'static ReasonInfo {
        &Reason::ALL[self.index()]
    }

    /// The stable name, such as `tcp-seq-over`.
    pub fn slug(&self) -> &'static str {
        self.info().slug
    }
}

const IP_INPUT: &str = "linux 6.18 net/ipv4/ip_input.c ip_rcv_core";
const IP6_INPUT: &str = "linux 6.18 net/ipv6/ip6_input.c ip6_rcv_core";
const HOP_BY_HOP: &str = "linux 6.18 net/ipv6/exthdrs.c ip6_parse_tlv";
const CORE: &str = "linux 6.18 net/netfilter/nf_conntrack_core.c nf_conntrack_in";
const RESOLVE: &str = "linux 6.18 net/netfilter/nf_conntrack_core.c resolve_normal_ct";
const L4PROTO: &str = "linux 6.18 net/netfilter/nf_conntrack_core.c get_l4proto";
const TUPLE: &str = "linux 6.18 net/netfilter/nf_conntrack_core.c nf_ct_get_tuple";
const NEW: &str = "linux 6.18 net/netfilter/nf_conntrack_core.c init_conntrack";
const CONFIRM: &str = "linux 6.18 net/netfilter/nf_conntrack_core.c __nf_conntrack_confirm";
const TCP_ERROR: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_tcp.c tcp_error";
const TCP_NEW: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_tcp.c tcp_new";
const TCP: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_tcp.c nf_conntrack_tcp_packet";
const WINDOW: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_tcp.c tcp_in_window";
const UDP: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_udp.c nf_conntrack_udp_packet";
const UDP_ERROR: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_udp.c udp_error";
const UDPLITE: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_udp.c nf_conntrack_udplite_packet";
const UDPLITE_ERROR: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_udp.c udplite_error";
const ICMP: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_icmp.c nf_conntrack_icmp_packet";
const ICMP_ERROR: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_icmp.c nf_conntrack_icmpv4_error";
const ICMP_INET: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_icmp.c nf_conntrack_inet_error";
const ICMPV6: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_icmpv6.c nf_conntrack_icmpv6_packet";
const ICMPV6_ERROR: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_icmpv6.c nf_conntrack_icmpv6_error";
const ICMPV6_REDIRECT: &str =
    "linux 6.18 net/netfilter/nf_conntrack_proto_icmpv6.c nf_conntrack_icmpv6_redirect";
const GRE: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_gre.c nf_conntrack_gre_packet";
const GRE_TUPLE: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_gre.c gre_pkt_to_tuple";
const GENERIC: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_generic.c";
const SCTP: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_sctp.c nf_conntrack_sctp_packet";
const SCTP_NEW: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_sctp.c sctp_new";
const SCTP_ERROR: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_sctp.c sctp_error";
const SCTP_CHUNKS: &str = "linux 6.18 net/netfilter/nf_conntrack_proto_sctp.c do_basic_checks";
const FRAG4: &str = "linux 6.18 net/ipv4/ip_fragment.c ip_frag_queue";
const FRAG6: &str = "linux 6.18 net/ipv6/netfilter/nf_conntrack_reasm.c nf_ct_frag6_queue";
const EXPECT: &str = "linux 6.18 net/netfilter/nf_conntrack_expect.c __nf_ct_expect_check";
const FTP: &str = "linux 6.18 net/netfilter/nf_conntrack_ftp.c help";
const IRC: &str = "linux 6.18 net/netfilter/nf_conntrack_irc.c help";
const TFTP: &str = "linux 6.18 net/netfilter/nf_conntrack_tftp.c tftp_help";
const INET_FRAG: &str = "linux 6.18 net/ipv4/inet_fragment.c";

reasons! {
    // --- before any hook -------------------------------------------------------------------------------------
    /// A packet must begin with a whole IP header.
    "ip-too-short" IpTooShort { length: u32, needed: u32 }
        "{length} bytes are no IP header, which takes {needed}", IP_INPUT;
    /// The version field must be 4 or 6.
    "ip-version" IpVersion { version: u8 } "IP version {version} is neither 4 nor 6", IP_INPUT;
    /// An IPv4 header has at least five words, all of them in the packet.
    "ip-header-length" IpHeaderLength { header: u32, length: u32 }
        "an IP header of {header} bytes does not fit: 20 at least, {length} at most", IP_INPUT;
    /// An IPv4 packet must be as long as its total length says, and that as long as its header.
    "ip-total-length" IpTotalLength { total: u32, length: u32 }
        "total length {total} does not fit a packet of {length} bytes", IP_INPUT;
    /// The IPv4 header's checksum must be right.
    "ip-header-checksum" IpHeaderChecksum {} "the IP header's checksum is wrong", IP_INPUT;
    /// An IPv6 packet must be as long as its payload length says.
    "ip-payload-length" IpPayloadLength { payload: u32, length: u32 }
        "payload length {payload} does not fit: {length} bytes follow the header", IP6_INPUT;
    /// An IPv6 source or destination that no packet on a wire may carry: a multicast source, the loopback address,
    /// a destination of interface-local or reserved multicast scope.
    "ip-address" IpAddress {} "no packet on a wire may carry this IPv6 source or destination", IP6_INPUT;
    /// An IPv6 hop-by-hop header must lie in the packet as a whole.
    "ip-hop-by-hop-length" IpHopByHopLength { header: u32, length: u32 }
        "a hop-by-hop header of {header} bytes does not fit: {length} bytes follow the IPv6 header", HOP_BY_HOP;
    /// The options of an IPv6 hop-by-hop header must be whole, at most eight, each understood or such that it may be
    /// skipped, and padded with at most seven zero bytes at a time.
    "ip-hop-by-hop" IpHopByHop { option: u8, offset: u32 }
        "hop-by-hop option {option} at {offset} ends the packet", HOP_BY_HOP;

    // --- reassembly ------------------------------------------------------------------------------------------
    /// A fragment waits for the rest of its datagram.
    "fragment-held" FragmentHeld { offset: u32, length: u32 }
        "held: {length} bytes at {offset} of a datagram that is not whole yet", INET_FRAG;
    /// A fragment that lies wholly inside what is held, as one piece or as pieces that came in order, is dropped; the
    /// first bytes win.
    "fragment-duplicate" FragmentDuplicate { offset: u32, length: u32 }
        "dropped: {length} bytes at {offset} are held already", INET_FRAG;
    /// A fragment that overlaps others otherwise kills the whole datagram (RFC 5722 for IPv6, the same for IPv4).
    "fragment-overlap" FragmentOverlap { offset: u32, length: u32 }
        "{length} bytes at {offset} overlap what is held: the whole datagram is given up", INET_FRAG;
    /// IPv4: a fragment that contradicts where the datagram is known to end gives the whole datagram up.
    "fragment-end" FragmentEnd { offset: u32, length: u32, end: u32 }
        "{length} bytes at {offset} contradict the datagram's end at {end}: it is given up", FRAG4;
    /// IPv6: a fragment that contradicts where the datagram is known to end is dropped, and the datagram waits on.
    "fragment-refused" FragmentRefused { offset: u32, length: u32, end: u32 }
        "{length} bytes at {offset} contradict the datagram's end at {end}: dropped, the datagram waits on", FRAG6;
    /// A fragment must carry something. IPv4 gives the datagram up; IPv6 drops the fragment, but believes the end it gave.
    "fragment-empty" FragmentEmpty { offset: u32 } "a fragment at {offset} without a byte in it", INET_FRAG;
    /// A datagram must not be longer than 65535 bytes: one that would be is given up, a single IPv6 fragment dropped.
    "fragment-oversize" FragmentOversize { length: u32 } "a datagram of {length} bytes is over 65535", FRAG4;
    /// Fragments must not say both that they can be marked for congestion and that they cannot (RFC 3168 section 5.3).
    "fragment-ecn" FragmentEcn {} "the fragments' ECN codepoints exclude each other: the datagram is given up",
        "linux 6.18 net/ipv4/inet_fragment.c ip_frag_ecn_table";
    /// An IPv4 datagram is emptied when more than `ipfrag_max_dist` fragments of its source have come since its last.
    "fragment-too-far" FragmentTooFar { distance: u32, limit: u32 }
        "held afresh: {distance} fragments of this source since this datagram's last, over {limit}, emptied it",
        "linux 6.18 net/ipv4/ip_fragment.c ip_frag_too_far";
    /// The memory for fragments is bounded: while more than the high threshold is held every fragment is dropped.
    "fragment-memory" FragmentMemory { held: u64, limit: u64 }
        "{held} bytes of fragments are held, the limit is {limit}: dropped", "linux 6.18 net/ipv4/inet_fragment.c inet_frag_find";
    /// An IPv6 fragment header must lie in the packet as a whole.
    "fragment-truncated" FragmentTruncated { length: u32, needed: u32 }
        "the fragment header ends at {needed} of {length} bytes", "linux 6.18 net/ipv6/netfilter/nf_conntrack_reasm.c nf_ct_frag6_gather";

    // --- finding the tuple -----------------------------------------------------------------------------------
    /// Rules or the protocol itself say that this packet is not to be tracked.
    "untracked" Untracked {} "a rule says notrack", CORE;
    /// A rule in raw may end a packet before the tracker has seen it: then it has no class.
    "raw-drop" RawDrop {} "a rule in raw dropped it before the tracker", "linux 6.18 net/netfilter/nf_tables_core.c nft_do_chain";
    /// A fragment that is not the first has no transport header to find.
    "l4-fragment" L4Fragment { offset: u32 } "a fragment at offset {offset} has no transport header", L4PROTO;
    /// The chain of IPv6 extension headers must lead to a transport protocol.
    "l4-not-found" L4NotFound {} "the extension headers lead to no transport header", L4PROTO;
    /// A transport header must be long enough for the keys of its tuple.
    "tuple-too-short" TupleTooShort { length: u32, needed: u32 }
        "{length} bytes of transport header are too few for a tuple, which takes {needed}", TUPLE;
    /// A message without an answer opens no entry: its tuple cannot be inverted.
    "tuple-no-inverse" TupleNoInverse { kind: u8, code: u8 }
        "type {kind} code {code} has no answer, so no entry can be made", NEW;
    /// At `nf_conntrack_max` entries, and with nothing to evict, a new connection is dropped.
    "table-full" TableFull { count: u64, max: u64 } "the table holds {count} of {max} entries: dropped", RESOLVE;
    /// A new entry is confirmed only while nothing else holds one of its tuples.
    "insert-failed" InsertFailed {} "another connection holds this tuple: dropped", CONFIRM;
    /// A clash of two new entries with the same tuples is resolved in favour of the first.
    "clash-resolved" ClashResolved {} "an identical entry was confirmed first; the packet joins it",
        "linux 6.18 net/netfilter/nf_conntrack_core.c nf_ct_resolve_clash";
    /// A clash of two new entries of one flow that were translated differently: the second is kept for a second, where
    /// nothing but its answers finds it.
    "clash-kept" ClashKept {} "another entry of this flow was confirmed first; only answers find this one, for a second",
        "linux 6.18 net/netfilter/nf_conntrack_core.c nf_ct_resolve_clash_harder";

    // --- translation -----------------------------------------------------------------------------------------
    /// Of a packet that is to be translated there must be as much of the transport header as holds what is changed.
    "nat-header" NatHeader {} "what is to be translated does not lie in the packet: dropped",
        "linux 6.18 net/netfilter/nf_nat_proto.c l4proto_manip_pkt";
    /// Where there is translation an ICMP error must be intact, and no redirect about a connection that is translated.
    "nat-error" NatError {} "this ICMP error is damaged, or cannot be translated: dropped",
        "linux 6.18 net/netfilter/nf_nat_proto.c nf_nat_icmp_reply_translation";
    /// `masquerade` and `redirect` need an address of the interface, and what is translated a way to go.
    "nat-no-address" NatNoAddress {} "the interface has no address to translate to: dropped",
        "linux 6.18 net/netfilter/nf_nat_masquerade.c nf_nat_masquerade_ipv4";
    /// A masqueraded connection that leaves by another interface ends: its answers would not come back.
    "nat-interface" NatInterface {} "masqueraded for another interface: the connection ends, the packet is dropped",
        "linux 6.18 net/netfilter/nf_nat_core.c nf_nat_oif_changed";

    // --- TCP -------------------------------------------------------------------------------------------------
    /// A TCP header takes 20 bytes.
    "tcp-truncated" TcpTruncated { length: u32 } "{length} bytes are no TCP header, which takes 20", TCP;
    /// The data offset must be at least five words and inside the segment.
    "tcp-data-offset" TcpDataOffset { header: u32, length: u32 }
        "a TCP header of {header} bytes does not fit a segment of {length}", TCP_ERROR;
    /// The checksum of what arrives must be right while `nf_conntrack_checksum` is on.
    "tcp-checksum" TcpChecksum {} "the TCP checksum is wrong", TCP_ERROR;
    /// Apart from PSH, ECE and CWR only certain flags may stand together.
    "tcp-flags" TcpFlags { flags: u8 } "flags 0x{flags:02x} may not stand together", TCP_ERROR;
    /// A SYN opens a connection.
    "tcp-new-syn" TcpNewSyn { end: u32, window: u32 } "a SYN opens a connection; its sequence ends at {end}", TCP_NEW;
    /// Data or an ACK of an unknown connection picks it up mid-stream while `nf_conntrack_tcp_loose` is on.
    "tcp-pick-up" TcpPickUp { end: u32, window: u32 }
        "picked up mid-stream: sequence ends at {end}, window {window}, checked liberally", TCP_NEW;
    /// With `nf_conntrack_tcp_loose` off only a SYN makes an entry.
    "tcp-not-loose" TcpNotLoose { segment: Segment } "{segment} of an unknown connection, and tcp_loose is 0", TCP_NEW;
    /// Only a SYN, or with `nf_conntrack_tcp_loose` an ACK, makes an entry.
    "tcp-new-invalid" TcpNewInvalid { segment: Segment } "{segment} opens no connection", TCP_NEW;
    /// The table has no such segment in this state.
    "tcp-state" TcpStateInvalid { state: TcpState, segment: Segment, direction: Direction }
        "{segment} makes no sense in {state}", TCP;
    /// A segment the table ignores is accepted, remembered, and changes nothing: the other side may know better.
    "tcp-ignored" TcpIgnored { state: TcpState, segment: Segment, seq: u32, end: u32 }
        "{segment} is ignored in {state}: accepted, state and timeout stay", TCP;
    /// A SYN for a connection that is closed properly, or that its sender has reset, replaces the entry.
    "tcp-reopened" TcpReopened { end: u32, window: u32 } "the old entry was closed; a new one starts with this SYN, ending at {end}", TCP;
    /// The ACK that answers a SYN in LAST_ACK is a challenge ACK (RFC 5961) and changes nothing.
    "tcp-challenge-ack" TcpChallengeAck { ack: u32 } "a challenge ACK ({ack}) to a SYN in LAST_ACK: nothing changes", TCP;
    /// A RST must not lie before what its receiver has acknowledged, while `nf_conntrack_tcp_ignore_invalid_rst` is off.
    "tcp-rst-stale" TcpRstStale { seq: u32, acked: u32 }
        "RST SEQ {seq} is before {acked}, which its receiver has acknowledged", TCP;
    /// SEQ must not lie over the window of the receiver.
    "tcp-seq-over" TcpSeqOver { seq: u32, end: u32, bound: u32, overshot: u32 }
        "SEQ {seq} is over the upper bound {bound} (the receiver's window, {overshot} bytes over at its end {end})", WINDOW;
    /// ACK must not lie over what the receiver has sent.
    "tcp-ack-over" TcpAckOver { ack: u32, bound: u32 }
        "ACK {ack} is over the upper bound {bound}: it acknowledges data not seen yet", WINDOW;
    /// Data that lies wholly under the window was acknowledged before: accepted, nothing changes.
    "tcp-seq-under" TcpSeqUnder { end: u32, bound: u32 }
        "the end {end} is under the lower bound {bound}: retransmitted data, acknowledged before; nothing changes", WINDOW;
    /// An ACK far under what was acknowledged is late: accepted, nothing changes.
    "tcp-ack-under" TcpAckUnder { ack: u32, bound: u32 }
        "ACK {ack} is under the lower bound {bound}: overly delayed; nothing changes", WINDOW;
    /// Data a little over the window is accepted and remembered, in case the receiver takes it.
    "tcp-overshoot" TcpOvershoot { seq: u32, end: u32, bound: u32, overshot: u32 }
        "SEQ {seq} is over the upper bound {bound}, {overshot} bytes more than expected: accepted, its end {end} remembered", WINDOW;
    /// A segment inside both windows moves the state and renews the timeout.
    "tcp-in-window" TcpInWindow { seq: u32, end: u32, ack: u32, bound: u32 }
        "SEQ {seq} to {end} is under {bound}, ACK {ack} is in order", WINDOW;
    /// With `nf_conntrack_tcp_be_liberal`, or after a pick-up, a segment outside the window is accepted as if inside.
    "tcp-liberal" TcpLiberal { seq: u32, end: u32, ack: u32, bound: u32 }
        "outside the window (SEQ {seq} to {end}, upper bound {bound}, ACK {ack}), but taken liberally", WINDOW;
    /// A SYN/ACK that acknowledges a SYN ignored before starts the entry's tracking afresh.
    "tcp-resync" TcpResync { ack: u32 } "the SYN ignored before was real: ACK {ack} answers it, tracking starts afresh", TCP;
    /// Another SYN while unanswered is accepted, and the timeout runs on.
    "tcp-syn-again" TcpSynAgain { end: u32 } "another SYN while nothing has answered: accepted, the timeout runs on", TCP;
    /// A RST closes.
    "tcp-rst" TcpRst { seq: u32, ack: u32 } "RST {seq} closes the connection", TCP;
    /// A RST in the window but not exactly at the next byte keeps the state, and leaves ten seconds for a challenge ACK.
    "tcp-rst-inexact" TcpRstInexact { seq: u32, expected: u32 }
        "RST {seq} is in the window but not at {expected}: the state is kept, a challenge ACK may follow", TCP;
    /// A RST before any answer destroys the entry at once.
    "tcp-rst-unreplied" TcpRstUnreplied { seq: u32 } "RST before any answer was seen: the entry is destroyed", TCP;
    /// After three identical ACKs the timeout is that of a connection that retransmits.
    "tcp-retransmitting" TcpRetransmitting { retransmissions: u32, limit: u32 }
        "the same ACK for the {retransmissions}th time more: the timeout is cut to max_retrans", TCP;

    // --- UDP and UDP-Lite ------------------------------------------------------------------------------------
    /// A UDP header takes 8 bytes.
    "udp-truncated" UdpTruncated { length: u32 } "{length} bytes are no UDP header, which takes 8", UDP_ERROR;
    /// The length field must cover the header and not more than the packet.
    "udp-length" UdpLength { field: u32, length: u32 } "length field {field} does not fit a datagram of {length} bytes", UDP_ERROR;
    /// The checksum of what arrives must be right while `nf_conntrack_checksum` is on; zero says there is none.
    "udp-checksum" UdpChecksum {} "the UDP checksum is wrong", UDP_ERROR;
    /// A datagram before which nothing has answered.
    "udp-unreplied" UdpUnreplied {} "no answer was seen before this packet: the timeout is udp_timeout", UDP;
    /// An answered flow that is not yet two seconds old is no stream.
    "udp-replied" UdpReplied {} "answered, but two seconds have not passed since the flow began: the timeout is udp_timeout", UDP;
    /// An answered flow that lives two seconds after it began is a stream, and ASSURED.
    "udp-stream" UdpStream {} "answered and alive two seconds after the flow began: a stream", UDP;
    /// A UDP-Lite header takes 8 bytes.
    "udplite-truncated" UdpliteTruncated { length: u32 } "{length} bytes are no UDP-Lite header, which takes 8", UDPLITE_ERROR;
    /// The coverage must be zero (all), or at least the header and at most the datagram.
    "udplite-coverage" UdpliteCoverage { coverage: u32, length: u32 }
        "coverage {coverage} does not fit a datagram of {length} bytes", UDPLITE_ERROR;
    /// UDP-Lite must have a checksum.
    "udplite-no-checksum" UdpliteNoChecksum {} "a UDP-Lite checksum of zero is none, and one is needed", UDPLITE_ERROR;
    /// The checksum is verified over the whole datagram with UDP's protocol number, so a rightly sealed one fails.
    "udplite-checksum" UdpliteChecksum {} "the checksum, taken as if the protocol were UDP's, is wrong", UDPLITE_ERROR;
    /// A UDP-Lite datagram before which nothing has answered.
    "udplite-unreplied" UdpliteUnreplied {} "no answer was seen before this packet: the timeout is udp_timeout", UDPLITE;
    /// An answered UDP-Lite flow is a stream at once.
    "udplite-stream" UdpliteStream {} "answered: a stream at once", UDPLITE;

    // --- ICMP ------------------------------------------------------------------------------------------------
    /// An ICMP header takes 8 bytes.
    "icmp-truncated" IcmpTruncated { length: u32 } "{length} bytes are no ICMP header, which takes 8", ICMP_ERROR;
    /// The checksum of what arrives must be right while `nf_conntrack_checksum` is on.
    "icmp-checksum" IcmpChecksum {} "the ICMP checksum is wrong", ICMP_ERROR;
    /// ICMP types over 18 are not known.
    "icmp-type" IcmpType { kind: u8 } "ICMP type {kind} is over 18", ICMP_ERROR;
    /// ICMP belongs to IPv4 and ICMPv6 to IPv6.
    "icmp-family" IcmpFamily { protocol: u8 } "protocol {protocol} does not belong to this family", ICMP;
    /// Only a query opens an entry.
    "icmp-new-invalid" IcmpNewInvalid { kind: u8 } "type {kind} is no query, and answers none that is known", ICMP;
    /// A query opens an entry, or renews one.
    "icmp-query" IcmpQuery { kind: u8, id: u16 } "query type {kind} id {id}", ICMP;
    /// An answer to a query.
    "icmp-reply" IcmpReply { kind: u8, id: u16 } "answer type {kind} id {id} to a known query", ICMP;
    /// An error must quote enough of a packet to find its tuple.
    "icmp-inner-short" IcmpInnerShort { length: u32 } "the {length} bytes quoted are too few to find a connection in", ICMP_INET;
    /// The quoted packet must be of a kind that has an inverse.
    "icmp-inner-no-inverse" IcmpInnerNoInverse {} "the quoted packet has no inverse, so it belongs to no connection", ICMP_INET;
    /// The quoted packet must belong to an entry.
    "icmp-inner-unknown" IcmpInnerUnknown {} "the quoted packet belongs to no known connection", ICMP_INET;
    /// An error must be sent to the sender of the packet it quotes.
    "icmp-wrong-target" IcmpWrongTarget {} "the error is not sent to whom the quoted packet came from", ICMP_INET;
    /// An error about a known connection is RELATED to it and changes nothing about it.
    "icmp-error" IcmpError { kind: u8, code: u8 } "error type {kind} code {code} about a known connection", ICMP_INET;

    // --- ICMPv6 ----------------------------------------------------------------------------------------------
    /// An ICMPv6 header takes 8 bytes.
    "icmpv6-truncated" Icmpv6Truncated { length: u32 } "{length} bytes are no ICMPv6 header, which takes 8", ICMPV6_ERROR;
    /// The checksum of what arrives must be right while `nf_conntrack_checksum` is on.
    "icmpv6-checksum" Icmpv6Checksum {} "the ICMPv6 checksum is wrong", ICMPV6_ERROR;
    /// Neighbour discovery and multicast listener messages are not tracked.
    "icmpv6-untracked" Icmpv6Untracked { kind: u8 } "type {kind} is never tracked", ICMPV6_ERROR;
    /// A redirect must come from a neighbour: hop limit 255 and a link-local source.
    "icmpv6-redirect" Icmpv6Redirect { hop_limit: u8 } "a redirect must have hop limit 255 (here {hop_limit}) and a link-local source", ICMPV6_REDIRECT;
    /// A redirect must be whole.
    "icmpv6-redirect-short" Icmpv6RedirectShort { length: u32 } "{length} bytes are no redirect, which takes 40", ICMPV6_REDIRECT;
    /// A redirect must carry an option.
    "icmpv6-redirect-options" Icmpv6RedirectOptions {} "the redirect carries no option", ICMPV6_REDIRECT;
    /// A query opens an entry, or renews one.
    "icmpv6-query" Icmpv6Query { kind: u8, id: u16 } "query type {kind} id {id}", ICMPV6;
    /// An answer to a query.
    "icmpv6-reply" Icmpv6Reply { kind: u8, id: u16 } "answer type {kind} id {id} to a known query", ICMPV6;
    /// Only a query opens an entry.
    "icmpv6-new-invalid" Icmpv6NewInvalid { kind: u8 } "type {kind} is no query, and answers none that is known", ICMPV6;

    // --- helpers and what they expect ------------------------------------------------------------------------
    /// A new connection that was announced is RELATED to the one that has announced it, whose mark it has.
    "expected" Expected { master: u64 } "connection {master} has announced it", NEW;
    /// Helpers of TCP look only at what belongs to a connection that was answered.
    "help-unanswered" HelpUnanswered {} "its helper looks at nothing before an answer was seen", FTP;
    /// Of FTP only a segment is read that begins right behind a line end of the same side; two such places are known.
    "ftp-not-after-newline" FtpNotAfterNewline { seq: u32 }
        "not read: no line of this side is known to have ended at {seq}", FTP;
    /// Only four commands announce connections: PORT and EPRT of the client, 227 and 229 of the server.
    "ftp-no-command" FtpNoCommand {} "the line announces nothing", FTP;
    /// A line that begins as such a command and is cut short, or goes on otherwise, is dropped: it will come again.
    "ftp-partial" FtpPartial { command: Style, length: u32 }
        "dropped: {length} bytes that begin as {command} does, and do not go on so", FTP;
    /// An address that is not the sender's own announces nothing, while `nf_conntrack_ftp.loose` is off.
    "ftp-foreign-address" FtpForeignAddress { port: u16 }
        "nothing is expected at port {port}: the address is not the sender's", FTP;
    /// FTP has announced a data connection.
    "ftp-expected" FtpExpected { command: Style, port: u16 } "{command} announces a data connection to port {port}", FTP;
    /// TFTP: a request announces that the server will answer from another port.
    "tftp-expected" TftpExpected { opcode: u16, port: u16 }
        "request {opcode}: an answer from any port of the server to port {port} is expected", TFTP;
    /// TFTP: only requests, to read or to write, announce anything.
    "tftp-no-request" TftpNoRequest { opcode: u16 } "opcode {opcode} is no request", TFTP;
    /// IRC: only PRIVMSG can offer a direct connection, and what is not long enough for one is not looked at.
    "irc-no-message" IrcNoMessage {} "the line is no PRIVMSG", IRC;
    /// IRC: an offer is the first thing in a message, long enough, and of a kind that is known.
    "irc-no-offer" IrcNoOffer {} "the message offers no direct connection", IRC;
    /// IRC: an offer has an argument, address and port, and a line end behind them.
    "irc-unreadable" IrcUnreadable {} "an offer of a direct connection that cannot be read",
        "linux 6.18 net/netfilter/nf_conntrack_irc.c parse_dcc";
    /// IRC: who offers must offer an address of his own, and a port.
    "irc-forged" IrcForged { address: u32, port: u16 }
        "nothing is expected at port {port}: the address 0x{address:08x} is not the sender's, or there is no port", IRC;
    /// IRC has offered a direct connection.
    "irc-expected" IrcExpected { port: u16 } "a direct connection to port {port} is offered", IRC;
    /// The same connection cannot be expected twice, in another class or by another connection: the packet is dropped.
    "expect-already" ExpectAlready { port: u16 } "dropped: port {port} is expected already, for another reason", EXPECT;
    /// Two expectations must not take the same packets: the packet that announces the second is dropped.
    "expect-busy" ExpectBusy { port: u16 } "dropped: another connection expects some of the same at port {port}", EXPECT;
    /// A connection that is translated announces a port that is free outside: where none is found the packet is dropped.
    "expect-no-port" ExpectNoPort { port: u16 } "dropped: no port from {port} on is free to be expected at",
        "linux 6.18 net/netfilter/nf_nat_helper.c nf_nat_exp_find_port";
    /// What cannot be written anew is dropped.
    "nat-payload" NatPayload {} "dropped: the payload has no room for the translated announcement",
        "linux 6.18 net/netfilter/nf_nat_helper.c __nf_nat_mangle_tcp_packet";
    /// At `nf_conntrack_expect_max` expectations the packet that announces one more is dropped.
    "expect-full" ExpectFull { count: u64, max: u64 } "dropped: {count} connections are expected, {max} may be", EXPECT;

    // --- GRE, SCTP, all others -------------------------------------------------------------------------------
    /// GRE version 1 carries PPP (PPTP) and nothing else.
    "gre-protocol" GreProtocol { protocol: u16 } "GRE version 1 carries protocol 0x{protocol:04x}, not PPP", GRE_TUPLE;
    /// GRE before which nothing has answered.
    "gre-unreplied" GreUnreplied {} "no answer was seen before this packet: the timeout is gre_timeout", GRE;
    /// Answered GRE is a stream at once.
    "gre-stream" GreStream {} "answered: a stream at once", GRE;
    /// A protocol without a tracker of its own is tracked by its addresses.
    "generic" Generic { protocol: u8 } "protocol {protocol} has no tracker of its own: by addresses alone", GENERIC;
    /// An SCTP common header takes 12 bytes.
    "sctp-truncated" SctpTruncated { length: u32 } "{length} bytes are no SCTP header, which takes 12", SCTP_ERROR;
    /// The CRC32c of what arrives must be right while `nf_conntrack_checksum` is on.
    "sctp-checksum" SctpChecksum {} "the SCTP checksum is wrong", SCTP_ERROR;
    /// Chunks must be whole, and some must stand alone or first.
    "sctp-chunks" SctpChunks { kind: u8, offset: u32 } "chunk type {kind} at {offset} is malformed or out of place", SCTP_CHUNKS;
    /// There must be a chunk.
    "sctp-no-chunk" SctpNoChunk {} "no chunk follows the SCTP header", SCTP_CHUNKS;
    /// The fixed part of an INIT or INIT ACK takes 20 bytes.
    "sctp-init-truncated" SctpInitTruncated { kind: u8, length: u32 }
        "{length} bytes are no chunk of type {kind}, whose fixed part takes 20", SCTP;
    /// Only certain chunks open an association.
    "sctp-new-invalid" SctpNewInvalid { kind: u8 } "chunk type {kind} opens no association", SCTP_NEW;
    /// The verification tag must be the one the peer asked for.
    "sctp-tag" SctpTag { tag: u32, expected: u32 } "verification tag 0x{tag:08x}, expected 0x{expected:08x}", SCTP;
    /// When both sides have sent an INIT, or the one answered has not, an INIT ACK with another tag than is known is stale.
    "sctp-collision" SctpCollision { tag: u32, known: u32 } "INIT ACK with tag 0x{tag:08x} while 0x{known:08x} is known: stale", SCTP;
    /// The table has no such chunk in this state.
    "sctp-state" SctpStateInvalid { state: SctpState, kind: u8, direction: Direction } "chunk type {kind} makes no sense in {state}", SCTP;
    /// A retransmitted INIT is accepted and does not renew the timeout.
    "sctp-init-again" SctpInitAgain {} "another INIT while nothing has answered: accepted, the timeout runs on", SCTP;
    /// A heartbeat with a strange tag may come from a peer that moved: accepted once, nothing renewed.
    "sctp-heartbeat" SctpHeartbeat { tag: u32 } "a heartbeat with the strange tag 0x{tag:08x}: accepted, nothing renewed", SCTP;
    /// A packet that opens an association.
    "sctp-new" SctpNew { state: SctpState } "opens an association in {state}", SCTP_NEW;
    /// Chunks that move or keep the state.
    "sctp-accepted" SctpAccepted { state: SctpState } "accepted; the association is in {state}", SCTP;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_unique_and_every_reason_cites_a_source() {
        let mut slugs: Vec<_> = Reason::ALL.iter().map(|info| info.slug).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), Reason::ALL.len());
        assert!(
            Reason::ALL.iter().all(|info| info.source.starts_with("linux 6.18 ") && !info.rule.is_empty())
        );
    }

    #[test]
    fn a_reason_says_its_numbers() {
        let reason = Reason::TcpSeqOver { seq: 5_000_000, end: 5_000_000, bound: 8694, overshot: 4_991_307 };
        assert_eq!(reason.slug(), "tcp-seq-over");
        assert!(reason.to_string().starts_with("SEQ 5000000 is over the upper bound 8694"));
        assert_eq!(reason.numbers()[2], ("bound", Value::Number(8694)));
    }
}
