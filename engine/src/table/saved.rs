//! A table as plain data, and back. What is read may be anything: it becomes a table only where all of it fits together,
//! so that nothing in the table has to be doubted afterwards.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::wheel::{Link, Wheel};
use super::{ConnTable, Slab};
use crate::conn::Conn;
use crate::event::Changes;
use crate::outcome::ConnId;
use crate::proto::ProtoState;
use crate::state::MOST;
use crate::status::Status;
use crate::time::{Jiffies, Ticks};
use crate::tuple::{Addr, Family, Tuple};

/// See the module. Slots are kept as they are: which is used next, and the order within a bucket, follow from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedTable {
    seed: u64,
    last_number: u64,
    /// By slot, each with the place of its timer.
    conns: Vec<(u32, Conn)>,
    /// Free slots, the next to be used last.
    free: Vec<u32>,
    /// The rows of the index: hash and slot.
    rows: Vec<(u32, u32)>,
    /// The next tick that the timers look at, and the first at which there is anything to do.
    next: u64,
    soonest: u64,
}

impl SavedTable {
    /// All that a table holds.
    pub fn of(table: &ConnTable) -> SavedTable {
        let (next, soonest) = table.wheel.position();
        SavedTable {
            seed: table.seed,
            last_number: table.slab.last_number,
            conns: table
                .iter()
                .map(|(slot, conn)| (slot, Conn { link: conn.link.unplaced(), ..conn.clone() }))
                .collect(),
            free: table.slab.free.clone(),
            rows: table.index.rows().collect(),
            next,
            soonest,
        }
    }

    /// The connections, by slot.
    pub fn conns(&self) -> &[(u32, Conn)] {
        &self.conns
    }

    /// The table, or what is wrong with it.
    pub fn restore(&self, ticks: Ticks, now: Jiffies) -> Result<ConnTable, String> {
        let slots: BTreeMap<u64, u32> = self.conns.iter().map(|(slot, conn)| (conn.number, *slot)).collect();
        if slots.len() != self.conns.len() {
            return Err("two connections have one number".to_owned());
        }
        if self.last_number > MOST || self.next > now.0 + 1 {
            return Err("it has counted further than can be".to_owned());
        }
        for (_, conn) in &self.conns {
            self.check(conn, ticks, now).map_err(|wrong| format!("connection {}: {wrong}", conn.number))?;
        }
        let mut table = ConnTable { seed: self.seed, slab: self.slab(&slots)?, ..ConnTable::default() };
        self.enter(&mut table)?;
        let confirmed = self.conns.iter().filter(|(_, conn)| conn.is_confirmed());
        let confirmed: Vec<u32> = confirmed.map(|(slot, _)| *slot).collect();
        table.confirmed = confirmed.len();
        table.wheel = Wheel::restore(&mut table.slab, &confirmed, self.next, self.soonest)?;
        Ok(table)
    }

    fn check(&self, conn: &Conn, ticks: Ticks, now: Jiffies) -> Result<(), &'static str> {
        if conn.number == 0 || conn.number > self.last_number {
            return Err("its number was never given");
        }
        let latest = if conn.is_confirmed() { now.0 + ticks.longest() } else { ticks.longest() };
        if conn.expires.0 > latest {
            return Err("it lives longer than any timeout lets it");
        }
        if conn.is_confirmed() == conn.link.is_out() {
            return Err("only what is confirmed has a timer, and all of that");
        }
        if !conn.proto.fits(conn.tuples[0].protocol, ticks) {
            return Err("what its protocol remembers is not that protocol's");
        }
        let counters = conn.extra.as_deref().and_then(|extra| extra.counters);
        if counters.is_some_and(|pair| pair.iter().any(|one| one.packets > MOST || one.bytes > MOST)) {
            return Err("it has counted further than can be");
        }
        Ok(())
    }

    /// The slab: each slot either holds a connection or is free.
    fn slab(&self, slots: &BTreeMap<u64, u32>) -> Result<Slab, String> {
        let mut rows: Vec<Option<&Conn>> = vec![None; self.conns.len() + self.free.len()];
        let mut taken = BTreeSet::new();
        for slot in self.conns.iter().map(|(slot, _)| slot).chain(&self.free) {
            if *slot as usize >= rows.len() || !taken.insert(*slot) {
                return Err(format!("slot {slot} is not there, or there twice"));
            }
        }
        for (slot, conn) in &self.conns {
            rows[*slot as usize] = Some(conn);
        }
        let mut slab = Slab::default();
        for row in rows {
            slab.add(row.cloned().unwrap_or_else(vacant));
        }
        for &slot in &self.free {
            slab.remove(slot);
        }
        for (slot, conn) in &self.conns {
            let restored = slab.get_mut(*slot);
            restored.number = conn.number;
            if let Some(extra) = restored.extra.as_deref_mut() {
                let known = |id: ConnId| slots.get(&id.number()).map(|slot| ConnId::new(id.number(), *slot));
                if let Some(master) = &mut extra.master {
                    master.id = known(master.id).unwrap_or(master.id);
                }
            }
        }
        slab.last_number = self.last_number;
        Ok(slab)
    }

    /// The index. The last row is entered first: new ones come before those of the same hash.
    fn enter(&self, table: &mut ConnTable) -> Result<(), String> {
        let confirmed = self.conns.iter().filter(|(_, conn)| conn.is_confirmed());
        let rows = confirmed
            .flat_map(|(slot, _)| table.places(*slot, table.hash_of(*slot)).map(|place| (place, *slot)));
        let mut wanted: BTreeSet<(u32, u32)> = rows.collect();
        for &(hash, slot) in self.rows.iter().rev() {
            if !wanted.remove(&(hash, slot)) {
                return Err(format!("the index has a row for slot {slot} that does not belong there"));
            }
            table.index.insert(hash, slot);
        }
        if !wanted.is_empty() {
            return Err("a confirmed connection is not in the index".to_owned());
        }
        // Sources are entered as connections are made.
        let decided = self.conns.iter().filter(|(_, conn)| conn.status.has(Status::SRC_NAT_DONE));
        let mut decided: Vec<(u64, u32)> = decided.map(|(slot, conn)| (conn.number, *slot)).collect();
        decided.sort_unstable();
        decided.into_iter().for_each(|(_, slot)| table.enter_source(slot));
        Ok(())
    }
}

/// What lies in a slot that is free.
fn vacant() -> Conn {
    let nowhere = Addr::default();
    let tuple = Tuple { src: nowhere, dst: nowhere, src_id: 0, dst_id: 0, protocol: 0, family: Family::Ipv4 };
    Conn {
        tuples: [tuple; 2],
        number: 0,
        expires: Jiffies(0),
        status: Status::default(),
        changes: Changes::default(),
        zone: 0,
        extra: None,
        link: Link::default(),
        mark: 0,
        listened: false,
        proto: ProtoState::Stateless,
    }
}
