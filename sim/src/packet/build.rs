//! New packets: UDP datagrams and echo requests. TCP's come from smoltcp.

use std::net::{IpAddr, SocketAddr};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{Icmpv4Packet, Icmpv6Packet, IpAddress, IpProtocol, IpRepr, UdpPacket, UdpRepr};

use super::{Header, protocol};

/// A UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The sender.
    pub src: SocketAddr,
    /// The receiver.
    pub dst: SocketAddr,
    /// How many routers it may pass.
    pub hop_limit: u8,
    /// The data.
    pub data: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// The packet; `None` where the families differ or it would be larger than IP allows.
    pub fn write(&self) -> Option<Vec<u8>> {
        if self.data.len() > 65_507 || self.src.is_ipv4() != self.dst.is_ipv4() {
            return None;
        }
        let mut body = vec![0; 8 + self.data.len()];
        UdpRepr { src_port: self.src.port(), dst_port: self.dst.port() }.emit(
            &mut UdpPacket::new_unchecked(&mut body[..]),
            &self.src.ip().into(),
            &self.dst.ip().into(),
            self.data.len(),
            |payload| payload.copy_from_slice(self.data),
            &ChecksumCapabilities::default(),
        );
        wrap(self.src.ip(), self.dst.ip(), protocol::UDP, self.hop_limit, body)
    }

    /// The datagram in a packet that is not a fragment, when its length and checksum are right.
    pub fn read(header: &Header, bytes: &'a [u8]) -> Option<Datagram<'a>> {
        let packet = UdpPacket::new_checked(header.payload(bytes)).ok()?;
        let repr =
            UdpRepr::parse(&packet, &header.src.into(), &header.dst.into(), &ChecksumCapabilities::default());
        let repr = repr.ok()?;
        Some(Datagram {
            src: SocketAddr::new(header.src, repr.src_port),
            dst: SocketAddr::new(header.dst, repr.dst_port),
            hop_limit: header.hop_limit,
            data: packet.payload(),
        })
    }
}

/// An echo request, or the reply to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoRequest<'a> {
    /// The sender.
    pub src: IpAddr,
    /// The receiver.
    pub dst: IpAddr,
    /// How many routers it may pass.
    pub hop_limit: u8,
    /// Whose request it is, among the sender's.
    pub ident: u16,
    /// Which of his.
    pub seq: u16,
    /// What is to be sent back.
    pub data: &'a [u8],
}

impl<'a> EchoRequest<'a> {
    /// The packet; `None` where the families differ or it would be larger than IP allows.
    pub fn write(&self) -> Option<Vec<u8>> {
        let v6 = self.src.is_ipv6();
        let mut body = vec![if v6 { 128 } else { 8 }, 0, 0, 0];
        body.extend_from_slice(&self.ident.to_be_bytes());
        body.extend_from_slice(&self.seq.to_be_bytes());
        body.extend_from_slice(self.data);
        if v6 {
            seal_icmpv6(&mut body, self.src, self.dst);
            wrap(self.src, self.dst, protocol::ICMPV6, self.hop_limit, body)
        } else {
            Icmpv4Packet::new_unchecked(&mut body[..]).fill_checksum();
            wrap(self.src, self.dst, protocol::ICMP, self.hop_limit, body)
        }
    }

    /// The echo *reply* in a packet, when its checksum is right; the roles are those of the request it answers.
    pub fn read_reply(header: &Header, bytes: &'a [u8]) -> Option<EchoRequest<'a>> {
        let payload = header.payload(bytes);
        let is_reply = match (header.src, header.dst) {
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                header.protocol == protocol::ICMPV6
                    && payload.first() == Some(&129)
                    && Icmpv6Packet::new_checked(payload).ok()?.verify_checksum(&src, &dst)
            }
            _ => {
                header.protocol == protocol::ICMP
                    && payload.first() == Some(&0)
                    && Icmpv4Packet::new_checked(payload).ok()?.verify_checksum()
            }
        };
        let head = payload.first_chunk::<8>().filter(|_| is_reply)?;
        Some(EchoRequest {
            src: header.dst,
            dst: header.src,
            hop_limit: header.hop_limit,
            ident: u16::from_be_bytes([head[4], head[5]]),
            seq: u16::from_be_bytes([head[6], head[7]]),
            data: &payload[8..],
        })
    }
}

/// Puts a network header before a transport part; `None` where the families differ or the packet would be too large.
pub(super) fn wrap(src: IpAddr, dst: IpAddr, protocol: u8, hop_limit: u8, body: Vec<u8>) -> Option<Vec<u8>> {
    let head = if src.is_ipv4() { 20 } else { 40 };
    if src.is_ipv4() != dst.is_ipv4() || body.len() + head > 65_535 {
        return None;
    }
    let (src, dst): (IpAddress, IpAddress) = (src.into(), dst.into());
    let repr = IpRepr::new(src, dst, IpProtocol::from(protocol), body.len(), hop_limit);
    let mut packet = vec![0; head];
    packet.reserve(body.len());
    packet.extend_from_slice(&body);
    repr.emit(&mut packet[..], &ChecksumCapabilities::default());
    Some(packet)
}

/// Fills in ICMPv6's checksum, which counts the addresses.
pub(super) fn seal_icmpv6(body: &mut [u8], src: IpAddr, dst: IpAddr) {
    if let (IpAddr::V6(src), IpAddr::V6(dst)) = (src, dst) {
        Icmpv6Packet::new_unchecked(body).fill_checksum(&src, &dst);
    }
}
