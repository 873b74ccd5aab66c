//! ICMP and ICMPv6 messages.

use std::net::IpAddr;

use super::{Check, Ip, internet_checksum};

/// An ICMP or ICMPv6 message; the family is that of the header it is sealed for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// The four bytes behind the checksum: identifier and sequence number, MTU, gateway, pointer, or unused.
    pub rest: u32,
    /// The checksum.
    pub check: Check,
}

impl Icmp {
    /// The protocol number of `ip`'s family.
    pub fn protocol(ip: &Ip) -> u8 {
        match ip.src {
            IpAddr::V4(_) => 1,
            IpAddr::V6(_) => 58,
        }
    }

    /// Header and payload, sealed for `ip`'s family and addresses.
    pub fn bytes(&self, ip: &Ip, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + payload.len());
        bytes.extend([self.kind, self.code, 0, 0]);
        bytes.extend(self.rest.to_be_bytes());
        bytes.extend(payload);
        let right = match ip.src {
            IpAddr::V4(_) => internet_checksum(&[&bytes]),
            IpAddr::V6(_) => internet_checksum(&[&ip.pseudo_header(58, bytes.len()), &bytes]),
        };
        bytes[2..4].copy_from_slice(&self.check.field(right).to_be_bytes());
        bytes
    }
}
