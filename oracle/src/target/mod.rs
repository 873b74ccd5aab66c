//! The seam between scenarios and whatever tracks connections: plain values go in, plain values come out.
//!
//! [`Reference`] is our engine. A running kernel, or any program at the other end of a pipe, is another
//! implementation of [`Target`]; every type here serialises, and the protocol on the pipe is these types. Nothing here
//! knows of scenarios or claims. What a target cannot do it answers with [`Refusal::Unsupported`]; that is never a
//! failure.

mod batch;
#[cfg(all(target_os = "linux", feature = "cli"))]
mod ends;
mod entry;
#[cfg(feature = "cli")]
pub mod exec;
mod fates;
mod host;
mod kept;
#[cfg(feature = "cli")]
pub mod known;
#[cfg(all(target_os = "linux", feature = "cli"))]
pub mod linux;
#[cfg(all(target_os = "linux", feature = "cli"))]
mod mortal;
#[cfg(all(target_os = "linux", feature = "cli"))]
pub mod ovs;
mod play;
mod reference;
pub(crate) mod translated;
pub(crate) mod whose;
pub(crate) mod words;

use std::net::IpAddr;

use conntruth_engine::{Class, Counter, EventKind, Route, RuleSet, Time, Verdict};
use serde::{Deserialize, Serialize};

pub use batch::{Batch, Reading, Sight};
pub use entry::{Entry, Expected, Left, Peers};
pub use kept::Kept;
pub use play::{Ask, Play, Playback, Played, Said};
pub use reference::Reference;

/// An implementation of connection tracking that can be asked.
///
/// A world begins with [`Target::begin`] and ends with the next one, or with [`Target::end`]. Times never go
/// backwards within a world.
pub trait Target {
    /// What it is: name, version, abilities.
    fn identity(&self) -> Identity;

    /// A fresh world with an empty table.
    ///
    /// # Errors
    /// When it cannot be made as asked for.
    fn begin(&mut self, config: &Config) -> Result<(), Refusal>;

    /// A sysctl takes another value.
    ///
    /// # Errors
    /// When there is no such knob, or the value is refused.
    fn set(&mut self, setting: &Setting) -> Result<(), Refusal>;

    /// A packet passes through.
    ///
    /// # Errors
    /// When this target cannot be given such a packet.
    fn packet(&mut self, arrival: &Arrival) -> Result<Observation, Refusal>;

    /// A packet that waits between the hooks goes on from there.
    ///
    /// # Errors
    /// When this target cannot keep packets there, or there is no such packet.
    fn release(&mut self, release: &Release) -> Result<Observation, Refusal> {
        let _ = release;
        Err(Refusal::Unsupported("this target keeps no packet between tracking and confirmation".to_owned()))
    }

    /// Time passes without a packet; what ended meanwhile is told as events.
    ///
    /// # Errors
    /// When this target cannot let so much time pass.
    fn advance(&mut self, to: Time) -> Result<Vec<Happening>, Refusal>;

    /// All entries, oldest first.
    ///
    /// # Errors
    /// When this target cannot list them.
    fn table(&mut self) -> Result<Vec<Entry>, Refusal>;

    /// All expected connections, in no order.
    ///
    /// # Errors
    /// [`Refusal::Unsupported`] where there are no helpers that could expect any.
    fn expectations(&mut self) -> Result<Vec<Expected>, Refusal> {
        Err(Refusal::Unsupported("it has no helpers, so it expects no connections".to_owned()))
    }

    /// The named counters of the rules: packets and bytes so far, in the order of their names.
    ///
    /// # Errors
    /// [`Refusal::Unsupported`] where there are no rules.
    fn counters(&mut self) -> Result<Vec<(String, Counter)>, Refusal> {
        Err(Refusal::Unsupported("it has no rules, so it has no counters".to_owned()))
    }

    /// Many worlds at once. They have one configuration and no address in common, so a target may let their packets
    /// pass in any order that keeps each world's own; the answers are those it would give one world after the other.
    ///
    /// # Errors
    /// When the worlds cannot be made as asked for, or the target breaks.
    fn batch(&mut self, batch: &Batch) -> Result<Vec<Vec<Sight>>, Refusal> {
        batch::one_by_one(self, batch)
    }

    /// As [`Target::batch`]; where it chooses at random it chooses what another target has chosen in the same worlds, if it
    /// may.
    ///
    /// # Errors
    /// As [`Target::batch`].
    fn batch_like(&mut self, batch: &Batch, _other: &[Vec<Sight>]) -> Result<Vec<Vec<Sight>>, Refusal> {
        self.batch(batch)
    }

    /// The least that a batch costs: its packets in and out, its entries read and its events taken, as [`Target::batch`]
    /// has it, and the answers thrown away. What a comparison costs beside it is measured by this. None where there is
    /// no such measure.
    ///
    /// # Errors
    /// As [`Target::batch`].
    fn baseline(&mut self, _batch: &Batch) -> Result<Option<std::time::Duration>, Refusal> {
        Ok(None)
    }

    /// Whether it takes nothing but whole worlds, in [`Target::play`].
    fn is_played(&self) -> bool {
        false
    }

    /// Whole worlds, one after the other, each with all that it will be asked.
    ///
    /// # Errors
    /// When the target breaks; what it cannot do in a world is an answer of that world.
    fn play(&mut self, plays: &[Play]) -> Result<Vec<Played>, Refusal> {
        Ok(plays.iter().map(|play| play.ask(self)).collect())
    }

    /// What was said first to a target at the other end of a pipe and what it answered, once that has happened: for
    /// when nothing that it answers is right.
    fn first_exchange(&self) -> Option<std::sync::Arc<std::sync::OnceLock<String>>> {
        None
    }

    /// The world is not needed any more.
    fn end(&mut self) {}
}

/// Serves as a helper of a target, where this process was started for that: then the program is over, with this code. A
/// program that uses targets calls it before anything else, and before it has a second thread.
pub fn serve_if_asked() -> Option<std::process::ExitCode> {
    #[cfg(all(target_os = "linux", feature = "cli"))]
    return mortal::serve_if_asked().or_else(linux::serve_if_asked).or_else(ovs::serve_if_asked);
    #[cfg(not(all(target_os = "linux", feature = "cli")))]
    return None;
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The name it is selected by: `reference`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The semantics it has or is expected to have: a profile's name.
    pub profile: String,
    /// Ticks a second of its timers.
    pub hz: u32,
    /// What it can do.
    pub abilities: Abilities,
}

/// What a target can do and show. A claim that needs more is not compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abilities {
    /// How it lets time pass.
    pub time: Passing,
    /// When an entry is there for good.
    pub confirms: Confirms,
    /// What it shows.
    pub shows: Shows,
    /// The protocols with a tracker of their own: `tcp`, `udp`, ...; `generic` for all others.
    pub protocols: Vec<String>,
    /// The sysctls that can be set.
    pub sysctls: Vec<String>,
    /// The helpers it has.
    pub helpers: Vec<String>,
    /// Address translation.
    pub nat: bool,
    /// Zones.
    pub zones: bool,
    /// Packets of its own host, at OUTPUT and INPUT.
    pub own_host: bool,
    /// What becomes of a scenario's rules.
    pub rules: Rules,
    /// Marks of connections, which rules set.
    pub marks: bool,
    /// How far from its exact moment the end of an entry may be seen.
    pub slack: Time,
}

/// What a target does with a scenario's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rules {
    /// It has them itself, in nftables' words.
    Own,
    /// It has none: the reference takes each packet through them, and the target is told what they do to it.
    Told,
}

/// How a target lets time pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Passing {
    /// Any time at once, exactly.
    Virtual,
    /// Its clock is real, but entries can be made older.
    Age,
    /// Its clock is real.
    Real,
    /// Not at all.
    None,
}

/// When an entry is there for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirms {
    /// When its packet has passed the last hook.
    AtHook,
    /// When a rule says so.
    Explicit,
    /// When its packet was looked at.
    Immediate,
}

/// What a target shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shows {
    /// Whether a packet goes on.
    pub verdict: bool,
    /// What `ct state` matches on.
    pub class: bool,
    /// An entry's state.
    pub state: bool,
    /// An entry's time left.
    pub timeout: bool,
    /// An entry's status bits: whether it was answered, whether it is assured.
    pub status: bool,
    /// All entries.
    pub table: bool,
    /// Events.
    pub events: bool,
    /// Why.
    pub reasons: Reasons,
    /// What the window tracker keeps: the ends and windows of both senders.
    pub windows: bool,
}

/// Of which packets a target says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reasons {
    /// Of each, in our engine's terms.
    All,
    /// Of those that it finds INVALID, in the kernel's words.
    Invalid,
    /// In words of its own, for people alone.
    Own,
    /// Of none.
    None,
}

impl Shows {
    /// Everything.
    pub const ALL: Shows = Shows {
        verdict: true,
        class: true,
        state: true,
        timeout: true,
        status: true,
        table: true,
        events: true,
        reasons: Reasons::All,
        windows: true,
    };

    /// The class, and nothing else.
    pub const CLASS: Shows = Shows {
        verdict: false,
        class: true,
        state: false,
        timeout: false,
        status: false,
        table: false,
        events: false,
        reasons: Reasons::None,
        windows: false,
    };

    /// Whether anything of entries.
    pub const fn entries(&self) -> bool {
        self.state || self.timeout || self.status || self.table
    }
}

impl Abilities {
    /// The protocols that Linux has a tracker for.
    pub const PROTOCOLS: [&'static str; 8] =
        ["tcp", "udp", "udplite", "icmp", "icmpv6", "sctp", "gre", "generic"];

    /// Whether a protocol has a tracker of its own, or, as `generic`, any at all.
    pub fn has(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|name| name == protocol)
    }
}

/// How a world is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Sysctls, in the order in which they are to be set.
    pub settings: Vec<Setting>,
    /// Hosts that a route by their network would not find, and the interface behind which each lives.
    pub routes: Vec<(IpAddr, String)>,
    /// The rules on the tracker's host, in nftables' words.
    pub rules: RuleSet,
}

/// A sysctl and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The name; `net.netfilter.nf_conntrack_` may be left out.
    pub name: String,
    /// The value, as a person would write it.
    pub value: i64,
}

/// A packet on its way through the tracker's host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// When.
    pub at: Time,
    /// From the network header on.
    pub bytes: Vec<u8>,
    /// Which hooks it passes.
    pub path: Path,
    /// The interface it comes in by, none for packets of the host itself.
    pub iif: Option<String>,
    /// The interface it would leave by, none for packets to the host itself.
    pub oif: Option<String>,
    /// What happens to it between tracking and confirmation.
    pub fate: Fate,
    /// A rule in `raw` says not to track it.
    pub notrack: bool,
    /// The zone that a rule in `raw` puts it into.
    pub zone: u16,
    /// The mark that a rule gives its connection, for targets without rules of their own.
    pub mark: Option<u32>,
    /// The helper that a rule assigns to it, likewise.
    #[serde(default)]
    pub helper: Option<String>,
    /// It answers others of its world, or quotes one: its ends follow from those with which they left, where they were
    /// translated.
    #[serde(default)]
    pub follows: bool,
}

/// Which hooks a packet passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// PREROUTING, FORWARD, POSTROUTING.
    Forward,
    /// PREROUTING, INPUT.
    Input,
    /// OUTPUT, POSTROUTING.
    Output,
    /// OUTPUT, POSTROUTING, PREROUTING, INPUT: from the host to itself.
    Loopback,
}

impl Path {
    /// The engine's word for it, which knows its hooks.
    pub const fn route(self) -> Route {
        match self {
            Path::Forward => Route::Forward,
            Path::Input => Route::Input,
            Path::Output => Route::Output,
            Path::Loopback => Route::Loopback,
        }
    }
}

/// What happens to a packet between tracking and confirmation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It goes on and is confirmed.
    #[default]
    Passes,
    /// A rule drops it before it is confirmed.
    Dropped,
    /// It is kept there until [`Target::release`], as in a queue that a program reads.
    Waits,
}

/// What becomes of a packet that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// When.
    pub at: Time,
    /// Which: its number among the packets of this world that were to wait, from 0.
    pub waiting: usize,
    /// How it ends.
    pub fate: Fate,
}

/// What became of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// What `ct state` matches on.
    pub class: Class,
    /// Whether it went on to its end: tracker and rules let it.
    pub verdict: Verdict,
    /// The rule that ended it, in its words, where the target says.
    pub by: Option<String>,
    /// What rules sent in return.
    pub sent: Vec<Sent>,
    /// Whether the packet is attached to `entry`.
    pub attached: bool,
    /// The packet as it left, where translation has changed it, with the hop limit with which it came.
    #[serde(default)]
    pub left: Option<Vec<u8>>,
    /// Why, where the target says.
    pub why: Option<Why>,
    /// What the connection's helper made of it, or that it was expected, where the target says.
    #[serde(default)]
    pub help: Option<conntruth_engine::Reason>,
    /// The entry it belongs to or is about, as it stands after the packet; none while a new one is not confirmed.
    pub entry: Option<Entry>,
    /// The packet ended that entry.
    pub destroyed: bool,
    /// What it told its listeners meanwhile, in order.
    pub events: Vec<Happening>,
}

impl Observation {
    /// Of a target that says so much of a packet, and nothing else.
    pub fn of(class: Class, verdict: Verdict) -> Observation {
        Observation {
            class,
            verdict,
            by: None,
            sent: Vec::new(),
            attached: false,
            left: None,
            why: None,
            help: None,
            entry: None,
            destroyed: false,
            events: Vec::new(),
        }
    }
}

/// A packet that a rule has sent: a `reject`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// From the network header on, as far as the target shows it.
    pub bytes: Vec<u8>,
    /// What `ct state` says of it.
    pub class: Class,
    /// Whether it went on to its end.
    pub verdict: Verdict,
}

/// The rule that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// A reason of our engine's table, with its numbers.
    Reason(conntruth_engine::Reason),
    /// The words of another implementation.
    Said(String),
}

/// One message to its listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happening {
    /// When.
    pub at: Time,
    /// What.
    pub kind: EventKind,
    /// What changed, by the kernel's names without `IPCT_`.
    pub changes: Vec<std::borrow::Cow<'static, str>>,
    /// The entry as it then stood; of an expectation its master.
    pub entry: Entry,
    /// The expectation that it is about, where it is about one.
    #[serde(default)]
    pub expected: Option<Box<Expected>>,
}

/// Why a target did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// It cannot do this, and says what is missing.
    Unsupported(String),
    /// What was asked for makes no sense to it: an unknown sysctl, a value out of range.
    Wrong(String),
    /// It broke.
    Broken(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Unsupported(what) | Refusal::Wrong(what) | Refusal::Broken(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Refusal {}
