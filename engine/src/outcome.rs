//! What the tracker says of a packet: its class, its verdict, the entry it belongs to, and why.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::reason::Reason;
use crate::tuple::Direction;

/// Where in the host a packet is seen. Tracking happens at the first two, confirmation at the last two.
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[doc(alias = "nf_inet_hooks")]
pub enum Hook {
    /// A packet that came in by an interface, before routing.
    Prerouting,
    /// For the host itself.
    Input,
    /// Through the host.
    Forward,
    /// Made by the host itself.
    Output,
    /// About to leave.
    Postrouting,
}

impl Hook {
    /// In the order in which a forwarded packet, one for the host and one of the host meet them.
    pub const ALL: [Hook; 5] =
        [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Hook::Prerouting => "prerouting",
            Hook::Input => "input",
            Hook::Forward => "forward",
            Hook::Output => "output",
            Hook::Postrouting => "postrouting",
        }
    }
}

/// What the tracker lets happen. Rules may still drop what it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// The packet goes on.
    Accept,
    /// The tracker itself ends it: a full table, a lost race, a helper that cannot do its work, a datagram that cannot
    /// be put together.
    Drop,
}

/// How a packet relates to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[doc(alias = "ip_conntrack_info")]
pub enum CtInfo {
    /// In original direction while no answer has been seen.
    New,
    /// In original direction of an answered connection.
    Established,
    /// In reply direction.
    EstablishedReply,
    /// About another connection, or announced by one, in original direction.
    Related,
    /// About another connection, in reply direction.
    RelatedReply,
}

impl CtInfo {
    /// The direction the packet travels in.
    pub fn direction(self) -> Direction {
        match self {
            CtInfo::New | CtInfo::Established | CtInfo::Related => Direction::Original,
            CtInfo::EstablishedReply | CtInfo::RelatedReply => Direction::Reply,
        }
    }
}

/// What `ct state` would match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// The packet belongs to an entry.
    Tracked(CtInfo),
    /// The tracker was told, or knows, to leave this packet alone.
    Untracked,
    /// The tracker makes nothing of it; it is accepted unless a rule drops it.
    Invalid,
    /// A fragment held for reassembly (or given up): it has no class yet.
    Held,
    /// It was thrown away before the tracker saw it: by the IP layer, or by a rule in raw.
    Discarded,
}

impl Class {
    /// The word that scripts read (`NEW`, `ESTABLISHED_REPLY`, ..., `FRAGMENT`); `None` for what was discarded.
    pub fn word(self) -> Option<&'static str> {
        Some(match self {
            Class::Tracked(CtInfo::New) => "NEW",
            Class::Tracked(CtInfo::Established) => "ESTABLISHED",
            Class::Tracked(CtInfo::EstablishedReply) => "ESTABLISHED_REPLY",
            Class::Tracked(CtInfo::Related) => "RELATED",
            Class::Tracked(CtInfo::RelatedReply) => "RELATED_REPLY",
            Class::Untracked => "UNTRACKED",
            Class::Invalid => "INVALID",
            Class::Held => "FRAGMENT",
            Class::Discarded => return None,
        })
    }
}

/// A connection's name for as long as the engine lives: 1, 2, 3, ... in the order of creation, never used twice.
///
/// It also remembers where the connection lies in the table, so that finding it again costs nothing; two ids are equal
/// when their numbers are.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct ConnId {
    number: u64,
    pub(crate) slot: u32,
}

impl ConnId {
    pub(crate) const fn new(number: u64, slot: u32) -> ConnId {
        ConnId { number, slot }
    }

    /// The number that people see.
    pub const fn number(self) -> u64 {
        self.number
    }
}

impl From<u64> for ConnId {
    fn from(number: u64) -> ConnId {
        ConnId { number, slot: u32::MAX }
    }
}

impl From<ConnId> for u64 {
    fn from(id: ConnId) -> u64 {
        id.number
    }
}

impl PartialEq for ConnId {
    fn eq(&self, other: &ConnId) -> bool {
        self.number == other.number
    }
}

impl Eq for ConnId {}

impl PartialOrd for ConnId {
    fn partial_cmp(&self, other: &ConnId) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ConnId {
    fn cmp(&self, other: &ConnId) -> Ordering {
        self.number.cmp(&other.number)
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.number)
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

/// The tracker's answer for one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What `ct state` matches on.
    pub class: Class,
    /// What the tracker lets happen.
    pub verdict: Verdict,
    /// The entry the packet's tuple matches (for an ICMP error: the one it is about), as of before a packet that
    /// destroyed it; also for an INVALID packet of a known connection.
    pub conn: Option<ConnId>,
    /// Whether the packet is attached to `conn`: no for INVALID packets.
    pub attached: bool,
    /// The rule that decided, with its numbers.
    pub reason: Reason,
    /// What the connection's helper made of the packet, or that it was expected.
    pub help: Option<Reason>,
}

impl Outcome {
    /// Before anything is known: what a packet's outcome is written over.
    pub(crate) const NONE: Outcome = Outcome {
        class: Class::Untracked,
        verdict: Verdict::Accept,
        conn: None,
        attached: false,
        reason: Reason::Untracked {},
        help: None,
    };
}
