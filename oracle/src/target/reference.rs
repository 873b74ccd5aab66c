//! The reference as a target: our engine, asked directly.

use std::borrow::Cow;
use std::collections::BTreeMap;

use conntruth_engine::{
    Class, ConnId, ConnSnapshot, Counter, Direction, Engine, Event, EventKind, Firewall, Helper, Hook,
    Journey, Knob, Outcome, Packet, Passage, Profile, Queued, Status, Time, Verdict, Walk, Wanted,
};
use serde::{Deserialize, Serialize};

use super::host;
use super::whose;
use super::{
    Abilities, Arrival, Batch, Config, Confirms, Entry, Expected, Fate, Happening, Identity, Observation,
    Passing, Path, Refusal, Release, Rules, Sent, Setting, Shows, Sight, Target, Why,
};

/// The engine under a profile.
#[derive(Clone, Debug)]
pub struct Reference {
    pub(super) profile: &'static Profile,
    pub(super) engine: Engine,
    /// Entries as they last stood, while there are no events that would tell of their end.
    pub(super) known: BTreeMap<u64, Entry>,
    /// Packets that came to wait between the hooks, in order; none in the place of those that did not get there, or went on.
    pub(super) waiting: Vec<Option<Waiting>>,
    /// The rules, where there are any.
    pub(super) firewall: Option<Firewall>,
}

/// A packet that waits: for its confirmation alone, or at a hook of a host with rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Waiting {
    Passage(Passage),
    Queued(Queued),
}

impl Reference {
    /// A reference with these semantics.
    pub fn new(profile: &'static Profile) -> Reference {
        Reference {
            profile,
            engine: Engine::new(profile),
            known: BTreeMap::new(),
            waiting: Vec::new(),
            firewall: None,
        }
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// What it has told its listeners since it was asked last.
    pub(super) fn happened(&mut self) -> Vec<Happening> {
        let hz = self.profile.hz;
        std::iter::from_fn(|| self.engine.poll_event()).map(|event| happening(&event, hz)).collect()
    }

    fn entry(&self, conn: &ConnSnapshot) -> Entry {
        Entry::seen(conn, self.engine.now(), self.profile.hz)
    }

    /// The entry as it stands after a packet, or as it last stood, and whether the packet ended it.
    fn after(&mut self, id: ConnId, events: &[Happening]) -> (Option<Entry>, bool) {
        if let Some(conn) = self.engine.conn(id) {
            let entry = self.entry(&conn);
            if self.engine.sysctls().get(Knob::Events) == 0 {
                self.known.insert(entry.id, entry.clone());
            }
            return (Some(entry), false);
        }
        let ends = |event: &&Happening| event.kind == EventKind::Destroy && event.entry.id == id.number();
        let told = events.iter().rfind(ends).map(|event| event.entry.clone());
        let last = told.or_else(|| self.known.remove(&id.number()));
        let destroyed = last.is_some();
        (last, destroyed)
    }

    /// Lets a packet pass, and answers in the engine's own words. Where there are rules it goes through all hooks.
    pub fn pass(&mut self, arrival: &Arrival) -> Walk {
        self.walk(arrival).unwrap_or_else(|| {
            let outcome = self.track(arrival);
            Walk::from(outcome)
        })
    }

    fn track(&mut self, arrival: &Arrival) -> Outcome {
        let packet = Packet { notrack: arrival.notrack, zone: arrival.zone, ..Packet::new(&arrival.bytes) };
        let hook = match arrival.path {
            Path::Forward | Path::Input => Hook::Prerouting,
            Path::Output | Path::Loopback => Hook::Output,
        };
        let mut passage = self.engine.handle(arrival.at, hook, &packet);
        if let Some(mark) = arrival.mark {
            self.engine.mark(&passage, mark);
        }
        if let Some(helper) = arrival.helper.as_deref().and_then(Helper::find) {
            self.engine.assist(&mut passage, &packet, helper);
        }
        match arrival.fate {
            Fate::Passes => self.engine.confirm(arrival.at, passage),
            Fate::Dropped => self.engine.discard(passage),
            Fate::Waits => self.keep(passage),
        }
    }

    /// Takes a packet through all hooks, with their rules.
    fn walk(&mut self, arrival: &Arrival) -> Option<Walk> {
        let firewall = self.firewall.as_mut()?;
        let packet = Packet { notrack: arrival.notrack, zone: arrival.zone, ..Packet::new(&arrival.bytes) };
        let journey = Journey {
            packet,
            route: arrival.path.route(),
            iif: arrival.iif.as_deref().unwrap_or_default(),
            oif: arrival.oif.as_deref().unwrap_or_default(),
            lost: arrival.fate == Fate::Dropped,
            waits: arrival.fate == Fate::Waits,
        };
        let walk = self.engine.walk(arrival.at, firewall, &journey);
        Some(if journey.waits { self.keep_walk(walk) } else { walk })
    }

    /// Keeps a packet that has come as far as where it is to wait.
    fn keep_walk(&mut self, mut walk: Walk) -> Walk {
        self.waiting.push(walk.queued.take().map(Waiting::Queued));
        let outcome = self.unconfirmed(walk.outcome);
        Walk { outcome, ..walk }
    }

    /// An outcome that shows no connection which is in no table yet.
    fn unconfirmed(&self, outcome: Outcome) -> Outcome {
        let is_confirmed =
            |id: &ConnId| self.engine.conn(*id).is_none_or(|conn| conn.status.has(Status::CONFIRMED));
        Outcome { conn: outcome.conn.filter(is_confirmed), ..outcome }
    }

    /// Keeps a packet between the hooks. The entry that it may have made is in no table yet.
    fn keep(&mut self, passage: Passage) -> Outcome {
        let outcome = *passage.outcome();
        let gets_there =
            outcome.verdict == Verdict::Accept && !matches!(outcome.class, Class::Held | Class::Discarded);
        if !gets_there {
            self.waiting.push(None);
            return self.engine.discard(passage);
        }
        self.waiting.push(Some(Waiting::Passage(passage)));
        self.unconfirmed(outcome)
    }

    /// Lets a packet that waits go on, and answers in the engine's own words.
    ///
    /// # Errors
    /// When it does not wait.
    pub fn go_on(&mut self, release: &Release) -> Result<Walk, Refusal> {
        let wrong = |what: &str| Refusal::Wrong(what.to_owned());
        let passes = match release.fate {
            Fate::Passes => true,
            Fate::Dropped => false,
            Fate::Waits => return Err(wrong("a packet waits once")),
        };
        let waiting = self.waiting.get_mut(release.waiting).and_then(Option::take);
        match (waiting, &mut self.firewall) {
            (Some(Waiting::Passage(passage)), _) if passes => {
                Ok(self.engine.confirm(release.at, passage).into())
            }
            (Some(Waiting::Passage(passage)), _) => Ok(self.engine.discard(passage).into()),
            (Some(Waiting::Queued(queued)), Some(firewall)) => {
                Ok(self.engine.walk_on(release.at, firewall, queued, passes))
            }
            (_, _) => Err(wrong("this packet does not wait")),
        }
    }

    fn told(&mut self, walk: Walk) -> Observation {
        let sent = walk.sent.into_iter().map(|answer| Sent {
            bytes: answer.bytes,
            class: answer.class,
            verdict: answer.verdict,
        });
        let observed = self.observed(walk.outcome);
        Observation { verdict: walk.verdict, by: walk.by, sent: sent.collect(), left: walk.left, ..observed }
    }

    /// The entry as others can see it: of one that only answers find, that which its original tuple finds.
    fn shown(&self, entry: Entry, class: Class) -> Option<Entry> {
        if !entry.status.has(Status::NAT_CLASH) {
            return Some(entry);
        }
        let is_answer = matches!(class, Class::Tracked(info) if info.direction() == Direction::Reply);
        let found = self.engine.find(&entry.original, entry.zone).filter(|_| !is_answer);
        found.map(|(conn, _)| self.entry(&conn))
    }

    fn observed(&mut self, outcome: Outcome) -> Observation {
        let events = self.happened();
        let (entry, destroyed) = outcome.conn.map_or((None, false), |id| self.after(id, &events));
        let entry = entry.and_then(|entry| self.shown(entry, outcome.class));
        Observation {
            class: outcome.class,
            verdict: outcome.verdict,
            attached: outcome.attached,
            by: None,
            sent: Vec::new(),
            left: None,
            why: Some(Why::Reason(outcome.reason)),
            help: outcome.help,
            entry,
            destroyed,
            events,
        }
    }
}

impl Target for Reference {
    fn identity(&self) -> Identity {
        Identity {
            name: "reference".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            profile: self.profile.name.to_owned(),
            hz: self.profile.hz,
            abilities: Abilities {
                time: Passing::Virtual,
                confirms: Confirms::AtHook,
                shows: Shows::ALL,
                protocols: Abilities::PROTOCOLS.map(str::to_owned).to_vec(),
                sysctls: Knob::ALL.iter().map(|knob| knob.name.to_owned()).collect(),
                helpers: Helper::ALL.iter().map(|helper| helper.name.to_owned()).collect(),
                nat: true,
                zones: true,
                own_host: true,
                rules: Rules::Own,
                marks: true,
                slack: Time::ZERO,
            },
        }
    }

    fn begin(&mut self, config: &Config) -> Result<(), Refusal> {
        self.engine = Engine::new(self.profile);
        self.known.clear();
        self.waiting.clear();
        self.engine.listen();
        if let Some((rule, what)) = config.rules.unsupported() {
            return Err(Refusal::Unsupported(format!("`{rule}`: {what} is not in this version")));
        }
        let rules = Some(&config.rules).filter(|rules| !rules.is_empty());
        self.firewall = rules.map(|rules| Firewall::new(rules, host::interfaces(&config.routes)));
        config.settings.iter().try_for_each(|setting| self.set(setting))
    }

    fn set(&mut self, setting: &Setting) -> Result<(), Refusal> {
        self.engine
            .set_by_name(&setting.name, setting.value)
            .map_err(|error| Refusal::Wrong(error.to_string()))?;
        Ok(())
    }

    fn packet(&mut self, arrival: &Arrival) -> Result<Observation, Refusal> {
        let walk = self.pass(arrival);
        Ok(self.told(walk))
    }

    fn release(&mut self, release: &Release) -> Result<Observation, Refusal> {
        let walk = self.go_on(release)?;
        Ok(self.told(walk))
    }

    fn advance(&mut self, to: Time) -> Result<Vec<Happening>, Refusal> {
        self.engine.handle_timeouts(to);
        Ok(self.happened())
    }

    fn expectations(&mut self) -> Result<Vec<Expected>, Refusal> {
        let (now, hz) = (self.engine.now(), self.profile.hz);
        Ok(self.engine.expectations().map(|expected| Expected::seen(&expected, now, hz)).collect())
    }

    fn counters(&mut self) -> Result<Vec<(String, Counter)>, Refusal> {
        let counters = self.firewall.iter().flat_map(Firewall::counters);
        Ok(counters.map(|(name, counter)| (name.to_owned(), counter)).collect())
    }

    fn batch(&mut self, batch: &Batch) -> Result<Vec<Vec<Sight>>, Refusal> {
        self.begin(&batch.config)?;
        // A world that is set up and has seen nothing: cheaper to copy than to make.
        let fresh = self.engine.clone();
        let world = |arrivals: &Vec<Arrival>| {
            self.engine.clone_from(&fresh);
            self.known.clear();
            self.waiting.clear();
            batch.reading.world(self, batch, arrivals)
        };
        batch.worlds.iter().map(world).collect()
    }

    fn batch_like(&mut self, batch: &Batch, other: &[Vec<Sight>]) -> Result<Vec<Vec<Sight>>, Refusal> {
        self.begin(&batch.config)?;
        let (fresh, firewall) = (self.engine.clone(), self.firewall.clone());
        let mut all = Vec::with_capacity(batch.worlds.len());
        for (arrivals, sights) in batch.worlds.iter().zip(other) {
            self.engine.clone_from(&fresh);
            self.firewall.clone_from(&firewall);
            self.known.clear();
            self.waiting.clear();
            let mut prepare = |target: &mut Reference, index: usize, arrival: &Arrival| {
                target
                    .engine
                    .prefer(sights.get(index).map_or(Wanted::default(), |sight| chosen(sight, arrival)));
            };
            all.push(batch.reading.world_prepared(self, batch, arrivals, &mut prepare)?);
        }
        Ok(all)
    }

    fn table(&mut self) -> Result<Vec<Entry>, Refusal> {
        Ok(self.engine.conns().map(|conn| self.entry(&conn)).collect())
    }
}

/// What a packet has led to: in the entry that it has made, and in what is expected since.
fn chosen(sight: &Sight, arrival: &Arrival) -> Wanted {
    let tuple = whose::tuple(&arrival.bytes);
    let mut new = sight.events.iter().filter(|event| event.kind == EventKind::New).map(|event| &event.entry);
    let made = new.rfind(|entry| Some(entry.original) == tuple);
    let announced = sight.events.iter().filter(|event| event.kind == EventKind::ExpectNew);
    let announced = announced.filter_map(|event| event.expected.as_ref()).next_back();
    Wanted {
        reply: made.map(|entry| entry.reply),
        status: made.map_or(Status::default(), |entry| entry.status),
        announced: announced.map(|expected| expected.tuple.dst_id),
    }
}

fn happening(event: &Event, hz: u32) -> Happening {
    Happening {
        at: event.at,
        kind: event.kind,
        changes: event.changes.names().map(Cow::Borrowed).collect(),
        entry: Entry::seen(&event.conn, event.at, hz),
        expected: event.expected.as_ref().map(|expected| Box::new(Expected::seen(expected, event.at, hz))),
    }
}
