//! The ladder: what happened in a world, a line for each packet, with what the tracker made of it and why.

use std::fmt::Write;
use std::net::IpAddr;

use conntruth_engine::{Class, EventKind, Time, Verdict};

use crate::language::ast::claim::ClassWord;
use crate::language::ast::packet::Way;
use crate::language::words::{CLASSES, word_of};
use crate::paint::{Paint, Role};
use crate::target::{Fate, Happening, Observation, Shows, Why};

use super::claims;
use super::hosts::Passed;
use super::plan::{Act, Move, Plan, Shown};
use super::run::{Record, Seen};

/// How much a ladder says of each packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// One line.
    Brief,
    /// The rule and its numbers below it.
    Why,
    /// And what the rule is, and where it comes from.
    Source,
}

/// What stands in the columns of one line.
struct Row {
    time: String,
    what: String,
    class: (String, Role),
    state: String,
    left: String,
    flags: String,
    below: Vec<String>,
}

/// So many lines at most lead to a failure.
const MOST_ROWS: usize = 30;

const HEAD: [&str; 6] = ["time", "packet", "class", "state", "left", "flags"];

/// The ladder of a record, all of it or the moves of a range.
pub fn ladder(plan: &Plan, record: &Record, detail: Detail, paint: Paint) -> String {
    part(plan, record, 0..record.seen.len(), detail, paint)
}

/// What two targets made of the same packets, side by side: the name of each, and its record. Where they differ a `≠`
/// stands between them.
pub fn beside(plan: &Plan, records: [(&str, &Record); 2], paint: Paint) -> String {
    let wide = plan.moves.iter().filter_map(|step| shown(&step.act)).map(arrow_width).max().unwrap_or(0);
    let mut rows: Vec<([String; 4], bool)> = Vec::new();
    let seen = records.map(|(_, record)| &record.seen);
    for (index, step) in plan.moves.iter().enumerate() {
        let Act::Packet(sent) = &step.act else { continue };
        let [left, right] = seen.map(|seen| seen.get(index).and_then(|seen| seen.packet.as_ref()));
        let cell = |seen: Option<&Observation>, (_, record): (&str, &Record)| {
            seen.map_or_else(|| "no answer".to_owned(), |seen| answer(seen, &record.shows))
        };
        let (first, second) = (cell(left, records[0]), cell(right, records[1]));
        let shows = records.map(|(_, record)| record.shows);
        let what = arrow(&sent.shown, wide, '─');
        rows.push((
            [clock(step.at), what, first, second],
            left.zip(right).is_some_and(|(a, b)| agree(a, b, &shows)),
        ));
    }
    let head = ["time", "packet", records[0].0, records[1].0].map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().map(|(cells, _)| &cells[column]).chain([&head[column]]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let [t, p, l, r]: [usize; 4] = std::array::from_fn(width);
    let line = |cells: &[String; 4], mark: &str| {
        let [time, what, first, second] = cells;
        format!("{time:>t$}  {what:<p$}  {first:<l$} {mark} {second:<r$}")
    };
    let mut text = String::new();
    let _ = writeln!(text, "{}", paint.over(Role::Dim, line(&head, " ").trim_end()));
    for (cells, same) in &rows {
        let mark = if *same { " ".to_owned() } else { paint.over(Role::Bad, "≠") };
        let _ = writeln!(text, "{}", line(cells, &mark).trim_end());
    }
    text
}

/// An answer in the words of a claim.
fn answer(seen: &Observation, shows: &Shows) -> String {
    let mut row = Row::at(Time::ZERO);
    fill(&mut row, seen);
    row.hide(shows);
    let cells = [row.class.0, row.state, row.left, row.flags];
    cells.into_iter().filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Whether two answers may be the same, as far as both show them: times left are intervals.
fn agree(left: &Observation, right: &Observation, shows: &[Shows; 2]) -> bool {
    let both = |is: fn(&Shows) -> bool| shows.iter().all(is);
    let entries = match (&left.entry, &right.entry) {
        (Some(a), Some(b)) => {
            let flags = |entry: &crate::target::Entry| (entry.is_unreplied(), entry.is_assured());
            let times = a.left.least <= b.left.most && b.left.least <= a.left.most;
            (a.state == b.state || !both(|shows| shows.state))
                && (flags(a) == flags(b) || !both(|shows| shows.status))
                && (times || left.destroyed || !both(|shows| shows.timeout))
        }
        (None, None) => true,
        _ => false,
    };
    let entries = entries || !both(Shows::entries);
    let class = left.class == right.class || !both(|shows| shows.class);
    let verdict = left.verdict == right.verdict || !both(|shows| shows.verdict);
    entries && class && left.destroyed == right.destroyed && verdict
}

/// The lines that lead to one move, itself included: the last `most` of them.
pub(crate) fn up_to(plan: &Plan, record: &Record, at: usize, most: usize, paint: Paint) -> String {
    let end = (at + 1).min(record.seen.len());
    let start = end.saturating_sub(most);
    // Where hosts act, a step may be thousands of packets.
    let text = part(plan, record, start..end, Detail::Brief, paint);
    let lines: Vec<&str> = text.lines().collect();
    match lines.len().checked_sub(1 + MOST_ROWS) {
        Some(left_out @ 1..) => {
            let kept = lines[1 + left_out..].join("\n");
            format!("{}\n{:>9}  … {left_out} lines before\n{kept}\n", lines[0], "")
        }
        _ => text,
    }
}

/// The ladder of the packet with this number, counted from 1 among those that the tracker saw.
pub fn of_packet(
    plan: &Plan,
    record: &Record,
    number: usize,
    detail: Detail,
    paint: Paint,
) -> Option<String> {
    let packets = plan.moves.iter().enumerate().filter(|(_, step)| matches!(step.act, Act::Packet(_)));
    let at = packets.map(|(index, _)| index).nth(number.checked_sub(1)?)?;
    (at < record.seen.len()).then(|| part(plan, record, at..at + 1, detail, paint))
}

fn part(plan: &Plan, record: &Record, range: std::ops::Range<usize>, detail: Detail, paint: Paint) -> String {
    let planned = plan.moves.iter().filter_map(|step| shown(&step.act)).map(arrow_width);
    let came = record.seen.iter().flat_map(|seen| &seen.passed);
    let came = came.map(|passed| arrow_width(&shown_passed(plan, passed)));
    let wide = planned.chain(came).max().unwrap_or(0);
    let mut rows = Vec::new();
    for index in range {
        let (step, seen) = (&plan.moves[index], &record.seen[index]);
        rows.extend(seen.before.iter().filter(|event| event.kind == EventKind::Destroy).map(expired));
        rows.extend(row(plan, step, seen, wide, detail, paint).map(|row| match seen.at {
            Some(at) => Row { time: clock(at), ..row },
            None => row,
        }));
        rows.extend(seen.passed.iter().map(|passed| passed_row(plan, passed, wide, detail, paint)));
    }
    rows.iter_mut().for_each(|row: &mut Row| row.hide(&record.shows));
    print(&rows, paint)
}

fn shown(act: &Act) -> Option<&Shown> {
    match act {
        Act::Packet(sent) | Act::Release(_, sent) => Some(&sent.shown),
        Act::Hidden(shown) => Some(shown),
        _ => None,
    }
}

/// The first line of a step as it is written.
fn written(plan: &Plan, step: &Move) -> String {
    let text = plan.script().text.get(plan.step(step).span.range()).unwrap_or_default();
    text.lines().next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A packet that came while hosts acted.
fn passed_row(plan: &Plan, passed: &Passed, wide: usize, detail: Detail, paint: Paint) -> Row {
    let observation = &passed.observation;
    let mut row = Row { what: arrow(&shown_passed(plan, passed), wide, '─'), ..Row::at(passed.arrival.at) };
    fill(&mut row, observation);
    if passed.arrival.fate == Fate::Dropped || observation.verdict == Verdict::Drop {
        row.class.0.push_str(", dropped");
    }
    row.below = below(observation, detail, paint);
    row
}

pub(super) fn shown_passed(plan: &Plan, passed: &Passed) -> Shown {
    let name = passed.talk.and_then(|talk| plan.talk(talk).name.clone());
    Shown {
        text: passed.text.clone(),
        from: passed.from.clone(),
        to: passed.to.clone(),
        talk: passed.talk,
        way: passed.way,
        label: None,
        flow: name,
    }
}

fn row(plan: &Plan, step: &Move, seen: &Seen, wide: usize, detail: Detail, paint: Paint) -> Option<Row> {
    let plain = |what: String| Row { what, ..Row::at(step.at) };
    match &step.act {
        Act::Wait => None,
        Act::Live => Some(plain(format!("· {}", written(plan, step)))),
        Act::Hidden(shown) => {
            let what = arrow(shown, wide, '╌');
            Some(Row { class: ("hidden".to_owned(), Role::Dim), ..plain(what) })
        }
        Act::Set(setting) => Some(plain(format!("set {} {}", setting.name, setting.value))),
        Act::Check => {
            let first = written(plan, step);
            let (word, role) =
                if seen.found.is_empty() { ("holds", Role::Good) } else { ("fails", Role::Bad) };
            Some(Row { class: (word.to_owned(), role), ..plain(first) })
        }
        Act::Packet(sent) | Act::Release(_, sent) => {
            let observation = seen.packet.as_ref()?;
            let mut row = Row { what: arrow(&sent.shown, wide, '─'), ..Row::at(step.at) };
            fill(&mut row, observation);
            if sent.arrival.fate == Fate::Dropped || observation.verdict == Verdict::Drop {
                row.class.0.push_str(if observation.sent.is_empty() { ", dropped" } else { ", rejected" });
            } else if sent.arrival.fate == Fate::Waits {
                row.class.0.push_str(", waits");
            }
            row.below = below(observation, detail, paint);
            Some(row)
        }
    }
}

fn fill(row: &mut Row, seen: &Observation) {
    let (class, reply) = claims::class_of(seen.class);
    let word = word_of(CLASSES, class);
    let role = match class {
        ClassWord::New => Role::New,
        ClassWord::Established | ClassWord::Related => Role::Good,
        ClassWord::Invalid | ClassWord::Discarded => Role::Bad,
        ClassWord::Untracked | ClassWord::Held => Role::Dim,
    };
    row.class = (if reply { format!("{word} reply") } else { word.to_owned() }, role);
    if let Some(entry) = &seen.entry {
        row.state = entry.state.as_deref().unwrap_or_default().to_owned();
        if seen.destroyed {
            row.left = "gone".to_owned();
            return;
        }
        row.left = claims::left(entry.left);
        row.flags = claims::flags(entry.is_unreplied(), entry.is_assured());
    }
}

fn below(seen: &Observation, detail: Detail, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    if detail != Detail::Brief {
        lines.extend(seen.by.iter().map(|rule| format!("{} {rule}", paint.over(Role::Dim, "ended by:"))));
        lines.extend(seen.sent.iter().map(|sent| {
            format!(
                "{} {}",
                paint.over(Role::Dim, "sent:"),
                sent_in_words(&sent.bytes, sent.class, sent.verdict)
            )
        }));
    }
    match (&seen.why, detail) {
        (None, _) | (_, Detail::Brief) => {}
        (Some(Why::Said(words)), _) => lines.push(words.clone()),
        (Some(Why::Reason(reason)), _) => {
            lines.push(format!("{} {reason}", paint.over(Role::Dim, &format!("{}:", reason.slug()))));
            if detail == Detail::Source {
                lines.push(format!("{} {}", paint.over(Role::Dim, "rule:"), reason.info().rule));
                lines.push(format!("{} {}", paint.over(Role::Dim, "source:"), reason.info().source));
            }
        }
    }
    lines
}

/// `ICMP type 3 code 3 from 10.0.0.254 to 10.0.0.1, related reply`
pub(crate) fn sent_in_words(bytes: &[u8], class: Class, verdict: Verdict) -> String {
    let (class, reply) = claims::class_of(class);
    let class = format!("{}{}", word_of(CLASSES, class), if reply { " reply" } else { "" });
    let end = if verdict == Verdict::Drop { ", dropped" } else { "" };
    format!("{}, {class}{end}", in_words(bytes))
}

/// What a rule has sent: an ICMP error, or a reset.
fn in_words(bytes: &[u8]) -> String {
    let address = |range: std::ops::Range<usize>| match bytes.get(range) {
        Some(&[a, b, c, d]) => IpAddr::from([a, b, c, d]).to_string(),
        Some(long) => {
            <[u8; 16]>::try_from(long).map(|long| IpAddr::from(long).to_string()).unwrap_or_default()
        }
        None => String::new(),
    };
    let is_v4 = bytes.first().is_some_and(|first| first >> 4 == 4);
    let (protocol, at, src, dst) = match is_v4 {
        true => (bytes.get(9), 20, address(12..16), address(16..20)),
        false => (bytes.get(6), 40, address(8..24), address(24..40)),
    };
    let byte = |offset: usize| bytes.get(at + offset).copied().unwrap_or(0);
    let what = match protocol {
        Some(1) => format!("ICMP type {} code {}", byte(0), byte(1)),
        Some(58) => format!("ICMPv6 type {} code {}", byte(0), byte(1)),
        Some(6) if byte(13) & 0x10 != 0 => "TCP R.".to_owned(),
        Some(6) => "TCP R".to_owned(),
        _ => "a packet".to_owned(),
    };
    format!("{what} from {src} to {dst}")
}

fn expired(event: &Happening) -> Row {
    let entry = &event.entry;
    let what = format!("† {} {} is forgotten", entry.protocol_name(), entry.original);
    let state = entry.state.as_deref().unwrap_or_default().to_owned();
    Row { what, state, left: "gone".to_owned(), ..Row::at(event.at) }
}

impl Row {
    fn at(time: Time) -> Row {
        Row {
            time: clock(time),
            what: String::new(),
            class: (String::new(), Role::Plain),
            state: String::new(),
            left: String::new(),
            flags: String::new(),
            below: Vec::new(),
        }
    }

    /// Without what the target does not show.
    fn hide(&mut self, shows: &Shows) {
        if !shows.timeout && self.left != "gone" {
            self.left.clear();
        }
        if !shows.status {
            self.flags.clear();
        }
    }
}

/// `client ── S 0:0(0) win 64240 ──▶ server`, all arrows of one length.
fn arrow(shown: &Shown, wide: usize, line: char) -> String {
    let (left, right) = hosts(shown);
    let text = caption(shown);
    let used = arrow_width(shown);
    let rest: String = std::iter::repeat_n(line, wide.saturating_sub(used) + 1).collect();
    let begin: String = std::iter::repeat_n(line, 2).collect();
    match shown.way {
        Way::Forth => format!("{left} {begin} {text} {rest}▶ {right}"),
        Way::Back => format!("{left} ◀{line} {text} {rest}{line} {right}"),
    }
}

pub(super) fn hosts(shown: &Shown) -> (&str, &str) {
    match shown.way {
        Way::Forth => (&shown.from, &shown.to),
        Way::Back => (&shown.to, &shown.from),
    }
}

fn arrow_width(shown: &Shown) -> usize {
    shown.from.chars().count() + shown.to.chars().count() + caption(shown).chars().count()
}

/// `A: dns (40)`
pub(super) fn caption(shown: &Shown) -> String {
    let label = shown.label.as_ref().map(|label| format!("{label}: ")).unwrap_or_default();
    let flow = shown.flow.as_ref().map(|flow| format!("{flow} ")).unwrap_or_default();
    format!("{label}{flow}{}", shown.text)
}

/// A moment since the world began: `0.010`, `5d 0:00:00.020`.
pub(crate) fn clock(time: Time) -> String {
    let millis = time.as_nanos() / 1_000_000;
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, seconds) {
        (0, ..60) => format!("{seconds}.{millis:03}"),
        (0, ..3600) => format!("{minutes}:{:02}.{millis:03}", seconds % 60),
        (0, _) => format!("{hours}:{minutes:02}:{:02}.{millis:03}", seconds % 60),
        _ => format!("{days}d {hours}:{minutes:02}:{:02}.{millis:03}", seconds % 60),
    }
}

fn print(rows: &[Row], paint: Paint) -> String {
    let width = |column: usize| {
        let cell = |row: &Row| row.cells()[column].chars().count();
        rows.iter().map(cell).max().unwrap_or(0).max(HEAD[column].len())
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    let [time, packet, class, state, left, flags] = HEAD;
    let [t, p, c, s, l, _] = widths;
    let head = format!("{time:>t$}  {packet:<p$}  {class:<c$}  {state:<s$}  {left:<l$}  {flags}");
    let _ = writeln!(text, "{}", paint.over(Role::Dim, &head));
    for row in rows {
        let [time, what, class, state, left, flags] = row.cells();
        let class = paint.over(row.class.1, &format!("{class:<c$}"));
        let line = format!("{time:>t$}  {what:<p$}  {class}  {state:<s$}  {left:<l$}  {flags}");
        let _ = writeln!(text, "{}", line.trim_end());
        for below in &row.below {
            let _ = writeln!(text, "{:t$}  {} {below}", "", paint.over(Role::Dim, "└"));
        }
    }
    text
}

impl Row {
    fn cells(&self) -> [&str; 6] {
        [&self.time, &self.what, &self.class.0, &self.state, &self.left, &self.flags]
    }
}
