//! Any program as a target: `exec:COMMAND`, JSON lines on its stdin and stdout.
//!
//! The protocol is described in `PROTOCOL.md` beside this crate's manifest; [`wire`] is its types, and [`serve`] its
//! other side. The program is not trusted: what it does wrong is a result of the scenario in which it did so, and the
//! next scenario gets a fresh process.

mod answers;
mod clocked;
mod convert;
pub mod manual;
mod process;
mod schema;
mod serve;
mod time;
pub mod wire;
mod worlds;

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use conntruth_engine::{Counter, Helper, Knob, Profile, Time};

use super::fates::Fates;
use super::{
    Arrival, Batch, Config, Entry, Expected, Happening, Identity, Observation, Passing, Play, Played,
    Refusal, Release, Rules, Setting, Sight, Target, batch,
};
use answers::{hint, kind_is_wrong};
use convert::Known;
use process::{Process, shown};
use schema::{Checker, Says};
use wire::{Answer, Request};

pub use clocked::Clocked;
pub use schema::schema;
pub use serve::{Null, Style, serve};

/// What a program may take before it is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long it may take for an answer.
    pub answer: Duration,
    /// How many bytes of an answer are read.
    pub output: usize,
    /// Hold every message, in both directions, against the schema.
    pub validate: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { answer: Duration::from_secs(5), output: 64 << 20, validate: false }
    }
}

/// After so many starts in a row without an answer it is not started again.
const MOST_STARTS: u32 = 3;
/// So many messages are kept, to show what was said first.
const FIRST: usize = 4;

/// A program that speaks the protocol.
pub struct Exec {
    words: Vec<String>,
    /// Answers that were kept, in the place of a program.
    recorded: Option<Vec<u8>>,
    limits: Limits,
    patience: Duration,
    profile: &'static Profile,
    process: Option<Process>,
    checker: Option<Checker>,
    identity: Identity,
    takes: wire::Takes,
    settings: Option<Vec<String>>,
    /// Starts in a row that led to no answer.
    failed: u32,
    known: Known,
    /// What rules do to the packets of this world, for an adapter that has none.
    fates: Option<Fates>,
    /// The scenario's time, as it was last told.
    now: Time,
    begun: Option<Instant>,
    /// The longest that it has been late in this world.
    late: Time,
    talk: Vec<String>,
    first: Arc<OnceLock<String>>,
}

impl Exec {
    /// Starts the program, and asks who it is.
    ///
    /// # Errors
    /// When it cannot be started, or does not say hello.
    pub fn new(
        command: &str,
        profile: &'static Profile,
        patience: Duration,
        limits: Limits,
    ) -> Result<Exec, Refusal> {
        let words = shlex::split(command)
            .ok_or_else(|| Refusal::Wrong(format!("a quote does not end in `{command}`")))?;
        Exec::greeted(words, None, profile, patience, limits)
    }

    /// An adapter that gives these answers, one line to each request, whatever it is asked: a conversation that was kept.
    ///
    /// # Errors
    /// When they do not begin with hello.
    pub fn recorded(answers: &[u8], profile: &'static Profile, limits: Limits) -> Result<Exec, Refusal> {
        Exec::greeted(Vec::new(), Some(answers.to_vec()), profile, Duration::ZERO, limits)
    }

    fn greeted(
        words: Vec<String>,
        recorded: Option<Vec<u8>>,
        profile: &'static Profile,
        patience: Duration,
        limits: Limits,
    ) -> Result<Exec, Refusal> {
        let checker = if limits.validate { Some(Checker::new().map_err(Refusal::Broken)?) } else { None };
        let mut exec = Exec {
            words,
            recorded,
            limits,
            patience,
            profile,
            process: None,
            checker,
            identity: Identity {
                name: String::new(),
                version: String::new(),
                profile: profile.name.to_owned(),
                hz: profile.hz,
                abilities: convert::abilities(&wire::Hello::nobody()),
            },
            takes: wire::Takes::Steps,
            settings: None,
            failed: 0,
            known: Known::default(),
            fates: None,
            now: Time::ZERO,
            begun: None,
            late: Time::ZERO,
            talk: Vec::new(),
            first: Arc::new(OnceLock::new()),
        };
        let hello = exec.start()?;
        exec.introduce(&hello)?;
        Ok(exec)
    }

    fn introduce(&mut self, hello: &wire::Hello) -> Result<(), Refusal> {
        if let Some(name) = &hello.profile {
            self.profile = Profile::find(name).ok_or_else(|| {
                Refusal::Wrong(format!(
                    "it is to be held to `{}`, which is no profile of `conntruth profiles`",
                    shown(name.as_bytes(), 60)
                ))
            })?;
        }
        let hz = hello.hz.unwrap_or(self.profile.hz);
        if !(1..=1_000_000_000).contains(&hz) {
            return Err(Refusal::Wrong(format!("{hz} ticks a second are none")));
        }
        self.identity = Identity {
            name: shown(hello.name.as_bytes(), 60),
            version: shown(hello.version.as_bytes(), 60),
            profile: self.profile.name.to_owned(),
            hz,
            abilities: convert::abilities(hello),
        };
        self.takes = hello.takes;
        self.settings.clone_from(&hello.settings);
        Ok(())
    }

    /// A fresh process that has said hello.
    fn start(&mut self) -> Result<wire::Hello, Refusal> {
        if self.failed >= MOST_STARTS {
            return Err(Refusal::Broken(format!(
                "the adapter was started {MOST_STARTS} times and did not say hello: it is not started again"
            )));
        }
        self.failed += 1;
        let process = match &self.recorded {
            Some(answers) => Ok(Process::recorded(answers)),
            None => Process::start(&self.words, self.limits.output),
        };
        self.process = Some(process.map_err(Refusal::Broken)?);
        let greeting = Request::Hello(wire::Greeting {
            protocol: wire::PROTOCOL,
            conntruth: env!("CARGO_PKG_VERSION").to_owned(),
            profile: self.profile.name.to_owned(),
        });
        let hello = match self.ask(&greeting)? {
            Answer::Hello(hello) => hello,
            other => return Err(self.nonsense(&kind_is_wrong(&other, "hello"))),
        };
        if hello.protocol != wire::PROTOCOL {
            let (theirs, ours) = (hello.protocol, wire::PROTOCOL);
            return Err(self.end(&format!("the adapter speaks version {theirs} of the protocol, not {ours}")));
        }
        self.failed = 0;
        Ok(hello)
    }

    /// A process, where there is none.
    fn wake(&mut self) -> Result<(), Refusal> {
        if self.process.is_none() { self.start().map(|_| ()) } else { Ok(()) }
    }

    /// Asks for a step, where the adapter has what that needs.
    fn put(&mut self, step: &Request) -> Result<Answer, Refusal> {
        match self.cannot(step) {
            Some(refusal) => Err(refusal),
            None => self.ask(step),
        }
    }

    /// Says a line, and reads what is answered.
    fn ask(&mut self, request: &Request) -> Result<Answer, Refusal> {
        let most = self.limits.output;
        match self.process.as_mut().map(|process| process.unasked(most)) {
            Some(Ok(Some(line))) => {
                let line = shown(&line, 200);
                return Err(self.nonsense(&format!("it spoke without being asked: `{line}`")));
            }
            Some(Err(trouble)) => return Err(self.end(&trouble.to_string())),
            Some(Ok(None)) | None => {}
        }
        self.say(request)?;
        self.answer()
    }

    fn say(&mut self, request: &Request) -> Result<(), Refusal> {
        let mut line = serde_json::to_vec(request).map_err(|error| Refusal::Broken(error.to_string()))?;
        if let Some(wrong) = self.checker.as_ref().and_then(|checker| checker.wrong(&line, Says::Conntruth)) {
            return Err(Refusal::Broken(format!("Conntruth itself breaks the protocol: {wrong}")));
        }
        if self.talk.len() < 2 * FIRST {
            self.talk.push(format!("> {}", shown(&line, 600)));
        }
        line.push(b'\n');
        match &mut self.process {
            Some(process) => process.say(line),
            None => return Err(Refusal::Broken("the adapter does not run".to_owned())),
        }
        Ok(())
    }

    /// The next answer.
    fn answer(&mut self) -> Result<Answer, Refusal> {
        let Limits { answer: patience, output, .. } = self.limits;
        let line = match self.process.as_mut().map(|process| process.line(patience, output)) {
            Some(Ok(line)) => line,
            Some(Err(trouble)) => return Err(self.end(&trouble.to_string())),
            None => return Err(Refusal::Broken("the adapter does not run".to_owned())),
        };
        if self.talk.len() < 2 * FIRST {
            self.talk.push(format!("< {}", shown(&line, 600)));
            let _ = if self.talk.len() == 2 * FIRST { self.first.set(self.talk.join("\n")) } else { Ok(()) };
        }
        if let Some(wrong) = self.checker.as_ref().and_then(|checker| checker.wrong(&line, Says::Adapter)) {
            let line = shown(&line, 300);
            return Err(self.nonsense(&format!("its answer breaks the protocol: {wrong}, in `{line}`")));
        }
        serde_json::from_slice(&line).map_err(|error| {
            let (text, help) = (shown(&line, 300), hint(&line, self.checker.is_some()));
            self.nonsense(&format!("its answer breaks the protocol: {error}, in `{text}`{help}"))
        })
    }

    /// Ends the process for what it has said.
    fn nonsense(&mut self, what: &str) -> Refusal {
        self.end(&format!("the adapter was ended: {what}"))
    }

    /// Ends the process; why, and the end of its stderr.
    fn end(&mut self, what: &str) -> Refusal {
        let stderr = self.process.take().map(Process::end).unwrap_or_default();
        let _ = self.first.set(self.talk.join("\n"));
        let mut text = what.to_owned();
        for line in stderr.lines() {
            text.push_str("\n| ");
            text.push_str(line);
        }
        Refusal::Broken(text)
    }

    /// What is missing for a configuration, as far as the adapter has said.
    fn lacks(&self, setting: &Setting) -> Option<Refusal> {
        let settings = self.settings.as_ref()?;
        let is_there = settings.iter().any(|name| *name == setting.name || is_knob(name, &setting.name));
        (!is_there).then(|| {
            Refusal::Unsupported(format!("{} has no setting `{}`", self.identity.name, setting.name))
        })
    }

    /// What is missing for a world.
    fn misses(&self, config: &Config) -> Option<Refusal> {
        let abilities = &self.identity.abilities;
        let has = |helper: &Helper| abilities.helpers.iter().any(|name| *name == helper.name());
        if let Some(helper) = config.rules.helpers().into_iter().find(|helper| !has(helper)) {
            let (name, helper) = (&self.identity.name, helper.name());
            return Some(Refusal::Unsupported(format!("{name} has no helper `{helper}`")));
        }
        if config.rules.translates() && abilities.rules == Rules::Own {
            let name = &self.identity.name;
            if !abilities.nat {
                return Some(Refusal::Unsupported(format!("{name} has no address translation")));
            }
            if self.is_played() {
                let what = "what answers a translated packet depends on how it left";
                return Some(Refusal::Unsupported(format!("{what}, and {name} takes whole worlds")));
            }
        }
        config.settings.iter().find_map(|setting| self.lacks(setting))
    }

    /// What is missing for a step, as far as the adapter has said.
    fn cannot(&self, step: &Request) -> Option<Refusal> {
        let abilities = &self.identity.abilities;
        let lacks = |what: &str| Refusal::Unsupported(format!("{} has no {what}", self.identity.name));
        match step {
            Request::Set(set) => self.lacks(&Setting { name: set.name.clone(), value: set.value }),
            Request::Packet(packet) if packet.zone != 0 && !abilities.zones => Some(lacks("zones")),
            Request::Packet(packet) if packet.mark.is_some() && !abilities.marks => Some(lacks("marks")),
            Request::Packet(packet) if packet.path != wire::Path::Forward && !abilities.own_host => {
                Some(lacks("packets of its own host"))
            }
            _ => None,
        }
    }
}

impl Target for Exec {
    fn identity(&self) -> Identity {
        self.identity.clone()
    }

    #[allow(clippy::disallowed_methods)] // The adapter's clock may be the real one.
    fn begin(&mut self, config: &Config) -> Result<(), Refusal> {
        if let Some(refusal) = self.misses(config) {
            return Err(refusal);
        }
        let rules = self.identity.abilities.rules;
        self.fates = match rules {
            Rules::Own => None,
            Rules::Told => Fates::new(self.profile, config, &self.identity.abilities.shows)?,
        };
        self.wake()?;
        self.fresh(Instant::now());
        let begin = convert::begin(config, self.profile.name, rules);
        let answer = self.ask(&Request::Begin(begin))?;
        self.done(answer)
    }

    fn set(&mut self, setting: &Setting) -> Result<(), Refusal> {
        self.fates.iter_mut().for_each(|fates| fates.set(setting));
        let answer = self.put(&Request::Set(convert::setting(setting)))?;
        self.done(answer)
    }

    fn packet(&mut self, arrival: &Arrival) -> Result<Observation, Refusal> {
        let Some(told) = self.fates.as_mut().map(|fates| fates.tell(arrival)).transpose()? else {
            let answer = self.put(&Request::Packet(convert::packet(arrival)))?;
            return self.observed(answer);
        };
        let seen = match &told.arrival {
            Some(arrival) => {
                let answer = self.put(&Request::Packet(convert::packet(arrival)))?;
                Some(self.observed(answer)?)
            }
            None => None,
        };
        Ok(told.seen(seen))
    }

    fn release(&mut self, release: &Release) -> Result<Observation, Refusal> {
        let answer = self.ask(&Request::Release(convert::release(release)))?;
        self.observed(answer)
    }

    fn advance(&mut self, to: Time) -> Result<Vec<Happening>, Refusal> {
        if !self.come(to)? {
            return Ok(Vec::new());
        }
        self.fates.iter_mut().for_each(|fates| fates.advance(to));
        let answer = self.ask(&Request::Advance(wire::Advance { to_ns: to.as_nanos() }))?;
        self.happened(answer)
    }

    fn table(&mut self) -> Result<Vec<Entry>, Refusal> {
        if !self.identity.abilities.shows.table {
            // Nobody looks at it.
            return Ok(Vec::new());
        }
        let answer = self.ask(&Request::Table(wire::Bare {}))?;
        self.listed(answer)
    }

    fn expectations(&mut self) -> Result<Vec<Expected>, Refusal> {
        let answer = self.ask(&Request::Expectations(wire::Bare {}))?;
        self.expected(answer)
    }

    fn counters(&mut self) -> Result<Vec<(String, Counter)>, Refusal> {
        if self.identity.abilities.rules == Rules::Told {
            // They are not the adapter's, and nobody looks at them.
            return Ok(Vec::new());
        }
        let answer = self.ask(&Request::Counters(wire::Bare {}))?;
        self.counted(answer)
    }

    fn batch(&mut self, batch: &Batch) -> Result<Vec<Vec<Sight>>, Refusal> {
        batch::played(self, batch)
    }

    fn is_played(&self) -> bool {
        // Whoever has a clock of its own must be asked step by step.
        let is_told = matches!(self.identity.abilities.time, Passing::Virtual | Passing::None);
        self.takes == wire::Takes::Worlds && is_told
    }

    fn play(&mut self, plays: &[Play]) -> Result<Vec<Played>, Refusal> {
        if !self.is_played() {
            return Ok(plays.iter().map(|play| play.ask(self)).collect());
        }
        let mut played: Vec<Played> = Vec::with_capacity(plays.len());
        while played.len() < plays.len() {
            match self.wake() {
                Ok(()) => self.play_ahead(&plays[played.len()..], &mut played),
                Err(refusal) => played.push(Played { refused: Some(refusal), said: Vec::new() }),
            }
        }
        Ok(played)
    }

    fn first_exchange(&self) -> Option<Arc<OnceLock<String>>> {
        Some(Arc::clone(&self.first))
    }

    fn end(&mut self) {
        if self.process.is_some() {
            // That it does not like the end of a world, the next one will show.
            let _ = self.ask(&Request::End(wire::Bare {})).and_then(|answer| self.done(answer));
        }
        let _ = self.first.set(self.talk.join("\n"));
    }
}

impl wire::Hello {
    /// One that says nothing of itself.
    fn nobody() -> wire::Hello {
        wire::Hello {
            protocol: wire::PROTOCOL,
            name: String::new(),
            version: String::new(),
            profile: None,
            hz: None,
            takes: wire::Takes::Steps,
            time: wire::Clock::Virtual,
            confirm: wire::Confirm::AtHook,
            shows: Vec::new(),
            protocols: Vec::new(),
            settings: None,
            helpers: Vec::new(),
            nat: false,
            zones: false,
            own_host: false,
            rules: false,
            marks: false,
        }
    }
}

/// Whether both are names of one sysctl, written out or not.
fn is_knob(one: &str, other: &str) -> bool {
    Knob::find(one).is_some_and(|knob| Knob::find(other) == Some(knob))
}
