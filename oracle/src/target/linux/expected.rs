//! What a world's helpers expect in a running kernel: who was told of it, until when, and what of it is listed.
//!
//! The kernel's own timer of an expectation is coarse (up to seconds late) and knows nothing of the time that passes in a
//! world, so each is removed at its moment: what is left of it is counted here.

use conntruth_engine::{Helper, Time};

use crate::target::{Expected, Left};

const SECOND: Time = Time::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Awaiting {
    list: Vec<Awaited>,
    /// As the kernel last listed them.
    listed: Vec<Expected>,
}

#[derive(Debug)]
struct Awaited {
    expected: Expected,
    /// When it ends: at the earliest, at the latest.
    deadline: [Time; 2],
}

impl Awaiting {
    /// A connection is expected from `now` on.
    pub(super) fn begin(&mut self, expected: Expected, now: Time) -> Expected {
        let shown = expected.left.least.as_secs();
        let deadline = match lasts(&expected) {
            // A jiffy may have begun between the packet that set it and the message that tells of it.
            Some(seconds) if (shown..=shown + 1).contains(&seconds) => {
                [now.plus(Time::from_secs(seconds)); 2]
            }
            _ => [now.plus(expected.left.least), now.plus(expected.left.least).plus(SECOND)],
        };
        let expected = at(expected, deadline, now);
        self.list.push(Awaited { expected: expected.clone(), deadline });
        expected
    }

    /// It is not expected any more. Says what of it was left, and when it ended.
    pub(super) fn end(&mut self, expected: Expected, now: Time) -> (Expected, Time) {
        let place = self.list.iter().position(|awaited| is_same(&awaited.expected, &expected));
        let Some(place) = place else { return (expected, now) };
        let Awaited { deadline, expected: known } = self.list.remove(place);
        let ended = deadline[1].min(now);
        (at(Expected { zone: known.zone, ..expected }, deadline, ended), ended)
    }

    /// It turns out in which zone it is.
    pub(super) fn settle(&mut self, expected: &Expected, zone: u16) {
        if let Some(awaited) = self.list.iter_mut().find(|awaited| is_same(&awaited.expected, expected)) {
            awaited.expected.zone = zone;
        }
    }

    /// The kernel has listed what there is.
    pub(super) fn see(&mut self, listed: Vec<Expected>) {
        self.listed = listed;
    }

    /// What the kernel has listed, with what is left of each.
    pub(super) fn listed(&self, now: Time) -> Vec<Expected> {
        let left = |expected: &Expected| {
            let known = self.list.iter().find(|awaited| is_same(&awaited.expected, expected));
            match known {
                Some(awaited) => {
                    let zone = awaited.expected.zone;
                    at(Expected { zone, ..expected.clone() }, awaited.deadline, now)
                }
                None => expected.clone(),
            }
        };
        self.listed.iter().map(left).collect()
    }

    /// Those that end up to a moment, and when.
    pub(super) fn due(&self, to: Time) -> impl Iterator<Item = (Time, &Expected)> {
        let due = self.list.iter().filter(move |awaited| awaited.deadline[1] <= to);
        due.map(|awaited| (awaited.deadline[1], &awaited.expected))
    }
}

/// The kernel does not say in which zones.
fn is_same(one: &Expected, other: &Expected) -> bool {
    (one.tuple, one.mask, one.master) == (other.tuple, other.mask, other.master)
}

fn at(expected: Expected, [least, most]: [Time; 2], now: Time) -> Expected {
    Expected { left: Left { least: least.since(now), most: most.since(now) }, ..expected }
}

/// How long an expectation of its class lasts.
fn lasts(expected: &Expected) -> Option<u64> {
    let class = Helper::find(&expected.helper)?.info().classes.get(expected.class as usize)?;
    Some(class.timeout_secs.into())
}
