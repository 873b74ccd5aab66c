//! Words: a line's code in pieces that the reader looks at one by one.

use super::ast::packet::{AddressStyle, Piece};
use super::ast::{Located, Span};
use super::message::{Message, Parse};
use super::source::{Line, closing_quote};

/// What a piece is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anything between blanks and marks: `client:40000`, `+10ms`, `src=10.0.0.1`, `S.`
    Word(String),
    /// What stands in quotes, escapes resolved.
    Text(Vec<Piece>),
    /// One of `( ) [ ] , < >`, or `=` at the beginning of a word.
    Mark(char),
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Span,
}

impl Token {
    pub(super) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn is_mark(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }
}

const MARKS: &str = "()[],<>";

/// Splits a line into its words.
pub(super) fn tokens(line: &Line) -> Parse<Vec<Token>> {
    let code = &*line.code;
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = code[at..].chars().next() {
        let start = at;
        let kind = if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        } else if first == '"' {
            let Some(close) = closing_quote(code, at) else {
                return Message::new("this quote is not closed", line.locate(at, code.len()))
                    .label("expected another `\"` on this line")
                    .fail();
            };
            at = close + 1;
            Kind::Text(unescape(line, start + 1, close)?)
        } else if MARKS.contains(first) || first == '=' {
            at += 1;
            Kind::Mark(first)
        } else {
            let ends = |c: char| c.is_whitespace() || c == '"' || MARKS.contains(c);
            at = code[at..].find(ends).map_or(code.len(), |length| at + length);
            Kind::Word(code[start..at].to_owned())
        };
        tokens.push(Token { kind, span: line.locate(start, at) });
    }
    Ok(tokens)
}

/// Resolves `\n`, `\r`, `\t`, `\0`, `\\`, `\"`, `\xff`, and finds `\{client}`.
fn unescape(line: &Line, start: usize, end: usize) -> Parse<Vec<Piece>> {
    let mut pieces = Vec::new();
    let bytes = line.code.as_bytes();
    let mut out = Vec::with_capacity(end - start);
    let mut at = start;
    while at < end {
        if bytes[at] != b'\\' {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        if bytes[at + 1] == b'{' {
            let (piece, length) = address(line, at, end)?;
            if !out.is_empty() {
                pieces.push(Piece::Bytes(std::mem::take(&mut out)));
            }
            pieces.push(piece);
            at += length;
            continue;
        }
        let (byte, length) = match bytes[at + 1] {
            b'n' => (Some(b'\n'), 2),
            b'r' => (Some(b'\r'), 2),
            b't' => (Some(b'\t'), 2),
            b'0' => (Some(0), 2),
            same @ (b'\\' | b'"') => (Some(same), 2),
            b'x' => {
                let digits = line.code.get(at + 2..at + 4).filter(|digits| at + 4 <= end && is_hex(digits));
                (digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()), 4)
            }
            _ => (None, 2),
        };
        let Some(byte) = byte else {
            return Message::new("there is no such escape", line.locate(at, (at + 2).min(end)))
                .help(r#"there are \n \r \t \0 \\ \" \x with two hexadecimal digits, and \{HOST} for an address"#)
                .fail();
        };
        out.push(byte);
        at += length;
    }
    if !out.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Bytes(out));
    }
    Ok(pieces)
}

/// `\{client}`, `\{client,4242}`, `\{client#}`, and how many bytes it takes.
fn address(line: &Line, at: usize, end: usize) -> Parse<(Piece, usize)> {
    let text = line.code.get(at + 2..end).unwrap_or_default();
    let Some((inside, _)) = text.split_once('}') else {
        return Message::new("this `{` is not closed", line.locate(at, end))
            .label("expected `}` behind the host's name")
            .fail();
    };
    let length = inside.len() + 3;
    let (name, style) = match (inside.split_once(','), inside.strip_suffix('#')) {
        (Some((name, port)), _) => (name, port.trim().parse().ok().map(AddressStyle::WithPort)),
        (_, Some(name)) => (name, Some(AddressStyle::Number)),
        _ => (inside, Some(AddressStyle::Plain)),
    };
    let span = line.locate(at + 2, at + 2 + name.len());
    let Some(style) = style else {
        return Message::new(format!("`{inside}` names no port"), line.locate(at, at + length))
            .label(r"expected `\{HOST}`, `\{HOST,PORT}` or `\{HOST#}`")
            .fail();
    };
    Ok((Piece::Address { host: located(name.trim(), span), style }, length))
}

/// Whether a word is all hexadecimal digits.
pub(super) fn is_hex(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A word and where it stands.
pub(super) fn located(word: &str, span: Span) -> Located<String> {
    Located { value: word.to_owned(), span }
}
