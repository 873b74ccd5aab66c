//! Running a plan against a target: what was seen, step by step, and which claims it contradicts.

use conntruth_engine::Time;

use crate::language::ast::claim::{Check, ClassWord, Named};
use crate::language::ast::{Action, Span};
use crate::target::translated::Translated;
use crate::target::{
    Arrival, Ask, Happening, Identity, Observation, Play, Playback, Played, Refusal, Rules, Shows, Target,
};

use super::claims::{self, Mismatch, Silence};
use super::hosts::{Keep, Passed};
use super::plan::{Act, Move, Plan, UNCLAIMED};

/// All that happened in one world.
#[derive(Clone, Debug)]
pub struct Record {
    /// What was seen, one for each move of the plan that was reached.
    pub(crate) seen: Vec<Seen>,
    /// The claims that failed, in the order of the story.
    pub failures: Vec<Failure>,
    /// What could not be said or done, and where.
    pub unsupported: Vec<(Span, String)>,
    /// Parts of claims that the target shows nothing about, and where they stand. The rest of their claims counts.
    pub unseen: Vec<(Span, String)>,
    /// How many of the compared claims the target shows something about.
    pub seeable: usize,
    /// How many claims were compared.
    pub claims: usize,
    /// How many were to be.
    pub of: usize,
    /// How much time has passed in the world.
    pub time: Time,
    /// What the target shows.
    pub(crate) shows: Shows,
}

/// What one move has led to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Told while time passed before it.
    pub before: Vec<Happening>,
    /// What became of the packet, for those that reach the tracker.
    pub packet: Option<Observation>,
    /// For a check: what it found, for people and for the file.
    pub found: Vec<Mismatch>,
    /// When it was, where hosts act: that is known only then.
    pub at: Option<Time>,
    /// The packets that came to the tracker meanwhile, where hosts act.
    pub passed: Vec<Passed>,
    /// How many of them came before the step itself.
    pub lead: usize,
}

/// A claim that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The move it is about.
    pub(crate) at: usize,
    /// The parts that do not hold.
    pub mismatches: Vec<Mismatch>,
}

/// How a world ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every claim held.
    Passed,
    /// A claim failed, or none was made.
    Failed,
    /// It belongs to a later version, or this target cannot do it.
    Unsupported(String),
    /// It is about something else.
    Skipped(String),
    /// A claim failed as it is known to, and why.
    Known(String),
}

/// What claims may ask of a world that runs.
pub(crate) struct World<'a> {
    pub plan: &'a Plan,
    pub identity: &'a Identity,
    /// The states each flow's entry went through: the entry, and its state.
    pub states: Vec<Vec<(u64, String)>>,
    /// The class of each packet of each flow.
    pub classes: Vec<Vec<(ClassWord, bool)>>,
    /// Events that no `events` check has read.
    pub events: Vec<Happening>,
    /// The ends with which packets left.
    pub translated: Translated,
}

impl Plan {
    /// Runs the plan in a fresh world of `target`.
    pub fn run(&self, target: &mut dyn Target) -> Record {
        match (self.has_hosts(), target.is_played()) {
            (true, false) => return self.run_with_hosts(target, Keep::default()).0,
            // Whoever shows what was sent makes the tape himself.
            (true, true) => return self.clone().taken_by(target).run(target),
            (false, false) => return self.step_through(target),
            (false, true) => {}
        }
        let play = self.play();
        match target.play(std::slice::from_ref(&play)).map(|mut played| played.pop()) {
            Ok(Some(played)) => self.judge(target.identity(), play, played),
            Ok(None) => self.broken(&target.identity(), Refusal::Broken("no world was played".to_owned())),
            Err(refusal) => self.broken(&target.identity(), refusal),
        }
    }

    /// All that running the plan may ask of a target, known beforehand: more than it will ask, where that depends on
    /// answers.
    pub fn play(&self) -> Play {
        let mut asks = Vec::with_capacity(self.moves.len() * 2 + 1);
        for step in &self.moves {
            asks.push(Ask::Advance(step.at));
            let said = self.step(step);
            let mut packet = |ask: Ask| {
                asks.push(ask);
                let mut named =
                    said.all_claims().flat_map(|claims| &claims.each).flat_map(|claim| &claim.named);
                if named.any(|named| matches!(named.value, Named::NoEntry)) {
                    asks.push(Ask::Table);
                }
            };
            match &step.act {
                Act::Packet(sent) => packet(Ask::Packet(sent.arrival.clone())),
                Act::Release(release, _) => packet(Ask::Release(*release)),
                Act::Set(setting) => asks.push(Ask::Set(setting.clone())),
                Act::Check => {
                    if let Action::Check(check) = &said.action {
                        claims::asks(check, step.at, self.tick, &mut asks);
                    }
                }
                Act::Hidden(_) | Act::Live | Act::Wait => {}
            }
        }
        // What is left, for those who look at it afterwards.
        asks.push(Ask::Table);
        Play { config: self.config.clone(), asks }
    }

    /// What is to be said of a world that was played.
    pub fn judge(&self, identity: Identity, play: Play, played: Played) -> Record {
        self.step_through(&mut Playback::new(identity, play, played))
    }

    /// The record of a world that a target did not play.
    pub fn broken(&self, identity: &Identity, refusal: Refusal) -> Record {
        let mut record = Record::new(self, identity);
        record.refused(0, super::plan::heading(self.script()), refusal);
        record
    }

    fn step_through(&self, target: &mut dyn Target) -> Record {
        let identity = target.identity();
        let mut world = World::new(self, &identity);
        let mut record = Record::new(self, &identity);
        if let Err(refusal) = target.begin(&self.config) {
            record.refused(0, super::plan::heading(self.script()), refusal);
            return record;
        }
        for (index, step) in self.moves.iter().enumerate() {
            record.time = record.time.max(step.at);
            if let Err(refusal) = record.make(&mut world, target, index, step) {
                record.refused(index, self.step(step).span, refusal);
                break;
            }
        }
        target.end();
        record
    }

    /// How a record of this plan is to be counted.
    pub fn verdict(&self, record: &Record) -> Verdict {
        if !record.failures.is_empty() {
            return Verdict::Failed;
        }
        if let Some((_, why)) = record.unsupported.first() {
            return Verdict::Unsupported(why.clone());
        }
        // What was never compared is not green.
        if record.claims == 0 || record.claims < record.of {
            return Verdict::Failed;
        }
        // Neither is what nobody could see.
        if record.seeable == 0 {
            let what = record.unseen.first().map_or("anything", |(_, what)| what.as_str());
            return Verdict::Unsupported(format!(
                "the target does not show {what}, and all claims are about that"
            ));
        }
        Verdict::Passed
    }

    /// How many packets came to the tracker.
    pub fn passed(&self, record: &Record) -> usize {
        let came = |step: &Move, seen: &Seen| matches!(step.act, Act::Packet(_)) && seen.packet.is_some();
        let seen = self.moves.iter().zip(&record.seen);
        seen.map(|(step, seen)| seen.passed.len() + usize::from(came(step, seen))).sum()
    }

    /// Why this plan is not for a target, before it is run.
    pub fn refuses(&self, identity: &Identity) -> Option<Verdict> {
        if let Some(not_yet) = self.not_yet() {
            return Some(Verdict::Unsupported(format!("{}: not in this version", not_yet.what)));
        }
        if let Some(protocol) = self.talks.protocols().find(|name| !identity.abilities.has(name)) {
            return Some(Verdict::Unsupported(format!("{} has no tracker for {protocol}", identity.name)));
        }
        let helpers = self.config.rules.helpers();
        if let Some(helper) =
            helpers.iter().find(|helper| !identity.abilities.helpers.iter().any(|name| name == helper.name()))
        {
            return Some(Verdict::Unsupported(format!(
                "{} has no helper for {}",
                identity.name,
                helper.name()
            )));
        }
        let translates = identity.abilities.nat && identity.abilities.rules == Rules::Own;
        if self.config.rules.translates() && !translates {
            return Some(Verdict::Unsupported(format!("{} translates no addresses", identity.name)));
        }
        let profiles = &self.story().profiles;
        if !profiles.is_empty() && profiles.iter().all(|profile| profile.value != identity.profile) {
            let names: Vec<&str> = profiles.iter().map(|profile| profile.value.as_str()).collect();
            return Some(Verdict::Skipped(format!(
                "holds for {}, not for {}",
                names.join(", "),
                identity.profile
            )));
        }
        if self.claims(&identity.profile) == 0 && self.is_qualified() {
            return Some(Verdict::Skipped(format!("it claims nothing about {}", identity.profile)));
        }
        None
    }

    /// Whether a claim is for certain profiles.
    fn is_qualified(&self) -> bool {
        self.story().steps.iter().any(|step| {
            !step.qualified.is_empty() || matches!(&step.action, Action::Check(Check::For { .. }))
        })
    }
}

impl Record {
    /// Nothing has happened yet.
    pub(super) fn new(plan: &Plan, identity: &Identity) -> Record {
        Record {
            seen: Vec::with_capacity(plan.moves.len()),
            failures: Vec::new(),
            unsupported: Vec::new(),
            unseen: Vec::new(),
            seeable: 0,
            claims: 0,
            of: plan.claims(&identity.profile),
            time: Time::ZERO,
            shows: identity.abilities.shows,
        }
    }

    /// Whether another run led to the same, as far as anybody can tell.
    pub fn is_like(&self, other: &Record) -> bool {
        let told = |record: &Record| format!("{:?} {:?}", record.seen, record.failures);
        told(self) == told(other)
    }

    /// Something that the story asks for cannot be.
    pub(super) fn fails(&mut self, at: usize, span: Span, what: String) {
        self.failures.push(Failure { at, mismatches: vec![Mismatch::new(span, "this to be done", what)] });
    }

    fn make(
        &mut self,
        world: &mut World<'_>,
        target: &mut dyn Target,
        index: usize,
        step: &Move,
    ) -> Result<(), Refusal> {
        let before = target.advance(step.at)?;
        world.happened(&before);
        let mut seen = Seen { before, ..Seen::default() };
        match &step.act {
            Act::Packet(sent) => {
                let turned = world.translated.turned(&sent.arrival);
                let arrival = turned.as_ref().unwrap_or(&sent.arrival);
                let observation = target.packet(arrival)?;
                if world.plan.config.rules.translates() {
                    world.translated.saw(&sent.arrival, arrival, &observation);
                }
                world.saw(step, &observation);
                let result = self.compare(world, target, step, arrival, sent.index, &observation)?;
                self.fail(index, result);
                seen.packet = Some(observation);
            }
            Act::Release(release, sent) => {
                let observation = target.release(release)?;
                world.translated.saw_going_on(release, &observation);
                world.saw(step, &observation);
                let came = world.translated.came(release).unwrap_or(&sent.arrival);
                let result = self.compare(world, target, step, came, sent.index, &observation)?;
                self.fail(index, result);
                seen.packet = Some(observation);
            }
            Act::Set(setting) => target.set(setting)?,
            Act::Check if !is_made(world, step) => {}
            Act::Check => {
                self.claims += 1;
                match claims::check(world, target, step) {
                    Ok(found) => {
                        self.time = self.time.max(found.until);
                        self.seeable += usize::from(!found.hidden);
                        seen.found = found.mismatches.iter().filter(|part| !part.unseen).cloned().collect();
                        self.fail(index, found.mismatches);
                    }
                    Err(silence) => self.silent(world.plan.step(step).span, silence)?,
                }
            }
            Act::Hidden(_) | Act::Live | Act::Wait => {}
        }
        self.seen.push(seen);
        Ok(())
    }

    /// Compares the claim about a packet, if there is one.
    fn compare(
        &mut self,
        world: &World<'_>,
        target: &mut dyn Target,
        step: &Move,
        arrival: &Arrival,
        index: usize,
        observation: &Observation,
    ) -> Result<Vec<Mismatch>, Refusal> {
        let profile = &world.identity.profile;
        let Some(claims) = world.plan.step(step).claims_for(profile) else { return Ok(Vec::new()) };
        let for_all = claims.each.last().filter(|_| claims.each.len() == 1 && index != UNCLAIMED);
        let claim = claims.each.get(index).or(for_all);
        let Some(claim) = claim else { return Ok(Vec::new()) };
        self.claims += 1;
        match claims::packet(world, target, claim, arrival, observation, step) {
            Ok(mismatches) => {
                self.see(claim.parts(), &mismatches);
                Ok(mismatches)
            }
            Err(silence) => self.silent(claim.span, silence).map(|()| Vec::new()),
        }
    }

    /// Counts a claim of so many parts as seen, unless none of them was.
    fn see(&mut self, parts: usize, mismatches: &[Mismatch]) {
        let unseen = mismatches.iter().filter(|mismatch| mismatch.unseen).count();
        self.seeable += usize::from(unseen < parts.max(1));
    }

    pub(super) fn fail(&mut self, at: usize, mismatches: Vec<Mismatch>) {
        let (unseen, mismatches): (Vec<Mismatch>, Vec<Mismatch>) =
            mismatches.into_iter().partition(|mismatch| mismatch.unseen);
        self.unseen.extend(unseen.into_iter().map(|part| (part.span, part.expected)));
        if !mismatches.is_empty() {
            self.failures.push(Failure { at, mismatches });
        }
    }

    pub(super) fn silent(&mut self, span: Span, silence: Silence) -> Result<(), Refusal> {
        match silence {
            Silence::Unsupported(what) => {
                self.unsupported.push((span, what));
                Ok(())
            }
            Silence::Refused(refusal) => Err(refusal),
        }
    }

    pub(super) fn refused(&mut self, at: usize, span: Span, refusal: Refusal) {
        match refusal {
            Refusal::Unsupported(what) => self.unsupported.push((span, what)),
            Refusal::Wrong(what) | Refusal::Broken(what) => {
                // What a program has said beside it stands in the lines below.
                let (what, detail) = what.split_once('\n').unwrap_or((&what, ""));
                let detail = (!detail.is_empty()).then(|| detail.to_owned());
                let mismatches =
                    vec![Mismatch { detail, ..Mismatch::new(span, "the target to do this", what) }];
                self.failures.push(Failure { at, mismatches });
            }
        }
    }
}

/// Whether a check is for the profile at hand.
fn is_made(world: &World<'_>, step: &Move) -> bool {
    matches!(&world.plan.step(step).action, Action::Check(check) if check.is_for(&world.identity.profile))
}

impl<'a> World<'a> {
    /// Nothing has happened yet.
    pub(super) fn new(plan: &'a Plan, identity: &'a Identity) -> World<'a> {
        let flows = plan.talks.talks.len();
        World {
            plan,
            identity,
            states: vec![Vec::new(); flows],
            classes: vec![Vec::new(); flows],
            events: Vec::new(),
            translated: Translated::new(&plan.config.routes),
        }
    }

    pub(super) fn happened(&mut self, events: &[Happening]) {
        self.events.extend_from_slice(events);
    }

    fn saw(&mut self, step: &Move, observation: &Observation) {
        let (sent, comes) = match &step.act {
            Act::Packet(sent) => (sent, true),
            Act::Release(_, sent) => (sent, false),
            _ => return,
        };
        self.noted(sent.shown.talk, comes, observation);
    }

    /// A packet of a flow came, or went on, and this was said of it.
    pub(super) fn noted(&mut self, talk: Option<usize>, comes: bool, observation: &Observation) {
        self.events.extend_from_slice(&observation.events);
        let Some(talk) = talk else { return };
        if comes {
            self.classes[talk].push(claims::class_of(observation.class));
        }
        let Some(entry) = &observation.entry else { return };
        let Some(state) = &entry.state else { return };
        // An ICMP error may be about another flow's entry.
        let owner = (0..self.states.len()).find(|index| claims::is_of(entry, self.plan.talk(*index)));
        let Some(owner) = owner else { return };
        let states = &mut self.states[owner];
        if states.last().is_none_or(|(id, last)| *id != entry.id || last != state) {
            states.push((entry.id, state.to_string()));
        }
    }
}
