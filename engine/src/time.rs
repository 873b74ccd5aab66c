//! Time, all of it: nanoseconds at every edge, jiffies inside the rules, whole seconds for people.
//!
//! It is *given*, never asked for. The kernel's timers count jiffies of `hz` a second, so a deadline is a jiffy and
//! an entry is dead from the first nanosecond of it: at `T - 1 tick` it is there, at `T` it is gone. Nothing here
//! knows of connections.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Nanoseconds in a second.
pub const NANOS: u64 = 1_000_000_000;

/// A moment, or a length of time, in nanoseconds since whatever the caller counts from.
///
/// ```
/// use conntruth_engine::Time;
/// assert_eq!(Time::from_secs(120).as_secs(), 120);
/// assert_eq!(Time::from_millis(1500).to_string(), "1.500000000");
/// ```
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub u64);

impl Time {
    /// The beginning.
    pub const ZERO: Time = Time(0);

    /// So many whole seconds.
    pub const fn from_secs(seconds: u64) -> Time {
        Time(seconds.saturating_mul(NANOS))
    }

    /// So many milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Time {
        Time(milliseconds.saturating_mul(1_000_000))
    }

    /// Whole seconds, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / NANOS
    }

    /// Nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The later moment; stays at the end of time when it would pass it.
    #[must_use]
    pub const fn plus(self, length: Time) -> Time {
        Time(self.0.saturating_add(length.0))
    }

    /// How long after `earlier` this is, zero when it is not.
    #[must_use]
    pub const fn since(self, earlier: Time) -> Time {
        Time(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0 / NANOS, self.0 % NANOS)
    }
}

/// A count of timer ticks. What a tick is worth is the profile's `hz`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Jiffies(pub u64);

/// Converts between the clock at the edges and the ticks inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticks {
    hz: u32,
    tick: u64,
}

impl Ticks {
    /// A clock of `hz` ticks a second.
    pub const fn new(hz: u32) -> Ticks {
        Ticks { hz, tick: NANOS / hz as u64 }
    }

    /// The tick in which `now` lies.
    pub const fn at(self, now: Time) -> Jiffies {
        Jiffies(now.0 / self.tick)
    }

    /// The first moment of a tick.
    pub const fn start(self, tick: Jiffies) -> Time {
        Time(tick.0.saturating_mul(self.tick))
    }

    /// `seconds` as ticks.
    pub const fn of_secs(self, seconds: u32) -> u64 {
        seconds as u64 * self.hz as u64
    }

    /// A sysctl's seconds as ticks: none when they are not positive.
    pub const fn of_setting(self, seconds: i32) -> u64 {
        if seconds > 0 { self.of_secs(seconds as u32) } else { 0 }
    }

    /// No timeout is longer, in ticks: the most seconds that a sysctl or a message has room for.
    pub const fn longest(self) -> u64 {
        self.of_secs(u32::MAX)
    }

    /// Whole seconds left at `now` until `deadline`: what listings show.
    pub const fn seconds_left(self, deadline: Jiffies, now: Jiffies) -> u64 {
        deadline.0.saturating_sub(now.0) / self.hz as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_the_first_nanosecond_of_its_tick() {
        let ticks = Ticks::new(250);
        assert_eq!(ticks.at(Time(3_999_999)), Jiffies(0));
        assert_eq!(ticks.at(Time(4_000_000)), Jiffies(1));
        assert_eq!(ticks.start(Jiffies(1)), Time(4_000_000));
        assert_eq!(ticks.seconds_left(Jiffies(30_000), Jiffies(0)), 120);
        assert_eq!(ticks.seconds_left(Jiffies(30_000), Jiffies(1)), 119);
    }
}
