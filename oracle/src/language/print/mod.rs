//! Writing: every node of the tree as the language says it, so that what is read back is the same tree. `--bless`, a
//! shrunk failure and `try --save` write with this; `fmt` does not, for it must keep what is no part of the tree.

mod claim;
mod host;
mod packet;

use std::fmt::{self, Display, Formatter, Write};

use conntruth_engine::Family;

use super::ast::claim::Check;
use super::ast::{Action, Flow, Grade, HelperPort, Host, Length, Name, Setting, Step, Story};
use super::format::lay_out;
use super::parse::is_left_word;
use super::words::{GRADES, word_of};

/// Where what happens begins: the column after label and time.
pub(super) const ACTION_COLUMN: usize = 8;
/// How much deeper the lines of a block stand.
pub(super) const DEEPER: usize = 4;

const SECOND: u64 = 1_000_000_000;

impl Display for Length {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Length { nanos, ticks } = *self;
        if nanos != 0 || ticks <= 0 {
            let units = [
                ("d", 86_400 * SECOND),
                ("h", 3_600 * SECOND),
                ("s", SECOND),
                ("ms", 1_000_000),
                ("us", 1_000),
            ];
            match units.iter().find(|(_, unit)| nanos != 0 && nanos % unit == 0) {
                Some((word, unit)) if nanos < SECOND || *unit >= SECOND => {
                    write!(f, "{}{word}", nanos / unit)?
                }
                _ if nanos == 0 => f.write_str("0s")?,
                _ if nanos < SECOND => write!(f, "{nanos}ns")?,
                _ => {
                    let fraction = format!("{:09}", nanos % SECOND);
                    write!(f, "{}.{}s", nanos / SECOND, fraction.trim_end_matches('0'))?;
                }
            }
            match ticks {
                0 => return Ok(()),
                1.. => f.write_char('+')?,
                _ => f.write_char('-')?,
            }
        }
        write!(f, "{}{}", ticks.unsigned_abs(), if ticks.unsigned_abs() == 1 { "tick" } else { "ticks" })
    }
}

impl Display for Story {
    /// As a file of its own, without `each`, laid out.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut text = heading(self);
        if !text.is_empty() && !self.steps.is_empty() {
            text.push('\n');
        }
        for step in &self.steps {
            writeln!(text, "{step}")?;
        }
        f.write_str(&lay_out(&text))
    }
}

fn heading(story: &Story) -> String {
    let mut lines = Vec::new();
    if story.grade != Grade::Must {
        lines.push(format!("grade {}", word_of(GRADES, story.grade)));
    }
    lines.extend(story.sources.iter().map(|source| format!("source {}", plain(source))));
    if !story.profiles.is_empty() {
        lines.push(format!("profile {}", named(&story.profiles)));
    }
    if story.families != [Family::Ipv4] {
        let word = |family: &Family| if *family == Family::Ipv4 { " 4" } else { " 6" };
        lines.push(format!("family{}", story.families.iter().map(word).collect::<String>()));
    }
    lines.extend(host::heading(story));
    lines.extend(story.settings.iter().map(|setting| format!("set {setting}")));
    lines.extend(story.helpers.iter().map(ToString::to_string));
    if !story.rules.is_empty() {
        let rules =
            story.rules.iter().map(|rule| format!("\n{:DEEPER$}{}", "", plain(&rule.value.to_string())));
        lines.push(format!("rules{}", rules.collect::<String>()));
    }
    lines.extend(story.not_yet.iter().map(|not_yet| block(&not_yet.lines).trim_end().to_owned()));
    lines.extend(story.flows.iter().filter(|flow| !flow.implied).map(ToString::to_string));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

impl Display for Host {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.of {
            Some(owner) => write!(f, "interface {} of {}", self.name.value, owner.value)?,
            None => write!(f, "host {}", self.name.value)?,
        }
        for address in &self.addresses {
            write!(f, " {address}")?;
        }
        if let Some(router) = &self.behind {
            write!(f, " behind {}", router.value)?;
        }
        match self.side {
            Some(side) => write!(f, " {}", side.name()),
            None => Ok(()),
        }
    }
}

impl Display for Flow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("flow ")?;
        if let Some(name) = &self.name {
            write!(f, "{} ", name.value)?;
        }
        write!(f, "{} {} > {}", self.protocol, self.from, self.to)?;
        if let Some(id) = self.id {
            write!(f, " id {id}")?;
        }
        Ok(())
    }
}

impl Display for HelperPort {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "helper {} {} {}", self.helper.value.name(), self.protocol.value, self.port.value)
    }
}

impl Display for Setting {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.knob.value.short_name(), self.value.value)
    }
}

/// Label and time, with a blank after each.
fn prefix(step: &Step) -> String {
    let mut prefix = String::new();
    if let Some(label) = &step.label {
        prefix += &format!("{}: ", label.value);
    }
    match step.after.map(|after| after.value) {
        Some(after) if after == Length::default() => prefix += "+0 ",
        Some(after) => prefix += &format!("+{after} "),
        None => {}
    }
    prefix
}

impl Display for Step {
    /// Its lines, without a line break at the end.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let prefix = prefix(self);
        let stands_left = match &self.action {
            Action::Check(Check::Host(check)) => host::stands_left(check),
            Action::Check(_) | Action::Set(_) | Action::Cable(_) => true,
            Action::NotYet(not_yet) => is_left_word(not_yet.lines[0].split(' ').next().unwrap_or("")),
            _ => false,
        };
        if matches!(self.action, Action::Wait) {
            f.write_str(prefix.trim_end())?;
        } else if prefix.is_empty() && stands_left {
            write!(f, "{}", self.action)?;
        } else {
            write!(f, "{prefix:<ACTION_COLUMN$}{}", self.action)?;
        }
        if let Some(claims) = &self.claims {
            write!(f, "\n{:ACTION_COLUMN$}= {claims}", "")?;
        }
        self.qualified.iter().try_for_each(|own| {
            write!(f, "\n{:ACTION_COLUMN$}= for {} {}", "", named(&own.profiles), own.claims)
        })
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Action::Wait => Ok(()),
            Action::Send { times: 1, packet } => write!(f, "{packet}"),
            Action::Send { times, packet } => write!(f, "{times}x {packet}"),
            Action::Opened { flow: Some(flow) } => write!(f, "{} opened", flow.value),
            Action::Opened { flow: None } => f.write_str("opened"),
            Action::Release { label, goes_on: true } => write!(f, "{} goes on", label.value),
            Action::Release { label, goes_on: false } => write!(f, "{} is lost", label.value),
            Action::Hidden(steps) => {
                f.write_str("hidden")?;
                steps.iter().try_for_each(|step| {
                    let line = format!("{}{}", prefix(step), step.action);
                    write!(f, "\n{:column$}{}", "", line.trim_end(), column = ACTION_COLUMN + DEEPER)
                })
            }
            Action::Deed(deed) => write!(f, "{deed}"),
            Action::Run(run) => write!(f, "run {run}"),
            Action::Cable(cable) => write!(f, "{cable}"),
            Action::Offload(Some(flow)) => write!(f, "offload {}", flow.value),
            Action::Offload(None) => f.write_str("offload nothing"),
            Action::Set(setting) => write!(f, "set {setting}"),
            Action::Check(check) => write!(f, "{check}"),
            Action::NotYet(not_yet) => f.write_str(block(&not_yet.lines).trim_end()),
        }
    }
}

/// Names, a blank between.
fn named(names: &[Name]) -> String {
    names.iter().map(|name| &*name.value).collect::<Vec<_>>().join(" ")
}

/// Lines of a later issue as they stood.
fn block(lines: &[String]) -> String {
    let column = |index: usize| if index == 0 { 0 } else { DEEPER };
    lines
        .iter()
        .enumerate()
        .map(|(index, line)| format!("{:1$}{2}\n", "", column(index), plain(line)))
        .collect()
}

/// A text in which no variable may be seen.
fn plain(text: &str) -> String {
    text.replace('$', "$$")
}

/// Writes a blank between words.
struct Words<'f, 'g> {
    f: &'f mut Formatter<'g>,
    first: bool,
}

impl<'f, 'g> Words<'f, 'g> {
    fn new(f: &'f mut Formatter<'g>) -> Words<'f, 'g> {
        Words { f, first: true }
    }

    /// A word, or several that belong together.
    fn put(&mut self, word: impl Display) -> fmt::Result {
        if !std::mem::take(&mut self.first) {
            self.f.write_char(' ')?;
        }
        write!(self.f, "{word}")
    }

    /// `NAME VALUE` where there is a value.
    fn field<T: Display>(&mut self, name: &str, value: &Option<T>) -> fmt::Result {
        match value {
            Some(value) => self.put(format_args!("{name} {value}")),
            None => Ok(()),
        }
    }
}
