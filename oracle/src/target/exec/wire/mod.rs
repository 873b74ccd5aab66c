//! The adapter protocol's messages: what stands on a line, in either direction.
//!
//! They say what the types of [`crate::target`] say, in words that are pleasant in any language: addresses as text,
//! bytes as hex, times as nanoseconds, keys under their protocol's names. The published schema is made of these types
//! ([`super::schema`]), and so is the manual's list. A field whose name ends in `_ns` counts nanoseconds since the
//! world began, or from now; one in `_s` whole seconds.

mod answer;
mod entry;
mod hello;
mod hex;
mod request;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use answer::{
    Class, Counted, Counters, Event, Events, Failed, Kind, Seen, Sent, Table, Unsupported, Verdict,
};
pub use entry::{Counter, Entry, Expectations, Expected, Keys, Sides, Status, Timeouts, Window};
pub use hello::{Clock, Confirm, Greeting, Hello, Protocol, Shown, Takes};
pub use hex::Hex;
pub use request::{Advance, Begin, Fate, Packet, Path, Release, Route, Set};

/// The version of the protocol. Additions that an adapter may leave unread do not change it.
pub const PROTOCOL: u32 = 1;

/// What Conntruth says: one object a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Request {
    Hello(Greeting),
    Begin(Begin),
    Set(Set),
    Packet(Packet),
    Release(Release),
    Advance(Advance),
    Table(Bare),
    Expectations(Bare),
    Counters(Bare),
    End(Bare),
    World(World),
}

/// What an adapter answers: one object a line, one line for each request.
// Nearly all of them are of packets: a box would only cost.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Answer {
    Hello(Hello),
    Done(Bare),
    Packet(Seen),
    Events(Events),
    Table(Table),
    Expectations(Expectations),
    Counters(Counters),
    World(Answers),
    Unsupported(Unsupported),
    Error(Failed),
}

/// A message with nothing but its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Bare {}

/// A whole scenario, for adapters that take `worlds`. Answer with `world`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct World {
    pub begin: Begin,
    pub steps: Vec<Request>,
}

/// The answers to the steps of a world, one for each, in order. They may end with an `unsupported` or an `error`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Answers {
    pub answers: Vec<Answer>,
}
