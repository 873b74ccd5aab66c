//! Choices made by bytes. Where the bytes have run out the first of several is chosen, and nothing is odd: short inputs
//! are simple stories.

use arbitrary::Unstructured;

/// See the module.
#[derive(Debug)]
pub struct Choices<'c, 'b>(&'c mut Unstructured<'b>);

impl<'c, 'b> Choices<'c, 'b> {
    /// Choices from these bytes.
    pub fn new(bytes: &'c mut Unstructured<'b>) -> Choices<'c, 'b> {
        Choices(bytes)
    }

    /// A byte, 0 when there is none left.
    pub fn byte(&mut self) -> u8 {
        self.0.bytes(1).map_or(0, |bytes| bytes[0])
    }

    /// Any number of 16 bits.
    pub fn short(&mut self) -> u16 {
        self.0.arbitrary().unwrap_or(0)
    }

    /// Any number of 32 bits.
    pub fn word(&mut self) -> u32 {
        self.0.arbitrary().unwrap_or(0)
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&mut self, end: usize) -> usize {
        if end <= 1 {
            return 0;
        }
        let number = if end <= 256 { usize::from(self.byte()) } else { self.word() as usize };
        number % end
    }

    /// Once in so many times; never when the bytes have run out.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times.clamp(2, 256)) == times.clamp(2, 256) - 1
    }

    /// One of these; the first when the bytes have run out.
    ///
    /// # Panics
    /// When there is none.
    pub fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())]
    }

    /// One of these, each as often as its weight says.
    ///
    /// # Panics
    /// When there is none.
    pub fn weighed<T: Copy>(&mut self, among: &[(u8, T)]) -> T {
        let sum: usize = among.iter().map(|(weight, _)| usize::from(*weight)).sum();
        let mut at = self.below(sum.max(1));
        for (weight, choice) in among {
            match at.checked_sub(usize::from(*weight)) {
                Some(rest) => at = rest,
                None => return *choice,
            }
        }
        among[0].1
    }

    /// So many bytes, zeroes when there are none left.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = self.0.bytes(count.min(self.0.len())).unwrap_or_default().to_vec();
        bytes.resize(count, 0);
        bytes
    }
}
