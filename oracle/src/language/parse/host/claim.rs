//! Claims about hosts.

use super::{host_name, known, on, one_of};
use crate::language::ast::host::{DISAGREEMENTS, FINDINGS, HostCheck, OUTCOMES, SOCKET_STATES};
use crate::language::ast::{Located, Name};
use crate::language::lexer::located;
use crate::language::message::{Message, Parse};
use crate::language::parse::claim;
use crate::language::parse::cursor::{Cursor, is_name, parse_address, parse_length};
use crate::language::parse::names::Names;

/// A claim that begins with a host: `client sees reset on c`, `client received 1000 on c`.
pub(in crate::language::parse) fn perception(cursor: &mut Cursor<'_>, names: &Names) -> Parse<HostCheck> {
    let host = host_name(cursor, names)?;
    let verb = cursor.word("`sees`, `received` or `sent`")?;
    let check = if verb.value == "sees" {
        let what = one_of(cursor, OUTCOMES, "what it was told in the end")?;
        HostCheck::Sees { host, what, on: on(cursor, names)? }
    } else if verb.value == "received" && is_file(cursor) {
        let file = cursor.word("a file's name")?;
        cursor.next();
        // The file says what it is about.
        let on = if cursor.eat("on").is_some() { Some(known(cursor, names)?) } else { None };
        HostCheck::File { host, file, on }
    } else {
        let received = verb.value == "received";
        let bytes = match received && cursor.eat("whole").is_some() {
            true => None,
            false => Some(cursor.number("the count of bytes", 0..=u64::MAX)?),
        };
        cursor.eat("bytes");
        let on = on(cursor, names)?;
        let hash = match cursor.eat("hash") {
            Some(_) => Some(cursor.number("the hash", 0..=u64::MAX)?),
            None => None,
        };
        HostCheck::Moved { host, received, bytes, on, hash }
    };
    cursor.expect_end(&format!("`{}`", verb.value))?;
    Ok(check)
}

/// Whether a file's name and `whole` follow.
fn is_file(cursor: &Cursor<'_>) -> bool {
    cursor.peek_word().is_some() && cursor.peek_second().and_then(|next| next.word()) == Some("whole")
}

/// A claim about hosts that begins with a word of its own.
pub(in crate::language::parse) fn host_check(
    word: &str,
    cursor: &mut Cursor<'_>,
    names: &Names,
) -> Parse<HostCheck> {
    Ok(match word {
        "believe" => believe(cursor, names)?,
        "took" => {
            let what = known(cursor, names)?;
            let name = cursor.word("how long, such as `127s`")?;
            let (value, exact) = parse_length(&name.value, name.span)?;
            HostCheck::Took { what, length: Located { value, span: name.span }, exact }
        }
        "resolved" => {
            let start = cursor.here();
            let what = known(cursor, names)?;
            let address = match cursor.eat("nothing") {
                Some(_) => None,
                None => match cursor.eat_known(parse_address) {
                    Some(address) => Some(address),
                    None => return cursor.unexpected("an address, or `nothing`", ["nothing"]).fail(),
                },
            };
            HostCheck::Resolved { what, address, span: start.to(cursor.before()) }
        }
        "answered" => {
            let what = known(cursor, names)?;
            HostCheck::Answered { what, count: cursor.number("the count of answers", 0..=65_535)? }
        }
        "found" => {
            let what = known(cursor, names)?;
            let port = cursor.number("the port", 1..=65_535)?;
            HostCheck::Found { what, port, found: one_of(cursor, FINDINGS, "what a port is like")? }
        }
        "hops" => {
            let what = known(cursor, names)?;
            let mut hosts = Vec::new();
            while !cursor.is_at_end() {
                match cursor.peek_word() {
                    Some("*") => hosts.push(cursor.word("`*`")?),
                    _ => hosts.push(host_name(cursor, names)?),
                }
            }
            if hosts.is_empty() {
                return cursor.unexpected("who answered, in order: `hops t box server`", []).fail();
            }
            HostCheck::Hops { what, hosts }
        }
        "sockets" => {
            let host = host_name(cursor, names)?;
            HostCheck::Sockets { host, count: cursor.number("the count of sockets", 0..=1 << 32)? }
        }
        _ => {
            let conn = known(cursor, names)?;
            HostCheck::Disagree { conn, how: one_of(cursor, DISAGREEMENTS, "how they differ")? }
        }
    })
}

/// `believe c: client ESTABLISHED, server ESTABLISHED, tracker nothing`
fn believe(cursor: &mut Cursor<'_>, names: &Names) -> Parse<HostCheck> {
    let span = cursor.here();
    let name = cursor.word("a connection and a colon: `believe c:`")?;
    let Some(conn) = name.value.strip_suffix(':').filter(|conn| is_name(conn)) else {
        return Message::new(format!("`{}` is followed by no colon", name.value), span)
            .label("expected `believe c: client ESTABLISHED, tracker nothing`")
            .fail();
    };
    if names.flow(conn).is_none() {
        return names.unknown_flow(conn, span).fail();
    }
    let conn = located(conn, span);
    let mut parts: Vec<(Name, Name)> = Vec::new();
    loop {
        let is_tracker = cursor.peek_word() == Some("tracker");
        let who = if is_tracker { cursor.word("`tracker`")? } else { host_name(cursor, names)? };
        if let Some(other) = parts.iter().find(|(other, _)| other.value == who.value) {
            return Message::new(format!("`{}` stands twice", who.value), who.span)
                .other(other.0.span, "the first time")
                .fail();
        }
        let state = if is_tracker {
            let states: Vec<&str> = claim::states().chain(["nothing"]).collect();
            one_of(cursor, &states, "a state of the tracker, or `nothing`")?
        } else {
            one_of(cursor, SOCKET_STATES, "a state of a socket, or `nothing`")?
        };
        parts.push((who, state));
        if cursor.eat_mark(',').is_none() {
            break;
        }
    }
    Ok(HostCheck::Believe { conn, parts })
}
