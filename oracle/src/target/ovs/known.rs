//! The entries of a world: a name for each, and when it will end.

use std::collections::BTreeSet;

use conntruth_engine::{Time, Tuple};

use super::listing::Listed;
use crate::target::ends::{self, Ends};
use crate::target::{Entry, Left};

/// All entries of a world.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    known: Vec<Known>,
    /// How many there were.
    count: u64,
}

#[derive(Clone, Debug)]
struct Known {
    entry: Entry,
    ends: Ends,
}

/// What a packet that has just passed may have set.
#[derive(Clone, Copy)]
pub(super) struct Touch<'a> {
    /// The entry that has this tuple; any, where that is not known.
    pub(super) tuple: Option<Tuple>,
    pub(super) zone: u16,
    /// The timeouts that there are, in seconds.
    pub(super) timeouts: &'a BTreeSet<u64>,
}

impl Touch<'_> {
    fn may_set(&self, listed: &Listed) -> bool {
        let is_its =
            |tuple: Tuple| [listed.original, listed.reply].contains(&tuple) && listed.zone == self.zone;
        self.tuple.is_none_or(is_its) && self.timeouts.contains(&listed.seconds)
    }
}

impl Entries {
    /// The entries as they are listed at a moment, right after a packet or after none.
    pub(super) fn see(&mut self, listed: Vec<Listed>, now: Time, touch: Option<Touch<'_>>) {
        let mut known: Vec<Known> = Vec::with_capacity(listed.len());
        for listed in listed {
            let same =
                |known: &&Known| known.entry.original == listed.original && known.entry.zone == listed.zone;
            let before = self.known.iter().find(same);
            let id = before.map_or(self.count + 1, |known| known.entry.id);
            self.count = self.count.max(id);
            let may_be_set = touch.is_some_and(|touch| touch.may_set(&listed));
            let ends = ends::seen(before.map(|known| known.ends), now, listed.seconds, may_be_set);
            known.push(Known { entry: listed.entry(id), ends });
        }
        known.sort_by_key(|known| known.entry.id);
        self.known = known;
    }

    /// All of them, oldest first.
    pub(super) fn all(&self, now: Time) -> impl Iterator<Item = Entry> + '_ {
        self.known.iter().map(move |known| known.shown(now))
    }

    /// The entry that has this tuple in either direction.
    pub(super) fn find(&self, tuple: &Tuple, zone: u16, now: Time) -> Option<Entry> {
        let is_its = |known: &&Known| {
            known.entry.zone == zone && [known.entry.original, known.entry.reply].contains(tuple)
        };
        self.known.iter().find(is_its).map(|known| known.shown(now))
    }
}

impl Known {
    fn shown(&self, now: Time) -> Entry {
        let [least, most] = self.ends.map(|end| end.since(now));
        Entry { left: Left { least, most }, ..self.entry.clone() }
    }
}
