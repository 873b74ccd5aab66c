//! What honest hosts send, number by number.

use crate::language::ast::packet::{Seq, Tcp as Said, TcpOption as SaidOption, Way};
use crate::packet::{Tcp, TcpOption, flag};

use super::TcpTalk;

/// A talk in which each segment arrives, with numbers counted as in scenarios.
struct Talk(TcpTalk);

impl Talk {
    fn new() -> Talk {
        Talk(TcpTalk::new(1460))
    }

    fn opened() -> Talk {
        let mut talk = Talk::new();
        talk.sends(Way::Forth, "S", 0);
        talk.sends(Way::Back, "S.", 0);
        talk.sends(Way::Forth, ".", 0);
        talk
    }

    /// Sends flags and so many bytes; returns relative SEQ and ACK, and the window.
    fn sends(&mut self, way: Way, flags: &str, length: u32) -> (i64, i64, u16) {
        let said = Said { flags: bits(flags), ..Said::default() };
        self.says(way, &said, length, true)
    }

    fn says(&mut self, way: Way, said: &Said, length: u32, arrives: bool) -> (i64, i64, u16) {
        let segment = self.0.fill(way, said, 1000);
        self.0.sent(way, &segment, length, arrives);
        self.relative(way, &segment)
    }

    fn relative(&self, way: Way, segment: &Tcp) -> (i64, i64, u16) {
        let (mine, yours) = self.0.bases(way);
        let counted = |number: u32, base: u32| i64::from(number.wrapping_sub(base) as i32);
        (counted(segment.seq, mine), counted(segment.ack, yours), segment.window)
    }
}

fn bits(flags: &str) -> u8 {
    let bit = |letter| {
        crate::language::words::TCP_FLAGS.iter().find(|(other, _)| *other == letter).map_or(0, |row| row.1)
    };
    flags.chars().map(bit).sum()
}

#[test]
fn a_conversation_follows_on() {
    let mut talk = Talk::new();
    let (forth, back) = (Way::Forth, Way::Back);
    let segment = talk.0.fill(forth, &Said { flags: flag::SYN, ..Said::default() }, 1000);
    assert_eq!((segment.seq, segment.ack, &*segment.options), (1000, 0, &[TcpOption::Mss(1460)][..]));
    talk.0.sent(forth, &segment, 0, true);
    assert_eq!(talk.sends(back, "S.", 0), (0, 1, 65160));
    assert_eq!(talk.sends(forth, ".", 0), (1, 1, 64240));
    assert_eq!(talk.sends(forth, "P.", 100), (1, 1, 64240));
    assert_eq!(talk.sends(back, ".", 0), (1, 101, 65160));
    assert_eq!(talk.sends(back, "P.", 50), (1, 101, 65160));
    assert_eq!(talk.sends(forth, "F.", 0), (101, 51, 64240));
    assert_eq!(talk.sends(back, "F.", 0), (51, 102, 65160));
    assert_eq!(talk.sends(forth, ".", 0), (102, 52, 64240));
}

#[test]
fn what_does_not_follow_on_moves_nothing() {
    let mut talk = Talk::opened();
    for offset in [1_000_000, 10, -100] {
        let said = Said { flags: flag::ACK, seq: Some(Seq::Next(offset)), ..Said::default() };
        assert_eq!(talk.says(Way::Forth, &said, 5, true).0, 1 + offset);
    }
    assert_eq!(talk.sends(Way::Forth, ".", 0), (1, 1, 64240));
}

#[test]
fn a_retransmission_is_acknowledged_once() {
    let mut talk = Talk::opened();
    talk.sends(Way::Forth, "P.", 100);
    let again = Said { flags: flag::PSH | flag::ACK, seq: Some(Seq::Relative(1)), ..Said::default() };
    talk.says(Way::Forth, &again, 100, true);
    assert_eq!(talk.sends(Way::Back, ".", 0).1, 101);
    assert_eq!(talk.sends(Way::Forth, ".", 0).0, 101);
}

#[test]
fn what_is_lost_the_other_side_does_not_acknowledge() {
    let mut talk = Talk::opened();
    let said = Said { flags: flag::PSH | flag::ACK, ..Said::default() };
    talk.says(Way::Forth, &said, 100, false);
    assert_eq!(talk.sends(Way::Back, ".", 0).1, 1);
    assert_eq!(talk.sends(Way::Forth, "P.", 100).0, 101);
    assert_eq!(talk.sends(Way::Back, ".", 0).1, 1);
}

#[test]
fn mid_stream_begins_at_one() {
    assert_eq!(Talk::new().sends(Way::Forth, "P.", 10), (1, 1, 64240));
    assert_eq!(Talk::new().sends(Way::Back, ".", 0), (1, 1, 65160));
}

#[test]
fn windows_are_scaled_once_both_sides_offered_it() {
    for (answer, window) in [(Some(vec![SaidOption::WindowScale(2)]), 64240 >> 7), (None, 64240)] {
        let mut talk = Talk::new();
        let syn =
            Said { flags: flag::SYN, options: Some(vec![SaidOption::WindowScale(7)]), ..Said::default() };
        assert_eq!(talk.says(Way::Forth, &syn, 0, true).2, 64240);
        let answer = Said { flags: flag::SYN | flag::ACK, options: answer, ..Said::default() };
        assert_eq!(talk.says(Way::Back, &answer, 0, true).2, 65160);
        assert_eq!(talk.sends(Way::Forth, ".", 0).2, window);
    }
}

#[test]
fn time_stamps_are_sent_once_both_sides_sent_them() {
    let mut talk = Talk::new();
    let stamps = |flags| Said { flags, options: Some(vec![SaidOption::Timestamps(None)]), ..Said::default() };
    talk.says(Way::Forth, &stamps(flag::SYN), 0, true);
    talk.says(Way::Back, &stamps(flag::SYN | flag::ACK), 0, true);
    let segment = talk.0.fill(Way::Forth, &Said { flags: flag::ACK, ..Said::default() }, 1500);
    assert_eq!(segment.options, [TcpOption::Nop, TcpOption::Nop, TcpOption::Timestamps(1500, 1000)]);
}

#[test]
fn a_syn_to_nobody_is_refused_from_zero() {
    let mut talk = Talk::new();
    talk.sends(Way::Forth, "S", 0);
    let reset = talk.0.fill(Way::Back, &Said { flags: flag::RST | flag::ACK, ..Said::default() }, 1000);
    assert_eq!((reset.seq, reset.ack, reset.window), (0, 1001, 0));
}

#[test]
fn after_the_end_a_syn_begins_with_new_numbers() {
    let mut talk = Talk::opened();
    talk.sends(Way::Forth, "F.", 0);
    talk.sends(Way::Back, "F.", 0);
    let syn = talk.0.fill(Way::Forth, &Said { flags: flag::SYN, ..Said::default() }, 1000);
    talk.0.sent(Way::Forth, &syn, 0, true);
    assert_eq!(syn.seq, 1_001_000);
    assert_eq!(talk.sends(Way::Back, "S.", 0), (0, 1, 65160));
    assert_eq!(talk.sends(Way::Forth, ".", 0), (1, 1, 64240));
    assert_eq!(talk.sends(Way::Back, "P.", 10), (1, 1, 65160));
}

#[test]
fn a_syn_in_an_open_connection_is_a_late_copy_unless_it_is_answered() {
    let mut talk = Talk::opened();
    assert_eq!(talk.sends(Way::Forth, "S", 0).0, 0);
    assert_eq!(talk.sends(Way::Forth, ".", 0), (1, 1, 64240));
    let other = Said { flags: flag::SYN, seq: Some(Seq::Relative(2000)), ..Said::default() };
    talk.says(Way::Forth, &other, 0, true);
    // The answer of a stack in SYN_RECV or of one that has forgotten the connection.
    assert_eq!(talk.sends(Way::Back, "S.", 0), (0, 1, 65160));
    assert_eq!(talk.sends(Way::Forth, ".", 0), (1, 1, 64240));
}

#[test]
fn simultaneous_opens_acknowledge_each_other() {
    let mut talk = Talk::new();
    talk.sends(Way::Forth, "S", 0);
    talk.sends(Way::Back, "S", 0);
    assert_eq!(talk.sends(Way::Forth, "S.", 0), (0, 1, 65160));
    assert_eq!(talk.sends(Way::Back, "S.", 0), (0, 1, 65160));
    assert_eq!(talk.sends(Way::Forth, ".", 0), (1, 1, 64240));
}

#[test]
fn an_answer_to_something_else_is_no_answer() {
    let mut talk = Talk::new();
    talk.sends(Way::Forth, "S", 0);
    let stale = Said {
        flags: flag::SYN | flag::ACK,
        seq: Some(Seq::Absolute(145_824_453)),
        ack: Some(Seq::Absolute(643_160_523)),
        ..Said::default()
    };
    talk.says(Way::Back, &stale, 0, true);
    let good = Said { seq: Some(Seq::Absolute(145_758_918)), ack: None, ..stale };
    assert_eq!(talk.says(Way::Back, &good, 0, true), (0, 1, 65160));
    assert_eq!(talk.sends(Way::Forth, "P.", 1), (1, 1, 64240));
}
