//! ICMP errors about translated connections: what they quote is translated back, and so is the address that they are
//! for or come from.
//!
//! Source: linux 6.18 net/netfilter/nf_nat_proto.c `nf_nat_icmp_reply_translation`, `nf_nat_icmpv6_reply_translation`.

use super::Manip;
use super::rewrite::rewrite;
use crate::status::Status;
use crate::tuple::{Direction, Family, Tuple, protocol};
use crate::wire::checksum;
use crate::wire::ip::{self, Datagram};

pub(super) const HEADER: usize = 8;
/// Redirects: of ICMP, and of ICMPv6.
const REDIRECTS: [u8; 2] = [5, 137];

/// Whether an error can go on, and whether it changes on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorWay {
    /// As it is.
    Unchanged,
    /// With the other ends.
    Changes,
    /// Not at all.
    Ends,
}

/// What is to become of an error about a connection. Its checksum is looked at even where the tracker does not.
pub(crate) fn way(
    datagram: &Datagram<'_>,
    header: usize,
    status: Status,
    manip: Manip,
    direction: Direction,
) -> ErrorWay {
    let (quoted, redirect) = match datagram.family {
        Family::Ipv4 => (20, REDIRECTS[0]),
        Family::Ipv6 => (40, REDIRECTS[1]),
    };
    let message = datagram.from(header as u32);
    if message.len() < HEADER + quoted {
        return ErrorWay::Ends;
    }
    let is_intact = match datagram.family {
        Family::Ipv4 => checksum::sum(message).is_multiple_of(0xffff),
        Family::Ipv6 => checksum::is_transport_intact(datagram, protocol::ICMPV6, message),
    };
    if !is_intact {
        return ErrorWay::Ends;
    }
    if message[0] == redirect {
        let is_done = status.has(Status(Status::SRC_NAT_DONE.0 | Status::DST_NAT_DONE.0));
        let is_translated = status.0 & (Status::SRC_NAT.0 | Status::DST_NAT.0) != 0;
        if !is_done || is_translated {
            return ErrorWay::Ends;
        }
    }
    if status.has(manip.bit_for(direction)) { ErrorWay::Changes } else { ErrorWay::Unchanged }
}

/// Translates an error and what it quotes. `other`: the tuple of the direction that it does not travel in.
#[must_use]
pub(crate) fn translate(bytes: &mut [u8], header: usize, other: &Tuple, manip: Manip) -> bool {
    if !rewrite(bytes, header + HEADER, other, !manip) {
        return false;
    }
    let Some(inverse) = other.invert() else { return false };
    finish(bytes, header, &inverse, manip)
}

/// Seals a message anew whose quote has changed, and gives it one end of a tuple.
#[must_use]
pub(super) fn finish(bytes: &mut [u8], header: usize, target: &Tuple, manip: Manip) -> bool {
    let check = header + 2;
    bytes[check..check + 2].fill(0);
    let mut sum = checksum::sum(&bytes[header..]);
    if target.family == Family::Ipv6 {
        let Some(datagram) = ip::reassembled(bytes) else { return false };
        sum += checksum::pseudo_header(&datagram, protocol::ICMPV6, (bytes.len() - header) as u32);
    }
    let seal = checksum::seal(sum);
    bytes[check..check + 2].copy_from_slice(&seal);
    let number = if target.family == Family::Ipv4 { protocol::ICMP } else { protocol::ICMPV6 };
    rewrite(bytes, 0, &Tuple { protocol: number, ..*target }, manip)
}
