//! The text before its words matter: lines, their indentation and comments, and the variants that `each` makes.
//!
//! `each` works on text. A variant is the whole file again, with the words of one row put where its variables stand;
//! every place in it still knows where in the source it comes from.

use super::ast::Span;
use super::message::{Message, Parse};
use super::words::nearest;

/// More text than a person writes; so much is read before the rest is refused.
const LONGEST_FILE: usize = 1 << 20;
const LONGEST_LINE: usize = 1 << 14;
/// So many variants may one file have, and so much text together.
const MOST_VARIANTS: usize = 10_000;
const MOST_TEXT: usize = 16 << 20;

/// A line of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawLine<'t> {
    /// Where it starts in the source.
    pub(super) start: usize,
    /// Without indentation, comment and blanks at the end.
    pub(super) code: &'t str,
    /// Where `code` starts in the source.
    pub(super) code_start: usize,
    /// From `#` on.
    pub(super) comment: Option<&'t str>,
}

impl<'t> RawLine<'t> {
    /// How far it is indented.
    pub(super) fn indent(&self) -> usize {
        self.code_start - self.start
    }

    /// Where the code stands.
    pub(super) fn span(&self) -> Span {
        Span::new(self.code_start, self.code_start + self.code.len())
    }

    /// Whether this is a line of `each`.
    pub(super) fn is_each(&self) -> bool {
        self.code.split_whitespace().next() == Some("each")
    }

    /// Whether this is a row of `each`.
    pub(super) fn is_row(&self) -> bool {
        self.code.starts_with('|')
    }
}

/// Splits a text into its lines.
pub(super) fn lines(text: &str) -> Vec<RawLine<'_>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for whole in text.split_inclusive('\n') {
        let line = whole.trim_end_matches(['\n', '\r']);
        let comment = comment_start(line);
        let before = &line[..comment.unwrap_or(line.len())];
        let code = before.trim();
        let indent = if code.is_empty() { before.len() } else { before.len() - before.trim_start().len() };
        lines.push(RawLine {
            start,
            code,
            code_start: start + indent,
            comment: comment.map(|at| line[at..].trim_end()),
        });
        start += whole.len();
    }
    lines
}

/// Where the comment of a line starts: a `#` at the beginning of a word, outside of quotes. In a line of `source` a
/// number may follow it: `source openvswitch/ovs-issues #232`.
fn comment_start(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    let is_source = line.split_whitespace().next() == Some("source");
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = closing_quote(line, at).unwrap_or(at),
            b'#' if is_source && bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => {}
            b'#' if at == 0 || bytes[at - 1].is_ascii_whitespace() => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where the quote that opens at `open` closes.
pub(super) fn closing_quote(line: &str, open: usize) -> Option<usize> {
    let bytes = line.as_bytes();
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'"' => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// A line of one variant.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// How far it is indented.
    pub(super) indent: usize,
    /// The code with variables replaced; empty where the line has none.
    pub(super) code: String,
    /// Where the code stands in the source.
    pub(super) span: Span,
    /// Whether an `each` stood between this line and the one before: a block ends there.
    pub(super) follows_each: bool,
    pieces: Vec<Piece>,
}

/// A part of a line's code and where it comes from.
#[derive(Clone, Copy, Debug)]
struct Piece {
    at: usize,
    source: usize,
    /// The length in the source of what a variable replaced; nothing for text as it stands.
    variable: Option<usize>,
}

impl Line {
    /// Where a part of the code comes from.
    pub(super) fn locate(&self, start: usize, end: usize) -> Span {
        let piece = |at: usize| self.pieces.iter().rev().find(|piece| piece.at <= at).copied();
        let begin = match piece(start) {
            Some(Piece { at, source, variable: None }) => source + (start - at),
            Some(piece) => piece.source,
            None => self.span.start,
        };
        let last = end.max(start + 1) - 1;
        let finish = match piece(last) {
            Some(Piece { at, source, variable: None }) => source + (end - at),
            Some(Piece { source, variable: Some(length), .. }) => source + length,
            None => self.span.end,
        };
        Span::new(begin, finish.max(begin))
    }
}

/// One variant of a file: its lines, and what `each` gave it.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    pub(super) bindings: Vec<(String, String)>,
    pub(super) lines: Vec<Line>,
}

/// An `each`: from which line on its variables are known, and its rows.
struct Each {
    line: usize,
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// All variants of a file, in the order of its rows; the last `each` changes fastest.
///
/// # Errors
/// Every mistake in the lines of `each`, and what is too long.
pub(super) fn variants(text: &str) -> Result<Vec<Variant>, Vec<Message>> {
    if text.len() > LONGEST_FILE {
        return Err(vec![Message::new(
            format!("a scenario takes at most {LONGEST_FILE} bytes"),
            Span::default(),
        )]);
    }
    let lines = lines(text);
    let mut mistakes = Vec::new();
    let mut eaches: Vec<Each> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if line.code.len() > LONGEST_LINE {
            mistakes.push(Message::new(format!("a line takes at most {LONGEST_LINE} bytes"), line.span()));
        } else if line.is_each() {
            match read_each(&lines, index) {
                Ok(each) => {
                    match eaches.iter().find(|other| each.names.iter().any(|name| other.names.contains(name)))
                    {
                        Some(other) => mistakes.push(
                            Message::new("this variable has values already", line.span())
                                .label("expected another name")
                                .other(lines[other.line].span(), "here they are"),
                        ),
                        None => eaches.push(each),
                    }
                }
                Err(mistake) => mistakes.push(*mistake),
            }
        }
    }
    let count = eaches.iter().try_fold(1_usize, |count, each| count.checked_mul(each.rows.len()));
    let fits = count.filter(|&count| count <= MOST_VARIANTS && count.saturating_mul(text.len()) <= MOST_TEXT);
    let Some(count) = fits else {
        let span = eaches.last().map_or(Span::default(), |each| lines[each.line].span());
        let title = format!("more than {MOST_VARIANTS} variants, or too much text in all of them");
        mistakes.push(Message::new(title, span).label("the rows of every `each` multiply"));
        return Err(mistakes);
    };
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let mut variants = Vec::with_capacity(count);
    for number in 0..count {
        variants.push(variant(&lines, &eaches, number, &mut mistakes));
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
    }
    Ok(variants)
}

fn variant(
    lines: &[RawLine<'_>],
    eaches: &[Each],
    mut number: usize,
    mistakes: &mut Vec<Message>,
) -> Variant {
    let mut bindings: Vec<(usize, &str, &str)> = Vec::new();
    for each in eaches.iter().rev() {
        let row = &each.rows[number % each.rows.len()];
        number /= each.rows.len();
        bindings.extend(each.names.iter().zip(row).map(|(name, value)| (each.line, &**name, &**value)).rev());
    }
    bindings.reverse();
    let mut out = Vec::new();
    let (mut in_rows, mut follows_each) = (false, false);
    for (index, line) in lines.iter().enumerate() {
        follows_each |= line.is_each();
        in_rows = line.is_each() || (in_rows && (line.is_row() || line.code.is_empty()));
        if line.code.is_empty() || in_rows {
            continue;
        }
        match replace(line, index, &bindings) {
            Ok(line) => out.push(Line { follows_each: std::mem::take(&mut follows_each), ..line }),
            Err(mistake) => mistakes.push(*mistake),
        }
    }
    let bindings = bindings.into_iter().map(|(_, name, value)| (name.to_owned(), value.to_owned())).collect();
    Variant { bindings, lines: out }
}

/// Puts the values of variables where `$name` or `${name}` stands. `$$` is a dollar, and so is one before anything that
/// is no name.
fn replace(raw: &RawLine<'_>, index: usize, bindings: &[(usize, &str, &str)]) -> Parse<Line> {
    let mut line = Line {
        indent: raw.indent(),
        code: String::with_capacity(raw.code.len()),
        span: raw.span(),
        follows_each: false,
        pieces: vec![Piece { at: 0, source: raw.code_start, variable: None }],
    };
    let mut rest = raw.code;
    while let Some(dollar) = rest.find('$') {
        let (before, after) = rest.split_at(dollar);
        line.code.push_str(before);
        let source = raw.code_start + (raw.code.len() - after.len());
        let Some((name, length)) = variable_name(after) else {
            line.code.push('$');
            let length = if after.starts_with("$$") { 2 } else { 1 };
            rest = &after[length..];
            line.pieces.push(Piece { at: line.code.len(), source: source + length, variable: None });
            continue;
        };
        let known = bindings.iter().filter(|(from, ..)| *from < index);
        let Some((.., value)) = known.clone().rev().find(|(_, known, _)| *known == name) else {
            let names = known.map(|(_, name, _)| *name);
            let message =
                Message::new(format!("there is no variable `{name}`"), Span::new(source, source + length))
                    .label("variables come from an `each` line above")
                    .did_you_mean(nearest(name, names));
            return message.fail();
        };
        line.pieces.push(Piece { at: line.code.len(), source, variable: Some(length) });
        line.code.push_str(value);
        rest = &after[length..];
        line.pieces.push(Piece { at: line.code.len(), source: source + length, variable: None });
        if line.code.len() > LONGEST_LINE {
            let title = format!("with its variables replaced this line is over {LONGEST_LINE} bytes");
            return Message::new(title, raw.span()).fail();
        }
    }
    line.code.push_str(rest);
    Ok(line)
}

/// The variable that a text starting with `$` names, and how long its mention is.
fn variable_name(text: &str) -> Option<(&str, usize)> {
    let rest = &text[1..];
    if let Some(braced) = rest.strip_prefix('{') {
        let end = braced.find('}')?;
        return is_variable(&braced[..end]).then_some((&braced[..end], end + 3));
    }
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    is_variable(&rest[..end]).then_some((&rest[..end], end + 1))
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `each VAR VAR in row | row`, and the lines below it that begin with `|`.
fn read_each(lines: &[RawLine<'_>], index: usize) -> Parse<Each> {
    let line = &lines[index];
    let shape = "`each NAME in VALUE VALUE ...`, or `each NAME NAME in VALUE VALUE | VALUE VALUE | ...`";
    let mut names = Vec::new();
    let mut rest = line.code.strip_prefix("each").unwrap_or("");
    loop {
        rest = rest.trim_start();
        let word = rest.split_whitespace().next().unwrap_or("");
        let start = line.code_start + (line.code.len() - rest.len());
        let span = Span::new(start, start + word.len());
        rest = &rest[word.len()..];
        match word {
            "in" if !names.is_empty() => break,
            _ if !is_variable(word) => {
                return Message::new("`each` wants names, then `in`, then values", span)
                    .label(if names.is_empty() { "expected a name" } else { "expected a name or `in`" })
                    .help(shape)
                    .fail();
            }
            _ if names.iter().any(|name| name == word) => {
                return Message::new(format!("there is already a variable `{word}`"), span).fail();
            }
            _ => names.push(word.to_owned()),
        }
    }
    let mut rows = Vec::new();
    read_rows(rest, line, names.len(), &mut rows)?;
    for row in lines[index + 1..].iter().take_while(|line| line.is_row() || line.code.is_empty()) {
        read_rows(row.code, row, names.len(), &mut rows)?;
    }
    if rows.is_empty() {
        return Message::new("`each` without values runs nothing", line.span()).help(shape).fail();
    }
    Ok(Each { line: index, names, rows })
}

/// Reads the rows of one line: `|` between them; a single variable needs none.
fn read_rows(text: &str, line: &RawLine<'_>, width: usize, rows: &mut Vec<Vec<String>>) -> Parse<()> {
    let offset = line.code_start + (line.code.len() - text.len());
    let mut row: Vec<String> = Vec::new();
    let mut row_start = offset + (text.len() - text.trim_start().len());
    let mut at = 0;
    let bytes = text.as_bytes();
    loop {
        while at < bytes.len() && bytes[at].is_ascii_whitespace() {
            at += 1;
        }
        let ended = at >= bytes.len();
        if ended || bytes[at] == b'|' || (width == 1 && row.len() == 1) {
            if !row.is_empty() {
                if row.len() != width {
                    let span = Span::new(row_start, offset + text[..at].trim_end().len());
                    return Message::new(format!("{} for {width} names", count(row.len())), span)
                        .help("`|` separates rows; a value with blanks in it stands in quotes")
                        .fail();
                }
                rows.push(std::mem::take(&mut row));
            }
            if ended {
                return Ok(());
            }
            if bytes[at] == b'|' {
                at += 1;
            }
            row_start = offset + at + (text[at..].len() - text[at..].trim_start().len());
            continue;
        }
        let (value, length) = row_value(&text[at..]);
        row.push(value.to_owned());
        at += length;
    }
}

fn count(values: usize) -> String {
    if values == 1 { "1 value".to_owned() } else { format!("{values} values") }
}

/// A value: a word, or what stands in quotes.
pub(super) fn row_value(text: &str) -> (&str, usize) {
    if text.starts_with('"')
        && let Some(close) = closing_quote(text, 0)
    {
        return (&text[1..close], close + 1);
    }
    let end = text.find(|c: char| c.is_ascii_whitespace() || c == '|').unwrap_or(text.len());
    (&text[..end], end)
}
