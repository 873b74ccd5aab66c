//! Worlds in a running kernel: whose packet and whose entry is whose, what each was told, and how time passes in them.
//!
//! Worlds have no address in common, so each message of the kernel belongs to the world that has its addresses.
//!
//! **Time.** The kernel's clock cannot be moved, but what it has set can: before a packet at a later virtual moment,
//! the timeouts of its world's entries are lowered to what would be left then, and entries whose time is up are removed.
//! So five days pass at once. The kernel shows seconds, rounded down, and keeps jiffies; the deadlines here are exact
//! nevertheless, because every timeout it sets is in whole seconds: what shows as `T - 1` a jiffy after a packet was set
//! to `T` by it. What cannot be aged is waited for: the two seconds after which UDP becomes a stream, and held
//! fragments.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use conntruth_engine::{Addr, Class, EventKind, Family, Knob, Status, Time, Tuple, Unit, Verdict, protocol};

use super::clock::{self, Clock};
use super::ctnetlink::{self, Told};
use super::expected::Awaiting;
use super::jiffies::Jiffies;
use super::kernel::{Entrance, Injection, Kernel, What};
use super::rules::{self, Note, Tag};
use crate::target::host::SIDES;
use crate::target::{
    Arrival, Entry, Expected, Fate, Happening, Left, Path, Peers, Refusal, Release, Sent, Sight, Why,
};
use crate::target::{ends, whose};

/// How many packets go into the kernel before its answers are read: no socket overflows by so many.
const CHUNK: usize = 64;
/// By how many jiffies the clock that we see may differ from the one that the tracker goes by: both are moved in the same
/// interrupt, but one goes by what the hardware says has passed.
const SLACK: u64 = 1;
const SECOND: Time = Time::from_secs(1);
/// How often a guest's own threads get their turn before it is asked what became of a packet.
const TURNS: usize = 3;
/// How long a UDP flow must have lived to become a stream.
const STREAM: Time = Time::from_secs(2);
/// How long an entry lives that only answers find.
const UNLISTED: Time = SECOND;
/// Until then it does not matter for how long fragments have been held, unless a sysctl says otherwise.
const HELD: Time = Time::from_secs(25);

/// The worlds that are in the kernel now.
pub(super) struct Worlds {
    kernel: Kernel,
    worlds: Vec<World>,
    /// Whose address it is.
    owners: BTreeMap<(Family, Addr), usize>,
    /// How precise deadlines are: read a jiffy after each packet, or at once and to a second.
    precise: bool,
    /// How time passes.
    pace: Pace,
    /// What was asked of ctnetlink in each step, while that is recorded.
    questions: Option<Vec<Vec<Vec<u8>>>>,
    /// The timeouts that a packet may set, in seconds.
    timeouts: BTreeSet<u64>,
    /// For how long held fragments need not be waited for.
    held: Time,
    jiffies: Jiffies,
    /// The jiffy in which the worlds began.
    start: u64,
    /// Fragments were held in worlds that are over.
    used_up: bool,
    /// Events are off: entries are found by listing all.
    deaf: bool,
}

/// How time passes in the worlds.
pub(super) enum Pace {
    /// The clock is real: entries are made older. What cannot be is waited for, so long at most.
    Ageing(Duration),
    /// The clock jumps when this process sleeps, so it sleeps for as long as is to pass.
    Sleeping(Clock),
}

#[derive(Default)]
struct World {
    now: Time,
    /// The moment at which it began, for those who sleep.
    start: Option<Instant>,
    known: Vec<Known>,
    told: Vec<Happening>,
    said: Option<Why>,
    class: Option<Class>,
    out: bool,
    /// What its helpers expect.
    awaiting: Awaiting,
    /// The original tuples of all entries that it has had, with their zones; an entry's number is its place from 1 on.
    had: Vec<(Tuple, u16)>,
    /// When, virtually and really, its first fragment was held.
    held: Option<(Time, u64)>,
    /// The same for the last packet that went on and may have an entry which no listing shows: it cannot be aged.
    unlisted: Option<(Time, u64)>,
    /// The packet that was logged, as the tracker saw it: put together.
    logged: Vec<u8>,
    /// Source and destination of the packet at hand.
    addresses: Option<[(Family, Addr); 2]>,
    /// It came as far as the first rule; it reached the host. Where a scenario's rules are loaded.
    came: bool,
    arrived: bool,
    /// The zone that a rule of the scenario has put it into, and the one that the story says.
    zone: Option<u16>,
    said_zone: Option<u16>,
    /// The connection whose end was told last, and when it ended: what it expected ends with it.
    ended: Option<(Tuple, Time)>,
    /// Which of what was told are expectations that were told before their masters, and so without a zone.
    zoneless: Vec<usize>,
    /// What rules have sent in return.
    sent: Vec<Sent>,
    /// The packet as it came out or reached the host, where it may be translated.
    left: Option<Vec<u8>>,
    /// The packet at hand waits, and by this the kernel knows it.
    kept: Option<u32>,
    /// The packet at hand has waited since this moment and this jiffy.
    has_waited: Option<(Time, u64)>,
    /// Those that were to wait, in order; none where one did not get there, or has gone on.
    waiting: Vec<Option<Waiting>>,
}

/// A packet that waits between tracking and confirmation.
struct Waiting {
    /// By which the kernel knows it.
    id: u32,
    arrival: Arrival,
    class: Option<Class>,
    logged: Vec<u8>,
    /// It has an entry in the table.
    has_entry: bool,
    /// When, virtually and really, it came.
    came: (Time, u64),
}

impl Waiting {
    /// It is the first of a flow of UDP, whose two seconds run while it waits.
    fn may_become_a_stream(&self) -> bool {
        let is_udp = whose::tuple(&self.arrival.bytes).is_some_and(|tuple| tuple.protocol == protocol::UDP);
        is_udp && !self.has_entry
    }
}

/// A packet that has waited, and what was seen of it when it went on.
pub(super) struct Released {
    pub(super) sight: Sight,
    pub(super) arrival: Arrival,
    /// It had an entry in the table before.
    pub(super) had_entry: bool,
}

/// What ends at a moment: entries by the requests that read them, expectations by tuple and zone.
type Stop = (Vec<Vec<u8>>, Vec<(Tuple, u16)>);

/// A timeout that was set, by a packet or by us.
#[derive(Clone, Copy)]
struct Set {
    seconds: u64,
    /// In which jiffy: at the earliest, at the latest.
    at: [u64; 2],
}

/// An entry as it was last seen.
struct Known {
    entry: Entry,
    request: Vec<u8>,
    /// When it will die: at the earliest, at the latest.
    deadline: [Time; 2],
    /// What its timeout was last set to.
    set: Option<Set>,
    /// When it began, and in which jiffy at the latest.
    began: (Time, u64),
    /// The status that its events have told so far.
    told: Status,
}

impl Worlds {
    pub(super) fn new(kernel: Kernel, pace: Pace) -> Worlds {
        Worlds {
            kernel,
            worlds: Vec::new(),
            owners: BTreeMap::new(),
            precise: true,
            pace,
            questions: None,
            used_up: false,
            timeouts: usual_timeouts(),
            held: HELD,
            jiffies: Jiffies::new(),
            start: 0,
            deaf: false,
        }
    }

    /// The tracker they are in.
    pub(super) fn kernel(&mut self) -> &mut Kernel {
        &mut self.kernel
    }

    /// A single world, to which all addresses belong.
    ///
    /// # Errors
    /// When the kernel cannot be brought to rest.
    pub(super) fn alone(&mut self) -> io::Result<()> {
        self.anew(true)?;
        (self.deaf, self.held, self.timeouts) = (false, HELD, usual_timeouts());
        Ok(())
    }

    /// The next world alone, under the settings that are there.
    ///
    /// # Errors
    /// When the kernel cannot be brought to rest.
    pub(super) fn anew(&mut self, precise: bool) -> io::Result<()> {
        self.end_waiting()?;
        self.kernel.settle()?;
        self.owners.clear();
        self.worlds.clear();
        self.worlds.push(World { start: self.start(), ..World::default() });
        self.precise = precise;
        self.start = self.jiffies.now();
        Ok(())
    }

    /// Many worlds, side by side.
    ///
    /// # Errors
    /// When the kernel cannot be brought to rest.
    pub(super) fn together(&mut self, worlds: &[Vec<Arrival>]) -> io::Result<()> {
        self.used_up |= self.has_held();
        self.end_waiting()?;
        self.kernel.settle()?;
        self.owners.clear();
        self.worlds.clear();
        for (index, arrivals) in worlds.iter().enumerate() {
            for address in arrivals.iter().filter_map(|arrival| whose::addresses(&arrival.bytes)).flatten() {
                self.owners.entry(address).or_insert(index);
            }
            self.worlds.push(World::default());
        }
        let start = self.start();
        self.worlds.iter_mut().for_each(|world| world.start = start);
        self.start = self.jiffies.now();
        // Deadlines matter where time passes.
        self.precise = worlds.iter().flatten().any(|arrival| arrival.at > Time::ZERO);
        (self.deaf, self.held, self.timeouts) = (false, HELD, usual_timeouts());
        Ok(())
    }

    /// Packets of worlds that are over wait for nobody. Where rules were replaced meanwhile the kernel has ended them.
    fn end_waiting(&mut self) -> io::Result<()> {
        for waiting in self.worlds.iter_mut().flat_map(|world| world.waiting.drain(..)).flatten() {
            match self.kernel.decide(waiting.id, false) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The moment at which a world begins that sleeps: right after the beginning of a jiffy.
    fn start(&self) -> Option<Instant> {
        match &self.pace {
            Pace::Ageing(_) => None,
            Pace::Sleeping(clock) => Some(clock.next()),
        }
    }

    /// Keeps what is asked of ctnetlink from now on.
    pub(super) fn record_questions(&mut self) {
        self.questions = Some(Vec::new());
    }

    /// What was asked in each step.
    pub(super) fn take_questions(&mut self) -> Vec<Vec<Vec<u8>>> {
        self.questions.take().unwrap_or_default()
    }

    /// A step's system calls, and nothing else: no answer is read.
    ///
    /// # Errors
    /// When the kernel breaks.
    pub(super) fn step_unread(
        &mut self,
        moves: &[(usize, &Arrival)],
        questions: &[Vec<u8>],
    ) -> Result<(), Refusal> {
        for moves in moves.chunks(CHUNK) {
            let injections: Result<Vec<Injection<'_>>, Refusal> =
                moves.iter().map(|(_, arrival)| injection(arrival, false)).collect();
            self.kernel.inject(&injections?).map_err(broken)?;
            self.kernel.skip().map_err(broken)?;
        }
        self.kernel.read_unread(questions.iter().map(Vec::as_slice)).map_err(broken)?;
        self.kernel.skip().map_err(broken)
    }

    /// A sysctl was set that matters here.
    pub(super) fn was_set(&mut self, knob: Knob, value: i64) {
        if knob.info().unit == Unit::Seconds {
            self.timeouts.extend(u64::try_from(value));
        }
        match knob {
            // Without events entries are found by listing all.
            Knob::Events => self.deaf = value == 0,
            Knob::IpfragTime | Knob::Frag6Time => self.held = Time::ZERO,
            _ => {}
        }
    }

    /// Lets time pass in a world, and says what ended.
    ///
    /// # Errors
    /// When it would take longer than anyone waits, or the kernel breaks.
    pub(super) fn advance(&mut self, to: Time) -> Result<Vec<Happening>, Refusal> {
        self.pass(&[(0, to)])?;
        Ok(self.worlds[0].take_told())
    }

    /// All entries of a world, oldest first.
    ///
    /// # Errors
    /// When the kernel breaks.
    pub(super) fn table(&mut self) -> Result<Vec<Entry>, Refusal> {
        let now = self.jiffies.now();
        self.look(&[0], [now, now], false).map_err(broken)?;
        Ok(self.worlds[0].entries(self.jiffies))
    }

    /// Whether this namespace differs from a new one by more than settings and entries: fragments may still be held. That
    /// is nothing to worlds with addresses of their own.
    pub(super) fn is_used_up(&self) -> bool {
        self.used_up || self.has_held()
    }

    fn has_held(&self) -> bool {
        self.worlds.iter().any(|world| world.held.is_some())
    }

    /// Sleeps until no fragment can be held any more, where that is possible: whether it was.
    pub(super) fn forget_fragments(&mut self) -> bool {
        // Nobody has set how long they are held: a minute, and what a coarse timer may be late.
        let usual = self.held == HELD && matches!(self.pace, Pace::Sleeping(_));
        if usual {
            std::thread::sleep(Duration::from_secs(120));
            self.worlds.clear();
            self.used_up = false;
        }
        usual
    }

    /// The packet that a world's tracker saw last, whole.
    pub(super) fn logged(&self) -> &[u8] {
        &self.worlds[0].logged
    }

    /// Whether a scenario's rules are loaded.
    pub(super) fn has_rules(&self) -> bool {
        self.kernel.has_rules()
    }

    /// The zone that a rule of the scenario has put the packet at hand into, where its connection shows it.
    pub(super) fn zone(&self) -> Option<u16> {
        self.worlds[0].zone
    }

    /// Lets packets of different worlds pass, one of each world at most; `read` says whose entries are looked at then.
    ///
    /// # Errors
    /// When a packet cannot be sent that way, or the kernel breaks.
    pub(super) fn step(&mut self, moves: &[(usize, &Arrival)], read: &[bool]) -> Result<Vec<Sight>, Refusal> {
        let moments: Vec<(usize, Time)> = moves.iter().map(|(world, arrival)| (*world, arrival.at)).collect();
        self.pass(&moments)?;
        self.kernel.allow_zones(moves.iter().map(|(_, arrival)| arrival.zone))?;
        let first = self.jiffies.now();
        for moves in moves.chunks(CHUNK) {
            self.send(moves)?;
        }
        let last = self.jiffies.now();
        let read_of = || moves.iter().zip(read).filter(|(_, read)| **read).map(|((world, _), _)| *world);
        self.look(&read_of().collect::<Vec<_>>(), [first, last], true).map_err(broken)?;
        let (jiffies, has) = (self.jiffies, (self.kernel.has_rules(), self.kernel.has_helpers()));
        let sight = |((world, arrival), read): (&(usize, &Arrival), &bool)| {
            self.worlds[*world].sight(arrival, *read, jiffies, has)
        };
        Ok(moves.iter().zip(read).map(sight).collect())
    }

    /// Whether the packet of the only world that was last to wait has an entry.
    pub(super) fn waits_with(&mut self, has_entry: bool) {
        if let Some(Some(waiting)) = self.worlds[0].waiting.last_mut() {
            waiting.has_entry = has_entry;
        }
    }

    /// Lets a packet of the only world that waits go on, or ends it.
    ///
    /// # Errors
    /// When it does not wait, or the kernel breaks.
    pub(super) fn release(&mut self, release: &Release) -> Result<Released, Refusal> {
        self.pass(&[(0, release.at)])?;
        let waiting = self.worlds[0].waiting.get_mut(release.waiting).and_then(Option::take);
        let Some(Waiting { id, arrival, class, logged, has_entry: had_entry, came }) = waiting else {
            return Err(Refusal::Wrong("this packet does not wait".to_owned()));
        };
        let arrival = Arrival { at: release.at, fate: release.fate, ..arrival };
        let world = &mut self.worlds[0];
        world.begin_packet(&arrival);
        (world.class, world.logged, world.has_waited) = (class, logged, Some(came));
        let first = self.jiffies.now();
        self.kernel.decide(id, release.fate == Fate::Passes).map_err(broken)?;
        self.take_turns();
        self.listen().map_err(broken)?;
        self.look(&[0], [first, self.jiffies.now()], true).map_err(broken)?;
        let has = (self.kernel.has_rules(), self.kernel.has_helpers());
        let sight = self.worlds[0].sight(&arrival, true, self.jiffies, has);
        if self.kernel.translates() && sight.verdict == Verdict::Accept {
            self.worlds[0].unlisted = Some((release.at, self.jiffies.now()));
        }
        Ok(Released { sight, arrival, had_entry })
    }

    fn send(&mut self, moves: &[(usize, &Arrival)]) -> Result<(), Refusal> {
        let mut injections = Vec::with_capacity(moves.len());
        for (world, arrival) in moves {
            if arrival.fate == Fate::Waits && !self.kernel.keeps() {
                let what = "this kernel keeps no packet between tracking and confirmation: it has no NFQUEUE";
                return Err(Refusal::Unsupported(what.to_owned()));
            }
            self.worlds[*world].begin_packet(arrival);
            injections.push(injection(arrival, self.owners.is_empty())?);
        }
        self.kernel.inject(&injections).map_err(broken)?;
        self.take_turns();
        self.listen().map_err(broken)?;
        for (world, arrival) in moves.iter().filter(|(_, arrival)| arrival.fate == Fate::Waits) {
            self.worlds[*world].keep(arrival, self.jiffies);
        }
        Ok(())
    }

    /// A guest that has much to do leaves packets to a thread of its own: it gets its turn, and no time passes.
    fn take_turns(&self) {
        if matches!(self.pace, Pace::Sleeping(_)) {
            for _ in 0..TURNS {
                let _ = nix::sched::sched_yield();
            }
        }
    }

    /// Takes in what the kernel has to say, and whose it is.
    fn listen(&mut self) -> io::Result<()> {
        let Worlds { kernel, worlds, owners, .. } = self;
        let owner = |bytes: &[u8]| owner(owners, worlds.len(), whose::addresses(bytes));
        let (has_rules, translates) = (kernel.has_rules(), kernel.translates());
        let mut heard: Vec<(usize, Heard)> = Vec::new();
        kernel.logged(|logged| {
            let Some(world) = owner(logged.payload) else { return };
            let is_it = whose::addresses(logged.payload) == worlds[world].addresses;
            let what = if logged.group == rules::GROUP {
                rules::logged(logged.prefix)
                    .and_then(|note| heard_of(note, logged.payload, is_it, translates))
            } else {
                let why = String::from_utf8_lossy(logged.prefix).trim().to_owned();
                match is_helpers(&why) {
                    // By then the packet may be translated.
                    true => (is_it || translates).then_some(Heard::Helper(why)),
                    false => is_it.then_some(Heard::Why(why)),
                }
            };
            heard.extend(what.map(|what| (world, what)));
        })?;
        kernel.came_out(|packet| {
            if let Some(world) = owner(packet) {
                let is_it = !has_rules || whose::addresses(packet) == worlds[world].addresses;
                let class = if has_rules { None } else { rules::written(whose::dscp(packet)) };
                heard.push((
                    world,
                    match is_it {
                        // By its addresses it cannot be told any more.
                        _ if translates => Heard::Left(packet.to_vec(), true),
                        true => Heard::Out(class),
                        false => Heard::SentOut,
                    },
                ));
            }
        })?;
        kernel.queued(|queued| {
            heard.extend(owner(queued.payload).map(|world| (world, Heard::Kept(queued.id))))
        })?;
        for (world, what) in heard {
            // What is said behind a class is of a second look: of a packet from the host to itself.
            let is_later = matches!(what, Heard::Why(_)) && self.worlds[world].class.is_some();
            if !(translates && is_later) {
                self.worlds[world].hear(what);
            }
        }
        self.hear_events()
    }

    fn hear_events(&mut self) -> io::Result<()> {
        let Worlds { kernel, worlds, owners, jiffies, .. } = self;
        kernel.events(|told| {
            let addresses = ends_of(&told.entry.original);
            if let Some(world) = owner(owners, worlds.len(), Some(addresses)) {
                worlds[world].hear_event(told, *jiffies);
            }
        })
    }

    /// Reads the entries of worlds. `sent`: the jiffies in which their packets may have gone out. `touched`: they have gone
    /// out just now.
    fn look(&mut self, which: &[usize], sent: [u64; 2], touched: bool) -> io::Result<()> {
        if self.deaf && !which.is_empty() {
            self.learn()?;
        }
        if let Some(questions) = &mut self.questions {
            let known = which.iter().flat_map(|world| &self.worlds[*world].known);
            questions.push(known.map(|known| known.request.clone()).collect());
        }
        // On a clock that stands still it shows at once what was set.
        let sleeps = matches!(self.pace, Pace::Sleeping(_));
        if self.precise && !which.is_empty() && !sleeps {
            self.jiffies.wait_until(sent[1] + 1 + SLACK);
        }
        let first = self.jiffies.now();
        let mut found = Vec::new();
        let requests =
            which.iter().flat_map(|world| &self.worlds[*world].known).map(|known| &known.request[..]);
        self.kernel.read(requests, |entry| found.push(entry))?;
        let mut found = found.into_iter();
        let Worlds { start, precise, jiffies, .. } = *self;
        let reading = Look { sent, read: [first, jiffies.now()], start, precise, jiffies };
        let timeouts = &self.timeouts;
        for world in which {
            let World { now, known, .. } = &mut self.worlds[*world];
            for known in known {
                match found.next().flatten() {
                    Some(entry) if sleeps => {
                        known.see_exactly(entry, jiffies.floor(*now), touched, timeouts);
                    }
                    Some(entry) => known.see(entry, *now, &reading),
                    None => {}
                }
            }
        }
        if !which.is_empty() {
            self.look_at_expected(which)?;
        }
        // One whose time is up is removed by being looked for.
        self.hear_events()
    }

    /// Lists what is expected, where rules assign helpers.
    fn look_at_expected(&mut self, which: &[usize]) -> io::Result<()> {
        if !self.kernel.has_helpers() {
            return Ok(());
        }
        let mut listed: BTreeMap<usize, Vec<Expected>> = BTreeMap::new();
        for expected in self.kernel.expectations()? {
            let addresses = ends_of(&expected.master);
            if let Some(world) = owner(&self.owners, self.worlds.len(), Some(addresses)) {
                listed.entry(world).or_default().push(expected);
            }
        }
        for world in which {
            self.worlds[*world].awaiting.see(listed.remove(world).unwrap_or_default());
        }
        Ok(())
    }

    /// All that the only world expects.
    ///
    /// # Errors
    /// When the kernel breaks.
    pub(super) fn expectations(&mut self) -> Result<Vec<Expected>, Refusal> {
        self.look_at_expected(&[0]).map_err(broken)?;
        Ok(self.worlds[0].expectations(self.jiffies))
    }

    /// Without events: what is in the table is new where it was not known, and gone where it is not there any more.
    fn learn(&mut self) -> io::Result<()> {
        let entries = self.kernel.table()?;
        let world = &mut self.worlds[0];
        let same = |entry: &Entry, known: &Known| {
            entry.original == known.entry.original && entry.zone == known.entry.zone
        };
        world.known.retain(|known| entries.iter().any(|entry| same(entry, known)));
        for entry in entries {
            if !world.known.iter().any(|known| same(&entry, known)) {
                world.meet(entry, self.jiffies);
            }
        }
        Ok(())
    }

    /// Lets time pass in worlds, each up to its moment.
    fn pass(&mut self, moments: &[(usize, Time)]) -> Result<(), Refusal> {
        let later: Vec<(usize, Time)> =
            moments.iter().copied().filter(|(world, to)| *to > self.worlds[*world].now).collect();
        if later.is_empty() {
            return Ok(());
        }
        let patience = match self.pace {
            Pace::Sleeping(_) => return self.sleep(&later).map_err(broken),
            Pace::Ageing(patience) => patience,
        };
        self.wait(&later, patience)?;
        let now = self.jiffies.now();
        let mut ended: Vec<(Time, What, u64, Tuple, u16)> = Vec::new();
        let mut aged: Vec<(Tuple, u16, u32)> = Vec::new();
        for (world, to) in &later {
            let world = &mut self.worlds[*world];
            for known in &mut world.known {
                let (tuple, zone) = (known.entry.original, known.entry.zone);
                if known.deadline[1] <= *to {
                    ended.push((known.deadline[1], What::Entry, known.entry.id, tuple, zone));
                } else {
                    aged.push((tuple, zone, known.age(*to, &self.timeouts, now)));
                }
            }
            let due = world.due(*to).enumerate();
            ended.extend(due.map(|(index, (at, expected))| {
                (at, What::Expected, index as u64, expected.tuple, expected.zone)
            }));
        }
        ended.sort_unstable();
        self.kernel
            .remove(ended.iter().map(|(_, what, _, tuple, zone)| (*what, *tuple, *zone)))
            .map_err(broken)?;
        self.kernel
            .age(aged.iter().map(|(tuple, zone, seconds)| (tuple, *zone, *seconds)))
            .map_err(broken)?;
        // What ended is told as of its moment, which is past when it is heard.
        for (world, to) in &later {
            self.worlds[*world].now = *to;
        }
        self.hear_events().map_err(broken)?;
        let done = self.jiffies.now();
        for (world, _) in later {
            let world = &mut self.worlds[world];
            world.known.iter_mut().filter_map(|known| known.set.as_mut()).for_each(|set| set.at[1] = done);
        }
        Ok(())
    }

    /// Sleeps until worlds are at their moments. Each entry that ends on the way is looked for when it does: a kernel
    /// notices only then, or when it collects.
    fn sleep(&mut self, later: &[(usize, Time)]) -> io::Result<()> {
        let mut stops: BTreeMap<Instant, Stop> = BTreeMap::new();
        let mut last = None;
        for (world, to) in later {
            let world = &self.worlds[*world];
            let Some(start) = world.start else { continue };
            let when = |moment: Time| start + Duration::from_nanos(moment.as_nanos());
            last = last.max(Some(when(*to)));
            for known in world.known.iter().filter(|known| known.deadline[1] <= *to) {
                stops.entry(when(known.deadline[1])).or_default().0.push(known.request.clone());
            }
            for (at, expected) in world.due(*to) {
                stops.entry(when(at)).or_default().1.push((expected.tuple, expected.zone));
            }
        }
        for (world, to) in later {
            self.worlds[*world].now = *to;
        }
        for (stop, (requests, expected)) in stops {
            clock::sleep_until(stop);
            self.kernel.remove(expected.into_iter().map(|(tuple, zone)| (What::Expected, tuple, zone)))?;
            self.kernel.read(requests.iter().map(Vec::as_slice), |_| {})?;
            self.hear_events()?;
        }
        last.into_iter().for_each(clock::sleep_until);
        self.hear_events()
    }

    /// Waits for what cannot be aged.
    fn wait(&mut self, later: &[(usize, Time)], patience: Duration) -> Result<(), Refusal> {
        let jiffies = self.jiffies;
        let now = jiffies.now();
        let mut until = now;
        for (world, to) in later {
            let world = &self.worlds[*world];
            let streams = world.known.iter().filter(|known| known.entry.original.protocol == protocol::UDP);
            let waiting = world.waiting.iter().flatten().filter(|waiting| waiting.may_become_a_stream());
            let began = streams.map(|known| known.began).chain(waiting.map(|waiting| waiting.came));
            for (_, jiffy) in began.filter(|(moment, _)| to.since(*moment) > STREAM) {
                until = until.max(jiffy + jiffies.of(STREAM) + 1 + SLACK);
            }
            if let Some((began, jiffy)) = world.unlisted
                && to.since(began) >= UNLISTED
            {
                until = until.max(jiffy + jiffies.of(UNLISTED) + 1 + SLACK);
            }
            if let Some((began, jiffy)) = world.held {
                let passed = to.since(began);
                if passed >= self.held {
                    until = until.max(jiffy + jiffies.of(passed));
                }
            }
        }
        let longest = jiffies.length(until - now);
        if u128::from(longest.as_nanos()) > patience.as_nanos() {
            let seconds = longest.as_secs() + 1;
            return Err(Refusal::Unsupported(format!(
                "held fragments and young UDP flows cannot be aged: it takes {seconds} s of real time, \
                 `--patience {seconds}s` waits for it"
            )));
        }
        jiffies.wait_until(until);
        Ok(())
    }
}

/// What was heard of a packet.
enum Heard {
    /// It was logged with its class.
    Class(Class, Vec<u8>),
    /// The kernel says why it is INVALID.
    Why(String),
    /// A helper says why it drops it.
    Helper(String),
    /// It came out at the other end, with its class written on it or not.
    Out(Option<Class>),
    /// It came as far as the first rule.
    Came,
    /// A rule has put it into this zone.
    Zone(u16),
    /// It reached the host.
    Arrived,
    /// It waits; by this the kernel knows it.
    Kept(u32),
    /// This packet, or one that a rule has sent, came out, or reached the host.
    Left(Vec<u8>, bool),
    /// A rule has sent this packet in return.
    Sent(Class, Vec<u8>),
    /// What a rule has sent came out, or reached the host.
    SentOut,
}

/// Whether these are a helper's words: "nf_ct_ftp: dropping packet: ...".
fn is_helpers(why: &str) -> bool {
    why.contains(": dropping packet: ")
}

/// What a log line says of the packet at hand, or of one that a rule has sent for it.
fn heard_of(note: Note, payload: &[u8], is_it: bool, translates: bool) -> Option<Heard> {
    match note {
        Note::Arrived if translates => Some(Heard::Left(payload.to_vec(), false)),
        Note::Came => is_it.then_some(Heard::Came),
        Note::Zone(zone) => is_it.then_some(Heard::Zone(zone)),
        Note::Class(class) => is_it.then(|| Heard::Class(class, payload.to_vec())),
        Note::Arrived if is_it => Some(Heard::Arrived),
        Note::Arrived => Some(Heard::SentOut),
        Note::Sent(class) => Some(Heard::Sent(class, payload.to_vec())),
    }
}

/// When entries were read, in jiffies at the earliest and at the latest: they stand for what the kernel's clock showed.
struct Look {
    sent: [u64; 2],
    read: [u64; 2],
    /// That in which the worlds began.
    start: u64,
    precise: bool,
    jiffies: Jiffies,
}

impl World {
    fn begin_packet(&mut self, arrival: &Arrival) {
        (self.class, self.said, self.out) = (None, None, false);
        (self.came, self.arrived, self.zone) = (false, false, None);
        self.logged.clear();
        self.sent.clear();
        (self.left, self.kept, self.has_waited) = (None, None, None);
        self.addresses = whose::addresses(&arrival.bytes);
        self.said_zone = (arrival.zone != 0).then_some(arrival.zone);
    }

    /// The packet at hand was to wait: it does, unless it did not get there.
    fn keep(&mut self, arrival: &Arrival, jiffies: Jiffies) {
        let (class, logged, came) = (self.class, self.logged.clone(), (self.now, jiffies.now()));
        let arrival = arrival.clone();
        let waiting = self.kept.map(|id| Waiting { id, arrival, class, logged, has_entry: false, came });
        self.waiting.push(waiting);
    }

    fn hear(&mut self, what: Heard) {
        match what {
            Heard::Class(class, packet) => (self.class, self.logged) = (Some(class), packet),
            // What follows on the first says what came of it.
            Heard::Why(why) | Heard::Helper(why) => {
                self.said.get_or_insert(Why::Said(why));
            }
            Heard::Out(class) => {
                self.out = true;
                self.class = self.class.or(class);
            }
            Heard::Came => self.came = true,
            Heard::Zone(zone) => self.zone = Some(zone),
            Heard::Arrived => self.arrived = true,
            Heard::Kept(id) => self.kept = Some(id),
            // What is answered by a rule is dropped by it: then it is the answer that leaves.
            Heard::Left(bytes, _) if !self.sent.is_empty() => {
                let next = self.sent.iter_mut().find(|sent| sent.verdict == Verdict::Drop);
                if let Some(sent) = next {
                    (sent.verdict, sent.bytes) = (Verdict::Accept, bytes);
                }
            }
            Heard::Left(bytes, comes_out) => {
                (self.out, self.arrived) = (comes_out, !comes_out);
                self.left = Some(bytes);
            }
            // It ends on the way, unless something else is heard.
            Heard::Sent(class, bytes) => self.sent.push(Sent { bytes, class, verdict: Verdict::Drop }),
            Heard::SentOut => {
                let next = self.sent.iter_mut().find(|sent| sent.verdict == Verdict::Drop);
                if let Some(sent) = next {
                    sent.verdict = Verdict::Accept;
                }
            }
        }
    }

    fn hear_event(&mut self, told: Told, jiffies: Jiffies) {
        if let Some(expected) = told.expected {
            return self.hear_expected(told.kind, told.entry, *expected, jiffies);
        }
        if told.entry.status.has(Status::NAT_CLASH) {
            return self.hear_unlisted(told);
        }
        let same = |known: &Known| {
            known.entry.original == told.entry.original && known.entry.zone == told.entry.zone
        };
        let mut changes: Vec<&'static str> = Vec::new();
        let (at, entry) = match (told.kind, self.known.iter().position(same)) {
            (EventKind::New, _) => {
                changes.extend(told.entry.helper.is_some().then_some("helper"));
                changes.push(if told.entry.status.has(Status::EXPECTED) { "related" } else { "new" });
                (self.now, self.meet(told.entry, jiffies))
            }
            (EventKind::Update, Some(index)) => {
                let known = &mut self.known[index];
                let gained = |bit| told.entry.status.has(bit) && !known.told.has(bit);
                changes.extend(gained(Status::SEEN_REPLY).then_some("reply"));
                changes.extend(gained(Status::ASSURED).then_some("assured"));
                (self.now, known.hear(told.entry))
            }
            (EventKind::Destroy, Some(index)) => {
                changes.push("destroy");
                let mut known = self.known.remove(index);
                let at = known.deadline[1].min(self.now);
                self.ended = Some((told.entry.original, at));
                (at, known.hear(told.entry))
            }
            // Of an entry of another time.
            (_, None) | (EventKind::ExpectNew | EventKind::ExpectDestroy, _) => return,
        };
        // A jiffy may have begun between the packet that set it and the message that tells of it.
        let entry = Entry { left: Left { most: entry.left.least.plus(SECOND), ..entry.left }, ..entry };
        changes.extend((told.protoinfo && told.kind != EventKind::Destroy).then_some("protoinfo"));
        let changes = changes.into_iter().map(std::borrow::Cow::Borrowed).collect();
        self.told.push(Happening { at, kind: told.kind, changes, entry, expected: None });
    }

    /// An event tells of an entry that no listing shows: its original tuple is another's.
    fn hear_unlisted(&mut self, told: Told) {
        let (kind, entry) = (told.kind, told.entry);
        let change = match kind {
            EventKind::Destroy => Some("destroy"),
            _ => entry.status.has(Status::SEEN_REPLY).then_some("reply"),
        };
        let changes = change.into_iter().map(std::borrow::Cow::Borrowed).collect();
        self.told.push(Happening { at: self.now, kind, changes, entry, expected: None });
    }

    /// An event tells of an expectation.
    fn hear_expected(&mut self, kind: EventKind, master: Entry, expected: Expected, jiffies: Jiffies) {
        let known = self.known.iter().rfind(|known| known.entry.original == expected.master);
        let entry = known.map_or(master, |known| known.entry.clone());
        let (expected, at) = match kind {
            EventKind::ExpectNew => {
                let zone = self.zone_of(&expected);
                if zone.is_none() {
                    self.zoneless.push(self.told.len());
                }
                let expected = Expected { zone: zone.unwrap_or_default(), ..expected };
                (self.awaiting.begin(expected, jiffies.floor(self.now)), self.now)
            }
            _ => {
                let with_master = self.ended.filter(|(master, _)| *master == expected.master);
                self.awaiting.end(expected, with_master.map_or(self.now, |(_, at)| at))
            }
        };
        let expected = Some(Box::new(expected));
        self.told.push(Happening { at, kind, changes: Vec::new(), entry, expected });
    }

    fn expectations(&self, jiffies: Jiffies) -> Vec<Expected> {
        self.awaiting.listed(jiffies.floor(self.now))
    }

    /// The zone of an expectation, which the kernel does not say: its master's. Of several masters with this tuple it is the
    /// one that has the packet at hand.
    fn zone_of(&self, expected: &Expected) -> Option<u16> {
        let of_master = |(had, zone): &(Tuple, u16)| (*had == expected.master).then_some(*zone);
        let mut zones = self.had.iter().rev().filter_map(of_master);
        let at_hand = self.said_zone.or(self.zone).unwrap_or_default();
        let first = zones.next()?;
        Some(if zones.any(|zone| zone == at_hand) { at_hand } else { first })
    }

    /// What was told since this was last taken.
    fn take_told(&mut self) -> Vec<Happening> {
        let mut told = std::mem::take(&mut self.told);
        for index in std::mem::take(&mut self.zoneless) {
            let Some(expected) = told.get_mut(index).and_then(|event| event.expected.as_mut()) else {
                continue;
            };
            if let Some(zone) = self.zone_of(expected) {
                self.awaiting.settle(expected, zone);
                expected.zone = zone;
            }
        }
        self.ended = None;
        told
    }

    /// Those that end up to a moment, and when.
    fn due(&self, to: Time) -> impl Iterator<Item = (Time, &Expected)> {
        self.awaiting.due(to)
    }

    /// Takes up a new entry.
    fn meet(&mut self, entry: Entry, jiffies: Jiffies) -> Entry {
        let number =
            |tuple: Tuple| self.had.iter().rposition(|(had, _)| *had == tuple).map(|place| place as u64 + 1);
        let master = entry.master_tuple.and_then(number);
        self.had.push((entry.original, entry.zone));
        let entry = Entry { id: self.had.len() as u64, master, ..entry };
        let deadline = match self.start {
            // On a clock that stands still it has as much left as is told.
            Some(_) => [jiffies.floor(self.now).plus(entry.left.least); 2],
            None => [self.now.plus(entry.left.least), self.now.plus(entry.left.least).plus(SECOND)],
        };
        self.known.push(Known {
            request: ctnetlink::get(&entry.original, entry.zone),
            deadline,
            set: None,
            // The two seconds of a stream begin when its first packet is tracked.
            began: self.has_waited.unwrap_or((self.now, jiffies.now())),
            told: entry.status,
            entry: entry.clone(),
        });
        entry
    }

    fn entries(&self, jiffies: Jiffies) -> Vec<Entry> {
        let jiffy = jiffies.floor(self.now);
        let seen = |known: &Known| {
            let [least, most] = known.deadline.map(|deadline| deadline.since(jiffy));
            Entry { left: Left { least, most }, ..known.entry.clone() }
        };
        self.known.iter().map(seen).collect()
    }

    /// What was seen of a packet.
    fn sight(
        &mut self,
        arrival: &Arrival,
        read: bool,
        jiffies: Jiffies,
        (has_rules, has_helpers): (bool, bool),
    ) -> Sight {
        let class = self.class.unwrap_or(if whose::is_fragment(&arrival.bytes) && !self.came {
            Class::Held
        } else {
            Class::Discarded
        });
        if class == Class::Held && self.held.is_none() {
            self.held = Some((self.now, jiffies.now()));
        }
        let comes_out = matches!(arrival.path, Path::Forward | Path::Output);
        let went_on = self.out || self.arrived || self.kept.is_some();
        let passed = match has_rules {
            true => went_on,
            // That one is dropped which waited, and then joins nothing, is told by its not arriving.
            false => went_on || !(comes_out || self.has_waited.is_some()) || arrival.fate != Fate::Passes,
        };
        let verdict = match class {
            Class::Held => Verdict::Accept,
            Class::Discarded => Verdict::Drop,
            _ if passed => Verdict::Accept,
            _ => Verdict::Drop,
        };
        Sight {
            class,
            verdict,
            sent: std::mem::take(&mut self.sent),
            left: self.left.take().and_then(|left| as_it_came(left, arrival, self.out)),
            why: self.said.take(),
            help: None,
            events: self.take_told(),
            entries: read.then(|| self.entries(jiffies)),
            expected: (read && has_helpers).then(|| self.expectations(jiffies)),
            broken: None,
        }
    }
}

/// Source and destination of a tuple.
fn ends_of(tuple: &Tuple) -> [(Family, Addr); 2] {
    [(tuple.family, tuple.src), (tuple.family, tuple.dst)]
}

/// A packet as it left, with what every router and every socket changes as it was: none where nothing else has changed. Of
/// fragments it is not known which is which.
fn as_it_came(mut left: Vec<u8>, arrival: &Arrival, comes_out: bool) -> Option<Vec<u8>> {
    if whose::is_fragment(&arrival.bytes) || left.first()? >> 4 != arrival.bytes.first()? >> 4 {
        return None;
    }
    if left[0] >> 4 == 6 {
        left[7] = arrival.bytes[7];
    } else {
        let is_own = matches!(arrival.path, Path::Output | Path::Loopback);
        if is_own {
            left[4..6].copy_from_slice(&arrival.bytes[4..6]);
        }
        left[8] = arrival.bytes[8];
        if comes_out || is_own {
            whose::seal_header(&mut left);
        }
    }
    // What a helper has written anew is sealed by the device, behind those who listen.
    whose::complete(&mut left);
    (left[..] != arrival.bytes[..left.len().min(arrival.bytes.len())]).then_some(left)
}

/// How many jiffies have passed between two moments that are known to a few: at least, at most.
fn passed(from: [u64; 2], to: [u64; 2]) -> [u64; 2] {
    [to[0].saturating_sub(from[1] + SLACK), to[1] + SLACK - from[0]]
}

impl Known {
    /// The entry was read.
    fn see(&mut self, entry: Entry, virtually: Time, look: &Look) {
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
    fn see_exactly(&mut self, entry: Entry, now: Time, touched: bool, timeouts: &BTreeSet<u64>) {
        let seconds = entry.left.least.as_secs();
        self.entry = Entry { id: self.entry.id, master: self.entry.master, ..entry };
        let may_be_set = touched && timeouts.contains(&seconds);
        self.deadline = ends::seen(Some(self.deadline), now, seconds, may_be_set);
    }

    /// The seconds that the kernel is to count from, at a later moment. A little less than are left, and none that a
    /// packet might set: so it shows whether one has.
    fn age(&mut self, to: Time, timeouts: &BTreeSet<u64>, jiffy: u64) -> u32 {
        let left = self.deadline[0].since(to).as_nanos().div_ceil(SECOND.as_nanos());
        let seconds = (1..left).rev().find(|seconds| !timeouts.contains(seconds)).unwrap_or(1);
        self.set = Some(Set { seconds, at: [jiffy; 2] });
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }

    /// An event tells of the entry; what it leaves out has not changed.
    fn hear(&mut self, told: Entry) -> Entry {
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

fn owner(
    owners: &BTreeMap<(Family, Addr), usize>,
    worlds: usize,
    addresses: Option<[(Family, Addr); 2]>,
) -> Option<usize> {
    if owners.is_empty() {
        return (worlds > 0).then_some(0);
    }
    addresses?.iter().find_map(|address| owners.get(address).copied())
}

fn injection(arrival: &Arrival, alone: bool) -> Result<Injection<'_>, Refusal> {
    let entrance = match (arrival.path, arrival.iif.as_deref()) {
        (Path::Output | Path::Loopback, _) => Entrance::Own,
        (_, other) => match SIDES.iter().position(|side| Some(side.name) == other) {
            Some(cable) => Entrance::Cable(cable),
            None => {
                let name = other.unwrap_or("without a name");
                return Err(Refusal::Unsupported(format!("there is no interface {name}")));
            }
        },
    };
    let mut tag = Tag::default().with_zone(arrival.zone);
    if arrival.notrack {
        tag = tag.with(Tag::NOTRACK);
    }
    match arrival.fate {
        Fate::Passes => {}
        Fate::Dropped => tag = tag.with(Tag::DROPPED),
        Fate::Waits => tag = tag.with(Tag::WAITS),
    }
    if alone
        || arrival.path != Path::Forward
        || arrival.fate != Fate::Passes
        || !whose::is_plain(&arrival.bytes)
    {
        tag = tag.with(Tag::LOGGED);
    }
    Ok(Injection { entrance, tag, bytes: &arrival.bytes })
}

/// The timeouts of a new namespace, and that of SYN_SENT2, which has no knob.
fn usual_timeouts() -> BTreeSet<u64> {
    let knobs = Knob::ALL.iter().filter(|knob| knob.unit == Unit::Seconds);
    knobs.filter_map(|knob| u64::try_from(knob.default).ok()).chain([120]).collect()
}

fn broken(error: io::Error) -> Refusal {
    Refusal::Broken(format!("the kernel: {error}"))
}
