//! What an adapter's answers mean: each is of the kind that was asked for and makes sense, or the adapter is ended for it.

use conntruth_engine::Counter;

use super::process::shown;
use super::wire::{self, Answer};
use super::{Exec, convert};
use crate::target::{Entry, Expected, Happening, Observation, Refusal};

impl Exec {
    /// What was read of an answer, unless it makes no sense.
    fn sensible<T, E: std::fmt::Display>(&mut self, read: Result<T, E>) -> Result<T, Refusal> {
        read.map_err(|what| self.nonsense(&format!("its answer makes no sense: {what}")))
    }

    pub(super) fn observed(&mut self, answer: Answer) -> Result<Observation, Refusal> {
        self.note_lag();
        let shows = self.identity.abilities.shows;
        match answer {
            Answer::Packet(seen) => {
                let read = convert::observation(seen, &shows, &mut self.known);
                self.sensible(read)
            }
            other => Err(self.other(other, "packet")),
        }
    }

    pub(super) fn happened(&mut self, answer: Answer) -> Result<Vec<Happening>, Refusal> {
        self.note_lag();
        let shows = self.identity.abilities.shows;
        match answer {
            Answer::Events(events) => {
                let read = convert::events(events.events, &shows, &mut self.known);
                self.sensible(read)
            }
            Answer::Done(_) if !shows.events => Ok(Vec::new()),
            other => Err(self.other(other, "events")),
        }
    }

    pub(super) fn listed(&mut self, answer: Answer) -> Result<Vec<Entry>, Refusal> {
        self.note_lag();
        let shows = self.identity.abilities.shows;
        match answer {
            Answer::Table(table) => {
                let read = convert::table(table, &shows, &mut self.known);
                self.sensible(read)
            }
            other => Err(self.other(other, "table")),
        }
    }

    pub(super) fn expected(&mut self, answer: Answer) -> Result<Vec<Expected>, Refusal> {
        self.note_lag();
        match answer {
            Answer::Expectations(list) => {
                let read = convert::expectations(list, self.known.lag);
                self.sensible(read)
            }
            other => Err(self.other(other, "expectations")),
        }
    }

    pub(super) fn counted(&mut self, answer: Answer) -> Result<Vec<(String, Counter)>, Refusal> {
        match answer {
            Answer::Counters(list) => Ok(convert::counters(list)),
            other => Err(self.other(other, "counters")),
        }
    }

    pub(super) fn done(&mut self, answer: Answer) -> Result<(), Refusal> {
        match answer {
            Answer::Done(_) => Ok(()),
            other => Err(self.other(other, "done")),
        }
    }

    /// What an answer says where it is not of the kind that was asked for.
    pub(super) fn other(&mut self, answer: Answer, wanted: &str) -> Refusal {
        match answer {
            Answer::Unsupported(unsupported) => unsupported_of(&unsupported),
            Answer::Error(error) => error_of(&error),
            other => self.nonsense(&kind_is_wrong(&other, wanted)),
        }
    }
}

fn unsupported_of(unsupported: &wire::Unsupported) -> Refusal {
    let issue = unsupported.issue.as_ref().map(|issue| format!(" ({})", shown(issue.as_bytes(), 300)));
    let reason = shown(unsupported.reason.as_bytes(), 300);
    Refusal::Unsupported(format!("{reason}{}", issue.unwrap_or_default()))
}

fn error_of(error: &wire::Failed) -> Refusal {
    let context = error.context.as_ref().map(|context| format!("\n| {}", shown(context.as_bytes(), 2000)));
    let reason = shown(error.reason.as_bytes(), 300);
    Refusal::Wrong(format!("the adapter says: {reason}{}", context.unwrap_or_default()))
}

pub(super) fn kind_is_wrong(answer: &Answer, wanted: &str) -> String {
    let kind = match answer {
        Answer::Hello(_) => "hello",
        Answer::Done(_) => "done",
        Answer::Packet(_) => "packet",
        Answer::Events(_) => "events",
        Answer::Table(_) => "table",
        Answer::Expectations(_) => "expectations",
        Answer::Counters(_) => "counters",
        Answer::World(_) => "world",
        Answer::Unsupported(_) => "unsupported",
        Answer::Error(_) => "error",
    };
    format!("it answered `{kind}` where `{wanted}` was to come")
}

/// What may help whoever wrote the adapter.
pub(super) fn hint(line: &[u8], validates: bool) -> &'static str {
    if line.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        " (whatever is not an answer belongs on stderr)"
    } else if !validates {
        " (--validate points at the field)"
    } else {
        ""
    }
}
