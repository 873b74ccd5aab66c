//! Claims about packets: what stands after `=`.

use conntruth_engine::{Changes, EventKind, Reason, SctpState, Status, TcpState};

use super::cursor::{Cursor, is_name, parse_length, parse_number};
use super::names::Names;
use super::{heading, leaving, once};
use crate::language::ast::claim::{Claim, Claims, EventClaim, Flags, Named, Qualified, Timeout};
use crate::language::ast::{Located, Name, Span};
use crate::language::lexer::{Token, located};
use crate::language::message::{Message, Parse};
use crate::language::words::{CLASSES, EVENTS, nearest};

/// The words that begin a named part.
const NAMED: &[&str] = &[
    "because",
    "event",
    "status",
    "mark",
    "zone",
    "helper",
    "master",
    "dropped",
    "rejected",
    "accepted",
    "attached",
    "unattached",
    "leaves",
    "no",
];

/// The claims of a step: its tokens after `=`, of all its lines, `=` included. Each `= for` begins those of some profiles.
pub(super) fn claims(tokens: &[Token], names: &Names) -> Parse<(Option<Claims>, Vec<Qualified>)> {
    let is_for = |at: usize| {
        tokens[at].is_mark('=') && tokens.get(at + 1).is_some_and(|next| next.word() == Some("for"))
    };
    let mut starts: Vec<usize> = (0..tokens.len()).filter(|at| is_for(*at)).collect();
    let first = starts.first().copied().unwrap_or(tokens.len());
    let common = if first > 0 { Some(list(&tokens[..first], names)?) } else { None };
    starts.push(tokens.len());
    let mut qualified: Vec<Qualified> = Vec::new();
    for range in starts.windows(2) {
        let own = &tokens[range[0]..range[1]];
        let words = after_marks(&own[2..]);
        let mut cursor = Cursor::new(&words, own[own.len() - 1].span.end);
        let profiles = heading::profiles(&mut cursor)?;
        for name in &profiles {
            let known = qualified.iter().flat_map(|other| &other.profiles);
            if let Some(other) = known.clone().find(|other| other.value == name.value) {
                return Message::new(format!("`{}` has a claim already", name.value), name.span)
                    .other(other.span, "the first one")
                    .fail();
            }
        }
        let claims = listed(&mut cursor, own[0].span, own[own.len() - 1].span, names)?;
        qualified.push(Qualified { profiles, claims });
    }
    Ok((common, qualified))
}

fn list(tokens: &[Token], names: &Names) -> Parse<Claims> {
    let first = tokens.first().map_or(Span::default(), |first| first.span);
    let last = tokens.last().map_or(first, |last| last.span);
    let words = after_marks(tokens);
    listed(&mut Cursor::new(&words, last.end), first, last, names)
}

/// A claim may go on in a further line, which begins with another `=`.
fn after_marks(tokens: &[Token]) -> Vec<Token> {
    tokens.iter().filter(|token| !token.is_mark('=')).cloned().collect()
}

fn listed(cursor: &mut Cursor<'_>, first: Span, last: Span, names: &Names) -> Parse<Claims> {
    let mut each = Vec::new();
    loop {
        each.push(claim(cursor, names)?);
        if cursor.eat_mark(',').is_none() {
            return Ok(Claims { each, span: first.to(last) });
        }
    }
}

fn claim(cursor: &mut Cursor<'_>, names: &Names) -> Parse<Claim> {
    let start = cursor.here();
    let mut claim = Claim::default();
    while !cursor.is_at_end() && !cursor.is_mark(',') {
        part(cursor, names, &mut claim)?;
    }
    if start.start == cursor.here().start {
        let words = CLASSES.iter().map(|(word, _)| *word);
        return cursor
            .unexpected("a claim: a class such as `new`, a state, a timeout, flags, or `*`", words)
            .fail();
    }
    claim.span = start.to(cursor.before());
    Ok(claim)
}

fn part(cursor: &mut Cursor<'_>, names: &Names, claim: &mut Claim) -> Parse<()> {
    let span = cursor.here();
    if let Some(flags) = flags(cursor)? {
        return once(&mut claim.flags, flags, "the flags in brackets", span);
    }
    if cursor.eat("*").is_some() {
        return once(&mut claim.open, span, "`*`", span);
    }
    if let Some(class) = cursor.eat_from(CLASSES) {
        return once(&mut claim.class, class, "the class", span);
    }
    if cursor.eat("reply").is_some() {
        return once(&mut claim.reply, span, "`reply`", span);
    }
    if let Some(named) = named(cursor, names)? {
        return add_named(&mut claim.named, named);
    }
    match cursor.peek_word() {
        Some(word) if word.starts_with(|c: char| c.is_ascii_digit()) => {
            once(&mut claim.timeout, timeout(cursor)?, "the timeout", span)
        }
        Some(word) if is_state_like(word) => once(&mut claim.state, state(cursor)?, "the state", span),
        _ => {
            let words = CLASSES.iter().map(|(word, _)| *word).chain(["reply"]).chain(NAMED.iter().copied());
            let expected = "a class, `reply`, a state, a timeout, flags in brackets, `*`, or a part with a name such as `because`";
            cursor.unexpected(expected, words).fail()
        }
    }
}

/// Adds a named part; several `event` are one list.
pub(super) fn add_named(list: &mut Vec<Located<Named>>, part: Located<Named>) -> Parse<()> {
    let same = list
        .iter_mut()
        .find(|other| std::mem::discriminant(&other.value) == std::mem::discriminant(&part.value));
    let Some(other) = same else {
        list.push(part);
        return Ok(());
    };
    match (&mut other.value, part.value) {
        (Named::Events(events), Named::Events(more)) if !events.is_empty() && !more.is_empty() => {
            events.extend(more);
            other.span = other.span.to(part.span);
            Ok(())
        }
        _ => Message::new("this is said twice", part.span).other(other.span, "here it is said first").fail(),
    }
}

/// A named part, if one begins here.
pub(super) fn named(cursor: &mut Cursor<'_>, names: &Names) -> Parse<Option<Located<Named>>> {
    let start = cursor.here();
    let Some(word) = cursor.peek_word().filter(|word| NAMED.contains(word)) else { return Ok(None) };
    cursor.next();
    let value = match word {
        "because" => because(cursor)?,
        "event" if cursor.eat("none").is_some() => Named::Events(Vec::new()),
        "event" => Named::Events(vec![event(cursor)?]),
        "status" => Named::Status(status(cursor)?),
        "mark" => Named::Mark(cursor.fit("`mark`", u64::from(u32::MAX))?),
        "zone" => Named::Zone(cursor.fit("`zone`", 65_535)?),
        "helper" => match cursor.word("a helper's name, or `none`")? {
            none if none.value == "none" => Named::Helper(None),
            name if is_name(&name.value) => Named::Helper(Some(name.value)),
            name => return Message::new(format!("`{}` is no helper", name.value), name.span).fail(),
        },
        "master" => Named::Master(flow(cursor, names)?),
        "dropped" => Named::Dropped,
        "rejected" if cursor.eat("as").is_some() => {
            let class = cursor.word_from(CLASSES, "the class of the answer, such as `related reply`")?;
            Named::Rejected(Some((class.value, cursor.eat("reply").is_some())))
        }
        "rejected" => Named::Rejected(None),
        "accepted" => Named::Accepted,
        "attached" => Named::Attached(true),
        "unattached" => Named::Attached(false),
        "leaves" if cursor.eat("unchanged").is_some() => Named::Leaves(None),
        "leaves" => Named::Leaves(Some(leaving::leaving(cursor, names)?)),
        _ if cursor.eat("entry").is_some() => Named::NoEntry,
        _ => return cursor.unexpected("`entry`: `no entry`", ["entry"]).fail(),
    };
    Ok(Some(Located { value, span: start.to(cursor.before()) }))
}

/// The name of a flow that exists.
pub(super) fn flow(cursor: &mut Cursor<'_>, names: &Names) -> Parse<Name> {
    let name = cursor.word("the name of a flow")?;
    match names.flow(&name.value) {
        Some(_) => Ok(name),
        None => names.unknown_flow(&name.value, name.span).fail(),
    }
}

/// `tcp-seq-over bound=8694`
fn because(cursor: &mut Cursor<'_>) -> Parse<Named> {
    let slug = cursor.word("a reason such as `tcp-seq-over`")?;
    let Some(info) = Reason::ALL.iter().find(|info| info.slug == slug.value) else {
        return Message::new(format!("there is no reason `{}`", slug.value), slug.span)
            .did_you_mean(nearest(&slug.value, Reason::ALL.iter().map(|info| info.slug)))
            .fail();
    };
    let mut numbers = Vec::new();
    while let Some((name, value)) = cursor.peek_word().and_then(|word| word.split_once('=')) {
        let span = cursor.here();
        if !info.numbers.contains(&name) {
            let known = info.numbers.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            return Message::new(format!("`{}` has no number `{name}`", slug.value), span)
                .label(if known.is_empty() {
                    "it has no numbers".to_owned()
                } else {
                    format!("expected one of {known}")
                })
                .fail();
        }
        let is_word = value.starts_with(|c: char| c.is_ascii_alphabetic()) && !value.contains('$');
        if parse_number(value).is_none() && !is_word {
            return Message::new(format!("`{name}=` is followed by no number"), span)
                .label("expected a number")
                .fail();
        }
        cursor.next();
        numbers.push((located(name, span), located(value, span)));
    }
    Ok(Named::Because { slug, numbers })
}

/// `update reply+assured`
pub(super) fn event(cursor: &mut Cursor<'_>) -> Parse<EventClaim> {
    let kind: Located<EventKind> = cursor.word_from(EVENTS, "`new`, `update`, `destroy` or `none`")?;
    let changes = cursor.peek_word().map(changes).and_then(Result::ok);
    if changes.is_some() {
        cursor.next();
    } else if let Some(word) = cursor.peek_word().filter(|word| word.contains('+')) {
        let unknown = changes_unknown(word);
        let known: Vec<&str> = (0..16).flat_map(|bit| Changes(1 << bit).names()).collect();
        return Message::new(format!("`{unknown}` is no change"), cursor.here())
            .label(format!("expected some of {}, with `+` between", known.join(", ")))
            .did_you_mean(nearest(unknown, known))
            .fail();
    }
    Ok(EventClaim { kind: kind.value, changes: changes.unwrap_or_default() })
}

fn changes_unknown(word: &str) -> &str {
    changes(word).err().unwrap_or(word)
}

/// `reply+assured`; the name that is none as the error.
fn changes(word: &str) -> Result<Changes, &str> {
    let mut changes = Changes::default();
    for name in word.split('+') {
        let bit = (0..16).map(|bit| Changes(1 << bit)).find(|bit| bit.names().eq([name])).ok_or(name)?;
        changes.insert(bit);
    }
    Ok(changes)
}

/// `SEEN_REPLY+CONFIRMED`
fn status(cursor: &mut Cursor<'_>) -> Parse<Status> {
    let word = cursor.word("names of status bits with `+` between, such as `SEEN_REPLY+CONFIRMED`")?;
    let mut status = Status::default();
    let all = || (0..32).map(|bit| Status(1 << bit)).filter(|bit| bit.names().next().is_some());
    for name in word.value.split('+') {
        let Some(bit) = all().find(|bit| bit.names().eq([name])) else {
            return Message::new(format!("`{name}` is no status bit"), word.span)
                .did_you_mean(nearest(name, all().flat_map(Status::names)))
                .fail();
        };
        status.insert(bit);
    }
    Ok(status)
}

/// `[UNREPLIED]`, `[]`, if they stand here.
pub(super) fn flags(cursor: &mut Cursor<'_>) -> Parse<Option<Located<Flags>>> {
    let Some(open) = cursor.eat_mark('[') else { return Ok(None) };
    let mut flags = Flags::default();
    loop {
        if let Some(close) = cursor.eat_mark(']') {
            return Ok(Some(Located { value: flags, span: open.to(close) }));
        }
        if cursor.eat("UNREPLIED").is_some() {
            flags.unreplied = true;
        } else if cursor.eat("ASSURED").is_some() {
            flags.assured = true;
        } else {
            return cursor.unexpected("`UNREPLIED`, `ASSURED` or `]`", ["UNREPLIED", "ASSURED"]).fail();
        }
    }
}

/// `120s`, `119.996s`
pub(super) fn timeout(cursor: &mut Cursor<'_>) -> Parse<Located<Timeout>> {
    let word = cursor.word("a timeout such as `120s`")?;
    let (left, exact) = parse_length(&word.value, word.span)?;
    Ok(Located { value: Timeout { left, exact }, span: word.span })
}

/// Whether a word is written as states are.
pub(super) fn is_state_like(word: &str) -> bool {
    word.len() > 1
        && word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Words of the two protocols that have states.
pub(super) fn states() -> impl Iterator<Item = &'static str> {
    TcpState::ALL.iter().map(|state| state.word()).chain(SctpState::ALL.iter().map(|state| state.word()))
}

/// A state of TCP or SCTP.
pub(super) fn state(cursor: &mut Cursor<'_>) -> Parse<Name> {
    let word = cursor.word("a state such as `ESTABLISHED`")?;
    if states().any(|state| state == word.value) {
        return Ok(word);
    }
    let message = Message::new(format!("there is no state `{}`", word.value), word.span);
    if matches!(&*word.value, "UNREPLIED" | "ASSURED") {
        return message.help(format!("flags stand in brackets: `[{}]`", word.value)).fail();
    }
    let lower = word.value.to_lowercase();
    if CLASSES.iter().any(|(class, _)| *class == lower) {
        return message.help(format!("classes are written small: `{lower}`")).fail();
    }
    message.label("expected a state of TCP or SCTP").did_you_mean(nearest(&word.value, states())).fail()
}
