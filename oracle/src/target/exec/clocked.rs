//! The reference on a clock of another kind, to see what an adapter with such a clock is asked: one that runs by itself,
//! one that runs and can be put forward, one that stands still.

use std::time::Instant;

use conntruth_engine::{Counter, Time};

use crate::target::{
    Arrival, Config, Entry, Happening, Identity, Observation, Passing, Reference, Refusal, Release, Setting,
    Target,
};

/// A tracker that does not know the scenario's time.
#[derive(Clone, Debug)]
pub struct Clocked {
    reference: Reference,
    clock: Passing,
    begun: Instant,
    /// How far entries were made older.
    aged: Time,
    /// When the scenario was, as it was last told.
    told: Time,
}

impl Clocked {
    /// A reference whose time passes as `clock` says.
    #[allow(clippy::disallowed_methods)] // A clock that runs by itself is what this is for.
    pub fn new(reference: Reference, clock: Passing) -> Clocked {
        Clocked { reference, clock, begun: Instant::now(), aged: Time::ZERO, told: Time::ZERO }
    }

    /// Its own time.
    fn now(&self) -> Time {
        let runs = || Time(u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        match self.clock {
            Passing::Virtual => self.told,
            Passing::Real => runs(),
            Passing::Age => runs().plus(self.aged),
            Passing::None => Time::ZERO,
        }
    }
}

impl Target for Clocked {
    fn identity(&self) -> Identity {
        let mut identity = self.reference.identity();
        identity.abilities.time = self.clock;
        identity
    }

    #[allow(clippy::disallowed_methods)]
    fn begin(&mut self, config: &Config) -> Result<(), Refusal> {
        (self.begun, self.aged, self.told) = (Instant::now(), Time::ZERO, Time::ZERO);
        self.reference.begin(config)
    }

    fn set(&mut self, setting: &Setting) -> Result<(), Refusal> {
        self.reference.set(setting)
    }

    fn packet(&mut self, arrival: &Arrival) -> Result<Observation, Refusal> {
        self.reference.packet(&Arrival { at: self.now(), ..arrival.clone() })
    }

    fn release(&mut self, release: &Release) -> Result<Observation, Refusal> {
        self.reference.release(&Release { at: self.now(), ..*release })
    }

    fn advance(&mut self, to: Time) -> Result<Vec<Happening>, Refusal> {
        if self.clock == Passing::Age {
            self.aged = self.aged.plus(Time(to.as_nanos().saturating_sub(self.told.as_nanos())));
        }
        self.told = to;
        self.reference.advance(self.now())
    }

    fn table(&mut self) -> Result<Vec<Entry>, Refusal> {
        self.reference.advance(self.now())?;
        self.reference.table()
    }

    fn counters(&mut self) -> Result<Vec<(String, Counter)>, Refusal> {
        self.reference.counters()
    }
}
