//! TCP segments: every flag, every option byte, any data offset.

use super::{Check, Ip, internet_checksum};

/// Flag bits.
#[allow(missing_docs)]
pub mod flag {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const PSH: u8 = 0x08;
    pub const ACK: u8 = 0x10;
    pub const URG: u8 = 0x20;
    pub const ECE: u8 = 0x40;
    pub const CWR: u8 = 0x80;
}

/// A TCP header. What is `None` is computed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// Sequence number, as on the wire.
    pub seq: u32,
    /// Acknowledgement number, as on the wire.
    pub ack: u32,
    /// The eight flag bits.
    pub flags: u8,
    /// The window, as on the wire.
    pub window: u16,
    /// The urgent pointer.
    pub urgent: u16,
    /// Options, filled up to words with zeroes (end of options).
    pub options: Vec<TcpOption>,
    /// Header length in words, where it is not the true one.
    pub data_offset: Option<u8>,
    /// The checksum.
    pub check: Check,
}

/// A TCP option (RFC 9293 3.2, RFC 7323, RFC 2018).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpOption {
    /// End of options.
    End,
    /// Padding.
    Nop,
    /// Maximum segment size.
    Mss(u16),
    /// Window scale.
    Scale(u8),
    /// SACK permitted.
    SackPermitted,
    /// SACK blocks, left and right edges as on the wire.
    Sack(Vec<(u32, u32)>),
    /// Timestamps: value and echo.
    Timestamps(u32, u32),
    /// Any bytes, kind and length included.
    Raw(Vec<u8>),
}

impl TcpOption {
    fn write(&self, bytes: &mut Vec<u8>) {
        match self {
            TcpOption::End => bytes.push(0),
            TcpOption::Nop => bytes.push(1),
            TcpOption::Mss(size) => {
                bytes.extend([2, 4]);
                bytes.extend(size.to_be_bytes());
            }
            TcpOption::Scale(shift) => bytes.extend([3, 3, *shift]),
            TcpOption::SackPermitted => bytes.extend([4, 2]),
            TcpOption::Sack(blocks) => {
                bytes.extend([5, (2 + 8 * blocks.len()) as u8]);
                for (left, right) in blocks {
                    bytes.extend(left.to_be_bytes());
                    bytes.extend(right.to_be_bytes());
                }
            }
            TcpOption::Timestamps(value, echo) => {
                bytes.extend([8, 10]);
                bytes.extend(value.to_be_bytes());
                bytes.extend(echo.to_be_bytes());
            }
            TcpOption::Raw(raw) => bytes.extend(raw),
        }
    }
}

impl Tcp {
    /// Whether a flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Header and payload, sealed for `ip`'s addresses.
    pub fn bytes(&self, ip: &Ip, payload: &[u8]) -> Vec<u8> {
        let mut options = Vec::new();
        for option in &self.options {
            option.write(&mut options);
        }
        options.resize(options.len().next_multiple_of(4), 0);
        let words = self.data_offset.unwrap_or(((20 + options.len()) / 4) as u8);

        let mut bytes = Vec::with_capacity(20 + options.len() + payload.len());
        bytes.extend(self.sport.to_be_bytes());
        bytes.extend(self.dport.to_be_bytes());
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.ack.to_be_bytes());
        bytes.extend([words << 4, self.flags]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(self.urgent.to_be_bytes());
        bytes.extend(options);
        bytes.extend(payload);
        let right = internet_checksum(&[&ip.pseudo_header(6, bytes.len()), &bytes]);
        bytes[16..18].copy_from_slice(&self.check.field(right).to_be_bytes());
        bytes
    }
}
