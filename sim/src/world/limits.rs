//! What a run may cost: no world runs for ever.

use std::fmt;

use crate::time::{DAY, seconds};

/// Bounds on a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events, from the beginning.
    pub events: u64,
    /// The last moment, in nanoseconds.
    pub time: u64,
}

impl Default for Limits {
    /// A hundred million events, a hundred years.
    fn default() -> Limits {
        Limits { events: 100_000_000, time: 36_525 * DAY }
    }
}

/// Why a run ended before it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunError {
    /// More happened than may.
    Events {
        /// The bound.
        limit: u64,
        /// The time at which it was reached, in nanoseconds.
        at: u64,
    },
    /// It would go on after the last moment.
    Time {
        /// The bound, in nanoseconds.
        limit: u64,
    },
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            RunError::Events { limit, at } => {
                write!(f, "it does not end: {limit} events have happened after {}", seconds(at))
            }
            RunError::Time { limit } => {
                write!(f, "it does not end before {}, the last moment", seconds(limit))
            }
        }
    }
}

impl std::error::Error for RunError {}
