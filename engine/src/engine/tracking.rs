//! What happens to one packet: its tuple, its connection, its tracker's decision, and at the last hook confirmation.

use super::Engine;
use crate::conn::{Conn, Extra, Stamps};
use crate::defrag::{Gathered, Place};
use crate::event::{Changes, Event, EventKind};
use crate::outcome::{Class, CtInfo, Hook, Outcome, Verdict};
use crate::packet::Packet;
use crate::proto::{self, Decision, ErrorStage, ProtoState, Segment};
use crate::reason::Reason;
use crate::snapshot::Counter;
use crate::status::Status;
use crate::sysctl::Knob;
use crate::table::{Found, Link};
use crate::time::{Jiffies, Time};
use crate::tuple::{Addr, Direction, Tuple};
use crate::wire::ip::{self, Datagram};

/// How far a packet comes in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Through this hook, where it enters.
    Into(Hook),
    /// From PREROUTING through the last hook, with nothing in between.
    Through,
}

impl Way {
    fn hook(self) -> Hook {
        match self {
            Way::Into(hook) => hook,
            Way::Through => Hook::Prerouting,
        }
    }
}

/// A packet that has come as far as the first rule.
pub(super) enum Arrived<'p> {
    /// As it came.
    Datagram(Datagram<'p>),
    /// The datagram that a fragment has completed; `trusted`: its checksum needs no look.
    Reassembled { bytes: Vec<u8>, trusted: bool },
    /// No further: thrown away, or held.
    Settled(Outcome),
}

impl Engine {
    /// The first hook: what the host itself throws away, reassembly, tracking. The outcome is written where the caller
    /// keeps it: it is too large to be handed from function to function.
    #[inline(always)]
    pub(super) fn enter(&mut self, now: Time, way: Way, packet: &Packet<'_>, outcome: &mut Outcome) {
        self.handle_timeouts(now);
        let datagram = match ip::receive(packet.bytes, packet.offload) {
            Ok(datagram) => datagram,
            Err(reason) => return *outcome = unattached(Class::Discarded, Verdict::Drop, reason),
        };
        if datagram.is_fragment {
            return self.gather(way, packet, outcome);
        }
        let verify = is_verified(way, packet);
        self.track(way, packet, datagram, verify, outcome);
    }

    /// A fragment: what is tracked is the datagram that it completes.
    #[cold]
    fn gather(&mut self, way: Way, packet: &Packet<'_>, outcome: &mut Outcome) {
        let verify = is_verified(way, packet);
        match self.arrive(way, packet) {
            Arrived::Datagram(datagram) => self.track(way, packet, datagram, verify, outcome),
            Arrived::Settled(settled) => *outcome = settled,
            Arrived::Reassembled { bytes, trusted } => {
                let Some(whole) = ip::reassembled(&bytes) else {
                    unreachable!("reassembly keeps the network header")
                };
                self.track(way, packet, whole, verify && !trusted, outcome);
                self.whole = Some(bytes.into());
            }
        }
    }

    /// What the host does to a packet before the first rule: its own checks, and reassembly. A fragment is read once more,
    /// so that the view of any other packet need not lie in memory.
    #[cold]
    pub(super) fn arrive<'p>(&mut self, way: Way, packet: &Packet<'p>) -> Arrived<'p> {
        let datagram = match ip::receive(packet.bytes, packet.offload) {
            Ok(datagram) => datagram,
            // Within the host itself the loopback address may be used.
            // Source: linux 6.18 net/ipv6/ip6_input.c `ip6_rcv_core`.
            Err(Reason::IpAddress {}) if way == Way::Into(Hook::Output) => {
                match ip::reassembled(packet.bytes) {
                    Some(datagram) => datagram,
                    None => unreachable!("its addresses were read"),
                }
            }
            Err(reason) => return Arrived::Settled(unattached(Class::Discarded, Verdict::Drop, reason)),
        };
        if !datagram.is_fragment {
            return Arrived::Datagram(datagram);
        }
        let place = Place { hook: way.hook(), zone: 0 };
        match self.defrag.handle(self.now, place, &datagram, packet.is_trusted(), &self.rules.sysctls) {
            Gathered::Whole | Gathered::Pass => Arrived::Datagram(datagram),
            Gathered::Held(reason) => Arrived::Settled(unattached(Class::Held, Verdict::Accept, reason)),
            Gathered::Dropped(reason) => Arrived::Settled(unattached(Class::Held, Verdict::Drop, reason)),
            Gathered::Reassembled { bytes, trusted } => Arrived::Reassembled { bytes, trusted },
        }
    }

    /// Finds the packet's tuple, and with it its connection.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `nf_conntrack_in`.
    #[inline(always)]
    pub(super) fn track(
        &mut self,
        way: Way,
        packet: &Packet<'_>,
        datagram: Datagram<'_>,
        verify: bool,
        outcome: &mut Outcome,
    ) {
        if packet.notrack {
            return *outcome = unattached(Class::Untracked, Verdict::Accept, Reason::Untracked {});
        }
        let part = match ip::transport(&datagram) {
            Ok(part) => part,
            Err(reason) => return *outcome = unattached(Class::Invalid, Verdict::Accept, reason),
        };
        let bytes = datagram.from(part.offset);
        let verify = verify && self.rules.sysctls.is_on(Knob::Checksum);
        let segment = Segment { datagram, protocol: part.protocol, bytes, verify };
        if proto::may_be_error(&segment)
            && let Some(settled) = self.track_error(segment, packet.zone)
        {
            *outcome = settled;
            if way == Way::Through {
                self.leave(outcome, Some(&datagram));
            }
            return;
        }
        match proto::tuple(&datagram, part.protocol, bytes) {
            Ok(tuple) => self.track_keyed(way, &segment, tuple, packet.zone, outcome),
            Err(reason) => *outcome = unattached(Class::Invalid, Verdict::Accept, reason),
        }
    }

    /// ICMP's errors, and what of ICMPv6 is not tracked; `None` for all that is tracked by its own tuple.
    #[inline(never)]
    fn track_error(&self, segment: Segment<'_>, zone: u16) -> Option<Outcome> {
        let (class, reason, tuple) = match proto::error_stage(&segment) {
            ErrorStage::Normal => return None,
            ErrorStage::Untracked(reason) => (Class::Untracked, reason, None),
            ErrorStage::Invalid(reason, tuple) => (Class::Invalid, reason, tuple),
            ErrorStage::About { tuple, kind, code } => {
                let (_, outer) = segment.datagram.addresses();
                return Some(self.track_quoted(&tuple, zone, outer, kind, code));
            }
        };
        let found = tuple.and_then(|tuple| self.table.find(self.table.hash(&tuple, zone), &tuple, zone));
        let conn = found.map(|found| self.table.conn(found.slot).id(found.slot));
        Some(Outcome { conn, ..unattached(class, Verdict::Accept, reason) })
    }

    /// An ICMP error is RELATED to the connection it quotes, when it is sent to the sender of what it quotes.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_proto_icmp.c `nf_conntrack_inet_error`.
    fn track_quoted(&self, tuple: &Tuple, zone: u16, outer: Addr, kind: u8, code: u8) -> Outcome {
        let Some(Found { slot, direction }) = self.table.find(self.table.hash(tuple, zone), tuple, zone)
        else {
            return unattached(Class::Invalid, Verdict::Accept, Reason::IcmpInnerUnknown {});
        };
        let conn = self.table.conn(slot);
        let id = Some(conn.id(slot));
        if conn.tuples[direction as usize].dst != outer {
            let settled = unattached(Class::Invalid, Verdict::Accept, Reason::IcmpWrongTarget {});
            return Outcome { conn: id, ..settled };
        }
        let info = match direction {
            Direction::Original => CtInfo::Related,
            Direction::Reply => CtInfo::RelatedReply,
        };
        let settled = unattached(Class::Tracked(info), Verdict::Accept, Reason::IcmpError { kind, code });
        Outcome { conn: id, attached: true, ..settled }
    }

    /// Lets the packet have its effect on the connection that has its tuple, or on a new one.
    #[inline(always)]
    fn track_keyed(
        &mut self,
        way: Way,
        segment: &Segment<'_>,
        tuple: Tuple,
        zone: u16,
        outcome: &mut Outcome,
    ) {
        let hash = self.table.hash(&tuple, zone);
        let Found { slot, direction } = match self.table.find(hash, &tuple, zone) {
            Some(found) => found,
            None => match self.create(tuple, hash, zone, outcome) {
                Ok(slot) => Found { slot, direction: Direction::Original },
                Err((verdict, reason)) => return *outcome = unattached(Class::Invalid, verdict, reason),
            },
        };
        let conn = self.table.conn_mut(slot);
        outcome.class = Class::Tracked(info(conn, direction));
        outcome.verdict = Verdict::Accept;
        outcome.conn = Some(conn.id(slot));
        outcome.attached = true;
        let mut is_nearer = false;
        match proto::track(conn, direction, segment, &self.rules, &mut outcome.reason) {
            Decision::Renew(timeout) => {
                conn.count(direction, segment.datagram.bytes.len());
                if self.rules.profile.switches.renewing_answers {
                    conn.answer(direction);
                }
                is_nearer = conn.renew(self.rules.now, timeout);
            }
            Decision::Keep if !self.rules.profile.switches.kept_answers => {}
            Decision::Keep => conn.answer(direction),
            // Only under a profile in which what ends a connection may also open one.
            Decision::Destroy if !conn.is_confirmed() => return self.refuse(slot, None, outcome),
            Decision::Destroy => {
                conn.count(direction, segment.datagram.bytes.len());
                self.keep_ended(slot);
                return self.destroy(slot, self.now);
            }
            Decision::Reopen => {
                self.destroy(slot, self.now);
                return self.reopen(way, segment, tuple, zone, outcome);
            }
            Decision::Invalid => return self.refuse(slot, None, outcome),
            Decision::InvalidCut(timeout) => return self.refuse(slot, Some(timeout), outcome),
        }
        let is_quiet = conn.is_quiet(self.rules.now);
        if is_nearer {
            self.table.shortened(slot);
        }
        if way == Way::Through && !is_quiet {
            self.pass_last(slot, hash, Some(&segment.datagram), outcome);
        }
    }

    /// A packet that has ended a connection opens another with the same tuple.
    #[cold]
    fn reopen(&mut self, way: Way, segment: &Segment<'_>, tuple: Tuple, zone: u16, outcome: &mut Outcome) {
        self.track_keyed(way, segment, tuple, zone, outcome);
        outcome.reason = outcome.reason.reopened();
    }

    /// The tracker finds a packet INVALID: it is not attached. A new connection is forgotten; a known one may have less
    /// time from now on.
    #[cold]
    fn refuse(&mut self, slot: u32, cut: Option<u64>, outcome: &mut Outcome) {
        outcome.class = Class::Invalid;
        outcome.attached = false;
        let conn = self.table.conn_mut(slot);
        if !conn.is_confirmed() {
            outcome.conn = None;
            self.forget(slot);
        } else if cut.is_some_and(|timeout| conn.renew(self.rules.now, timeout)) {
            self.table.shortened(slot);
        }
    }

    /// A new connection, not yet in the table.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `init_conntrack`, `__nf_conntrack_alloc`.
    fn create(
        &mut self,
        tuple: Tuple,
        hash: u32,
        zone: u16,
        outcome: &mut Outcome,
    ) -> Result<u32, (Verdict, Reason)> {
        let (kind, code) = (tuple.icmp_type(), tuple.icmp_code());
        let reply = tuple.invert().ok_or((Verdict::Accept, Reason::TupleNoInverse { kind, code }))?;
        let (count, max) = (self.counted() as u64 + 1, self.rules.sysctls.get(Knob::Max) as u64);
        if max != 0 && count > max && !self.early_drop(hash) {
            return Err((Verdict::Drop, Reason::TableFull { count: count - 1, max }));
        }
        let listened = match self.rules.sysctls.get(Knob::Events) {
            0 => false,
            1 => true,
            _ => self.listening,
        };
        let slot = self.table.add(Conn {
            tuples: [tuple, reply],
            number: 0,
            expires: Jiffies(0),
            link: Link::default(),
            status: Status::default(),
            mark: 0,
            zone,
            changes: Changes::default(),
            listened,
            proto: ProtoState::new(tuple.protocol),
            extra: self.extra(),
        });
        if !self.expected.is_empty() {
            self.welcome(slot, &tuple, zone, outcome);
        }
        Ok(slot)
    }

    fn extra(&self) -> Option<Box<Extra>> {
        let counters = self.rules.sysctls.is_on(Knob::Acct).then(|| [Counter::default(); 2]);
        let timestamps = self.rules.sysctls.is_on(Knob::Timestamp).then(Stamps::default);
        (counters.is_some() || timestamps.is_some())
            .then(|| Box::new(Extra { counters, timestamps, ..Extra::default() }))
    }

    /// The table is full: of a few neighbouring buckets, the first that holds any loses all its entries that are not
    /// ASSURED.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `early_drop`.
    fn early_drop(&mut self, hash: u32) -> bool {
        // A connection lies in two of the kernel's buckets and in one of ours: half as many hold as much each.
        let buckets = (self.rules.sysctls.get(Knob::Buckets) / 2).max(1) as u32;
        let first = ((u64::from(hash) * u64::from(buckets)) >> 32) as u32;
        for step in 0..self.rules.profile.early_drop_buckets.min(buckets) {
            let bucket = (first + step) % buckets;
            let mut victims: Vec<u32> = self.table.bucket(bucket, buckets).collect();
            victims.retain(|&slot| !self.table.conn(slot).status.has(Status::ASSURED));
            // One that is translated lies in two places.
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
        let has_help = conn.help().is_some();
        if conn.listened {
            let conn = conn.snapshot(slot, self.rules.ticks.at(at), self.rules.ticks);
            let (kind, changes) = (EventKind::Destroy, Changes::DESTROY);
            self.events.push_back(Event { at, kind, changes, conn, expected: None });
        }
        if has_help {
            self.forsake(slot, at);
        }
        self.let_go(slot);
        self.table.remove(slot);
    }

    /// The last hook. The datagram is what a helper reads.
    pub(super) fn leave(&mut self, outcome: &mut Outcome, datagram: Option<&Datagram<'_>>) {
        if let Some(slot) = self.attached(outcome)
            && !self.table.conn(slot).is_quiet(self.rules.now)
        {
            self.pass_last(slot, self.table.hash_of(slot), datagram, outcome);
        }
    }

    fn pass_last(&mut self, slot: u32, hash: u32, datagram: Option<&Datagram<'_>>, outcome: &mut Outcome) {
        if self.table.conn(slot).status.has(Status::HELPER)
            && let Some(datagram) = datagram
            && !self.help(slot, datagram, outcome)
        {
            return;
        }
        self.confirm_entry(slot, hash, outcome);
    }

    /// The connection that a packet is attached to, unless it has died between the hooks.
    pub(super) fn attached(&self, outcome: &Outcome) -> Option<u32> {
        self.table.slot(outcome.conn.filter(|_| outcome.attached)?)
    }

    /// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `__nf_conntrack_confirm`.
    fn confirm_entry(&mut self, slot: u32, hash: u32, outcome: &mut Outcome) {
        if !self.table.conn(slot).is_confirmed() {
            if let Some(rival) = self.rival(slot, hash) {
                return self.clash(slot, rival, hash, outcome);
            }
            let conn = self.table.conn_mut(slot);
            if conn.status.has(Status::HELPER) {
                conn.note(Changes::HELPER);
            }
            conn.note(if conn.status.has(Status::EXPECTED) { Changes::RELATED } else { Changes::NEW });
            self.insert(slot, hash);
        }
        self.deliver(slot);
        self.bury(slot);
    }

    /// A connection comes into the table: what it was given to live counts from now on.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `__nf_conntrack_insert_prepare`.
    #[inline]
    fn insert(&mut self, slot: u32, hash: u32) {
        let (now, tick) = (self.now, self.rules.now);
        let conn = self.table.conn_mut(slot);
        conn.status.insert(Status::CONFIRMED);
        conn.expires = Jiffies(tick.0 + conn.expires.0);
        if let Some(stamps) = conn.extra.as_deref_mut().and_then(|extra| extra.timestamps.as_mut()) {
            stamps.start = Some(now);
        }
        self.table.enter(slot, hash);
    }

    /// A timeout of nothing is over at once: the packet keeps its class, the next one finds no entry.
    pub(super) fn bury(&mut self, slot: u32) {
        if self.table.conn(slot).expires <= self.rules.now {
            self.destroy(slot, self.now);
        }
    }

    /// A confirmed connection that holds one of this one's tuples. Without translation who holds one holds both.
    fn rival(&self, slot: u32, hash: u32) -> Option<u32> {
        const DECIDED: u32 = Status::SRC_NAT_DONE.0 | Status::DST_NAT_DONE.0;
        let conn = self.table.conn(slot);
        let mut found = self.table.find(hash, &conn.tuples[0], conn.zone);
        if found.is_none() && conn.status.0 & DECIDED != 0 {
            let other = self.table.other_hash_of(slot, hash).unwrap_or(hash);
            found = self.table.find(other, &conn.tuples[1], conn.zone);
        }
        found.map(|found| found.slot)
    }

    /// Two packets of one new flow were tracked before the first was confirmed. The second joins the entry of the first,
    /// where both are the same; where they are translated differently it is kept for its answers, if nothing else has them.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `nf_ct_resolve_clash`, `nf_ct_resolve_clash_harder`.
    #[cold]
    fn clash(&mut self, loser: u32, winner: u32, hash: u32, outcome: &mut Outcome) {
        let Conn { tuples: [original, reply], zone, .. } = *self.table.conn(loser);
        if !proto::may_clash(original.protocol) {
            return self.fail_insertion(loser, outcome);
        }
        if self.is_same_flow(loser, winner) {
            return self.join(loser, winner, outcome);
        }
        let other = self.table.other_hash_of(loser, hash).unwrap_or(hash);
        match self.table.find(other, &reply, zone) {
            Some(holder) if self.is_same_flow(loser, holder.slot) => self.join(loser, holder.slot, outcome),
            Some(_) => self.fail_insertion(loser, outcome),
            None => self.keep_for_answers(loser, hash, outcome),
        }
    }

    fn is_same_flow(&self, loser: u32, winner: u32) -> bool {
        let [original, reply] = self.table.conn(winner).tuples;
        let tuples = self.table.conn(loser).tuples;
        tuples == [original, reply] || tuples == [reply, original]
    }

    fn fail_insertion(&mut self, loser: u32, outcome: &mut Outcome) {
        self.forget(loser);
        let reason = Reason::InsertFailed {};
        *outcome = Outcome { verdict: Verdict::Drop, conn: None, attached: false, reason, ..*outcome };
    }

    /// What hides it from all but answers is that it is not entered under its original tuple.
    fn keep_for_answers(&mut self, loser: u32, hash: u32, outcome: &mut Outcome) {
        let conn = self.table.conn_mut(loser);
        conn.status.insert(Status::FIXED_TIMEOUT);
        conn.status.insert(Status::NAT_CLASH);
        conn.expires = Jiffies(self.rules.ticks.of_secs(1));
        self.insert(loser, hash);
        outcome.reason = Reason::ClashKept {};
        self.deliver(loser);
    }

    /// The packet is the winner's from now on, and counted there.
    fn join(&mut self, loser: u32, winner: u32, outcome: &mut Outcome) {
        let counters = self.table.conn(loser).extra.as_deref().and_then(|extra| extra.counters);
        self.forget(loser);
        let conn = self.table.conn_mut(winner);
        if let Some([counter, _]) = counters {
            conn.count(Direction::Original, counter.bytes as usize);
        }
        outcome.conn = Some(conn.id(winner));
        outcome.reason = Reason::ClashResolved {};
        self.deliver(winner);
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
        self.events.push_back(Event { at: self.now, kind, changes, conn, expected: None });
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

/// Checksums are looked at on the way in, where nobody has yet.
pub(super) fn is_verified(way: Way, packet: &Packet<'_>) -> bool {
    way.hook() == Hook::Prerouting && !packet.is_trusted()
}

pub(super) fn unattached(class: Class, verdict: Verdict, reason: Reason) -> Outcome {
    Outcome { class, verdict, conn: None, attached: false, reason, help: None }
}
