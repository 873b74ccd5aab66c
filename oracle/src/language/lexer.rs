//! Words: a line's code in pieces that the reader looks at one by one.

use super::ast::{Located, Span};
use super::message::{Message, Parse};
use super::source::{Line, closing_quote};

/// What a piece is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anything between blanks and marks: `client:40000`, `+10ms`, `src=10.0.0.1`, `S.`
    Word(String),
    /// What stands in quotes, escapes resolved.
    Text(Vec<u8>),
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

/// Resolves `\n`, `\r`, `\t`, `\0`, `\\`, `\"` and `\xff`.
fn unescape(line: &Line, start: usize, end: usize) -> Parse<Vec<u8>> {
    let bytes = line.code.as_bytes();
    let mut out = Vec::with_capacity(end - start);
    let mut at = start;
    while at < end {
        if bytes[at] != b'\\' {
            out.push(bytes[at]);
            at += 1;
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
                .help(r#"there are \n \r \t \0 \\ \" and \x with two hexadecimal digits"#)
                .fail();
        };
        out.push(byte);
        at += length;
    }
    Ok(out)
}

/// Whether a word is all hexadecimal digits.
pub(super) fn is_hex(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A word and where it stands.
pub(super) fn located(word: &str, span: Span) -> Located<String> {
    Located { value: word.to_owned(), span }
}
