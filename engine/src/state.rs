//! A whole tracker as a value that can be kept: saved, restored, and two of them compared in words.
//!
//! Whoever restores an engine goes on exactly where it was saved: the same answers, events and times to every further
//! packet. The form is this library's own, with a version in front; another version is refused, and so is everything
//! that does not fit together: what is read may come from anywhere, and no packet shall find the engine broken by it.
//!
//! Not in it: packets between two hooks, which whoever holds them keeps beside it (a [`crate::Passage`] serialises too);
//! rules and their counters, which are a [`crate::FirewallState`]; and the profile, of which the name is kept.

mod change;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::defrag::SavedDefrag;
use crate::engine::Held;
use crate::event::Event;
use crate::expect::{ExpectSnapshot, ExpectTable};
use crate::nat::Draws;
use crate::snapshot::ConnSnapshot;
use crate::sysctl::Sysctls;
use crate::table::SavedTable;
use crate::time::{Ticks, Time};

pub use change::StateChange;

/// All that an engine holds at one moment.
///
/// ```
/// use conntruth_engine::{Engine, LINUX_6_18, Packet, State, Time};
///
/// let mut engine = Engine::new(&LINUX_6_18);
/// # let ping = [
/// #     0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0x65, 0xe0, 10, 0, 0, 1, 10, 0, 1, 1, 8, 0, 0xf7, 0xfa, 0, 5, 0, 0,
/// # ];
/// engine.forward(Time::from_secs(1), &Packet::new(&ping));
/// let saved = serde_json::to_string(&engine.save()).unwrap();
///
/// let state: State = serde_json::from_str(&saved).unwrap();
/// let mut restored = Engine::restore(&state).unwrap();
/// assert!(restored.conns().eq(engine.conns()));
///
/// restored.handle_timeouts(Time::from_secs(60));
/// let changes = state.changes(&restored.save());
/// assert_eq!(changes[0].to_string(), "the clock: 1.000000000 s -> 60.000000000 s");
/// assert_eq!(
///     changes[1].to_string(),
///     "connection 1 (icmp src=10.0.0.1 dst=10.0.1.1 type=8 code=0 id=5) is gone"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The first field: what follows another number is not looked at.
    #[serde(deserialize_with = "this_version")]
    pub(crate) version: u32,
    pub(crate) profile: String,
    #[serde(deserialize_with = "ticks_a_second")]
    pub(crate) hz: u32,
    pub(crate) now: Time,
    pub(crate) sysctls: Sysctls,
    pub(crate) listening: bool,
    pub(crate) table: SavedTable,
    pub(crate) defrag: SavedDefrag,
    #[serde(default)]
    pub(crate) expected: ExpectTable,
    #[serde(default)]
    pub(crate) held: Held,
    pub(crate) events: VecDeque<Event>,
    pub(crate) draws: Draws,
}

/// Why a state cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateError {
    /// It follows a profile that is not known here.
    Profile(String),
    /// It was saved under a profile of this name with another clock.
    Clock {
        /// The profile's ticks a second.
        profile: u32,
        /// The state's.
        state: u32,
    },
    /// Its parts do not fit together.
    Broken(String),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::Profile(name) => {
                write!(f, "the state follows the profile `{name}`, which is not known")
            }
            StateError::Clock { profile, state } => {
                write!(f, "the state counts {state} ticks a second, its profile {profile}")
            }
            StateError::Broken(what) => write!(f, "the state does not fit together: {what}"),
        }
    }
}

impl std::error::Error for StateError {}

fn this_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        State::VERSION => Ok(State::VERSION),
        other => Err(serde::de::Error::custom(format_args!(
            "a state of version {other}; this program reads version {}",
            State::VERSION
        ))),
    }
}

/// No number is counted further.
pub(crate) const MOST: u64 = 1 << 62;
/// No clock has run further, 146 years: what lives longest still ends before time does.
pub(crate) const LATEST: Time = Time(1 << 62);
/// No kernel's clock is faster.
const FASTEST: u32 = 10_000;

fn ticks_a_second<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        hz @ 1..=FASTEST => Ok(hz),
        other => Err(serde::de::Error::custom(format_args!("no clock has {other} ticks a second"))),
    }
}

impl State {
    /// The version that this library writes, and the only one that it reads.
    pub const VERSION: u32 = 1;

    /// The name of the profile that the engine followed.
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// The moment at which it was saved.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Its settings.
    pub fn sysctls(&self) -> &Sysctls {
        &self.sysctls
    }

    /// The confirmed connections, in the order of their creation.
    pub fn conns(&self) -> Vec<ConnSnapshot> {
        let ticks = Ticks::new(self.hz);
        let conns = self.table.conns().iter().filter(|(_, conn)| conn.is_confirmed());
        let mut conns: Vec<ConnSnapshot> =
            conns.map(|(slot, conn)| conn.snapshot(*slot, ticks.at(self.now), ticks)).collect();
        conns.sort_unstable_by_key(|conn| conn.id);
        conns
    }

    /// What helpers have announced and has not come, oldest first.
    pub fn expectations(&self) -> Vec<ExpectSnapshot> {
        let ticks = Ticks::new(self.hz);
        self.expected.iter().map(|expected| expected.snapshot(ticks.at(self.now), ticks)).collect()
    }

    /// What is otherwise in a later state, in the order: clock, settings, connections, what is expected, all else. Empty exactly when both
    /// are the same.
    pub fn changes(&self, later: &State) -> Vec<StateChange> {
        change::changes(self, later)
    }
}
