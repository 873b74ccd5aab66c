//! The words of a line, one after the other, and the small things that every part of the language is made of: names,
//! numbers, lengths of time, bytes.

use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;

use crate::language::ast::{Length, Located, Name, Span};
use crate::language::lexer::{Kind, Token, is_hex, located};
use crate::language::message::{Message, Parse};
use crate::language::words::nearest;

/// No packet is longer.
pub(super) const MOST_BYTES: usize = 65_535;

/// A place in a line.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    tokens: &'a [Token],
    at: usize,
    end: Span,
}

impl<'a> Cursor<'a> {
    /// At the first of `tokens`; `end` is where the line ends.
    pub(super) fn new(tokens: &'a [Token], end: usize) -> Cursor<'a> {
        Cursor { tokens, at: 0, end: Span::new(end, end) }
    }

    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn peek_second(&self) -> Option<&'a Token> {
        self.tokens.get(self.at + 1)
    }

    pub(super) fn peek_word(&self) -> Option<&'a str> {
        self.peek()?.word()
    }

    pub(super) fn next(&mut self) -> Option<&'a Token> {
        let token = self.peek()?;
        self.at += 1;
        Some(token)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// Whether a claim begins here, or nothing is left, or a parenthesis closes.
    pub(super) fn is_at_stop(&self) -> bool {
        self.peek().is_none_or(|token| token.is_mark('=') || token.is_mark(')'))
    }

    /// Where the next word stands, or the end of the line.
    pub(super) fn here(&self) -> Span {
        self.peek().map_or(self.end, |token| token.span)
    }

    /// Where the word before stands.
    pub(super) fn before(&self) -> Span {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(self.end, |token| token.span)
    }

    /// What is left.
    pub(super) fn rest(&self) -> &'a [Token] {
        &self.tokens[self.at.min(self.tokens.len())..]
    }

    /// Leaves what is left to another.
    pub(super) fn finish(&mut self) {
        self.at = self.tokens.len();
    }

    pub(super) fn is_mark(&self, mark: char) -> bool {
        self.peek().is_some_and(|token| token.is_mark(mark))
    }

    pub(super) fn eat_mark(&mut self, mark: char) -> Option<Span> {
        let token = self.peek().filter(|token| token.is_mark(mark))?;
        self.at += 1;
        Some(token.span)
    }

    pub(super) fn eat(&mut self, word: &str) -> Option<Span> {
        let token = self.peek().filter(|token| token.word() == Some(word))?;
        self.at += 1;
        Some(token.span)
    }

    /// The next word, if `find` knows it.
    pub(super) fn eat_known<T>(&mut self, find: impl FnOnce(&str) -> Option<T>) -> Option<Located<T>> {
        let token = self.peek()?;
        let value = find(token.word()?)?;
        self.at += 1;
        Some(Located { value, span: token.span })
    }

    /// The next word if it is in a table.
    pub(super) fn eat_from<T: Copy>(&mut self, table: &[(&'static str, T)]) -> Option<Located<T>> {
        self.eat_known(|word| table.iter().find(|(known, _)| *known == word).map(|(_, value)| *value))
    }

    pub(super) fn expect_mark(&mut self, mark: char, expected: &str) -> Parse<Span> {
        match self.eat_mark(mark) {
            Some(span) => Ok(span),
            None => self.unexpected(expected, []).fail(),
        }
    }

    /// A word, whatever it is.
    pub(super) fn word(&mut self, expected: &str) -> Parse<Name> {
        match self.peek() {
            Some(Token { kind: Kind::Word(word), span }) => {
                self.at += 1;
                Ok(located(word, *span))
            }
            _ => self.unexpected(expected, []).fail(),
        }
    }

    /// The word of a table, or the nearest one.
    pub(super) fn word_from<T: Copy>(
        &mut self,
        table: &[(&'static str, T)],
        expected: &str,
    ) -> Parse<Located<T>> {
        match self.eat_from(table) {
            Some(found) => Ok(found),
            None => self.unexpected(expected, table.iter().map(|(word, _)| *word)).fail(),
        }
    }

    /// Says that something else should stand here.
    pub(super) fn unexpected<'w>(&self, expected: &str, known: impl IntoIterator<Item = &'w str>) -> Message {
        let (title, near) = match self.peek().map(|token| &token.kind) {
            None => ("the line ends too early".to_owned(), None),
            Some(Kind::Word(word)) => (format!("`{word}` does not belong here"), nearest(word, known)),
            Some(Kind::Text(_)) => ("a text in quotes does not belong here".to_owned(), None),
            Some(Kind::Mark(mark)) => (format!("`{mark}` does not belong here"), None),
        };
        Message::new(title, self.here()).label(format!("expected {expected}")).did_you_mean(near)
    }

    /// Nothing more may stand in this line.
    pub(super) fn expect_end(&self, after: &str) -> Parse<()> {
        if self.is_at_end() {
            return Ok(());
        }
        self.unexpected(&format!("nothing more after {after}"), []).fail()
    }

    /// A whole number, decimal or `0x` hexadecimal.
    pub(super) fn number(&mut self, what: &str, range: RangeInclusive<u64>) -> Parse<Located<u64>> {
        let Some(word) = self.peek_word() else {
            return self.unexpected(&format!("a number for {what}"), []).fail();
        };
        let span = self.here();
        let Some(value) = parse_number(word) else {
            return Message::new(format!("`{word}` is no number"), span)
                .label(format!("expected a number for {what}"))
                .fail();
        };
        match value.filter(|value| range.contains(value)) {
            Some(value) => {
                self.at += 1;
                Ok(Located { value, span })
            }
            None => {
                Message::new(format!("{what} takes {} to {}, not {word}", range.start(), range.end()), span)
                    .fail()
            }
        }
    }

    /// A number that fits `T`.
    pub(super) fn fit<T: TryFrom<u64>>(&mut self, what: &str, most: u64) -> Parse<T> {
        let number = self.number(what, 0..=most)?;
        T::try_from(number.value)
            .or_else(|_| Message::new(format!("{what} is too large"), number.span).fail())
    }

    /// Bytes in hexadecimal, in words of even length: `45 00`, `4500`. As many words as there are.
    pub(super) fn hex(&mut self) -> Parse<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(word) = self.peek_word().filter(|word| is_hex(word)) {
            if word.len() % 2 == 1 {
                return Message::new(format!("`{word}` is half a byte too long or too short"), self.here())
                    .label("expected two digits for each byte")
                    .fail();
            }
            bytes.extend(
                (0..word.len() / 2).filter_map(|at| u8::from_str_radix(&word[2 * at..2 * at + 2], 16).ok()),
            );
            if bytes.len() > MOST_BYTES {
                return Message::new(format!("no packet has more than {MOST_BYTES} bytes"), self.here())
                    .fail();
            }
            self.at += 1;
        }
        if bytes.is_empty() {
            return self.unexpected("bytes in hexadecimal, such as `45 00`", []).fail();
        }
        Ok(bytes)
    }

    /// `10ms`, `5d`, `1h30min`, `1.5s`, `1tick`, `120s-1tick`.
    pub(super) fn length(&mut self, what: &str) -> Parse<Located<Length>> {
        let name = self.word(&format!("{what}, such as `120s`"))?;
        Ok(Located { value: parse_length(&name.value, name.span)?.0, span: name.span })
    }
}

/// A number, `Some(None)` when it is one but too large.
pub(super) fn parse_number(word: &str) -> Option<Option<u64>> {
    let (digits, radix) = match word.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (word, 10),
    };
    let all_digits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    all_digits.then(|| u64::from_str_radix(digits, radix).ok())
}

/// Units of time in nanoseconds.
const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];
/// What other languages call them.
const OTHER_UNITS: &[(&str, &str)] = &[
    ("m", "min"),
    ("mins", "min"),
    ("minutes", "min"),
    ("sec", "s"),
    ("secs", "s"),
    ("seconds", "s"),
    ("msec", "ms"),
    ("usec", "us"),
    ("hours", "h"),
    ("days", "d"),
    ("jiffies", "tick"),
];
/// Hundred years.
const LONGEST: u64 = 100 * 365 * 86_400_000_000_000;
const MOST_TICKS: u64 = 1_000_000_000;

/// A length of time, and whether it is finer than whole seconds.
pub(super) fn parse_length(word: &str, span: Span) -> Parse<(Length, bool)> {
    let (mut length, mut exact) = (Length::default(), false);
    let mut rest = word;
    let mut sign = 1;
    if rest.is_empty() {
        return Message::new("a length of time is missing", span)
            .label("expected one such as `10ms` or `5d`")
            .fail();
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let unit_end =
            rest[digits..].find(|c: char| !c.is_ascii_alphabetic()).map_or(rest.len(), |end| digits + end);
        let (number, unit) = (&rest[..digits], &rest[digits..unit_end]);
        if number.is_empty() {
            return not_a_length(word, span).fail();
        }
        let is_tick = matches!(unit, "tick" | "ticks");
        if sign < 0 && !is_tick {
            return Message::new("only ticks can be taken away from a length of time", span)
                .help("`120s-1tick`")
                .fail();
        }
        if is_tick {
            let Some(ticks) = parse_number(number).flatten().filter(|&ticks| ticks <= MOST_TICKS) else {
                return not_a_length(word, span).fail();
            };
            length.ticks = length.ticks.saturating_add(sign * ticks as i32);
            exact = true;
        } else {
            let (nanos, fine) = parse_quantity(number, unit, word, span)?;
            length.nanos = length.nanos.saturating_add(nanos);
            exact |= fine;
        }
        rest = &rest[unit_end..];
        sign = 1;
        if let Some(after) = rest.strip_prefix(['+', '-']) {
            sign = if rest.starts_with('-') { -1 } else { 1 };
            rest = after;
            if rest.is_empty() {
                return not_a_length(word, span).fail();
            }
        }
    }
    if length.nanos > LONGEST {
        return too_long(word, span).fail();
    }
    Ok((length, exact))
}

/// `1.5s` in nanoseconds, and whether it is finer than whole seconds.
fn parse_quantity(number: &str, unit: &str, word: &str, span: Span) -> Parse<(u64, bool)> {
    if unit.is_empty() {
        if number == "0" {
            return Ok((0, false));
        }
        return Message::new(format!("`{word}` has no unit"), span)
            .label("expected a unit")
            .help(format!("`{number}s`, or one of ns, us, ms, min, h, d, tick"))
            .fail();
    }
    let Some((_, nanos)) = UNITS.iter().find(|(known, _)| *known == unit) else {
        return Message::new(format!("there is no unit of time `{unit}`"), span)
            .label("expected ns, us, ms, s, min, h, d or tick")
            .did_you_mean(OTHER_UNITS.iter().find(|(other, _)| *other == unit).map(|(_, unit)| *unit))
            .fail();
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction_ok =
        fraction.len() <= 15 && fraction.bytes().all(|byte| byte.is_ascii_digit()) && !number.ends_with('.');
    let Some(whole) = parse_number(whole).filter(|_| fraction_ok) else {
        return not_a_length(word, span).fail();
    };
    let whole_nanos = whole.and_then(|whole| whole.checked_mul(*nanos)).filter(|&nanos| nanos <= LONGEST);
    let Some(whole_nanos) = whole_nanos else {
        return too_long(word, span).fail();
    };
    let scale = 10_u128.pow(fraction.len() as u32);
    let part = u128::from(parse_number(fraction).flatten().unwrap_or(0)) * u128::from(*nanos);
    if part % scale != 0 {
        return Message::new(format!("`{word}` is finer than a nanosecond"), span).fail();
    }
    let fine = *nanos < 1_000_000_000 || !fraction.is_empty();
    Ok((whole_nanos + (part / scale) as u64, fine))
}

fn too_long(word: &str, span: Span) -> Message {
    Message::new(format!("`{word}` is more than a hundred years"), span)
}

fn not_a_length(word: &str, span: Span) -> Message {
    Message::new(format!("`{word}` is no length of time"), span)
        .label("expected one such as `10ms`, `1.5s`, `5d` or `120s-1tick`")
}

/// An address, with the brackets of IPv6 already gone.
pub(super) fn parse_address(word: &str) -> Option<IpAddr> {
    word.parse().ok()
}

/// Whether a word is an IPv6 address, so that its colons are its own.
pub(super) fn is_ipv6(word: &str) -> bool {
    word.parse::<Ipv6Addr>().is_ok()
}

/// Whether a word can name something: letters, digits, `_` and `-`, beginning with a letter.
pub(in crate::language) fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}
