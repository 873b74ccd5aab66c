//! TCP: connections that mostly do what the state at hand allows next, from both sides, and often not quite.

use conntruth_engine::{TcpSide, TcpState};

use super::Feature;
use super::writer::{Writer, other};
use crate::language::ast::packet::{Body, Checksum, Packet, Payload, Seq, Tcp, TcpOption, Way};
use crate::packet::flag::{ACK, FIN, PSH, RST, SYN, URG};
use crate::scenario::Stack;

/// What comes next in each state: weight, whether the opener sends it, flags.
const NEXT: [&[(u8, (bool, u8))]; 10] = [
    &[(1, (true, SYN))],
    &[
        (8, (false, SYN | ACK)),
        (1, (true, SYN)),
        (2, (false, SYN)),
        (1, (false, RST | ACK)),
        (1, (false, ACK)),
    ],
    &[(8, (true, ACK)), (1, (false, SYN | ACK)), (1, (true, RST)), (1, (true, FIN | ACK))],
    &[
        (5, (true, PSH | ACK)),
        (5, (false, PSH | ACK)),
        (3, (true, ACK)),
        (3, (false, ACK)),
        (2, (true, FIN | ACK)),
        (2, (false, FIN | ACK)),
        (1, (true, RST | ACK)),
        (1, (false, RST)),
    ],
    &[
        (3, (false, ACK)),
        (3, (true, ACK)),
        (2, (false, FIN | ACK)),
        (1, (true, FIN | ACK)),
        (1, (false, PSH | ACK)),
    ],
    &[(3, (false, FIN | ACK)), (2, (true, FIN | ACK)), (1, (false, PSH | ACK)), (1, (true, ACK))],
    &[(3, (true, ACK)), (3, (false, ACK)), (1, (true, SYN))],
    &[(2, (true, ACK)), (1, (false, ACK)), (3, (true, SYN)), (1, (false, SYN))],
    &[(3, (true, SYN)), (1, (false, RST)), (1, (true, ACK)), (1, (false, SYN | ACK))],
    &[(3, (true, SYN | ACK)), (3, (false, SYN | ACK)), (1, (true, SYN)), (1, (false, ACK))],
];

/// What may come at any time.
const ANY: [(u8, u8); 10] = [
    (4, SYN),
    (4, SYN | ACK),
    (4, FIN | ACK),
    (4, ACK),
    (3, PSH | ACK),
    (2, RST),
    (2, RST | ACK),
    (1, ACK | URG),
    (1, FIN | ACK | URG),
    (1, SYN | URG),
];

impl Writer<'_, '_, '_> {
    /// A segment of a flow.
    pub(super) fn tcp(&mut self, flow: usize) -> Packet {
        let (way, flags) = self.kind(flow);
        let mut tcp = Tcp { flags, ..Tcp::default() };
        if flags & PSH != 0 || self.choices.one_in(24) {
            let length = self.choices.pick(&[100, 1, 10, 512, 1400, 0]);
            tcp.payload = Some(Payload::Length(length));
        }
        self.numbers(flow, way, &mut tcp);
        if self.odd(Feature::Windows, 3) {
            tcp.window = Some(match self.choices.below(8) {
                7 => self.choices.short(),
                index => [0, 1, 2, 100, 1000, 5840, 65_535][index],
            });
        }
        let often = if flags & SYN != 0 { 1 } else { 4 };
        if self.odd(Feature::Options, often) {
            tcp.options = Some(self.options(flow, way, flags));
        }
        if self.odd(Feature::Checksums, 30) {
            tcp.checksum =
                Some(self.choices.pick(&[Checksum::Bad, Checksum::Value(0), Checksum::Value(0xffff)]));
        }
        if self.odd(Feature::Lengths, 30) {
            tcp.data_offset = Some(self.choices.pick(&[4, 6, 0, 15, 5, 8]));
        }
        if flags & URG != 0 || self.choices.one_in(60) {
            tcp.urgent = Some(self.choices.short());
        }
        self.along(flow, way, Body::Tcp(tcp))
    }

    fn kind(&mut self, flow: usize) -> (Way, u8) {
        let state = self.entry(flow).and_then(|entry| entry.state().map(str::to_owned));
        let state = TcpState::ALL.iter().position(|known| Some(known.word()) == state.as_deref());
        let begins = state.is_none();
        let opener = self.flows[flow].original;
        if begins && self.odd(Feature::PickUps, 2) {
            let way = self.way(Way::Forth, 3);
            return (way, self.choices.pick(&[ACK, PSH | ACK, FIN | ACK, SYN | ACK, ACK]));
        }
        if self.odd(Feature::Flags, 8) {
            let flags = self.choices.byte();
            return (self.way(Way::Forth, 2), flags);
        }
        if self.odd(Feature::Resets, 8) {
            let flags = self.choices.pick(&[RST, RST | ACK]);
            return (self.way(Way::Forth, 2), flags);
        }
        if self.rarely(3) {
            let flags = self.choices.weighed(&ANY);
            return (self.way(Way::Forth, 2), flags);
        }
        let (by_opener, flags) = self.choices.weighed(NEXT[state.unwrap_or(0)]);
        let way = match (begins, by_opener) {
            (true, _) => self.way(Way::Forth, 8),
            (_, true) => opener,
            (_, false) => other(opener),
        };
        (way, flags)
    }

    /// Numbers that are not what an honest host would send now.
    pub(super) fn numbers(&mut self, flow: usize, way: Way, tcp: &mut Tcp) {
        if self.flows[flow].sent < 2 && self.odd(Feature::Wraps, 3) {
            let back = self.choices.pick(&[0_u32, 1, 2, 100, 1460, 66_000]);
            let edge = self.choices.pick(&[0_u32, 0, 1 << 31]);
            tcp.seq = Some(Seq::Absolute(edge.wrapping_sub(back)));
            return;
        }
        let (seq, ack) = (self.odd(Feature::Numbers, 4), self.odd(Feature::Numbers, 4));
        if !seq && !ack {
            return;
        }
        let Some(Stack::Tcp(talk)) = self.planner().talks.talks.get(flow).map(|talk| &talk.stack) else {
            return;
        };
        let honest = talk.clone().fill(way, tcp, 0);
        let sides = self.sides(flow, way);
        if seq {
            let wanted = self.near(
                sides.map(|[sender, receiver]| {
                    [
                        sender.td_end,
                        sender.td_maxend,
                        receiver.td_maxack,
                        sender.td_end.wrapping_sub(receiver.td_maxwin),
                        honest.seq.wrapping_sub(1),
                    ]
                }),
                honest.seq,
            );
            tcp.seq = Some(relative(wanted, honest.seq));
        }
        if ack {
            let wanted = self.near(
                sides.map(|[sender, receiver]: [TcpSide; 2]| {
                    [
                        receiver.td_end,
                        sender.td_maxack,
                        receiver.td_end.wrapping_sub(sender.td_maxwin.max(66_000)),
                        receiver.td_end.wrapping_sub(66_000),
                        receiver.td_maxend,
                    ]
                }),
                honest.ack,
            );
            tcp.ack = Some(relative(wanted, honest.ack));
        }
    }

    /// A number at one of the edges, beside it, or anywhere.
    fn near(&mut self, edges: Option<[u32; 5]>, honest: u32) -> u32 {
        const BESIDE: [i32; 9] = [0, 1, -1, 0, 2, -2, 1, 10, -100];
        const FAR: [u32; 7] = [1000, 65_535, 1 << 16, 1 << 20, 0x7fff_ffff, 0x8000_0000, 0x8000_0001];
        let edge = match edges {
            Some(edges) => edges[self.choices.below(edges.len())],
            None => honest,
        };
        match self.choices.below(8) {
            7 => self.choices.word(),
            6 => {
                let far = self.choices.pick(&FAR);
                if self.choices.one_in(2) { edge.wrapping_sub(far) } else { edge.wrapping_add(far) }
            }
            5 => 0,
            _ => edge.wrapping_add_signed(self.choices.pick(&BESIDE)),
        }
    }

    fn options(&mut self, flow: usize, way: Way, flags: u8) -> Vec<TcpOption> {
        let mut options = Vec::new();
        let mut room = 40;
        for _ in 0..self.choices.below(6) {
            let option = if flags & SYN != 0 && self.choices.below(4) > 0 {
                match self.choices.below(8) {
                    0 | 1 => TcpOption::WindowScale(self.choices.pick(&[7, 0, 1, 14, 15, 255, 3])),
                    2 | 3 => TcpOption::SackPermitted,
                    4 => TcpOption::Mss(self.choices.pick(&[1460, 536, 0])),
                    5 => TcpOption::Timestamps(None),
                    _ => TcpOption::Nop,
                }
            } else {
                match self.choices.below(8) {
                    0 | 1 => self.sack(flow, way),
                    2 => TcpOption::Timestamps(None),
                    3 => TcpOption::Timestamps(Some((self.choices.word(), self.choices.word()))),
                    4 => TcpOption::Eol,
                    5 => self.malformed(),
                    _ => TcpOption::Nop,
                }
            };
            let size = size(&option);
            if size > room {
                break;
            }
            room -= size;
            options.push(option);
        }
        options
    }

    /// Blocks at the edges of what the receiver of the data has.
    fn sack(&mut self, flow: usize, way: Way) -> TcpOption {
        let sides = self.sides(flow, way);
        let peer_end = sides.map(|[_, receiver]| receiver.td_end);
        let blocks = (0..=self.choices.below(3)).map(|_| match peer_end {
            Some(end) => {
                let right = end.wrapping_add_signed(self.choices.pick(&[0, 1, -1, 1000, -70_000, 5]));
                (Seq::Absolute(right.wrapping_sub(self.choices.pick(&[1, 100, 0]))), Seq::Absolute(right))
            }
            None => (Seq::Next(1), Seq::Next(101)),
        });
        TcpOption::Sack(blocks.collect())
    }

    /// Options that are not what their length says, or nothing that is known.
    fn malformed(&mut self) -> TcpOption {
        const BAD: [&[u8]; 9] = [
            &[5, 2],
            &[5, 9, 0, 0, 0, 1, 0, 0, 0],
            &[5, 1],
            &[3, 4, 7, 7],
            &[3, 2],
            &[4, 3, 0],
            &[8, 60, 0, 0],
            &[254, 0],
            &[30, 6, 1, 2, 3, 4],
        ];
        TcpOption::Raw(self.choices.pick(&BAD).to_vec())
    }
}

/// Bytes that an option takes.
fn size(option: &TcpOption) -> usize {
    match option {
        TcpOption::Mss(_) => 4,
        TcpOption::SackPermitted => 2,
        TcpOption::WindowScale(_) => 3,
        TcpOption::Sack(blocks) => 2 + 8 * blocks.len(),
        TcpOption::Timestamps(_) => 10,
        TcpOption::Nop | TcpOption::Eol => 1,
        TcpOption::Raw(bytes) => bytes.len(),
    }
}

/// A number as the distance from the honest one.
fn relative(wanted: u32, honest: u32) -> Seq {
    Seq::Next(i64::from(wanted.wrapping_sub(honest) as i32))
}
