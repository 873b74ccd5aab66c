//! The words the protocols use: TCP's and SCTP's tracker states, in the kernel's order, and the kinds of segment and
//! chunk that move them. The tables over them are the profile's; the rules around the tables are the trackers'.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A state of the TCP tracker, numbered as the kernel numbers them.
///
/// Source: linux 6.18 include/uapi/linux/netfilter/nf_conntrack_tcp.h `enum tcp_conntrack`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[doc(alias = "tcp_conntrack")]
#[allow(missing_docs)]
pub enum TcpState {
    #[default]
    None = 0,
    SynSent = 1,
    SynRecv = 2,
    Established = 3,
    FinWait = 4,
    CloseWait = 5,
    LastAck = 6,
    TimeWait = 7,
    Close = 8,
    /// Both sides have sent a SYN (simultaneous open).
    #[serde(rename = "SYN_SENT2")]
    SynSent2 = 9,
}

impl TcpState {
    /// All of them, in order.
    pub const ALL: [TcpState; 10] = [
        TcpState::None,
        TcpState::SynSent,
        TcpState::SynRecv,
        TcpState::Established,
        TcpState::FinWait,
        TcpState::CloseWait,
        TcpState::LastAck,
        TcpState::TimeWait,
        TcpState::Close,
        TcpState::SynSent2,
    ];

    /// The kernel's word.
    pub const fn word(self) -> &'static str {
        [
            "NONE",
            "SYN_SENT",
            "SYN_RECV",
            "ESTABLISHED",
            "FIN_WAIT",
            "CLOSE_WAIT",
            "LAST_ACK",
            "TIME_WAIT",
            "CLOSE",
            "SYN_SENT2",
        ][self as usize]
    }

    /// From FIN_WAIT to CLOSE: the connection is going, its tuple may be in use again, and a full table may drop it
    /// although it is ASSURED.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_proto_tcp.c `tcp_can_early_drop`.
    pub const fn is_closing(self) -> bool {
        self as u8 >= TcpState::FinWait as u8 && self as u8 <= TcpState::Close as u8
    }
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What kind of segment this is to the table: the first that applies of RST, SYN (with ACK: SYN/ACK), FIN, ACK.
///
/// Source: linux 6.18 net/netfilter/nf_conntrack_proto_tcp.c `get_conntrack_index`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Segment {
    Syn = 0,
    SynAck = 1,
    Fin = 2,
    Ack = 3,
    Rst = 4,
    #[default]
    None = 5,
}

impl Segment {
    /// All of them, in the table's order.
    pub const ALL: [Segment; 6] =
        [Segment::Syn, Segment::SynAck, Segment::Fin, Segment::Ack, Segment::Rst, Segment::None];

    /// The field's word.
    pub const fn word(self) -> &'static str {
        ["SYN", "SYN/ACK", "FIN", "ACK", "RST", "none"][self as usize]
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A state of the SCTP tracker, numbered as the kernel numbers them.
///
/// Source: linux 6.18 include/uapi/linux/netfilter/nf_conntrack_sctp.h `enum sctp_conntrack`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[doc(alias = "sctp_conntrack")]
#[allow(missing_docs)]
pub enum SctpState {
    #[default]
    None = 0,
    Closed = 1,
    CookieWait = 2,
    CookieEchoed = 3,
    Established = 4,
    ShutdownSent = 5,
    ShutdownRecd = 6,
    ShutdownAckSent = 7,
    HeartbeatSent = 8,
}

impl SctpState {
    /// All of them, in order.
    pub const ALL: [SctpState; 9] = [
        SctpState::None,
        SctpState::Closed,
        SctpState::CookieWait,
        SctpState::CookieEchoed,
        SctpState::Established,
        SctpState::ShutdownSent,
        SctpState::ShutdownRecd,
        SctpState::ShutdownAckSent,
        SctpState::HeartbeatSent,
    ];

    /// The kernel's word.
    pub const fn word(self) -> &'static str {
        [
            "NONE",
            "CLOSED",
            "COOKIE_WAIT",
            "COOKIE_ECHOED",
            "ESTABLISHED",
            "SHUTDOWN_SENT",
            "SHUTDOWN_RECD",
            "SHUTDOWN_ACK_SENT",
            "HEARTBEAT_SENT",
        ][self as usize]
    }
}

impl fmt::Display for SctpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
