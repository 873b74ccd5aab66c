//! A story in which hosts act: a simulated world around the target, on a clock that jumps.
//!
//! ```text
//! heading -> net (topology) -> World <- cast (applications)
//!                                |  bridge: packets out of the world, into the target, back
//!                              Target -> Observation -> claims
//! ```
//!
//! The steps of the story are made one after the other; between them the world runs for as long as they say, and every
//! packet that comes to the tracker is handed to the target in the moment in which it comes.

mod bridge;
mod cast;
mod deeds;
mod judge;
mod net;
mod numbers;
mod steps;
mod tape;
mod words;

use std::net::IpAddr;

use conntruth_engine::{Class, CtInfo, Direction, Time};
use conntruth_sim::capture::Recorder;
use conntruth_sim::host::Reception;
use conntruth_sim::link::Fault;
use conntruth_sim::packet::{Header, protocol};
use conntruth_sim::world::{PortId, RunError};
use conntruth_sim::{Chain, World as Net};

use crate::language::Message;
use crate::language::ast::claim::{Check, Claims};
use crate::language::ast::host::{Cable, CableWord};
use crate::language::ast::packet::{Body, Way};
use crate::language::ast::{Action, Span};
use crate::target::{Arrival, Entry, Observation, Refusal, Target};

use super::claims::{self, Mismatch};
use super::plan::{Act, Move, Plan, Sent, deadline};
use super::run::{Record, Seen, World};
use super::talks::Talk;

use bridge::Bridge;
use cast::Cast;

/// How long a step with claims waits for its packets.
const PATIENCE: u64 = 600 * 1_000_000_000;

/// A packet that came to the tracker while hosts acted.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    /// The packet.
    pub arrival: Arrival,
    /// What was said of it.
    pub observation: Observation,
    /// Whether it went on.
    pub passed: bool,
    /// From whom to whom, by name where there is one.
    pub from: String,
    pub to: String,
    /// The packet in words.
    pub text: String,
    /// The flow it belongs to, and which way along it.
    pub talk: Option<usize>,
    pub way: Way,
    /// What its receiver would make of it at that moment, where he is a real stack.
    pub reception: Option<Reception>,
}

/// What a world with hosts leaves behind, beside its record.
#[derive(Debug, Default)]
pub struct Aftermath {
    /// The hash over all that happened, and each event where that was asked for.
    pub chain: Chain,
    /// The events in words, where they were asked for.
    pub events: Vec<String>,
    /// Virtual time that passed, in nanoseconds.
    pub time: u64,
}

/// What is to be kept of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keep<'a> {
    /// Each event, for finding the first that differs.
    pub events: bool,
    /// Captures of all interfaces, in this folder.
    pub captures: Option<&'a std::path::Path>,
}

impl Plan {
    /// Whether hosts act in it.
    pub fn has_hosts(&self) -> bool {
        !self.is_tape && !self.story().stack.is_empty()
    }

    /// Whether its rules may translate a packet's destination.
    fn translates(&self) -> bool {
        self.story().rules.iter().any(|rule| rule.value.translates())
    }

    /// Whether a world can be made of the heading; the hosts that the tracker reaches by another interface than their
    /// addresses say.
    pub(super) fn try_world(&self) -> Result<Vec<(IpAddr, String)>, Box<Message>> {
        let net = net::world(self.story(), &self.talks.places)?;
        for step in &self.story().steps {
            match &step.action {
                Action::Cable(cable) => drop(net::port(&net, cable)?),
                Action::Deed(deed) => net::reaches(&net, &self.talks.places, deed, step.action_span)?,
                _ => {}
            }
        }
        Ok(net::strays(&net, &self.talks.places))
    }

    /// Runs a plan with hosts in a fresh world of `target`.
    pub fn run_with_hosts(&self, target: &mut dyn Target, keep: Keep<'_>) -> (Record, Aftermath) {
        let identity = target.identity();
        let mut record = Record::new(self, &identity);
        if self.translates() && !identity.abilities.nat {
            let what = format!("{} does not show what translated packets become", identity.name);
            record.refused(0, super::plan::heading(self.script()), Refusal::Unsupported(what));
            return (record, Aftermath::default());
        }
        let mut net = match net::world(self.story(), &self.talks.places) {
            Ok(net) => net,
            Err(message) => {
                record.fails(0, message.span, message.title);
                return (record, Aftermath::default());
            }
        };
        if keep.events {
            net.record();
        }
        if let Some(folder) = keep.captures {
            match Recorder::in_folder(&net, folder) {
                Ok(recorder) => net.watch(recorder),
                Err(error) => record.fails(0, Span::default(), format!("{}: {error}", folder.display())),
            }
        }
        if let Err(refusal) = target.begin(&self.config) {
            record.refused(0, super::plan::heading(self.script()), refusal);
            return (record, Aftermath::default());
        }
        let bridge = Bridge::new(self.translates());
        if let Err(error) = net.install(net::BOX, Box::new(bridge.letter_box())) {
            record.fails(0, Span::default(), error.to_string());
        }
        let world = World::new(self, &identity);
        let mut live = Live {
            plan: self,
            net,
            bridge,
            target,
            world,
            cast: Cast::default(),
            sent: Vec::new(),
            passed: Vec::new(),
            before: Vec::new(),
            numbers: numbers::Numbers::default(),
            record: &mut record,
        };
        live.story();
        let Live { mut net, .. } = live;
        let recorders = net.unwatch::<Recorder>();
        for recorder in recorders {
            if let Err(error) = recorder.finish() {
                record.fails(0, Span::default(), format!("captures: {error}"));
            }
        }
        target.end();
        let events = net.chain().records().iter().map(|event| net.describe(event)).collect();
        let aftermath = Aftermath { chain: net.chain().clone(), events, time: net.now() };
        (record, aftermath)
    }
}

/// Whether an entry began as a flow does, from its left side: by what its packets were before they were translated, or after.
fn begins(entry: &Entry, talk: &Talk) -> bool {
    let tuple = talk.tuple();
    entry.original == tuple || entry.reply.invert() == Some(tuple)
}

/// Why a step could not be made.
enum Stopped {
    /// The target would not.
    Refused(Refusal),
    /// It does not end.
    Endless(RunError),
    /// It makes no sense here.
    Wrong(String),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Stopped {
        Stopped::Refused(refusal)
    }
}

impl From<RunError> for Stopped {
    fn from(error: RunError) -> Stopped {
        Stopped::Endless(error)
    }
}

/// A world that runs.
struct Live<'p, 't> {
    plan: &'p Plan,
    net: Net,
    bridge: Bridge,
    target: &'t mut dyn Target,
    world: World<'p>,
    cast: Cast,
    /// Packets that steps have sent and the tracker has not seen.
    sent: Vec<Arrival>,
    /// What came to the tracker in the step at hand.
    passed: Vec<Passed>,
    /// What the target told before.
    before: Vec<crate::target::Happening>,
    /// What was sent on each connection, each way.
    numbers: numbers::Numbers,
    record: &'t mut Record,
}

impl<'p> Live<'p, '_> {
    fn story(&mut self) {
        let plan = self.plan;
        let mut nominal = 0;
        for (index, step) in plan.moves.iter().enumerate() {
            let after = step.at.as_nanos().saturating_sub(nominal);
            nominal = step.at.as_nanos();
            if let Action::Check(check) = &plan.step(step).action
                && let Check::Expires { after, .. } = check.itself()
            {
                nominal = deadline(step.at, after.value.nanos(plan.tick), plan.tick).as_nanos();
            }
            let at = self.net.now().saturating_add(after);
            let waited = self.pass(after);
            let lead = self.passed.len();
            let made = waited.and_then(|()| self.step(index, step));
            let passed = std::mem::take(&mut self.passed);
            let before = std::mem::take(&mut self.before);
            if let Some(seen) = self.record.seen.get_mut(index) {
                (seen.passed, seen.lead, seen.before, seen.at) = (passed, lead, before, Some(Time(at)));
            } else {
                let at = Some(Time(at));
                self.record.seen.push(Seen { before, passed, lead, at, ..Seen::default() });
            }
            self.record.time = Time(self.net.now());
            if let Err(stopped) = made {
                let span = plan.step(step).span;
                match stopped {
                    Stopped::Refused(refusal) => self.record.refused(index, span, refusal),
                    Stopped::Endless(error) => self.record.fails(index, span, error.to_string()),
                    Stopped::Wrong(what) => self.record.fails(index, span, what),
                }
                return;
            }
        }
        self.silent_faults();
    }

    /// A fault that never fired has tested nothing.
    fn silent_faults(&mut self) {
        let silent: Vec<(PortId, Fault)> =
            self.net.silent_faults().map(|(port, fault)| (port, fault.clone())).collect();
        let at = self.plan.moves.len().saturating_sub(1);
        for (port, fault) in silent {
            let span = self.span_of(port, &fault);
            let what = "the fault to happen at least once";
            let name = self.net.port_name(port);
            let mismatch = Mismatch::new(span, what, format!("`{fault}` never did on the cable of {name}"));
            self.record.fail(at, vec![mismatch]);
        }
    }

    fn span_of(&self, port: PortId, fault: &Fault) -> Span {
        let story = self.plan.story();
        let later = story.steps.iter().filter_map(|step| match &step.action {
            Action::Cable(cable) => Some(cable),
            _ => None,
        });
        let has = |cable: &&Cable| {
            cable.words.iter().any(|word| matches!(word, CableWord::Fault(other) if other == fault))
                && net::port(&self.net, cable).is_ok_and(|other| other == port)
        };
        story.cables.iter().chain(later).find(has).map_or(Span::default(), |cable| cable.span)
    }

    /// Lets so much time pass, and all happen that is due.
    fn pass(&mut self, length: u64) -> Result<(), Stopped> {
        let until = self.net.now().saturating_add(length);
        self.run_to(until, |_| false).map(drop)
    }

    /// Runs until something holds, or the time has come. Whether it holds.
    fn run_to(&mut self, until: u64, mut holds: impl FnMut(&mut Self) -> bool) -> Result<bool, Stopped> {
        loop {
            if self.serve()? {
                if holds(self) {
                    return Ok(true);
                }
                continue;
            }
            if holds(self) {
                return Ok(true);
            }
            match self.net.next_at() {
                Some(at) if at <= until => {
                    let count = self.net.count().events;
                    self.net.run_until_true(|net| net.count().events > count)?;
                }
                _ => {
                    self.net.run_until(until)?;
                    if !self.bridge.has_mail() && self.net.next_at().is_none_or(|at| at > until) {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Hands one packet to the target, where one waits. Whether one did.
    fn serve(&mut self) -> Result<bool, Stopped> {
        if !self.bridge.has_mail() {
            return Ok(false);
        }
        let now = Time(self.net.now());
        let told = self.target.advance(now)?;
        self.world.happened(&told);
        self.before.extend(told);
        let sent = &mut self.sent;
        let like = |bytes: &[u8]| {
            let at = sent.iter().position(|arrival| words::same_but_hops(&arrival.bytes, bytes))?;
            Some(sent.remove(at))
        };
        let Some(handed) = self.bridge.hand_over(self.target, like)? else { return Ok(false) };
        let passed = self.told(handed);
        self.world.noted(passed.talk, true, &passed.observation);
        self.translated(&passed);
        self.passed.push(passed);
        Ok(true)
    }

    /// The flow of a packet whose addresses are translated, by the entry that it carries.
    fn by_entry(&self, protocol: u8, observation: &Observation) -> Option<(usize, Way)> {
        let entry = observation.entry.as_ref().filter(|_| observation.attached)?;
        let Class::Tracked(info) = observation.class else { return None };
        let talk = (0..self.plan.talks.talks.len()).find(|at| claims::is_of(entry, self.plan.talk(*at)))?;
        let is_first = info.direction() == Direction::Original;
        let way = if is_first == begins(entry, self.plan.talk(talk)) { Way::Forth } else { Way::Back };
        // An error is about an entry, and not of it.
        let is_error = matches!(protocol, protocol::ICMP | protocol::ICMPV6)
            && matches!(info, CtInfo::Related | CtInfo::RelatedReply);
        (!is_error).then_some((talk, way))
    }

    /// The other side of a connection may know it by other addresses: the tracker says which.
    fn translated(&mut self, passed: &Passed) {
        let (Some(talk), Some(entry)) = (passed.talk, &passed.observation.entry) else { return };
        // Where the other side began it, or a tracker has picked it up from there, nothing is translated.
        if !begins(entry, self.plan.talk(talk)) {
            return;
        }
        let near = words::ends_of(&entry.original);
        let Some(far) = words::ends_of(&entry.reply) else { return };
        let places = &self.plan.talks.places;
        let name = || places.name_of(far.0.ip()).map_or_else(|| far.0.ip().to_string(), str::to_owned);
        self.cast.translated(talk, near, far, name);
    }

    /// A packet with who sent it to whom, in words.
    fn told(&mut self, handed: bridge::Handed) -> Passed {
        let bridge::Handed { arrival, observation, passed } = handed;
        let places = &self.plan.talks.places;
        let name = |address| places.name_of(address).map_or_else(|| address.to_string(), str::to_owned);
        let header = Header::read(&arrival.bytes);
        let found = header.as_ref().and_then(|header| words::talk_of(self.plan, header, &arrival.bytes));
        let found = found.or_else(|| self.by_entry(header.as_ref()?.protocol, &observation));
        let reception = self.reception(observation.left.as_deref().unwrap_or(&arrival.bytes));
        let (from, to) = header
            .as_ref()
            .map_or((String::new(), String::new()), |header| (name(header.src), name(header.dst)));
        // However translated, it is numbered by the ends that its flow has.
        let ends = found.and_then(|(talk, way)| words::ends_along(self.plan.talk(talk), way));
        let text = words::packet(&mut self.numbers, ends, header.as_ref(), &arrival.bytes);
        let (talk, way) = found.map_or((None, Way::Forth), |(talk, way)| (Some(talk), way));
        Passed { arrival, observation, passed, from, to, text, talk, way, reception }
    }

    /// What the host that a packet gets to would make of it: by its own window and state.
    fn reception(&self, passed: &[u8]) -> Option<Reception> {
        let header = Header::read(passed)?;
        let host = self.plan.talks.places.name_of(header.dst)?;
        let is_stack = host == net::BOX || self.plan.story().stack.iter().any(|name| name.value == host);
        let node = self.net.node(host).ok().filter(|_| is_stack)?;
        self.net.receives(node, passed)
    }

    fn step(&mut self, index: usize, step: &Move) -> Result<(), Stopped> {
        let plan = self.plan;
        let node = plan.step(step);
        let claims = node.claims_for(&self.world.identity.profile);
        match (&step.act, &node.action) {
            (Act::Packet(sent), _) => self.play(index, step, sent, claims),
            (Act::Set(setting), _) => Ok(self.target.set(setting)?),
            (Act::Check, _) => self.check(index, step),
            (Act::Live, Action::Deed(deed)) => {
                let done = self.cast.act(&mut self.net, plan, deed);
                done.map_err(Stopped::Wrong)?;
                match claims {
                    Some(claims) => self.claimed(index, step, claims, 0),
                    None => self.pass(0),
                }
            }
            (Act::Live, Action::Run(run)) => self.run(index, node.span, run),
            (Act::Live, Action::Cable(cable)) => self.cable(cable),
            (Act::Live, Action::Offload(flow)) => self.offload(flow.as_ref()),
            _ => Ok(()),
        }
    }

    /// A packet that a step sends, from the cable of its sender.
    fn play(
        &mut self,
        index: usize,
        step: &Move,
        sent: &Sent,
        claims: Option<&Claims>,
    ) -> Result<(), Stopped> {
        let header = Header::read(&sent.arrival.bytes);
        let places = &self.plan.talks.places;
        let sender = header.as_ref().and_then(|header| places.name_of(header.src).map(str::to_owned));
        let side = sent.arrival.iif.clone().unwrap_or_default();
        // Whoever lives on that side may send what nobody there would.
        let sender = sender.filter(|name| self.net.port(name, None).is_ok()).or_else(|| {
            places.all().find(|(_, _, lives)| lives.name() == side).map(|(name, ..)| name.to_owned())
        });
        let port = sender.and_then(|name| self.net.port(&name, None).ok());
        let Some(port) = port else {
            return Err(Stopped::Wrong("nobody is there who could send this packet".to_owned()));
        };
        let mut arrival = sent.arrival.clone();
        if let (Some(header), Action::Send { packet, .. }) = (&header, &self.plan.step(step).action)
            && let Body::Tcp(said) = &packet.body
        {
            self.numbers.fill(said, header, &mut arrival.bytes);
        }
        self.net.play(port, arrival.bytes.clone());
        self.sent.push(arrival);
        match claims {
            Some(claims) => self.claimed(index, step, claims, sent.index),
            None => self.pass(0),
        }
    }

    /// Compares claims with the next packets that come to the tracker.
    fn claimed(&mut self, index: usize, step: &Move, claims: &Claims, first: usize) -> Result<(), Stopped> {
        let is_deed = matches!(step.act, Act::Live);
        let count = if is_deed { claims.each.len() } else { 1 };
        for number in 0..count {
            let claim = claims.each.get(first + number).or(claims.each.last());
            let Some(claim) = claim else { return Ok(()) };
            let have = self.passed.len();
            let until = self.net.now().saturating_add(PATIENCE);
            if !self.run_to(until, |live| live.passed.len() > have)? {
                self.record.claims += 1;
                self.record.seeable += 1;
                let mismatch = Mismatch::new(claim.span, "a packet", "none within ten minutes");
                self.record.fail(index, vec![mismatch]);
                return Ok(());
            }
            let Some(passed) = self.passed.last().cloned() else { return Ok(()) };
            self.record.claims += 1;
            self.record.seeable += 1;
            let found =
                claims::packet(&self.world, self.target, claim, &passed.arrival, &passed.observation, step);
            self.judge(index, claim.span, found)?;
        }
        Ok(())
    }

    fn judge(
        &mut self,
        index: usize,
        span: Span,
        found: Result<Vec<Mismatch>, claims::Silence>,
    ) -> Result<(), Stopped> {
        match found {
            Ok(mismatches) => self.record.fail(index, mismatches),
            Err(silence) => self.record.silent(span, silence)?,
        }
        Ok(())
    }
}
