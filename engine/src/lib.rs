//! A reference connection tracker with the semantics of Linux netfilter.
//!
//! Bytes and a clock go in, answers come out: the class that `ct state` would match, the entry, and *why*, with the
//! numbers that decided. There is no clock but the `now` that is given, no thread, no randomness: the same input gives
//! the same output on any machine.
//!
//! Start at [`Engine`]. Its modules stand below in the order in which data passes through them: `packet` → `wire` →
//! `defrag` → `tuple` → `table` → `proto` → `nat` → `helper` and `expect` → `outcome` and `event`; `rules` stand around
//! the tracker where there are any ([`Engine::walk`]); what differs between kernels is a [`Profile`].
#![forbid(unsafe_code)]

// The words everything else is said in.
mod behaviour;
mod event;
mod outcome;
mod profile;
mod reason;
mod snapshot;
mod states;
mod status;
mod sysctl;
mod tables;
mod time;
mod tuple;

// The way of a packet.
mod conn;
mod defrag;
mod engine;
mod expect;
mod helper;
mod nat;
mod packet;
mod proto;
mod rules;
mod state;
mod table;
mod wire;

pub use behaviour::{Bounds, Switches};
pub use engine::{Answer, Engine, Journey, Passage, Queued, Route, Treatment, Walk};
pub use event::{Changes, Event, EventKind};
pub use expect::{ExpectFlags, ExpectProcLine, ExpectSnapshot};
pub use helper::{ExpectClass, Helper, HelperInfo};
pub use nat::{Wanted, readdress, readdress_quoted};
pub use outcome::{Class, ConnId, CtInfo, Hook, Outcome, Verdict};
pub use packet::{Checksum, Packet};
pub use profile::{LINUX_6_18, Next, Profile, SctpTable, TcpTable};
pub use reason::{Reason, ReasonInfo, Value};
pub use rules::{Firewall, FirewallState, Interface, Policy, Rule, RuleError, RuleSet, Table};
pub use snapshot::{ConnSnapshot, Counter, ProcLine, ProtoInfo, TcpSide};
pub use state::{State, StateChange, StateError};
pub use states::{SctpState, Segment, TcpState};
pub use status::Status;
pub use sysctl::{Knob, KnobInfo, SysctlError, Sysctls, Unit};
pub use time::{Jiffies, Ticks, Time};
pub use tuple::{Addr, Direction, Family, Tuple, protocol};
