//! Steps: label, time, what happens.

use super::check::{self, CHECKS};
use super::cursor::{self, Cursor, is_name};
use super::heading::{self, HEADINGS};
use super::host::{self, PERCEPTIONS, VERBS};
use super::{Reader, STEPS, body, later, packet, tcp};
use crate::language::ast::claim::Check;
use crate::language::ast::{Action, Located, Step};
use crate::language::lexer::located;
use crate::language::message::{Message, Parse};
use crate::language::source::Line;
use crate::language::words::nearest;

impl Reader<'_> {
    /// `[LABEL:] [+TIME] [action]`; what is left of the line is its claim.
    pub(super) fn step(&mut self, line: &Line, cursor: &mut Cursor<'_>) -> Parse<Step> {
        let start = cursor.here();
        let label =
            cursor.eat_known(|word| word.strip_suffix(':').filter(|name| is_name(name)).map(str::to_owned));
        let mut after = None;
        if let Some(word) = cursor.peek_word().filter(|word| word.starts_with('+')) {
            let span = cursor.here();
            let (value, _) = cursor::parse_length(&word[1..], span)?;
            after = Some(Located { value, span });
            cursor.next();
        }
        let action_start = cursor.here();
        let action = self.action(line, cursor)?;
        let before = cursor.before();
        if cursor.is_mark(')') {
            return cursor.unexpected("a field of the packet, or `=` and a claim", []).fail();
        }
        let step = Step {
            label,
            after,
            span: start.to(before),
            action_span: if action_start.start < before.end { action_start.to(before) } else { before },
            action,
            claims: None,
            qualified: Vec::new(),
        };
        check_step(&step, cursor)?;
        Ok(step)
    }

    fn action(&mut self, line: &Line, cursor: &mut Cursor<'_>) -> Parse<Action> {
        let Some(token) = cursor.peek().filter(|token| !token.is_mark('=')) else {
            return Ok(Action::Wait);
        };
        let word = token.word().unwrap_or("");
        if word == "for" {
            cursor.next();
            let profiles = heading::profiles(cursor)?;
            let word = cursor.peek_word().filter(|word| CHECKS.contains(word));
            let Some(word) = word else {
                let what = "a check such as `table`: what happens is the same for all profiles";
                return cursor.unexpected(what, CHECKS.iter().copied()).fail();
            };
            let check = Box::new(self.check(word, line, cursor)?);
            return Ok(Action::Check(Check::For { profiles, check }));
        }
        if CHECKS.contains(&word) {
            return self.check(word, line, cursor).map(Action::Check);
        }
        if word == "set" {
            cursor.next();
            return Ok(Action::Set(heading::setting(cursor)?));
        }
        if word == "hidden" {
            cursor.next();
            return self.hidden(line, cursor);
        }
        if cursor.eat("opened").is_some() {
            self.names.only_flow(token.span)?;
            return Ok(Action::Opened { flow: None });
        }
        if self.names.flow(word).is_some()
            && cursor.peek_second().is_some_and(|next| next.word() == Some("opened"))
        {
            cursor.next();
            cursor.next();
            return Ok(Action::Opened { flow: Some(located(word, token.span)) });
        }
        if let Some(action) = release(cursor)? {
            return Ok(action);
        }
        if word == "run" {
            cursor.next();
            return Ok(Action::Run(self.run(cursor)?));
        }
        if word == "link" {
            cursor.next();
            return Ok(Action::Cable(self.cable(cursor, line.span)?));
        }
        if word == "offload" {
            cursor.next();
            return Ok(Action::Offload(self.offload(cursor)?));
        }
        if later::is_host_action(cursor, &self.names) {
            let verb = cursor.peek_second().and_then(|token| token.word()).unwrap_or("");
            if PERCEPTIONS.contains(&verb) {
                return Ok(Action::Check(Check::Host(host::perception(cursor, &self.names)?)));
            }
            return Ok(Action::Deed(Box::new(self.deed(cursor, line.span)?)));
        }
        if let Some((what, issue)) = later::line(word) {
            cursor.finish();
            return Ok(Action::NotYet(self.not_yet(line, what, issue)));
        }
        self.check_first_word(cursor)?;
        let (times, packet) = packet::send(cursor, &self.names)?;
        Ok(Action::Send { times, packet: Box::new(packet) })
    }

    fn check(&mut self, word: &str, line: &Line, cursor: &mut Cursor<'_>) -> Parse<Check> {
        cursor.next();
        check::check(word, cursor, &self.names, &mut || {
            let (lines, next) = body(self.lines, self.next, line.indent)?;
            self.next = next;
            Ok(lines)
        })
    }

    /// A word that begins nothing at all gets the nearest of everything that could stand there.
    fn check_first_word(&self, cursor: &Cursor<'_>) -> Parse<()> {
        let Some(word) = cursor.peek_word() else { return Ok(()) };
        let arrow_next = cursor.peek_second().is_some_and(|next| next.is_mark('>') || next.is_mark('<'));
        let counted = word.strip_suffix('x').is_some_and(|count| cursor::parse_number(count).is_some());
        let is_time = word.starts_with(|c: char| c.is_ascii_digit())
            && cursor::parse_length(word, cursor.here()).is_ok();
        if is_time && !counted {
            return Message::new(format!("`{word}` does not begin a step"), cursor.here())
                .label("expected a packet, a check or a setting")
                .help(format!("time passes with a plus: `+{word}`"))
                .fail();
        }
        if arrow_next || counted || word == "again" || word.contains(':') || self.names.flow(word).is_some() {
            return Ok(());
        }
        if word.ends_with(|c: char| c.is_ascii_alphabetic()) && word.starts_with(|c: char| c.is_ascii_digit())
        {
            return Message::new(format!("`{word}` does not begin a step"), cursor.here())
                .label("expected a packet, a check or a setting")
                .help(format!("time passes with a plus: `+{word}`"))
                .fail();
        }
        let bare_flags = tcp::are_flags(word) && self.names.speaks_tcp();
        if bare_flags || matches!(word, "wait" | "sleep" | "after") {
            let help = if bare_flags {
                format!("which way? `> {word}` from the left side of the flow, `< {word}` from the right")
            } else {
                "time passes with a plus: `+5s`".to_owned()
            };
            return Message::new(format!("`{word}` does not begin a step"), cursor.here())
                .label("expected a packet, a check or a setting")
                .help(help)
                .fail();
        }
        let words = STEPS.iter().chain(CHECKS).chain(HEADINGS).copied().chain(["each"]);
        let mut known: Vec<&str> = words.chain(later::words()).collect();
        if cursor.peek_second().and_then(|token| token.word()).is_some_and(|verb| VERBS.contains(&verb)) {
            return self.names.unknown(word, cursor.here(), false).fail();
        }
        known.extend(self.names.all());
        let near = nearest(word, known);
        let message = Message::new(format!("`{word}` does not begin a step"), cursor.here());
        message.label("expected a packet, a check such as `table`, or a setting").did_you_mean(near).fail()
    }

    /// `hidden > P.`, or a block of steps.
    fn hidden(&mut self, line: &Line, cursor: &mut Cursor<'_>) -> Parse<Action> {
        if !cursor.is_at_end() {
            let step = self.step(line, cursor)?;
            return Ok(Action::Hidden(vec![hidden_step(step, cursor)?]));
        }
        let (lines, next) = body(self.lines, self.next, line.indent)?;
        self.next = next;
        let mut steps = Vec::new();
        for (tokens, end) in &lines {
            let mut cursor = Cursor::new(tokens, *end);
            let step = self.step(line, &mut cursor)?;
            steps.push(hidden_step(step, &cursor)?);
        }
        if steps.is_empty() {
            return Message::new("`hidden` hides nothing", line.span)
                .label("expected a packet after it, or indented lines below it")
                .fail();
        }
        Ok(Action::Hidden(steps))
    }
}

/// `A goes on`, `A is lost`
fn release(cursor: &mut Cursor<'_>) -> Parse<Option<Action>> {
    let verb = cursor.peek_second().and_then(|token| token.word());
    let Some(verb @ ("goes" | "is")) = verb else { return Ok(None) };
    let goes_on = verb == "goes";
    let label = cursor.word("the label of a packet that waits")?;
    cursor.next();
    let (word, what) = if goes_on { ("on", "`on`: `A goes on`") } else { ("lost", "`lost`: `A is lost`") };
    match cursor.eat(word) {
        Some(_) => Ok(Some(Action::Release { label, goes_on })),
        None => cursor.unexpected(what, [word]).fail(),
    }
}

/// What a step may have depends on what it does.
fn check_step(step: &Step, cursor: &Cursor<'_>) -> Parse<()> {
    let sends = matches!(step.action, Action::Send { .. } | Action::Opened { .. } | Action::NotYet(_));
    let is_judged = sends || matches!(step.action, Action::Release { .. } | Action::Deed(_));
    if let Some(label) = step.label.as_ref().filter(|_| !sends) {
        return Message::new("a label without a packet", label.span)
            .label("expected a packet after it")
            .fail();
    }
    if cursor.is_mark('=') && cursor.peek_second().is_none() {
        return Message::new("`=` is followed by nothing", cursor.here())
            .label("expected a claim such as `new SYN_SENT 120s [UNREPLIED]`, or `*`")
            .fail();
    }
    if !is_judged && !cursor.is_at_end() && !matches!(step.action, Action::Hidden(_)) {
        return Message::new("a claim without a packet", cursor.here())
            .label("expected a packet before it, or nothing more on this line")
            .fail();
    }
    if matches!(step.action, Action::Wait) && step.after.is_none() {
        return Message::new("a step that does nothing", step.span).fail();
    }
    cursor_is_at_claim(cursor)
}

fn cursor_is_at_claim(cursor: &Cursor<'_>) -> Parse<()> {
    if cursor.is_at_end() || cursor.is_mark('=') {
        return Ok(());
    }
    cursor.unexpected("`=` and a claim, or nothing more", []).fail()
}

/// A step that the tracker does not see: a packet or a pause, and no claim.
fn hidden_step(step: Step, cursor: &Cursor<'_>) -> Parse<Step> {
    if !cursor.is_at_end() {
        return Message::new("a claim about a packet that the tracker does not see", cursor.here())
            .label("expected no claim under `hidden`")
            .fail();
    }
    match step.action {
        Action::Send { .. } | Action::Opened { .. } | Action::Wait => Ok(step),
        _ => Message::new("only packets and time can be hidden from the tracker", step.span).fail(),
    }
}
