//! The kernel's jiffies as they can be seen from outside: its coarse clock moves with them, at the same moment. On a busy
//! machine they may stand still for longer than they should and then make a leap, so that a sleep says nothing about them.

use std::time::Duration;

use conntruth_engine::Time;
use nix::time::{ClockId, clock_getres, clock_gettime};

/// Counts jiffies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jiffies {
    /// How long one is, in nanoseconds.
    tick: u64,
}

impl Jiffies {
    pub(super) fn new() -> Jiffies {
        let resolution = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE);
        Jiffies { tick: resolution.map_or(4_000_000, |time| (time.tv_nsec() as u64).max(1)) }
    }

    /// How many are a second: the kernel's `HZ`.
    pub(super) fn a_second(self) -> u64 {
        1_000_000_000 / self.tick
    }

    /// How many there have been.
    pub(super) fn now(self) -> u64 {
        // The clock is there since Linux 2.6.32.
        clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE)
            .map_or(0, |time| (time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64) / self.tick)
    }

    /// Waits until there have been so many.
    pub(super) fn wait_until(self, jiffy: u64) {
        loop {
            let left = jiffy.saturating_sub(self.now());
            if left == 0 {
                return;
            }
            // The next one may be about to begin.
            std::thread::sleep(Duration::from_nanos(
                (self.tick * left).saturating_sub(self.tick / 2).max(100_000),
            ));
        }
    }

    /// So many as pass in a length of time.
    pub(super) fn of(self, length: Time) -> u64 {
        length.as_nanos().div_ceil(self.tick)
    }

    /// How long so many take.
    pub(super) fn length(self, jiffies: u64) -> Time {
        Time(jiffies.saturating_mul(self.tick))
    }

    /// The beginning of the jiffy in which a virtual moment lies.
    pub(super) fn floor(self, moment: Time) -> Time {
        Time(moment.as_nanos() / self.tick * self.tick)
    }
}
