//! Claims that are not about one packet: `table`, `entry`, `states`, `events` and their like.

use conntruth_engine::{EventKind, ExpectFlags};

use super::claim;
use super::cursor::{Cursor, is_name, parse_address, parse_number};
use super::host::{HOST_CHECKS, host_check};
use super::leaving;
use super::names::Names;
use super::once;
use super::packet::{protocol, protocol_words};
use crate::language::ast::claim::{
    Block, Check, ClassWord, EntryClaim, EventLine, ExpectClaim, ExpectPart, Flags, Key, KeyValue, Pattern,
    Timeout,
};
use crate::language::ast::packet::Protocol;
use crate::language::ast::{Length, Located, Name, Span};
use crate::language::lexer::{Token, located};
use crate::language::message::{Message, Parse};
use crate::language::words::{CLASSES, EXPECT_KEYS, KEYS, KeyOf, PROTOCOLS, nearest};

/// The lines of a block, each with where it ends.
pub(super) type Lines = Vec<(Vec<Token>, usize)>;
/// Gives the lines below a check, if there are any.
pub(super) type Body<'b> = &'b mut dyn FnMut() -> Parse<Lines>;

/// The words that begin a check.
pub(super) const CHECKS: &[&str] = &[
    "table",
    "expectations",
    "entry",
    "no",
    "count",
    "counter",
    "states",
    "classes",
    "events",
    "expires",
    "believe",
    "took",
    "answered",
    "resolved",
    "found",
    "hops",
    "sockets",
    "disagree",
    "distinct",
    "same",
];

/// Reads a check whose first word is `word`, which was read already. `body` gives the lines below it, if it has a body.
pub(super) fn check(word: &str, cursor: &mut Cursor<'_>, names: &Names, body: Body<'_>) -> Parse<Check> {
    let check = match word {
        "table" => Check::Table(block(cursor, names, body, "table", "empty", entry)?),
        "expectations" => {
            Check::Expectations(block(cursor, names, body, "expectations", "empty", expectation)?)
        }
        "events" => Check::Events(block(cursor, names, body, "events", "none", event_line)?),
        word if HOST_CHECKS.contains(&word) => Check::Host(host_check(word, cursor, names)?),
        "entry" => Check::Entry(entry(cursor, names)?),
        "no" => {
            if cursor.eat("entry").is_none() {
                return cursor.unexpected("`entry`: `no entry`", ["entry"]).fail();
            }
            Check::NoEntry { flow: optional_flow(cursor, names)? }
        }
        "count" => Check::Count(cursor.number("the count of entries", 0..=u64::from(u32::MAX))?),
        "counter" => counter(cursor)?,
        "distinct" | "same" => leaving::alike(cursor, names, word == "same")?,
        "states" => {
            let flow = optional_flow(cursor, names)?;
            Check::States { flow, pattern: sequence(cursor, body, "states", state)? }
        }
        "classes" => {
            let flow = optional_flow(cursor, names)?;
            Check::Classes { flow, pattern: sequence(cursor, body, "classes", class)? }
        }
        _ => {
            let flow = optional_flow(cursor, names)?;
            Check::Expires { flow, after: cursor.length("when it expires")? }
        }
    };
    cursor.expect_end(&format!("`{word}`"))?;
    Ok(check)
}

/// `counter bad 1`, `counter bad 1 bytes 40`
fn counter(cursor: &mut Cursor<'_>) -> Parse<Check> {
    let name = cursor.word("the name of a counter in `rules`")?;
    let packets = cursor.number("the count of packets", 0..=u64::from(u32::MAX))?;
    let bytes = match cursor.eat("bytes") {
        Some(_) => Some(cursor.number("the count of bytes", 0..=u64::MAX)?),
        None => None,
    };
    Ok(Check::Counter { name, packets, bytes })
}

/// The name of a flow; where it is left out there must be only one.
fn optional_flow(cursor: &mut Cursor<'_>, names: &Names) -> Parse<Option<Name>> {
    match cursor.peek_word() {
        Some(word) if names.flow(word).is_some() => cursor.word("a flow").map(Some),
        Some(word) if is_name(word) && word.contains(|c: char| c.is_ascii_lowercase()) && !is_other(word) => {
            names.unknown_flow(word, cursor.here()).fail()
        }
        _ => names.only_flow(cursor.here()).map(|_| None),
    }
}

/// Whether a word is, or is meant to be, a class or a state rather than a flow.
fn is_other(word: &str) -> bool {
    let classes = CLASSES.iter().map(|(class, _)| *class);
    claim::states().chain(classes.clone()).any(|known| known.eq_ignore_ascii_case(word))
        || nearest(word, classes).is_some()
}

/// A check of lines: one on its own line, or those below it, or `(empty)`.
fn block<T>(
    cursor: &mut Cursor<'_>,
    names: &Names,
    body: Body<'_>,
    word: &str,
    none: &str,
    read: fn(&mut Cursor<'_>, &Names) -> Parse<T>,
) -> Parse<Block<T>> {
    let start = cursor.here();
    if cursor.is_mark('(') {
        cursor.next();
        if cursor.eat(none).is_none() {
            return cursor.unexpected(&format!("`{none}`: `{word} ({none})`"), [none]).fail();
        }
        let close = cursor.expect_mark(')', "`)`")?;
        return Ok(Block { lines: Vec::new(), span: start.to(close), below: false });
    }
    if !cursor.is_at_end() {
        let value = read(cursor, names)?;
        let span = start.to(cursor.before());
        return Ok(Block { lines: vec![Located { value, span }], span, below: false });
    }
    let lines = body_or_fail(cursor, body, word, none)?;
    let mut read_lines = Vec::new();
    for (tokens, end) in &lines {
        let mut cursor = Cursor::new(tokens, *end);
        let start = cursor.here();
        let value = read(&mut cursor, names)?;
        cursor.expect_end("this")?;
        read_lines.push(Located { value, span: start.to(cursor.before()) });
    }
    let span = read_lines[0].span.to(read_lines[read_lines.len() - 1].span);
    Ok(Block { lines: read_lines, span, below: true })
}

fn body_or_fail(cursor: &Cursor<'_>, body: Body<'_>, word: &str, none: &str) -> Parse<Lines> {
    let lines = body()?;
    if lines.is_empty() {
        return Message::new(format!("`{word}` says nothing"), cursor.before())
            .label("expected something after it, or indented lines below it")
            .help(format!("to claim that there is nothing: `{word} ({none})`"))
            .fail();
    }
    Ok(lines)
}

/// A check of words: on its own line, or on those below it.
fn sequence<T>(
    cursor: &mut Cursor<'_>,
    body: Body<'_>,
    word: &str,
    read: fn(&mut Cursor<'_>) -> Parse<T>,
) -> Parse<Block<Pattern<T>>> {
    let below = cursor.is_at_end();
    let mut lines = Vec::new();
    if below {
        for (tokens, end) in body()? {
            words(&mut Cursor::new(&tokens, end), &mut lines, read)?;
        }
    } else {
        words(cursor, &mut lines, read)?;
    }
    match (lines.first(), lines.last()) {
        (Some(first), Some(last)) => {
            let span = first.span.to(last.span);
            Ok(Block { lines, span, below })
        }
        _ => Message::new(format!("`{word}` says nothing"), cursor.before())
            .label("expected words after it, or indented lines below it")
            .fail(),
    }
}

fn words<T>(
    cursor: &mut Cursor<'_>,
    out: &mut Vec<Located<Pattern<T>>>,
    read: fn(&mut Cursor<'_>) -> Parse<T>,
) -> Parse<()> {
    while !cursor.is_at_end() {
        let start = cursor.here();
        let value = if cursor.eat("*").is_some() { Pattern::Any } else { Pattern::One(read(cursor)?) };
        out.push(Located { value, span: start.to(cursor.before()) });
        cursor.eat_mark(',');
    }
    Ok(())
}

fn state(cursor: &mut Cursor<'_>) -> Parse<String> {
    Ok(claim::state(cursor)?.value)
}

fn class(cursor: &mut Cursor<'_>) -> Parse<(ClassWord, bool)> {
    let class = cursor.word_from(CLASSES, "a class such as `new`, or `*`")?;
    Ok((class.value, cursor.eat("reply").is_some()))
}

/// `update reply+assured web 60s`
fn event_line(cursor: &mut Cursor<'_>, names: &Names) -> Parse<EventLine> {
    let event = claim::event(cursor)?;
    if matches!(event.kind, EventKind::ExpectNew | EventKind::ExpectDestroy) {
        let expected = if cursor.is_at_end() { ExpectClaim::default() } else { expectation(cursor, names)? };
        return Ok(EventLine { event, entry: EntryClaim::default(), expected });
    }
    let entry = if cursor.is_at_end() { EntryClaim::default() } else { entry(cursor, names)? };
    Ok(EventLine { event, entry, expected: ExpectClaim::default() })
}

/// An entry in the words of `conntrack -L`.
pub(super) fn entry(cursor: &mut Cursor<'_>, names: &Names) -> Parse<EntryClaim> {
    let mut entry = EntryClaim::default();
    if cursor.peek_word().is_some_and(|word| names.flow(word).is_some()) {
        entry.flow = Some(cursor.word("a flow")?);
    }
    if cursor.is_at_end() && entry.flow.is_none() {
        return cursor.unexpected("an entry, in the words of `conntrack -L`", []).fail();
    }
    let mut in_reply = false;
    while !cursor.is_at_end() {
        entry_part(cursor, names, &mut entry, &mut in_reply)?;
    }
    Ok(entry)
}

fn entry_part(
    cursor: &mut Cursor<'_>,
    names: &Names,
    entry: &mut EntryClaim,
    in_reply: &mut bool,
) -> Parse<()> {
    let span = cursor.here();
    if cursor.eat_mark(',').is_some() {
        // As GRE's `timeout=30, stream_timeout=180` is listed.
        return Ok(());
    }
    if let Some(flags) = claim::flags(cursor)? {
        return add_flags(&mut entry.flags, flags);
    }
    if let Some(protocol) = entry_protocol(cursor)? {
        return once(&mut entry.protocol, protocol, "the protocol", span);
    }
    if let Some(named) = claim::named(cursor, names)? {
        return claim::add_named(&mut entry.named, named);
    }
    if let Some(reply) = cursor.eat("reply") {
        if std::mem::replace(in_reply, true) {
            return Message::new("the reply direction has begun already", reply).fail();
        }
        return Ok(());
    }
    match cursor.peek_word() {
        Some(word) if word.contains('=') => key(cursor, entry, in_reply),
        Some(word) if parse_number(word).is_some() => {
            let seconds = cursor.number("a timeout in seconds", 0..=u64::from(u32::MAX))?;
            let left = Length { nanos: seconds.value * 1_000_000_000, ticks: 0 };
            once(
                &mut entry.timeout,
                Located { value: Timeout { left, exact: false }, span },
                "the timeout",
                span,
            )
        }
        Some(word) if word.starts_with(|c: char| c.is_ascii_digit()) => {
            once(&mut entry.timeout, claim::timeout(cursor)?, "the timeout", span)
        }
        Some(word) if claim::is_state_like(word) => {
            once(&mut entry.state, claim::state(cursor)?, "the state", span)
        }
        Some(word) if matches!(word, "ipv4" | "ipv6") => {
            Message::new("an entry begins with its protocol, as `conntrack -L` prints it", span)
                .help(format!("leave out `{word}` and the number after it"))
                .fail()
        }
        _ => {
            let mut known: Vec<&str> = protocol_words().chain(["reply"]).collect();
            known.extend(names.all());
            cursor
                .unexpected(
                    "an entry's words: protocol, timeout, state, `src=...`, `[UNREPLIED]`, ...",
                    known,
                )
                .fail()
        }
    }
}

/// `[UNREPLIED]` and `[ASSURED]` stand in different places of a line.
fn add_flags(slot: &mut Option<Located<Flags>>, more: Located<Flags>) -> Parse<()> {
    let flags = slot.get_or_insert(more);
    flags.value.unreplied |= more.value.unreplied;
    flags.value.assured |= more.value.assured;
    Ok(())
}

/// `tcp 6`, `unknown 8`
fn entry_protocol(cursor: &mut Cursor<'_>) -> Parse<Option<Located<Protocol>>> {
    let start = cursor.here();
    if cursor.eat("unknown").is_some() {
        let number = cursor.number("a protocol", 0..=255)?;
        return Ok(Some(Located { value: Protocol::Other(number.value as u8), span: start.to(number.span) }));
    }
    let Some(found) = protocol(cursor)? else { return Ok(None) };
    let number = cursor.peek_word().and_then(parse_number).flatten();
    let expected = PROTOCOLS.iter().find(|row| row.1 == found.value).map(|row| u64::from(row.2));
    match (number, expected) {
        // A single number is the timeout unless it is the protocol's.
        (Some(number), Some(expected))
            if number == expected && cursor.peek_word().is_some_and(|w| !w.contains('x')) =>
        {
            cursor.next();
            Ok(Some(Located { value: found.value, span: start.to(cursor.before()) }))
        }
        (Some(number), Some(expected))
            if cursor.peek_second().and_then(|token| parse_number(token.word()?)).is_some() =>
        {
            Message::new(format!("this protocol's number is {expected}, not {number}"), cursor.here()).fail()
        }
        _ => Ok(Some(found)),
    }
}

/// `dport=80`
fn key(cursor: &mut Cursor<'_>, entry: &mut EntryClaim, in_reply: &mut bool) -> Parse<()> {
    let word = cursor.word("a key such as `dport=80`")?;
    let (name, text) = word.value.split_once('=').unwrap_or((&word.value, ""));
    let Some((_, of)) = KEYS.iter().find(|(known, _)| *known == name) else {
        return Message::new(format!("there is no key `{name}`"), word.span)
            .label("expected a key of `conntrack -L`: src, dst, sport, dport, packets, ...")
            .did_you_mean(nearest(name, KEYS.iter().map(|(known, _)| *known)))
            .fail();
    };
    let value = key_value(name, text, word.span)?;
    let has = |keys: &[Key]| keys.iter().any(|key| key.name.value == name);
    if *of == KeyOf::Direction && !*in_reply && has(&entry.original) {
        *in_reply = true;
    }
    let keys = match of {
        KeyOf::Entry => &mut entry.common,
        KeyOf::Direction if *in_reply => &mut entry.reply,
        KeyOf::Direction => &mut entry.original,
    };
    if has(keys) {
        return Message::new(format!("`{name}` stands twice"), word.span).fail();
    }
    keys.push(Key { name: located(name, word.span), value: Located { value, span: word.span } });
    Ok(())
}

fn key_value(name: &str, text: &str, span: Span) -> Parse<KeyValue> {
    Ok(match text {
        "*" => KeyValue::Any,
        _ => match (parse_number(text), parse_address(text)) {
            (Some(Some(number)), _) => KeyValue::Number(number),
            (_, Some(address)) => KeyValue::Address(address),
            _ if is_name(text) => KeyValue::Word(text.to_owned()),
            _ => {
                return Message::new(format!("`{text}` is no value of `{name}`"), span)
                    .label("expected a number, an address, a host's name or `*` after the `=`")
                    .fail();
            }
        },
    })
}

/// An expectation in the words of `conntrack -L expect`.
fn expectation(cursor: &mut Cursor<'_>, names: &Names) -> Parse<ExpectClaim> {
    let mut claim = ExpectClaim::default();
    let mut part = ExpectPart::Tuple;
    let start = cursor.here().start;
    while !cursor.is_at_end() {
        let span = cursor.here();
        if let Some(flags) = expect_flags(cursor)? {
            once(&mut claim.flags, flags, "the flags", span)?;
            continue;
        }
        if cursor.eat("master").is_some() {
            once(&mut claim.master, claim::flow(cursor, names)?, "the master", span)?;
            continue;
        }
        match cursor.peek_word() {
            Some(word) if word.contains('=') => expect_key(cursor, &mut claim, &mut part)?,
            Some(word) if parse_number(word).is_some() => {
                let seconds = cursor.number("a timeout in seconds", 0..=u64::from(u32::MAX))?;
                let left = Length { nanos: seconds.value * 1_000_000_000, ticks: 0 };
                let timeout = Located { value: Timeout { left, exact: false }, span };
                once(&mut claim.timeout, timeout, "the timeout", span)?;
            }
            Some(word) if word.starts_with(|c: char| c.is_ascii_digit()) => {
                once(&mut claim.timeout, claim::timeout(cursor)?, "the timeout", span)?;
            }
            _ => {
                let expected = "an expectation's words: a timeout, `proto=6`, `src=...`, `dport=...`, `master FLOW`, ...";
                return cursor.unexpected(expected, ["master", "PERMANENT", "INACTIVE"]).fail();
            }
        }
    }
    if cursor.here().start == start {
        return cursor.unexpected("an expectation, in the words of `conntrack -L expect`", []).fail();
    }
    Ok(claim)
}

/// `PERMANENT,INACTIVE`
fn expect_flags(cursor: &mut Cursor<'_>) -> Parse<Option<Located<ExpectFlags>>> {
    const FLAGS: &[(&str, u32)] =
        &[("PERMANENT", ExpectFlags::PERMANENT.0), ("INACTIVE", ExpectFlags::INACTIVE.0)];
    let start = cursor.here();
    let Some(first) = cursor.eat_from(FLAGS) else { return Ok(None) };
    let mut bits = first.value;
    while cursor.eat_mark(',').is_some() {
        bits |= cursor.word_from(FLAGS, "`PERMANENT` or `INACTIVE`")?.value;
    }
    Ok(Some(Located { value: ExpectFlags(bits), span: start.to(cursor.before()) }))
}

/// `dport=4242`
fn expect_key(cursor: &mut Cursor<'_>, claim: &mut ExpectClaim, part: &mut ExpectPart) -> Parse<()> {
    let word = cursor.word("a key such as `dport=4242`")?;
    let (name, text) = word.value.split_once('=').unwrap_or((&word.value, ""));
    let Some((_, own)) = EXPECT_KEYS.iter().find(|(known, _)| *known == name) else {
        return Message::new(format!("there is no key `{name}`"), word.span)
            .label(
                "expected a key of `conntrack -L expect`: src, dst, dport, mask-src, master-src, class, ...",
            )
            .did_you_mean(nearest(name, EXPECT_KEYS.iter().map(|(known, _)| *known)))
            .fail();
    };
    let of = own.unwrap_or(*part);
    if of != ExpectPart::Whole {
        *part = of;
    }
    if claim.keys.iter().any(|(other, key)| *other == of && key.name.value == name) {
        return Message::new(format!("`{name}` stands twice"), word.span).fail();
    }
    let value = key_value(name, text, word.span)?;
    claim.keys.push((of, Key { name: located(name, word.span), value: Located { value, span: word.span } }));
    Ok(())
}
