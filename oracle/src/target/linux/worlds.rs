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
use super::kernel::{Entrance, Injection, Kernel};
use super::rules::{self, Tag};
use crate::target::{ends, whose};
use crate::target::{Arrival, Entry, Fate, Happening, Left, Path, Peers, Refusal, Sight, Why};

/// How many packets go into the kernel before its answers are read: no socket overflows by so many.
const CHUNK: usize = 64;
/// What a jiffy is waited for beyond its length, in nanoseconds.
const A_LITTLE: u64 = 300_000;
const SECOND: Time = Time::from_secs(1);
/// How long a UDP flow must have lived to become a stream, and a jiffy or two.
const STREAM: Duration = Duration::from_millis(2_020);
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
    /// The length of a jiffy.
    tick: u64,
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
    /// When it began, for those who sleep, and the length of a jiffy.
    began: Option<(Instant, u64)>,
    known: Vec<Known>,
    told: Vec<Happening>,
    said: Option<Why>,
    class: Option<Class>,
    out: bool,
    /// How many entries it has had.
    entries: u64,
    /// When, virtually and really, its first fragment was held.
    held: Option<(Time, Instant)>,
    /// The packet that was logged, as the tracker saw it: put together.
    logged: Vec<u8>,
}

/// An entry as it was last seen.
struct Known {
    entry: Entry,
    request: Vec<u8>,
    /// When it will die: at the earliest, at the latest.
    deadline: [Time; 2],
    /// The seconds that the kernel has shown or was given, and when.
    shown: Option<(u64, Instant)>,
    /// When, virtually and really, it began.
    began: (Time, Instant),
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
            tick: 1_000_000_000 / u64::from(super::ticks()),
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
        self.kernel.settle()?;
        self.owners.clear();
        self.worlds.clear();
        self.worlds.push(World { began: self.start(), ..World::default() });
        (self.precise, self.deaf, self.held, self.timeouts) = (true, false, HELD, usual_timeouts());
        Ok(())
    }

    /// Many worlds, side by side.
    ///
    /// # Errors
    /// When the kernel cannot be brought to rest.
    pub(super) fn together(&mut self, worlds: &[Vec<Arrival>]) -> io::Result<()> {
        self.used_up |= self.has_held();
        self.kernel.settle()?;
        self.owners.clear();
        self.worlds.clear();
        for (index, arrivals) in worlds.iter().enumerate() {
            for address in arrivals.iter().filter_map(|arrival| whose::addresses(&arrival.bytes)).flatten() {
                self.owners.entry(address).or_insert(index);
            }
            self.worlds.push(World::default());
        }
        let began = self.start();
        self.worlds.iter_mut().for_each(|world| world.began = began);
        // Deadlines matter where time passes.
        self.precise = worlds.iter().flatten().any(|arrival| arrival.at > Time::ZERO);
        (self.deaf, self.held, self.timeouts) = (false, HELD, usual_timeouts());
        Ok(())
    }

    /// The moment at which a world begins that sleeps: right after the beginning of a jiffy.
    fn start(&self) -> Option<(Instant, u64)> {
        match &self.pace {
            Pace::Ageing(_) => None,
            Pace::Sleeping(clock) => Some((clock.next(), self.tick)),
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
        Ok(std::mem::take(&mut self.worlds[0].told))
    }

    /// All entries of a world, oldest first.
    ///
    /// # Errors
    /// When the kernel breaks.
    pub(super) fn table(&mut self) -> Result<Vec<Entry>, Refusal> {
        let sent = now();
        self.wait_a_jiffy();
        self.look(&[0], sent, false).map_err(broken)?;
        Ok(self.worlds[0].entries(self.tick))
    }

    /// On a clock that runs, a deadline shows best a jiffy after it was set. On one that stands still it shows at once.
    fn wait_a_jiffy(&self) {
        if self.precise && matches!(self.pace, Pace::Ageing(_)) {
            std::thread::sleep(Duration::from_nanos(self.tick + A_LITTLE));
        }
    }

    /// Whether this namespace differs from a new one by more than settings and entries: fragments may still be held. That
    /// is nothing to worlds with addresses of their own.
    pub(super) fn is_used_up(&self) -> bool {
        self.used_up || self.has_held()
    }

    fn has_held(&self) -> bool {
        self.worlds.iter().any(|world| world.held.is_some())
    }

    /// The packet that a world's tracker saw last, whole.
    pub(super) fn logged(&self) -> &[u8] {
        &self.worlds[0].logged
    }

    /// Lets packets of different worlds pass, one of each world at most; `read` says whose entries are looked at then.
    ///
    /// # Errors
    /// When a packet cannot be sent that way, or the kernel breaks.
    pub(super) fn step(&mut self, moves: &[(usize, &Arrival)], read: &[bool]) -> Result<Vec<Sight>, Refusal> {
        let moments: Vec<(usize, Time)> = moves.iter().map(|(world, arrival)| (*world, arrival.at)).collect();
        self.pass(&moments)?;
        self.kernel.allow_zones(moves.iter().map(|(_, arrival)| arrival.zone))?;
        let sent = now();
        for moves in moves.chunks(CHUNK) {
            self.send(moves)?;
        }
        let read_of = || moves.iter().zip(read).filter(|(_, read)| **read).map(|((world, _), _)| *world);
        if read_of().next().is_some() {
            self.wait_a_jiffy();
        }
        self.look(&read_of().collect::<Vec<_>>(), sent, true).map_err(broken)?;
        let tick = self.tick;
        let sight = |((world, arrival), read): (&(usize, &Arrival), &bool)| {
            self.worlds[*world].sight(arrival, *read, tick)
        };
        Ok(moves.iter().zip(read).map(sight).collect())
    }

    fn send(&mut self, moves: &[(usize, &Arrival)]) -> Result<(), Refusal> {
        let mut injections = Vec::with_capacity(moves.len());
        for (world, arrival) in moves {
            self.worlds[*world].begin_packet();
            injections.push(injection(arrival, self.owners.is_empty())?);
        }
        self.kernel.inject(&injections).map_err(broken)?;
        self.listen().map_err(broken)
    }

    /// Takes in what the kernel has to say, and whose it is.
    fn listen(&mut self) -> io::Result<()> {
        let Worlds { kernel, worlds, owners, .. } = self;
        let owner = |bytes: &[u8]| owner(owners, worlds.len(), whose::addresses(bytes));
        let mut heard: Vec<(usize, Heard)> = Vec::new();
        kernel.logged(|logged| {
            let Some(world) = owner(logged.payload) else { return };
            let what = if logged.group == rules::GROUP {
                rules::logged(logged.prefix).map(|class| Heard::Class(class, logged.payload.to_vec()))
            } else {
                Some(Heard::Why(String::from_utf8_lossy(logged.prefix).trim().to_owned()))
            };
            heard.extend(what.map(|what| (world, what)));
        })?;
        kernel.came_out(|packet| {
            if let Some(world) = owner(packet) {
                heard.push((world, Heard::Out(rules::written(whose::dscp(packet)))));
            }
        })?;
        for (world, what) in heard {
            self.worlds[world].hear(what);
        }
        self.hear_events()
    }

    fn hear_events(&mut self) -> io::Result<()> {
        let Worlds { kernel, worlds, owners, .. } = self;
        kernel.events(|told| {
            let tuple = &told.entry.original;
            let addresses = [(tuple.family, tuple.src), (tuple.family, tuple.dst)];
            if let Some(world) = owner(owners, worlds.len(), Some(addresses)) {
                worlds[world].hear_event(told);
            }
        })
    }

    /// Reads the entries of worlds. `sent`: when their packets went out. `touched`: a packet may just now have set some.
    fn look(&mut self, which: &[usize], sent: Instant, touched: bool) -> io::Result<()> {
        if self.deaf && !which.is_empty() {
            self.learn()?;
        }
        if let Some(questions) = &mut self.questions {
            let known = which.iter().flat_map(|world| &self.worlds[*world].known);
            questions.push(known.map(|known| known.request.clone()).collect());
        }
        let began = now();
        let mut found = Vec::new();
        let requests =
            which.iter().flat_map(|world| &self.worlds[*world].known).map(|known| &known.request[..]);
        self.kernel.read(requests, |entry| found.push(entry))?;
        let ended = now();
        let mut found = found.into_iter();
        let reading = Moment { sent, began, ended, precise: self.precise, tick: self.tick };
        let sleeps = matches!(self.pace, Pace::Sleeping(_));
        let timeouts = &self.timeouts;
        for world in which {
            let World { now, known, .. } = &mut self.worlds[*world];
            for known in known {
                if let Some(entry) = found.next().flatten() {
                    if sleeps {
                        known.see_exactly(entry, jiffy(*now, reading.tick), touched, timeouts);
                    } else {
                        known.see(entry, *now, &reading);
                    }
                }
            }
        }
        // One whose time is up is removed by being looked for.
        self.hear_events()
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
                world.meet(entry);
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
        let mut ended: Vec<(Time, u64, Tuple, u16)> = Vec::new();
        let mut aged: Vec<(Tuple, u16, u32)> = Vec::new();
        for (world, to) in &later {
            let world = &mut self.worlds[*world];
            for known in &mut world.known {
                let (tuple, zone) = (known.entry.original, known.entry.zone);
                if known.deadline[1] <= *to {
                    ended.push((known.deadline[1], known.entry.id, tuple, zone));
                } else {
                    aged.push((tuple, zone, known.age(*to, &self.timeouts)));
                }
            }
        }
        ended.sort_unstable();
        self.kernel.remove(ended.iter().map(|(.., tuple, zone)| (tuple, *zone))).map_err(broken)?;
        self.kernel
            .age(aged.iter().map(|(tuple, zone, seconds)| (tuple, *zone, *seconds)))
            .map_err(broken)?;
        self.hear_events().map_err(broken)?;
        for (world, to) in later {
            self.worlds[world].now = to;
        }
        Ok(())
    }

    /// Sleeps until worlds are at their moments. Each entry that ends on the way is looked for when it does: a kernel
    /// notices only then, or when it collects.
    fn sleep(&mut self, later: &[(usize, Time)]) -> io::Result<()> {
        let mut stops: BTreeMap<Instant, Vec<Vec<u8>>> = BTreeMap::new();
        let mut last = now();
        for (world, to) in later {
            let world = &self.worlds[*world];
            let Some((began, _)) = world.began else { continue };
            let when = |moment: Time| began + Duration::from_nanos(moment.as_nanos());
            last = last.max(when(*to));
            for known in world.known.iter().filter(|known| known.deadline[1] <= *to) {
                stops.entry(when(known.deadline[1])).or_default().push(known.request.clone());
            }
        }
        for (world, to) in later {
            self.worlds[*world].now = *to;
        }
        for (stop, requests) in stops {
            clock::sleep_until(stop);
            self.kernel.read(requests.iter().map(Vec::as_slice), |_| {})?;
            self.hear_events()?;
        }
        clock::sleep_until(last);
        self.hear_events()
    }

    /// Waits for what cannot be aged.
    fn wait(&mut self, later: &[(usize, Time)], patience: Duration) -> Result<(), Refusal> {
        let mut longest = Duration::ZERO;
        for (world, to) in later {
            let world = &self.worlds[*world];
            let streams = world.known.iter().filter(|known| known.entry.original.protocol == protocol::UDP);
            for known in streams.filter(|known| to.since(known.began.0) > Time::from_secs(2)) {
                longest = longest.max(STREAM.saturating_sub(known.began.1.elapsed()));
            }
            if let Some((began, really)) = world.held {
                let passed = to.since(began);
                if passed >= self.held {
                    longest =
                        longest.max(Duration::from_nanos(passed.as_nanos()).saturating_sub(really.elapsed()));
                }
            }
        }
        if longest > patience {
            return Err(Refusal::Unsupported(format!(
                "held fragments cannot be aged: it takes {} s of real time, `--patience {}s` waits for it",
                longest.as_secs() + 1,
                longest.as_secs() + 1
            )));
        }
        if !longest.is_zero() {
            std::thread::sleep(longest);
        }
        Ok(())
    }
}

/// What was heard of a packet.
enum Heard {
    /// It was logged with its class.
    Class(Class, Vec<u8>),
    /// The kernel says why it is INVALID.
    Why(String),
    /// It came out at the other end, with its class written on it or not.
    Out(Option<Class>),
}

/// When entries were read.
struct Moment {
    sent: Instant,
    began: Instant,
    ended: Instant,
    precise: bool,
    tick: u64,
}

impl World {
    fn begin_packet(&mut self) {
        (self.class, self.said, self.out) = (None, None, false);
        self.logged.clear();
    }

    fn hear(&mut self, what: Heard) {
        match what {
            Heard::Class(class, packet) => (self.class, self.logged) = (Some(class), packet),
            Heard::Why(why) => self.said = Some(Why::Said(why)),
            Heard::Out(class) => {
                self.out = true;
                self.class = self.class.or(class);
            }
        }
    }

    fn hear_event(&mut self, told: Told) {
        let same = |known: &Known| {
            known.entry.original == told.entry.original && known.entry.zone == told.entry.zone
        };
        let mut changes: Vec<&'static str> = Vec::new();
        let (at, entry) = match (told.kind, self.known.iter().position(same)) {
            (EventKind::New, _) => {
                changes.push(if told.entry.status.has(Status::EXPECTED) { "related" } else { "new" });
                (self.now, self.meet(told.entry))
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
                (known.deadline[1].min(self.now), known.hear(told.entry))
            }
            // Of an entry of another time.
            (_, None) => return,
        };
        changes.extend((told.protoinfo && told.kind != EventKind::Destroy).then_some("protoinfo"));
        let changes = changes.into_iter().map(std::borrow::Cow::Borrowed).collect();
        self.told.push(Happening { at, kind: told.kind, changes, entry });
    }

    /// Takes up a new entry.
    fn meet(&mut self, entry: Entry) -> Entry {
        self.entries += 1;
        let entry = Entry { id: self.entries, ..entry };
        let deadline = match self.began {
            // On a clock that stands still it is as new as it is told to be.
            Some((_, tick)) => [jiffy(self.now, tick).plus(entry.left.least); 2],
            None => [self.now.plus(entry.left.least), self.now.plus(entry.left.least).plus(SECOND)],
        };
        self.known.push(Known {
            request: ctnetlink::get(&entry.original, entry.zone),
            deadline,
            shown: None,
            began: (self.now, now()),
            told: entry.status,
            entry: entry.clone(),
        });
        entry
    }

    fn entries(&self, tick: u64) -> Vec<Entry> {
        let jiffy = jiffy(self.now, tick);
        let seen = |known: &Known| {
            let [least, most] = known.deadline.map(|deadline| deadline.since(jiffy));
            Entry { left: Left { least, most }, ..known.entry.clone() }
        };
        self.known.iter().map(seen).collect()
    }

    /// What was seen of a packet.
    fn sight(&mut self, arrival: &Arrival, read: bool, tick: u64) -> Sight {
        let class = self.class.unwrap_or(if whose::is_fragment(&arrival.bytes) {
            Class::Held
        } else {
            Class::Discarded
        });
        if class == Class::Held && self.held.is_none() {
            self.held = Some((self.now, now()));
        }
        let comes_out = matches!(arrival.path, Path::Forward | Path::Output) && arrival.fate == Fate::Passes;
        let verdict = match class {
            Class::Held => Verdict::Accept,
            Class::Discarded => Verdict::Drop,
            _ if comes_out && !self.out => Verdict::Drop,
            _ => Verdict::Accept,
        };
        Sight {
            class,
            verdict,
            why: self.said.take(),
            events: std::mem::take(&mut self.told),
            entries: read.then(|| self.entries(tick)),
        }
    }
}

impl Known {
    /// The entry was read.
    fn see(&mut self, entry: Entry, virtually: Time, reading: &Moment) {
        let seconds = entry.left.least.as_secs();
        self.entry = Entry { id: self.entry.id, ..entry };
        if !reading.precise {
            let least = virtually.plus(Time::from_secs(seconds));
            let late = Time(reading.ended.duration_since(self.began.1).as_nanos() as u64);
            self.deadline = [least, least.plus(SECOND).plus(late)];
            return;
        }
        if let Some((given, when)) = self.shown {
            // What would be shown now, had no packet renewed it.
            let since = |moment: Instant| moment.duration_since(when).as_secs();
            let expected = given.saturating_sub(1 + since(reading.ended))
                ..=given.saturating_sub(1 + since(reading.began));
            if expected.contains(&seconds) {
                return;
            }
        }
        self.shown = Some((seconds + 1, reading.sent));
        // A deadline is a jiffy, counted from that in which it is set. Where reading has taken seconds they are lost.
        let lost = reading.ended.duration_since(reading.sent).as_secs();
        let from = jiffy(virtually, reading.tick).plus(Time::from_secs(seconds + 1));
        self.deadline = [from, from.plus(Time::from_secs(lost))];
    }

    /// The entry was read at a jiffy that still is.
    fn see_exactly(&mut self, entry: Entry, now: Time, touched: bool, timeouts: &BTreeSet<u64>) {
        let seconds = entry.left.least.as_secs();
        self.entry = Entry { id: self.entry.id, ..entry };
        let may_be_set = touched && timeouts.contains(&seconds);
        self.deadline = ends::seen(Some(self.deadline), now, seconds, may_be_set);
    }

    /// The seconds that the kernel is to count from, at a later moment. A little less than are left, and none that a
    /// packet might set: so it shows whether one has.
    fn age(&mut self, to: Time, timeouts: &BTreeSet<u64>) -> u32 {
        let left = self.deadline[0].since(to).as_nanos().div_ceil(SECOND.as_nanos());
        let seconds = (1..left).rev().find(|seconds| !timeouts.contains(seconds)).unwrap_or(1);
        self.shown = Some((seconds, now()));
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }

    /// An event tells of the entry; what it leaves out has not changed.
    fn hear(&mut self, told: Entry) -> Entry {
        let last = &self.entry;
        self.told = told.status;
        self.entry = Entry {
            id: last.id,
            state: told.state.or_else(|| last.state.clone()),
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

/// The beginning of the jiffy in which a moment lies.
fn jiffy(moment: Time, tick: u64) -> Time {
    Time(moment.as_nanos() / tick * tick)
}

fn injection(arrival: &Arrival, alone: bool) -> Result<Injection<'_>, Refusal> {
    if arrival.fate == Fate::Waits {
        let what = "no packet is kept between tracking and confirmation here";
        return Err(Refusal::Unsupported(what.to_owned()));
    }
    let entrance = match (arrival.path, arrival.iif.as_deref()) {
        (Path::Output | Path::Loopback, _) => Entrance::Own,
        (_, Some("inside")) => Entrance::Cable(0),
        (_, Some("outside")) => Entrance::Cable(1),
        (_, other) => {
            return Err(Refusal::Unsupported(format!(
                "there is no interface {}",
                other.unwrap_or("without a name")
            )));
        }
    };
    let mut tag = Tag::default().with_zone(arrival.zone);
    if arrival.notrack {
        tag = tag.with(Tag::NOTRACK);
    }
    if arrival.fate == Fate::Dropped {
        tag = tag.with(Tag::DROPPED);
    }
    if alone
        || arrival.path != Path::Forward
        || arrival.fate == Fate::Dropped
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

/// The real clock: this is the one target that lives by it.
#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}

fn broken(error: io::Error) -> Refusal {
    Refusal::Broken(format!("the kernel: {error}"))
}
