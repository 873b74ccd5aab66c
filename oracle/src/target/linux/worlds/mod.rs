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

mod known;
mod passing;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use conntruth_engine::{Addr, Family, Knob, Time, Unit, Verdict};

use super::clock::Clock;
use super::jiffies::Jiffies;
use super::kernel::{Entrance, Injection, Kernel};
use super::rules::{self, Tag};
use crate::target::host::SIDES;
use crate::target::whose;
use crate::target::{Arrival, Entry, Expected, Fate, Happening, Path, Refusal, Release, Sight};
use known::{Known, Look};
use world::{Heard, Waiting, World, ends_of, heard_of, is_helpers};

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

/// A packet that has waited, and what was seen of it when it went on.
pub(super) struct Released {
    pub(super) sight: Sight,
    pub(super) arrival: Arrival,
    /// It had an entry in the table before.
    pub(super) had_entry: bool,
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
