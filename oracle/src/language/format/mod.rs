//! `fmt`: one layout for all files. It moves words and never changes one: blanks between them, columns, blank lines.
//! Comments stay where they are.
//!
//! ```text
//! flow web   tcp  client:40000 > server:80             the heading at the margin, flows in columns
//! flow ping  icmp client > server
//!
//! A: +0   web  > S    = new SYN_SENT  because tcp-new  label and time at the margin, what happens in column 8;
//!         ping >      = new  # so it goes              arrows, claims, reasons and remarks of lines that follow each
//!         web  opened                                  other stand under each other
//!         = established                                claims on a line of their own in column 8
//! table                                                checks at the margin, their lines four deeper
//!     tcp 6 120 SYN_SENT
//! states  SYN_SENT ESTABLISHED
//! ```
//!
//! [`place`] says what each line is and how deep it stands; [`columns`] lines up its parts with those of its neighbours.

mod columns;

use columns::Row;

use super::message::Messages;
use super::parse::{can_name, is_block_word, is_check_word, is_left_word, parse};
use super::print::{ACTION_COLUMN, DEEPER};
use super::source::{RawLine, closing_quote, lines, row_value};
use super::words::{PROTOCOLS, TCP_FLAGS};

/// Lays a scenario out.
///
/// # Errors
/// What cannot be read is not touched.
pub fn format(name: &str, text: &str) -> Result<String, Messages> {
    parse(name, text)?;
    Ok(lay_out(text))
}

/// Lays out a text that can be read.
pub(super) fn lay_out(text: &str) -> String {
    let mut rows = place(&lines(text));
    columns::align(&mut rows);
    let mut out = String::with_capacity(text.len());
    for row in rows {
        let written = row.to_string();
        let is_second_blank = written.is_empty() && (out.is_empty() || out.ends_with("\n\n"));
        if !is_second_blank {
            out.push_str(&written);
            out.push('\n');
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// Gives every line its depth; comments on lines of their own follow the line below them.
fn place(raw: &[RawLine<'_>]) -> Vec<Row> {
    let flows = flow_names(raw);
    let mut out: Vec<Row> = Vec::with_capacity(raw.len());
    let mut bases = Bases::default();
    let mut index = 0;
    while index < raw.len() {
        let line = &raw[index];
        let base = bases.at(raw, index);
        if line.code.is_empty() {
            out.push(Row { comment: line.comment.map(str::to_owned), ..Row::default() });
            index += 1;
            continue;
        }
        let header = row(line, base, &flows);
        let column = header.column + DEEPER;
        out.push(header);
        index += 1;
        let body = if line.is_each() { rows_below(raw, index) } else { body_below(raw, index, line) };
        let aligned = if line.is_each() { align_rows(&raw[index..body]) } else { Vec::new() };
        for (number, below) in raw[index..body].iter().enumerate() {
            let code = aligned.get(number).cloned().unwrap_or_else(|| one_blank(below.code));
            out.push(Row { column, code, comment: below.comment.map(str::to_owned), ..Row::default() });
        }
        index = body;
    }
    // From the end, so that a comment takes the depth of what follows it.
    let mut below = 0;
    for row in out.iter_mut().rev() {
        if !row.is_empty() {
            below = row.column;
        } else if row.comment.is_some() {
            row.column = below;
        } else {
            below = 0;
        }
    }
    out
}

/// The names of flows, as far as no variable hides them.
fn flow_names<'t>(raw: &[RawLine<'t>]) -> Vec<&'t str> {
    let name = |line: &RawLine<'t>| {
        let mut words = line.code.split_whitespace();
        let is_flow = words.next() == Some("flow");
        words.next().filter(|name| is_flow && can_name(name) && !is_protocol(name))
    };
    raw.iter().filter_map(name).collect()
}

fn is_protocol(word: &str) -> bool {
    word == "proto" || PROTOCOLS.iter().any(|row| row.0 == word)
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
fn body_below(raw: &[RawLine<'_>], start: usize, header: &RawLine<'_>) -> usize {
    let is_prefix = |word: &str| word.starts_with('+') || word.ends_with(':');
    let head: Vec<&str> =
        words(header.code).map(|(_, word)| word).filter(|word| !is_prefix(word)).take(12).collect();
    if !is_block_word(&head) {
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

/// A line of code in its parts.
fn row(line: &RawLine<'_>, base: usize, flows: &[&str]) -> Row {
    let mut row = match Shape::of(line.code) {
        Shape::Left => left(line.code, base),
        Shape::Claim => {
            let (claim, reason) = claim(line.code);
            Row { column: base + ACTION_COLUMN, code: claim, reason, is_claim: true, ..Row::default() }
        }
        Shape::Step { action_at, claim_at } => step(line.code, base, action_at, claim_at, flows),
    };
    row.comment = line.comment.map(str::to_owned);
    row
}

/// Headings and checks. What a check says begins in column 8, where that leaves a blank.
fn left(code: &str, base: usize) -> Row {
    let words: Vec<&str> = words(code).map(|(_, word)| word).collect();
    let row = Row { column: base, ..Row::default() };
    match &*words {
        ["flow", name, "proto", number, rest @ ..] if !is_protocol(name) => {
            let heads = vec![format!("flow {name}"), format!("proto {number}")];
            Row { heads, code: rest.join(" "), ..row }
        }
        ["flow", name, protocol, rest @ ..] if !is_protocol(name) => {
            let heads = vec![format!("flow {name}"), (*protocol).to_owned()];
            Row { heads, code: rest.join(" "), ..row }
        }
        [check, rest @ ..] if is_check_word(check) && *check != "no" && !rest.is_empty() => {
            Row { code: format!("{check:<7} {}", rest.join(" ")), ..row }
        }
        _ => Row { code: words.join(" "), ..row },
    }
}

fn step(code: &str, base: usize, action_at: usize, claim_at: Option<usize>, flows: &[&str]) -> Row {
    let prefix = one_blank(&code[..action_at]);
    let action = one_blank(&code[action_at..claim_at.unwrap_or(code.len())]);
    let (claim, reason) = claim_at.map_or((None, None), |at| {
        let (claim, reason) = claim(&code[at..]);
        (Some(claim), reason)
    });
    let (column, prefix) = match prefix.len() {
        0 => (base + ACTION_COLUMN, prefix),
        _ if action.is_empty() => (base, prefix),
        _ => (base, format!("{prefix:<0$} ", ACTION_COLUMN - 1)),
    };
    let row = Row { column, prefix, claim, reason, ..Row::default() };
    let words: Vec<&str> = action.split(' ').collect();
    match &*words {
        [flow, rest @ ..] if flows.contains(flow) && matches!(rest, ["<" | ">" | "opened", ..]) => {
            let (flags, code) = flags(rest);
            Row { heads: vec![(*flow).to_owned()], flags, code, ..row }
        }
        ["<" | ">", ..] => {
            let (flags, code) = flags(&words);
            Row { flags, code, ..row }
        }
        _ => Row { code: action, ..row },
    }
}

/// An arrow with the flags of a segment behind it, where more follows; and all the rest.
fn flags(words: &[&str]) -> (Option<String>, String) {
    let are_flags = |word: &str| word == "-" || word.chars().all(|c| TCP_FLAGS.iter().any(|row| row.0 == c));
    match words {
        [arrow @ ("<" | ">"), flags, rest @ ..] if are_flags(flags) && !rest.is_empty() => {
            (Some(format!("{arrow} {flags}")), rest.join(" "))
        }
        _ => (None, words.join(" ")),
    }
}

/// A claim, and the reason or events that end it. A list of claims is in one piece.
fn claim(code: &str) -> (String, Option<String>) {
    let split = words(code).find(|(_, word)| matches!(*word, "because" | "event")).map(|(at, _)| at);
    match split.filter(|&at| at > 1 && !code.contains(',')) {
        Some(at) if !one_blank(&code[..at]).ends_with('=') => {
            (one_blank(&code[..at]), Some(one_blank(&code[at..])))
        }
        _ => (one_blank(code), None),
    }
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
            padded.collect::<Vec<_>>().join("  ").replacen("|  ", "| ", 1).trim_end().to_owned()
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
