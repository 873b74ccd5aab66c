//! What applications send when nobody cares what: bytes that never repeat, the same each time.

/// An endless text, of which any part can be had.
///
/// Two parts from different places differ, so that data delivered twice, or in the wrong order, shows in its hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content(pub u64);

impl Content {
    /// Fills in the bytes from `offset` on.
    pub fn fill(self, offset: u64, room: &mut [u8]) {
        let mut at = offset;
        let mut rest = room;
        while !rest.is_empty() {
            let word = self.word(at / 8).to_le_bytes();
            let part = &word[(at % 8) as usize..];
            let length = part.len().min(rest.len());
            rest[..length].copy_from_slice(&part[..length]);
            rest = &mut rest[length..];
            at += length as u64;
        }
    }

    /// The first `length` bytes.
    pub fn bytes(self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.fill(0, &mut bytes);
        bytes
    }

    /// SplitMix64's output function over the place in the text.
    fn word(self, place: u64) -> u64 {
        let mut word = (place.wrapping_add(self.0)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}
