//! Expectations: connections that helpers have announced and that have not begun yet. The table keeps and finds them, and
//! says which must go for which; events, and what a connection that was expected begins with, are the engine's.
//!
//! Order is by age, as in the kernel's lists: where several fit, the newest does.

mod snapshot;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::helper::{ExpectClass, Helper};
use crate::outcome::ConnId;
use crate::state::MOST;
use crate::table::ConnTable;
use crate::time::{Jiffies, Ticks};
use crate::tuple::{Addr, Direction, Family, Tuple};
pub use snapshot::{ExpectProcLine, ExpectSnapshot};

/// What holds for an expectation beside what it expects.
///
/// Source: linux 6.18 include/uapi/linux/netfilter/nf_conntrack_common.h `NF_CT_EXPECT_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExpectFlags(pub u32);

impl ExpectFlags {
    /// It stays when a connection has come.
    pub const PERMANENT: ExpectFlags = ExpectFlags(1);
    /// It fits nothing, for the time being.
    pub const INACTIVE: ExpectFlags = ExpectFlags(2);

    /// Whether all of `flags` are set.
    pub const fn has(self, flags: ExpectFlags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// The names of those that are set, without the kernel's `NF_CT_EXPECT_`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        [("PERMANENT", ExpectFlags::PERMANENT), ("INACTIVE", ExpectFlags::INACTIVE)]
            .into_iter()
            .filter(move |(_, flag)| self.has(*flag))
            .map(|(name, _)| name)
    }
}

/// A connection that is expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expectation {
    /// 1, 2, 3, ... in the order in which they came; 0 until it is in the table.
    pub number: u64,
    pub tuple: Tuple,
    /// The bits of the source that count; of the destination all do.
    pub mask: SourceMask,
    pub class: u8,
    pub flags: ExpectFlags,
    /// The connection that has announced it, and that one's tuple in original direction, helper and zone.
    pub master: ConnId,
    pub master_tuple: Tuple,
    pub helper: Helper,
    pub zone: u16,
    /// The helper that the expected connection is to have.
    pub assigns: Option<Helper>,
    /// Where its connection goes when its master is translated.
    #[serde(default)]
    pub follows: Option<Follows>,
    /// The tick of its end.
    pub expires: Jiffies,
    /// Whether its master makes events.
    pub listened: bool,
}

/// How a connection follows a master that is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Follows {
    /// The direction in which the announcement went.
    pub announced: Direction,
    /// The port that was announced, before it was translated.
    pub port: u16,
}

/// Which bits of a source must be equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SourceMask {
    pub addr: Addr,
    pub id: u16,
}

impl SourceMask {
    /// All bits of an address of this family, and none of the port.
    pub const fn address(family: Family) -> SourceMask {
        let (hi, lo) = match family {
            Family::Ipv4 => (0, u32::MAX as u64),
            Family::Ipv6 => (u64::MAX, u64::MAX),
        };
        SourceMask { addr: Addr { hi, lo }, id: 0 }
    }

    fn and(self, other: SourceMask) -> SourceMask {
        let addr = Addr { hi: self.addr.hi & other.addr.hi, lo: self.addr.lo & other.addr.lo };
        SourceMask { addr, id: self.id & other.id }
    }

    /// Whether two sources are the same as far as it has bits.
    fn joins(self, a: &Tuple, b: &Tuple) -> bool {
        (a.src.hi ^ b.src.hi) & self.addr.hi == 0
            && (a.src.lo ^ b.src.lo) & self.addr.lo == 0
            && (a.src_id ^ b.src_id) & self.id == 0
    }
}

impl Expectation {
    /// A copy for people, events and claims.
    pub fn snapshot(&self, now: Jiffies, ticks: Ticks) -> ExpectSnapshot {
        ExpectSnapshot {
            number: self.number,
            tuple: self.tuple,
            mask: Tuple {
                src: self.mask.addr,
                src_id: self.mask.id,
                dst: SourceMask::address(self.tuple.family).addr,
                dst_id: u16::MAX,
                ..self.tuple
            },
            master: self.master,
            master_tuple: self.master_tuple,
            helper: self.helper,
            class: self.class,
            flags: self.flags,
            zone: self.zone,
            timeout: ticks.seconds_left(self.expires, now),
            deadline: ticks.start(self.expires),
        }
    }

    fn key(&self) -> Key {
        Key::of(&self.tuple)
    }
}

/// What all that may fit, or clash, have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    dst: Addr,
    dst_id: u16,
    protocol: u8,
    family: Family,
}

impl Key {
    fn of(tuple: &Tuple) -> Key {
        Key { dst: tuple.dst, dst_id: tuple.dst_id, protocol: tuple.protocol, family: tuple.family }
    }
}

/// Why a connection cannot be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// `EALREADY`: it is expected already, in another class or by another connection.
    Already,
    /// `EBUSY`: another is expected that would take some of the same packets.
    Busy,
    /// `EMFILE`: so many are expected, which is the most.
    Full { count: u64, max: u64 },
}

/// What came of the wish to expect a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Related {
    /// Those that had to go, in this order: the same one of before, the oldest of its class.
    pub gone: Vec<Expectation>,
    pub refused: Option<Refused>,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Saved", into = "Saved")]
pub(crate) struct ExpectTable {
    all: BTreeMap<u64, Expectation>,
    /// Their numbers by what they expect, the newest last.
    keys: BTreeMap<Key, Vec<u64>>,
    /// Their numbers by their masters', the newest last.
    masters: BTreeMap<u64, Vec<u64>>,
    deadlines: BTreeSet<(Jiffies, u64)>,
    last_number: u64,
}

impl ExpectTable {
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Expectation> {
        self.all.values()
    }

    /// The newest one that a first packet with this tuple fits.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_expect.c `nf_ct_find_expectation`.
    pub fn find(&self, tuple: &Tuple, zone: u16) -> Option<&Expectation> {
        let numbers = self.keys.get(&Key::of(tuple))?;
        let fits = |expected: &&Expectation| {
            !expected.flags.has(ExpectFlags::INACTIVE)
                && expected.zone == zone
                && expected.mask.joins(tuple, &expected.tuple)
        };
        numbers.iter().rev().filter_map(|number| self.all.get(number)).find(fits)
    }

    /// Takes one out.
    pub fn remove(&mut self, number: u64) -> Option<Expectation> {
        let expected = self.all.remove(&number)?;
        forget(&mut self.keys, expected.key(), number);
        forget(&mut self.masters, expected.master.number(), number);
        self.deadlines.remove(&(expected.expires, number));
        Some(expected)
    }

    /// Takes one of a master's out, the newest first.
    pub fn remove_of(&mut self, master: ConnId) -> Option<Expectation> {
        let newest = *self.masters.get(&master.number())?.last()?;
        self.remove(newest)
    }

    /// Takes one out whose time is up at `now`, the earliest first.
    pub fn next_due(&mut self, now: Jiffies) -> Option<Expectation> {
        let &(expires, number) = self.deadlines.first()?;
        if expires > now {
            return None;
        }
        self.remove(number)
    }

    /// The first tick at which one ends.
    pub fn first_deadline(&self) -> Option<Jiffies> {
        self.deadlines.first().map(|(expires, _)| *expires)
    }

    /// Expects a connection, if that may be. `skip_master`: the same one of another master is the same.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_expect.c `__nf_ct_expect_check`, `nf_ct_expect_insert`.
    pub fn relate(&mut self, new: Expectation, class: ExpectClass, max: u64, skip_master: bool) -> Related {
        let mut related = Related::default();
        match self.rival(&new, skip_master) {
            Ok(None) => {}
            Ok(Some(same)) => related.gone.extend(self.remove(same)),
            Err(refused) => {
                related.refused = Some(refused);
                return related;
            }
        }
        let of_class = |table: &ExpectTable| {
            let numbers = table.masters.get(&new.master.number()).into_iter().flatten();
            let is_own = |number: &&u64| table.all.get(number).is_some_and(|old| old.class == new.class);
            numbers.filter(is_own).copied().collect::<Vec<u64>>()
        };
        if class.max_expected != 0 {
            let own = of_class(self);
            if own.len() >= class.max_expected as usize {
                related.gone.extend(self.remove(own[0]));
            }
        }
        let count = self.all.len() as u64;
        if count >= max {
            related.refused = Some(Refused::Full { count, max });
            return related;
        }
        self.insert(new);
        related
    }

    /// The same one that is there, or why there cannot be one more.
    fn rival(&self, new: &Expectation, skip_master: bool) -> Result<Option<u64>, Refused> {
        let numbers = self.keys.get(&new.key()).into_iter().flatten().rev();
        for old in numbers.filter_map(|number| self.all.get(number)).filter(|old| old.zone == new.zone) {
            let is_same = old.tuple == new.tuple && old.mask == new.mask;
            if is_same && (skip_master || old.master == new.master) {
                if old.class != new.class || old.master != new.master {
                    return Err(Refused::Already);
                }
                return Ok(Some(old.number));
            }
            if old.mask.and(new.mask).joins(&old.tuple, &new.tuple) {
                return Err(Refused::Busy);
            }
        }
        Ok(None)
    }

    fn insert(&mut self, new: Expectation) {
        self.last_number += 1;
        self.enter(Expectation { number: self.last_number, ..new });
    }

    fn enter(&mut self, new: Expectation) {
        let number = new.number;
        self.keys.entry(new.key()).or_default().push(number);
        self.masters.entry(new.master.number()).or_default().push(number);
        self.deadlines.insert((new.expires, number));
        self.all.insert(number, new);
    }

    /// The same one beside a table that was restored: masters are found again where they now lie; or what is wrong.
    pub fn restore(&self, table: &ConnTable, latest: Jiffies) -> Result<ExpectTable, String> {
        let mut restored = self.clone();
        if self.last_number > MOST {
            return Err("it has counted further than can be".to_owned());
        }
        for expected in restored.all.values_mut() {
            let Some(slot) = table.slot(expected.master) else {
                return Err(format!("the master of expectation {} is not there", expected.number));
            };
            expected.master = table.conn(slot).id(slot);
            if expected.expires > latest {
                return Err(format!("expectation {} waits for longer than it may", expected.number));
            }
        }
        Ok(restored)
    }

    /// The one that came last.
    pub fn last(&self) -> Option<&Expectation> {
        self.all.get(&self.last_number)
    }
}

/// Takes a number out of a list, and the list away when it was the last.
fn forget<K: Ord>(lists: &mut BTreeMap<K, Vec<u64>>, key: K, number: u64) {
    if let Some(list) = lists.get_mut(&key) {
        list.retain(|other| *other != number);
        if list.is_empty() {
            lists.remove(&key);
        }
    }
}

/// What is kept of a table: the rest follows.
#[derive(Clone, Serialize, Deserialize)]
struct Saved {
    last_number: u64,
    all: Vec<Expectation>,
}

impl From<ExpectTable> for Saved {
    fn from(table: ExpectTable) -> Saved {
        Saved { last_number: table.last_number, all: table.all.into_values().collect() }
    }
}

impl From<Saved> for ExpectTable {
    fn from(saved: Saved) -> ExpectTable {
        let mut table = ExpectTable::default();
        for expected in saved.all {
            // A number that is there twice stands for the first.
            if !table.all.contains_key(&expected.number) {
                table.last_number = table.last_number.max(expected.number);
                table.enter(expected);
            }
        }
        table.last_number = table.last_number.max(saved.last_number);
        table
    }
}

#[cfg(test)]
mod tests;
