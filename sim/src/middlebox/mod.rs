//! The box in the middle, as the world sees it: packets go in, packets come out, and how is its own affair.
//!
//! It forwards, it has an own host behind it, and it may have timers. A tracker fits in here with routing around it; so
//! does a whole system that routes by itself and is only asked which packets came out where. Nothing of its insides is
//! asked for.

mod forward;
mod pass;

use std::any::Any;

use crate::topology::Site;

pub use forward::{Dropped, Forwarded, fit, forward};
pub use pass::PassThrough;

/// Where a packet is on the edge of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    /// At one of its interfaces, by its place in [`Site::interfaces`].
    Interface(usize),
    /// At its own host: processes that run on the box itself.
    Local,
}

/// A box under test.
///
/// Times are nanoseconds since the world's beginning, and never go backwards.
pub trait Middlebox: Any {
    /// The box is put into its place: its interfaces, addresses and routes.
    ///
    /// # Errors
    /// When it cannot be there, in its own words.
    fn install(&mut self, site: &Site) -> Result<(), String>;

    /// A packet comes in. What comes out at once, this packet or others, is added to `out`; a packet that is in none of
    /// them was dropped, or is held. Packets for [`Edge::Local`] are delivered to the box's own host, the others leave by
    /// the interface, to the next node that the site's routes say.
    fn handle(&mut self, now: u64, from: Edge, packet: Vec<u8>, out: &mut Vec<(Edge, Vec<u8>)>);

    /// When it wants to be woken, in nanoseconds; `None` is never.
    fn poll_timeout(&self) -> Option<u64> {
        None
    }

    /// Time has come to `now`: by [`Middlebox::poll_timeout`], or because somebody looks at the world. What comes out is
    /// added to `out`.
    fn handle_timeout(&mut self, now: u64, out: &mut Vec<(Edge, Vec<u8>)>) {
        let _ = (now, out);
    }

    /// Packets from its own host to itself go through [`Middlebox::handle`], as on a system whose tracker sees loopback
    /// traffic. Otherwise they never leave the host.
    fn sees_loopback(&self) -> bool {
        true
    }
}
