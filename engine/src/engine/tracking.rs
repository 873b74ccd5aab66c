//! What happens to one packet: its tuple, its connection, its tracker's decision, and at the last hook confirmation.

use super::{Engine, Passage, Prepared, settled};
use crate::conn::{Conn, Extra, Stamps};
use crate::event::{Changes, Event, EventKind};
use crate::outcome::{Class, ConnId, CtInfo, Outcome, Verdict};
use crate::packet::Packet;
use crate::proto::{self, Decision, ErrorStage, ProtoState, Rules, Segment};
use crate::reason::Reason;
use crate::snapshot::Counter;
use crate::status::Status;
use crate::sysctl::Knob;
use crate::table::{Found, Link};
use crate::time::{Jiffies, Time};
use crate::tuple::{Addr, Direction, Tuple};
use crate::wire::ip::{self, Datagram};

impl Engine {
    /// Finds the packet's tuple, or why it has none.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `nf_conntrack_in`.
    #[inline(always)]
    pub(super) fn prepare<'a>(
        &self,
        packet: &Packet<'_>,
        datagram: &'a Datagram<'a>,
        verify: bool,
    ) -> Prepared<'a> {
        if packet.notrack {
            return Prepared::Settled(Class::Untracked, Reason::Untracked {}, None);
        }
        let part = match ip::transport(datagram) {
            Ok(part) => part,
            Err(reason) => return Prepared::Settled(Class::Invalid, reason, None),
        };
        let bytes = datagram.from(part.offset);
        let segment = Segment { datagram, protocol: part.protocol, bytes, verify };
        let zone = packet.zone;
        let tuple = proto::tuple(datagram, part.protocol, bytes);
        match proto::error_stage(&segment) {
            ErrorStage::Normal => {}
            ErrorStage::Untracked(reason) => return Prepared::Settled(Class::Untracked, reason, None),
            ErrorStage::Invalid(reason, tuple) => {
                return Prepared::Settled(Class::Invalid, reason, tuple.map(|tuple| (tuple, zone)));
            }
            ErrorStage::About { tuple, kind, code } => {
                let hash = self.table.hash(&tuple, zone);
                return Prepared::Error { tuple, hash, kind, code, outer: datagram.dst, zone };
            }
        }
        match tuple {
            Ok(tuple) => {
                let hash = self.table.hash(&tuple, zone);
                Prepared::Keyed { segment, tuple, hash, zone }
            }
            Err(reason) => Prepared::Settled(Class::Invalid, reason, None),
        }
    }

    #[inline(always)]
    pub(super) fn track(&mut self, prepared: &Prepared<'_>) -> Passage {
        match *prepared {
            Prepared::Keyed { ref segment, ref tuple, hash, zone } => {
                self.track_keyed(segment, tuple, hash, zone)
            }
            Prepared::Error { ref tuple, hash, kind, code, outer, zone } => {
                let found = self.table.find(hash, tuple, zone);
                self.track_error(found, outer, kind, code)
            }
            Prepared::Settled(class, reason, tuple) => {
                let found = tuple
                    .and_then(|(tuple, zone)| self.table.find(self.table.hash(&tuple, zone), &tuple, zone));
                let mut passage = settled(class, Verdict::Accept, reason);
                passage.outcome.conn = found.map(|found| self.table.conn(found.slot).id);
                passage
            }
        }
    }

    /// An ICMP error is RELATED to the connection it quotes, when it is sent to the sender of what it quotes.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_proto_icmp.c `nf_conntrack_inet_error`.
    fn track_error(&mut self, found: Option<Found>, outer: Addr, kind: u8, code: u8) -> Passage {
        let Some(Found { slot, direction }) = found else {
            return settled(Class::Invalid, Verdict::Accept, Reason::IcmpInnerUnknown {});
        };
        let conn = self.table.conn(slot);
        if conn.tuples[direction as usize].dst != outer {
            let mut passage = settled(Class::Invalid, Verdict::Accept, Reason::IcmpWrongTarget {});
            passage.outcome.conn = Some(conn.id);
            return passage;
        }
        let info = match direction {
            Direction::Original => CtInfo::Related,
            Direction::Reply => CtInfo::RelatedReply,
        };
        attached(conn.id, slot, info, Reason::IcmpError { kind, code })
    }

    fn track_keyed(&mut self, segment: &Segment<'_>, tuple: &Tuple, hash: u32, zone: u16) -> Passage {
        let (slot, direction) = match self.table.find(hash, tuple, zone) {
            Some(Found { slot, direction }) => (slot, direction),
            None => match self.create(tuple, hash, zone) {
                Ok(slot) => (slot, Direction::Original),
                Err((verdict, reason)) => return settled(Class::Invalid, verdict, reason),
            },
        };
        let rules =
            Rules { profile: self.profile, sysctls: &self.sysctls, ticks: self.ticks, now: self.tick };
        let conn = self.table.conn_mut(slot);
        let (id, info) = (conn.id, info(conn, direction));
        match proto::track(conn, direction, segment, &rules) {
            Decision::Renew(timeout, reason) => {
                conn.count(direction, segment.datagram.bytes.len());
                conn.answer(direction);
                if conn.renew(self.tick, timeout) {
                    self.table.shortened(slot);
                }
                attached(id, slot, info, reason)
            }
            Decision::Keep(reason) => {
                conn.answer(direction);
                attached(id, slot, info, reason)
            }
            Decision::Invalid(reason) if conn.is_confirmed() => invalid(id, reason),
            Decision::Invalid(reason) => {
                self.table.forget(slot);
                settled(Class::Invalid, Verdict::Accept, reason)
            }
            Decision::InvalidCut(timeout, reason) => {
                if conn.renew(self.tick, timeout) {
                    self.table.shortened(slot);
                }
                invalid(id, reason)
            }
            Decision::Destroy(reason) => {
                conn.count(direction, segment.datagram.bytes.len());
                self.destroy(slot, self.now);
                Passage { slot: None, ..attached(id, slot, info, reason) }
            }
            Decision::Reopen => {
                self.destroy(slot, self.now);
                let mut passage = self.track_keyed(segment, tuple, hash, zone);
                passage.outcome.reason = passage.outcome.reason.reopened();
                passage
            }
        }
    }

    /// A new connection, not yet in the table.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `init_conntrack`, `__nf_conntrack_alloc`.
    fn create(&mut self, tuple: &Tuple, hash: u32, zone: u16) -> Result<u32, (Verdict, Reason)> {
        let (kind, code) = (tuple.icmp_type(), tuple.icmp_code());
        let reply = tuple.invert().ok_or((Verdict::Accept, Reason::TupleNoInverse { kind, code }))?;
        let (count, max) = (self.table.len() as u64 + 1, self.sysctls.get(Knob::Max) as u64);
        if max != 0 && count > max && !self.early_drop(hash) {
            return Err((Verdict::Drop, Reason::TableFull { count: count - 1, max }));
        }
        let listened = match self.sysctls.get(Knob::Events) {
            0 => false,
            1 => true,
            _ => self.listening,
        };
        Ok(self.table.add(Conn {
            tuples: [*tuple, reply],
            hashes: [hash, self.table.hash(&reply, zone)],
            id: ConnId::from(0),
            expires: Jiffies(0),
            link: Link::default(),
            status: Status::default(),
            mark: 0,
            zone,
            changes: Changes::default(),
            listened,
            proto: ProtoState::new(tuple.protocol),
            extra: self.extra(),
        }))
    }

    fn extra(&self) -> Option<Box<Extra>> {
        let counters = self.sysctls.is_on(Knob::Acct).then(|| [Counter::default(); 2]);
        let timestamps = self.sysctls.is_on(Knob::Timestamp).then(Stamps::default);
        (counters.is_some() || timestamps.is_some())
            .then(|| Box::new(Extra { counters, timestamps, master: None }))
    }

    /// The table is full: of a few neighbouring buckets, the first that holds any loses all its entries that are not
    /// ASSURED.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `early_drop`.
    fn early_drop(&mut self, hash: u32) -> bool {
        let buckets = self.sysctls.get(Knob::Buckets).max(1) as u32;
        let first = ((u64::from(hash) * u64::from(buckets)) >> 32) as u32;
        for step in 0..self.profile.early_drop_buckets.min(buckets) {
            let bucket = (first + step) % buckets;
            let mut victims: Vec<u32> = self.table.bucket(bucket, buckets).map(|found| found.slot).collect();
            victims.retain(|&slot| !self.table.conn(slot).status.has(Status::ASSURED));
            victims.sort_unstable();
            victims.dedup();
            if !victims.is_empty() {
                for slot in victims {
                    self.destroy(slot, self.now);
                }
                return true;
            }
        }
        false
    }

    /// Removes a confirmed connection, and says so.
    pub(super) fn destroy(&mut self, slot: u32, at: Time) {
        let conn = self.table.conn_mut(slot);
        conn.status.insert(Status::DYING);
        if let Some(stamps) = conn.extra.as_deref_mut().and_then(|extra| extra.timestamps.as_mut()) {
            stamps.stop = Some(at);
        }
        if conn.listened {
            let conn = conn.snapshot(self.ticks.at(at), self.ticks);
            self.events.push_back(Event { at, kind: EventKind::Destroy, changes: Changes::DESTROY, conn });
        }
        self.table.remove(slot);
    }

    /// The last hook.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `__nf_conntrack_confirm`.
    #[inline(always)]
    pub(super) fn finish(&mut self, passage: Passage) -> Outcome {
        let Passage { outcome, slot } = passage;
        let Some(slot) = slot else { return outcome };
        let conn = self.table.conn(slot);
        // It may have died between the hooks. And most packets change nothing that anyone must be told of.
        let is_there = Some(conn.id) == outcome.conn;
        if !is_there || (conn.is_confirmed() && conn.changes.is_empty() && conn.expires > self.tick) {
            return outcome;
        }
        self.confirm_entry(slot, outcome)
    }

    fn confirm_entry(&mut self, slot: u32, outcome: Outcome) -> Outcome {
        let confirmed = self.table.conn(slot).is_confirmed();
        if !confirmed && let Some(other) = self.rival(slot) {
            return self.clash(slot, other, outcome);
        }
        let now = self.now;
        let tick = self.tick;
        let conn = self.table.conn_mut(slot);
        if !conn.is_confirmed() {
            conn.status.insert(Status::CONFIRMED);
            conn.expires = Jiffies(tick.0 + conn.expires.0);
            if let Some(stamps) = conn.extra.as_deref_mut().and_then(|extra| extra.timestamps.as_mut()) {
                stamps.start = Some(now);
            }
            conn.note(if conn.status.has(Status::EXPECTED) { Changes::RELATED } else { Changes::NEW });
            self.table.enter(slot);
        }
        self.deliver(slot);
        self.bury(slot);
        outcome
    }

    /// A timeout of nothing is over at once: the packet keeps its class, the next one finds no entry.
    pub(super) fn bury(&mut self, slot: u32) {
        if self.table.conn(slot).expires <= self.tick {
            self.destroy(slot, self.now);
        }
    }

    /// A confirmed connection that holds one of this one's tuples.
    fn rival(&self, slot: u32) -> Option<u32> {
        let conn = self.table.conn(slot);
        let find =
            |direction: usize| self.table.find(conn.hashes[direction], &conn.tuples[direction], conn.zone);
        find(0).or_else(|| find(1)).map(|found| found.slot)
    }

    /// Two packets of one new flow were tracked before the first was confirmed.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `nf_ct_resolve_clash`.
    fn clash(&mut self, loser: u32, winner: u32, outcome: Outcome) -> Outcome {
        let tuples = self.table.conn(loser).tuples;
        let [original, reply] = self.table.conn(winner).tuples;
        let same = tuples == [original, reply] || tuples == [reply, original];
        let counters = self.table.conn(loser).extra.as_deref().and_then(|extra| extra.counters);
        self.table.forget(loser);
        if !same || !proto::may_clash(original.protocol) {
            return Outcome {
                verdict: Verdict::Drop,
                conn: None,
                attached: false,
                reason: Reason::InsertFailed {},
                ..outcome
            };
        }
        let conn = self.table.conn_mut(winner);
        let id = conn.id;
        if let Some([counter, _]) = counters {
            conn.count(Direction::Original, counter.bytes as usize);
        }
        self.deliver(winner);
        Outcome { conn: Some(id), reason: Reason::ClashResolved {}, ..outcome }
    }

    /// Everything that changed since the last event goes into one.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_ecache.c `nf_ct_deliver_cached_events`.
    fn deliver(&mut self, slot: u32) {
        let changes = std::mem::take(&mut self.table.conn_mut(slot).changes);
        if changes.is_empty() {
            return;
        }
        let is_new = changes.has(Changes::NEW) || changes.has(Changes::RELATED);
        let kind = if is_new { EventKind::New } else { EventKind::Update };
        let conn = self.snapshot(slot);
        self.events.push_back(Event { at: self.now, kind, changes, conn });
    }
}

/// How a packet of this direction relates to a connection, as it stood before the packet.
///
/// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `resolve_normal_ct`.
fn info(conn: &Conn, direction: Direction) -> CtInfo {
    match direction {
        Direction::Reply => CtInfo::EstablishedReply,
        Direction::Original if conn.has_reply() => CtInfo::Established,
        Direction::Original if conn.status.has(Status::EXPECTED) => CtInfo::Related,
        Direction::Original => CtInfo::New,
    }
}

fn attached(id: ConnId, slot: u32, info: CtInfo, reason: Reason) -> Passage {
    let outcome = Outcome {
        class: Class::Tracked(info),
        verdict: Verdict::Accept,
        conn: Some(id),
        attached: true,
        reason,
    };
    Passage { outcome, slot: Some(slot) }
}

fn invalid(id: ConnId, reason: Reason) -> Passage {
    let outcome =
        Outcome { class: Class::Invalid, verdict: Verdict::Accept, conn: Some(id), attached: false, reason };
    Passage { outcome, slot: None }
}
