//! An honest TCP at each end of a flow: numbers, windows, and the options that were agreed on.
//!
//! ```text
//!   fresh --SYN--> opening --SYN/ACK, ACK--> open --FIN both ways, or RST--> over --SYN--> opening, with new numbers
//!     \--anything else (the handshake was not seen)--> open
//! ```

use crate::language::ast::packet::{Seq, Tcp as Said, TcpOption as SaidOption, Way};
use crate::packet::{Check, Tcp, TcpOption, flag};

use super::side;

/// First sequence numbers of the two sides.
const ISN: [u32; 2] = [1000, 5000];
/// How much higher the first sequence number of a later connection between the same ports is.
const ISN_STEP: u32 = 1_000_000;
/// What a host advertises with its SYN or SYN/ACK, and keeps advertising.
const WINDOW: [u16; 2] = [64240, 65160];

/// Both ends of a connection.
#[derive(Clone, Debug)]
pub(crate) struct TcpTalk {
    peers: [Peer; 2],
    /// What an end says of its largest segment: 1460, less the longer header for IPv6.
    mss: u16,
}

#[derive(Clone, Debug)]
struct Peer {
    /// The number that scenarios count from.
    isn: u32,
    /// The other side's, as far as this one knows: what its acknowledgements are counted from.
    peer_isn: u32,
    /// The next number to send.
    next: u32,
    /// The next number expected from the other side, once anything has arrived.
    seen: Option<u32>,
    /// The number of the last SYN sent.
    syn: Option<u32>,
    /// Nothing was sent yet.
    fresh: bool,
    /// A SYN/ACK has answered the last SYN.
    answered: bool,
    /// Has sent a FIN.
    finished: bool,
    /// That FIN was acknowledged.
    finish_acked: bool,
    /// The connection has ended for this side: closed, reset, or in TIME_WAIT.
    over: bool,
    /// A SYN came in after the end.
    greeted: Option<u32>,
    /// The window scale offered with the last SYN.
    scale: Option<u8>,
    /// The last SYN carried timestamps.
    stamps: bool,
    /// The last time stamp received.
    echo: u32,
}

impl TcpTalk {
    /// Two ends that have sent nothing.
    pub fn new(mss: u16) -> TcpTalk {
        TcpTalk { peers: [Peer::new(ISN[0], ISN[1]), Peer::new(ISN[1], ISN[0])], mss }
    }

    /// Fills in what was not said. `now_ms` drives the time stamps.
    pub fn fill(&mut self, way: Way, said: &Said, now_ms: u32) -> Tcp {
        // A number that is said counts from the connection before, should this SYN begin another.
        let base = self.peers[side(way)].isn;
        if said.flags & flag::SYN != 0 && self.peers[side(way)].over {
            self.peers[side(way)].reopen();
        }
        let (honest_seq, honest_ack) = (self.seq(way, said), self.ack(way, said));
        let (me, _) = self.pair(way);
        let seq = said.seq.map_or(honest_seq, |seq| number(seq, base, honest_seq));
        let ack = match said.ack {
            Some(ack) => number(ack, me.peer_isn, honest_ack),
            None if said.flags & flag::ACK != 0 => honest_ack,
            None => 0,
        };
        Tcp {
            sport: 0,
            dport: 0,
            seq,
            ack,
            flags: said.flags,
            window: said.window.unwrap_or_else(|| self.window(way, said.flags)),
            urgent: said.urgent.unwrap_or(0),
            options: self.options(way, said, now_ms),
            data_offset: said.data_offset,
            check: said.checksum.map_or(Check::Right, super::super::build::check),
        }
    }

    /// Takes note of a segment that was sent, and of its arrival unless it was lost.
    pub fn sent(&mut self, way: Way, segment: &Tcp, length: u32, arrives: bool) {
        let control = u32::from(segment.has(flag::SYN)) + u32::from(segment.has(flag::FIN));
        let end = segment.seq.wrapping_add(length).wrapping_add(control);
        self.peers[side(way)].send(segment, end);
        if arrives {
            self.arrive(way, segment, end);
        }
    }

    /// What the sender of `way` counts its own numbers from, and the other side's.
    pub fn bases(&self, way: Way) -> (u32, u32) {
        let (me, _) = self.pair(way);
        (me.isn, me.peer_isn)
    }

    fn pair(&self, way: Way) -> (&Peer, &Peer) {
        (&self.peers[side(way)], &self.peers[1 - side(way)])
    }

    fn seq(&self, way: Way, said: &Said) -> u32 {
        let (me, you) = self.pair(way);
        let refuses = me.fresh && you.syn.is_some();
        match said.flags {
            flags if flags & flag::SYN != 0 => me.isn,
            // Who has nothing to say to a SYN answers from zero (RFC 9293 3.5.2).
            flags if flags & flag::RST != 0 && flags & flag::ACK != 0 && refuses => 0,
            _ => me.next,
        }
    }

    fn ack(&self, way: Way, said: &Said) -> u32 {
        let (me, you) = self.pair(way);
        match you.syn {
            // A SYN is answered, even one that came late or with strange numbers.
            Some(syn) if said.flags & flag::SYN != 0 || (me.fresh && said.flags & flag::RST != 0) => {
                syn.wrapping_add(1)
            }
            _ => me.seen.unwrap_or(me.peer_isn.wrapping_add(1)),
        }
    }

    fn window(&self, way: Way, flags: u8) -> u16 {
        let (me, you) = self.pair(way);
        let window = WINDOW[side(way)];
        match (flags & flag::RST != 0, flags & flag::SYN != 0) {
            (true, _) => 0,
            (_, true) => {
                if flags & flag::ACK != 0 {
                    WINDOW[1]
                } else {
                    WINDOW[0]
                }
            }
            _ if you.scale.is_some() => window >> me.scale.unwrap_or(0).min(14),
            _ => window,
        }
    }

    fn options(&self, way: Way, said: &Said, now_ms: u32) -> Vec<TcpOption> {
        let (me, you) = self.pair(way);
        let stamps = || TcpOption::Timestamps(now_ms, me.echo);
        let written = |option: &SaidOption| match option {
            SaidOption::Mss(size) => TcpOption::Mss(*size),
            SaidOption::SackPermitted => TcpOption::SackPermitted,
            SaidOption::WindowScale(shift) => TcpOption::Scale(*shift),
            SaidOption::Sack(blocks) => {
                let edge =
                    |seq: Seq| number(seq, me.peer_isn, me.seen.unwrap_or(me.peer_isn.wrapping_add(1)));
                TcpOption::Sack(blocks.iter().map(|(left, right)| (edge(*left), edge(*right))).collect())
            }
            SaidOption::Timestamps(Some((value, echo))) => TcpOption::Timestamps(*value, *echo),
            SaidOption::Timestamps(None) => stamps(),
            SaidOption::Nop => TcpOption::Nop,
            SaidOption::Eol => TcpOption::End,
            SaidOption::Raw(bytes) => TcpOption::Raw(bytes.clone()),
        };
        match &said.options {
            Some(options) => options.iter().map(written).collect(),
            None if said.flags & flag::SYN != 0 => vec![TcpOption::Mss(self.mss)],
            // Once agreed on, time stamps are in every segment (RFC 7323 3.2).
            None if me.stamps && you.stamps => vec![TcpOption::Nop, TcpOption::Nop, stamps()],
            None => Vec::new(),
        }
    }

    fn arrive(&mut self, way: Way, segment: &Tcp, end: u32) {
        let [left, right] = &mut self.peers;
        let (me, you) = if side(way) == 0 { (left, right) } else { (right, left) };
        if segment.has(flag::RST) {
            // In SYN_SENT it must acknowledge the SYN, otherwise lie at the very next byte (RFC 9293 3.5.2, RFC 5961 3.2).
            let acceptable = match you.seen {
                Some(seen) => seen == segment.seq,
                None => !segment.has(flag::ACK) || segment.ack == you.next,
            };
            if acceptable {
                (me.over, you.over) = (true, true);
            }
            return;
        }
        if let Some(value) = segment.options.iter().find_map(stamp) {
            you.echo = value;
        }
        if segment.has(flag::SYN) {
            you.meet(me, segment);
            return;
        }
        you.seen = match you.seen {
            Some(seen) if !after(segment.seq, seen) && after(end, seen) => Some(end),
            // Who waits for a SYN/ACK learns nothing from anything else.
            None if you.syn.is_none() => Some(end),
            as_it_was => as_it_was,
        };
        you.finish_acked |= you.finished && segment.has(flag::ACK) && segment.ack == you.next;
        // Both have finished, and this side knows of both: closed, or in TIME_WAIT.
        you.over |= you.finish_acked && me.finished && you.seen == Some(me.next);
    }
}

impl Peer {
    fn new(isn: u32, peer_isn: u32) -> Peer {
        Peer {
            isn,
            peer_isn,
            next: isn.wrapping_add(1),
            seen: None,
            syn: None,
            fresh: true,
            answered: false,
            finished: false,
            finish_acked: false,
            over: false,
            greeted: None,
            scale: None,
            stamps: false,
            echo: 0,
        }
    }

    /// A new connection between the same ports: begun by this side, or greeted by the other.
    fn reopen(&mut self) {
        let (greeted, echo) = (self.greeted, self.echo);
        *self = Peer::new(self.isn.wrapping_add(ISN_STEP), greeted.unwrap_or(self.peer_isn));
        (self.seen, self.echo) = (greeted.map(|syn| syn.wrapping_add(1)), echo);
    }

    fn start_at(&mut self, isn: u32) {
        self.isn = isn;
        self.next = isn.wrapping_add(1);
    }

    fn send(&mut self, segment: &Tcp, end: u32) {
        let fresh = std::mem::take(&mut self.fresh);
        if segment.has(flag::SYN) {
            let first_answer = segment.has(flag::ACK) && self.syn.is_none();
            if fresh || first_answer {
                self.start_at(segment.seq);
            }
            self.answered &= self.syn == Some(segment.seq);
            self.syn = Some(segment.seq);
            self.scale = segment.options.iter().find_map(scale);
            self.stamps = segment.options.iter().any(|option| stamp(option).is_some());
        }
        // What does not follow on (a forged segment, a hole, a retransmission) moves nothing.
        let follows = !after(segment.seq, self.next) && after(end, self.next);
        if (fresh && !segment.has(flag::SYN | flag::RST)) || follows {
            self.next = end;
            self.finished |= segment.has(flag::FIN);
        }
    }

    /// A SYN or SYN/ACK from `other` arrives.
    fn meet(&mut self, other: &mut Peer, segment: &Tcp) {
        let after_it = segment.seq.wrapping_add(1);
        if !segment.has(flag::ACK) {
            if self.over {
                self.greeted = Some(segment.seq);
            } else if self.seen.is_none() {
                (self.peer_isn, self.seen) = (segment.seq, Some(after_it));
            }
            return;
        }
        // An open connection keeps its numbers (RFC 9293 3.10.7.4), and an answer to something else is none.
        let answers = self.syn.is_none_or(|syn| segment.ack == syn.wrapping_add(1));
        if self.answered || !answers {
            return;
        }
        if let Some(syn) = self.syn.filter(|syn| *syn != self.isn) {
            // The SYN that seemed to come late has opened a new connection.
            self.start_at(syn);
        }
        if segment.seq != other.isn {
            other.start_at(segment.seq);
            other.seen = Some(segment.ack);
        }
        other.peer_isn = self.isn;
        (self.peer_isn, self.seen, self.answered) = (segment.seq, Some(after_it), true);
    }
}

fn scale(option: &TcpOption) -> Option<u8> {
    if let TcpOption::Scale(shift) = option { Some(*shift) } else { None }
}

fn stamp(option: &TcpOption) -> Option<u32> {
    if let TcpOption::Timestamps(value, _) = option { Some(*value) } else { None }
}

/// A number as it goes on the wire.
fn number(seq: Seq, base: u32, honest: u32) -> u32 {
    match seq {
        Seq::Relative(offset) => base.wrapping_add(offset as u32),
        Seq::Next(offset) => honest.wrapping_add(offset as u32),
        Seq::Absolute(number) => number,
    }
}

/// Whether `left` is after `right` on the circle of sequence numbers.
fn after(left: u32, right: u32) -> bool {
    (right.wrapping_sub(left) as i32) < 0
}
