//! UDP, UDP-Lite and GRE.

use super::{Check, Ip, internet_checksum};

/// A UDP header. What is `None` is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Udp {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// The length field.
    pub length: Option<u16>,
    /// The checksum; zero says that there is none.
    pub check: Check,
}

impl Udp {
    /// Header and payload, sealed for `ip`'s addresses.
    pub fn bytes(&self, ip: &Ip, payload: &[u8]) -> Vec<u8> {
        let length = self.length.unwrap_or((8 + payload.len()) as u16);
        let mut bytes = ports(self.sport, self.dport, length, payload);
        let right = internet_checksum(&[&ip.pseudo_header(17, bytes.len()), &bytes]);
        let check = self.check.field(if right == 0 { 0xffff } else { right });
        bytes[6..8].copy_from_slice(&check.to_be_bytes());
        bytes
    }
}

/// A UDP-Lite header (RFC 3828).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpLite {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// How many bytes the checksum covers; 0 is all of them.
    pub coverage: u16,
    /// The checksum. Right is what RFC 3828 says, with protocol number 136 and over the coverage; Linux 6.18's tracker
    /// holds that for wrong, since it verifies with UDP's number and over all bytes.
    pub check: Check,
}

impl UdpLite {
    /// Header and payload, sealed for `ip`'s addresses.
    pub fn bytes(&self, ip: &Ip, payload: &[u8]) -> Vec<u8> {
        let mut bytes = ports(self.sport, self.dport, self.coverage, payload);
        let covered = match self.coverage {
            0 => bytes.len(),
            coverage => bytes.len().min(usize::from(coverage)),
        };
        let right = internet_checksum(&[&ip.pseudo_header(136, bytes.len()), &bytes[..covered]]);
        let check = self.check.field(if right == 0 { 0xffff } else { right });
        bytes[6..8].copy_from_slice(&check.to_be_bytes());
        bytes
    }
}

fn ports(sport: u16, dport: u16, third: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + payload.len());
    bytes.extend(sport.to_be_bytes());
    bytes.extend(dport.to_be_bytes());
    bytes.extend(third.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    bytes
}

/// A GRE header (RFC 2784, RFC 2890; version 1: RFC 2637).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gre {
    /// 0, or 1 for PPTP's.
    pub version: u8,
    /// What it carries, as an Ethernet type.
    pub protocol: u16,
    /// The key. In version 1 its upper half is the payload's length and its lower half the call.
    pub key: Option<u32>,
    /// The sequence number.
    pub sequence: Option<u32>,
    /// Whether there is a checksum (version 0).
    pub checksum: bool,
}

impl Gre {
    /// Header and payload.
    pub fn bytes(&self, payload: &[u8]) -> Vec<u8> {
        let flags = u16::from(self.checksum) << 15
            | u16::from(self.key.is_some()) << 13
            | u16::from(self.sequence.is_some()) << 12
            | u16::from(self.version & 7);
        let mut bytes = Vec::new();
        bytes.extend(flags.to_be_bytes());
        bytes.extend(self.protocol.to_be_bytes());
        if self.checksum {
            bytes.extend([0; 4]);
        }
        bytes.extend(self.key.iter().flat_map(|key| key.to_be_bytes()));
        bytes.extend(self.sequence.iter().flat_map(|number| number.to_be_bytes()));
        bytes.extend(payload);
        if self.checksum {
            let right = internet_checksum(&[&bytes]);
            bytes[4..6].copy_from_slice(&right.to_be_bytes());
        }
        bytes
    }
}
