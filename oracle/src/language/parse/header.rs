//! The network header's fields, and what becomes of a finished packet: fragments, cuts, `notrack`, `lost`, `waits`.

use conntruth_engine::Hook;

use super::cursor::{Cursor, parse_number};
use super::once;
use super::packet::checksum_value;
use crate::language::ast::packet::{Cut, Extension, Packet, Poke, Stop};
use crate::language::ast::{Located, Span};
use crate::language::message::{Message, Parse};
use crate::language::words::{EXTENSIONS, HOOKS};

/// The fields that any packet has.
pub(super) const FIELDS: &[&str] = &[
    "ttl",
    "tos",
    "ipid",
    "dontfrag",
    "ipopt",
    "iplen",
    "ihl",
    "ipversion",
    "ipchecksum",
    "nexthdr",
    "ext",
    "cut",
    "fragments",
    "fragment",
    "poke",
    "notrack",
    "zone",
    "lost",
    "waits",
];
/// So many fragments, pokes or extension headers has a packet at most.
const MOST_PARTS: usize = 10_000;

/// A field that any packet can have, if one stands here.
pub(super) fn field(cursor: &mut Cursor<'_>, packet: &mut Packet) -> Parse<bool> {
    let span = cursor.here();
    let Some(word) = cursor.peek_word().filter(|word| FIELDS.contains(word)) else { return Ok(false) };
    cursor.next();
    let what = format!("`{word}`");
    let ip = &mut packet.ip;
    match word {
        "ttl" => once(&mut ip.ttl, cursor.fit(&what, 255)?, &what, span)?,
        "tos" => once(&mut ip.tos, cursor.fit(&what, 255)?, &what, span)?,
        "ipid" => once(&mut ip.id, cursor.fit(&what, u64::from(u32::MAX))?, &what, span)?,
        "dontfrag" => {
            let on = cursor.eat_known(|word| matches!(word, "1" | "0").then_some(word == "1"));
            once(&mut ip.dont_fragment, on.is_none_or(|on| on.value), &what, span)?;
        }
        "ipopt" => once(&mut ip.options, cursor.hex()?, &what, span)?,
        "iplen" => once(&mut ip.length, cursor.fit(&what, 65_535)?, &what, span)?,
        "ihl" => once(&mut ip.header_words, cursor.fit(&what, 15)?, &what, span)?,
        "ipversion" => once(&mut ip.version, cursor.fit(&what, 15)?, &what, span)?,
        "ipchecksum" => once(&mut ip.checksum, checksum_value(cursor, 65_535)?, &what, span)?,
        "nexthdr" => once(&mut ip.protocol, cursor.fit(&what, 255)?, &what, span)?,
        "ext" => {
            let extension = extension(cursor)?;
            push(&mut ip.extensions, extension, span)?;
        }
        "cut" => cut_once(&mut packet.cut, Cut::Short(cursor.fit(&what, 65_535)?), span)?,
        "fragments" => cut_once(&mut packet.cut, fragments(cursor)?, span)?,
        "fragment" => cut_once(&mut packet.cut, fragment(cursor)?, span)?,
        "poke" => {
            let offset = cursor.fit("an offset", 65_535)?;
            if cursor.eat("hex").is_none() {
                return cursor.unexpected("`hex` and the bytes to write", ["hex"]).fail();
            }
            let bytes = cursor.hex()?;
            push(&mut packet.pokes, Poke { offset, bytes }, span)?;
        }
        "notrack" => packet.notrack = true,
        "zone" => once(&mut packet.zone, cursor.fit(&what, 65_535)?, &what, span)?,
        "lost" => once(&mut packet.stop, Stop::Lost(hook(cursor)?), "`lost` or `waits`", span)?,
        _ => once(&mut packet.stop, Stop::Waits(hook(cursor)?), "`lost` or `waits`", span)?,
    }
    Ok(true)
}

fn push<T>(list: &mut Vec<T>, value: T, span: Span) -> Parse<()> {
    if list.len() >= MOST_PARTS {
        return Message::new(format!("at most {MOST_PARTS} of these"), span).fail();
    }
    list.push(value);
    Ok(())
}

fn cut_once(slot: &mut Cut, cut: Cut, span: Span) -> Parse<()> {
    if *slot != Cut::Whole {
        return Message::new("a packet is cut up once: `cut`, `fragments` or `fragment`", span).fail();
    }
    *slot = cut;
    Ok(())
}

/// `ext hop`, `ext 60 hex 00 01 04 00`
fn extension(cursor: &mut Cursor<'_>) -> Parse<Extension> {
    let kind = match cursor.eat_from(EXTENSIONS) {
        Some(kind) => kind.value,
        None if cursor.peek_word().and_then(parse_number).is_some() => {
            cursor.fit("an extension header", 255)?
        }
        None => {
            let words = EXTENSIONS.iter().map(|(word, _)| *word);
            return cursor
                .unexpected("an extension header: hop, routing, dest, ..., or a number", words)
                .fail();
        }
    };
    let body = if cursor.eat("hex").is_some() { Some(cursor.hex()?) } else { None };
    Ok(Extension { kind, body })
}

/// `1200 order 3,2,1`
fn fragments(cursor: &mut Cursor<'_>) -> Parse<Cut> {
    let size = cursor.number("the size of a fragment", 1..=65_535)?.value as u32;
    if cursor.eat("order").is_none() {
        return Ok(Cut::Fragments { size, order: None });
    }
    let mut order = Vec::new();
    loop {
        let number = cursor.number("a fragment", 1..=8192)?;
        push(&mut order, number.value as u16, number.span)?;
        if cursor.eat_mark(',').is_none() {
            return Ok(Cut::Fragments { size, order: Some(order) });
        }
    }
}

/// `0..1200 more at 8`
fn fragment(cursor: &mut Cursor<'_>) -> Parse<Cut> {
    let range = cursor.eat_known(|word| {
        let (from, to) = word.split_once("..")?;
        Some((parse_number(from)?, parse_number(to)?))
    });
    let Some(Located { value: (from, to), span }) = range else {
        return cursor.unexpected("the bytes of the fragment, such as `0..1200`", []).fail();
    };
    let (Some(from), Some(to)) = (from.filter(|&n| n <= 65_535), to.filter(|&n| n <= 65_535)) else {
        return Message::new("a datagram has at most 65535 bytes", span).fail();
    };
    if from > to {
        return Message::new("this fragment ends before it begins", span).fail();
    }
    let (mut at, mut more) = (None, None);
    loop {
        let span = cursor.here();
        if cursor.eat("more").is_some() {
            once(&mut more, true, "`more` or `last`", span)?;
        } else if cursor.eat("last").is_some() {
            once(&mut more, false, "`more` or `last`", span)?;
        } else if cursor.eat("at").is_some() {
            let offset = cursor.number("an offset", 0..=65_528)?;
            if offset.value % 8 != 0 {
                return Message::new("a fragment's offset is a multiple of 8", offset.span).fail();
            }
            once(&mut at, offset.value as u32, "`at`", span)?;
        } else {
            return Ok(Cut::Fragment { from: from as u32, to: to as u32, at, more });
        }
    }
}

/// `in forward`
fn hook(cursor: &mut Cursor<'_>) -> Parse<Option<Hook>> {
    if cursor.eat("in").is_none() {
        return Ok(None);
    }
    let hook = cursor.word_from(HOOKS, "a hook: prerouting, input, forward, output or postrouting")?;
    Ok(Some(hook.value))
}
