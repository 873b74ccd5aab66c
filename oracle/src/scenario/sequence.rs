//! What happened in a world as a sequence diagram: hosts as columns, the tracker in the middle with what it made of each
//! packet; for the terminal, or as Mermaid.

use std::fmt::Write;

use conntruth_engine::{Time, Verdict};

use crate::language::words::{CLASSES, word_of};
use crate::paint::{Paint, Role};
use crate::target::{Fate, Observation};

use super::claims;
use super::ladder::clock;
use super::places::Places;
use super::plan::{Act, Plan};
use super::run::Record;

/// One line of the diagram.
enum Line {
    /// A step, or a check, as it is written.
    Note { at: Option<Time>, text: String, is_wrong: bool },
    /// A packet.
    Packet { at: Time, from: String, to: String, text: String, said: String, passed: bool, is_wrong: bool },
}

/// The tracker's column.
const TRACKER: &str = "tracker";
/// Its own host.
const BOX: &str = "box";

/// The diagram for a terminal; the first packet about which a claim does not hold is red.
pub fn sequence(plan: &Plan, record: &Record, paint: Paint) -> String {
    let lines = lines(plan, record);
    let columns = columns(&plan.talks.places, &lines);
    let widest = |pick: fn(&Line) -> usize| lines.iter().map(pick).max().unwrap_or(0);
    let text = widest(|line| if let Line::Packet { text, .. } = line { text.chars().count() } else { 0 });
    let said = widest(|line| if let Line::Packet { said, .. } = line { said.chars().count() } else { 0 });
    let (gap, half) = (text + 8, said.div_ceil(2) + 1);
    let middle = columns.iter().position(|name| name == TRACKER).unwrap_or(0);
    let place = |column: usize| {
        let shift = match column.cmp(&middle) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => half,
            std::cmp::Ordering::Greater => 2 * half,
        };
        4 + column * gap + shift
    };
    let places: Vec<usize> = (0..columns.len()).map(place).collect();
    let width = places.last().map_or(0, |last| last + 12);
    let mut out = String::new();
    let mut head = Canvas::new(width);
    for (name, place) in columns.iter().zip(&places) {
        head.centre(*place, name);
    }
    let _ = writeln!(out, "{:>12}  {}", "", paint.over(Role::Dim, &head.text()));
    for line in &lines {
        match line {
            Line::Note { at, text, is_wrong } => {
                let time = at.map(clock).unwrap_or_default();
                let role = if *is_wrong { Role::Bad } else { Role::Dim };
                let _ = writeln!(out, "{time:>12}  {}", paint.over(role, &format!("· {text}")));
            }
            Line::Packet { at, from, to, text, said, passed, is_wrong } => {
                let column = |name: &str| {
                    let name = if name == BOX { TRACKER } else { name };
                    places[columns.iter().position(|column| column == name).unwrap_or(middle)]
                };
                let mut canvas = Canvas::new(width);
                places.iter().for_each(|&place| canvas.put(place, '│'));
                canvas.draw((column(from), places[middle], column(to)), half, (text, said), *passed);
                let text = canvas.text();
                let text = if *is_wrong { paint.over(Role::Bad, &text).to_string() } else { text };
                let _ = writeln!(out, "{:>12}  {text}", clock(*at));
            }
        }
    }
    out
}

/// The diagram as Mermaid has it.
pub fn mermaid(plan: &Plan, record: &Record) -> String {
    let lines = lines(plan, record);
    let mut out = String::from("sequenceDiagram\n");
    let id = |name: &str| -> String {
        let name = if name == BOX { TRACKER } else { name };
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
    };
    for name in columns(&plan.talks.places, &lines) {
        let _ = writeln!(out, "    participant {} as {name}", id(&name));
    }
    let plain = |text: &str| text.replace('#', "#35;").replace(';', "#59;");
    for line in &lines {
        match line {
            Line::Note { text, .. } => {
                let _ = writeln!(out, "    Note over {TRACKER}: {}", plain(text));
            }
            Line::Packet { at, from, to, text, said, passed, is_wrong } => {
                let wrong = if *is_wrong { " (wrong)" } else { "" };
                let _ = writeln!(out, "    {}->>{TRACKER}: {} {}", id(from), clock(*at), plain(text));
                let _ = writeln!(out, "    Note over {TRACKER}: {}{wrong}", plain(said));
                let arrow = if *passed { "->>" } else { "--x" };
                let _ = writeln!(out, "    {TRACKER}{arrow}{}: {}", id(to), plain(text));
            }
        }
    }
    out
}

fn lines(plan: &Plan, record: &Record) -> Vec<Line> {
    let wrong = record.failures.first().map(|failure| failure.at);
    let mut lines = Vec::new();
    for (index, (step, seen)) in plan.moves.iter().zip(&record.seen).enumerate() {
        let is_wrong = wrong == Some(index);
        let text = plan.script().text.get(plan.step(step).span.range()).unwrap_or_default();
        let text = text.lines().next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        match (&step.act, &seen.packet) {
            (Act::Packet(sent), Some(observation)) => lines.push(Line::Packet {
                at: step.at,
                from: sent.shown.from.clone(),
                to: sent.shown.to.clone(),
                text: sent.shown.text.clone(),
                said: said(observation),
                passed: sent.arrival.fate != Fate::Dropped && observation.verdict == Verdict::Accept,
                is_wrong,
            }),
            (Act::Wait, _) => {}
            _ => {
                let at = seen.at;
                lines.push(Line::Note { at, text, is_wrong: is_wrong && seen.passed.is_empty() });
            }
        }
        let last = seen.passed.len().saturating_sub(1);
        for (number, passed) in seen.passed.iter().enumerate() {
            lines.push(Line::Packet {
                at: passed.arrival.at,
                from: passed.from.clone(),
                to: passed.to.clone(),
                text: passed.text.clone(),
                said: said(&passed.observation),
                passed: passed.passed,
                is_wrong: is_wrong && number == last,
            });
        }
    }
    lines
}

/// The class, or where there is an entry its state and what is left of its time.
fn said(observation: &Observation) -> String {
    let (class, _) = claims::class_of(observation.class);
    let class = word_of(CLASSES, class);
    match &observation.entry {
        Some(_) if observation.destroyed => format!("{class}, gone"),
        Some(entry) => {
            let state = entry.state.as_deref().unwrap_or(class);
            let class = if entry.state.is_some() && class != "established" {
                format!("{class} ")
            } else {
                String::new()
            };
            format!("{class}{state} {}", claims::left(entry.left))
        }
        None => class.to_owned(),
    }
}

/// The columns: those who live inside, the tracker, all the others.
fn columns(places: &Places, lines: &[Line]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for line in lines {
        let Line::Packet { from, to, .. } = line else { continue };
        for name in [from, to] {
            if name != BOX && !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    let is_inside = |name: &str| {
        places.all().any(|(host, _, side)| host == name && side == crate::language::ast::Side::Inside)
    };
    let (mut left, right): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| is_inside(name));
    left.push(TRACKER.to_owned());
    left.extend(right);
    left
}

/// A line of characters.
struct Canvas(Vec<char>);

impl Canvas {
    fn new(width: usize) -> Canvas {
        Canvas(vec![' '; width])
    }

    fn put(&mut self, at: usize, letter: char) {
        if let Some(place) = self.0.get_mut(at) {
            *place = letter;
        }
    }

    fn centre(&mut self, at: usize, text: &str) {
        let start = at.saturating_sub(text.chars().count() / 2);
        text.chars().enumerate().for_each(|(index, letter)| self.put(start + index, letter));
    }

    /// An arrow to the tracker, what that says, and an arrow from it where the packet goes on.
    fn draw(
        &mut self,
        (from, tracker, to): (usize, usize, usize),
        half: usize,
        (text, said): (&str, &str),
        passed: bool,
    ) {
        let near = |other: usize| if other < tracker { tracker - half } else { tracker + half };
        if from != tracker {
            self.leg(from, near(from), text);
        }
        if to != tracker {
            match (passed, from == tracker) {
                (true, true) => self.leg(near(to), to, text),
                (true, false) => self.leg(near(to), to, ""),
                (false, _) => self.put(near(to), '✗'),
            }
        }
        (tracker + 1 - half..tracker + half).for_each(|at| self.put(at, ' '));
        self.centre(tracker, said);
    }

    /// One arrow, with a text on it.
    fn leg(&mut self, from: usize, to: usize, text: &str) {
        let (low, high) = (from.min(to) + 1, from.max(to));
        (low..high).for_each(|at| self.put(at, '─'));
        if !text.is_empty() {
            self.centre((low + high) / 2, &format!(" {text} "));
        }
        if to > from {
            self.put(to - 1, '▶');
        } else {
            self.put(to + 1, '◀');
        }
    }

    fn text(&self) -> String {
        self.0.iter().collect::<String>().trim_end().to_owned()
    }
}
