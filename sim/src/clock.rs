//! The virtual clock: it shows what it is told, and never runs backwards.

/// Nanoseconds since whatever the one who sets it counts from.
///
/// ```
/// let mut clock = conntruth_sim::Clock::default();
/// assert!(clock.advance_to(5));
/// assert!(!clock.advance_to(3), "the past");
/// assert_eq!(clock.now(), 5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    now: u64,
}

impl Clock {
    /// The time, in nanoseconds.
    pub fn now(self) -> u64 {
        self.now
    }

    /// Sets the clock to `nanoseconds`; where that is the past it stands still and the answer is no.
    #[must_use]
    pub fn advance_to(&mut self, nanoseconds: u64) -> bool {
        let forward = nanoseconds >= self.now;
        self.now = self.now.max(nanoseconds);
        forward
    }
}
