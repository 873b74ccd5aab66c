//! Shares of work for guests that work side by side: who does which worlds, so that all are done at about the same time.
//! What a world costs is estimated; what comes out does not depend on it.

use std::cmp::Reverse;
use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Duration;

use conntruth_engine::Time;

use crate::target::{Arrival, Ask, Play};

/// To boot a guest is worth it for so much work.
const WORTH: Duration = Duration::from_millis(500);
/// More are not of use: each takes memory.
const MOST: usize = 8;

/// What a world costs by itself, each packet of it, and to load rules.
const WORLD: Duration = Duration::from_millis(3);
const PACKET: Duration = Duration::from_micros(500);
const RULES: Duration = Duration::from_millis(8);
/// So many seconds are slept through in a microsecond.
const ASLEEP: u64 = 2;

/// What a play costs, about.
pub(super) fn cost(play: &Play) -> Duration {
    let packets = play.asks.iter().filter(|ask| matches!(ask, Ask::Packet(_))).count();
    let moments = play.asks.iter().filter_map(|ask| match ask {
        Ask::Advance(to) => Some(*to),
        Ask::Packet(arrival) => Some(arrival.at),
        _ => None,
    });
    let rules = if play.config.rules.is_empty() { Duration::ZERO } else { RULES };
    of(packets, moments.max()) + rules
}

/// What these packets cost, about.
pub(super) fn cost_of(arrivals: &[Arrival]) -> Duration {
    of(arrivals.len(), arrivals.last().map(|arrival| arrival.at))
}

fn of(packets: usize, last: Option<Time>) -> Duration {
    let packets = PACKET * u32::try_from(packets).unwrap_or(u32::MAX);
    let asleep = Duration::from_micros(last.unwrap_or_default().as_secs() / ASLEEP);
    WORLD + packets + asleep
}

/// How many guests are worth it.
fn guests(costs: &[Duration]) -> usize {
    let work: Duration = costs.iter().sum();
    let processors = available_parallelism().map_or(1, NonZero::get);
    let worth = usize::try_from(work.as_millis() / WORTH.as_millis()).unwrap_or(MOST);
    worth.clamp(1, processors.min(MOST))
}

/// Work in shares: the numbers of the worlds that each guest is to do, the largest given out first, to whoever has least.
pub(super) fn out(costs: &[Duration]) -> Vec<Vec<usize>> {
    among(guests(costs), costs)
}

fn among(guests: usize, costs: &[Duration]) -> Vec<Vec<usize>> {
    let mut shares: Vec<(Duration, Vec<usize>)> = vec![(Duration::ZERO, Vec::new()); guests];
    let mut order: Vec<usize> = (0..costs.len()).collect();
    order.sort_by_key(|index| (Reverse(costs[*index]), *index));
    for index in order {
        if let Some((cost, share)) = shares.iter_mut().min_by_key(|(cost, _)| *cost) {
            *cost += costs[index];
            share.push(index);
        }
    }
    // In a guest they follow each other as in the suite.
    shares.iter_mut().for_each(|(_, share)| share.sort_unstable());
    shares.into_iter().map(|(_, share)| share).collect()
}

/// The same for worlds of one batch, which share a clock: slices of equal length, in their order.
pub(super) fn in_order<'a, T>(costs: &[Duration], worlds: &'a [T]) -> Vec<&'a [T]> {
    if worlds.is_empty() {
        return vec![worlds];
    }
    worlds.chunks(worlds.len().div_ceil(guests(costs))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_done_once_and_the_longest_alone() {
        let costs = [1, 1, 10, 1, 3, 4].map(Duration::from_secs);
        assert_eq!(among(2, &costs), [vec![2], vec![0, 1, 3, 4, 5]]);
        assert_eq!(among(1, &costs), [vec![0, 1, 2, 3, 4, 5]]);
        assert_eq!(among(2, &[]), [Vec::<usize>::new(), Vec::new()]);
    }

    #[test]
    fn little_work_is_done_by_one() {
        assert_eq!(guests(&[]), 1);
        assert_eq!(guests(&[WORTH]), 1);
        assert_eq!(in_order(&[WORTH / 9; 3], &[1, 2, 3]), [[1, 2, 3]]);
        assert_eq!(in_order::<u8>(&[], &[]).len(), 1);
    }
}
