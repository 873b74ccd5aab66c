//! Reading: from lines to the tree. A mistake costs its line; reading goes on with the next one.
//!
//! Here are the file's lines and blocks. [`heading`] and [`step`] read what a line says; [`packet`] (with [`tcp`],
//! [`icmp`], [`sctp`], [`header`]) what is sent; [`claim`] and [`check`] what is claimed; [`later`] what is not there yet.
//! All of them read with a [`cursor`].

mod check;
mod claim;
mod cursor;
mod header;
mod heading;
mod host;
mod icmp;
mod later;
mod leaving;
mod names;
mod packet;
mod sctp;
mod step;
mod tcp;

use conntruth_engine::Profile;

use check::{CHECKS, Lines};
use cursor::{Cursor, is_name};
use heading::HEADINGS;
use names::Names;

pub(super) use cursor::is_name as can_name;

use super::ast::claim::{Check, EntryClaim};
use super::ast::{Action, Name, NotYet, Script, Span, Step, Story};
use super::lexer::{Token, tokens};
use super::message::{Message, Messages, Parse};
use super::source::{self, Line, Variant};

/// The words that begin a step.
const STEPS: &[&str] = &["opened", "hidden", "set", "again", "run", "link", "offload"];

/// Reads a scenario.
///
/// # Errors
/// All mistakes, each with its place.
pub fn parse(name: &str, text: &str) -> Result<Script, Messages> {
    let failed = |mut list: Vec<Message>| {
        list.sort_by_key(|message| (message.span.start, message.span.end));
        Messages { name: name.to_owned(), text: text.to_owned(), list }
    };
    let mut stories = Vec::new();
    let mut mistakes: Vec<Message> = Vec::new();
    for variant in source::variants(text).map_err(failed)? {
        match Reader::read(&variant) {
            Ok(story) => stories.push(story),
            Err(found) => {
                mistakes.extend(found);
                break;
            }
        }
    }
    if !mistakes.is_empty() {
        return Err(failed(mistakes));
    }
    Ok(Script { name: name.to_owned(), text: text.to_owned(), about: about(text), stories })
}

/// The comment at the top.
fn about(text: &str) -> String {
    let lines = source::lines(text);
    let comments =
        lines.iter().take_while(|line| line.code.is_empty()).map(|line| line.comment.unwrap_or(""));
    let opening = comments.skip_while(|comment| comment.is_empty()).take_while(|comment| !comment.is_empty());
    opening.map(|comment| comment.trim_start_matches('#').trim()).collect::<Vec<_>>().join("\n")
}

/// Puts a value where none was.
fn once<T>(slot: &mut Option<T>, value: T, what: &str, span: Span) -> Parse<()> {
    if slot.is_some() {
        return Message::new(format!("{what} stands twice"), span).label("expected it once").fail();
    }
    *slot = Some(value);
    Ok(())
}

/// The words of all fields of all packets.
#[cfg(test)]
pub(super) fn field_words() -> impl Iterator<Item = &'static str> {
    let bodies = [tcp::FIELDS, icmp::FIELDS, sctp::FIELDS, header::FIELDS, packet::OTHER_FIELDS];
    bodies.into_iter().flatten().copied()
}

/// Whether a line that begins with this word stands at the margin, for `fmt`.
pub(super) fn is_left_word(word: &str) -> bool {
    let is_later = later::line(word).is_some()
        || matches!(word, "stack" | "network" | "router" | "route" | "limit" | "link");
    HEADINGS.contains(&word) || CHECKS.contains(&word) || is_later || matches!(word, "each" | "for")
}

/// Whether a word begins a check, for `fmt`.
pub(super) fn is_check_word(word: &str) -> bool {
    CHECKS.contains(&word)
}

/// The words of a line without the profiles that it is for.
pub(super) fn without_profiles<'w, 'l>(words: &'l [&'w str]) -> &'l [&'w str] {
    let [first, names @ ..] = words else { return words };
    let known = names.iter().take_while(|name| Profile::find(name).is_some()).count();
    if *first == "for" { &names[known..] } else { words }
}

/// Whether a line of these words may have a body below it, for `fmt`.
pub(super) fn is_block_word(words: &[&str]) -> bool {
    let is_content = |word: &str| {
        let is_class = super::words::CLASSES.iter().any(|row| row.0 == word.trim_end_matches(','));
        is_class || !is_name(word) || !word.contains(|c: char| c.is_ascii_lowercase())
    };
    match without_profiles(words) {
        ["table" | "events" | "states" | "classes" | "hidden" | "rules" | "expectations"] => true,
        ["states" | "classes", flow] => !is_content(flow),
        _ => false,
    }
}

/// Reads one variant.
struct Reader<'l> {
    lines: &'l [Line],
    /// The line after the one at hand.
    next: usize,
    names: Names,
    story: Story,
    mistakes: Vec<Message>,
    /// The words after `=` of the latest step, over all its lines.
    claim: Vec<Token>,
    /// Whether a flow or a host was read wrongly, so that its name is missing below.
    heading_failed: bool,
    /// Whether a step was read wrongly, so that a claim below it has lost its step.
    step_failed: bool,
}

impl<'l> Reader<'l> {
    fn read(variant: &'l Variant) -> Result<Story, Vec<Message>> {
        let mut reader = Reader {
            lines: &variant.lines,
            next: 0,
            names: Names::default(),
            story: Story { variant: variant.bindings.clone(), ..Story::default() },
            mistakes: Vec::new(),
            claim: Vec::new(),
            heading_failed: false,
            step_failed: false,
        };
        while let Some(line) = reader.lines.get(reader.next) {
            reader.next += 1;
            if let Err(mistake) = reader.line(line) {
                reader.step_failed = true;
                reader.say(line, *mistake);
            }
        }
        reader.settle_claim();
        if reader.story.families.is_empty() {
            reader.story.families.push(conntruth_engine::Family::Ipv4);
        }
        if reader.mistakes.is_empty() { Ok(reader.story) } else { Err(reader.mistakes) }
    }

    /// Keeps a mistake, unless it only follows from one before it.
    fn say(&mut self, line: &Line, mistake: Message) {
        if mistake.is_about_a_name && self.heading_failed {
            return;
        }
        self.heading_failed |= line.code.starts_with("flow") || line.code.starts_with("host");
        self.mistakes.push(mistake);
    }

    fn line(&mut self, line: &Line) -> Parse<()> {
        let first = line.code.split_whitespace().next().unwrap_or("");
        if let Some((what, issue)) = later::line(first) {
            let not_yet = self.not_yet(line, what, issue);
            self.keep_not_yet(not_yet);
            return Ok(());
        }
        if first == "source" {
            self.settle_claim();
            return self.source(line);
        }
        if first == "rules" {
            self.settle_claim();
            return self.rules(line);
        }
        let tokens = tokens(line)?;
        let mut cursor = Cursor::new(&tokens, line.span.end);
        if cursor.is_mark('=') {
            return self.claim_line(&tokens, line);
        }
        self.settle_claim();
        if HEADINGS.contains(&first) && !(matches!(first, "set" | "link") && self.has_begun()) {
            return self.heading(first, line, &mut cursor);
        }
        let step = self.step(line, &mut cursor)?;
        self.claim = cursor.rest().to_vec();
        self.step_failed = false;
        self.story.steps.push(step);
        Ok(())
    }

    /// Whether there was a step already. Lines of later issues are none: they may stand anywhere in the heading.
    fn has_begun(&self) -> bool {
        self.story.steps.iter().any(|step| !matches!(step.action, Action::NotYet(_)))
    }

    /// A line that begins with `=`: more of the claim above, or an entry by the name of its flow.
    fn claim_line(&mut self, tokens: &[Token], line: &Line) -> Parse<()> {
        let is_flow = |token: &Token| token.word().is_some_and(|word| self.names.flow(word).is_some());
        if tokens.get(1).is_some_and(is_flow) {
            self.settle_claim();
            let mut cursor = Cursor::new(&tokens[1..], line.span.end);
            let entry = check::entry(&mut cursor, &self.names)?;
            self.story.steps.push(entry_step(entry, line.span));
            return Ok(());
        }
        if self.step_failed {
            return Ok(());
        }
        if tokens.len() == 1 {
            return Message::new("`=` is followed by nothing", line.span)
                .label("expected a claim such as `new SYN_SENT 120s [UNREPLIED]`, or `*`")
                .fail();
        }
        match self.story.steps.last().map(|step| &step.action) {
            Some(
                Action::Send { .. }
                | Action::Opened { .. }
                | Action::Release { .. }
                | Action::Deed(_)
                | Action::NotYet(_),
            ) => {}
            Some(Action::Hidden(_)) => {
                return Message::new("a claim about packets that the tracker does not see", line.span)
                    .label("expected no claim under `hidden`")
                    .fail();
            }
            _ => {
                return Message::new("a claim without a packet", line.span)
                    .label("expected a line with a packet above it")
                    .fail();
            }
        }
        self.claim.extend_from_slice(tokens);
        Ok(())
    }

    /// Reads the words collected after `=` and gives them to their step.
    fn settle_claim(&mut self) {
        let tokens = std::mem::take(&mut self.claim);
        let Some(step) = self.story.steps.last_mut().filter(|_| !tokens.is_empty()) else { return };
        match claim::claims(&tokens, &self.names) {
            Ok((claims, qualified)) => {
                step.claims = claims;
                step.qualified = qualified;
            }
            Err(mistake) if mistake.is_about_a_name && self.heading_failed => {}
            Err(mistake) => self.mistakes.push(*mistake),
        }
    }

    /// A line of a later issue. Label and time are the step's.
    fn not_yet(&mut self, line: &Line, what: &'static str, issue: u8) -> NotYet {
        let mut code = line.code.as_str();
        while let Some((word, rest)) = code.split_once(char::is_whitespace)
            && (word.starts_with('+') || word.strip_suffix(':').is_some_and(is_name))
        {
            code = rest.trim_start();
        }
        later::given_names(code).for_each(|name| self.names.add_later(name));
        NotYet { what, issue, lines: vec![code.to_owned()], span: line.span }
    }

    fn keep_not_yet(&mut self, not_yet: NotYet) {
        self.settle_claim();
        self.step_failed = false;
        if self.story.steps.is_empty() {
            self.story.not_yet.push(not_yet);
        } else {
            let span = not_yet.span;
            let action = Action::NotYet(not_yet);
            self.story.steps.push(Step {
                label: None,
                after: None,
                action,
                claims: None,
                qualified: Vec::new(),
                span,
                action_span: span,
            });
        }
    }
}

/// The lines of a block's body: those that stand under each other, deeper than its first line.
fn lines_below(lines: &[Line], next: usize, indent: usize) -> impl Iterator<Item = &Line> {
    let column = lines.get(next).map_or(0, |line| line.indent);
    let is_inside = move |line: &&Line| {
        line.indent == column && column > indent && !line.code.starts_with('=') && !line.follows_each
    };
    lines[next.min(lines.len())..].iter().take_while(is_inside)
}

/// The words of a block's body, and the line after it.
fn body(lines: &[Line], next: usize, indent: usize) -> Parse<(Lines, usize)> {
    let body: Parse<Lines> =
        lines_below(lines, next, indent).map(|line| Ok((tokens(line)?, line.span.end))).collect();
    body.map(|body| {
        let after = next + body.len();
        (body, after)
    })
}

fn entry_step(entry: EntryClaim, span: Span) -> Step {
    let action = Action::Check(Check::Entry(entry));
    Step { label: None, after: None, action, claims: None, qualified: Vec::new(), span, action_span: span }
}

/// A name that is not a word of the language.
fn new_name(name: Name) -> Parse<Name> {
    let is_word = |word: &str| {
        STEPS.contains(&word)
            || CHECKS.contains(&word)
            || HEADINGS.contains(&word)
            || later::line(word).is_some()
            || ["each", "reply", "none", "for"].contains(&word)
            || super::words::CLASSES.iter().any(|row| row.0 == word)
            || packet::protocol_words().any(|protocol| protocol == word)
    };
    if !is_name(&name.value) {
        return Message::new(format!("`{}` is no name", name.value), name.span)
            .label("expected letters, digits, `_` and `-`, beginning with a letter")
            .fail();
    }
    if is_word(&name.value) {
        return Message::new(format!("`{}` is a word of the language", name.value), name.span)
            .label("expected another name")
            .fail();
    }
    Ok(name)
}
