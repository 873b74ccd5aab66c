//! Packets as bytes: headers whose every field can be said, with the right length and checksum where it is not.
//!
//! This is the only place that writes packets for scenarios. It knows no scenario and no tracker, and reads nothing:
//! the engine has its own views, so that a mistake here cannot hide there. What an honest host would put into the
//! fields is decided by whoever fills them.

mod icmp;
mod ip;
mod quote;
mod sctp;
mod tcp;
mod transport;

#[cfg(test)]
mod tests;

pub use icmp::Icmp;
pub use ip::{Extension, Fragment, Ip};
pub use quote::Quote;
pub use sctp::{Chunk, Sctp};
pub use tcp::{Tcp, TcpOption, flag};
pub use transport::{Gre, Udp, UdpLite};

/// A checksum field: right unless something else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// As the receiver computes it.
    #[default]
    Right,
    /// Not as the receiver computes it.
    Wrong,
    /// These bits, whatever they mean.
    Is(u32),
}

impl Check {
    /// The field's value where `right` is the right one.
    pub(crate) fn field(self, right: u16) -> u16 {
        match self {
            Check::Right => right,
            Check::Wrong => wrong(right),
            Check::Is(value) => value as u16,
        }
    }
}

/// Another value than `right`, and neither of the two zeroes of one's complement.
fn wrong(right: u16) -> u16 {
    match right ^ 0x0101 {
        0 | 0xffff => 0x1234,
        other => other,
    }
}

/// The Internet checksum (RFC 1071) over several pieces, of which only the last may have an odd length.
pub(crate) fn internet_checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum: u64 = 0;
    for piece in pieces {
        let mut words = piece.chunks_exact(2);
        sum += words.by_ref().map(|pair| u64::from(u16::from_be_bytes([pair[0], pair[1]]))).sum::<u64>();
        sum += words.remainder().first().map_or(0, |last| u64::from(*last) << 8);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
