//! The network header, and the little of the transport header that hosts are found by.

use std::net::{IpAddr, SocketAddr};

use smoltcp::wire::{Ipv4Packet, Ipv6Packet, TcpOption, TcpPacket};

/// Protocol numbers.
pub mod protocol {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    pub(crate) const HOP_BY_HOP: u8 = 0;
    pub(crate) const ROUTING: u8 = 43;
    pub(crate) const FRAGMENT: u8 = 44;
    pub(crate) const DESTINATION: u8 = 60;
}

/// What stands in a packet's network header. IPv6's extension headers are walked over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The sender.
    pub src: IpAddr,
    /// The receiver.
    pub dst: IpAddr,
    /// The transport protocol's number.
    pub protocol: u8,
    /// How many routers it may still pass.
    pub hop_limit: u8,
    /// Where the transport header begins; of a later fragment, the data.
    pub transport: usize,
    /// Where the packet ends; bytes after it are the link's padding.
    pub end: usize,
    /// Routers must not fragment it. Always so with IPv6.
    pub dont_fragment: bool,
    /// Its place in a fragmented datagram.
    pub fragment: Option<Slice>,
}

/// The place of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The datagram's identification.
    pub ident: u32,
    /// Where its data belongs, in bytes.
    pub offset: usize,
    /// It is not the last.
    pub more: bool,
    /// Where IPv6's fragment header begins; zero for IPv4.
    pub header: usize,
}

/// Both ports of TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The sender's.
    pub src: u16,
    /// The receiver's.
    pub dst: u16,
}

/// The part of a TCP header by which a host knows what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpHead {
    /// The ports.
    pub ports: Ports,
    /// The sequence number.
    pub seq: u32,
    /// One past the last sequence number it occupies.
    pub end: u32,
    /// The acknowledgement number, whether it counts or not.
    pub ack: u32,
    /// The flags byte: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
    pub flags: u8,
    /// Bytes of data.
    pub data: usize,
    /// The window as it stands there, not scaled.
    pub window: u16,
    /// A SYN's window scale; 0 where it has none, and on every other segment.
    pub scale: u8,
}

impl TcpHead {
    /// FIN.
    pub const FIN: u8 = 1;
    /// SYN.
    pub const SYN: u8 = 2;
    /// RST.
    pub const RST: u8 = 4;
    /// ACK.
    pub const ACK: u8 = 16;
}

impl Header {
    /// Reads a packet's header; `None` where its lengths or IPv4's checksum are wrong, which every host and router on
    /// the way takes as a reason to drop it.
    pub fn read(bytes: &[u8]) -> Option<Header> {
        match bytes.first()? >> 4 {
            4 => Header::read_v4(bytes),
            6 => Header::read_v6(bytes),
            _ => None,
        }
    }

    fn read_v4(bytes: &[u8]) -> Option<Header> {
        let packet = Ipv4Packet::new_checked(bytes).ok()?;
        if packet.header_len() < 20 || !packet.verify_checksum() {
            return None;
        }
        let offset = usize::from(packet.frag_offset());
        let more = packet.more_frags();
        let ident = u32::from(packet.ident());
        Some(Header {
            src: packet.src_addr().into(),
            dst: packet.dst_addr().into(),
            protocol: packet.next_header().into(),
            hop_limit: packet.hop_limit(),
            transport: usize::from(packet.header_len()),
            end: usize::from(packet.total_len()),
            dont_fragment: packet.dont_frag(),
            fragment: (more || offset > 0).then_some(Slice { ident, offset, more, header: 0 }),
        })
    }

    fn read_v6(bytes: &[u8]) -> Option<Header> {
        let packet = Ipv6Packet::new_checked(bytes).ok()?;
        let end = packet.total_len();
        let mut header = Header {
            src: packet.src_addr().into(),
            dst: packet.dst_addr().into(),
            protocol: packet.next_header().into(),
            hop_limit: packet.hop_limit(),
            transport: 40,
            end,
            dont_fragment: true,
            fragment: None,
        };
        while let protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION | protocol::FRAGMENT =
            header.protocol
        {
            let at = header.transport;
            let extension = bytes.get(at..end)?;
            let next = *extension.first()?;
            if header.protocol == protocol::FRAGMENT {
                let field = u16::from_be_bytes([*extension.get(2)?, *extension.get(3)?]);
                let ident = u32::from_be_bytes(*extension.get(4..8)?.first_chunk()?);
                let offset = usize::from(field & !7);
                let slice = Slice { ident, offset, more: field & 1 == 1, header: at };
                header.fragment = Some(slice);
                header.transport = at + 8;
                header.protocol = next;
                if offset > 0 {
                    break;
                }
            } else {
                header.transport = at + 8 * (1 + usize::from(*extension.get(1)?));
                header.protocol = next;
            }
            if header.transport > end {
                return None;
            }
        }
        Some(header)
    }

    /// Whether it is a piece whose transport header is elsewhere.
    pub fn is_later_fragment(&self) -> bool {
        self.fragment.is_some_and(|slice| slice.offset > 0)
    }

    /// The transport part.
    pub fn payload<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.transport..self.end).unwrap_or_default()
    }

    /// The ports, where there are any.
    pub fn ports(&self, bytes: &[u8]) -> Option<Ports> {
        if self.is_later_fragment() || !matches!(self.protocol, protocol::TCP | protocol::UDP) {
            return None;
        }
        let head = self.payload(bytes).first_chunk::<4>()?;
        let src = u16::from_be_bytes([head[0], head[1]]);
        Some(Ports { src, dst: u16::from_be_bytes([head[2], head[3]]) })
    }

    /// The sender's and the receiver's end of the conversation it belongs to.
    pub fn ends(&self, ports: Ports) -> (SocketAddr, SocketAddr) {
        (SocketAddr::new(self.src, ports.src), SocketAddr::new(self.dst, ports.dst))
    }

    /// The head of its TCP segment. The checksum is not looked at.
    pub fn tcp(&self, bytes: &[u8]) -> Option<TcpHead> {
        if self.protocol != protocol::TCP || self.is_later_fragment() {
            return None;
        }
        let payload = self.payload(bytes);
        let segment = TcpPacket::new_checked(payload).ok()?;
        let seq = segment.seq_number().0 as u32;
        let flags = payload[13];
        let occupied = usize::from(flags & TcpHead::SYN != 0) + usize::from(flags & TcpHead::FIN != 0);
        let data = segment.payload().len();
        Some(TcpHead {
            ports: Ports { src: segment.src_port(), dst: segment.dst_port() },
            seq,
            end: seq.wrapping_add((data + occupied) as u32),
            ack: segment.ack_number().0 as u32,
            flags,
            data,
            window: segment.window_len(),
            scale: if flags & TcpHead::SYN != 0 { scale(segment.options()) } else { 0 },
        })
    }
}

/// The window scale among these options, at most 14 (RFC 7323, section 2.3).
fn scale(mut options: &[u8]) -> u8 {
    while let Ok((rest, option)) = TcpOption::parse(options) {
        match option {
            TcpOption::WindowScale(shift) => return shift.min(14),
            TcpOption::EndOfList => break,
            _ => options = rest,
        }
    }
    0
}

/// Where a packet is going, without a look at the rest.
pub(crate) fn destination(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.first()? >> 4 {
        4 => bytes.get(16..20)?.first_chunk::<4>().map(|&address| address.into()),
        6 => bytes.get(24..40)?.first_chunk::<16>().map(|&address| address.into()),
        _ => None,
    }
}

/// Takes one from a packet's hop limit, and mends IPv4's checksum. What the limit then is; `None` where it had none
/// left, and the packet ends here.
pub fn lower_hop_limit(bytes: &mut [u8]) -> Option<u8> {
    let v4 = Ipv4Packet::new_checked(&*bytes).ok().filter(|packet| packet.version() == 4);
    let at = match v4 {
        Some(packet) if packet.header_len() >= 20 => 8,
        _ => Ipv6Packet::new_checked(&*bytes).ok().filter(|packet| packet.version() == 6).map(|_| 7)?,
    };
    let limit = bytes[at].checked_sub(1).filter(|&limit| limit > 0)?;
    bytes[at] = limit;
    if at == 8 {
        Ipv4Packet::new_unchecked(bytes).fill_checksum();
    }
    Some(limit)
}
