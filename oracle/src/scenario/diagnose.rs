//! A claim that does not hold, told to a person: where it stands, what was found instead, why the tracker did that, and
//! the packets that led there.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::language::ast::Span;
use crate::language::words::{GRADES, word_of};
use crate::paint::{Paint, Role};
use crate::target::Why;

use super::claims::{Mismatch, describe};
use super::ladder;
use super::plan::{Plan, heading, plural};
use super::run::{Failure, Record};

/// So many packets are shown before the one that failed.
const LEADING: usize = 8;

/// What is wrong with a record, in full for the first failure and in a line for the rest.
pub fn diagnose(plan: &Plan, record: &Record, paint: Paint) -> String {
    let Some(first) = record.failures.first() else {
        return never_claimed(plan, record, paint);
    };
    let mut text = failure(plan, record, first, paint);
    let more = record.failures.len() - 1;
    if more > 0 {
        let lines: Vec<String> =
            record.failures[1..].iter().filter_map(|failure| line_of(plan, failure)).collect();
        let also = format!(
            "{more} more claim{} of this scenario fail{} after it, in line {}",
            plural(more),
            if more == 1 { "s" } else { "" },
            lines.join(", ")
        );
        text.push_str(&format!("{} {also}\n", paint.over(Role::Dim, "   =")));
    }
    text
}

/// What is wrong with a record in one line: `id: file:line: expected new, got established`.
pub fn in_a_line(plan: &Plan, record: &Record) -> String {
    let script = plan.script();
    match record.failures.first() {
        Some(failure) => {
            let line = line_of(plan, failure).unwrap_or_default();
            format!("{}: {}:{line}: {}", plan.id, script.name, headline(failure))
        }
        None => format!("{}: {}: it claims nothing, or not all claims were reached", plan.id, script.name),
    }
}

/// One failure in full.
fn failure(plan: &Plan, record: &Record, failure: &Failure, paint: Paint) -> String {
    let script = plan.script();
    let title = format!("{}: {}", plan.id, headline(failure));
    let mut snippet = Snippet::source(&*script.text).path(&*script.name);
    let labels: Vec<String> = failure.mismatches.iter().map(label).collect();
    for (mismatch, label) in failure.mismatches.iter().zip(&labels) {
        snippet = snippet
            .annotation(AnnotationKind::Primary.span(visible(&script.text, mismatch.span)).label(&**label));
    }
    let mut group = Level::ERROR.primary_title(&*title).element(snippet);
    let notes: Vec<String> = notes(record, failure).into_iter().chain(requirement(plan)).collect();
    for note in &notes {
        group = group.element(Level::NOTE.message(&**note));
    }
    let mut text = renderer(paint).render(&[group]);
    text.push('\n');
    for detail in failure.mismatches.iter().filter_map(|mismatch| mismatch.detail.as_ref()) {
        text.push_str(&difference(detail, paint));
    }
    let ladder = ladder::up_to(plan, record, failure.at, LEADING, paint);
    text.push_str(&indented(&ladder));
    text
}

fn headline(failure: &Failure) -> String {
    match failure.mismatches.as_slice() {
        [one] => format!("expected {}, got {}", one.expected, one.got),
        many => format!("{} parts of a claim do not hold", many.len()),
    }
}

fn label(mismatch: &Mismatch) -> String {
    format!("got {}", mismatch.got)
}

/// Why the tracker did what it did, and how the entry stands.
fn notes(record: &Record, failure: &Failure) -> Vec<String> {
    let Some(packet) = record.seen.get(failure.at).and_then(|seen| seen.packet.as_ref()) else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    match &packet.why {
        Some(Why::Reason(reason)) => {
            notes.push(format!("{}: {reason}", reason.slug()));
            notes.push(format!("{} ({})", reason.info().rule, reason.info().source));
        }
        Some(Why::Said(words)) => notes.push(words.clone()),
        None => {}
    }
    match &packet.entry {
        Some(entry) if packet.destroyed => {
            notes.push(format!("the entry was destroyed, in {}", describe(entry)))
        }
        Some(entry) => notes.push(format!("the entry: {}", describe(entry))),
        None => notes.push("there is no entry".to_owned()),
    }
    notes
}

/// What the scenario requires, how strongly, and where that comes from.
fn requirement(plan: &Plan) -> Vec<String> {
    let story = plan.story();
    let grade = word_of(GRADES, story.grade);
    let about = plan.script().about.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut notes = Vec::new();
    if !about.is_empty() {
        notes.push(format!("{grade}: {about}"));
    }
    notes.extend(story.sources.iter().map(|source| format!("source: {source}")));
    notes
}

fn never_claimed(plan: &Plan, record: &Record, paint: Paint) -> String {
    let (title, help) = match (record.claims, record.of) {
        (0, 0) => (
            "it claims nothing".to_owned(),
            "a scenario that claims nothing proves nothing: `--bless` writes claims",
        ),
        (reached, all) => {
            (format!("only {reached} of {all} claims were reached"), "what was not compared is not green")
        }
    };
    let script = plan.script();
    let title = format!("{}: {title}", plan.id);
    let snippet = Snippet::source(&*script.text)
        .path(&*script.name)
        .annotation(AnnotationKind::Primary.span(visible(&script.text, heading(script))));
    let group = Level::ERROR.primary_title(&*title).element(snippet).element(Level::HELP.message(help));
    format!("{}\n", renderer(paint).render(&[group]))
}

/// A table's difference: what was claimed and is not there, what is there and was not claimed. Or what a program said.
fn difference(detail: &str, paint: Paint) -> String {
    let compares = detail.lines().any(|line| line.starts_with(['-', '+']));
    let mut text = String::from(if compares { "     - claimed\n     + found\n" } else { "" });
    for line in detail.lines() {
        let role = match line.as_bytes().first() {
            Some(b'-') => Role::Bad,
            Some(b'+') => Role::Good,
            _ => Role::Dim,
        };
        text.push_str(&format!("     {}\n", paint.over(role, line)));
    }
    text
}

fn line_of(plan: &Plan, failure: &Failure) -> Option<String> {
    let start = failure.mismatches.first()?.span.start;
    Some(line_and_column(&plan.script().text, start).0.to_string())
}

/// Line and column of a place, counted from one.
pub(crate) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..visible(text, Span::new(at, at)).start];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

fn renderer(paint: Paint) -> Renderer {
    if paint.is_on() { Renderer::styled() } else { Renderer::plain() }
}

/// The span inside the text, on the borders of characters.
fn visible(text: &str, span: Span) -> std::ops::Range<usize> {
    let border =
        |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let start = border(span.start);
    start..border(span.end).max(start)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("     {line}\n")).collect()
}
