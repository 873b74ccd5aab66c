//! What the tests of the whole share: reading scenarios, running them, engines that are wrong on purpose, and tables in
//! print. Nothing here is a test.

use std::sync::Arc;

use conntruth::Paint;
use conntruth::coverage::Chunk;
use conntruth::language;
use conntruth::scenario::{Detail, Plan, diagnose, ladder};
use conntruth::suite::{self, File, Suite};
use conntruth::target::Reference;
use conntruth_engine::{
    Direction, LINUX_6_18, Next, Profile, SctpState, SctpTable, Segment, TcpState, TcpTable,
};

pub mod manual;
pub mod properties;
pub mod seeded;

/// The whole suite that the program carries.
///
/// # Panics
/// When a file of it has mistakes.
#[must_use]
#[track_caller]
pub fn embedded() -> Vec<File> {
    suite::embedded().unwrap_or_else(|error| panic!("{error}"))
}

/// Runs all worlds of some files under a profile.
///
/// # Panics
/// When a file makes no sense.
#[track_caller]
pub fn run(files: &[File], profile: &'static Profile) -> Suite {
    let plans = Suite::plans(files, profile.hz).unwrap_or_else(|error| panic!("{error}"));
    Suite::run(plans, &mut Reference::new(profile), |_| {})
}

/// All worlds of a text.
///
/// # Panics
/// When the text has mistakes.
#[must_use]
#[track_caller]
pub fn plans(name: &str, text: &str) -> Vec<Plan> {
    let script = language::read(name, text).unwrap_or_else(|messages| panic!("{messages}"));
    Plan::all(name, &Arc::new(script), LINUX_6_18.hz).unwrap_or_else(|messages| panic!("{messages}"))
}

/// What happens in the worlds of a text, in words.
#[must_use]
#[track_caller]
pub fn transcript(name: &str, text: &str) -> String {
    told(name, text, |plan, record| ladder(plan, record, Detail::Why, Paint::PLAIN))
}

/// What is said of the claims of a text that do not hold.
#[must_use]
#[track_caller]
pub fn diagnosis(name: &str, text: &str) -> String {
    told(name, text, |plan, record| diagnose(plan, record, Paint::PLAIN))
}

fn told(name: &str, text: &str, tell: impl Fn(&Plan, &conntruth::scenario::Record) -> String) -> String {
    let plans = plans(name, text);
    let several = plans.len() > 1;
    let told = plans.iter().map(|plan| {
        let record = plan.run(&mut Reference::new(&LINUX_6_18));
        let text = tell(plan, &record);
        if several { format!("{}\n{text}", plan.id) } else { text }
    });
    told.collect::<Vec<_>>().join("\n")
}

/// Linux 6.18 with one wrong cell in TCP's table.
#[must_use]
pub fn tcp_mutant(
    direction: Direction,
    segment: Segment,
    state: TcpState,
    next: Next<TcpState>,
) -> &'static Profile {
    let mut table: TcpTable = *LINUX_6_18.tcp_table;
    table[direction as usize][segment as usize][state as usize] = next;
    Box::leak(Box::new(Profile { tcp_table: Box::leak(Box::new(table)), ..LINUX_6_18 }))
}

/// Linux 6.18 with one wrong cell in SCTP's table.
#[must_use]
pub fn sctp_mutant(
    direction: Direction,
    chunk: Chunk,
    state: SctpState,
    next: Next<SctpState>,
) -> &'static Profile {
    let mut table: SctpTable = *LINUX_6_18.sctp_table;
    table[direction as usize][chunk.row()][state as usize] = next;
    Box::leak(Box::new(Profile { sctp_table: Box::leak(Box::new(table)), ..LINUX_6_18 }))
}

/// TCP's table as a protocol engineer reads it.
#[must_use]
pub fn tcp_table(table: &TcpTable) -> String {
    let states: Vec<&str> = TcpState::ALL.iter().map(|state| state.word()).collect();
    let rows: Vec<&str> = Segment::ALL.iter().map(|segment| segment.word()).collect();
    printed(&states, &rows, |direction, row, column| match table[direction][row][column] {
        Next::To(state) => state.word(),
        Next::Ignore => "ignored",
        Next::Invalid => "-",
    })
}

/// SCTP's table as a protocol engineer reads it.
#[must_use]
pub fn sctp_table(table: &SctpTable) -> String {
    let states: Vec<&str> = SctpState::ALL.iter().map(|state| state.word()).collect();
    let rows = Chunk::ALL.map(Chunk::word);
    printed(&states, &rows, |direction, row, column| match table[direction][row][column] {
        Next::To(state) => state.word(),
        Next::Ignore => "ignored",
        Next::Invalid => "-",
    })
}

fn printed(states: &[&str], rows: &[&str], cell: impl Fn(usize, usize, usize) -> &'static str) -> String {
    use std::fmt::Write;

    let wide = states.iter().map(|word| word.len()).max().unwrap_or(0).max("ignored".len());
    let first = rows.iter().map(|word| word.len()).max().unwrap_or(0);
    let mut text =
        String::from("What comes next; `-` is INVALID, `ignored` is accepted and changes nothing.\n");
    for (direction, word) in ["original", "reply"].iter().enumerate() {
        let head = states.iter().map(|state| format!("{state:<wide$}")).collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "\n{word}\n{:<first$}  {}", "", head.trim_end());
        for (row, name) in rows.iter().enumerate() {
            let cells = (0..states.len()).map(|column| format!("{:<wide$}", cell(direction, row, column)));
            let line = cells.collect::<Vec<_>>().join("  ");
            let _ = writeln!(text, "{name:<first$}  {}", line.trim_end());
        }
    }
    text
}
