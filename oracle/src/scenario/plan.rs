//! A scenario made ready to run: every packet is bytes and every moment a number before the first one is sent.
//!
//! What hosts send depends on what the scenario says and never on what the tracker answers, so one plan serves every
//! target. A plan is one world: one variant of `each`, in one family.

use std::sync::Arc;

use conntruth_engine::{Family, Rule, RuleSet, Time};

use crate::language::ast::claim::Check;
use crate::language::ast::packet::{Body, Packet, Path, Quoted, Stop, Way};
use crate::language::ast::{Action, HelperPort, NotYet, Script, Setting as SaidSetting, Span, Step, Story};
use crate::language::{Message, Messages};
use crate::target::{self, Arrival, Config, Fate, Release, Setting};

use super::build::Built;
use super::cut;
use super::id::{Id, telling};
use super::places;
use super::places::Lane;
use super::talks::{Talk, Talks};

/// The most packets that one scenario may send.
const MOST_PACKETS: usize = 100_000;
/// The most bytes that all its packets may have.
const MOST_BYTES: usize = 64 << 20;

/// One world, ready to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it is called.
    pub id: Id,
    script: Arc<Script>,
    story: usize,
    pub(crate) config: Config,
    pub(crate) moves: Vec<Move>,
    pub(crate) talks: Talks,
    pub(crate) tick: u64,
    /// Its hosts have acted: it is the packets that they sent.
    pub(super) is_tape: bool,
}

/// One thing that happens to the tracker, with the line that says so.
#[derive(Clone, Copy, Debug)]
pub struct Happening<'a> {
    /// When.
    pub at: Time,
    /// What.
    pub what: Happens<'a>,
    /// The line of the file, counted from one.
    pub line: usize,
    /// The step as it is written.
    pub text: &'a str,
}

/// What can happen to a tracker.
#[derive(Clone, Copy, Debug)]
pub enum Happens<'a> {
    /// A packet comes.
    Packet(&'a Arrival),
    /// A packet that waited goes on, or ends.
    Release(&'a Release, &'a Arrival),
    /// A sysctl changes.
    Set(&'a Setting),
    /// Time has passed.
    Time,
}

/// One thing that happens at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    pub at: Time,
    /// The step it comes from.
    pub step: usize,
    pub act: Act,
}

#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A packet reaches the tracker.
    Packet(Sent),
    /// A packet that waited goes on; the packet as it is then.
    Release(Release, Sent),
    /// The hosts see a packet that the tracker does not.
    Hidden(Shown),
    Set(Setting),
    /// The step's check is made.
    Check,
    /// Hosts, cables or the clock do what the step says.
    Live,
    /// Time passes up to here.
    Wait,
}

/// The number of a packet that no claim is about, though its step has some.
pub(crate) const UNCLAIMED: usize = usize::MAX;

/// A packet of the plan.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub arrival: Arrival,
    pub shown: Shown,
    /// Which of its step's packets it is, from 0.
    pub index: usize,
}

/// A packet for people.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// `S 0:0(0) win 64240`
    pub text: String,
    pub from: String,
    pub to: String,
    /// The flow, and which way along it.
    pub talk: Option<usize>,
    pub way: Way,
    pub label: Option<String>,
    /// The flow's name, where there are several.
    pub flow: Option<String>,
}

impl Plan {
    /// All worlds of a script: every variant of `each` in every family. `hz` is the target's.
    ///
    /// # Errors
    /// When a step cannot be turned into packets: an unknown host, flow or label, a piece that there is not.
    pub fn all(scenario: &str, script: &Arc<Script>, hz: u32) -> Result<Vec<Plan>, Messages> {
        let mut plans = Vec::new();
        let mut messages: Vec<Message> = Vec::new();
        let telling = telling(&script.stories);
        for (index, story) in script.stories.iter().enumerate() {
            for family in &story.families {
                let id = Id {
                    scenario: scenario.to_owned(),
                    family: (story.families.len() > 1).then_some(*family),
                    variant: telling.iter().filter_map(|at| story.variant.get(*at).cloned()).collect(),
                };
                match Plan::of(id, script, index, *family, hz) {
                    Ok(plan) => plans.push(plan),
                    // The same mistake in every variant is one mistake.
                    Err(message) if messages.iter().any(|other| other.title == message.title) => {}
                    Err(message) => messages.push(*message),
                }
            }
        }
        if messages.is_empty() {
            return Ok(plans);
        }
        Err(Messages { name: script.name.clone(), text: script.text.clone(), list: messages })
    }

    fn of(id: Id, script: &Arc<Script>, index: usize, family: Family, hz: u32) -> Result<Plan, Box<Message>> {
        let story = &script.stories[index];
        let planner = Planner::of(story, family, Lane::FIRST, hz, true)?;
        let config = config(story);
        let Planner { talks, moves, tick, .. } = planner;
        let mut plan =
            Plan { id, script: Arc::clone(script), story: index, config, moves, talks, tick, is_tape: false };
        if plan.has_hosts() {
            plan.config.routes = plan.try_world()?;
        }
        Ok(plan)
    }

    /// The plan once its hosts have acted, and this is what they sent.
    pub(super) fn with_moves(self, moves: Vec<Move>) -> Plan {
        Plan { moves, ..self }
    }

    pub(super) fn with_tape(self, moves: Vec<Move>) -> Plan {
        Plan { moves, is_tape: true, ..self }
    }

    /// The file it comes from.
    pub fn script(&self) -> &Arc<Script> {
        &self.script
    }

    /// The variant it is.
    pub fn story(&self) -> &Story {
        &self.script.stories[self.story]
    }

    /// What of it belongs to a later version.
    pub fn not_yet(&self) -> Option<&NotYet> {
        let in_steps = |step: &'_ Step| matches!(step.action, Action::NotYet(_));
        self.story().not_yet.first().or_else(|| {
            self.story().steps.iter().find(|step| in_steps(step)).and_then(|step| match &step.action {
                Action::NotYet(not_yet) => Some(not_yet),
                _ => None,
            })
        })
    }

    /// How many claims it makes about trackers of a profile.
    pub fn claims(&self, profile: &str) -> usize {
        let claims = |step: &&Move| match (&step.act, &self.step(step).action) {
            (Act::Packet(_) | Act::Release(..) | Act::Live, _) => {
                self.step(step).claims_for(profile).is_some()
            }
            (Act::Check, Action::Check(check)) => check.is_for(profile),
            _ => false,
        };
        self.moves.iter().filter(claims).count()
    }

    /// How many packets it sends through the tracker.
    pub fn packets(&self) -> usize {
        self.moves.iter().filter(|step| matches!(step.act, Act::Packet(_))).count()
    }

    /// How the tracker is set up before the first step.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// All that happens to the tracker, in order.
    pub fn happens(&self) -> impl Iterator<Item = Happening<'_>> {
        self.moves.iter().map(|step| {
            let text = &self.script.text;
            let span = self.step(step).action_span;
            Happening {
                at: step.at,
                what: match &step.act {
                    Act::Packet(sent) => Happens::Packet(&sent.arrival),
                    Act::Release(release, sent) => Happens::Release(release, &sent.arrival),
                    Act::Set(setting) => Happens::Set(setting),
                    Act::Hidden(_) | Act::Check | Act::Live | Act::Wait => Happens::Time,
                },
                line: super::line_and_column(text, span.start).0,
                text: text.get(span.range()).unwrap_or_default(),
            }
        })
    }

    pub(crate) fn step(&self, step: &Move) -> &Step {
        &self.story().steps[step.step]
    }

    /// Which step of the story a move comes from, from 0.
    pub(crate) fn step_number(&self, at: usize) -> usize {
        self.moves.get(at).map_or(0, |step| step.step)
    }

    pub(crate) fn talk(&self, index: usize) -> &Talk {
        &self.talks.talks[index]
    }
}

/// The packets alone that a story sends through the tracker in one family, from the addresses of a lane: for those who
/// compare thousands of small worlds and show few of them. What else the story does (settings between its steps,
/// checks) is left out.
///
/// # Errors
/// As [`Plan::all`].
pub fn arrivals(story: &Story, family: Family, lane: Lane, hz: u32) -> Result<Vec<Arrival>, Box<Message>> {
    let planner = Planner::of(story, family, lane, hz, false)?;
    let packets = planner.moves.into_iter().filter_map(|step| match step.act {
        Act::Packet(sent) => Some(sent.arrival),
        _ => None,
    });
    Ok(packets.collect())
}

/// All that happens in a story in one family, not put into words.
///
/// # Errors
/// As [`Plan::all`].
pub(crate) fn moves(story: &Story, family: Family, hz: u32) -> Result<Vec<Move>, Box<Message>> {
    Ok(Planner::of(story, family, Lane::FIRST, hz, false)?.moves)
}

/// How the tracker is to be before a story's first step.
pub fn config(story: &Story) -> Config {
    let mut rules = RuleSet::default();
    story.helpers.iter().flat_map(assigning).for_each(|rule| rules.push(rule));
    story.rules.iter().for_each(|rule| rules.push(rule.value.clone()));
    Config { settings: story.settings.iter().map(setting).collect(), routes: places::routes(story), rules }
}

/// The rules that assign a helper to connections to a port: of others, and of the tracker's own host.
fn assigning(port: &HelperPort) -> impl Iterator<Item = Rule> {
    let HelperPort { helper, protocol, port } = *port;
    let (helper, protocol, port) = (helper.value.name(), protocol.value, port.value);
    ["prerouting", "output"].into_iter().filter_map(move |hook| {
        Rule::read(&format!("mangle {hook} {protocol} dport {port} ct helper set \"{helper}\"")).ok()
    })
}

/// What a packet is sent in: itself, or its fragments.
type Pieces = Vec<Vec<u8>>;

/// A plan while it is made, step by step.
#[derive(Clone)]
pub(crate) struct Planner {
    pub talks: Talks,
    pub moves: Vec<Move>,
    pub now: Time,
    tick: u64,
    /// How many bytes all packets have so far.
    bytes: usize,
    /// The packets that were to wait, with their labels.
    waiting: Vec<(String, Sent)>,
    /// Whether packets are put into words, for people.
    worded: bool,
    /// Whether a packet can leave for another host than it was sent to.
    translates: bool,
}

impl Planner {
    /// A plan of a story's heading alone.
    pub fn begin(
        story: &Story,
        family: Family,
        lane: Lane,
        hz: u32,
        worded: bool,
    ) -> Result<Planner, Box<Message>> {
        Ok(Planner {
            talks: Talks::new(story, family, lane, worded)?,
            moves: Vec::with_capacity(story.steps.len()),
            now: Time::ZERO,
            tick: 1_000_000_000 / u64::from(hz.max(1)),
            bytes: 0,
            waiting: Vec::new(),
            worded,
            translates: story.rules.iter().any(|rule| rule.value.translates()),
        })
    }

    /// Plans a whole story.
    fn of(story: &Story, family: Family, lane: Lane, hz: u32, worded: bool) -> Result<Planner, Box<Message>> {
        let mut planner = Planner::begin(story, family, lane, hz, worded)?;
        for (number, step) in story.steps.iter().enumerate() {
            planner.step(number, step)?;
        }
        Ok(planner)
    }

    /// Adds what a step does.
    pub fn step(&mut self, number: usize, step: &Step) -> Result<(), Box<Message>> {
        if let Some(after) = step.after {
            self.now = self.now.plus(Time(after.value.nanos(self.tick)));
        }
        match &step.action {
            Action::Wait => self.push(number, Act::Wait),
            Action::Set(said) => self.push(number, Act::Set(setting(said))),
            Action::Check(check) => {
                self.push(number, Act::Check);
                if let Check::Expires { after, .. } = check.itself() {
                    self.now = deadline(self.now, after.value.nanos(self.tick), self.tick);
                }
            }
            Action::Hidden(steps) => {
                for inner in steps {
                    if let Some(after) = inner.after {
                        self.now = self.now.plus(Time(after.value.nanos(self.tick)));
                    }
                    for (built, _) in self.built(inner)? {
                        let shown = self.shown(&built, inner);
                        self.push(number, Act::Hidden(shown));
                    }
                }
            }
            Action::Send { .. } | Action::Opened { .. } => self.send(number, step)?,
            Action::Release { label, goes_on } => {
                let fate = if *goes_on { Fate::Passes } else { Fate::Dropped };
                self.release(number, &label.value, fate, step.span)?;
            }
            Action::Deed(_) | Action::Run(_) | Action::Cable(_) | Action::Offload(_) => {
                self.push(number, Act::Live);
            }
            Action::NotYet(_) => {}
        }
        Ok(())
    }

    fn send(&mut self, number: usize, step: &Step) -> Result<(), Box<Message>> {
        let first = self.moves.len();
        for (built, pieces) in self.built(step)? {
            let count = pieces.len();
            for (piece, bytes) in pieces.into_iter().enumerate() {
                let mut shown = self.shown(&built, step);
                if count > 1 && self.worded {
                    shown.text = format!("{}, fragment {} of {count}", shown.text, piece + 1);
                }
                let arrival = self.arrival(&built, bytes, step);
                let index = self.moves.len() - first;
                let sent = Sent { arrival, shown, index };
                if let (Fate::Waits, Some(label)) = (sent.arrival.fate, &step.label) {
                    self.waiting.push((label.value.clone(), sent.clone()));
                }
                self.push(number, Act::Packet(sent));
            }
        }
        let sent = self.moves.len() - first;
        match step.all_claims().find(|claims| claims.each.len() > 1 && claims.each.len() != sent) {
            Some(claims) => {
                let said = claims.each.len();
                Err(Message::new(format!("{said} claims for {sent} packet{}", plural(sent)), claims.span)
                    .help("one claim holds for all packets of its step; otherwise there is one for each")
                    .into())
            }
            None => Ok(()),
        }
    }

    /// A packet that waits goes on, or ends where it is.
    fn release(&mut self, number: usize, label: &str, fate: Fate, span: Span) -> Result<(), Box<Message>> {
        let Some(waiting) = self.waiting.iter().position(|(other, _)| other == label) else {
            return Err(Message::new(format!("no packet `{label}` waits"), span).into());
        };
        let mut sent = self.waiting[waiting].1.clone();
        let verb = if fate == Fate::Passes { "goes on" } else { "is lost" };
        sent.shown.label = None;
        sent.shown.text = format!("{label} {verb}: {}", sent.shown.text);
        sent.arrival = Arrival { at: self.now, fate, ..sent.arrival };
        sent.index = 0;
        self.push(number, Act::Release(Release { at: self.now, waiting, fate }, sent));
        Ok(())
    }

    /// The packets of a step, each with the pieces that it is sent in.
    fn built(&mut self, step: &Step) -> Result<Vec<(Built, Pieces)>, Box<Message>> {
        let span = step.span;
        let (times, packet) = match &step.action {
            Action::Opened { flow } => {
                let built = self.talks.opened(flow.as_ref(), self.now, span)?;
                return Ok(built.into_iter().map(|built| (built.clone(), vec![built.whole()])).collect());
            }
            Action::Send { times, packet } => (*times as usize, packet),
            _ => return Ok(Vec::new()),
        };
        if self.moves.len() + times > MOST_PACKETS {
            return Err(Message::new(format!("more than {MOST_PACKETS} packets"), span).into());
        }
        // One that waits is on its way: what the hosts send next counts it in.
        let arrives = fate(packet) != Fate::Dropped;
        let mut all = Vec::with_capacity(times);
        for _ in 0..times {
            let built = self.talks.packet(packet, self.now, arrives, span)?;
            if !self.translates {
                stops_on_its_way(packet, built.route.path(), span)?;
            }
            let pieces = cut::pieces(&built, &packet.cut, &packet.pokes, span)?;
            self.bytes += pieces.iter().map(Vec::len).sum::<usize>();
            if self.bytes > MOST_BYTES {
                return Err(
                    Message::new(format!("more than {} MiB of packets", MOST_BYTES >> 20), span).into()
                );
            }
            all.push((built, pieces));
        }
        if let (Some(label), Some((built, pieces))) = (&step.label, all.last()) {
            self.talks.label(label, built, pieces.first().map_or(&[], |piece| piece));
        }
        Ok(all)
    }

    fn shown(&self, built: &Built, step: &Step) -> Shown {
        let name = |index: usize| {
            if !self.worded {
                return String::new();
            }
            let spot = built.route.spots[index];
            self.talks.places.name_of(spot.address).map_or_else(|| spot.address.to_string(), str::to_owned)
        };
        Shown {
            text: built.shown.clone(),
            from: name(0),
            to: name(1),
            talk: built.route.talk,
            way: built.route.way,
            label: step.label.as_ref().filter(|_| self.worded).map(|label| label.value.clone()),
            flow: built
                .route
                .talk
                .filter(|_| self.worded)
                .and_then(|talk| self.talks.talks[talk].name.clone()),
        }
    }

    fn arrival(&self, built: &Built, bytes: Vec<u8>, step: &Step) -> Arrival {
        let fate = match &step.action {
            Action::Send { packet, .. } => fate(packet),
            _ => Fate::Passes,
        };
        let interface = |index: usize| built.route.spots[index].side.map(|side| side.name().to_owned());
        Arrival {
            at: self.now,
            bytes,
            path: built.route.path(),
            iif: interface(0),
            oif: interface(1),
            fate,
            notrack: built.notrack,
            zone: built.zone,
            mark: None,
            helper: None,
            follows: follows(&step.action),
        }
    }

    fn push(&mut self, step: usize, act: Act) {
        self.moves.push(Move { at: self.now, step, act });
    }
}

/// Whether a packet is one whose ends follow from how those before it left.
fn follows(action: &Action) -> bool {
    let Action::Send { packet, .. } = action else { return true };
    let quotes = |body: &Body| match body {
        Body::Icmp(icmp) => icmp.quote.as_ref().is_some_and(|quote| matches!(quote.what, Quoted::Label(_))),
        _ => false,
    };
    matches!(packet.path, Path::Flow { .. } | Path::Same) || quotes(&packet.body)
}

/// A packet is lost, or waits, at a hook that it comes to. Where addresses are translated its way is not known before.
fn stops_on_its_way(packet: &Packet, path: target::Path, span: Span) -> Result<(), Box<Message>> {
    let (verb, hook) = match packet.stop {
        Some(Stop::Lost(Some(hook))) => ("be lost", hook),
        Some(Stop::Waits(Some(hook))) => ("wait", hook),
        _ => return Ok(()),
    };
    if path.route().hooks().contains(&hook) {
        return Ok(());
    }
    let way: Vec<&str> = path.route().hooks().iter().map(|hook| hook.word()).collect();
    Err(Message::new(format!("the packet cannot {verb} in {}: it does not come there", hook.word()), span)
        .help(format!("its way is {}", way.join(", ")))
        .into())
}

fn fate(packet: &Packet) -> Fate {
    match packet.stop {
        None => Fate::Passes,
        Some(Stop::Lost(_)) => Fate::Dropped,
        Some(Stop::Waits(_)) => Fate::Waits,
    }
}

/// The moment at which what was set `length` ago, at `now`, ends: the first of a tick.
pub(crate) fn deadline(now: Time, length: u64, tick: u64) -> Time {
    let floor = now.as_nanos() / tick * tick;
    Time(floor).plus(Time(length))
}

fn setting(said: &SaidSetting) -> Setting {
    Setting { name: said.knob.value.short_name().to_owned(), value: said.value.value }
}

pub(crate) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Where a story's own text stands, for what concerns all of it.
pub(crate) fn heading(script: &Script) -> Span {
    let end = script.text.find('\n').unwrap_or(script.text.len());
    Span::new(0, end)
}
