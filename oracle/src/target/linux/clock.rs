//! A clock that jumps whenever nobody has anything to do: that of a guest under virtual time. There a process that sleeps
//! wakes exactly when it said, and nothing takes time but sleeping, so that what happens between two sleeps happens in
//! one jiffy.

use std::time::{Duration, Instant};

use super::sys;

/// How finely the beginning of a jiffy is looked for.
const STEP: Duration = Duration::from_micros(20);

/// Where jiffies begin.
pub(super) struct Clock {
    /// The beginning of one of them, or a step later.
    edge: Instant,
    tick: Duration,
}

impl Clock {
    /// Looks for the beginning of a jiffy.
    pub(super) fn new(tick: u64) -> Clock {
        // Otherwise a process that sleeps may be woken 50 µs late.
        let _ = nix::sys::prctl::set_timerslack(1);
        let before = sys::jiffies();
        while sys::jiffies() == before {
            std::thread::sleep(STEP);
        }
        Clock { edge: now(), tick: Duration::from_nanos(tick) }
    }

    /// Sleeps until the beginning of the next jiffy but one, and says when that is: what was before lies in another.
    pub(super) fn next(&self) -> Instant {
        let now = now();
        let tick = self.tick.as_nanos().max(1);
        let into = now.duration_since(self.edge).as_nanos() % tick;
        // Less than two jiffies: it has room.
        let next = now + Duration::from_nanos((2 * tick - into) as u64);
        sleep_until(next);
        next
    }
}

/// Sleeps until a moment; returns at once where it is over.
pub(super) fn sleep_until(moment: Instant) {
    let left = moment.saturating_duration_since(now());
    if !left.is_zero() {
        std::thread::sleep(left);
    }
}

#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}
