//! Masters and children: which connections hold which others in memory.
//!
//! A child holds the connection that has announced it. When that dies no lookup and no listing finds it any more, but it is
//! there until its last child is gone, and so the count that `nf_conntrack_max` bounds has it. A master whose children live
//! for days takes a place for days.
//!
//! Source: linux 6.18 net/netfilter/nf_conntrack_core.c `nf_ct_destroy`, `nf_conntrack_free`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::outcome::ConnId;

/// Connections that are dead, and held by their children; by number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Held {
    dead: BTreeMap<u64, Dead>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Dead {
    /// How many hold it. Never 0.
    children: u32,
    /// The one that it holds itself.
    master: Option<ConnId>,
}

impl Held {
    pub fn len(&self) -> usize {
        self.dead.len()
    }
}

impl Engine {
    /// Entries that `nf_conntrack_max` counts: also those that are not confirmed yet, and dead masters of living children.
    #[doc(alias = "nf_conntrack_count")]
    pub fn counted(&self) -> usize {
        self.table.len() + self.held.len()
    }

    /// A connection is its master's child from now on.
    pub(super) fn adopt(&mut self, master: u32) {
        self.table.conn_mut(master).extra.get_or_insert_default().children += 1;
    }

    /// A connection goes, whether it was confirmed or not: its children hold it, and it lets go of its master.
    pub(super) fn let_go(&mut self, slot: u32) {
        let conn = self.table.conn(slot);
        let Some(extra) = conn.extra.as_deref() else { return };
        let (children, master) = (extra.children, extra.master.as_ref().map(|master| master.id));
        if children > 0 {
            self.held.dead.insert(conn.number, Dead { children, master });
        } else if let Some(master) = master {
            self.release(master);
        }
    }

    /// One child less; who was held by nothing else lets go of its own master.
    fn release(&mut self, mut master: ConnId) {
        loop {
            if let Some(slot) = self.table.slot(master) {
                if let Some(extra) = self.table.conn_mut(slot).extra.as_deref_mut() {
                    extra.children = extra.children.saturating_sub(1);
                }
                return;
            }
            let Some(dead) = self.held.dead.get_mut(&master.number()) else { return };
            dead.children = dead.children.saturating_sub(1);
            if dead.children > 0 {
                return;
            }
            let above = dead.master;
            self.held.dead.remove(&master.number());
            match above {
                Some(above) => master = above,
                None => return,
            }
        }
    }
}
