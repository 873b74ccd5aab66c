//! A node that plays packets at given times and keeps what it gets: for what no honest stack sends.

/// A packet that a script received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When, in nanoseconds.
    pub at: u64,
    /// By which of its interfaces.
    pub interface: usize,
    /// The packet.
    pub bytes: Vec<u8>,
}

/// A script at work.
#[derive(Debug, Default)]
pub(super) struct Script {
    seen: Vec<Seen>,
}

impl Script {
    pub(super) fn take(&mut self, seen: Seen) {
        self.seen.push(seen);
    }

    pub(super) fn seen(&self) -> &[Seen] {
        &self.seen
    }
}
