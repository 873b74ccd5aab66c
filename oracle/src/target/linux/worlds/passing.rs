//! How time passes in worlds: entries are made older, or this process sleeps, and what cannot be made older is waited for.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use conntruth_engine::{Time, Tuple, protocol};

use super::super::clock;
use super::super::kernel::What;
use super::{Pace, SLACK, STREAM, UNLISTED, Worlds, broken};
use crate::target::Refusal;

/// What ends at a moment: entries by the requests that read them, expectations by tuple and zone.
type Stop = (Vec<Vec<u8>>, Vec<(Tuple, u16)>);

impl Worlds {
    /// Lets time pass in worlds, each up to its moment.
    pub(super) fn pass(&mut self, moments: &[(usize, Time)]) -> Result<(), Refusal> {
        let later: Vec<(usize, Time)> =
            moments.iter().copied().filter(|(world, to)| *to > self.worlds[*world].now).collect();
        if later.is_empty() {
            return Ok(());
        }
        let patience = match self.pace {
            Pace::Sleeping(_) => return self.sleep(&later).map_err(broken),
            Pace::Ageing(patience) => patience,
        };
        self.wait(&later, patience)?;
        let now = self.jiffies.now();
        let mut ended: Vec<(Time, What, u64, Tuple, u16)> = Vec::new();
        let mut aged: Vec<(Tuple, u16, u32)> = Vec::new();
        for (world, to) in &later {
            let world = &mut self.worlds[*world];
            for known in &mut world.known {
                let (tuple, zone) = (known.entry.original, known.entry.zone);
                if known.deadline[1] <= *to {
                    ended.push((known.deadline[1], What::Entry, known.entry.id, tuple, zone));
                } else {
                    aged.push((tuple, zone, known.age(*to, &self.timeouts, now)));
                }
            }
            let due = world.due(*to).enumerate();
            ended.extend(due.map(|(index, (at, expected))| {
                (at, What::Expected, index as u64, expected.tuple, expected.zone)
            }));
        }
        ended.sort_unstable();
        self.kernel
            .remove(ended.iter().map(|(_, what, _, tuple, zone)| (*what, *tuple, *zone)))
            .map_err(broken)?;
        self.kernel
            .age(aged.iter().map(|(tuple, zone, seconds)| (tuple, *zone, *seconds)))
            .map_err(broken)?;
        // What ended is told as of its moment, which is past when it is heard.
        for (world, to) in &later {
            self.worlds[*world].now = *to;
        }
        self.hear_events().map_err(broken)?;
        let done = self.jiffies.now();
        for (world, _) in later {
            let world = &mut self.worlds[world];
            world.known.iter_mut().filter_map(|known| known.set.as_mut()).for_each(|set| set.at[1] = done);
        }
        Ok(())
    }

    /// Sleeps until worlds are at their moments. Each entry that ends on the way is looked for when it does: a kernel
    /// notices only then, or when it collects.
    fn sleep(&mut self, later: &[(usize, Time)]) -> io::Result<()> {
        let mut stops: BTreeMap<Instant, Stop> = BTreeMap::new();
        let mut last = None;
        for (world, to) in later {
            let world = &self.worlds[*world];
            let Some(start) = world.start else { continue };
            let when = |moment: Time| start + Duration::from_nanos(moment.as_nanos());
            last = last.max(Some(when(*to)));
            for known in world.known.iter().filter(|known| known.deadline[1] <= *to) {
                stops.entry(when(known.deadline[1])).or_default().0.push(known.request.clone());
            }
            for (at, expected) in world.due(*to) {
                stops.entry(when(at)).or_default().1.push((expected.tuple, expected.zone));
            }
        }
        for (world, to) in later {
            self.worlds[*world].now = *to;
        }
        for (stop, (requests, expected)) in stops {
            clock::sleep_until(stop);
            self.kernel.remove(expected.into_iter().map(|(tuple, zone)| (What::Expected, tuple, zone)))?;
            self.kernel.read(requests.iter().map(Vec::as_slice), |_| {})?;
            self.hear_events()?;
        }
        last.into_iter().for_each(clock::sleep_until);
        self.hear_events()
    }

    /// Waits for what cannot be aged.
    fn wait(&mut self, later: &[(usize, Time)], patience: Duration) -> Result<(), Refusal> {
        let jiffies = self.jiffies;
        let now = jiffies.now();
        let mut until = now;
        for (world, to) in later {
            let world = &self.worlds[*world];
            let streams = world.known.iter().filter(|known| known.entry.original.protocol == protocol::UDP);
            let waiting = world.waiting.iter().flatten().filter(|waiting| waiting.may_become_a_stream());
            let began = streams.map(|known| known.began).chain(waiting.map(|waiting| waiting.came));
            for (_, jiffy) in began.filter(|(moment, _)| to.since(*moment) > STREAM) {
                until = until.max(jiffy + jiffies.of(STREAM) + 1 + SLACK);
            }
            if let Some((began, jiffy)) = world.unlisted
                && to.since(began) >= UNLISTED
            {
                until = until.max(jiffy + jiffies.of(UNLISTED) + 1 + SLACK);
            }
            if let Some((began, jiffy)) = world.held {
                let passed = to.since(began);
                if passed >= self.held {
                    until = until.max(jiffy + jiffies.of(passed));
                }
            }
        }
        let longest = jiffies.length(until - now);
        if u128::from(longest.as_nanos()) > patience.as_nanos() {
            let seconds = longest.as_secs() + 1;
            return Err(Refusal::Unsupported(format!(
                "held fragments and young UDP flows cannot be aged: it takes {seconds} s of real time, \
                 `--patience {seconds}s` waits for it"
            )));
        }
        jiffies.wait_until(until);
        Ok(())
    }
}
