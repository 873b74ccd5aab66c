//! Where worlds come from: a seed, batch after batch.

use std::sync::Arc;

use super::run::Shard;
use crate::generate::{CASES_IN_A_BATCH, Stream};
use crate::language::ast::{Located, Span, Story};
use crate::scenario::{Lane, config};
use crate::target::{Batch, Reading};

/// A batch and the cases that are its worlds.
#[derive(Clone)]
pub(super) struct Work {
    pub cases: Vec<u64>,
    pub batch: Arc<Batch>,
}

/// Makes worlds.
pub(super) trait Source {
    /// The next batch. `lanes` counts the lanes used so far.
    fn next(&mut self, lanes: &mut u64) -> Option<Work>;

    /// A case by its number.
    fn story(&self, case: u64) -> Story;
}

/// Cases of a seed.
pub(super) struct Seeded {
    stream: Stream,
    shard: Shard,
    /// Where the cases end.
    end: u64,
    /// The next batch.
    batch: u64,
    /// How many of its cases were had already.
    had: u64,
}

/// So many worlds in which time passes are there at once: what all of them take together must be short against their
/// seconds, and each of their steps waits for a jiffy, which is cheap only if many share it.
const TIMED_AT_ONCE: u64 = 1024;
/// The same of worlds with helpers: after each step all that is expected is listed, and a datagram's entry is another one
/// when two seconds have passed.
const READ_AT_ONCE: u64 = 128;

impl Seeded {
    pub fn new(stream: Stream, shard: Shard, cases: Option<u64>) -> Seeded {
        Seeded { stream, shard, end: cases.unwrap_or(u64::MAX), batch: shard.index, had: 0 }
    }
}

impl Source for Seeded {
    fn next(&mut self, lanes: &mut u64) -> Option<Work> {
        let begin = self.batch.checked_mul(CASES_IN_A_BATCH).filter(|begin| begin + self.had < self.end)?;
        let setup = self.stream.setup(self.batch);
        let most = match (setup.timed, setup.read) {
            (true, _) => TIMED_AT_ONCE,
            (false, true) => READ_AT_ONCE,
            (false, false) => CASES_IN_A_BATCH,
        };
        let end = (begin + CASES_IN_A_BATCH).min(self.end);
        let cases: Vec<u64> = (begin + self.had..end).take(most as usize).collect();
        self.had += cases.len() as u64;
        if begin + self.had >= end {
            (self.batch, self.had) = (self.batch + self.shard.of, 0);
        }
        let mut batch = Batch { reading: Reading::Each, ..Batch::default() };
        for case in &cases {
            let case = self.stream.case(
                *case,
                &setup,
                if setup.translates { Lane::FIRST } else { Lane::number(*lanes) },
            );
            *lanes += 1;
            batch.worlds.push(case.arrivals);
        }
        let rules = setup.rules.into_iter().map(|value| Located { value, span: Span::default() }).collect();
        let story = Story { settings: setup.settings, rules, ..Story::default() };
        batch.config = config(&story);
        Some(Work { cases, batch: Arc::new(batch) })
    }

    fn story(&self, case: u64) -> Story {
        let setup = self.stream.setup(case / CASES_IN_A_BATCH);
        self.stream.case(case, &setup, Lane::FIRST).story
    }
}
