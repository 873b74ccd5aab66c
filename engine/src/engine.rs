//! The tracker: packets in at the first hook, confirmed at the last, and all that follows from a decision.
//!
//! Tracking and confirmation are two steps, as in the kernel: the first finds or makes the entry and moves its state,
//! the second enters a new one into the table and delivers events. Between them a rule may drop the packet; a new
//! entry is then forgotten, while a known one keeps what the packet did to it.
//!
//! Time only moves forward: a `now` before the latest one counts as the latest. Whatever is due is done before a
//! packet is looked at.

mod announcing;
mod expecting;
mod kinship;
mod saved;
mod tracking;
mod translate;
mod travel;
mod walk;

use std::collections::VecDeque;
use std::hint::black_box;

use serde::{Deserialize, Serialize};

use crate::defrag::Defrag;
use crate::event::Event;
use crate::expect::ExpectTable;
use crate::helper::Helper;
use crate::nat::{Draws, Wanted};
use crate::outcome::{ConnId, Hook, Outcome};
use crate::packet::Packet;
use crate::profile::Profile;
use crate::proto::{self, Rules};
use crate::snapshot::ConnSnapshot;
use crate::status::Status;
use crate::sysctl::{Knob, SysctlError, Sysctls};
use crate::table::ConnTable;
use crate::time::{Jiffies, Ticks, Time};
use crate::tuple::{Direction, Tuple};
use crate::wire::ip;
pub(crate) use kinship::Held;
use tracking::Way;
use translate::Ended;
pub use travel::{Queued, Route};
pub use walk::{Answer, Journey, Treatment, Walk};

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
    /// They know the tick in which `now` lies.
    rules: Rules,
    now: Time,
    /// The first moment after the present tick.
    tick_ends: Time,
    table: ConnTable,
    defrag: Defrag,
    /// What helpers have announced.
    expected: ExpectTable,
    /// Dead connections that their children hold.
    held: Held,
    /// The datagram that a fragment has just completed, for [`Engine::handle`].
    whole: Option<Box<[u8]>>,
    listening: bool,
    events: VecDeque<Event>,
    /// Kept so that expiry allocates nothing.
    due: Vec<u32>,
    /// Where translation chooses at random.
    draws: Draws,
    /// The connection that the packet at hand has ended, and still carries.
    ended: Option<Ended>,
}

/// Packets read ahead by [`Engine::forward_batch`].
const BATCH: usize = 32;

/// A packet between tracking and confirmation. It must go on: to [`Engine::confirm`] when it passes the rules, to
/// [`Engine::discard`] when one drops it; to the same engine that tracked it, or to a clone of it made meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "a packet is confirmed or discarded"]
pub struct Passage {
    outcome: Outcome,
    /// The packet, where a helper is to read it, and whether reassembly has made it.
    bytes: Option<(Box<[u8]>, bool)>,
}

impl Passage {
    /// What the tracker says so far; confirmation can still end in a drop.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

impl Engine {
    /// An empty tracker with default settings.
    pub fn new(profile: &'static Profile) -> Engine {
        Engine::with_seed(profile, 0)
    }

    /// An empty tracker whose table is laid out by `seed`: which entries a full table evicts depends on it, and which
    /// port translation takes where it chooses at random; nothing else does.
    pub fn with_seed(profile: &'static Profile, seed: u64) -> Engine {
        let ticks = Ticks::new(profile.hz);
        Engine {
            rules: Rules { profile, sysctls: Sysctls::with(profile.defaults), ticks, now: Jiffies(0) },
            now: Time::ZERO,
            tick_ends: Time::ZERO,
            table: ConnTable::new(seed),
            defrag: Defrag::new(ticks),
            expected: ExpectTable::default(),
            held: Held::default(),
            whole: None,
            listening: false,
            events: VecDeque::new(),
            due: Vec::new(),
            draws: Draws::new(seed),
            ended: None,
        }
    }

    /// The semantics it follows.
    pub fn profile(&self) -> &'static Profile {
        self.rules.profile
    }

    /// Its settings.
    pub fn sysctls(&self) -> &Sysctls {
        &self.rules.sysctls
    }

    /// Sets a knob. It counts from the next packet on; deadlines that stand keep standing.
    ///
    /// # Errors
    /// When the kernel would refuse the value.
    pub fn set(&mut self, knob: Knob, value: i64) -> Result<(), SysctlError> {
        self.rules.sysctls.set(knob, value)
    }

    /// Sets a knob by its name; see [`Knob::find`].
    ///
    /// # Errors
    /// When there is no such knob, or the kernel would refuse the value.
    pub fn set_by_name(&mut self, name: &str, value: i64) -> Result<Knob, SysctlError> {
        self.rules.sysctls.set_by_name(name, value)
    }

    /// Somebody listens to events from now on. As in the kernel, with `nf_conntrack_events` at 2 a connection made
    /// before that never makes any.
    pub fn listen(&mut self) {
        self.listening = true;
    }

    /// Where translation chooses at random from now on, it chooses what leads to this, as far as it is something that may
    /// be chosen. So another tracker's choices can be followed, and judged.
    pub fn prefer(&mut self, wanted: Wanted) {
        self.draws.want(wanted);
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

    /// The confirmed connection that a packet with this tuple belongs to, and the direction in which it travels.
    pub fn find(&self, tuple: &Tuple, zone: u16) -> Option<(ConnSnapshot, Direction)> {
        let found = self.table.find(self.table.hash(tuple, zone), tuple, zone)?;
        Some((self.snapshot(found.slot), found.direction))
    }

    /// Bytes that fragments which wait are counted as, IPv4's and IPv6's: what `ipfrag_high_thresh` and its like bound.
    pub fn fragment_bytes(&self) -> [u64; 2] {
        self.defrag.memory()
    }

    /// The confirmed connections, in the order of their creation, without those that only answers find.
    pub fn conns(&self) -> impl Iterator<Item = ConnSnapshot> + '_ {
        let mut slots: Vec<(u64, u32)> = self
            .table
            .iter()
            .filter(|(_, conn)| conn.is_confirmed() && !conn.status.has(Status::NAT_CLASH))
            .map(|(slot, conn)| (conn.number, slot))
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
        // Entries may be filed before now, and in this tick nothing more comes due: whoever waits for that would wait for ever.
        let entry = self.table.first_deadline().map(|tick| self.rules.ticks.start(tick).max(self.tick_ends));
        let expected = self.expected.first_deadline().map(|tick| self.rules.ticks.start(tick));
        [entry, expected, self.defrag.poll_timeout()].into_iter().flatten().min()
    }

    /// Tracks a packet at the hook where it enters: [`Hook::Prerouting`] from outside, [`Hook::Output`] from the host
    /// itself.
    pub fn handle(&mut self, now: Time, hook: Hook, packet: &Packet<'_>) -> Passage {
        let mut outcome = Outcome::NONE;
        self.whole = None;
        self.enter(now, Way::Into(hook), packet, &mut outcome);
        let slot = self.attached(&outcome);
        let is_read = slot.is_some_and(|slot| self.table.conn(slot).status.has(Status::HELPER));
        let bytes = is_read.then(|| self.read(packet));
        Passage { outcome, bytes }
    }

    /// A rule gives the connection of a packet between the hooks a mark; one without a connection has nothing to mark.
    pub fn mark(&mut self, passage: &Passage, mark: u32) {
        if let Some(slot) = self.attached(&passage.outcome)
            && self.table.conn(slot).mark != mark
        {
            self.table.conn_mut(slot).set_mark(mark);
        }
    }

    /// A rule assigns a helper to the connection of a packet between the hooks, where that can have it.
    /// The packet is the one that was handled last.
    pub fn assist(&mut self, passage: &mut Passage, packet: &Packet<'_>, helper: Helper) {
        if let Some(slot) = self.attached(&passage.outcome) {
            self.assign(slot, helper);
            passage.bytes = Some(self.read(packet));
        }
    }

    /// What a helper reads of a packet: the datagram that it has completed, or itself; and whether it is the former.
    fn read(&mut self, packet: &Packet<'_>) -> (Box<[u8]>, bool) {
        match self.whole.take() {
            Some(whole) => (whole, true),
            None => (packet.bytes.into(), false),
        }
    }

    /// Lets a packet pass the last hook: a new connection is entered into the table, events are delivered.
    pub fn confirm(&mut self, now: Time, passage: Passage) -> Outcome {
        self.handle_timeouts(now);
        let Passage { mut outcome, bytes } = passage;
        let datagram = bytes.as_ref().and_then(|(bytes, is_whole)| match is_whole {
            true => ip::reassembled(bytes),
            // It was checked when it came.
            false => ip::receive(bytes, true).ok(),
        });
        self.leave(&mut outcome, datagram.as_ref());
        outcome
    }

    /// A rule has dropped the packet between the hooks. A new connection is forgotten; what the packet did to a known
    /// one stays, and its events wait for the next packet that passes.
    pub fn discard(&mut self, passage: Passage) -> Outcome {
        let outcome = passage.outcome;
        let Some(slot) = self.attached(&outcome) else {
            return outcome;
        };
        if self.table.conn(slot).is_confirmed() {
            self.bury(slot);
            return outcome;
        }
        self.forget(slot);
        Outcome { conn: None, ..outcome }
    }

    /// Tracks and confirms a packet that nothing drops, as on a forwarding host without rules.
    pub fn forward(&mut self, now: Time, packet: &Packet<'_>) -> Outcome {
        let mut outcome = Outcome::NONE;
        self.pass(now, packet, &mut outcome);
        outcome
    }

    /// [`Engine::forward`] with its outcome in the caller's place. Its one body serves single packets and batches.
    #[inline(never)]
    fn pass(&mut self, now: Time, packet: &Packet<'_>, outcome: &mut Outcome) {
        self.enter(now, Way::Through, packet, outcome);
    }

    /// [`Engine::forward`] for many packets, with identical results. Faster where the table is larger than the caches:
    /// the memory of a batch's entries is asked for before the first is used.
    pub fn forward_batch(&mut self, packets: &[(Time, Packet<'_>)], outcomes: &mut Vec<Outcome>) {
        let first = outcomes.len();
        outcomes.resize(first + packets.len(), Outcome::NONE);
        for (packets, outcomes) in packets.chunks(BATCH).zip(outcomes[first..].chunks_mut(BATCH)) {
            self.look_ahead(packets);
            for ((now, packet), outcome) in packets.iter().zip(outcomes) {
                self.pass(*now, packet, outcome);
            }
        }
    }

    /// Reads where the entries of a batch lie, first in the index, then in the table. The reads do not depend on each
    /// other, and little stands between them, so the processor waits for all of them at once. What is asked for in vain
    /// does no harm.
    fn look_ahead(&self, packets: &[(Time, Packet<'_>)]) {
        let (mut hashes, mut slots) = ([0; BATCH], [0; BATCH]);
        let (hashes, slots) = (&mut hashes[..packets.len()], &mut slots[..packets.len()]);
        for (hash, (_, packet)) in hashes.iter_mut().zip(packets) {
            *hash = proto::glance(packet.bytes).map_or(0, |tuple| self.table.hash(&tuple, packet.zone));
        }
        black_box(hashes.iter().fold(0, |seen, &hash| seen ^ self.table.touch_index(hash)));
        for (slot, hash) in slots.iter_mut().zip(hashes) {
            *slot = self.table.guess(*hash);
        }
        black_box(slots.iter().fold(0, |seen, &slot| seen ^ self.table.touch_conn(slot)));
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
        self.rules.now = self.rules.ticks.at(self.now);
        self.tick_ends = self.rules.ticks.start(Jiffies(self.rules.now.0 + 1));
        self.defrag.handle_timeouts(self.now);
        let is_quiet = self.table.is_quiet_until(self.rules.now);
        if !is_quiet || self.expected.first_deadline().is_some_and(|tick| tick <= self.rules.now) {
            self.expire();
        }
    }

    fn expire(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        while let Some(at) = self.table.next_due(self.rules.now, &mut due) {
            // What was expected until this tick ends before the connections of it.
            self.expire_expected(at);
            for slot in due.drain(..) {
                self.destroy(slot, self.rules.ticks.start(at));
            }
        }
        self.due = due;
        self.expire_expected(self.rules.now);
    }

    fn snapshot(&self, slot: u32) -> ConnSnapshot {
        self.table.conn(slot).snapshot(slot, self.rules.now, self.rules.ticks)
    }
}
