//! ICMP errors of both families: made by routers and hosts, read by the host whose packet caused them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use smoltcp::wire::{Icmpv4Packet, Icmpv6Packet};

use super::build::{seal_icmpv6, wrap};
use super::{Header, protocol};

/// What went wrong with a packet, in the words of both families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpError {
    /// There is no route to its destination.
    NoRoute,
    /// Nobody at the last network has the address.
    HostUnreachable,
    /// The host does not speak its protocol.
    ProtocolUnreachable,
    /// Nobody listens to the port.
    PortUnreachable,
    /// A rule forbids it.
    Prohibited,
    /// It is larger than the next link takes, and must not be cut.
    TooBig {
        /// Bytes that the link takes.
        mtu: u32,
    },
    /// Its hop limit is used up.
    TimeExceeded,
    /// Not all of its fragments came in time.
    ReassemblyTimeout,
    /// Another error.
    Other {
        /// ICMP's type.
        kind: u8,
        /// ICMP's code.
        code: u8,
    },
}

/// The packet that an error is about, as far as the error shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// What went wrong.
    pub error: IcmpError,
    /// Who says so.
    pub reporter: IpAddr,
    /// Its transport protocol.
    pub protocol: u8,
    /// Who sent it. The port is the identifier, of an echo request.
    pub src: SocketAddr,
    /// Where it was going.
    pub dst: SocketAddr,
    /// The four bytes after the ports: TCP's sequence number, UDP's length and checksum, an echo's identifier and
    /// sequence number.
    pub word: u32,
}

/// Type and code of each error in both families. `TooBig` and the reassembly's are listed like the others.
const CODES: [(IcmpError, [u8; 2], [u8; 2]); 8] = [
    (IcmpError::NoRoute, [3, 0], [1, 0]),
    (IcmpError::HostUnreachable, [3, 1], [1, 3]),
    (IcmpError::ProtocolUnreachable, [3, 2], [4, 1]),
    (IcmpError::PortUnreachable, [3, 3], [1, 4]),
    (IcmpError::TooBig { mtu: 0 }, [3, 4], [2, 0]),
    (IcmpError::Prohibited, [3, 13], [1, 1]),
    (IcmpError::TimeExceeded, [11, 0], [3, 0]),
    (IcmpError::ReassemblyTimeout, [11, 1], [3, 1]),
];

/// An ICMP error about the packet `about`, from the address `from` to its sender.
///
/// `None` where none may be sent: about an ICMP error, a later fragment, a packet to or from no single host
/// (RFC 1122, section 3.2.2; RFC 4443, section 2.4), or something that cannot be read.
pub fn icmp_error(error: IcmpError, from: IpAddr, about: &[u8]) -> Option<Vec<u8>> {
    // As much of the packet as keeps the error within what every link takes.
    const LARGEST: [usize; 2] = [576 - 28, 1280 - 48];
    let header = Header::read(about)?;
    let is_single = |address: IpAddr| !address.is_multicast() && !address.is_unspecified();
    if header.is_later_fragment()
        || !is_single(header.src)
        || !is_single(header.dst)
        || header.src.is_ipv4() != from.is_ipv4()
        || is_icmp_error(&header, about)
    {
        return None;
    }
    let v6 = from.is_ipv6();
    let [kind, code] = match error {
        IcmpError::Other { kind, code } => [kind, code],
        _ => {
            let row =
                CODES.iter().find(|row| std::mem::discriminant(&row.0) == std::mem::discriminant(&error))?;
            if v6 { row.2 } else { row.1 }
        }
    };
    let mut body = vec![kind, code, 0, 0, 0, 0, 0, 0];
    match error {
        IcmpError::TooBig { mtu } if v6 => body[4..8].copy_from_slice(&mtu.to_be_bytes()),
        IcmpError::TooBig { mtu } => body[6..8].copy_from_slice(&(mtu.min(0xffff) as u16).to_be_bytes()),
        // The field that is not understood: the number of the next header (RFC 4443, section 3.4).
        IcmpError::ProtocolUnreachable if v6 => body[4..8].copy_from_slice(&6_u32.to_be_bytes()),
        _ => {}
    }
    body.extend_from_slice(&about[..header.end.min(LARGEST[usize::from(v6)])]);
    if v6 {
        seal_icmpv6(&mut body, from, header.src);
        wrap(from, header.src, protocol::ICMPV6, 64, body)
    } else {
        Icmpv4Packet::new_unchecked(&mut body[..]).fill_checksum();
        wrap(from, header.src, protocol::ICMP, 64, body)
    }
}

fn is_icmp_error(header: &Header, bytes: &[u8]) -> bool {
    let kind = header.payload(bytes).first().copied();
    match header.protocol {
        protocol::ICMP => !matches!(kind, Some(0 | 8 | 9 | 10 | 13..=18)),
        protocol::ICMPV6 => !matches!(kind, Some(128..)),
        _ => false,
    }
}

/// Reads an ICMP error whose checksum is right; `None` for everything else.
pub fn read_icmp_error(header: &Header, bytes: &[u8]) -> Option<Quote> {
    let payload = header.payload(bytes);
    if !is_icmp_error(header, bytes) || payload.len() < 8 {
        return None;
    }
    let v6 = header.protocol == protocol::ICMPV6;
    let intact = match (header.src, header.dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            Icmpv6Packet::new_checked(payload).ok()?.verify_checksum(&src, &dst)
        }
        _ => Icmpv4Packet::new_checked(payload).ok()?.verify_checksum(),
    };
    if !intact {
        return None;
    }
    let code = [payload[0], payload[1]];
    let row = CODES.iter().find(|row| code == if v6 { row.2 } else { row.1 });
    let mtu = match v6 {
        true => u32::from_be_bytes(*payload[4..].first_chunk()?),
        false => u32::from(u16::from_be_bytes([payload[6], payload[7]])),
    };
    let error = match row.map(|row| row.0) {
        Some(IcmpError::TooBig { .. }) => IcmpError::TooBig { mtu },
        Some(error) => error,
        None => IcmpError::Other { kind: code[0], code: code[1] },
    };
    quoted(&payload[8..], header.src, error)
}

/// The quoted packet is cut short, so its lengths mean nothing.
fn quoted(inner: &[u8], reporter: IpAddr, error: IcmpError) -> Option<Quote> {
    let (src, dst, protocol, transport): (IpAddr, IpAddr, u8, usize) = match inner.first()? >> 4 {
        4 => {
            let head = inner.first_chunk::<20>()?;
            let src: [u8; 4] = *head[12..].first_chunk()?;
            let dst: [u8; 4] = *head[16..].first_chunk()?;
            (src.into(), dst.into(), head[9], usize::from(head[0] & 15) * 4)
        }
        6 => {
            let head = inner.first_chunk::<40>()?;
            let src: [u8; 16] = *head[8..].first_chunk()?;
            let dst: [u8; 16] = *head[24..].first_chunk()?;
            // A first fragment's header is stepped over, other extensions do not come from here.
            match head[6] {
                protocol::FRAGMENT => (src.into(), dst.into(), *inner.get(40)?, 48),
                next => (src.into(), dst.into(), next, 40),
            }
        }
        _ => return None,
    };
    let head = inner.get(transport..)?.first_chunk::<8>()?;
    let pair = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let (sport, dport) = match protocol {
        protocol::TCP | protocol::UDP => (pair(0), pair(2)),
        _ => (pair(4), 0),
    };
    Some(Quote {
        error,
        reporter,
        protocol,
        src: SocketAddr::new(src, sport),
        dst: SocketAddr::new(dst, dport),
        word: u32::from_be_bytes(*head[4..].first_chunk()?),
    })
}

impl fmt::Display for IcmpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IcmpError::NoRoute => write!(f, "no route to the network"),
            IcmpError::HostUnreachable => write!(f, "host unreachable"),
            IcmpError::ProtocolUnreachable => write!(f, "protocol unreachable"),
            IcmpError::PortUnreachable => write!(f, "port unreachable"),
            IcmpError::Prohibited => write!(f, "prohibited"),
            IcmpError::TooBig { mtu } => write!(f, "packet too big for {mtu} bytes"),
            IcmpError::TimeExceeded => write!(f, "hop limit exceeded"),
            IcmpError::ReassemblyTimeout => write!(f, "fragments missing"),
            IcmpError::Other { kind, code } => write!(f, "type {kind} code {code}"),
        }
    }
}
