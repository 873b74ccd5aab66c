//! An entry as it was last seen: when it will end, by what was listed of it and what was set.

use std::collections::BTreeSet;

use conntruth_engine::{Status, Time};

use super::super::jiffies::Jiffies;
use super::{SECOND, SLACK};
use crate::target::ends;
use crate::target::{Entry, Peers};

/// A timeout that was set, by a packet or by us.
#[derive(Clone, Copy)]
pub(super) struct Set {
    pub(super) seconds: u64,
    /// In which jiffy: at the earliest, at the latest.
    pub(super) at: [u64; 2],
}

/// An entry as it was last seen.
pub(super) struct Known {
    pub(super) entry: Entry,
    pub(super) request: Vec<u8>,
    /// When it will die: at the earliest, at the latest.
    pub(super) deadline: [Time; 2],
    /// What its timeout was last set to.
    pub(super) set: Option<Set>,
    /// When it began, and in which jiffy at the latest.
    pub(super) began: (Time, u64),
    /// The status that its events have told so far.
    pub(super) told: Status,
}

/// When entries were read, in jiffies at the earliest and at the latest: they stand for what the kernel's clock showed.
pub(super) struct Look {
    pub(super) sent: [u64; 2],
    pub(super) read: [u64; 2],
    /// That in which the worlds began.
    pub(super) start: u64,
    pub(super) precise: bool,
    pub(super) jiffies: Jiffies,
}

/// How many jiffies have passed between two moments that are known to a few: at least, at most.
fn passed(from: [u64; 2], to: [u64; 2]) -> [u64; 2] {
    [to[0].saturating_sub(from[1] + SLACK), to[1] + SLACK - from[0]]
}

impl Known {
    /// The entry was read.
    pub(super) fn see(&mut self, entry: Entry, virtually: Time, look: &Look) {
        let shown = entry.left.least.as_secs();
        self.entry = Entry { id: self.entry.id, master: self.entry.master, ..entry };
        let second = look.jiffies.a_second();
        let deadline = |seconds: u64| look.jiffies.floor(virtually).plus(Time::from_secs(seconds));
        if !look.precise {
            let [_, late] = passed([look.start; 2], look.read).map(|jiffies| look.jiffies.length(jiffies));
            self.deadline = [deadline(shown), deadline(shown + 1).plus(late)];
            return;
        }
        if let Some(set) = self.set {
            // What would be shown now, had no packet renewed it.
            let left = |since: u64| (set.seconds * second).saturating_sub(since) / second;
            let [least, most] = passed(set.at, look.read).map(left);
            if (most..=least).contains(&shown) {
                return;
            }
        }
        // A packet has set it to whole seconds, at least a jiffy ago. Where reading took a second more it is not known
        // to which.
        let [least, most] = passed(look.sent, look.read);
        let least = shown + least.div_ceil(second).max(1);
        let most = shown + most.div_ceil(second);
        self.set = (least == most).then_some(Set { seconds: least, at: look.sent });
        self.deadline = [deadline(least), deadline(most)];
    }

    /// The entry was read in the jiffy that still is.
    pub(super) fn see_exactly(&mut self, entry: Entry, now: Time, touched: bool, timeouts: &BTreeSet<u64>) {
        let seconds = entry.left.least.as_secs();
        self.entry = Entry { id: self.entry.id, master: self.entry.master, ..entry };
        let may_be_set = touched && timeouts.contains(&seconds);
        self.deadline = ends::seen(Some(self.deadline), now, seconds, may_be_set);
    }

    /// The seconds that the kernel is to count from, at a later moment. A little less than are left, and none that a
    /// packet might set: so it shows whether one has.
    pub(super) fn age(&mut self, to: Time, timeouts: &BTreeSet<u64>, jiffy: u64) -> u32 {
        let left = self.deadline[0].since(to).as_nanos().div_ceil(SECOND.as_nanos());
        let seconds = (1..left).rev().find(|seconds| !timeouts.contains(seconds)).unwrap_or(1);
        self.set = Some(Set { seconds, at: [jiffy; 2] });
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }

    /// An event tells of the entry; what it leaves out has not changed.
    pub(super) fn hear(&mut self, told: Entry) -> Entry {
        let last = &self.entry;
        self.told = told.status;
        self.entry = Entry {
            id: last.id,
            state: told.state.or_else(|| last.state.clone()),
            helper: told.helper.or_else(|| last.helper.clone()),
            master: last.master,
            master_tuple: told.master_tuple.or(last.master_tuple),
            peers: if told.peers == Peers::None { last.peers } else { told.peers },
            counters: told.counters.or(last.counters),
            ..told
        };
        self.entry.clone()
    }
}
