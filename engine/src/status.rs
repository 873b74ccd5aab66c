//! The bits of a connection, under the kernel's names.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A set of status bits.
///
/// Source: linux 6.18 include/uapi/linux/netfilter/nf_conntrack_common.h `enum ip_conntrack_status`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[doc(alias = "ip_conntrack_status")]
pub struct Status(pub u32);

/// Name and bit, lowest first.
const NAMES: [(&str, Status); 13] = [
    ("EXPECTED", Status::EXPECTED),
    ("SEEN_REPLY", Status::SEEN_REPLY),
    ("ASSURED", Status::ASSURED),
    ("CONFIRMED", Status::CONFIRMED),
    ("SRC_NAT", Status::SRC_NAT),
    ("DST_NAT", Status::DST_NAT),
    ("SEQ_ADJUST", Status::SEQ_ADJUST),
    ("SRC_NAT_DONE", Status::SRC_NAT_DONE),
    ("DST_NAT_DONE", Status::DST_NAT_DONE),
    ("DYING", Status::DYING),
    ("FIXED_TIMEOUT", Status::FIXED_TIMEOUT),
    ("NAT_CLASH", Status::NAT_CLASH),
    ("HELPER", Status::HELPER),
];

impl Status {
    /// Announced by another connection.
    pub const EXPECTED: Status = Status(1);
    /// An answer was seen.
    pub const SEEN_REPLY: Status = Status(1 << 1);
    /// Not to be evicted when the table is full.
    pub const ASSURED: Status = Status(1 << 2);
    /// In the table: its first packet left the host.
    pub const CONFIRMED: Status = Status(1 << 3);
    /// The source is translated.
    pub const SRC_NAT: Status = Status(1 << 4);
    /// The destination is translated.
    pub const DST_NAT: Status = Status(1 << 5);
    /// Sequence numbers are adjusted.
    pub const SEQ_ADJUST: Status = Status(1 << 6);
    /// Source translation was decided.
    pub const SRC_NAT_DONE: Status = Status(1 << 7);
    /// Destination translation was decided.
    pub const DST_NAT_DONE: Status = Status(1 << 8);
    /// Being removed.
    pub const DYING: Status = Status(1 << 9);
    /// Packets do not renew the timeout.
    pub const FIXED_TIMEOUT: Status = Status(1 << 10);
    /// Another connection has its original tuple: only answers find it, and no listing shows it.
    pub const NAT_CLASH: Status = Status(1 << 12);
    /// Has a helper.
    pub const HELPER: Status = Status(1 << 13);

    /// Whether all of `bits` are set.
    pub const fn has(self, bits: Status) -> bool {
        self.0 & bits.0 == bits.0
    }

    /// Sets bits.
    pub const fn insert(&mut self, bits: Status) {
        self.0 |= bits.0;
    }

    /// The names of the bits that are set, without the kernel's `IPS_`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().filter(move |(_, bit)| self.has(*bit)).map(|(name, _)| *name)
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
