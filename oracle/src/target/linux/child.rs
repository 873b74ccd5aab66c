//! The process that holds the namespace: it answers requests on its standard input until that ends, and everything
//! that it has made ends with it.
//!
//! A process of its own, because only one without threads may enter a user namespace; and because the same program can
//! be the first process of a guest.

use std::io::{self, BufReader, BufWriter, Write};
use std::time::{Duration, Instant};

use conntruth_engine::{Class, CtInfo, EventKind, Knob, Time, Verdict, protocol};

use super::globals::Globals;
use super::kernel::Kernel;
use super::pipe::{self, Answer, Request};
use super::worlds::{Pace, Released, Worlds};
use crate::target::translated::{Seen, Translated};
use crate::target::whose;
use crate::target::{
    Arrival, Batch, Config, Entry, Fate, Observation, Reading, Refusal, Release, Setting, Sight,
};

/// Serves until nobody asks any more.
///
/// # Errors
/// When the other side breaks off in the middle.
pub(super) fn serve(patience: Duration) -> io::Result<()> {
    // Also when the parent is killed: nothing may outlive it.
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    let mut requests = BufReader::with_capacity(1 << 16, io::stdin().lock());
    let mut answers = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut worlds = match Kernel::new(&Globals::default()) {
        Ok(kernel) => Worlds::new(kernel, Pace::Ageing(patience)),
        Err(missing) => return pipe::write(&mut answers, &Answer::Refused(Refusal::Unsupported(missing.0))),
    };
    pipe::write(&mut answers, &Answer::Ready { sysctls: super::kernel::sysctls(&Globals::default()) })?;
    while let Some(request) = pipe::read(&mut requests)? {
        let answer = answer(&mut worlds, request).unwrap_or_else(Answer::Refused);
        pipe::write(&mut answers, &answer)?;
    }
    answers.flush()
}

fn answer(worlds: &mut Worlds, request: Request) -> Result<Answer, Refusal> {
    match request {
        Request::Begin(_) if worlds.is_used_up() => Ok(Answer::UsedUp),
        Request::Begin(config) => {
            worlds.kernel().set_rules(&config.rules)?;
            begin(worlds, &config).map(|()| Answer::Done)
        }
        Request::Set(setting) => set(worlds, &setting).map(|()| Answer::Done),
        Request::Packet(arrival) => packet(worlds, &arrival).map(Box::new).map(Answer::Observed),
        Request::Release(release) => self::release(worlds, &release).map(Box::new).map(Answer::Observed),
        Request::Advance(to) => worlds.advance(to).map(Answer::Happened),
        Request::Table => worlds.table().map(Answer::Entries),
        Request::Expectations => worlds.expectations().map(Answer::Expected),
        Request::Counters => worlds.kernel().counters().map(Answer::Counters),
        Request::Batch(batch) => self::batch(worlds, &batch).map(Answer::Sights),
        Request::Baseline(batch) => baseline(worlds, &batch),
    }
}

/// A fresh world, alone; its rules are there.
pub(super) fn begin(worlds: &mut Worlds, config: &Config) -> Result<(), Refusal> {
    worlds.kernel().reset_settings().map_err(broken)?;
    worlds.kernel().set_routes(&config.routes).map_err(broken)?;
    worlds.alone().map_err(broken)?;
    config.settings.iter().try_for_each(|setting| set(worlds, setting))
}

pub(super) fn set(worlds: &mut Worlds, setting: &Setting) -> Result<(), Refusal> {
    worlds.kernel().set(setting)?;
    if let Some(knob) = Knob::find(&setting.name) {
        worlds.was_set(knob, setting.value);
    }
    Ok(())
}

/// A packet of the only world, and the entry that it is about.
pub(super) fn packet(worlds: &mut Worlds, arrival: &Arrival) -> Result<Observation, Refusal> {
    let Some(sight) = worlds.step(&[(0, arrival)], &[true])?.pop() else {
        return Err(Refusal::Broken("the kernel said nothing".to_owned()));
    };
    let observation = observed(worlds, arrival, sight);
    if arrival.fate == Fate::Waits {
        worlds.waits_with(observation.entry.is_some());
    }
    Ok(observation)
}

/// A packet of the only world goes on, and the entry that it is about.
pub(super) fn release(worlds: &mut Worlds, release: &Release) -> Result<Observation, Refusal> {
    let Released { sight, arrival, had_entry } = worlds.release(release)?;
    let observation = observed(worlds, &arrival, sight);
    let is_confirmed = observation.class == Class::Tracked(CtInfo::New)
        && observation.verdict == Verdict::Accept
        && arrival.fate == Fate::Passes;
    // The entry that keeps a new one out of the table is not the packet's.
    if had_entry || is_confirmed {
        Ok(observation)
    } else {
        Ok(Observation { entry: None, attached: false, destroyed: false, ..observation })
    }
}

fn observed(worlds: &Worlds, arrival: &Arrival, sight: Sight) -> Observation {
    let Sight { class, verdict, sent, left, why, events, entries, .. } = sight;
    let has_entry = !matches!(class, Class::Held | Class::Discarded | Class::Untracked);
    // The tracker saw a datagram put together, where it came in pieces.
    let seen = if worlds.logged().is_empty() { &arrival.bytes[..] } else { worlds.logged() };
    let tuple = whose::tuple(seen).filter(|_| has_entry);
    let has = |entry: &Entry| tuple.is_some_and(|tuple| [entry.original, entry.reply].contains(&tuple));
    let entries = entries.unwrap_or_default();
    // A rule may put an INVALID packet into a zone, and it does not say which.
    let in_zone = |zone| entries.iter().any(|entry| has(entry) && entry.zone == zone);
    let elsewhere = || {
        let other = entries.iter().rfind(|entry| has(entry)).filter(|_| worlds.has_rules());
        other.map_or(arrival.zone, |entry| entry.zone)
    };
    let zone = match worlds.zone() {
        Some(zone) => zone,
        None if in_zone(arrival.zone) => arrival.zone,
        None => elsewhere(),
    };
    let is_about = |entry: &Entry| entry.zone == zone && has(entry);
    let there = entries.iter().rfind(|entry| is_about(entry)).cloned();
    let gone = || {
        let ends =
            |event: &&crate::target::Happening| event.kind == EventKind::Destroy && is_about(&event.entry);
        events.iter().rfind(ends).map(|event| event.entry.clone())
    };
    let destroyed = there.is_none();
    let entry = there.or_else(gone);
    Observation {
        class,
        verdict,
        by: None,
        sent,
        left,
        attached: matches!(class, Class::Tracked(_)) && entry.is_some(),
        why,
        help: None,
        destroyed: destroyed && entry.is_some(),
        entry,
        events,
    }
}

/// So long a batch may take in which a flow of UDP begins: two seconds later it would be a stream, although no time has passed
/// in its world.
const SOON: Duration = Duration::from_millis(1_500);

/// All worlds of a batch. Where the machine is too slow for all of them at once they are asked again, half by half.
#[allow(clippy::disallowed_methods)]
fn batch(worlds: &mut Worlds, batch: &Batch) -> Result<Vec<Vec<Sight>>, Refusal> {
    if batch.config.rules.translates() {
        return one_by_one(worlds, batch);
    }
    let started = Instant::now();
    let seen = together(worlds, batch)?;
    let count = batch.worlds.len();
    if started.elapsed() < SOON || count < 2 || !has_udp(batch) {
        return Ok(seen);
    }
    let half = |range: std::ops::Range<usize>| Batch {
        config: batch.config.clone(),
        worlds: batch.worlds[range].to_vec(),
        reading: batch.reading,
    };
    let mut seen = self::batch(worlds, &half(0..count / 2))?;
    seen.append(&mut self::batch(worlds, &half(count / 2..count))?);
    Ok(seen)
}

fn has_udp(batch: &Batch) -> bool {
    let is_udp =
        |arrival: &Arrival| whose::tuple(&arrival.bytes).is_some_and(|tuple| tuple.protocol == protocol::UDP);
    batch.worlds.iter().flatten().any(is_udp)
}

/// All worlds of a batch, step by step: the first packet of each, then the second of each, and so on.
fn together(worlds: &mut Worlds, batch: &Batch) -> Result<Vec<Vec<Sight>>, Refusal> {
    prepare(worlds, batch)?;
    let mut seen: Vec<Vec<Sight>> =
        batch.worlds.iter().map(|arrivals| Vec::with_capacity(arrivals.len())).collect();
    for step in 0..longest(batch) {
        let (moves, read) = moves(batch, step);
        let sights = worlds.step(&moves, &read)?;
        for ((world, _), sight) in moves.iter().zip(sights) {
            seen[*world].push(sight);
        }
    }
    Ok(seen)
}

/// Worlds that translate have addresses in common, those of the host: so each is alone.
fn one_by_one(worlds: &mut Worlds, batch: &Batch) -> Result<Vec<Vec<Sight>>, Refusal> {
    prepare(worlds, &Batch { worlds: Vec::new(), ..batch.clone() })?;
    let mut all = Vec::with_capacity(batch.worlds.len());
    for arrivals in &batch.worlds {
        worlds.anew(arrivals.iter().any(|arrival| arrival.at > Time::ZERO)).map_err(broken)?;
        let mut translated = Translated::new(&batch.config.routes);
        let mut sights = Vec::with_capacity(arrivals.len());
        for (index, story) in arrivals.iter().enumerate() {
            let turned = translated.turned(story);
            let arrival = turned.as_ref().unwrap_or(story);
            let read = match batch.reading {
                Reading::Each => true,
                Reading::Last => index + 1 == arrivals.len(),
                Reading::Never => false,
            };
            for sight in worlds.step(&[(0, arrival)], &[read])? {
                let Sight { class, verdict, left, .. } = &sight;
                let seen = Seen { class: *class, verdict: *verdict, left: left.as_deref() };
                translated.learn(story, arrival, seen);
                sights.push(sight);
            }
        }
        all.push(sights);
    }
    Ok(all)
}

/// What worlds that are over have left unfinished must not take the memory of those that follow.
const ROOM_FOR_FRAGMENTS: [(&str, i64); 2] =
    [("net.ipv4.ipfrag_high_thresh", 1 << 30), ("net.netfilter.nf_conntrack_frag6_high_thresh", 1 << 30)];

pub(super) fn prepare(worlds: &mut Worlds, batch: &Batch) -> Result<(), Refusal> {
    worlds.kernel().reset_settings().map_err(broken)?;
    worlds.together(&batch.worlds).map_err(broken)?;
    worlds.kernel().set_routes(&batch.config.routes).map_err(broken)?;
    worlds.kernel().set_rules(&batch.config.rules)?;
    ROOM_FOR_FRAGMENTS
        .iter()
        .try_for_each(|(name, value)| set(worlds, &Setting { name: (*name).to_owned(), value: *value }))?;
    batch.config.settings.iter().try_for_each(|setting| set(worlds, setting))
}

fn longest(batch: &Batch) -> usize {
    batch.worlds.iter().map(Vec::len).max().unwrap_or(0)
}

fn moves(batch: &Batch, step: usize) -> (Vec<(usize, &Arrival)>, Vec<bool>) {
    let present = batch.worlds.iter().enumerate().filter_map(|(world, arrivals)| {
        let arrival = arrivals.get(step)?;
        let is_read = match batch.reading {
            Reading::Each => true,
            Reading::Last => step + 1 == arrivals.len(),
            Reading::Never => false,
        };
        Some(((world, arrival), is_read))
    });
    present.unzip()
}

/// How long the system calls of a batch take by themselves: they are made once to learn which they are, and once more
/// with nobody reading the answers.
#[allow(clippy::disallowed_methods)]
fn baseline(worlds: &mut Worlds, batch: &Batch) -> Result<Answer, Refusal> {
    worlds.record_questions();
    together(worlds, batch)?;
    let questions = worlds.take_questions();
    prepare(worlds, batch)?;
    let started = Instant::now();
    for (step, questions) in questions.iter().enumerate() {
        worlds.step_unread(&moves(batch, step).0, questions)?;
    }
    Ok(Answer::Took(started.elapsed().as_nanos() as u64))
}

pub(super) fn broken(error: io::Error) -> Refusal {
    Refusal::Broken(format!("the kernel: {error}"))
}
