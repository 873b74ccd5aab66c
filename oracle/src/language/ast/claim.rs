//! What a story asserts: about the packet of a step ([`Claims`]), or about the table, a flow or the events at that
//! moment ([`Check`]). Every part has a span of its own, so that `--bless` replaces a part and leaves what stands
//! around it.

use std::net::IpAddr;

use conntruth_engine::{Changes, EventKind, ExpectFlags, Status};

use super::host::HostCheck;
use super::packet::{HostRef, Protocol};
use super::{Length, Located, Name, Span};

/// What stands after `=`: one claim for all packets of the step, or one for each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `= held, held, new 30s` has three. A single one holds for every packet of its step. Never empty.
    pub each: Vec<Claim>,
    /// From the first `=` to the end of the last part; comments lie outside unless the claim goes over several lines.
    pub span: Span,
}

/// Claims that hold for some profiles, in the place of those that say nothing of profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qualified {
    /// `for linux-6.18`. Never empty.
    pub profiles: Vec<Name>,
    /// What holds for them.
    pub claims: Claims,
}

/// A claim about one packet. What is left out is not compared, with one exception: without `reply` and without `*`
/// the packet must not travel in reply direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// `new`, `established`, ...
    pub class: Option<Located<ClassWord>>,
    /// `reply`
    pub reply: Option<Span>,
    /// `SYN_SENT`: the state of the entry after the packet, a word of TCP or SCTP.
    pub state: Option<Name>,
    /// `120s`
    pub timeout: Option<Located<Timeout>>,
    /// `[UNREPLIED]`, `[]`
    pub flags: Option<Located<Flags>>,
    /// `*`: the rest is as it may be. `--bless` adds nothing to such a claim.
    pub open: Option<Span>,
    /// `because tcp-seq-over`, `event new`, ...
    pub named: Vec<Located<Named>>,
    /// From its first part to its last.
    pub span: Span,
}

impl Claim {
    /// How many things it says.
    pub fn parts(&self) -> usize {
        let said =
            [self.class.is_some() || self.reply.is_some(), self.state.is_some(), self.timeout.is_some()];
        said.iter().filter(|is| **is).count() + usize::from(self.flags.is_some()) + self.named.len()
    }
}

/// What `ct state` would match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClassWord {
    /// `new`
    New,
    /// `established`
    Established,
    /// `related`
    Related,
    /// `invalid`
    Invalid,
    /// `untracked`
    Untracked,
    /// `held`: a fragment, kept for reassembly; no class yet.
    Held,
    /// `discarded`: the IP layer threw it away before the tracker.
    Discarded,
}

/// A timeout. A whole number of seconds that is the full value means "just set"; any other number of seconds is what is
/// left, rounded down. With a fraction, a smaller unit or ticks it is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// What is left.
    pub left: Length,
    /// Written with a fraction, a unit below the second, or ticks.
    pub exact: bool,
}

/// The exact set of these two, as `conntrack -L` shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// No answer was seen.
    pub unreplied: bool,
    /// Not evicted when the table is full.
    pub assured: bool,
}

/// The parts of a claim that have a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// `because tcp-seq-over bound=8694`
    Because {
        /// A slug of [`conntruth_engine::Reason::ALL`].
        slug: Name,
        /// Some of its numbers; a word where the rule compares words.
        numbers: Vec<(Name, Located<String>)>,
    },
    /// `event new`, `event update assured event destroy`: exactly these, in order. Empty: `event none`.
    Events(Vec<EventClaim>),
    /// `status SEEN_REPLY CONFIRMED`: at least these bits.
    Status(Status),
    /// `mark 5`
    Mark(u32),
    /// `zone 5`
    Zone(u16),
    /// `helper ftp`, `helper none`
    Helper(Option<String>),
    /// `master ctl`
    Master(Name),
    /// `dropped`: by the tracker, by a rule, or `lost`; nothing was sent in return.
    Dropped,
    /// `rejected`, `rejected as related reply`: a rule has ended it, and sent an answer, of this class.
    Rejected(Option<(ClassWord, bool)>),
    /// `accepted`
    Accepted,
    /// `attached` or `unattached`: whether the packet itself carries the entry that its tuple matches.
    Attached(bool),
    /// `no entry`: no entry has the packet's tuple afterwards.
    NoEntry,
    /// `leaves box:40000 > server:80`: the packet's ends when it has passed; `leaves unchanged`: with those it came with.
    Leaves(Option<Leaving>),
}

/// A packet that leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Its sender and its receiver.
    pub ends: [LeavingEnd; 2],
    /// `quoting client:40000 > server:80`: those of what an ICMP error quotes.
    pub quoted: Option<[LeavingEnd; 2]>,
}

/// An end of a packet that leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeavingEnd {
    /// `*`
    Any,
    /// `box`, `box:40000`, `box:*`; of ICMP a port is the identifier.
    Host {
        /// Who.
        host: HostRef,
        /// Not compared where nothing is said, or `*`.
        port: Option<AtPort>,
    },
}

/// What follows a host behind a colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtPort {
    /// `*`
    Any,
    /// `80`
    Port(u16),
}

/// `event update reply assured`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventClaim {
    /// What kind.
    pub kind: EventKind,
    /// At least these changes; nothing is said when empty.
    pub changes: Changes,
}

/// A claim that is not about one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// `for linux-6.18 count 3`: made for these profiles alone.
    For {
        /// Never empty.
        profiles: Vec<Name>,
        /// Not itself for certain profiles.
        check: Box<Check>,
    },
    /// `table` and its lines: the whole listing as a set; `(empty)` has none.
    Table(Block<EntryClaim>),
    /// `entry web ESTABLISHED 5d [ASSURED]`: the entry of a flow, found by the flow's tuple. Also written
    /// `= web ESTABLISHED` below another check.
    Entry(EntryClaim),
    /// `no entry`, `no entry web`
    NoEntry {
        /// The only flow where nothing is said.
        flow: Option<Name>,
    },
    /// `count 3`: entries in the table.
    Count(Located<u64>),
    /// `counter bad 1`, `counter bad 1 bytes 40`: what a named counter of the rules has counted.
    Counter {
        /// Its name.
        name: Name,
        /// Packets.
        packets: Located<u64>,
        /// Bytes.
        bytes: Option<Located<u64>>,
    },
    /// `distinct a.reply.dport b.reply.dport`, `same a.reply.dst b.reply.dst`: what entries have there, all of it different or
    /// all of it equal.
    Alike {
        /// `same`
        same: bool,
        /// Two at least.
        places: Vec<Located<EntryPlace>>,
    },
    /// `states SYN_SENT SYN_RECV * TIME_WAIT`: the states a flow's entry went through, each once for as long as it stayed.
    States {
        /// The only flow where nothing is said.
        flow: Option<Name>,
        /// What is expected.
        pattern: Block<Pattern<String>>,
    },
    /// `classes new, established reply, established *`: the class of each packet of a flow.
    Classes {
        /// The only flow where nothing is said.
        flow: Option<Name>,
        /// What is expected: the class, and whether in reply direction.
        pattern: Block<Pattern<(ClassWord, bool)>>,
    },
    /// `expectations` and its lines: all connections that are expected, as a set; `(empty)` has none.
    Expectations(Block<ExpectClaim>),
    /// `events` and its lines: all events since the beginning, or since the last such check, in order.
    Events(Block<EventLine>),
    /// `believe c: client ESTABLISHED, tracker nothing`, `client sees reset on c`: about hosts.
    Host(HostCheck),
    /// `expires 5d`: counted from now, the entry is there one tick before and gone at the tick, and a destroy event
    /// says so. The story goes on at that moment.
    Expires {
        /// The only flow where nothing is said.
        flow: Option<Name>,
        /// When.
        after: Located<Length>,
    },
}

impl Check {
    /// The check itself, whatever profiles it is for.
    pub fn itself(&self) -> &Check {
        match self {
            Check::For { check, .. } => check,
            check => check,
        }
    }

    /// Whether it is made for a profile.
    pub fn is_for(&self, profile: &str) -> bool {
        match self {
            Check::For { profiles, .. } => profiles.iter().any(|name| name.value == profile),
            _ => true,
        }
    }
}

/// The content of a check: what follows on its line, or the lines below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block<T> {
    /// Its lines, or words.
    pub lines: Vec<Located<T>>,
    /// All of it, from the first to the last; `(empty)` and `(none)` included.
    pub span: Span,
    /// Whether it stands below its check in lines of its own (layout: not compared by meaning).
    pub below: bool,
}

/// A part of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern<T> {
    /// This.
    One(T),
    /// `*`: any number of anything, or nothing.
    Any,
}

/// `a.reply.dport`: a key of a flow's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPlace {
    /// Whose entry.
    pub flow: String,
    /// Of which direction.
    pub reply: bool,
    /// A word of [`super::super::words::KEYS`].
    pub key: String,
}

/// An entry in the words of `conntrack -L`, any of them left out:
/// `tcp 6 120 SYN_SENT src=10.0.0.1 dst=10.0.1.1 sport=40000 dport=80 [UNREPLIED] src=10.0.1.1 dst=... [ASSURED] mark=0`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryClaim {
    /// `web`, before all the rest: the entry must be this flow's.
    pub flow: Option<Name>,
    /// `tcp 6`
    pub protocol: Option<Located<Protocol>>,
    /// `120` or `120s`
    pub timeout: Option<Located<Timeout>>,
    /// `SYN_SENT`
    pub state: Option<Name>,
    /// `[UNREPLIED]`, `[ASSURED]`, `[]`
    pub flags: Option<Located<Flags>>,
    /// Keys of the original direction: `src=` to `bytes=`, and `td_end=` and its like.
    pub original: Vec<Key>,
    /// From the first key that stands twice, or from the word `reply`, on.
    pub reply: Vec<Key>,
    /// `mark=`, `zone=`, `helper=`, `use=`, ...
    pub common: Vec<Key>,
    /// `status ...`, `helper ...`, `master ...`, `mark ...`, `zone ...`
    pub named: Vec<Located<Named>>,
}

/// An expectation in the words of `conntrack -L expect`, any of them left out:
/// `300 proto=6 src=10.0.1.1 dst=10.0.0.1 sport=0 dport=4242 mask-src=255.255.255.255 ... class=0 helper=ftp`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectClaim {
    /// `300` or `300s`
    pub timeout: Option<Located<Timeout>>,
    /// Its keys, each with the part that it belongs to.
    pub keys: Vec<(ExpectPart, Key)>,
    /// `PERMANENT`, `INACTIVE`: exactly these, where any are said.
    pub flags: Option<Located<ExpectFlags>>,
    /// `master ctl`: the flow that has announced it.
    pub master: Option<Name>,
}

/// What a key of an expectation is about: `sport=` stands in all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExpectPart {
    /// The tuple of the connection that is expected.
    Tuple,
    /// From `mask-src=` or `mask-dst=` on: the bits that count.
    Mask,
    /// From `master-src=` or `master-dst=` on: the tuple of its master.
    Master,
    /// `class=`, `helper=`, `zone=`
    Whole,
}

/// `dport=80`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// A word of [`super::super::words::KEYS`].
    pub name: Name,
    /// What it must be.
    pub value: Located<KeyValue>,
}

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyValue {
    /// `*`
    Any,
    /// `80`, `0x1f`
    Number(u64),
    /// `10.0.0.1`
    Address(IpAddr),
    /// `client`: its address of the family at hand; or any other word.
    Word(String),
}

/// `update web SYN_RECV 60s`: a line of `events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLine {
    /// What kind, and what changed.
    pub event: EventClaim,
    /// The connection as it then stood.
    pub entry: EntryClaim,
    /// The expectation, where the event is about one; then nothing is said of a connection.
    pub expected: ExpectClaim,
}
