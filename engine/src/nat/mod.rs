//! Address translation: which other end a connection gets, and what that does to its packets.
//!
//! ```text
//! first packet ── choose ──> tuple ── set up ──> reply tuple that is not the inverse of the original
//! every packet ── rewrite (and error, for ICMP errors) ──> bytes that look like the inverse of the other direction
//! ```
//!
//! `choose` finds a mapping within a range that no other connection holds, `rewrite` gives a packet the ends of a tuple,
//! `error` does so with ICMP errors and what they quote, `adjust` moves sequence numbers when a payload has changed its
//! length, and `payload` is what changes it. When a mapping is set up, and by which rule, is the engine's business; what
//! rules say of it is read in `rules`.
//!
//! Only the reply tuple ever changes: the original one stays as the first packet had it. So a packet of either direction
//! is found by its own tuple as it comes in, and leaves with the inverse of the other direction's.

pub(crate) mod adjust;
mod choose;
pub(crate) mod error;
pub(crate) mod payload;
pub(crate) mod rewrite;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::outcome::Hook;
use crate::status::Status;
use crate::tuple::{Addr, Direction, Tuple};
use crate::wire::ip::Datagram;

pub use choose::Wanted;
pub(crate) use choose::{Draws, choose};

/// Gives a packet the ends of a tuple of its own protocol, its checksums kept as right or wrong as they are: as if it had
/// been sent from there to there. False where it is too short for them.
pub fn readdress(packet: &mut [u8], ends: &Tuple) -> bool {
    rewrite::rewrite(packet, 0, ends, Manip::Source) && rewrite::rewrite(packet, 0, ends, Manip::Destination)
}

/// Gives what an ICMP error quotes the ends of a tuple, and the error the receiver that follows from it; its sender, too,
/// where that is the one for whom the quoted packet was. `header`: where the ICMP header stands.
pub fn readdress_quoted(packet: &mut [u8], header: usize, ends: &Tuple) -> bool {
    let Some(datagram) = crate::wire::ip::reassembled(packet) else { return false };
    let (src, _) = datagram.addresses();
    let quoted = packet.get(header + error::HEADER..);
    let Some(quoted) = quoted.and_then(|bytes| Datagram::quoted(ends.family, bytes)) else { return false };
    let was_for = quoted.addresses().1;
    let inverse = Tuple { src: ends.dst, dst: ends.src, ..*ends };
    let sender = if src == was_for { inverse.src } else { src };
    rewrite::rewrite(packet, header + error::HEADER, ends, Manip::Source)
        && rewrite::rewrite(packet, header + error::HEADER, ends, Manip::Destination)
        && error::finish(packet, header, &Tuple { src: sender, ..inverse }, Manip::Source)
        && error::finish(packet, header, &inverse, Manip::Destination)
}

/// Which end of a packet is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[doc(alias = "nf_nat_manip_type")]
pub(crate) enum Manip {
    /// Its source, where it leaves: at POSTROUTING and INPUT.
    Source,
    /// Its destination, where it comes in: at PREROUTING and OUTPUT.
    Destination,
}

impl std::ops::Not for Manip {
    type Output = Manip;
    fn not(self) -> Manip {
        match self {
            Manip::Source => Manip::Destination,
            Manip::Destination => Manip::Source,
        }
    }
}

impl Manip {
    /// What a hook changes; nothing is changed at FORWARD.
    pub fn at(hook: Hook) -> Option<Manip> {
        match hook {
            Hook::Prerouting | Hook::Output => Some(Manip::Destination),
            Hook::Postrouting | Hook::Input => Some(Manip::Source),
            Hook::Forward => None,
        }
    }

    /// The bit of a connection that has this end changed.
    pub const fn bit(self) -> Status {
        match self {
            Manip::Source => Status::SRC_NAT,
            Manip::Destination => Status::DST_NAT,
        }
    }

    /// The bit of a connection for which this was decided.
    pub const fn done(self) -> Status {
        match self {
            Manip::Source => Status::SRC_NAT_DONE,
            Manip::Destination => Status::DST_NAT_DONE,
        }
    }

    /// The bit by which packets of a direction have this end changed: answers have the other.
    pub fn bit_for(self, direction: Direction) -> Status {
        match direction {
            Direction::Original => self.bit(),
            Direction::Reply => (!self).bit(),
        }
    }
}

/// What a mapping may be: addresses and ports, the first and the last of each. What is not said stays as it is, where it
/// can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[doc(alias = "nf_nat_range2")]
pub(crate) struct Range {
    pub addresses: Option<(Addr, Addr)>,
    /// Of ICMP the identifiers.
    pub ports: Option<(u16, u16)>,
    /// A port is drawn even where the old one would do: `random` and `fully-random`, which do not differ any more.
    pub random: bool,
    /// The address is chosen by the source alone.
    pub persistent: bool,
}

impl Range {
    /// This address, and the port as it is unless it is taken.
    pub fn of(address: Addr) -> Range {
        Range { addresses: Some((address, address)), ..Range::default() }
    }
}
