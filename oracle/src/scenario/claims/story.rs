//! Claims that are not about one packet: the table, an entry, what a flow went through, events, expiry.

use conntruth_engine::{EventKind, Time};
use similar::TextDiff;

use crate::language::ast::claim::{Block, Check, EntryClaim, EventLine, Pattern};
use crate::language::ast::{Action, Located, Name, Span};
use crate::target::{Abilities, Ask, Entry, Happening, Rules, Target};

use super::super::plan::{Move, deadline, plural};
use super::super::run::World;
use super::{Found, Mismatch, Silence, entry, is_of, leaving, packet, words};

/// Makes the check of a step.
pub(crate) fn check(world: &mut World<'_>, target: &mut dyn Target, step: &Move) -> Result<Found, Silence> {
    let node = world.plan.step(step);
    let span = node.action_span;
    let Action::Check(check) = &node.action else {
        return Ok(Found { mismatches: Vec::new(), until: step.at, hidden: false });
    };
    let mut until = step.at;
    if let Some(what) = hidden(check.itself(), &world.identity.abilities) {
        return Ok(Found { mismatches: vec![Mismatch::unseen(span, what)], until, hidden: true });
    }
    let mismatches = match check.itself() {
        Check::For { .. } | Check::Host(_) => Vec::new(),
        Check::Table(block) => table(block, &target.table()?, world),
        Check::Entry(claim) => one_entry(claim, &target.table()?, span, world),
        Check::NoEntry { flow } => no_entry(flow.as_ref(), &target.table()?, span, world)?,
        Check::Counter { name, packets, bytes } => {
            let counters = target.counters()?;
            let Some((_, got)) = counters.iter().find(|(known, _)| *known == name.value) else {
                let what = format!("no rule has a counter `{}`", name.value);
                return Err(Silence::Refused(crate::target::Refusal::Wrong(what)));
            };
            let wrong = |claimed: &Located<u64>, got: u64, what: &str| {
                let said = |number: u64| format!("{number} {what}");
                (claimed.value != got)
                    .then(|| Mismatch::new(claimed.span, said(claimed.value), said(got)).fix(got))
            };
            let of_bytes = bytes.as_ref().and_then(|bytes| wrong(bytes, got.bytes, "bytes"));
            wrong(packets, got.packets, "packets").into_iter().chain(of_bytes).collect()
        }
        Check::Alike { same, places } => leaving::alike(*same, places, &target.table()?, world)?,
        Check::Expectations(block) => super::expect::listing(block, &target.expectations()?, world),
        Check::Count(count) => {
            let got = target.table()?.len() as u64;
            let found = (got != count.value)
                .then(|| Mismatch::new(count.span, entries(count.value), entries(got)).fix(got));
            found.into_iter().collect()
        }
        Check::States { flow, pattern } => {
            let talk = find(world, flow.as_ref(), span)?;
            let got: Vec<String> = world.states[talk].iter().map(|(_, state)| state.clone()).collect();
            sequence(pattern, &got, |state, got| state == got, |state| state.clone(), " ")
        }
        Check::Classes { flow, pattern } => {
            let talk = find(world, flow.as_ref(), span)?;
            sequence(
                pattern,
                &world.classes[talk],
                |class, got| class == got,
                |class| words::class(*class),
                ", ",
            )
        }
        Check::Events(block) => {
            let events = std::mem::take(&mut world.events);
            self::events(block, &events, world)
        }
        Check::Expires { flow, after } => {
            let talk = find(world, flow.as_ref(), span)?;
            let at = deadline(step.at, after.value.nanos(world.plan.tick), world.plan.tick);
            until = at;
            expires(world, target, talk, *after, at)?
        }
    };
    Ok(Found { mismatches, until, hidden: false })
}

/// What a check is about, where the target does not show that.
fn hidden(check: &Check, abilities: &Abilities) -> Option<&'static str> {
    let shows = &abilities.shows;
    let (is_shown, what) = match check {
        Check::For { .. } => (true, ""),
        // Hosts are asked where they are; here is only what they sent.
        Check::Host(_) => (false, "what hosts know: they act only where it answers step by step"),
        Check::Counter { .. } => (abilities.rules == Rules::Own, "what rules count"),
        Check::Table(_)
        | Check::Expectations(_)
        | Check::Entry(_)
        | Check::NoEntry { .. }
        | Check::Count(_)
        | Check::Alike { .. }
        | Check::Expires { .. } => (shows.table, "the table"),
        Check::States { .. } => (shows.state, "states"),
        Check::Classes { .. } => (shows.class, "classes"),
        Check::Events(_) => (shows.events, "events"),
    };
    (!is_shown).then_some(what)
}

/// What a check may ask of a target.
pub(crate) fn asks(check: &Check, now: Time, tick: u64, asks: &mut Vec<Ask>) {
    match check {
        Check::For { check, .. } => self::asks(check, now, tick, asks),
        Check::Table(_) | Check::Entry(_) | Check::NoEntry { .. } | Check::Count(_) | Check::Alike { .. } => {
            asks.push(Ask::Table)
        }
        Check::Expires { after, .. } => {
            let at = deadline(now, after.value.nanos(tick), tick);
            let before = Time(at.as_nanos().saturating_sub(tick));
            asks.extend([Ask::Table, Ask::Advance(before), Ask::Table, Ask::Advance(at), Ask::Table]);
        }
        Check::Expectations(_) => asks.push(Ask::Expectations),
        Check::Counter { .. } => asks.push(Ask::Counters),
        Check::States { .. } | Check::Classes { .. } | Check::Events(_) | Check::Host(_) => {}
    }
}

fn find(world: &World<'_>, flow: Option<&Name>, span: Span) -> Result<usize, Silence> {
    // The planner has no check of its own for flows: a name that nobody has is the scenario's mistake.
    world.plan.talks.find(flow, span).map_err(|message| {
        let help = message.help.map(|help| format!(" ({help})")).unwrap_or_default();
        Silence::Refused(crate::target::Refusal::Wrong(format!("{}{help}", message.title)))
    })
}

fn entries(count: u64) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

fn table(block: &Block<EntryClaim>, entries: &[Entry], world: &World<'_>) -> Vec<Mismatch> {
    let claims = &block.lines;
    let fits: Vec<Vec<bool>> = claims
        .iter()
        .map(|claim| entries.iter().map(|entry| entry::fits(&claim.value, entry, world)).collect())
        .collect();
    let mut pairs = pair(&fits, entries.len());
    let complete = pairs.iter().all(Option::is_some) && claims.len() == entries.len();
    if complete {
        let unseen = claims.iter().zip(&pairs).filter_map(|(claim, entry)| Some((claim, (*entry)?)));
        return unseen
            .flat_map(|(claim, index)| entry::compare(&claim.value, &entries[index], world))
            .collect();
    }
    // Each line that found no entry is held against the one that it is nearest to.
    for (index, claim) in claims.iter().enumerate() {
        if pairs[index].is_none() {
            let free = (0..entries.len()).filter(|entry| !pairs.contains(&Some(*entry)));
            pairs[index] =
                free.min_by_key(|entry| entry::compare(&claim.value, &entries[*entry], world).len());
        }
    }
    let text = &world.plan.script().text;
    let written = |claim: &Located<EntryClaim>| squeezed(text.get(claim.span.range()).unwrap_or_default());
    let expected: Vec<String> = claims.iter().map(written).collect();
    let mut got = Vec::new();
    for (index, claim) in claims.iter().enumerate() {
        let Some(pair) = pairs[index] else { continue };
        // A line that holds stays as it is written.
        let holds = entry::fits(&claim.value, &entries[pair], world);
        got.push(if holds {
            expected[index].clone()
        } else {
            entry::line(&entries[pair], Some(&claim.value), world)
        });
    }
    let rest = (0..entries.len()).filter(|entry| !pairs.contains(&Some(*entry)));
    got.extend(rest.map(|index| entry::line(&entries[index], None, world)));
    vec![block_mismatch(
        block,
        &expected,
        &got,
        &format!("these {}", self::entries(claims.len() as u64)),
        "(empty)",
    )]
}

/// For each claim an entry that fits it, none twice: as many pairs as there can be.
pub(super) fn pair(fits: &[Vec<bool>], entries: usize) -> Vec<Option<usize>> {
    fn place(claim: usize, fits: &[Vec<bool>], owner: &mut [Option<usize>], tried: &mut [bool]) -> bool {
        for entry in 0..owner.len() {
            if !fits[claim][entry] || std::mem::replace(&mut tried[entry], true) {
                continue;
            }
            if owner[entry].is_none_or(|other| place(other, fits, owner, tried)) {
                owner[entry] = Some(claim);
                return true;
            }
        }
        false
    }
    let mut owner = vec![None; entries];
    for claim in 0..fits.len() {
        place(claim, fits, &mut owner, &mut vec![false; entries]);
    }
    let mut pairs = vec![None; fits.len()];
    for (entry, claim) in owner.iter().enumerate() {
        if let Some(claim) = claim {
            pairs[*claim] = Some(entry);
        }
    }
    pairs
}

/// A block that does not hold, with the difference line by line.
pub(super) fn block_mismatch<T>(
    block: &Block<T>,
    expected: &[String],
    got: &[String],
    what: &str,
    nothing: &str,
) -> Mismatch {
    let text = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let (left, right) = (text(expected), text(got));
    let diff = TextDiff::from_lines(&left, &right);
    let detail: String =
        diff.iter_all_changes().map(|change| format!("{} {}", change.tag(), change.value())).collect();
    let found = match got.len() {
        0 => nothing.to_owned(),
        lines if lines == expected.len() => "as many, but others".to_owned(),
        lines => format!("{lines}"),
    };
    let fix = if got.is_empty() { nothing.to_owned() } else { got.join("\n") };
    Mismatch { detail: Some(detail), ..Mismatch::new(block.span, what, found).fix(fix) }
}

pub(super) fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn one_entry(claim: &EntryClaim, entries: &[Entry], span: Span, world: &World<'_>) -> Vec<Mismatch> {
    let talk = world.plan.talks.find(claim.flow.as_ref(), span).ok();
    let mut candidates =
        entries.iter().filter(|entry| talk.is_none_or(|talk| is_of(entry, world.plan.talk(talk))));
    let Some(first) = candidates.next() else {
        let flow = claim.flow.as_ref().map(|flow| format!(" {}", flow.value)).unwrap_or_default();
        return vec![Mismatch::new(span, "an entry", "no entry").fix(format!("no entry{flow}"))];
    };
    let mut best = entry::compare(claim, first, world);
    for other in candidates {
        let mismatches = entry::compare(claim, other, world);
        if mismatches.len() < best.len() {
            best = mismatches;
        }
    }
    best
}

fn no_entry(
    flow: Option<&Name>,
    entries: &[Entry],
    span: Span,
    world: &World<'_>,
) -> Result<Vec<Mismatch>, Silence> {
    let talk = find(world, flow, span)?;
    let entry = entries.iter().find(|entry| is_of(entry, world.plan.talk(talk)));
    let like = EntryClaim { flow: flow.cloned(), ..EntryClaim::default() };
    let mismatch = |entry: &Entry| {
        let got = entry::brief(entry, &like);
        Mismatch::new(span, "no entry", &got).fix(format!("entry {got}"))
    };
    Ok(entry.map(mismatch).into_iter().collect())
}

fn sequence<T, G>(
    pattern: &Block<Pattern<T>>,
    got: &[G],
    same: impl Fn(&T, &G) -> bool + Copy,
    word: impl Fn(&G) -> String,
    between: &str,
) -> Vec<Mismatch> {
    let parts: Vec<&Pattern<T>> = pattern.lines.iter().map(|line| &line.value).collect();
    if fits(&parts, got, same) {
        return Vec::new();
    }
    let got = got.iter().map(word).collect::<Vec<_>>().join(between);
    let got = if got.is_empty() { "nothing".to_owned() } else { got };
    vec![Mismatch::new(pattern.span, "another sequence", &got).fix(&got)]
}

/// Whether a sequence fits a pattern, where `*` is any number of anything. Only the latest `*` is ever tried longer: what
/// fitted before it need not be tried again.
fn fits<T, G>(pattern: &[&Pattern<T>], got: &[G], same: impl Fn(&T, &G) -> bool + Copy) -> bool {
    let (mut part, mut at) = (0, 0);
    let mut retry = None;
    while at < got.len() {
        match pattern.get(part) {
            Some(Pattern::Any) => {
                part += 1;
                retry = Some((part, at));
            }
            Some(Pattern::One(one)) if same(one, &got[at]) => (part, at) = (part + 1, at + 1),
            _ => match &mut retry {
                Some((after, from)) => {
                    *from += 1;
                    (part, at) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern[part..].iter().all(|part| matches!(part, Pattern::Any))
}

fn events(block: &Block<EventLine>, events: &[Happening], world: &World<'_>) -> Vec<Mismatch> {
    let holds = |line: &Located<EventLine>, event: &Happening| {
        let expected = event.expected.as_deref();
        packet::is_event(&line.value.event, event)
            && entry::fits(&line.value.entry, &event.entry, world)
            && expected.is_none_or(|expected| super::expect::fits(&line.value.expected, expected, world))
    };
    if block.lines.len() == events.len()
        && block.lines.iter().zip(events).all(|(line, event)| holds(line, event))
    {
        return Vec::new();
    }
    let text = &world.plan.script().text;
    let written = |line: &Located<EventLine>| squeezed(text.get(line.span.range()).unwrap_or_default());
    let expected: Vec<String> = block.lines.iter().map(written).collect();
    let got: Vec<String> = events
        .iter()
        .enumerate()
        .map(|(index, event)| match block.lines.get(index).filter(|line| holds(line, event)) {
            Some(line) => written(line),
            None => {
                let what = match &event.expected {
                    Some(expected) => super::expect::brief(expected, world),
                    None => flow_and_state(event, world),
                };
                format!("{} {what}", words::event(event))
            }
        })
        .collect();
    vec![block_mismatch(
        block,
        &expected,
        &got,
        &format!("these {} event{}", expected.len(), plural(expected.len())),
        "(none)",
    )]
}

/// `web ESTABLISHED 5d`
fn flow_and_state(event: &Happening, world: &World<'_>) -> String {
    let flow = entry::flow_of(&event.entry, world).map(str::to_owned);
    let mut parts: Vec<String> = flow.into_iter().collect();
    parts.extend(event.entry.state.as_ref().map(ToString::to_string));
    if event.kind != EventKind::Destroy {
        parts.push(words::left(event.entry.left));
    }
    parts.join(" ")
}

/// There one tick before, gone at the tick, and a destroy event says so.
fn expires(
    world: &mut World<'_>,
    target: &mut dyn Target,
    talk: usize,
    after: Located<crate::language::ast::Length>,
    at: Time,
) -> Result<Vec<Mismatch>, Silence> {
    let expected = format!("it to expire in {}", words::length(after.value));
    let entry_of = |target: &mut dyn Target| -> Result<Option<Entry>, Silence> {
        Ok(target.table()?.into_iter().find(|entry| is_of(entry, world.plan.talk(talk))))
    };
    let Some(first) = entry_of(target)? else {
        return Ok(vec![Mismatch::new(after.span, expected, "no entry")]);
    };
    let left = words::precise(first.left.most);
    let slack = world.identity.abilities.slack;
    let before = target.advance(Time(at.as_nanos().saturating_sub(world.plan.tick + slack.as_nanos())))?;
    let lives = entry_of(target)?.is_some_and(|entry| entry.id == first.id);
    let at_last = target.advance(at.plus(slack))?;
    let gone = entry_of(target)?.is_none_or(|entry| entry.id != first.id);
    let told = at_last.iter().any(|event| event.kind == EventKind::Destroy && event.entry.id == first.id);
    world.events.extend(before);
    world.events.extend(at_last);
    let mismatch = |got: String| vec![Mismatch::new(after.span, &expected, got).fix(&left)];
    Ok(match (lives, gone) {
        (false, _) => mismatch(format!("gone before: it had {left} left")),
        (true, false) => mismatch(format!("still there: it had {left} left")),
        (true, true) if !told && world.identity.abilities.shows.events => {
            vec![Mismatch::new(after.span, "a destroy event at its end", "none")]
        }
        (true, true) => Vec::new(),
    })
}
