//! The honest stack: what two hosts would send, so that a scenario says only what it is about.
//!
//! It follows what was sent along a flow (sequence numbers, identifiers, tags) and fills in what a step leaves out. It
//! never looks at what the tracker makes of it, so a whole story can be turned into bytes beforehand.

mod sctp;
mod tcp;

#[cfg(test)]
mod tests;

use crate::language::ast::packet::Way;

pub(crate) use sctp::SctpTalk;
pub(crate) use tcp::TcpTalk;

/// What the hosts at both ends of a flow remember.
#[derive(Clone, Debug)]
pub(crate) enum Stack {
    Tcp(TcpTalk),
    Sctp(SctpTalk),
    Icmp(Pings),
    /// Nothing to remember.
    Plain,
}

/// A pinger and who answers it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pings {
    /// The identifier.
    pub id: u16,
    /// The sequence number of the last request.
    pub sequence: u16,
}

/// One of two things, by the way along a flow.
pub(crate) const fn side(way: Way) -> usize {
    match way {
        Way::Forth => 0,
        Way::Back => 1,
    }
}
