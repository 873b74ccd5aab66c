//! What a host would make of a packet, without giving it to it: whether it takes it, has it already, or refuses it.
//!
//! The tests are those that smoltcp makes when a segment comes (RFC 9293, section 3.10.7), on what is known of the socket from
//! outside: its state, the acknowledgement and window that it sent last, and the last sequence number that it sent.

use std::fmt;

use super::options::TcpState;
use crate::packet::TcpHead;

/// What a host would make of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reception {
    /// It takes it: data arrives, or its state changes, or what it sent is acknowledged.
    Takes,
    /// It knows all of it: a copy, a probe, an old acknowledgement, a RST for nobody. It answers at most with what it has
    /// said before.
    Knows,
    /// It refuses it: nothing of it is taken, and a RST or a challenge is all that it may answer.
    Refuses,
}

impl fmt::Display for Reception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reception::Takes => "takes it",
            Reception::Knows => "knows it",
            Reception::Refuses => "refuses it",
        })
    }
}

/// What is known of a socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub state: TcpState,
    /// The first sequence number that it sent.
    pub isn: Option<u32>,
    /// One past the last that it sent.
    pub sent_end: u32,
    /// The acknowledgement that it took last.
    pub una: Option<u32>,
    /// The acknowledgement that it sent last, and the end of the window that it offered with it.
    pub acked: u32,
    pub edge: Option<u32>,
}

impl Standing {
    /// What becomes of a segment that comes now.
    pub(super) fn receives(&self, head: &TcpHead) -> Reception {
        let has = |flag: u8| head.flags & flag != 0;
        let answers_syn = self.isn.is_some_and(|isn| head.ack == isn.wrapping_add(1));
        match self.state {
            TcpState::Closed | TcpState::Listen => return Reception::Refuses,
            TcpState::SynSent => {
                return match (has(TcpHead::RST), has(TcpHead::SYN), has(TcpHead::ACK)) {
                    (_, _, true) if !answers_syn => Reception::Refuses,
                    (true, _, true) | (false, true, _) => Reception::Takes,
                    (false, false, true) => Reception::Knows,
                    _ => Reception::Refuses,
                };
            }
            _ => {}
        }
        if has(TcpHead::SYN) {
            // A copy of the one that opened it is answered once more; another is challenged (RFC 5961, section 4).
            let is_copy = before(head.seq, self.acked) && head.end == self.acked;
            return if is_copy { Reception::Knows } else { Reception::Refuses };
        }
        if !has(TcpHead::RST) {
            match has(TcpHead::ACK) {
                false => return Reception::Refuses,
                true if self.state == TcpState::SynReceived && !answers_syn => return Reception::Refuses,
                true if before(self.sent_end, head.ack) => return Reception::Refuses,
                true if self.una.is_some_and(|una| before(head.ack, una)) => return Reception::Knows,
                true => {}
            }
        }
        let place = self.place(head);
        match place {
            Reception::Takes if self.state == TcpState::TimeWait && !has(TcpHead::RST) => Reception::Knows,
            place => place,
        }
    }

    /// Where a segment lies: in the window, before it, beyond it.
    fn place(&self, head: &TcpHead) -> Reception {
        let (start, edge) = (self.acked, self.edge.unwrap_or(self.acked));
        let is_rst = head.flags & TcpHead::RST != 0;
        let is_bare = head.seq == head.end;
        let old = if is_rst { Reception::Refuses } else { Reception::Knows };
        if is_bare {
            return match (head.seq == start, before(head.seq, start), before(head.seq, edge)) {
                (true, ..) => Reception::Takes,
                (_, true, _) => old,
                (_, _, true) => Reception::Takes,
                _ => Reception::Refuses,
            };
        }
        match (before(start, head.end), before(head.seq, edge)) {
            (false, _) => old,
            (true, true) => Reception::Takes,
            // One byte beyond a window that is closed asks whether it still is.
            (true, false) if head.seq == edge && edge == start => Reception::Knows,
            (true, false) => Reception::Refuses,
        }
    }
}

/// Whether one sequence number lies before another.
fn before(one: u32, other: u32) -> bool {
    (one.wrapping_sub(other) as i32) < 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Ports;

    const ACK: u8 = TcpHead::ACK;

    #[track_caller]
    fn check(state: TcpState, (flags, seq, data, ack): (u8, u32, u32, u32), expected: Reception) {
        let standing = Standing {
            state,
            isn: Some(999),
            sent_end: 1100,
            una: Some(1050),
            acked: 5000,
            edge: Some(6000),
        };
        let control = u32::from(flags & (TcpHead::SYN | TcpHead::FIN) != 0);
        let head = TcpHead {
            ports: Ports { src: 1, dst: 2 },
            seq,
            end: seq + data + control,
            ack,
            flags,
            data: data as usize,
            window: 100,
            scale: 0,
        };
        assert_eq!(standing.receives(&head), expected, "{state:?} {head:?}");
    }

    #[test]
    fn what_is_in_the_window_is_taken_what_is_before_is_known_what_is_beyond_is_refused() {
        use Reception::{Knows, Refuses, Takes};
        use TcpState as S;
        let (syn, rst) = (TcpHead::SYN, TcpHead::RST);
        for (state, segment, expected) in [
            (S::Established, (ACK, 5000, 0, 1100), Takes),
            (S::Established, (ACK, 5999, 0, 1100), Takes),
            (S::Established, (ACK, 6000, 0, 1100), Refuses),
            (S::Established, (ACK, 4999, 0, 1100), Knows),
            (S::Established, (ACK, 5000, 100, 1100), Takes),
            (S::Established, (ACK, 4900, 100, 1100), Knows),
            (S::Established, (ACK, 4900, 101, 1100), Takes),
            (S::Established, (ACK, 5999, 100, 1100), Takes),
            (S::Established, (ACK, 6000, 100, 1100), Refuses),
            // Acknowledgements: of what was never sent, and of what is known.
            (S::Established, (ACK, 5000, 0, 1101), Refuses),
            (S::Established, (ACK, 5000, 0, 1049), Knows),
            (S::Established, (0, 5000, 0, 0), Refuses),
            (S::Established, (rst, 5000, 0, 0), Takes),
            (S::Established, (rst, 6000, 0, 0), Refuses),
            (S::Established, (rst, 4999, 0, 0), Refuses),
            (S::Established, (syn, 4999, 0, 0), Knows),
            (S::Established, (syn, 7000, 0, 0), Refuses),
            (S::SynSent, (syn | ACK, 7000, 0, 1000), Takes),
            (S::SynSent, (syn | ACK, 7000, 0, 1001), Refuses),
            (S::SynSent, (rst | ACK, 0, 0, 1000), Takes),
            (S::SynSent, (rst, 0, 0, 0), Refuses),
            (S::SynSent, (ACK, 7000, 0, 1000), Knows),
            // Of one that acknowledges less than was acknowledged already.
            (S::SynReceived, (ACK, 5000, 0, 1000), Knows),
            (S::SynReceived, (ACK, 5000, 0, 1001), Refuses),
            (S::TimeWait, (ACK, 5000, 0, 1100), Knows),
            (S::Closed, (ACK, 5000, 0, 1100), Refuses),
        ] {
            check(state, segment, expected);
        }
    }
}
