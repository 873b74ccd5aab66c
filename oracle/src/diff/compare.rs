//! Two targets' answers to one world, side by side: the first packet at which they differ, and in what.

use std::fmt::{self, Display};

use conntruth_engine::{Class, Counter, EventKind, Tuple};

use super::normal::{Norm, Normal};
use crate::target::words;
use crate::target::{Entry, Expected, Happening, Peers, Sent, Sight, Why};

/// What can differ, in the order in which it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// Whether it answered at all.
    Answer,
    /// What `ct state` matches on.
    Class,
    /// Whether the packet went on.
    Verdict,
    /// What rules sent in return.
    Sent,
    /// The packet as it left.
    Left,
    /// Which entries there are.
    Entries,
    /// The tuple of answers.
    Reply,
    /// The state.
    State,
    /// The status bits.
    Status,
    /// The time left.
    Timeout,
    /// The mark.
    Mark,
    /// The zone.
    Zone,
    /// The helper.
    Helper,
    /// The connection that has announced it.
    Master,
    /// What is expected.
    Expectations,
    /// TCP's window scales.
    Scales,
    /// The flag bytes of TCP's sides.
    Flags,
    /// TCP's windows.
    Windows,
    /// SCTP's verification tags.
    Tags,
    /// GRE's own timeouts.
    GreTimeouts,
    /// Packets and bytes.
    Counters,
    /// The events.
    Events,
    /// The reason.
    Why,
    /// A scenario's claim, where no answer to a packet differs.
    Claim,
}

impl Field {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Field::Answer => "answer",
            Field::Class => "class",
            Field::Verdict => "verdict",
            Field::Sent => "sent",
            Field::Left => "packet as it left",
            Field::Entries => "entries",
            Field::Reply => "reply tuple",
            Field::State => "state",
            Field::Status => "status",
            Field::Timeout => "timeout",
            Field::Mark => "mark",
            Field::Zone => "zone",
            Field::Helper => "helper",
            Field::Master => "master",
            Field::Expectations => "expectations",
            Field::Scales => "window scales",
            Field::Flags => "tcp flags",
            Field::Windows => "windows",
            Field::Tags => "verification tags",
            Field::GreTimeouts => "gre timeouts",
            Field::Counters => "counters",
            Field::Events => "events",
            Field::Why => "reason",
            Field::Claim => "claim",
        }
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One thing that differs, in both targets' words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What.
    pub field: Field,
    /// What the reference has.
    pub reference: String,
    /// What the target has.
    pub target: String,
}

/// The first packet at which two targets differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which packet of the world, from 0.
    pub at: usize,
    /// The rule that the reference gave for it.
    pub rule: String,
    /// In what, the first that is looked at first. Never empty.
    pub mismatches: Vec<Mismatch>,
}

/// Compares what two targets saw of one world.
pub fn compare(reference: &[Sight], target: &[Sight], normal: Normal) -> Option<Difference> {
    let pairs = reference.iter().zip(target).enumerate();
    let first = pairs
        .map(|(at, (left, right))| (at, sight(left, right, normal)))
        .find(|(_, found)| !found.is_empty());
    if let Some((at, mismatches)) = first {
        return Some(Difference { at, rule: rule(&reference[at]), mismatches });
    }
    let (left, right) = (reference.len(), target.len());
    (left != right).then(|| Difference {
        at: left.min(right),
        rule: String::new(),
        mismatches: vec![Mismatch {
            field: Field::Entries,
            reference: format!("{left} packets answered"),
            target: format!("{right} packets answered"),
        }],
    })
}

/// The rule that a sight gives, without its numbers.
fn rule(sight: &Sight) -> String {
    match &sight.why {
        Some(Why::Reason(reason)) => reason.slug().to_owned(),
        Some(Why::Said(words)) => words.split(|c: char| c.is_ascii_digit()).collect::<Vec<_>>().join("N"),
        None => class(sight.class).to_owned(),
    }
}

/// Takes note of what differs.
struct Found(Vec<Mismatch>);

impl Found {
    fn differ(&mut self, field: Field, reference: impl Display, target: impl Display) {
        let (reference, target) = (reference.to_string(), target.to_string());
        self.0.push(Mismatch { field, reference, target });
    }

    fn equal<T: PartialEq + Display>(&mut self, field: Field, left: &T, right: &T) {
        if left != right {
            self.differ(field, left, right);
        }
    }
}

fn sight(left: &Sight, right: &Sight, normal: Normal) -> Vec<Mismatch> {
    let mut found = Found(Vec::new());
    if left.broken.is_some() || right.broken.is_some() {
        let how = |broken: &Option<String>| broken.clone().unwrap_or_else(|| "an answer".to_owned());
        found.differ(Field::Answer, how(&left.broken), how(&right.broken));
        return found.0;
    }
    let is_silent = |class| matches!(class, Class::Held | Class::Discarded);
    let is_silence = normal.has(Norm::Silence) && is_silent(left.class) && is_silent(right.class);
    if left.class != right.class && !is_silence && !normal.has(Norm::NoClasses) {
        found.differ(Field::Class, class(left.class), class(right.class));
    }
    if left.verdict != right.verdict && !is_silence && !normal.has(Norm::NoVerdicts) {
        found.differ(Field::Verdict, word(&left.verdict), word(&right.verdict));
    }
    sent(&left.sent, &right.sent, normal, &mut found);
    if left.left != right.left && left.verdict == right.verdict {
        let words = |left: &Option<Vec<u8>>| left.as_deref().map_or("as it came".to_owned(), hex);
        found.differ(Field::Left, words(&left.left), words(&right.left));
    }
    if let (Some(left), Some(right), false) = (&left.entries, &right.entries, normal.has(Norm::NoTable)) {
        entries(left, right, normal, &mut found);
    }
    if let (Some(left), Some(right)) = (&left.expected, &right.expected) {
        expected(left, right, &mut found);
    }
    if !normal.has(Norm::NoEvents) {
        events(&left.events, &right.events, normal, &mut found);
    }
    why(left, right, normal, &mut found);
    found.0
}

/// Compares what rules have sent: all of it, class and bytes.
fn sent(left: &[Sent], right: &[Sent], normal: Normal, found: &mut Found) {
    let same = |(left, right): (&Sent, &Sent)| {
        (left.class, left.verdict) == (right.class, right.verdict)
            && comparable(left, right, normal) == comparable(right, left, normal)
    };
    if left.len() != right.len() || !left.iter().zip(right).all(same) {
        let words = |sent: &[Sent]| {
            let one =
                |sent: &Sent| format!("{} {} {}", class(sent.class), word(&sent.verdict), hex(&sent.bytes));
            sent.iter().map(one).collect::<Vec<_>>().join("; ")
        };
        let (left, right) = (words(left), words(right));
        let or_none = |text: String| if text.is_empty() { "nothing".to_owned() } else { text };
        found.differ(Field::Sent, or_none(left), or_none(right));
    }
}

/// Whether an IPv4 packet, or the one that it quotes, has options.
fn has_options(bytes: &[u8]) -> bool {
    let words = |at: usize| bytes.get(at).map_or(5, |first| first & 0xf);
    words(0) != 5 || (bytes.get(9) == Some(&1) && words(28) != 5)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(80).map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of `sent` that can be compared with `other`.
fn comparable(sent: &Sent, other: &Sent, normal: Normal) -> Vec<u8> {
    let mut bytes = sent.bytes.clone();
    if normal.has(Norm::Answers) {
        bytes.truncate(other.bytes.len());
        let own: Vec<(usize, usize)> = match bytes.first().map(|first| first >> 4) {
            // Of TCP the checksum, too, also where it is quoted. Where options are echoed or quoted nothing but the addresses.
            Some(4) if has_options(&sent.bytes) || has_options(&other.bytes) => {
                vec![(0, 12), (20, bytes.len())]
            }
            Some(4) if bytes.get(9) == Some(&6) => vec![(4, 6), (10, 12), (36, 38)],
            Some(4) => vec![(4, 6), (10, 12), (64, 66)],
            Some(6) => vec![(1, 4)],
            _ => Vec::new(),
        };
        for (from, to) in own {
            if let Some(own) = bytes.get_mut(from..to) {
                own.fill(0);
            }
        }
    }
    bytes
}

fn word(value: &impl fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

/// A class in words, with its direction.
pub(super) fn class(class: Class) -> &'static str {
    class.word().unwrap_or("DISCARDED")
}

fn entries(left: &[Entry], right: &[Entry], normal: Normal, found: &mut Found) {
    let key = |entry: &Entry| (entry.original, entry.zone);
    let in_order = left.len() == right.len() && left.iter().zip(right).all(|(l, r)| key(l) == key(r));
    if in_order {
        return left.iter().zip(right).for_each(|(left, right)| entry(left, right, normal, found));
    }
    let sorted = |entries: &[Entry]| {
        let mut sorted: Vec<Entry> = entries.to_vec();
        sorted.sort_by_key(key);
        sorted
    };
    let (mut left, mut right) = (sorted(left), sorted(right));
    if left.len() != right.len() || left.iter().zip(&right).any(|(l, r)| key(l) != key(r)) {
        let (only_left, only_right) = (without(&left, &right), without(&right, &left));
        return found.differ(Field::Entries, listed(&only_left), listed(&only_right));
    }
    if !normal.has(Norm::Order) {
        found.differ(Field::Entries, "in another order", "");
    }
    left.iter_mut().zip(&mut right).for_each(|(left, right)| entry(left, right, normal, found));
}

/// Compares what is expected, as sets.
fn expected(left: &[Expected], right: &[Expected], found: &mut Found) {
    let sorted = |all: &[Expected]| {
        let mut sorted = all.to_vec();
        sorted.sort_by_key(|one| (one.tuple, one.mask, one.master, one.zone));
        sorted
    };
    let (left, right) = (sorted(left), sorted(right));
    if left.len() == right.len() && left.iter().zip(&right).all(|(l, r)| is_same_expected(l, r)) {
        return;
    }
    let words = |all: &[Expected]| match all {
        [] => "nothing".to_owned(),
        all => all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    };
    found.differ(Field::Expectations, words(&left), words(&right));
}

fn is_same_expected(left: &Expected, right: &Expected) -> bool {
    let (l, r) = (left.left, right.left);
    let same = |one: &Expected| {
        (one.tuple, one.mask, one.master, one.zone, one.class, one.flags, one.helper.clone())
    };
    same(left) == same(right) && l.least <= r.most && r.least <= l.most
}

fn without(entries: &[Entry], others: &[Entry]) -> Vec<Entry> {
    let is_there = |entry: &&Entry| {
        !others.iter().any(|other| other.original == entry.original && other.zone == entry.zone)
    };
    entries.iter().filter(is_there).cloned().collect()
}

fn listed(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "no such entry".to_owned();
    }
    entries.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn entry(left: &Entry, right: &Entry, normal: Normal, found: &mut Found) {
    if left.reply != right.reply {
        found.differ(Field::Reply, left.reply, right.reply);
    }
    if left.state != right.state && !normal.has(Norm::NoStates) {
        found.differ(Field::State, state(left), state(right));
    }
    if left.status != right.status && !normal.has(Norm::NoStatus) {
        found.differ(Field::Status, status(left), status(right));
    }
    let is_apart = left.left.least > right.left.most || right.left.least > left.left.most;
    if is_apart && !normal.has(Norm::NoTimeouts) {
        found.differ(Field::Timeout, exactly(left), exactly(right));
    }
    found.equal(Field::Mark, &left.mark, &right.mark);
    found.equal(Field::Zone, &left.zone, &right.zone);
    if left.helper != right.helper {
        found.differ(Field::Helper, word(&left.helper), word(&right.helper));
    }
    if left.master_tuple != right.master_tuple {
        let tuple = |entry: &Entry| entry.master_tuple.map_or("none".to_owned(), |tuple| tuple.to_string());
        found.differ(Field::Master, tuple(left), tuple(right));
    }
    peers(&left.peers, &right.peers, normal, found);
    if left.counters != right.counters {
        found.differ(Field::Counters, counters(left.counters), counters(right.counters));
    }
}

/// `SYN_SENT`, or `none`.
fn state(entry: &Entry) -> String {
    entry.state.as_deref().unwrap_or("none").to_owned()
}

fn status(entry: &Entry) -> String {
    entry.status.names().collect::<Vec<_>>().join("+")
}

/// The time left to the millisecond; an interval where no more is known.
fn exactly(entry: &Entry) -> String {
    let seconds = |time: conntruth_engine::Time| {
        format!("{}.{:03}s", time.as_secs(), time.as_nanos() / 1_000_000 % 1000)
    };
    let left = entry.left;
    if left.least == left.most {
        return seconds(left.least);
    }
    format!("{} to {}", seconds(left.least), seconds(left.most))
}

fn peers(left: &Peers, right: &Peers, normal: Normal, found: &mut Found) {
    match (left, right) {
        (Peers::Tcp(l), Peers::Tcp(r)) => {
            if l.map(|side| side.td_scale) != r.map(|side| side.td_scale) {
                found.differ(
                    Field::Scales,
                    word(&l.map(|side| side.td_scale)),
                    word(&r.map(|side| side.td_scale)),
                );
            }
            let flags = |sides: &[conntruth_engine::TcpSide; 2]| {
                format!("0x{:02x} 0x{:02x}", sides[0].flags, sides[1].flags)
            };
            if l.map(|side| side.flags) != r.map(|side| side.flags) {
                found.differ(Field::Flags, flags(l), flags(r));
            }
            let windows = |sides: &[conntruth_engine::TcpSide; 2]| {
                sides.map(|side| [side.td_end, side.td_maxend, side.td_maxwin, side.td_maxack])
            };
            if !normal.has(Norm::Windows) && windows(l) != windows(r) {
                found.differ(Field::Windows, word(&windows(l)), word(&windows(r)));
            }
        }
        (Peers::Sctp(l), Peers::Sctp(r)) if l != r => {
            found.differ(Field::Tags, format!("{l:#x?}"), format!("{r:#x?}"));
        }
        (Peers::Gre(l), Peers::Gre(r)) if l != r => found.differ(Field::GreTimeouts, word(l), word(r)),
        (_, Peers::None) | (Peers::None, _) if normal.has(Norm::Windows) => {}
        (left, right) if std::mem::discriminant(left) != std::mem::discriminant(right) => {
            found.differ(Field::Entries, word(left), word(right));
        }
        _ => {}
    }
}

fn counters(counters: Option<[Counter; 2]>) -> String {
    match counters {
        Some([original, reply]) => format!(
            "packets {} bytes {}, reply packets {} bytes {}",
            original.packets, original.bytes, reply.packets, reply.bytes
        ),
        None => "not counted".to_owned(),
    }
}

/// Events in an order that both targets can have: those of entries that have ended while nobody looked stand in any.
fn in_order(events: &[Happening], normal: Normal) -> Vec<Happening> {
    let mut events = events.to_vec();
    if normal.has(Norm::Order) {
        let ends = |event: &Happening| event.kind == EventKind::Destroy;
        for run in events.chunk_by_mut(|left, right| ends(left) && ends(right)) {
            run.sort_by_key(|event| (event.entry.original, event.entry.zone));
        }
    }
    events
}

fn events(left: &[Happening], right: &[Happening], normal: Normal, found: &mut Found) {
    let (left, right) = (&in_order(left, normal)[..], &in_order(right, normal)[..]);
    let equal = left.len() == right.len() && left.iter().zip(right).all(|(l, r)| is_same_event(l, r, normal));
    if !equal {
        found.differ(Field::Events, told(left), told(right));
    }
}

fn is_same_event(left: &Happening, right: &Happening, normal: Normal) -> bool {
    if let (Some(l), Some(r)) = (&left.expected, &right.expected) {
        return left.kind == right.kind && is_same_expected(l, r);
    }
    let (l, r) = (&left.entry, &right.entry);
    let keys =
        |entry: &Entry| -> (Tuple, Tuple, u16, u32) { (entry.original, entry.reply, entry.zone, entry.mark) };
    let told = normal.has(Norm::EventParts);
    let not_told = |shown: bool| told && !shown;
    left.kind == right.kind
        && left.expected.is_none() == right.expected.is_none()
        && keys(l) == keys(r)
        && l.status == r.status
        && (told || left.changes == right.changes)
        && (l.state == r.state || not_told(r.state.is_some()))
        && (l.counters == r.counters || not_told(left.kind == EventKind::Destroy))
        && (told || (l.left == r.left && l.peers == r.peers && left.at == right.at))
}

fn told(events: &[Happening]) -> String {
    if events.is_empty() {
        return "none".to_owned();
    }
    let one = |event: &Happening| {
        let entry = &event.entry;
        if let Some(expected) = &event.expected {
            return format!("{} {expected}", word(&event.kind));
        }
        let (kind, changes) = (word(&event.kind), event.changes.join("+"));
        let (state, status, left) = (state(entry), status(entry), exactly(entry));
        format!("{kind} {changes} {state} {status} {left} {}", entry.original)
    };
    events.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn why(left: &Sight, right: &Sight, normal: Normal, found: &mut Found) {
    match (&left.why, &right.why) {
        (Some(Why::Reason(l)), Some(Why::Reason(r))) if l == r => {}
        (Some(Why::Reason(l)), Some(Why::Reason(r))) => {
            found.differ(Field::Why, format!("{}: {l}", l.slug()), format!("{}: {r}", r.slug()));
        }
        (Some(Why::Reason(reason)), said) if normal.has(Norm::Words) => {
            let said = said.as_ref().and_then(|said| match said {
                Why::Said(words) => Some(&**words),
                Why::Reason(_) => None,
            });
            let by_help = left.help.as_ref().map_or(Ok(()), |help| words::agree(help, said));
            // Of two who have something to say the first is heard.
            let holds = match (words::agree(reason, said), by_help, said) {
                (Ok(()), by_help, None) => by_help,
                (Err(_), Ok(()), Some(_)) if left.help.is_some() => Ok(()),
                (by_reason, ..) => by_reason,
            };
            if let Err(expected) = holds {
                found.differ(
                    Field::Why,
                    format!("{}: {reason} ({expected})", reason.slug()),
                    said.unwrap_or("nothing was said"),
                );
            }
        }
        (Some(Why::Said(l)), Some(Why::Said(r))) if l != r => found.differ(Field::Why, l, r),
        (Some(Why::Said(l)), None) => found.differ(Field::Why, l, "nothing was said"),
        (None, Some(Why::Said(r))) => found.differ(Field::Why, "nothing was said", r),
        _ => {}
    }
}
