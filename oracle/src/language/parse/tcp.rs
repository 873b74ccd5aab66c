//! Segments, in packetdrill's and tcpdump's notation.

use super::cursor::{Cursor, parse_number};
use super::once;
use super::packet::{checksum_field, payload_field};
use crate::language::ast::Span;
use crate::language::ast::packet::{Payload, Seq, Tcp, TcpOption};
use crate::language::message::{Message, Parse};
use crate::language::words::TCP_FLAGS;

/// The words of a segment.
pub(super) const FIELDS: &[&str] = &["seq", "ack", "win", "urg", "doff", "checksum", "hex"];
const OPTIONS: &[&str] = &["mss", "sackOK", "wscale", "sack", "TS", "nop", "eol", "hex"];
/// A header has room for 40 bytes of options.
const MOST_OPTIONS: usize = 40;

/// The flags, and `1:1461(1460)` if it stands there.
pub(super) fn start(cursor: &mut Cursor<'_>) -> Parse<Tcp> {
    let Some(word) = cursor.peek_word() else {
        return no_flags(cursor).fail();
    };
    let mut tcp = Tcp { flags: flags(word, cursor)?, ..Tcp::default() };
    cursor.next();
    range(cursor, &mut tcp)?;
    Ok(tcp)
}

/// Whether a word is written as flags are.
pub(super) fn are_flags(word: &str) -> bool {
    word.chars().all(|letter| TCP_FLAGS.iter().any(|(known, _)| *known == letter))
}

/// The bits of flags, where the word is nothing but flags.
pub(super) fn bits(word: &str) -> Option<u8> {
    let bit = |letter: char| TCP_FLAGS.iter().find(|(known, _)| *known == letter).map(|(_, bit)| *bit);
    (!word.is_empty()).then_some(())?;
    word.chars().try_fold(0, |bits, letter| Some(bits | bit(letter)?))
}

/// Kinds of segment as people call them, and their flags as they are written.
const SPELT_OUT: &[(&str, &str)] = &[
    ("SYN", "S"),
    ("SYN/ACK", "S."),
    ("SYN-ACK", "S."),
    ("SYNACK", "S."),
    ("ACK", "."),
    ("FIN", "F."),
    ("FIN/ACK", "F."),
    ("FIN-ACK", "F."),
    ("RST", "R"),
    ("RST/ACK", "R."),
    ("RST-ACK", "R."),
    ("PSH", "P."),
    ("NONE", "-"),
];

fn no_flags(cursor: &Cursor<'_>) -> Message {
    cursor.unexpected("the flags of a segment: letters of `SFRP.UEW`, or `-` for none", [])
}

fn flags(word: &str, cursor: &Cursor<'_>) -> Parse<u8> {
    if word == "-" {
        return Ok(0);
    }
    let mut flags = 0;
    for letter in word.chars() {
        match TCP_FLAGS.iter().find(|(known, _)| *known == letter) {
            Some((_, bit)) => flags |= bit,
            None if letter == 'A' && word.chars().all(|c| "SFRPAUEW".contains(c)) => {
                let meant = word.replace('A', ".");
                return no_flags(cursor).help(format!("ACK is written as a dot: `{meant}`")).fail();
            }
            None => {
                let upper = word.to_uppercase();
                let is_case =
                    upper != word && upper.chars().all(|c| TCP_FLAGS.iter().any(|(known, _)| *known == c));
                let message = no_flags(cursor).did_you_mean(is_case.then_some(&*upper));
                return match SPELT_OUT.iter().find(|(spelt, _)| *spelt == upper) {
                    Some((_, letters)) => message.help(format!("flags are letters: `{letters}`")).fail(),
                    None => message.fail(),
                };
            }
        }
    }
    Ok(flags)
}

/// `1:1461`, with its length behind it or not.
fn range(cursor: &mut Cursor<'_>, tcp: &mut Tcp) -> Parse<()> {
    let Some(word) = cursor.peek_word() else { return Ok(()) };
    let Some((from, to)) = word.split_once(':') else { return Ok(()) };
    let span = cursor.here();
    let (Some(from), Some(to)) = (parse_number(from).flatten(), parse_number(to).flatten()) else {
        return Message::new(format!("`{word}` is no range of sequence numbers"), span)
            .label("expected one such as `1:1461`")
            .fail();
    };
    cursor.next();
    let length = to.checked_sub(from).filter(|&length| length <= 65_535 && to <= u64::from(u32::MAX));
    let Some(length) = length else {
        return Message::new(format!("`{word}` is no range of sequence numbers"), span)
            .label("the end must not lie before the beginning, nor more than 65535 after it")
            .fail();
    };
    if payload_field(cursor, &mut tcp.payload)?
        && let Some(written) = payload_length(tcp)
        && written != length
    {
        return Message::new(
            format!("{from} to {to} is {length} bytes, not {written}"),
            span.to(cursor.before()),
        )
        .fail();
    }
    tcp.seq = Some(Seq::Relative(from as i64));
    if tcp.payload.is_none() {
        tcp.payload = Some(Payload::Length(length as u32));
    }
    Ok(())
}

/// How long a payload is, where that does not depend on an address.
fn payload_length(tcp: &Tcp) -> Option<u64> {
    match &tcp.payload {
        None => Some(0),
        Some(Payload::Length(length)) => Some(u64::from(*length)),
        Some(Payload::Bytes(bytes)) => Some(bytes.len() as u64),
        Some(Payload::Text(_)) => None,
    }
}

/// A field of a segment, if one stands here.
pub(super) fn field(cursor: &mut Cursor<'_>, tcp: &mut Tcp) -> Parse<bool> {
    let span = cursor.here();
    if cursor.eat_mark('<').is_some() {
        let options = options(cursor)?;
        once(&mut tcp.options, options, "the options", span)?;
        return Ok(true);
    }
    match cursor.peek_word() {
        Some("seq") => {
            cursor.next();
            once(&mut tcp.seq, seq(cursor)?, "`seq`", span)?;
        }
        Some("ack") => {
            cursor.next();
            once(&mut tcp.ack, seq(cursor)?, "`ack`", span)?;
        }
        Some("win") => {
            cursor.next();
            once(&mut tcp.window, cursor.fit("`win`", 65_535)?, "`win`", span)?;
        }
        Some("urg") => {
            cursor.next();
            once(&mut tcp.urgent, cursor.fit("`urg`", 65_535)?, "`urg`", span)?;
        }
        Some("doff") => {
            cursor.next();
            once(&mut tcp.data_offset, cursor.fit("`doff`", 15)?, "`doff`", span)?;
        }
        _ => {
            return Ok(checksum_field(cursor, &mut tcp.checksum, 65_535)?
                || payload_field(cursor, &mut tcp.payload)?);
        }
    }
    Ok(true)
}

/// `1461`, `-1`, `next+1000`, `abs 4294967295`
fn seq(cursor: &mut Cursor<'_>) -> Parse<Seq> {
    if cursor.eat("abs").is_some() {
        return Ok(Seq::Absolute(cursor.fit("a sequence number", u64::from(u32::MAX))?));
    }
    let span = cursor.here();
    let word = cursor.word("a sequence number: `1461`, `next+1000` or `abs 4294967295`")?;
    seq_word(&word.value, span)
}

/// A sequence number in one word.
fn seq_word(word: &str, span: Span) -> Parse<Seq> {
    let (next, rest) = match word.strip_prefix("next") {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let (minus, digits) = match rest.strip_prefix('-') {
        Some(digits) => (true, digits),
        None if next => (false, rest.strip_prefix('+').unwrap_or(if rest.is_empty() { "0" } else { "?" })),
        None => (false, rest),
    };
    let number = parse_number(digits).flatten().filter(|&number| number <= u64::from(u32::MAX));
    let Some(number) = number else {
        return Message::new(format!("`{word}` is no sequence number"), span)
            .label("expected one such as `1461`, `-1`, `next`, `next+1000` or `abs 4294967295`")
            .fail();
    };
    let number = if minus { -(number as i64) } else { number as i64 };
    Ok(if next { Seq::Next(number) } else { Seq::Relative(number) })
}

/// What stands between `<` and `>`.
fn options(cursor: &mut Cursor<'_>) -> Parse<Vec<TcpOption>> {
    let mut options = Vec::new();
    if cursor.eat_mark('>').is_some() {
        return Ok(options);
    }
    loop {
        let span = cursor.here();
        options.push(option(cursor)?);
        if options.len() > MOST_OPTIONS {
            return Message::new(format!("a segment has room for {MOST_OPTIONS} bytes of options"), span)
                .fail();
        }
        if cursor.eat_mark('>').is_some() {
            return Ok(options);
        }
        if cursor.eat_mark(',').is_none() {
            return cursor.unexpected("`,` and another option, or `>`", []).fail();
        }
    }
}

fn option(cursor: &mut Cursor<'_>) -> Parse<TcpOption> {
    let Some(word) = cursor.peek_word().filter(|word| OPTIONS.contains(word)) else {
        return cursor
            .unexpected("an option: mss, sackOK, wscale, sack, TS, nop, eol or hex", OPTIONS.iter().copied())
            .fail();
    };
    cursor.next();
    Ok(match word {
        "mss" => TcpOption::Mss(cursor.fit("`mss`", 65_535)?),
        "sackOK" => TcpOption::SackPermitted,
        "wscale" => TcpOption::WindowScale(cursor.fit("`wscale`", 255)?),
        "sack" => TcpOption::Sack(sack(cursor)?),
        "TS" => TcpOption::Timestamps(timestamps(cursor)?),
        "nop" => TcpOption::Nop,
        "eol" => TcpOption::Eol,
        _ => TcpOption::Raw(cursor.hex()?),
    })
}

/// `1001:2001 3001:4001`, `abs 1001:2001`
fn sack(cursor: &mut Cursor<'_>) -> Parse<Vec<(Seq, Seq)>> {
    let absolute = cursor.eat("abs").is_some();
    let mut blocks = Vec::new();
    while let Some((left, right)) = cursor.peek_word().and_then(|word| word.split_once(':')) {
        let span = cursor.here();
        let side = |word: &str| match seq_word(word, span)? {
            Seq::Relative(number) if absolute => match u32::try_from(number) {
                Ok(number) => Ok(Seq::Absolute(number)),
                Err(_) => Message::new(format!("`{word}` is no absolute sequence number"), span).fail(),
            },
            seq => Ok(seq),
        };
        blocks.push((side(left)?, side(right)?));
        cursor.next();
        if blocks.len() > MOST_OPTIONS {
            return Message::new("a segment has room for 40 bytes of options", span).fail();
        }
    }
    if blocks.is_empty() {
        return cursor.unexpected("a block such as `1001:2001`", []).fail();
    }
    Ok(blocks)
}

/// `val 100 ecr 5`
fn timestamps(cursor: &mut Cursor<'_>) -> Parse<Option<(u32, u32)>> {
    if cursor.eat("val").is_none() {
        return Ok(None);
    }
    let most = u64::from(u32::MAX);
    let val = cursor.fit("`val`", most)?;
    if cursor.eat("ecr").is_none() {
        return cursor.unexpected("`ecr` and the echoed time stamp", ["ecr"]).fail();
    }
    Ok(Some((val, cursor.fit("`ecr`", most)?)))
}
