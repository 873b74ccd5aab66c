//! What a field is compared to: numbers and their names, flags, addresses and their prefixes, interfaces, times; ranges
//! and sets of them; masks.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::cursor::{Cursor, Kind as TokenKind};
use super::{Read, RuleError, error};
use crate::rules::statement::{Match, Test};
use crate::rules::words::{Field, Kind};

/// How a field is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// Nothing is written.
    Implied,
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

const OPERATORS: [(&str, Operator); 6] = [
    ("==", Operator::Equal),
    ("!=", Operator::Unequal),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("<", Operator::Less),
    (">", Operator::More),
];

/// The rest of a comparison, behind its field.
pub(super) fn comparison(cursor: &mut Cursor<'_>, field: Field, kind: Kind) -> Read<Match> {
    if let Kind::Name | Kind::Text = kind {
        return Ok(Match { field, mask: None, test: names(cursor, kind)? });
    }
    let mut mask = None;
    if cursor.eat_mark("&") || cursor.eat("and") {
        mask = Some(bits(cursor, kind)?);
    }
    let place = cursor.here();
    let operator = operator(cursor);
    if mask.is_some() && operator == Operator::Implied {
        return Err(cursor.unexpected("`==` or `!=` behind the mask", []));
    }
    if !matches!(operator, Operator::Implied | Operator::Equal | Operator::Unequal) {
        if let Kind::Flags(_) | Kind::Address4 | Kind::Address6 = kind {
            return Err(error("these have no order", place, "`==` or `!=`".to_owned()));
        }
        let (low, high) = range(cursor, kind)?;
        if low != high {
            return Err(error(
                "a range is not less or more than anything",
                cursor.before(),
                "one value".to_owned(),
            ));
        }
        let test = match operator {
            Operator::Less => Test::Less(low),
            Operator::AtMost => Test::AtMost(low),
            Operator::More => Test::More(low),
            _ => Test::AtLeast(low),
        };
        return Ok(Match { field, mask, test });
    }
    let is_set = cursor.peek().is_some_and(|token| token.text == "{" && token.kind == TokenKind::Mark);
    let ranges = if is_set { set(cursor, kind)? } else { vec![one(cursor, kind)?] };
    let test = match (operator, kind, is_set) {
        // Without `==` it is enough that one of the flags is there.
        (Operator::Implied, Kind::Flags(table), false) => {
            let any = ranges[0].0;
            if cursor.eat("/") {
                // `tcp flags syn / syn,ack`
                mask = Some(flags(cursor, table)?);
                Test::In(ranges)
            } else {
                Test::Any(any)
            }
        }
        (Operator::Unequal, ..) => Test::NotIn(ranges),
        _ => Test::In(ranges),
    };
    Ok(Match { field, mask, test })
}

fn operator(cursor: &mut Cursor<'_>) -> Operator {
    let found = OPERATORS.iter().find(|(mark, _)| cursor.eat_mark(mark));
    found.map_or(Operator::Implied, |(_, operator)| *operator)
}

/// Interfaces, or a helper.
fn names(cursor: &mut Cursor<'_>, kind: Kind) -> Read<Test> {
    let what = if let Kind::Text = kind { "the helper's name in quotes" } else { "an interface's name" };
    let place = cursor.here();
    let negated = match operator(cursor) {
        Operator::Implied | Operator::Equal => false,
        Operator::Unequal => true,
        _ => return Err(error("names have no order", place, "`==` or `!=`".to_owned())),
    };
    let name = |cursor: &mut Cursor<'_>| match cursor.peek().map(|token| token.kind) {
        Some(TokenKind::Quoted) => cursor.quoted(what),
        _ => cursor.name(what),
    };
    let mut all = Vec::new();
    if cursor.eat_mark("{") {
        loop {
            all.push(name(cursor)?);
            if !cursor.eat_mark(",") {
                break;
            }
        }
        cursor.expect_mark("}")?;
    } else {
        all.push(name(cursor)?);
    }
    Ok(if negated { Test::NotNamed(all) } else { Test::Named(all) })
}

/// `{ 22, 80-90 }`
fn set(cursor: &mut Cursor<'_>, kind: Kind) -> Read<Vec<(u128, u128)>> {
    cursor.expect_mark("{")?;
    let mut all: Vec<(u128, u128)> = Vec::new();
    loop {
        let start = cursor.here().start;
        let (low, high) = one_of_set(cursor, kind)?;
        if all.iter().any(|(other_low, other_high)| low <= *other_high && *other_low <= high) {
            let place = start..cursor.before().end;
            return Err(error(
                "a part of the set that overlaps another",
                place,
                "each value once".to_owned(),
            ));
        }
        all.push((low, high));
        if !cursor.eat_mark(",") {
            break;
        }
    }
    cursor.expect_mark("}")?;
    Ok(all)
}

/// In a set a comma ends a value, also one of flags.
fn one_of_set(cursor: &mut Cursor<'_>, kind: Kind) -> Read<(u128, u128)> {
    match kind {
        Kind::Flags(table) => {
            let mut bits = flag(cursor, table)?;
            while cursor.eat_mark("|") {
                bits |= flag(cursor, table)?;
            }
            Ok((bits, bits))
        }
        _ => range(cursor, kind),
    }
}

fn one(cursor: &mut Cursor<'_>, kind: Kind) -> Read<(u128, u128)> {
    match kind {
        Kind::Flags(table) => {
            let bits = flags(cursor, table)?;
            Ok((bits, bits))
        }
        _ => range(cursor, kind),
    }
}

/// A mask: `0xff`, `syn`, `(syn|ack)`.
fn bits(cursor: &mut Cursor<'_>, kind: Kind) -> Read<u128> {
    match kind {
        Kind::Flags(table) => flags(cursor, table),
        Kind::Number(bits, names) => number(cursor, bits, names),
        _ => {
            let (low, high) = range(cursor, kind)?;
            if low == high {
                Ok(low)
            } else {
                Err(error("this is no mask", cursor.before(), "one value".to_owned()))
            }
        }
    }
}

/// `syn`, `syn,ack`, `syn|ack`, `(syn|ack)`, `0`
fn flags(cursor: &mut Cursor<'_>, table: &'static [(&'static str, u32)]) -> Read<u128> {
    if cursor.eat_mark("(") {
        let bits = flags(cursor, table)?;
        cursor.expect_mark(")")?;
        return Ok(bits);
    }
    let mut bits = flag(cursor, table)?;
    while cursor.eat_mark(",") || cursor.eat_mark("|") {
        bits |= flag(cursor, table)?;
    }
    Ok(bits)
}

fn flag(cursor: &mut Cursor<'_>, table: &'static [(&'static str, u32)]) -> Read<u128> {
    if let Some(number) = cursor.peek_word().and_then(plain) {
        return Ok(cursor.then(number));
    }
    let words: Vec<String> = table.iter().map(|(word, _)| format!("`{word}`")).collect();
    cursor.word_from(table, &format!("one of {}", words.join(", "))).map(u128::from)
}

/// A value, or a range of them.
fn range(cursor: &mut Cursor<'_>, kind: Kind) -> Read<(u128, u128)> {
    let expected = expected(kind);
    let Some(word) = cursor.peek_word() else { return Err(cursor.unexpected(&expected, words_of(kind))) };
    if let Some(value) = single(word, kind) {
        let value = fitting(value, kind, cursor)?;
        return Ok(cursor.then((value, value)));
    }
    if let Some(range) = prefix(word, kind) {
        return Ok(cursor.then(range));
    }
    let parts = word.split_once('-').and_then(|(low, high)| Some((single(low, kind)?, single(high, kind)?)));
    let Some((low, high)) = parts else { return Err(cursor.unexpected(&expected, words_of(kind))) };
    let (low, high) = (fitting(low, kind, cursor)?, fitting(high, kind, cursor)?);
    if low > high {
        return Err(error(
            "this range ends before it begins",
            cursor.here(),
            "the smaller value first".to_owned(),
        ));
    }
    Ok(cursor.then((low, high)))
}

/// A number of so many bits, or one of these names.
pub(super) fn number(cursor: &mut Cursor<'_>, bits: u8, names: &'static [(&'static str, u32)]) -> Read<u128> {
    let (low, high) = range(cursor, Kind::Number(bits, names))?;
    if low == high {
        Ok(low)
    } else {
        Err(error("a range is no value", cursor.before(), "one number".to_owned()))
    }
}

fn single(word: &str, kind: Kind) -> Option<u128> {
    match kind {
        Kind::Number(_, names) => names
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, value)| u128::from(*value))
            .or_else(|| plain(word)),
        Kind::Address4 => word.parse::<Ipv4Addr>().ok().map(|address| u128::from(address.to_bits())),
        Kind::Address6 => word.parse::<Ipv6Addr>().ok().map(|address| address.to_bits()),
        Kind::Time => millis(word),
        Kind::Flags(_) | Kind::Name | Kind::Text => None,
    }
}

/// A number must fit its field.
fn fitting(value: u128, kind: Kind, cursor: &Cursor<'_>) -> Result<u128, Box<RuleError>> {
    match kind {
        Kind::Number(bits, _) if value >> bits != 0 => {
            let title = format!("this field takes 0 to {}", (1u64 << bits) - 1);
            Err(error(title, cursor.here(), format!("a number of {bits} bits")))
        }
        _ => Ok(value),
    }
}

/// `10.0.0.0/8`
fn prefix(word: &str, kind: Kind) -> Option<(u128, u128)> {
    let (address, length) = word.split_once('/')?;
    let length: u32 = length.parse().ok()?;
    let bits: u32 = match kind {
        Kind::Address4 => 32,
        Kind::Address6 => 128,
        _ => return None,
    };
    let rest = bits.checked_sub(length)?;
    let address = single(address, kind)?;
    let host = 1u128.checked_shl(rest).map_or(u128::MAX, |beyond| beyond - 1);
    Some((address & !host, address | host))
}

/// A whole number, decimal or `0x` hexadecimal.
fn plain(word: &str) -> Option<u128> {
    let number = match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => word.parse::<u64>(),
    };
    number.ok().filter(|_| word.starts_with(|c: char| c.is_ascii_digit())).map(u128::from)
}

/// `30s`, `1h30m`, `500ms`
fn millis(word: &str) -> Option<u128> {
    const UNITS: [(&str, u128); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("ms", 1), ("m", 60_000), ("s", 1_000)];
    let mut total = 0u128;
    let mut rest = word;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| (1..=9).contains(end))?;
        let unit_end =
            rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        let (_, unit) = UNITS.iter().find(|(unit, _)| *unit == &rest[digits..unit_end])?;
        total = total.checked_add(rest[..digits].parse::<u128>().ok()? * unit)?;
        rest = &rest[unit_end..];
    }
    (!word.is_empty() && total <= u128::from(u32::MAX)).then_some(total)
}

fn expected(kind: Kind) -> String {
    match kind {
        Kind::Number(_, []) => "a number, a range or a set such as `{ 22, 80-90 }`".to_owned(),
        Kind::Number(_, names) => {
            let words: Vec<String> = names.iter().take(4).map(|(word, _)| format!("`{word}`")).collect();
            format!("a number, or a name such as {}", words.join(", "))
        }
        Kind::Address4 => "an IPv4 address, a prefix or a range".to_owned(),
        Kind::Address6 => "an IPv6 address, a prefix or a range".to_owned(),
        Kind::Time => "a length of time such as `30s` or `1h30m`".to_owned(),
        Kind::Flags(table) => {
            let words: Vec<String> = table.iter().map(|(word, _)| format!("`{word}`")).collect();
            format!("one of {}", words.join(", "))
        }
        Kind::Name => "an interface's name".to_owned(),
        Kind::Text => "a text in quotes".to_owned(),
    }
}

fn words_of(kind: Kind) -> impl Iterator<Item = &'static str> {
    let names: &'static [(&'static str, u32)] = match kind {
        Kind::Number(_, names) => names,
        Kind::Flags(table) => table,
        _ => &[],
    };
    names.iter().map(|(word, _)| *word)
}
