//! ICMP and ICMPv6 messages, and what their errors quote.

use conntruth_engine::Family;

use super::cursor::{Cursor, is_name};
use super::names::Names;
use super::once;
use super::packet::{checksum_field, packet, payload_field};
use crate::language::ast::packet::{Icmp, IcmpKind, Quote, Quoted};
use crate::language::message::{Message, Parse};
use crate::language::words::ICMP_NAMES;

/// The words of a message.
pub(super) const FIELDS: &[&str] = &[
    "type",
    "id",
    "seq",
    "rest",
    "quote",
    "checksum",
    "hex",
    "echo",
    "unreachable",
    "time",
    "redirect",
    "source",
    "parameter",
    "timestamp",
    "information",
    "mask",
    "router",
    "neighbour",
    "listener",
];

/// Which message it is, where one is named.
pub(super) fn start(cursor: &mut Cursor<'_>, version: Option<Family>) -> Parse<Icmp> {
    let kind = kind(cursor)?;
    Ok(Icmp { version, kind, id: None, seq: None, rest: None, quote: None, checksum: None, payload: None })
}

/// `echo request`, `type 9 code 0`
fn kind(cursor: &mut Cursor<'_>) -> Parse<Option<IcmpKind>> {
    if cursor.eat("type").is_some() {
        let kind = cursor.fit("`type`", 255)?;
        let code = if cursor.eat("code").is_some() { cursor.fit("`code`", 255)? } else { 0 };
        return Ok(Some(IcmpKind::Numbers { kind, code }));
    }
    let Some(first) = cursor.peek_word() else { return Ok(None) };
    let second_words: Vec<&str> = ICMP_NAMES
        .iter()
        .filter_map(|name| name.words.split_once(' ').filter(|(word, _)| *word == first))
        .map(|(_, second)| second)
        .collect();
    if second_words.is_empty() {
        return Ok(None);
    }
    cursor.next();
    let Some(second) = cursor.peek_word().filter(|second| second_words.contains(second)) else {
        return cursor
            .unexpected(&format!("the kind of `{first}`: {}", second_words.join(", ")), second_words)
            .fail();
    };
    cursor.next();
    let name = ICMP_NAMES.iter().find(|name| name.words.split_once(' ') == Some((first, second)));
    Ok(name.map(IcmpKind::Named))
}

/// A field of a message, if one stands here.
pub(super) fn field(cursor: &mut Cursor<'_>, icmp: &mut Icmp, names: &Names, depth: usize) -> Parse<bool> {
    let span = cursor.here();
    match cursor.peek_word() {
        Some("id") => {
            cursor.next();
            once(&mut icmp.id, cursor.fit("`id`", 65_535)?, "`id`", span)?;
        }
        Some("seq") => {
            cursor.next();
            once(&mut icmp.seq, cursor.fit("`seq`", 65_535)?, "`seq`", span)?;
        }
        Some("rest") => {
            cursor.next();
            once(&mut icmp.rest, cursor.fit("`rest`", u64::from(u32::MAX))?, "`rest`", span)?;
        }
        Some("quote") => {
            cursor.next();
            let quote = quote(cursor, names, depth)?;
            once(&mut icmp.quote, quote, "`quote`", span)?;
        }
        _ => {
            return Ok(checksum_field(cursor, &mut icmp.checksum, 65_535)?
                || payload_field(cursor, &mut icmp.payload)?);
        }
    }
    Ok(true)
}

/// `A bytes 20`, `hex 45 00`, `(client:1 > server:2 udp (40))`
fn quote(cursor: &mut Cursor<'_>, names: &Names, depth: usize) -> Parse<Quote> {
    let what = if cursor.eat("hex").is_some() {
        Quoted::Raw(cursor.hex()?)
    } else if cursor.eat_mark('(').is_some() {
        let packet = packet(cursor, names, depth + 1)?;
        cursor.expect_mark(')', "`)` after the quoted packet")?;
        Quoted::Packet(Box::new(packet))
    } else {
        let expected = "what is quoted: a label, `hex` and bytes, or a packet in parentheses";
        match cursor.peek_word() {
            Some(word) if is_name(word) => Quoted::Label(cursor.word(expected)?),
            _ => return cursor.unexpected(expected, []).fail(),
        }
    };
    let bytes = if cursor.eat("bytes").is_some() { Some(cursor.fit("`bytes`", 65_535)?) } else { None };
    if let (Some(_), Quoted::Raw(_)) = (bytes, &what) {
        return Message::new("bytes that are written out need no `bytes`", cursor.before()).fail();
    }
    Ok(Quote { what, bytes })
}
