//! A world in a running kernel: what was heard of the packet at hand, which entries it has had, and what is told of both.

use std::time::Instant;

use conntruth_engine::{Addr, Class, EventKind, Family, Status, Time, Tuple, Verdict, protocol};

use super::super::ctnetlink::{self, Told};
use super::super::expected::Awaiting;
use super::super::jiffies::Jiffies;
use super::super::rules::Note;
use super::SECOND;
use super::known::Known;
use crate::target::whose;
use crate::target::{Arrival, Entry, Expected, Fate, Happening, Left, Path, Sent, Sight, Why};

#[derive(Default)]
pub(super) struct World {
    pub(super) now: Time,
    /// The moment at which it began, for those who sleep.
    pub(super) start: Option<Instant>,
    pub(super) known: Vec<Known>,
    pub(super) told: Vec<Happening>,
    pub(super) said: Option<Why>,
    pub(super) class: Option<Class>,
    pub(super) out: bool,
    /// What its helpers expect.
    pub(super) awaiting: Awaiting,
    /// The original tuples of all entries that it has had, with their zones; an entry's number is its place from 1 on.
    pub(super) had: Vec<(Tuple, u16)>,
    /// When, virtually and really, its first fragment was held.
    pub(super) held: Option<(Time, u64)>,
    /// The same for the last packet that went on and may have an entry which no listing shows: it cannot be aged.
    pub(super) unlisted: Option<(Time, u64)>,
    /// The packet that was logged, as the tracker saw it: put together.
    pub(super) logged: Vec<u8>,
    /// Source and destination of the packet at hand.
    pub(super) addresses: Option<[(Family, Addr); 2]>,
    /// It came as far as the first rule; it reached the host. Where a scenario's rules are loaded.
    pub(super) came: bool,
    pub(super) arrived: bool,
    /// The zone that a rule of the scenario has put it into, and the one that the story says.
    pub(super) zone: Option<u16>,
    pub(super) said_zone: Option<u16>,
    /// The connection whose end was told last, and when it ended: what it expected ends with it.
    pub(super) ended: Option<(Tuple, Time)>,
    /// Which of what was told are expectations that were told before their masters, and so without a zone.
    pub(super) zoneless: Vec<usize>,
    /// What rules have sent in return.
    pub(super) sent: Vec<Sent>,
    /// The packet as it came out or reached the host, where it may be translated.
    pub(super) left: Option<Vec<u8>>,
    /// The packet at hand waits, and by this the kernel knows it.
    pub(super) kept: Option<u32>,
    /// The packet at hand has waited since this moment and this jiffy.
    pub(super) has_waited: Option<(Time, u64)>,
    /// Those that were to wait, in order; none where one did not get there, or has gone on.
    pub(super) waiting: Vec<Option<Waiting>>,
}

/// A packet that waits between tracking and confirmation.
pub(super) struct Waiting {
    /// By which the kernel knows it.
    pub(super) id: u32,
    pub(super) arrival: Arrival,
    pub(super) class: Option<Class>,
    pub(super) logged: Vec<u8>,
    /// It has an entry in the table.
    pub(super) has_entry: bool,
    /// When, virtually and really, it came.
    pub(super) came: (Time, u64),
}

impl Waiting {
    /// It is the first of a flow of UDP, whose two seconds run while it waits.
    pub(super) fn may_become_a_stream(&self) -> bool {
        let is_udp = whose::tuple(&self.arrival.bytes).is_some_and(|tuple| tuple.protocol == protocol::UDP);
        is_udp && !self.has_entry
    }
}

/// What was heard of a packet.
pub(super) enum Heard {
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
pub(super) fn is_helpers(why: &str) -> bool {
    why.contains(": dropping packet: ")
}

/// What a log line says of the packet at hand, or of one that a rule has sent for it.
pub(super) fn heard_of(note: Note, payload: &[u8], is_it: bool, translates: bool) -> Option<Heard> {
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

impl World {
    pub(super) fn begin_packet(&mut self, arrival: &Arrival) {
        (self.class, self.said, self.out) = (None, None, false);
        (self.came, self.arrived, self.zone) = (false, false, None);
        self.logged.clear();
        self.sent.clear();
        (self.left, self.kept, self.has_waited) = (None, None, None);
        self.addresses = whose::addresses(&arrival.bytes);
        self.said_zone = (arrival.zone != 0).then_some(arrival.zone);
    }

    /// The packet at hand was to wait: it does, unless it did not get there.
    pub(super) fn keep(&mut self, arrival: &Arrival, jiffies: Jiffies) {
        let (class, logged, came) = (self.class, self.logged.clone(), (self.now, jiffies.now()));
        let arrival = arrival.clone();
        let waiting = self.kept.map(|id| Waiting { id, arrival, class, logged, has_entry: false, came });
        self.waiting.push(waiting);
    }

    pub(super) fn hear(&mut self, what: Heard) {
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

    pub(super) fn hear_event(&mut self, told: Told, jiffies: Jiffies) {
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
    pub(super) fn hear_unlisted(&mut self, told: Told) {
        let (kind, entry) = (told.kind, told.entry);
        let change = match kind {
            EventKind::Destroy => Some("destroy"),
            _ => entry.status.has(Status::SEEN_REPLY).then_some("reply"),
        };
        let changes = change.into_iter().map(std::borrow::Cow::Borrowed).collect();
        self.told.push(Happening { at: self.now, kind, changes, entry, expected: None });
    }

    /// An event tells of an expectation.
    pub(super) fn hear_expected(
        &mut self,
        kind: EventKind,
        master: Entry,
        expected: Expected,
        jiffies: Jiffies,
    ) {
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

    pub(super) fn expectations(&self, jiffies: Jiffies) -> Vec<Expected> {
        self.awaiting.listed(jiffies.floor(self.now))
    }

    /// The zone of an expectation, which the kernel does not say: its master's. Of several masters with this tuple it is the
    /// one that has the packet at hand.
    pub(super) fn zone_of(&self, expected: &Expected) -> Option<u16> {
        let of_master = |(had, zone): &(Tuple, u16)| (*had == expected.master).then_some(*zone);
        let mut zones = self.had.iter().rev().filter_map(of_master);
        let at_hand = self.said_zone.or(self.zone).unwrap_or_default();
        let first = zones.next()?;
        Some(if zones.any(|zone| zone == at_hand) { at_hand } else { first })
    }

    /// What was told since this was last taken.
    pub(super) fn take_told(&mut self) -> Vec<Happening> {
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
    pub(super) fn due(&self, to: Time) -> impl Iterator<Item = (Time, &Expected)> {
        self.awaiting.due(to)
    }

    /// Takes up a new entry.
    pub(super) fn meet(&mut self, entry: Entry, jiffies: Jiffies) -> Entry {
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

    pub(super) fn entries(&self, jiffies: Jiffies) -> Vec<Entry> {
        let jiffy = jiffies.floor(self.now);
        let seen = |known: &Known| {
            let [least, most] = known.deadline.map(|deadline| deadline.since(jiffy));
            Entry { left: Left { least, most }, ..known.entry.clone() }
        };
        self.known.iter().map(seen).collect()
    }

    /// What was seen of a packet.
    pub(super) fn sight(
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
pub(super) fn ends_of(tuple: &Tuple) -> [(Family, Addr); 2] {
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
