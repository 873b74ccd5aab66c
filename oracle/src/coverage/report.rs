//! Coverage as people read it: the tables as the field prints them, then reasons, then sysctls, then the sums.

use std::fmt::{self, Write};

use conntruth_engine::{Direction, Knob, Next, SctpState, TcpState};

use super::{Cell, Coverage, INDISTINCT_TCP, Sum, Sums};
use crate::paint::{Paint, Role};

/// The states' short codes, as the field writes them, in the order of the states.
const TCP_CODES: [&str; 10] = ["NONE", "SS", "SR", "ES", "FW", "CW", "LA", "TW", "CL", "S2"];
const SCTP_CODES: [&str; 9] = ["NONE", "CL", "CW", "CE", "ES", "SS", "SR", "SA", "HS"];

/// So many reasons stand on a line.
const ABREAST: usize = 3;
/// So many that were never reached are told with their rule and source.
const MOST_IN_FULL: usize = 20;

const NEVER: &str = "✗";
const UNREACHABLE: &str = "·";
const ALIKE: &str = "≈";

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(self, Paint::new(f.alternate())))
    }
}

fn text(coverage: &Coverage, paint: Paint) -> String {
    let mut out = String::new();
    let tcp: Vec<Printed> = coverage
        .tcp()
        .map(|cell| printed(&cell, TCP_CODES[cell.state as usize], of_tcp, |kind| kind.word()))
        .collect();
    let sctp: Vec<Printed> = coverage
        .sctp()
        .map(|cell| printed(&cell, SCTP_CODES[cell.state as usize], of_sctp, |kind| kind.word()))
        .collect();
    let _ = writeln!(out, "{}", paint.over(Role::Dim, &legend()));
    table(&mut out, "TCP", &tcp, &TCP_CODES, &TcpState::ALL.map(TcpState::word), paint);
    indistinct(&mut out, paint);
    table(&mut out, "SCTP", &sctp, &SCTP_CODES, &SctpState::ALL.map(SctpState::word), paint);
    reasons(&mut out, coverage, paint);
    sysctls(&mut out, coverage, paint);
    let sums = coverage.sums();
    let (worlds, packets) = (counted(sums.worlds, "world"), counted(sums.packets, "packet"));
    let _ = writeln!(out, "{worlds}, {packets} reached {sums}");
    out
}

fn legend() -> String {
    format!(
        "Each cell: the state that comes next, and how often a packet asked. `ign` is accepted and changes nothing, `inv` is \
         INVALID;\n{NEVER} was never asked, {UNREACHABLE} cannot be by any packet."
    )
}

/// A cell in words.
struct Printed {
    direction: Direction,
    row: &'static str,
    column: &'static str,
    next: &'static str,
    reached: u64,
    unreachable: Option<&'static str>,
}

fn printed<K: Copy, S: Copy>(
    cell: &Cell<K, S>,
    column: &'static str,
    code: impl Fn(S) -> &'static str,
    row: impl Fn(K) -> &'static str,
) -> Printed {
    let next = match cell.next {
        Next::To(state) => code(state),
        Next::Ignore => "ign",
        Next::Invalid => "inv",
    };
    let &Cell { direction, kind, reached, unreachable, .. } = cell;
    Printed { direction, row: row(kind), column, next, reached, unreachable }
}

fn of_tcp(state: TcpState) -> &'static str {
    TCP_CODES[state as usize]
}

fn of_sctp(state: SctpState) -> &'static str {
    SCTP_CODES[state as usize]
}

/// Both matrices of a table, what its codes stand for, and why some cells are out of reach.
fn table(out: &mut String, name: &str, cells: &[Printed], codes: &[&str], words: &[&str], paint: Paint) {
    let wide = cells.iter().map(|cell| short(cell.reached).len()).max().unwrap_or(1);
    let first = cells.iter().map(|cell| cell.row.len()).max().unwrap_or(0);
    for direction in [Direction::Original, Direction::Reply] {
        let word = if direction == Direction::Original { "original" } else { "reply" };
        let _ = writeln!(out, "\n{}", paint.over(Role::Strong, &format!("{name}, {word} direction")));
        let heads: Vec<String> = codes.iter().map(|code| format!("{code:<0$}", wide + 4)).collect();
        let _ = writeln!(out, "{:first$}  {}", "", paint.over(Role::Dim, heads.join("  ").trim_end()));
        let own: Vec<&Printed> = cells.iter().filter(|cell| cell.direction == direction).collect();
        for row in own.chunks(codes.len()) {
            let line: Vec<String> = row.iter().map(|cell| mark(cell, wide, paint)).collect();
            let _ = writeln!(out, "{:<first$}  {}", row[0].row, line.join("  ").trim_end());
        }
    }
    let stand: Vec<String> =
        codes.iter().zip(words).skip(1).map(|(code, word)| format!("{code} {word}")).collect();
    let _ = writeln!(out, "{}", paint.over(Role::Dim, &stand.join(", ")));
    out_of_reach(out, cells, paint);
}

/// `ES   12`
fn mark(cell: &Printed, wide: usize, paint: Paint) -> String {
    let (count, role) = match (cell.reached, cell.unreachable) {
        (0, Some(_)) => (UNREACHABLE.to_owned(), Role::Dim),
        (0, None) => (NEVER.to_owned(), Role::Bad),
        (reached, _) => (short(reached), Role::Plain),
    };
    paint.over(role, &format!("{:<3} {count:>wide$}", cell.next))
}

fn out_of_reach(out: &mut String, cells: &[Printed], paint: Paint) {
    let mut told: Vec<&str> = Vec::new();
    for why in cells.iter().filter_map(|cell| cell.unreachable) {
        if told.contains(&why) {
            continue;
        }
        told.push(why);
        let own: Vec<&Printed> = cells.iter().filter(|cell| cell.unreachable == Some(why)).collect();
        let line = format!("{UNREACHABLE} {} cells, {}: {why}", own.len(), places(&own));
        let _ = writeln!(out, "{}", paint.over(Role::Dim, &line));
    }
}

/// What cells of TCP's table might as well say.
fn indistinct(out: &mut String, paint: Paint) {
    for row in INDISTINCT_TCP {
        let other = match row.other {
            Next::To(state) => of_tcp(state),
            Next::Ignore => "ign",
            Next::Invalid => "inv",
        };
        let direction = if row.direction == Direction::Original { "original" } else { "reply" };
        let (kind, state, why) = (row.kind, of_tcp(row.state), row.why);
        let line = format!("{ALIKE} {direction}, {kind} in {state}: might as well be {other}, for {why}");
        let _ = writeln!(out, "{}", paint.over(Role::Dim, &line));
    }
}

/// The rows and the columns that cells are in.
fn places(cells: &[&Printed]) -> String {
    let distinct = |words: Vec<&'static str>| {
        let mut seen: Vec<&str> = Vec::new();
        for word in words {
            if !seen.contains(&word) {
                seen.push(word);
            }
        }
        seen
    };
    let rows = distinct(cells.iter().map(|cell| cell.row).collect());
    let columns = distinct(cells.iter().map(|cell| cell.column).collect());
    let both = cells.iter().any(|cell| cell.direction != cells[0].direction);
    let direction = match (both, cells[0].direction) {
        (true, _) => "both directions",
        (false, Direction::Original) => "original",
        (false, Direction::Reply) => "reply",
    };
    let some = |words: &[&str]| if words.len() > 3 { "any".to_owned() } else { words.join(" or ") };
    format!("{direction}, {} in {}", some(&rows), some(&columns))
}

fn reasons(out: &mut String, coverage: &Coverage, paint: Paint) {
    let all: Vec<_> = coverage.reasons().collect();
    let reached: Vec<(&str, u64)> =
        all.iter().filter(|row| row.1 > 0).map(|(info, count, _)| (info.slug, *count)).collect();
    let _ = writeln!(out, "\n{}", paint.over(Role::Strong, "reasons given"));
    let slug = all.iter().map(|(info, ..)| info.slug.len()).max().unwrap_or(0);
    let wide = reached.iter().map(|row| short(row.1).len()).max().unwrap_or(1);
    for row in reached.chunks(ABREAST) {
        let cells: Vec<String> =
            row.iter().map(|(name, count)| format!("{name:<slug$} {:>wide$}", short(*count))).collect();
        let _ = writeln!(out, "  {}", cells.join("   "));
    }
    let never: Vec<_> = all.iter().filter(|row| row.1 == 0).collect();
    if never.len() > MOST_IN_FULL {
        let names: Vec<&str> = never.iter().map(|row| row.0.slug).collect();
        return left_out(out, "reasons never given", &names, paint);
    }
    for (info, _, why) in never {
        let (mark, role) = if why.is_some() { (UNREACHABLE, Role::Dim) } else { (NEVER, Role::Bad) };
        let line = format!("{mark} {:<slug$} {}", info.slug, why.unwrap_or(info.rule));
        let _ = writeln!(
            out,
            "{}\n  {:slug$} {}",
            paint.over(role, &line),
            "",
            paint.over(Role::Dim, info.source)
        );
    }
}

/// Names alone, of more than anyone reads sentences about.
fn left_out(out: &mut String, what: &str, names: &[&str], paint: Paint) {
    let wide = names.iter().map(|name| name.len()).max().unwrap_or(0);
    let _ = writeln!(out, "\n{}", paint.over(Role::Strong, &format!("{what} ({NEVER})")));
    for row in names.chunks(ABREAST) {
        let cells: Vec<String> = row.iter().map(|name| format!("{name:<wide$}")).collect();
        let _ = writeln!(out, "  {}", paint.over(Role::Bad, cells.join("   ").trim_end()));
    }
    let hint = "  rules and sources: `--format jsonl`";
    let _ = writeln!(out, "{}", paint.over(Role::Dim, hint));
}

fn sysctls(out: &mut String, coverage: &Coverage, paint: Paint) {
    let all: Vec<(Knob, Vec<(i64, u64)>)> = coverage.knobs().collect();
    let wide = all.iter().map(|(knob, _)| knob.short_name().len()).max().unwrap_or(0);
    if all.iter().any(|row| !row.1.is_empty()) {
        let _ = writeln!(
            out,
            "\n{}",
            paint.over(Role::Strong, "sysctls set to something else than their default")
        );
    }
    for (knob, values) in all.iter().filter(|row| !row.1.is_empty()) {
        let values: Vec<String> = values
            .iter()
            .map(
                |(value, times)| {
                    if *times == 1 { value.to_string() } else { format!("{value} ×{}", short(*times)) }
                },
            )
            .collect();
        let default = format!("(default {})", knob.info().default);
        let _ = writeln!(
            out,
            "  {:<wide$} {}  {}",
            knob.short_name(),
            values.join(", "),
            paint.over(Role::Dim, &default)
        );
    }
    let never: Vec<Knob> = all.iter().filter(|row| row.1.is_empty()).map(|row| row.0).collect();
    if never.len() > MOST_IN_FULL {
        let names: Vec<&str> = never.iter().map(|knob| knob.short_name()).collect();
        left_out(out, "sysctls never set", &names, paint);
    } else {
        for knob in never {
            let line = format!("{NEVER} {:<wide$} {}", knob.short_name(), knob.info().meaning);
            let source = paint.over(Role::Dim, knob.info().source);
            let _ = writeln!(out, "{}\n  {:wide$} {source}", paint.over(Role::Bad, &line), "");
        }
    }
    out.push('\n');
}

/// `95 of 95 cells of TCP, 0 of 184 of SCTP, 60 of 104 reasons, 2 of 42 sysctls`
impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |sum: Sum| format!("{} of {}", sum.reached, sum.of);
        let Sums { tcp, sctp, reasons, sysctls, .. } = *self;
        write!(
            f,
            "{} cells of TCP, {} of SCTP, {} reasons, {} sysctls",
            of(tcp),
            of(sctp),
            of(reasons),
            of(sysctls)
        )
    }
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A count in at most five characters: `9999`, `12k`, `3400k`, `34M`.
fn short(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..10_000_000 => format!("{}k", count / 1000),
        10_000_000..10_000_000_000 => format!("{}M", count / 1_000_000),
        _ => format!("{}G", count / 1_000_000_000),
    }
}
