//! Whoever wants to see the packets: captures, ladders, tests.

use std::any::Any;

use super::PortId;

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// An interface puts it into its cable.
    Sent,
    /// It comes out of the cable at an interface.
    Received,
}

/// Is told of packets at interfaces, as `tcpdump` there would be: what is sent is seen before the cable harms it.
pub trait Watcher: Any {
    /// A packet at an interface, at `at` nanoseconds.
    fn packet(&mut self, at: u64, port: PortId, moment: Moment, bytes: &[u8]);
}
