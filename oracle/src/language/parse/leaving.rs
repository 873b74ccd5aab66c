//! What a packet looks like when it leaves, and what entries have in common: `leaves box:40000 > server:80`, `distinct
//! a.reply.dport b.reply.dport`.

use super::cursor::{Cursor, parse_number};
use super::names::Names;
use super::packet::end_with;
use crate::language::ast::claim::{AtPort, Check, EntryPlace, Leaving, LeavingEnd};
use crate::language::ast::{Located, Span};
use crate::language::message::{Message, Parse};
use crate::language::words::{KEYS, KeyOf, nearest};

/// Sender and receiver, and those of what is quoted.
pub(super) fn leaving(cursor: &mut Cursor<'_>, names: &Names) -> Parse<Leaving> {
    let ends = ends(cursor, names)?;
    let quoted = match cursor.eat("quoting") {
        Some(_) => Some(self::ends(cursor, names)?),
        None => None,
    };
    Ok(Leaving { ends, quoted })
}

fn ends(cursor: &mut Cursor<'_>, names: &Names) -> Parse<[LeavingEnd; 2]> {
    let from = end(cursor, names)?;
    cursor.expect_mark('>', "`>` between sender and receiver: `leaves box:40000 > server:80`")?;
    Ok([from, end(cursor, names)?])
}

fn end(cursor: &mut Cursor<'_>, names: &Names) -> Parse<LeavingEnd> {
    if cursor.eat("*").is_some() {
        return Ok(LeavingEnd::Any);
    }
    if cursor.is_at_end() {
        return cursor.unexpected("a host, an address or `*`; or `leaves unchanged`", []).fail();
    }
    let (host, port) = end_with(cursor, names, false, at_port)?;
    Ok(LeavingEnd::Host { host, port })
}

fn at_port(word: &str, span: Span) -> Parse<AtPort> {
    match parse_number(word).flatten().and_then(|port| u16::try_from(port).ok()) {
        _ if word == "*" => Ok(AtPort::Any),
        Some(port) => Ok(AtPort::Port(port)),
        None => Message::new(format!("`{word}` is no port"), span)
            .label("expected 0 to 65535 or `*` after the `:`")
            .fail(),
    }
}

/// `distinct` and `same`, with the places that they compare.
pub(super) fn alike(cursor: &mut Cursor<'_>, names: &Names, same: bool) -> Parse<Check> {
    let mut places = Vec::new();
    while !cursor.is_at_end() {
        places.push(place(cursor, names)?);
    }
    match places.len() {
        0 => cursor.unexpected("keys of entries: `a.reply.dport b.reply.dport`", []).fail(),
        1 => Message::new("there is nothing to compare this with", cursor.before())
            .label("expected another after it, such as `b.reply.dport`")
            .fail(),
        _ => Ok(Check::Alike { same, places }),
    }
}

/// `a.reply.dport`, `a.src`
fn place(cursor: &mut Cursor<'_>, names: &Names) -> Parse<Located<EntryPlace>> {
    let word = cursor.word("a key of an entry: `a.reply.dport`")?;
    let parts: Vec<&str> = word.value.split('.').collect();
    let (flow, reply, key) = match parts[..] {
        [flow, key] => (flow, false, key),
        [flow, "original", key] => (flow, false, key),
        [flow, "reply", key] => (flow, true, key),
        _ => {
            return Message::new(format!("`{}` is no key of an entry", word.value), word.span)
                .label("expected a flow, `reply` and a key with dots between: `a.reply.dport`")
                .fail();
        }
    };
    if names.flow(flow).is_none() {
        return names.unknown_flow(flow, word.span).fail();
    }
    let of_direction = || KEYS.iter().filter(|(_, of)| *of == KeyOf::Direction).map(|(key, _)| *key);
    if !of_direction().any(|known| known == key) {
        return Message::new(format!("there is no key `{key}`"), word.span)
            .label("expected a key of `conntrack -L`: src, dst, sport, dport, id, ...")
            .did_you_mean(nearest(key, of_direction()))
            .fail();
    }
    let value = EntryPlace { flow: flow.to_owned(), reply, key: key.to_owned() };
    Ok(Located { value, span: word.span })
}
