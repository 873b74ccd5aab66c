//! The internet checksum with its pseudo headers, and SCTP's CRC32c.
//!
//! Sums are kept unfolded, as plain integers over little-endian words: a one's-complement sum does not care which byte
//! order it is taken in as long as it is one (RFC 1071, section 2). Nothing here knows which packets must be verified.

use crate::tuple::Family;
use crate::wire::ip::Datagram;

/// The unfolded sum of `bytes`, an odd last byte padded with zero. Sums of pieces may be added as long as every piece
/// but the last has an even length.
///
/// Source: RFC 1071; linux 6.18 lib/checksum.c `do_csum`.
#[inline]
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    // Whole words with the carries beside them: 2^64 leaves 1 when divided by 0xffff, so they are added in the end.
    let (words, rest) = bytes.as_chunks::<8>();
    let total: u128 = words.iter().map(|word| u128::from(u64::from_le_bytes(*word))).sum();
    halves(total as u64) + (total >> 64) as u64 + halves(last_word(bytes, rest))
}

/// What is left behind the last whole word: the last eight bytes with those shifted out that were summed before.
#[inline]
fn last_word(bytes: &[u8], rest: &[u8]) -> u64 {
    match bytes.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last).checked_shr(64 - 8 * rest.len() as u32).unwrap_or(0),
        None => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// A word as the sum of its halves, so that many can be added.
#[inline]
fn halves(word: u64) -> u64 {
    (word & 0xffff_ffff) + (word >> 32)
}

/// Folds a sum to 16 bits, in the order of [`sum`]'s words: little-endian.
pub(crate) fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// Whether what was summed, its checksum included, is intact: whether it would fold to 0xffff. Folding keeps a sum's
/// remainder by 0xffff, and makes zero only of zero.
pub(crate) fn is_intact(sum: u64) -> bool {
    sum != 0 && sum.is_multiple_of(0xffff)
}

/// The two bytes to write into a header whose checksum field was zero when it was summed.
pub(crate) fn seal(sum: u64) -> [u8; 2] {
    (!fold(sum)).to_le_bytes()
}

/// The sum of a datagram's pseudo header, for a transport part of `length` bytes.
///
/// The protocol is given because UDP-Lite is not verified with its own.
/// Source: RFC 9293 section 3.1, RFC 8200 section 8.1.
#[inline]
pub(crate) fn pseudo_header(datagram: &Datagram<'_>, protocol: u8, length: u32) -> u64 {
    let addresses = match datagram.family {
        Family::Ipv4 => sum(&datagram.bytes[12..20]),
        Family::Ipv6 => sum(&datagram.bytes[8..40]),
    };
    // Zero and protocol as one big-endian word, then the length: in little-endian order.
    addresses + (u64::from(protocol) << 8) + u64::from(length.swap_bytes())
}

/// Whether the transport part that begins at `offset` is intact under the pseudo header; `length` bytes of it count.
#[inline]
pub(crate) fn is_transport_intact(datagram: &Datagram<'_>, protocol: u8, segment: &[u8]) -> bool {
    is_intact(sum(segment) + pseudo_header(datagram, protocol, segment.len() as u32))
}

/// CRC32c (Castagnoli), as SCTP puts it little-endian into its header.
///
/// Source: RFC 9260 appendix A.
pub(crate) fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut crc = u32::MAX;
    for part in parts {
        let (blocks, rest) = part.as_chunks::<8>();
        for block in blocks {
            let word = u64::from_le_bytes(*block) ^ u64::from(crc);
            crc = (0..8).fold(0, |crc, i| crc ^ CRC32C[7 - i][(word >> (8 * i)) as usize & 0xff]);
        }
        for &byte in rest {
            crc = CRC32C[0][((crc ^ u32::from(byte)) & 0xff) as usize] ^ (crc >> 8);
        }
    }
    !crc
}

/// Table `n` takes a byte and moves it on by `n` zero bytes: eight bytes are taken at a time.
static CRC32C: [[u32; 256]; 8] = {
    let mut tables = [[0u32; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = tables[0][(before & 0xff) as usize] ^ (before >> 8);
            byte += 1;
        }
        table += 1;
    }
    tables
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Two bytes at a time, as RFC 1071 says it.
    fn plainly(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    #[test]
    fn sums_agree_with_the_plain_way_at_every_length() {
        let bytes: Vec<u8> = (0..1500u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for length in (0..200).chain(1400..1500) {
            assert_eq!(fold(sum(&bytes[..length])).swap_bytes(), plainly(&bytes[..length]), "{length} bytes");
        }
        assert_eq!(fold(sum(&[0xff; 65_535])).swap_bytes(), plainly(&[0xff; 65_535]));
    }

    #[test]
    fn the_example_of_rfc_1071() {
        let mut bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7, 0, 0];
        assert_eq!(fold(sum(&bytes)).swap_bytes(), 0xddf2);
        let seal = seal(sum(&bytes));
        bytes[8..].copy_from_slice(&seal);
        assert!(is_intact(sum(&bytes)));
    }

    #[test]
    fn crc32c_of_rfc_3720() {
        assert_eq!(crc32c(&[&[0; 32]]), 0x8a91_36aa);
        assert_eq!(crc32c(&[&[0xff; 32]]), 0x62a8_ab43);
        assert_eq!(crc32c(&[b"12345", b"", b"6789"]), 0xe306_9283);
    }
}
