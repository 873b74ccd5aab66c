//! The world around a connection tracker: hosts, cables, routers and applications on a virtual clock that jumps from
//! event to event, and captures.
//!
//! It knows nothing of any tracker: a tracker is put into a world as a [`Middlebox`](middlebox::Middlebox), by whoever
//! knows both. Times are nanoseconds, packets are bytes from the network header on. There is no thread, no wall clock
//! and no chance but the dice of one [`Seed`]: the same world does the same on any machine.
//!
//! In reading order: [`Clock`] and [`Queue`], [`Seed`] and [`Dice`], the [`Chain`] over all events; [`packet`]s,
//! [`link`]s, the [`topology`] and what it is checked for; [`host`]s and their [`app`]lications; the [`middlebox`];
//! and the [`World`] that holds them all. [`capture`] reads and writes what went over the wires.
#![forbid(unsafe_code)]

mod chain;
mod clock;
mod dice;
mod queue;
pub mod time;

pub mod packet;

pub mod link;
pub mod topology;

pub mod app;
pub mod host;

pub mod middlebox;

pub mod world;

pub mod capture;

pub use chain::{Chain, Difference, Record};
pub use clock::Clock;
pub use dice::{Chance, Dice, Seed};
pub use queue::Queue;
pub use topology::Topology;
pub use world::World;
