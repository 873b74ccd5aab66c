//! SCTP packets: the common header, and chunks of any kind.

use super::Check;

/// An SCTP common header (RFC 9260 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sctp {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// Verification tag.
    pub tag: u32,
    /// The CRC32c.
    pub check: Check,
}

/// A chunk: its length is that of its bytes unless another is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Type.
    pub kind: u8,
    /// Flags.
    pub flags: u8,
    /// The length field, where it is not the true one.
    pub length: Option<u16>,
    /// The bytes behind the length field; padding follows by itself.
    pub value: Vec<u8>,
}

impl Sctp {
    /// Header and chunks, sealed.
    pub fn bytes(&self, chunks: &[Chunk]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.sport.to_be_bytes());
        bytes.extend(self.dport.to_be_bytes());
        bytes.extend(self.tag.to_be_bytes());
        bytes.extend([0; 4]);
        for chunk in chunks {
            bytes.extend([chunk.kind, chunk.flags]);
            bytes.extend(chunk.length.unwrap_or((4 + chunk.value.len()) as u16).to_be_bytes());
            bytes.extend(&chunk.value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        // The CRC is sent low byte first (RFC 9260 6.8).
        let right = crc32c::crc32c(&bytes);
        let check = match self.check {
            Check::Right => right,
            Check::Wrong => right ^ 0x0101_0101,
            Check::Is(value) => value,
        };
        bytes[8..12].copy_from_slice(&check.to_le_bytes());
        bytes
    }
}
