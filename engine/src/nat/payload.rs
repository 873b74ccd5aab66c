//! Writing something else into a payload, for helpers that find an address in it: the packet grows or shrinks, its
//! lengths and checksums follow. What that does to the sequence numbers of its connection is `adjust`'s business.
//!
//! Source: linux 6.18 net/netfilter/nf_nat_helper.c `__nf_nat_mangle_tcp_packet`, `nf_nat_mangle_udp_packet`,
//! `nf_nat_exp_find_port`.

use std::ops::Range;

use super::Draws;
use crate::tuple::{Family, protocol};
use crate::wire::{checksum, ip};

/// The largest packet.
const LARGEST: usize = 65_535;

/// Puts `new` in the place of `old`, a range of the payload of a TCP segment or UDP datagram: of what follows its
/// transport header, options included. False where there is no such place, or the packet would become too large.
#[must_use]
pub(crate) fn mangle(packet: &mut Vec<u8>, old: Range<usize>, new: &[u8]) -> bool {
    let Some(datagram) = ip::reassembled(packet) else { return false };
    let family = datagram.family;
    let Ok(part) = ip::transport(&datagram) else { return false };
    let (number, header) = (part.protocol, part.offset as usize);
    let data = match (number, packet.get(header..)) {
        (protocol::TCP, Some(&[_, _, _, _, _, _, _, _, _, _, _, _, words, ..])) => {
            header + usize::from(words >> 4) * 4
        }
        (protocol::UDP, Some(_)) => header + 8,
        _ => return false,
    };
    let place = data + old.start..data + old.end;
    if place.end > packet.len() || packet.len() - old.len() + new.len() > LARGEST {
        return false;
    }
    packet.splice(place, new.iter().copied());
    let length = packet.len() as u16;
    match family {
        Family::Ipv4 => {
            packet[2..4].copy_from_slice(&length.to_be_bytes());
            packet[10..12].fill(0);
            let words = usize::from(packet[0] & 0xf) * 4;
            let seal = checksum::seal(checksum::sum(&packet[..words]));
            packet[10..12].copy_from_slice(&seal);
        }
        Family::Ipv6 => packet[4..6].copy_from_slice(&(length - 40).to_be_bytes()),
    }
    seal(packet, number, header)
}

/// Makes the checksum of the transport part anew.
fn seal(packet: &mut [u8], number: u8, header: usize) -> bool {
    let length = packet.len() - header;
    let check = match number {
        protocol::TCP => header + 16,
        _ => {
            packet[header + 4..header + 6].copy_from_slice(&(length as u16).to_be_bytes());
            if packet[header + 6..header + 8] == [0, 0] {
                return true;
            }
            header + 6
        }
    };
    packet[check..check + 2].fill(0);
    let Some(datagram) = ip::reassembled(packet) else { return false };
    let sum = checksum::sum(&packet[header..]) + checksum::pseudo_header(&datagram, number, length as u32);
    let mut seal = checksum::seal(sum);
    if number == protocol::UDP && seal == [0, 0] {
        seal = [0xff, 0xff];
    }
    packet[check..check + 2].copy_from_slice(&seal);
    true
}

/// Why a port cannot be expected at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Another expectation is in the way: another port may do.
    Busy,
    /// Nothing that another port would change.
    Otherwise,
}

/// Looks for a port at which a connection can be expected: the wished one, or others behind it at random.
pub(crate) fn expect_at(
    wished: u16,
    draws: &mut Draws,
    mut expect: impl FnMut(u16) -> Result<(), Refused>,
) -> Option<u16> {
    const MOST_ATTEMPTS: u32 = 128;
    let size = u32::from(u16::MAX - wished);
    let mut port = wished;
    for _ in 0..=size.min(MOST_ATTEMPTS) {
        match expect(port) {
            Ok(()) => return Some(port),
            Err(Refused::Otherwise) => return None,
            Err(Refused::Busy) => {}
        }
        port = draws.announce(wished, size);
    }
    None
}
