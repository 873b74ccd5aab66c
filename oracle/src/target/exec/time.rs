//! The scenario's time and the adapter's: which of both is waited for, and by how much the adapter's is late.

use std::time::{Duration, Instant};

use conntruth_engine::Time;

use super::{Exec, Known};
use crate::target::{Passing, Refusal};

impl Exec {
    /// Lets the scenario's time come, where time is real. Whether an adapter need be told.
    pub(super) fn come(&mut self, to: Time) -> Result<bool, Refusal> {
        let passes = Time(to.as_nanos().saturating_sub(self.now.as_nanos()));
        if passes == Time::ZERO {
            return Ok(false);
        }
        match self.identity.abilities.time {
            Passing::Virtual | Passing::Age => {}
            Passing::None if passes.as_nanos() < 1_000_000_000 => {}
            Passing::None => {
                return Err(Refusal::Unsupported(format!(
                    "{} cannot let time pass, and this needs {} s of it",
                    self.identity.name,
                    passes.as_secs()
                )));
            }
            Passing::Real => {
                // What was late before ends late: it is waited for.
                let until = Duration::from_nanos(to.plus(self.late).as_nanos());
                let wait = until.saturating_sub(self.elapsed());
                if wait > self.patience {
                    return Err(Refusal::Unsupported(format!(
                        "it needs {} s of real time at once, and --patience is {} s",
                        wait.as_secs_f64().ceil(),
                        self.patience.as_secs_f64()
                    )));
                }
                std::thread::sleep(wait);
            }
        }
        self.now = to;
        Ok(self.identity.abilities.time != Passing::None)
    }

    fn elapsed(&self) -> Duration {
        self.begun.map_or(Duration::ZERO, |begun| begun.elapsed())
    }

    /// Notes how much later than the scenario's time it is for the adapter.
    pub(super) fn note_lag(&mut self) {
        let elapsed = u64::try_from(self.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.known.lag = match self.identity.abilities.time {
            Passing::Virtual | Passing::None => Time::ZERO,
            Passing::Age => Time(elapsed),
            Passing::Real => Time(elapsed.saturating_sub(self.now.as_nanos())),
        };
        self.late = self.late.max(self.known.lag);
    }

    /// A fresh world of ours.
    pub(super) fn fresh(&mut self, begun: Instant) {
        self.known = Known::default();
        (self.now, self.late) = (Time::ZERO, Time::ZERO);
        let is_virtual = matches!(self.identity.abilities.time, Passing::Virtual | Passing::None);
        self.begun = (!is_virtual).then_some(begun);
    }
}
