//! Records as text for people: one aligned line a packet, and between them the connections whose time had come.

use std::fmt::Write as _;
use std::io;

use anstyle::{AnsiColor, Style};
use conntruth_engine::{
    Class, CtInfo, Event, EventKind, ExpectProcLine, ProcLine, Status, Time, Tuple, Verdict,
};

use super::{Record, Summary};

/// So many lines are looked at before the first is written, to find out how wide the columns are.
const LOOK_AHEAD: usize = 200;

const TITLES: [&str; COLUMNS] =
    ["packet", "time", "conn", "summary", "class", "state", "timeout", "flags", "why"];
const COLUMNS: usize = 9;
/// Numbers are easier to compare when they end at the same place.
const RIGHT: [bool; COLUMNS] = [true, true, true, false, false, false, true, false, false];

const DIM: Style = Style::new().dimmed();
const TITLE: Style = Style::new().bold();

enum Row {
    Packet { cells: Box<[String; COLUMNS]>, style: Style },
    Remark(String),
}

/// Writes records as lines. Colours are always in them: the stream takes them out where they are not wanted.
pub struct Lines {
    started: Option<Time>,
    waiting: Vec<Row>,
    widths: [usize; COLUMNS],
    titles: bool,
}

impl Lines {
    /// With or without a line of column titles.
    pub fn new(titles: bool) -> Lines {
        let widths = if titles { TITLES.map(str::len) } else { [0; COLUMNS] };
        Lines { started: None, waiting: Vec::new(), widths, titles }
    }

    /// The first packet's time: what the column `time` counts from.
    pub fn started(&self) -> Option<Time> {
        self.started
    }

    /// Takes a record, and writes what can be written.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn record(&mut self, out: &mut impl io::Write, record: &Record<'_>) -> io::Result<()> {
        let started = *self.started.get_or_insert(record.time);
        let others = record.events.iter().filter(|event| is_end_of_another(event, record));
        self.waiting.extend(others.map(|event| Row::Remark(end_words(event))));
        let cells = Box::new(cells(record, started));
        for (width, cell) in self.widths.iter_mut().zip(cells.iter()) {
            *width = (*width).max(cell.chars().count());
        }
        self.waiting.push(Row::Packet { cells, style: class_style(&record.outcome.class) });
        if self.waiting.len() >= LOOK_AHEAD { self.flush(out) } else { Ok(()) }
    }

    /// Writes what is still waiting.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn flush(&mut self, out: &mut impl io::Write) -> io::Result<()> {
        if std::mem::take(&mut self.titles) && !self.waiting.is_empty() {
            write_row(out, &TITLES, &self.widths, |_| TITLE)?;
        }
        for row in std::mem::take(&mut self.waiting) {
            match row {
                Row::Packet { cells, style } => {
                    let style_of = |column| match TITLES[column] {
                        "class" | "why" => style,
                        "packet" | "time" => DIM,
                        _ => Style::new(),
                    };
                    write_row(out, &cells, &self.widths, style_of)?;
                }
                Row::Remark(words) => {
                    let indent = self.widths[..2].iter().sum::<usize>() + 4;
                    writeln!(out, "{:indent$}{DIM}{words}{DIM:#}", "")?;
                }
            }
        }
        Ok(())
    }
}

/// Writes the table left at the end in the words of `/proc/net/nf_conntrack`, and behind it what is expected in those of
/// `/proc/net/nf_conntrack_expect`.
///
/// # Errors
/// Those of `out`.
pub fn write_table(out: &mut impl io::Write, engine: &conntruth_engine::Engine) -> io::Result<()> {
    engine.conns().try_for_each(|conn| writeln!(out, "{}", ProcLine(&conn)))?;
    let mut expected = engine.expectations().peekable();
    if expected.peek().is_some() {
        writeln!(out)?;
    }
    expected.try_for_each(|expected| writeln!(out, "{}", ExpectProcLine(&expected)))
}

/// `10.0.0.1:40000 > 10.0.1.1:80`, as far as the protocol has such keys.
pub fn tuple_words(tuple: &Tuple) -> String {
    let (src, dst) = (tuple.src_ip(), tuple.dst_ip());
    match (tuple.has_ports(), src.is_ipv6()) {
        (true, false) => format!("{src}:{} > {dst}:{}", tuple.src_id, tuple.dst_id),
        (true, true) => format!("[{src}]:{} > [{dst}]:{}", tuple.src_id, tuple.dst_id),
        (false, _) if tuple.is_icmp() => format!("{src} > {dst} id {}", tuple.src_id),
        (false, _) => format!("{src} > {dst}"),
    }
}

/// The marks that `conntrack -L` shows, and nothing where neither applies.
pub fn flag_words(status: Status) -> &'static str {
    match (status.has(Status::SEEN_REPLY), status.has(Status::ASSURED)) {
        (false, false) => "[UNREPLIED]",
        (true, true) => "[ASSURED]",
        (true, false) => "[]",
        (false, true) => "[UNREPLIED,ASSURED]",
    }
}

/// The word of a class, for people.
pub fn class_words(class: Class) -> &'static str {
    class.word().unwrap_or("(discarded)")
}

/// The colour of a class.
pub fn class_style(class: &Class) -> Style {
    match class {
        Class::Tracked(CtInfo::New) => AnsiColor::Cyan.on_default(),
        Class::Tracked(CtInfo::Established | CtInfo::EstablishedReply) => AnsiColor::Green.on_default(),
        Class::Tracked(CtInfo::Related | CtInfo::RelatedReply) => AnsiColor::Magenta.on_default(),
        Class::Untracked | Class::Held => AnsiColor::Yellow.on_default(),
        Class::Invalid | Class::Discarded => AnsiColor::Red.on_default().bold(),
    }
}

fn is_end_of_another(event: &Event, record: &Record<'_>) -> bool {
    event.kind == EventKind::Destroy && record.outcome.conn != Some(event.conn.id)
}

fn end_words(event: &Event) -> String {
    let conn = &event.conn;
    let why = if conn.timeout == 0 { "its time was up" } else { "removed" };
    format!("#{} {} {} is gone: {why}", conn.id, conn.protocol_name(), tuple_words(&conn.original))
}

fn cells(record: &Record<'_>, started: Time) -> [String; COLUMNS] {
    let outcome = &record.outcome;
    let mut summary = Summary(record.bytes).to_string();
    if record.truncated {
        summary.push_str(" (cut)");
    }
    let mut class = class_words(outcome.class).to_owned();
    if outcome.verdict == Verdict::Drop && outcome.class != Class::Discarded {
        class.push_str(" DROP");
    }
    // Where all went well the name of the rule is enough.
    let why = match outcome.class {
        Class::Tracked(_) | Class::Untracked | Class::Held if outcome.verdict == Verdict::Accept => {
            outcome.reason.slug().to_owned()
        }
        _ => format!("{}: {}", outcome.reason.slug(), outcome.reason),
    };
    // What a helper found is rare, and why one looks.
    let why = match &outcome.help {
        Some(help) => format!("{why}, {}: {help}", help.slug()),
        None => why,
    };
    let [conn, state, timeout, flags] = match &record.connection {
        None => Default::default(),
        Some(connection) => {
            let conn = &connection.snapshot;
            let flags = if connection.destroyed { "gone" } else { flag_words(conn.status) };
            let state = conn.state().unwrap_or("-").to_owned();
            [format!("#{}", conn.id), state, format!("{}s", conn.timeout), flags.to_owned()]
        }
    };
    let time = relative(record.time, started);
    [record.number.to_string(), time, conn, summary, class, state, timeout, flags, why]
}

/// Seconds since the first packet, with microseconds, or with nanoseconds where there are any.
fn relative(time: Time, started: Time) -> String {
    let (sign, length) = if time < started { ("-", started.since(time)) } else { ("", time.since(started)) };
    let text = length.to_string();
    let short = text.strip_suffix("000").unwrap_or(&text);
    format!("{sign}{short}")
}

fn write_row(
    out: &mut impl io::Write,
    cells: &[impl AsRef<str>; COLUMNS],
    widths: &[usize; COLUMNS],
    style: impl Fn(usize) -> Style,
) -> io::Result<()> {
    let mut line = String::new();
    // Columns that are empty so far take no room, and the last needs no padding.
    for column in (0..COLUMNS).filter(|&column| widths[column] > 0) {
        let (cell, width, style) = (cells[column].as_ref(), widths[column], style(column));
        let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
        let (before, after) = if RIGHT[column] { (gap.as_str(), "") } else { ("", gap.as_str()) };
        let after = if column + 1 == COLUMNS { "" } else { after };
        let separator = if line.is_empty() { "" } else { "  " };
        // A String takes whatever is written to it.
        let _ = write!(line, "{separator}{before}{style}{cell}{style:#}{after}");
    }
    writeln!(out, "{}", line.trim_end())
}
