//! The protocol's other side: a target of ours as an adapter, for those who want to see a right conversation.

use std::io::{BufRead, Write};

use conntruth_engine::{Class, CtInfo, Time, Verdict};

use super::wire::{self, Answer, Request};
use super::{convert, shown};
use crate::target::{
    Arrival, Config, Entry, Happening, Identity, Observation, Passing, Reasons, Refusal, Rules, Setting,
    Shows, Target,
};

/// How a target is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// What is in a message.
    pub takes: wire::Takes,
    /// Whether rules are left to the target, where it has any.
    pub rules: bool,
}

/// Answers the requests that come in, one line each, until they end.
///
/// # Errors
/// When a line cannot be read or written.
pub fn serve(
    target: &mut dyn Target,
    style: Style,
    input: impl BufRead,
    mut output: impl Write,
) -> std::io::Result<()> {
    let mut line = Vec::new();
    for request in input.split(b'\n') {
        let answer = match serde_json::from_slice(&request?) {
            Ok(request) => answer(target, style, request),
            Err(error) => failed(format!("this is no request: {error}")),
        };
        line.clear();
        serde_json::to_writer(&mut line, &answer)?;
        line.push(b'\n');
        output.write_all(&line)?;
        output.flush()?;
    }
    Ok(())
}

fn failed(reason: String) -> Answer {
    Answer::Error(wire::Failed { reason, context: None })
}

fn answer(target: &mut dyn Target, style: Style, request: Request) -> Answer {
    match request {
        Request::Hello(_) => Answer::Hello(hello(&target.identity(), style)),
        Request::Begin(begin) => begun(target, begin),
        Request::Set(set) => done(target.set(&convert::our_setting(set))),
        Request::Packet(packet) => {
            result(target.packet(&convert::arrival(packet)), |seen| Answer::Packet(convert::seen(seen)))
        }
        Request::Release(release) => {
            result(target.release(&convert::our_release(release)), |seen| Answer::Packet(convert::seen(seen)))
        }
        Request::Advance(advance) => result(target.advance(Time(advance.to_ns)), |events| {
            Answer::Events(wire::Events { events: convert::our_events(events) })
        }),
        Request::Table(_) => result(target.table(), |entries| {
            Answer::Table(wire::Table { entries: entries.iter().map(convert::our_entry).collect() })
        }),
        Request::Expectations(_) => {
            result(target.expectations(), |list| Answer::Expectations(convert::our_expectations(list)))
        }
        Request::Counters(_) => {
            result(target.counters(), |list| Answer::Counters(convert::our_counters(list)))
        }
        Request::End(_) => {
            target.end();
            Answer::Done(wire::Bare {})
        }
        Request::World(world) => self::world(target, style, world),
    }
}

fn world(target: &mut dyn Target, style: Style, world: wire::World) -> Answer {
    if let refused @ (Answer::Unsupported(_) | Answer::Error(_)) = begun(target, world.begin) {
        return refused;
    }
    let mut answers = Vec::with_capacity(world.steps.len());
    for step in world.steps {
        let reads = matches!(step, Request::Table(_) | Request::Expectations(_) | Request::Counters(_));
        if matches!(step, Request::World(_) | Request::Hello(_) | Request::Begin(_)) {
            return failed("a world has no such step".to_owned());
        }
        let answer = answer(target, style, step);
        let is_over = matches!(answer, Answer::Unsupported(_) | Answer::Error(_)) && !reads;
        answers.push(answer);
        if is_over {
            break;
        }
    }
    target.end();
    Answer::World(wire::Answers { answers })
}

fn begun(target: &mut dyn Target, begin: wire::Begin) -> Answer {
    match convert::config(begin) {
        Ok(config) => done(target.begin(&config)),
        Err(what) => failed(what),
    }
}

fn done(result: Result<(), Refusal>) -> Answer {
    self::result(result, |()| Answer::Done(wire::Bare {}))
}

fn result<T>(result: Result<T, Refusal>, is: impl FnOnce(T) -> Answer) -> Answer {
    match result {
        Ok(value) => is(value),
        Err(Refusal::Unsupported(reason)) => Answer::Unsupported(wire::Unsupported { reason, issue: None }),
        Err(Refusal::Wrong(reason) | Refusal::Broken(reason)) => failed(reason),
    }
}

fn hello(identity: &Identity, style: Style) -> wire::Hello {
    let abilities = &identity.abilities;
    let shows = abilities.shows;
    let shown_too = [
        (shows.verdict, wire::Shown::Verdict),
        (shows.class, wire::Shown::Class),
        (shows.state, wire::Shown::State),
        (shows.timeout, wire::Shown::Timeout),
        (shows.status, wire::Shown::Status),
        (shows.table, wire::Shown::Table),
        (shows.events, wire::Shown::Events),
        (shows.windows, wire::Shown::Windows),
        (shows.reasons != Reasons::None, wire::Shown::Reasons),
    ];
    let protocol = |name: &String| serde_json::from_value(serde_json::Value::from(name.as_str())).ok();
    wire::Hello {
        protocol: wire::PROTOCOL,
        name: shown(identity.name.as_bytes(), 60),
        version: identity.version.clone(),
        profile: Some(identity.profile.clone()),
        hz: Some(identity.hz),
        takes: style.takes,
        time: match abilities.time {
            Passing::Virtual => wire::Clock::Virtual,
            Passing::Age => wire::Clock::Age,
            Passing::Real => wire::Clock::Real,
            Passing::None => wire::Clock::None,
        },
        confirm: match abilities.confirms {
            crate::target::Confirms::AtHook => wire::Confirm::AtHook,
            crate::target::Confirms::Explicit => wire::Confirm::Explicit,
            crate::target::Confirms::Immediate => wire::Confirm::Immediate,
        },
        shows: shown_too.iter().filter(|(is, _)| *is).map(|(_, what)| *what).collect(),
        protocols: abilities.protocols.iter().filter_map(protocol).collect(),
        settings: None,
        helpers: abilities.helpers.clone(),
        nat: abilities.nat,
        zones: abilities.zones,
        own_host: abilities.own_host,
        rules: style.rules && abilities.rules == Rules::Own,
        marks: abilities.marks,
    }
}

/// A target that does no work: what is left is the cost of asking.
#[derive(Clone, Debug)]
pub struct Null(pub Identity);

impl Target for Null {
    fn identity(&self) -> Identity {
        let mut identity = self.0.clone();
        identity.name = "null".to_owned();
        identity.abilities.shows = Shows::CLASS;
        identity
    }

    fn begin(&mut self, _: &Config) -> Result<(), Refusal> {
        Ok(())
    }

    fn set(&mut self, _: &Setting) -> Result<(), Refusal> {
        Ok(())
    }

    fn packet(&mut self, _: &Arrival) -> Result<Observation, Refusal> {
        Ok(Observation::of(Class::Tracked(CtInfo::New), Verdict::Accept))
    }

    fn advance(&mut self, _: Time) -> Result<Vec<Happening>, Refusal> {
        Ok(Vec::new())
    }

    fn table(&mut self) -> Result<Vec<Entry>, Refusal> {
        Ok(Vec::new())
    }
}
