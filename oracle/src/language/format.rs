//! `fmt`: one layout for all files. It moves words and never changes one: blanks between them, columns, blank lines.
//! Comments stay where they are.
//!
//! ```text
//! flow web tcp client:40000 > server:80        the heading at the margin, words one blank apart
//!
//! A: +0   web > S   = new SYN_SENT 120s        label and time at the margin, what happens in column 8;
//!         again A   = new                      claims that follow a packet stand under each other,
//!         web opened
//!         = established                        those on a line of their own in column 8
//! table                                        checks at the margin, their lines four deeper
//!     tcp 6 120 SYN_SENT
//! ```

use super::message::Messages;
use super::parse::{is_block_word, is_left_word, parse};
use super::print::{ACTION_COLUMN, DEEPER};
use super::source::{RawLine, closing_quote, lines, row_value};

/// Lays a scenario out.
///
/// # Errors
/// What cannot be read is not touched.
pub fn format(name: &str, text: &str) -> Result<String, Messages> {
    parse(name, text)?;
    let raw = lines(text);
    let mut laid_out: Vec<Out> = place(&raw);
    align(&mut laid_out);
    let mut out = String::with_capacity(text.len());
    for line in laid_out {
        let mut written = " ".repeat(line.column);
        written += &line.code;
        if let Some(claim) = &line.claim {
            pad(&mut written, line.claim_column);
            written += claim;
        }
        if let Some(comment) = &line.comment {
            pad(&mut written, line.comment_column);
            written += comment;
        }
        let blank_before = out.is_empty() || out.ends_with("\n\n");
        if !(written.trim_end().is_empty() && blank_before) {
            out.push_str(written.trim_end());
            out.push('\n');
        }
    }
    let end = out.trim_end().len();
    out.truncate(end);
    out.push('\n');
    Ok(out)
}

fn pad(line: &mut String, column: usize) {
    let width = line.chars().count();
    line.extend(std::iter::repeat_n(' ', column.saturating_sub(width)));
}

/// A line with a place for each of its parts.
#[derive(Debug, Default)]
struct Out {
    column: usize,
    code: String,
    /// A claim at the end of a step.
    claim: Option<String>,
    claim_column: usize,
    comment: Option<String>,
    comment_column: usize,
    /// A claim on a line of its own.
    is_claim: bool,
}

impl Out {
    /// Where the part before the comment ends.
    fn width(&self) -> usize {
        match &self.claim {
            Some(claim) => self.claim_column + claim.chars().count(),
            None => self.column + self.code.chars().count(),
        }
    }
}

/// Gives every line its column; those of comments on lines of their own follow the line below them.
fn place(raw: &[RawLine<'_>]) -> Vec<Out> {
    let mut out: Vec<Out> = Vec::with_capacity(raw.len());
    let mut bases = Bases::default();
    let mut index = 0;
    while index < raw.len() {
        let line = &raw[index];
        let base = bases.at(raw, index);
        if line.code.is_empty() {
            out.push(Out { comment: line.comment.map(str::to_owned), ..Out::default() });
            index += 1;
            continue;
        }
        let (first, header) = code_line(line, base);
        out.push(first);
        index += 1;
        let body = if line.is_each() { rows_below(raw, index) } else { body_below(raw, index, line, header) };
        let column = out.last().map_or(0, |header| header.column) + DEEPER;
        let aligned = if line.is_each() { align_rows(&raw[index..body]) } else { Vec::new() };
        for (number, below) in raw[index..body].iter().enumerate() {
            let code = aligned.get(number).cloned().unwrap_or_else(|| one_blank(below.code));
            out.push(Out { column, code, comment: below.comment.map(str::to_owned), ..Out::default() });
        }
        index = body;
    }
    // From the end, so that a comment takes the column of what follows it.
    let mut below = 0;
    for line in out.iter_mut().rev() {
        if line.code.is_empty() {
            line.column = if line.comment.is_some() { below } else { 0 };
            below = if line.comment.is_some() { below } else { 0 };
        } else {
            below = line.column;
        }
    }
    out
}

/// How deep the lines under `each` stand.
#[derive(Debug, Default)]
struct Bases {
    /// For each open `each`: the line after its body.
    ends: Vec<usize>,
}

impl Bases {
    fn at(&mut self, raw: &[RawLine<'_>], index: usize) -> usize {
        self.ends.retain(|&end| index < end);
        let base = self.ends.len() * DEEPER;
        if raw[index].is_each() {
            let start = rows_below(raw, index + 1);
            let end = each_body(raw, start, raw[index].indent());
            if end > start {
                self.ends.push(end);
            }
        }
        base
    }
}

/// The line after the rows of an `each`.
fn rows_below(raw: &[RawLine<'_>], start: usize) -> usize {
    let rows = raw[start..].iter().take_while(|line| line.is_row() || line.code.is_empty()).count();
    let trailing = raw[start..start + rows].iter().rev().take_while(|line| line.code.is_empty()).count();
    start + rows - trailing
}

/// The line after the body of an `each`. Lines in column 8 that are there for want of a time are no body.
fn each_body(raw: &[RawLine<'_>], start: usize, indent: usize) -> usize {
    let is_deeper = |line: &RawLine<'_>| line.indent() > indent;
    if !raw[start..].iter().find(|line| !line.code.is_empty()).is_some_and(is_deeper) {
        return start;
    }
    // What has no time stands in column 8, so behind a body it cannot be told from it, and joins it.
    let belongs = |line: &RawLine<'_>| line.code.is_empty() || is_deeper(line) || stands_in_column(line.code);
    let mut end = start + raw[start..].iter().take_while(|line| belongs(line)).count();
    while end > start && raw[end - 1].code.is_empty() {
        end -= 1;
    }
    // Claims stand where the step above them says.
    let steps = || raw[start..end].iter().filter(|line| !line.code.is_empty() && !line.code.starts_with('='));
    let least = steps().map(RawLine::indent).min().unwrap_or(indent + ACTION_COLUMN);
    let only_column = steps().filter(|line| line.indent() == least).all(|line| stands_in_column(line.code));
    if least == indent + ACTION_COLUMN && only_column { start } else { end }
}

/// Whether a line's code begins in column 8: a claim, or a step without label and time.
fn stands_in_column(code: &str) -> bool {
    match Shape::of(code) {
        Shape::Claim => true,
        Shape::Step { action_at, .. } => action_at == 0,
        Shape::Left => false,
    }
}

/// The line after a block's body.
fn body_below(raw: &[RawLine<'_>], start: usize, header: &RawLine<'_>, is_header: bool) -> usize {
    if !is_header {
        return start;
    }
    let code = |line: &&RawLine<'_>| !line.code.is_empty();
    let is_inside = |line: &&RawLine<'_>| line.indent() > header.indent() && !line.is_each();
    let Some(first) = raw[start..].iter().find(code).filter(is_inside) else {
        return start;
    };
    let belongs = |line: &RawLine<'_>| {
        line.code.is_empty()
            || (line.indent() == first.indent() && !line.code.starts_with('=') && !line.is_each())
    };
    let mut end = start + raw[start..].iter().take_while(|line| belongs(line)).count();
    while end > start && raw[end - 1].code.is_empty() {
        end -= 1;
    }
    end
}

/// What a line is, to its layout.
enum Shape {
    /// Stands at the margin: headings, checks, `set`, lines of later issues.
    Left,
    /// A claim on a line of its own.
    Claim,
    /// A step; where its action begins and where its claim, in bytes.
    Step { action_at: usize, claim_at: Option<usize> },
}

impl Shape {
    fn of(code: &str) -> Shape {
        if code.starts_with('=') {
            return Shape::Claim;
        }
        let mut words = words(code);
        let mut action_at = 0;
        let mut first = words.next();
        while let Some((start, word)) = first {
            let is_prefix = word.starts_with('+') || (start == 0 && word.ends_with(':') && word.len() > 1);
            action_at = start;
            if !is_prefix {
                break;
            }
            first = words.next();
            action_at = first.map_or(code.len(), |(start, _)| start);
        }
        let word = first.map_or("", |(_, word)| word);
        if action_at == 0 && is_left_word(word) {
            return Shape::Left;
        }
        let claim_at = words.find(|(_, word)| *word == "=").map(|(start, _)| start);
        Shape::Step { action_at, claim_at }
    }
}

/// The words of a line with where they start; a text in quotes is one word.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += code[at..].len() - code[at..].trim_start().len();
        let start = at;
        while let Some(next) = code[at..].chars().next().filter(|next| !next.is_whitespace()) {
            at = match closing_quote(code, at).filter(|_| next == '"') {
                Some(close) => close + 1,
                None => at + next.len_utf8(),
            };
        }
        (at > start).then(|| (start, &code[start..at]))
    })
}

/// The words one blank apart.
fn one_blank(code: &str) -> String {
    words(code).map(|(_, word)| word).collect::<Vec<_>>().join(" ")
}

/// A line of code, and whether lines below may be its body.
fn code_line(line: &RawLine<'_>, base: usize) -> (Out, bool) {
    let comment = line.comment.map(str::to_owned);
    let out = match Shape::of(line.code) {
        Shape::Left => Out { column: base, code: one_blank(line.code), comment, ..Out::default() },
        Shape::Claim => Out {
            column: base + ACTION_COLUMN,
            code: one_blank(line.code),
            comment,
            is_claim: true,
            ..Out::default()
        },
        Shape::Step { action_at, claim_at } => {
            let prefix = one_blank(&line.code[..action_at]);
            let action = one_blank(&line.code[action_at..claim_at.unwrap_or(line.code.len())]);
            let claim = claim_at.map(|at| one_blank(&line.code[at..]));
            let (column, code) = match (prefix.as_str(), action.as_str()) {
                ("", _) => (base + ACTION_COLUMN, action),
                (_, "") => (base, prefix),
                _ if prefix.len() < ACTION_COLUMN => (base, format!("{prefix:<ACTION_COLUMN$}{action}")),
                _ => (base, format!("{prefix} {action}")),
            };
            Out { column, code, claim, comment, ..Out::default() }
        }
    };
    let last = words(line.code)
        .filter(|(_, word)| !word.starts_with('+') && !word.ends_with(':'))
        .map(|(_, word)| word);
    let body_words: Vec<&str> = last.take(3).collect();
    let is_header = is_block_word(&body_words);
    (out, is_header)
}

/// Rows of `each` in columns.
fn align_rows(rows: &[RawLine<'_>]) -> Vec<String> {
    let cells: Vec<Vec<&str>> = rows.iter().map(|row| row_cells(row.code)).collect();
    let width = |column: usize| {
        cells.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max().unwrap_or(0)
    };
    cells
        .iter()
        .map(|row| {
            let padded = row.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column)));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect()
}

/// `| a "b c"` as `|`, `a`, `"b c"`.
fn row_cells(code: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let mut rest = code.trim_start();
    while !rest.is_empty() {
        let length = if rest.starts_with('|') { 1 } else { row_value(rest).1.max(1) };
        cells.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    cells
}

/// Lines up claims and comments of lines that follow each other.
fn align(lines: &mut [Out]) {
    for group in lines.split_mut(|line| line.code.is_empty()) {
        let ends = group
            .iter()
            .filter(|line| line.claim.is_some())
            .map(|line| line.column + line.code.chars().count());
        if let Some(claims) = ends.max().map(|end| end + 2) {
            for line in group.iter_mut() {
                line.claim_column = claims;
                if line.is_claim {
                    line.column = claims;
                }
            }
        }
        let comments = group
            .iter()
            .filter(|line| line.comment.is_some())
            .map(|line| line.width() + 2)
            .max()
            .unwrap_or(0);
        group.iter_mut().for_each(|line| line.comment_column = comments);
    }
    for line in lines.iter_mut().filter(|line| line.code.is_empty()) {
        line.comment_column = line.column;
    }
}
