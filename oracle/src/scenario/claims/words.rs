//! What was found, in the language's own words: for messages, and for what `--bless` writes.

use conntruth_engine::{EventKind, Time, Verdict};

use crate::language::ast::Length;
use crate::language::ast::claim::ClassWord;
use crate::language::words::{CLASSES, word_of};
use crate::target::{Entry, Happening, Left, Observation, Why};

use super::class_of;

/// `established reply`
pub(super) fn class(class: (ClassWord, bool)) -> String {
    let word = word_of(CLASSES, class.0);
    if class.1 { format!("{word} reply") } else { word.to_owned() }
}

/// `120s`, `5d`
pub(crate) fn left(left: Left) -> String {
    seconds(left.most)
}

/// Whole seconds, or days where they are whole.
pub(super) fn seconds(time: Time) -> String {
    let seconds = time.as_secs();
    if seconds > 0 && seconds.is_multiple_of(86_400) {
        format!("{}d", seconds / 86_400)
    } else {
        format!("{seconds}s")
    }
}

/// A length as it was claimed: `120s`, `30s-1tick`.
pub(super) fn length(length: Length) -> String {
    let whole = precise(Time(length.nanos));
    match length.ticks {
        0 => whole,
        ticks => format!("{whole}{ticks:+}tick"),
    }
}

/// Whole seconds where they are whole, otherwise down to the millisecond.
pub(crate) fn precise(time: Time) -> String {
    if time.as_nanos().is_multiple_of(1_000_000_000) { seconds(time) } else { exact(time) }
}

/// Down to the tick, for claims that are exact.
pub(super) fn exact(time: Time) -> String {
    let millis = time.as_nanos() / 1_000_000;
    match (millis / 1000, millis % 1000) {
        (seconds, 0) => format!("{seconds}.0s"),
        (seconds, rest) => format!("{seconds}.{rest:03}s"),
    }
}

/// `[UNREPLIED]`, `[ASSURED]`, `[]`
pub(crate) fn flags(unreplied: bool, assured: bool) -> String {
    let words: Vec<&str> = [(unreplied, "UNREPLIED"), (assured, "ASSURED")]
        .into_iter()
        .filter(|(set, _)| *set)
        .map(|(_, word)| word)
        .collect();
    format!("[{}]", words.join(" "))
}

/// `event new event update assured`, `event none`
pub(super) fn events(events: &[Happening]) -> String {
    if events.is_empty() {
        return "event none".to_owned();
    }
    events.iter().map(|event| format!("event {}", self::event(event))).collect::<Vec<_>>().join(" ")
}

/// `update reply+assured`
pub(super) fn event(event: &Happening) -> String {
    let kind = kind(event.kind);
    match event.kind {
        EventKind::Update => {
            let changes: Vec<&str> = event.changes.iter().map(AsRef::as_ref).collect();
            format!("{kind} {}", changes.join("+")).trim_end().to_owned()
        }
        _ => kind.to_owned(),
    }
}

/// `new`, `update`, `destroy`
pub(super) fn kind(kind: EventKind) -> &'static str {
    match kind {
        EventKind::New => "new",
        EventKind::Update => "update",
        EventKind::Destroy => "destroy",
        EventKind::ExpectNew => "expect-new",
        EventKind::ExpectDestroy => "expect-destroy",
    }
}

/// The slug of the rule that decided: a helper's where that has dropped the packet.
pub(super) fn slug(observation: &Observation) -> Option<&str> {
    if let Some(help) = observation.help.as_ref().filter(|_| observation.verdict == Verdict::Drop) {
        return Some(help.slug());
    }
    match observation.why.as_ref()? {
        Why::Reason(reason) => Some(reason.slug()),
        Why::Said(_) => None,
    }
}

/// The whole claim that holds for a packet: what `--bless` writes where there was none.
pub(crate) fn full_claim(observation: &Observation) -> String {
    let class_of = class_of(observation.class);
    let mut parts = vec![class(class_of)];
    match (&observation.entry, observation.destroyed) {
        (Some(_), true) => parts.push("no entry".to_owned()),
        (Some(entry), false) => {
            parts.extend(entry.state.as_ref().map(ToString::to_string));
            parts.push(left(entry.left));
            parts.push(flags(entry.is_unreplied(), entry.is_assured()));
        }
        (None, _) => {}
    }
    let dropped =
        observation.verdict == Verdict::Drop && !matches!(class_of.0, ClassWord::Held | ClassWord::Discarded);
    if dropped {
        parts.push(match observation.sent.first() {
            Some(sent) => format!("rejected as {}", class(self::class_of(sent.class))),
            None => "dropped".to_owned(),
        });
    }
    let by_tracker = dropped && observation.by.is_none();
    if by_tracker || matches!(class_of.0, ClassWord::Invalid | ClassWord::Discarded) {
        parts.extend(slug(observation).map(|slug| format!("because {slug}")));
    }
    parts.join(" ")
}

/// An entry in few words: `ESTABLISHED 5d [ASSURED]`.
pub(crate) fn describe(entry: &Entry) -> String {
    let mut parts: Vec<String> = entry.state.iter().map(ToString::to_string).collect();
    parts.push(left(entry.left));
    parts.push(flags(entry.is_unreplied(), entry.is_assured()));
    parts.join(" ")
}
