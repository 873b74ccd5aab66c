//! What the tracker tells listeners: a connection is new, has changed, is gone. In the kernel's order, and merged as
//! the kernel merges: all that one packet changed is one event, delivered when the packet passes confirmation.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::expect::ExpectSnapshot;
use crate::snapshot::ConnSnapshot;
use crate::time::Time;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// Confirmed.
    New,
    /// Changed; see [`Changes`].
    Update,
    /// Removed, by a packet or by its age.
    Destroy,
    /// Its helper expects a connection from now on.
    #[serde(rename = "expect-new")]
    ExpectNew,
    /// A connection that it has announced is not expected any more: it has come, or its time is up.
    #[serde(rename = "expect-destroy")]
    ExpectDestroy,
}

/// A set of changes.
///
/// Source: linux 6.18 include/uapi/linux/netfilter/nf_conntrack_common.h `enum ip_conntrack_events`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[doc(alias = "ip_conntrack_events")]
pub struct Changes(pub u16);

const NAMES: [(&str, Changes); 8] = [
    ("new", Changes::NEW),
    ("related", Changes::RELATED),
    ("destroy", Changes::DESTROY),
    ("reply", Changes::REPLY),
    ("assured", Changes::ASSURED),
    ("protoinfo", Changes::PROTOINFO),
    ("helper", Changes::HELPER),
    ("mark", Changes::MARK),
];

impl Changes {
    /// Made.
    pub const NEW: Changes = Changes(1);
    /// Made, as announced by another.
    pub const RELATED: Changes = Changes(1 << 1);
    /// Gone.
    pub const DESTROY: Changes = Changes(1 << 2);
    /// Answered for the first time.
    pub const REPLY: Changes = Changes(1 << 3);
    /// ASSURED from now on.
    pub const ASSURED: Changes = Changes(1 << 4);
    /// The protocol's state changed.
    pub const PROTOINFO: Changes = Changes(1 << 5);
    /// A helper was attached.
    pub const HELPER: Changes = Changes(1 << 6);
    /// The mark changed.
    pub const MARK: Changes = Changes(1 << 7);

    /// Whether nothing changed.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `changes` are in the set.
    pub const fn has(self, changes: Changes) -> bool {
        self.0 & changes.0 == changes.0
    }

    /// Adds changes.
    pub const fn insert(&mut self, changes: Changes) {
        self.0 |= changes.0;
    }

    /// Their names: `new`, `reply`, `assured`, `protoinfo`, ...
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().filter(move |(_, bit)| self.has(*bit)).map(|(name, _)| *name)
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// One message of the event stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened.
    pub at: Time,
    /// What it is about.
    pub kind: EventKind,
    /// What changed.
    pub changes: Changes,
    /// The connection as it then stood; of an expectation its master.
    pub conn: ConnSnapshot,
    /// The expectation that it is about, where it is about one.
    pub expected: Option<Box<ExpectSnapshot>>,
}
