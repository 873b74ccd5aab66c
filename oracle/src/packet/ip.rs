//! The network header of both families, IPv6 extension headers, and fragments.

use std::net::IpAddr;

use super::{Check, internet_checksum};

/// Protocol number of IPv6's fragment header.
const FRAGMENT: u8 = 44;
/// Protocol number of the authentication header, which counts its length in its own way.
const AUTHENTICATION: u8 = 51;

/// A network header. What is `None` is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Source; its family is the packet's.
    pub src: IpAddr,
    /// Destination, of the same family.
    pub dst: IpAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Type of service, or traffic class.
    pub tos: u8,
    /// IPv4: identification; IPv6: identification of the fragment header, where there is one.
    pub id: u32,
    /// IPv4: don't fragment.
    pub dont_fragment: bool,
    /// IPv6: the flow label.
    pub flow_label: u32,
    /// IPv4: option bytes, filled up to words with zeroes.
    pub options: Vec<u8>,
    /// IPv6: the headers between this one and the payload, in order.
    pub extensions: Vec<Extension>,
    /// Which part of a datagram this packet is.
    pub fragment: Option<Fragment>,
    /// The version field, where it is not the family's.
    pub version: Option<u8>,
    /// IPv4: header length in words, where it is not the true one.
    pub header_words: Option<u8>,
    /// IPv4: total length, IPv6: payload length, where it is not the true one.
    pub length: Option<u16>,
    /// IPv4: the header's checksum.
    pub check: Check,
}

/// An IPv6 extension header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its protocol number.
    pub kind: u8,
    /// All that follows its next-header byte, length field included, exactly so; otherwise the smallest that is right.
    pub body: Option<Vec<u8>>,
}

/// A part of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Where it begins, in bytes; a multiple of 8 in honest packets, rounded down to one in all.
    pub offset: u16,
    /// Whether more follows.
    pub more: bool,
}

impl Ip {
    /// An honest header.
    pub fn new(src: IpAddr, dst: IpAddr) -> Ip {
        Ip {
            src,
            dst,
            ttl: 64,
            tos: 0,
            id: 0,
            dont_fragment: false,
            flow_label: 0,
            options: Vec::new(),
            extensions: Vec::new(),
            fragment: None,
            version: None,
            header_words: None,
            length: None,
            check: Check::Right,
        }
    }

    /// Puts the header, and what stands between, in front of `payload`.
    pub fn wrap(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        match (self.src, self.dst) {
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                self.wrap_v6(&src.octets(), &dst.octets(), protocol, payload)
            }
            (src, dst) => self.wrap_v4(&in_v4(src), &in_v4(dst), protocol, payload),
        }
    }

    /// The pseudo header that transport checksums cover (RFC 9293 3.1, RFC 8200 8.1).
    pub fn pseudo_header(&self, protocol: u8, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(40);
        match (self.src, self.dst) {
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                bytes.extend(src.octets());
                bytes.extend(dst.octets());
                bytes.extend((length as u32).to_be_bytes());
                bytes.extend([0, 0, 0, protocol]);
            }
            (src, dst) => {
                bytes.extend(in_v4(src));
                bytes.extend(in_v4(dst));
                bytes.extend([0, protocol]);
                bytes.extend((length as u16).to_be_bytes());
            }
        }
        bytes
    }

    fn wrap_v4(&self, src: &[u8], dst: &[u8], protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut options = self.options.clone();
        options.resize(options.len().next_multiple_of(4), 0);
        let header = 20 + options.len();
        let words = self.header_words.unwrap_or((header / 4) as u8);
        let total = self.length.unwrap_or((header + payload.len()) as u16);
        let (offset, more) = self.fragment.map_or((0, false), |part| (part.offset / 8, part.more));
        let flags = u16::from(self.dont_fragment) << 14 | u16::from(more) << 13 | (offset & 0x1fff);

        let mut bytes = Vec::with_capacity(header + payload.len());
        bytes.extend([self.version.unwrap_or(4) << 4 | (words & 0xf), self.tos]);
        bytes.extend(total.to_be_bytes());
        bytes.extend((self.id as u16).to_be_bytes());
        bytes.extend(flags.to_be_bytes());
        bytes.extend([self.ttl, protocol, 0, 0]);
        bytes.extend(src);
        bytes.extend(dst);
        bytes.extend(&options);
        let check = self.check.field(internet_checksum(&[&bytes]));
        bytes[10..12].copy_from_slice(&check.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    fn wrap_v6(&self, src: &[u8], dst: &[u8], protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut chain: Vec<(u8, Vec<u8>)> =
            self.extensions.iter().map(|extension| (extension.kind, extension.body())).collect();
        if let Some(part) = self.fragment {
            let field = part.offset & !7 | u16::from(part.more);
            let mut body = vec![0];
            body.extend(field.to_be_bytes());
            body.extend(self.id.to_be_bytes());
            chain.push((FRAGMENT, body));
        }
        // Every header names the kind of the one behind it.
        let mut between = Vec::new();
        for (index, (_, body)) in chain.iter().enumerate() {
            let next = chain.get(index + 1).map_or(protocol, |(kind, _)| *kind);
            between.push(next);
            between.extend(body);
        }
        let first = chain.first().map_or(protocol, |(kind, _)| *kind);
        let length = self.length.unwrap_or((between.len() + payload.len()) as u16);
        let word = u32::from(self.version.unwrap_or(6) & 0xf) << 28
            | u32::from(self.tos) << 20
            | (self.flow_label & 0xf_ffff);

        let mut bytes = Vec::with_capacity(40 + between.len() + payload.len());
        bytes.extend(word.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend([first, self.ttl]);
        bytes.extend(src);
        bytes.extend(dst);
        bytes.extend(between);
        bytes.extend(payload);
        bytes
    }
}

impl Extension {
    /// What follows its next-header byte.
    fn body(&self) -> Vec<u8> {
        match (&self.body, self.kind) {
            (Some(body), _) => body.clone(),
            // Counted in words, less two: SPI and sequence number, and no more (RFC 4302 2.2).
            (None, AUTHENTICATION) => vec![1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1],
            // Six bytes of padding, as an option of their own (RFC 8200 4.2).
            (None, 0 | 60) => vec![0, 1, 4, 0, 0, 0, 0],
            (None, _) => vec![0; 7],
        }
    }
}

/// Four bytes of whatever address: a mixed pair is no packet, but must not end the program.
fn in_v4(ip: IpAddr) -> [u8; 4] {
    match ip {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(ip) => ip.to_ipv4().map_or([0; 4], |ip| ip.octets()),
    }
}
