//! Hosts that act: the lines of the heading that wire them, what they do, and claims about them.

mod cable;
mod claim;
mod deed;
mod net;

use super::Reader;
use super::cursor::Cursor;
use super::names::Names;
use crate::language::ast::Name;
use crate::language::ast::host::{Goal, Run};
use crate::language::message::Parse;

pub(super) use claim::{host_check, perception};
pub(in crate::language) use deed::VERBS;

/// Claims whose first word is a host.
pub(in crate::language) const PERCEPTIONS: &[&str] = &["sees", "received", "sent"];
/// Claims about hosts whose first word is their own.
pub(super) const HOST_CHECKS: &[&str] =
    &["believe", "took", "answered", "resolved", "found", "hops", "sockets", "disagree"];

const GOALS: &[(&str, Goal)] = &[
    ("open", Goal::Open),
    ("closed", Goal::Closed),
    ("gone", Goal::Gone),
    ("done", Goal::Done),
    ("idle", Goal::Done),
];

impl Reader<'_> {
    /// `run 5s`, `run until c closed`, `run until quiet`
    pub(super) fn run(&self, cursor: &mut Cursor<'_>) -> Parse<Run> {
        if cursor.eat("until").is_none() {
            let is_time =
                cursor.peek_word().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit()));
            if !is_time {
                return cursor.unexpected("a length of time, or `until`", ["until"]).fail();
            }
            return Ok(Run::For(cursor.length("how long")?.value));
        }
        if cursor.eat("quiet").is_some() {
            return Ok(Run::Quiet);
        }
        let name = known(cursor, &self.names)?;
        let goal = cursor.word_from(GOALS, "`open`, `closed`, `gone`, `done` or `idle`")?;
        Ok(Run::Until(name, goal.value))
    }

    /// `offload c`, `offload nothing`
    pub(super) fn offload(&self, cursor: &mut Cursor<'_>) -> Parse<Option<Name>> {
        if cursor.eat("nothing").is_some() {
            return Ok(None);
        }
        known(cursor, &self.names).map(Some)
    }
}

fn host_name(cursor: &mut Cursor<'_>, names: &Names) -> Parse<Name> {
    let span = cursor.here();
    let name = cursor.word("a host")?;
    if names.is_host(&name.value) { Ok(name) } else { names.unknown(&name.value, span, false).fail() }
}
/// A name that was given with `as`, or by a line `flow`.
fn known(cursor: &mut Cursor<'_>, names: &Names) -> Parse<Name> {
    let span = cursor.here();
    let name = cursor.word("what was named with `as`")?;
    if names.flow(&name.value).is_some() { Ok(name) } else { names.unknown_flow(&name.value, span).fail() }
}

fn on(cursor: &mut Cursor<'_>, names: &Names) -> Parse<Option<Name>> {
    if cursor.eat("on").is_some() {
        return known(cursor, names).map(Some);
    }
    names.only_flow(cursor.here()).map(|_| None)
}
fn one_of(cursor: &mut Cursor<'_>, words: &[&str], what: &str) -> Parse<Name> {
    match cursor.peek_word().filter(|word| words.contains(word)) {
        Some(_) => cursor.word(what),
        None => cursor.unexpected(&format!("{what}: {}", words.join(", ")), words.iter().copied()).fail(),
    }
}
