//! The tracker: packets in at the first hook, confirmed at the last, and all that follows from a decision.
//!
//! Tracking and confirmation are two steps, as in the kernel: the first finds or makes the entry and moves its state,
//! the second enters a new one into the table and delivers events. Between them a rule may drop the packet; a new
//! entry is then forgotten, while a known one keeps what the packet did to it.
//!
//! Time only moves forward: a `now` before the latest one counts as the latest. Whatever is due is done before a
//! packet is looked at.

mod tracking;

use std::collections::VecDeque;

use crate::defrag::{Defrag, Gathered, Place};
use crate::event::Event;
use crate::outcome::{Class, ConnId, Hook, Outcome, Verdict};
use crate::packet::Packet;
use crate::profile::Profile;
use crate::proto::Segment;
use crate::reason::Reason;
use crate::snapshot::ConnSnapshot;
use crate::sysctl::{Knob, SysctlError, Sysctls};
use crate::table::ConnTable;
use crate::time::{Jiffies, Ticks, Time};
use crate::tuple::{Addr, Tuple};
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
    /// The tick in which `now` lies, and the first moment after it.
    tick: Jiffies,
    tick_ends: Time,
    table: ConnTable,
    defrag: Defrag,
    listening: bool,
    events: VecDeque<Event>,
    /// Kept so that expiry allocates nothing.
    due: Vec<u32>,
}

/// Packets read ahead by [`Engine::forward_batch`].
const BATCH: usize = 32;

/// A packet between tracking and confirmation. It must go on: to [`Engine::confirm`] when it passes the rules, to
/// [`Engine::discard`] when one drops it; to the same engine that tracked it, or to a clone of it made meanwhile.
#[derive(Clone, Debug)]
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
enum Prepared<'a> {
    /// It has a tuple.
    Keyed { segment: Segment<'a>, tuple: Tuple, hash: u32, zone: u16 },
    /// An ICMP error about the connection with this tuple.
    Error { tuple: Tuple, hash: u32, kind: u8, code: u8, outer: Addr, zone: u16 },
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
            tick: Jiffies(0),
            tick_ends: Time::ZERO,
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
        let mut slots: Vec<(ConnId, u32)> = self
            .table
            .iter()
            .filter(|(_, conn)| conn.is_confirmed())
            .map(|(slot, conn)| (conn.id, slot))
            .collect();
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
        let mut verify = is_verified(hook, packet);
        let mut datagram = match ip::receive(packet.bytes, packet.offload) {
            Ok(datagram) => datagram,
            Err(reason) => return settled(Class::Discarded, Verdict::Drop, reason),
        };
        let place = Place { hook, zone: 0 };
        match self.defrag.handle(self.now, place, &datagram, packet.is_trusted(), &self.sysctls) {
            Gathered::Whole | Gathered::Pass => {}
            Gathered::Held(reason) => return settled(Class::Held, Verdict::Accept, reason),
            Gathered::Dropped(reason) => return settled(Class::Held, Verdict::Drop, reason),
            Gathered::Reassembled { bytes, trusted } => {
                whole = bytes;
                verify &= !trusted;
                let Some(view) = ip::reassembled(&whole) else {
                    unreachable!("reassembly keeps the network header")
                };
                datagram = view;
            }
        }
        let prepared = self.prepare(packet, &datagram, verify && self.sysctls.is_on(Knob::Checksum));
        self.track(&prepared)
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

    /// [`Engine::forward`] for many packets, with identical results. Faster where the table is larger than the caches:
    /// the memory of a batch's entries is asked for before the first is used.
    pub fn forward_batch(&mut self, packets: &[(Time, Packet<'_>)], outcomes: &mut Vec<Outcome>) {
        outcomes.reserve(packets.len());
        for packets in packets.chunks(BATCH) {
            let mut datagrams = [const { None }; BATCH];
            for (place, (_, packet)) in datagrams.iter_mut().zip(packets) {
                *place = read_ahead(packet);
            }
            let mut prepared = [const { None }; BATCH];
            for ((place, datagram), (_, packet)) in prepared.iter_mut().zip(&datagrams).zip(packets) {
                let verify = is_verified(Hook::Prerouting, packet) && self.sysctls.is_on(Knob::Checksum);
                *place = datagram.as_ref().map(|datagram| self.prepare(packet, datagram, verify));
            }
            self.touch(&prepared);
            for (prepared, (now, packet)) in prepared.iter().zip(packets) {
                let passage = match prepared {
                    Some(prepared) => {
                        self.handle_timeouts(*now);
                        self.track(prepared)
                    }
                    None => self.handle(*now, Hook::Prerouting, packet),
                };
                outcomes.push(self.finish(passage));
            }
        }
    }

    /// Reads where the entries of a batch lie, first in the index, then in the table. The reads do not depend on each
    /// other, so the processor waits for all of them at once.
    fn touch(&self, prepared: &[Option<Prepared<'_>>; BATCH]) {
        let hashes = prepared.iter().flatten().filter_map(|prepared| match prepared {
            Prepared::Keyed { hash, .. } | Prepared::Error { hash, .. } => Some(*hash),
            Prepared::Settled(..) => None,
        });
        let index = hashes.clone().fold(0, |sum: u64, hash| sum.wrapping_add(self.table.touch_index(hash)));
        let conns = hashes.fold(0, |sum: u64, hash| sum.wrapping_add(self.table.touch_conn(hash)));
        std::hint::black_box((index, conns));
    }

    /// Lets time pass: whatever is due dies, in the order of deadlines, and of creation within one tick.
    #[inline]
    pub fn handle_timeouts(&mut self, now: Time) {
        self.now = self.now.max(now);
        // Deadlines are ticks, so within one nothing more comes due.
        if self.now >= self.tick_ends {
            self.next_tick();
        }
    }

    fn next_tick(&mut self) {
        self.tick = self.ticks.at(self.now);
        self.tick_ends = self.ticks.start(Jiffies(self.tick.0 + 1));
        self.defrag.handle_timeouts(self.now);
        if !self.table.is_quiet_until(self.tick) {
            self.expire();
        }
    }

    fn expire(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        while let Some(at) = self.table.next_due(self.tick, &mut due) {
            for slot in due.drain(..) {
                self.destroy(slot, self.ticks.start(at));
            }
        }
        self.due = due;
    }

    fn snapshot(&self, slot: u32) -> ConnSnapshot {
        self.table.conn(slot).snapshot(self.tick, self.ticks)
    }
}

/// A packet that needs neither clock nor reassembly can be read before its turn.
fn read_ahead<'a>(packet: &Packet<'a>) -> Option<ip::Datagram<'a>> {
    ip::receive(packet.bytes, packet.offload).ok().filter(|datagram| datagram.fragment.is_none())
}

/// Checksums are looked at on the way in, where nobody has yet.
fn is_verified(hook: Hook, packet: &Packet<'_>) -> bool {
    hook == Hook::Prerouting && !packet.is_trusted()
}

fn settled(class: Class, verdict: Verdict, reason: Reason) -> Passage {
    Passage { outcome: Outcome { class, verdict, conn: None, attached: false, reason }, slot: None }
}
