//! The tracker: packets in at the first hook, confirmed at the last, and all that follows from a decision.
//!
//! Tracking and confirmation are two steps, as in the kernel: the first finds or makes the entry and moves its state,
//! the second enters a new one into the table and delivers events. Between them a rule may drop the packet; a new
//! entry is then forgotten, while a known one keeps what the packet did to it.
//!
//! Time only moves forward: a `now` before the latest one counts as the latest. Whatever is due is done before a
//! packet is looked at.

use std::collections::VecDeque;

use crate::conn::{Conn, Extra, Stamps};
use crate::defrag::{Defrag, Gathered, Place};
use crate::event::{Changes, Event, EventKind};
use crate::outcome::{Class, ConnId, CtInfo, Hook, Outcome, Verdict};
use crate::packet::{Checksum, Packet};
use crate::profile::Profile;
use crate::proto::{self, Decision, ErrorStage, ProtoState, Rules, Segment};
use crate::reason::Reason;
use crate::snapshot::{ConnSnapshot, Counter};
use crate::status::Status;
use crate::sysctl::{Knob, SysctlError, Sysctls};
use crate::table::{ConnTable, Found, Link};
use crate::time::{Jiffies, Ticks, Time};
use crate::tuple::{Direction, Tuple};
use crate::wire::ip;

/// A connection tracker.
///
/// ```
/// use conntruth_engine::{Class, CtInfo, Engine, LINUX_6_18, Packet, Time};
///
/// let mut engine = Engine::new(&LINUX_6_18);
/// // An echo request from 10.0.0.1 to 10.0.1.1.
/// let ping = [
///     0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0x65, 0xe0, 10, 0, 0, 1, 10, 0, 1, 1, // IPv4
///     8, 0, 0xf7, 0xfa, 0, 5, 0, 0, // ICMP
/// ];
/// let outcome = engine.forward(Time::from_secs(1), &Packet::new(&ping));
/// assert_eq!(outcome.class, Class::Tracked(CtInfo::New));
/// assert_eq!(outcome.reason.slug(), "icmp-query");
/// let entry = engine.conns().next().unwrap();
/// assert_eq!(
///     entry.to_string(),
///     "icmp     1 30 src=10.0.0.1 dst=10.0.1.1 type=8 code=0 id=5 [UNREPLIED] \
///      src=10.0.1.1 dst=10.0.0.1 type=0 code=0 id=5 mark=0"
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Engine {
    profile: &'static Profile,
    sysctls: Sysctls,
    ticks: Ticks,
    now: Time,
    table: ConnTable,
    defrag: Defrag,
    listening: bool,
    events: VecDeque<Event>,
    /// Kept so that expiry allocates nothing.
    due: Vec<u32>,
}

/// A packet between tracking and confirmation. It must go on: to [`Engine::confirm`] when it passes the rules, to
/// [`Engine::discard`] when one drops it.
#[derive(Debug)]
#[must_use = "a packet is confirmed or discarded"]
pub struct Passage {
    outcome: Outcome,
    /// The connection the packet is attached to.
    slot: Option<u32>,
}

impl Passage {
    /// What the tracker says so far; confirmation can still end in a drop.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

/// A packet whose bytes are understood, before its connection is looked for.
pub(crate) enum Prepared<'a> {
    /// It has a tuple.
    Keyed { segment: Segment<'a>, tuple: Tuple, hash: u32, length: usize, zone: u16 },
    /// An ICMP error about the connection with this tuple.
    Error { tuple: Tuple, hash: u32, kind: u8, code: u8, outer: crate::tuple::Addr, zone: u16 },
    /// It has neither; the tuple is there for showing what it might belong to.
    Settled(Class, Reason, Option<(Tuple, u16)>),
}

impl Engine {
    /// An empty tracker with default settings.
    pub fn new(profile: &'static Profile) -> Engine {
        Engine::with_seed(profile, 0)
    }

    /// An empty tracker whose table is laid out by `seed`: which entries a full table evicts depends on it, nothing
    /// else does.
    pub fn with_seed(profile: &'static Profile, seed: u64) -> Engine {
        Engine {
            profile,
            sysctls: Sysctls::new(),
            ticks: Ticks::new(profile.hz),
            now: Time::ZERO,
            table: ConnTable::new(seed),
            defrag: Defrag::new(Ticks::new(profile.hz)),
            listening: false,
            events: VecDeque::new(),
            due: Vec::new(),
        }
    }

    /// The semantics it follows.
    pub fn profile(&self) -> &'static Profile {
        self.profile
    }

    /// Its settings.
    pub fn sysctls(&self) -> &Sysctls {
        &self.sysctls
    }

    /// Sets a knob. It counts from the next packet on; deadlines that stand keep standing.
    ///
    /// # Errors
    /// When the kernel would refuse the value.
    pub fn set(&mut self, knob: Knob, value: i64) -> Result<(), SysctlError> {
        self.sysctls.set(knob, value)
    }

    /// Sets a knob by its name; see [`Knob::find`].
    ///
    /// # Errors
    /// When there is no such knob, or the kernel would refuse the value.
    pub fn set_by_name(&mut self, name: &str, value: i64) -> Result<Knob, SysctlError> {
        self.sysctls.set_by_name(name, value)
    }

    /// Somebody listens to events from now on. As in the kernel, with `nf_conntrack_events` at 2 a connection made
    /// before that never makes any.
    pub fn listen(&mut self) {
        self.listening = true;
    }

    /// The latest moment it was told of.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Confirmed connections.
    pub fn len(&self) -> usize {
        self.table.confirmed()
    }

    /// Whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held for connections, their index and their timers.
    pub fn table_bytes(&self) -> usize {
        self.table.bytes()
    }

    /// A connection by its name, while it is there.
    pub fn conn(&self, id: ConnId) -> Option<ConnSnapshot> {
        self.table.slot(id).map(|slot| self.snapshot(slot))
    }

    /// The confirmed connections, in the order of their creation.
    pub fn conns(&self) -> impl Iterator<Item = ConnSnapshot> + '_ {
        let mut slots: Vec<(ConnId, u32)> =
            self.table.iter().filter(|(_, conn)| conn.is_confirmed()).map(|(slot, conn)| (conn.id, slot)).collect();
        slots.sort_unstable();
        slots.into_iter().map(|(_, slot)| self.snapshot(slot))
    }

    /// The next event, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next moment at which an entry or a fragment may run out of time; it may be too early, never too late.
    pub fn poll_timeout(&self) -> Option<Time> {
        let entry = self.table.first_deadline().map(|tick| self.ticks.start(tick));
        [entry, self.defrag.poll_timeout()].into_iter().flatten().min()
    }

    /// Tracks a packet at the hook where it enters: [`Hook::Prerouting`] from outside, [`Hook::Output`] from the host
    /// itself.
    pub fn handle(&mut self, now: Time, hook: Hook, packet: &Packet<'_>) -> Passage {
        self.handle_timeouts(now);
        let whole;
        let mut trusted = packet.checksum == Checksum::Trusted || packet.offload;
        let mut datagram = match ip::receive(packet.bytes, packet.offload) {
            Ok(datagram) => datagram,
            Err(reason) => return settled(Class::Discarded, Verdict::Drop, reason),
        };
        let place = Place { hook, zone: 0 };
        match self.defrag.handle(self.now, place, &datagram, trusted, &self.sysctls) {
            Gathered::Whole | Gathered::Pass => {}
            Gathered::Held(reason) => return settled(Class::Held, Verdict::Accept, reason),
            Gathered::Dropped(reason) => return settled(Class::Held, Verdict::Drop, reason),
            Gathered::Reassembled { bytes, trusted: verified } => {
                (whole, trusted) = (bytes, verified);
                let Some(view) = ip::reassembled(&whole) else { unreachable!("reassembly keeps the network header") };
                datagram = view;
            }
        }
        let verify = hook == Hook::Prerouting && !trusted && self.sysctls.is_on(Knob::Checksum);
        let prepared = self.prepare(packet, datagram, verify);
        self.track(prepared)
    }

    /// Lets a packet pass the last hook: a new connection is entered into the table, events are delivered.
    pub fn confirm(&mut self, now: Time, passage: Passage) -> Outcome {
        self.handle_timeouts(now);
        self.finish(passage)
    }

    /// A rule has dropped the packet between the hooks. A new connection is forgotten; what the packet did to a known
    /// one stays, and its events wait for the next packet that passes.
    pub fn discard(&mut self, passage: Passage) -> Outcome {
        let outcome = passage.outcome;
        let Some(slot) = passage.slot.filter(|&slot| Some(self.table.conn(slot).id) == outcome.conn) else {
            return outcome;
        };
        if self.table.conn(slot).is_confirmed() {
            self.bury(slot);
            return outcome;
        }
        self.table.forget(slot);
        Outcome { conn: None, ..outcome }
    }

    /// Tracks and confirms a packet that nothing drops, as on a forwarding host without rules.
    pub fn forward(&mut self, now: Time, packet: &Packet<'_>) -> Outcome {
        let passage = self.handle(now, Hook::Prerouting, packet);
        self.finish(passage)
    }

    /// Lets time pass: whatever is due dies, in the order of deadlines, and of creation within one tick.
    pub fn handle_timeouts(&mut self, now: Time) {
        self.now = self.now.max(now);
        self.defrag.handle_timeouts(self.now);
        let tick = self.tick();
        if self.table.is_quiet_until(tick) {
            return;
        }
        let mut due = std::mem::take(&mut self.due);
        while let Some(at) = self.table.next_due(tick, &mut due) {
            for slot in due.drain(..) {
                self.destroy(slot, self.ticks.start(at));
            }
        }
        self.due = due;
    }

    fn tick(&self) -> Jiffies {
        self.ticks.at(self.now)
    }

    fn snapshot(&self, slot: u32) -> ConnSnapshot {
        self.table.conn(slot).snapshot(self.tick(), self.ticks)
    }
}

fn settled(class: Class, verdict: Verdict, reason: Reason) -> Passage {
    Passage { outcome: Outcome { class, verdict, conn: None, attached: false, reason }, slot: None }
}

/// What happens to one packet.
impl Engine {
    /// Finds the packet's tuple, or why it has none.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `nf_conntrack_in`.
    fn prepare<'a>(&self, packet: &Packet<'_>, datagram: ip::Datagram<'a>, verify: bool) -> Prepared<'a> {
        if packet.notrack {
            return Prepared::Settled(Class::Untracked, Reason::Untracked {}, None);
        }
        let part = match ip::transport(&datagram) {
            Ok(part) => part,
            Err(reason) => return Prepared::Settled(Class::Invalid, reason, None),
        };
        let bytes = datagram.from(part.offset);
        let segment = Segment { datagram, protocol: part.protocol, bytes, verify };
        let zone = packet.zone;
        let tuple = proto::tuple(&datagram, part.protocol, bytes);
        match proto::error_stage(&segment) {
            ErrorStage::Normal => {}
            ErrorStage::Untracked(reason) => return Prepared::Settled(Class::Untracked, reason, None),
            ErrorStage::Invalid(reason) => {
                return Prepared::Settled(Class::Invalid, reason, tuple.ok().map(|tuple| (tuple, zone)));
            }
            ErrorStage::About { tuple, kind, code } => {
                let hash = self.table.hash(&tuple, zone);
                return Prepared::Error { tuple, hash, kind, code, outer: datagram.dst, zone };
            }
        }
        match tuple {
            Ok(tuple) => {
                let hash = self.table.hash(&tuple, zone);
                Prepared::Keyed { segment, tuple, hash, length: datagram.bytes.len(), zone }
            }
            Err(reason) => Prepared::Settled(Class::Invalid, reason, None),
        }
    }

    fn track(&mut self, prepared: Prepared<'_>) -> Passage {
        match prepared {
            Prepared::Keyed { segment, tuple, hash, length, zone } => {
                self.track_keyed(&segment, &tuple, hash, length, zone)
            }
            Prepared::Error { tuple, hash, kind, code, outer, zone } => {
                let found = self.table.find(hash, &tuple, zone);
                self.track_error(found, outer, kind, code)
            }
            Prepared::Settled(class, reason, tuple) => {
                let found =
                    tuple.and_then(|(tuple, zone)| self.table.find(self.table.hash(&tuple, zone), &tuple, zone));
                let mut passage = settled(class, Verdict::Accept, reason);
                passage.outcome.conn = found.map(|found| self.table.conn(found.slot).id);
                passage
            }
        }
    }

    /// An ICMP error is RELATED to the connection it quotes, when it is sent to the sender of what it quotes.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_proto_icmp.c `nf_conntrack_inet_error`.
    fn track_error(&mut self, found: Option<Found>, outer: crate::tuple::Addr, kind: u8, code: u8) -> Passage {
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

    fn track_keyed(
        &mut self,
        segment: &Segment<'_>,
        tuple: &Tuple,
        hash: u32,
        length: usize,
        zone: u16,
    ) -> Passage {
        let mut reopened = false;
        loop {
            let (slot, direction) = match self.table.find(hash, tuple, zone) {
                Some(Found { slot, direction }) => (slot, direction),
                None => match self.create(tuple, hash, zone) {
                    Ok(slot) => (slot, Direction::Original),
                    Err((verdict, reason)) => {
                        let class = Class::Invalid;
                        return settled(class, verdict, reason);
                    }
                },
            };
            let rules = Rules {
                profile: self.profile,
                sysctls: &self.sysctls,
                ticks: self.ticks,
                now: self.ticks.at(self.now),
            };
            let conn = self.table.conn_mut(slot);
            let (id, confirmed) = (conn.id, conn.is_confirmed());
            let info = info(conn, direction);
            match proto::track(conn, direction, segment, &rules) {
                Decision::Renew(timeout, reason) => {
                    conn.count(direction, length);
                    self.renew(slot, timeout);
                    self.answered(slot, direction);
                    return attached(id, slot, info, if reopened { reason.reopened() } else { reason });
                }
                Decision::Keep(reason) => {
                    self.answered(slot, direction);
                    return attached(id, slot, info, reason);
                }
                Decision::Invalid(reason) if confirmed => return invalid(id, reason),
                Decision::InvalidCut(timeout, reason) => {
                    self.renew(slot, timeout);
                    return invalid(id, reason);
                }
                Decision::Invalid(reason) => {
                    self.table.forget(slot);
                    return settled(Class::Invalid, Verdict::Accept, reason);
                }
                Decision::Destroy(reason) => {
                    conn.count(direction, length);
                    self.destroy(slot, self.now);
                    let mut passage = attached(id, slot, info, reason);
                    passage.slot = None;
                    return passage;
                }
                Decision::Reopen => {
                    self.destroy(slot, self.now);
                    reopened = true;
                }
            }
        }
    }

    /// So many ticks to live from now on, unless the timeout is fixed.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `__nf_ct_refresh_acct`.
    fn renew(&mut self, slot: u32, timeout: u64) {
        let now = self.tick();
        let conn = self.table.conn_mut(slot);
        if conn.status.has(Status::FIXED_TIMEOUT) {
            return;
        }
        if conn.is_confirmed() {
            self.table.set_deadline(slot, Jiffies(now.0 + timeout));
        } else {
            conn.expires = Jiffies(timeout);
        }
    }

    /// A packet in reply direction that the tracker took: from now on the connection is answered.
    fn answered(&mut self, slot: u32, direction: Direction) {
        if direction == Direction::Reply {
            self.table.conn_mut(slot).set_status(Status::SEEN_REPLY, Changes::REPLY);
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
        let first = (u64::from(hash) * u64::from(buckets) >> 32) as u32;
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
    fn destroy(&mut self, slot: u32, at: Time) {
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
    fn finish(&mut self, passage: Passage) -> Outcome {
        let Passage { outcome, slot } = passage;
        let Some(slot) = slot else { return outcome };
        let conn = self.table.conn(slot);
        if Some(conn.id) != outcome.conn {
            // It died between the hooks.
            return outcome;
        }
        if !conn.is_confirmed()
            && let Some(other) = self.rival(slot)
        {
            return self.clash(slot, other, outcome);
        }
        let now = self.now;
        let tick = self.tick();
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
    fn bury(&mut self, slot: u32) {
        if self.table.conn(slot).expires <= self.tick() {
            self.destroy(slot, self.now);
        }
    }

    /// A confirmed connection that holds one of this one's tuples.
    fn rival(&self, slot: u32) -> Option<u32> {
        let conn = self.table.conn(slot);
        let find = |direction: usize| self.table.find(conn.hashes[direction], &conn.tuples[direction], conn.zone);
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
            return Outcome { verdict: Verdict::Drop, conn: None, attached: false, reason: Reason::InsertFailed {}, ..outcome };
        }
        let conn = self.table.conn_mut(winner);
        if let Some([counter, _]) = counters {
            conn.count(Direction::Original, counter.bytes as usize);
        }
        Outcome { conn: Some(conn.id), reason: Reason::ClashResolved {}, ..outcome }
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
    let outcome =
        Outcome { class: Class::Tracked(info), verdict: Verdict::Accept, conn: Some(id), attached: true, reason };
    Passage { outcome, slot: Some(slot) }
}

fn invalid(id: ConnId, reason: Reason) -> Passage {
    let outcome =
        Outcome { class: Class::Invalid, verdict: Verdict::Accept, conn: Some(id), attached: false, reason };
    Passage { outcome, slot: None }
}
