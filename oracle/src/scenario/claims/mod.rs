//! Claims against what was seen. Each part that does not hold is a [`Mismatch`]: where it stands, what it expected,
//! what it got, and what should stand there instead.

mod entry;
mod expect;
mod leaving;
mod packet;
mod story;
mod words;

use std::fmt;

use conntruth_engine::{Class, CtInfo, Direction, Time};

use crate::language::ast::Span;
use crate::language::ast::claim::ClassWord;
use crate::target::{Entry, Refusal};

use super::talks::Talk;

pub(crate) use packet::packet;
pub(crate) use story::{asks, check};
pub(crate) use words::{describe, flags, full_claim, left, precise};

/// A part of a claim that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Where it stands; empty where something is missing.
    pub span: Span,
    /// What was claimed.
    pub expected: String,
    /// What was found.
    pub got: String,
    /// What should stand in the place of `span`, where that can be said.
    pub fix: Option<String>,
    /// More, for people: a table's difference.
    pub detail: Option<String>,
    /// The target does not show what this part is about: it was not compared, and is no failure.
    pub unseen: bool,
}

impl Mismatch {
    /// A part that cannot be mended by other words.
    pub(crate) fn new(span: Span, expected: impl fmt::Display, got: impl fmt::Display) -> Mismatch {
        Mismatch {
            span,
            expected: expected.to_string(),
            got: got.to_string(),
            fix: None,
            detail: None,
            unseen: false,
        }
    }

    /// A part that this target shows nothing about; `what` says what that is.
    pub(crate) fn unseen(span: Span, what: impl fmt::Display) -> Mismatch {
        Mismatch { unseen: true, ..Mismatch::new(span, what, "not shown by this target") }
    }

    /// Says what should stand there.
    pub(crate) fn fix(mut self, fix: impl fmt::Display) -> Mismatch {
        self.fix = Some(fix.to_string());
        self
    }
}

/// Why a claim was not compared.
#[derive(Debug)]
pub(crate) enum Silence {
    /// The target does not show what the claim is about.
    Unsupported(String),
    /// The target did not answer.
    Refused(Refusal),
}

impl From<Refusal> for Silence {
    fn from(refusal: Refusal) -> Silence {
        match refusal {
            Refusal::Unsupported(what) => Silence::Unsupported(what),
            other => Silence::Refused(other),
        }
    }
}

/// What a check has found.
#[derive(Debug)]
pub(crate) struct Found {
    pub mismatches: Vec<Mismatch>,
    /// The moment at which the check was through.
    pub until: Time,
    /// The target shows nothing that it is about.
    pub hidden: bool,
}

/// A class in the language's words, and whether in reply direction.
pub(crate) fn class_of(class: Class) -> (ClassWord, bool) {
    match class {
        Class::Tracked(info) => {
            let word = match info {
                CtInfo::New => ClassWord::New,
                CtInfo::Established | CtInfo::EstablishedReply => ClassWord::Established,
                CtInfo::Related | CtInfo::RelatedReply => ClassWord::Related,
            };
            (word, info.direction() == Direction::Reply)
        }
        Class::Untracked => (ClassWord::Untracked, false),
        Class::Invalid => (ClassWord::Invalid, false),
        Class::Held => (ClassWord::Held, false),
        Class::Discarded => (ClassWord::Discarded, false),
    }
}

/// Whether an entry is that of a flow, whichever side began.
pub(crate) fn is_of(entry: &Entry, talk: &Talk) -> bool {
    // An ICMP entry's keys are those of the query; of what nobody may ask there is no entry.
    // Where addresses are translated, answers say what the first packet became.
    is_along(&entry.original, talk)
        || has_tuple(&entry.reply, talk)
        || entry.original.is_icmp() && is_ping_of(entry, talk)
}

/// Whether a tuple is that of a flow's packets, in either direction.
fn has_tuple(tuple: &conntruth_engine::Tuple, talk: &Talk) -> bool {
    is_along(tuple, talk) || tuple.invert().is_some_and(|inverse| is_along(&inverse, talk))
}

/// Whether a tuple is that of the packets that a flow's left side sends.
fn is_along(mine: &conntruth_engine::Tuple, talk: &Talk) -> bool {
    let tuple = talk.tuple();
    let keys = mine.protocol == conntruth_engine::protocol::GRE
        || (mine.src_id, mine.dst_id) == (tuple.src_id, tuple.dst_id);
    (mine.src, mine.dst, mine.protocol, mine.family) == (tuple.src, tuple.dst, tuple.protocol, tuple.family)
        && keys
}

fn is_ping_of(entry: &Entry, talk: &Talk) -> bool {
    let tuple = talk.tuple();
    [&entry.original, &entry.reply].iter().any(|mine| {
        (mine.src, mine.dst, mine.protocol, mine.src_id)
            == (tuple.src, tuple.dst, tuple.protocol, tuple.src_id)
    })
}
