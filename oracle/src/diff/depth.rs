//! Every sequence of packets up to a length, over an alphabet. A letter is a line of the scenario language, so a sequence
//! is a scenario, and the alphabet can be printed and read.

use std::sync::Arc;

use conntruth_engine::{Family, LINUX_6_18};

use super::run::Shard;
use super::source::{Source, Work};
use crate::generate::Speaks;
use crate::language;
use crate::language::ast::{Step, Story};
use crate::scenario::{Act, Lane, Planner};
use crate::target::{Arrival, Batch, Reading};

/// The kinds of packets of a protocol, as lines of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Alphabet {
    /// Whose.
    pub speaks: Speaks,
    /// What it is, in a line.
    pub about: &'static str,
    heading: &'static str,
    letters: fn() -> Vec<String>,
}

impl Alphabet {
    /// The letters.
    pub fn letters(&self) -> Vec<String> {
        (self.letters)()
    }

    /// The line that the letters follow.
    pub fn heading(&self) -> &'static str {
        self.heading
    }

    /// How many sequences there are of up to `depth` letters; as many as a number holds where there are more.
    pub fn sequences(&self, depth: u32) -> u64 {
        let letters = self.letters().len() as u64;
        (1..=depth).fold(0_u64, |sum, length| sum.saturating_add(letters.saturating_pow(length)))
    }
}

/// The alphabets there are.
pub const ALPHABETS: &[Alphabet] = &[
    Alphabet {
        speaks: Speaks::Tcp,
        about: "six kinds of segments, both ways, each inside the window, at its edge, and outside",
        heading: "flow tcp client:40000 > server:80",
        letters: tcp,
    },
    Alphabet {
        speaks: Speaks::Udp,
        about: "datagrams good and bad, both ways, of two flows, and errors that quote them",
        heading: "flow udp client:40000 > server:53",
        letters: udp,
    },
    Alphabet {
        speaks: Speaks::Icmp,
        about: "queries and answers of two kinds and two identifiers, both ways, bad ones, and errors that quote them",
        heading: "flow icmp client > server id 1",
        letters: icmp,
    },
];

/// First sequence numbers of the two sides, and the window that all of them advertise: small enough to look over its
/// edge.
const FIRST: [u32; 2] = [1000, 5000];
const WINDOW: u32 = 1000;
/// Far outside of any window.
const FAR: u32 = 100_000_000;

fn tcp() -> Vec<String> {
    let mut letters = Vec::new();
    for (arrow, mine, yours) in [('>', FIRST[0], FIRST[1]), ('<', FIRST[1], FIRST[0])] {
        let (next, ack) = (mine + 1, yours + 1);
        for (flags, acks, rest) in
            [("S", false, ""), ("S.", true, ""), ("F.", true, ""), ("P.", true, " (10)"), ("R", false, "")]
        {
            let inside = if flags.starts_with('S') { mine } else { next };
            for seq in [inside, next + WINDOW, next + FAR] {
                let acks = if acks { format!(" ack abs {ack}") } else { String::new() };
                letters.push(format!("{arrow} {flags} seq abs {seq}{rest}{acks} win {WINDOW} <>"));
            }
        }
        // An ACK has no place of its own: what it acknowledges is in order, one more than that, or far more.
        for ack in [ack, ack + 1, ack + FAR] {
            letters.push(format!("{arrow} . seq abs {next} ack abs {ack} win {WINDOW} <>"));
        }
    }
    letters
}

fn udp() -> Vec<String> {
    let mut letters = Vec::new();
    for arrow in ['>', '<'] {
        for rest in ["(40)", "(0)", "(40) checksum 0", "(40) checksum bad", "(40) len 7"] {
            letters.push(format!("{arrow} {rest}"));
        }
    }
    for line in [
        "client:40001 > server:53 udp (40)",
        "server:53 > client:40001 udp (40)",
        "server > client icmp unreachable port quote (client:40000 > server:53 udp (40))",
        "client > server icmp unreachable port quote (server:53 > client:40000 udp (40))",
    ] {
        letters.push(line.to_owned());
    }
    letters
}

fn icmp() -> Vec<String> {
    let mut letters = Vec::new();
    for (from, to) in [("client", "server"), ("server", "client")] {
        for message in [
            "echo request id 1",
            "echo reply id 1",
            "echo request id 2",
            "echo reply id 2",
            "timestamp request id 1",
            "timestamp reply id 1",
            "echo request id 1 checksum bad",
        ] {
            letters.push(format!("{from} > {to} icmp {message}"));
        }
        letters.push(format!(
            "{from} > {to} icmp unreachable host quote ({to} > {from} icmp echo request id 1)"
        ));
    }
    letters
}

/// One alphabet's sequences.
struct Book {
    heading: Story,
    letters: Vec<Step>,
    /// How many sequences there are, of all lengths.
    count: u64,
}

impl Book {
    fn new(alphabet: &Alphabet, depth: u32) -> Book {
        let text = format!("{}\n{}\n", alphabet.heading, alphabet.letters().join("\n"));
        let script = language::read("alphabet", &text).expect("the letters are lines of the language");
        let mut heading = script.stories.into_iter().next().unwrap_or_default();
        let letters = std::mem::take(&mut heading.steps);
        Book { heading, letters, count: alphabet.sequences(depth) }
    }

    /// The letters of a sequence by its number: shorter ones first.
    fn spell(&self, mut number: u64) -> Vec<usize> {
        let base = self.letters.len() as u64;
        let (mut length, mut of_length) = (1, base);
        while number >= of_length {
            number -= of_length;
            length += 1;
            of_length = of_length.saturating_mul(base);
        }
        let mut letters = vec![0; length];
        for letter in letters.iter_mut().rev() {
            *letter = (number % base) as usize;
            number /= base;
        }
        letters
    }

    fn arrivals(&self, letters: &[usize], lane: Lane) -> Vec<Arrival> {
        let planner = Planner::begin(&self.heading, Family::Ipv4, lane, LINUX_6_18.hz, false);
        let mut planner = planner.expect("the heading was read");
        for (number, letter) in letters.iter().enumerate() {
            // That every letter can be built is tested.
            let _ = planner.step(number, &self.letters[*letter]);
        }
        let packets = planner.moves.into_iter().filter_map(|step| match step.act {
            Act::Packet(sent) => Some(sent.arrival),
            _ => None,
        });
        packets.collect()
    }

    fn story(&self, letters: &[usize]) -> Story {
        let steps = letters.iter().map(|letter| self.letters[*letter].clone()).collect();
        Story { steps, ..self.heading.clone() }
    }
}

/// Sequences in a batch.
const BATCH: u64 = 2048;

/// All sequences of some alphabets.
pub(super) struct Every {
    books: Vec<Book>,
    shard: Shard,
    batch: u64,
    end: u64,
}

impl Every {
    pub fn new(alphabets: &[Alphabet], depth: u32, shard: Shard, cases: Option<u64>) -> Every {
        let books: Vec<Book> = alphabets.iter().map(|alphabet| Book::new(alphabet, depth)).collect();
        let all = books.iter().fold(0_u64, |sum, book| sum.saturating_add(book.count));
        Every { books, shard, batch: shard.index, end: cases.unwrap_or(u64::MAX).min(all) }
    }

    /// The book that has a sequence, and its number there.
    fn find(&self, mut case: u64) -> (&Book, u64) {
        for book in &self.books {
            match case.checked_sub(book.count) {
                Some(rest) => case = rest,
                None => return (book, case),
            }
        }
        (&self.books[0], 0)
    }
}

impl Source for Every {
    fn next(&mut self, lanes: &mut u64) -> Option<Work> {
        let first = self.batch.checked_mul(BATCH).filter(|first| *first < self.end)?;
        let cases: Vec<u64> = (first..first.saturating_add(BATCH).min(self.end)).collect();
        self.batch += self.shard.of;
        let mut batch = Batch { reading: Reading::Last, ..Batch::default() };
        for case in &cases {
            let (book, number) = self.find(*case);
            batch.worlds.push(book.arrivals(&book.spell(number), Lane::number(*lanes)));
            *lanes += 1;
        }
        Some(Work { cases, batch: Arc::new(batch) })
    }

    fn story(&self, case: u64) -> Story {
        let (book, number) = self.find(case);
        book.story(&book.spell(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_is_a_packet() {
        for alphabet in ALPHABETS {
            let book = Book::new(alphabet, 1);
            for letter in 0..book.letters.len() {
                assert_eq!(
                    book.arrivals(&[letter], Lane::number(5)).len(),
                    1,
                    "{}",
                    alphabet.letters()[letter]
                );
            }
        }
    }

    #[test]
    fn sequences_are_spelt_once_each() {
        let book = Book::new(&ALPHABETS[0], 2);
        assert_eq!((book.letters.len(), book.count), (36, 36 + 36 * 36));
        let all: std::collections::BTreeSet<Vec<usize>> =
            (0..book.count).map(|number| book.spell(number)).collect();
        assert_eq!(all.len() as u64, book.count);
        assert_eq!(book.spell(35), [35]);
        assert_eq!(book.spell(36), [0, 0]);
        assert_eq!(ALPHABETS[0].sequences(4), 36 + 1296 + 46_656 + 1_679_616);
    }
}
