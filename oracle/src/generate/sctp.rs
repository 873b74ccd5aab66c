//! SCTP: associations that mostly do what comes next, with chunks, tags and flags that often do not fit.

use conntruth_engine::SctpState;

use super::Feature;
use super::writer::{Writer, other};
use crate::language::ast::packet::{Body, Checksum, Chunk, Packet, Payload, Sctp, Way};

const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const HEARTBEAT: u8 = 4;
const HEARTBEAT_ACK: u8 = 5;
const ABORT: u8 = 6;
const SHUTDOWN: u8 = 7;
const SHUTDOWN_ACK: u8 = 8;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;
const SHUTDOWN_COMPLETE: u8 = 14;

/// What comes next in each state: weight, whether the opener sends it, chunk.
const NEXT: [&[(u8, (bool, u8))]; 9] = [
    &[(6, (true, INIT)), (1, (true, HEARTBEAT)), (1, (true, DATA)), (1, (true, SHUTDOWN_ACK))],
    &[(4, (false, INIT_ACK)), (2, (true, INIT)), (1, (false, ABORT))],
    &[(6, (true, COOKIE_ECHO)), (1, (false, INIT_ACK)), (1, (true, INIT))],
    &[(6, (false, COOKIE_ACK)), (1, (true, COOKIE_ECHO)), (1, (false, 9))],
    &[
        (2, (true, DATA)),
        (2, (false, DATA)),
        (1, (false, 3)),
        (2, (true, SHUTDOWN)),
        (2, (false, SHUTDOWN)),
        (1, (true, HEARTBEAT)),
        (1, (false, HEARTBEAT_ACK)),
        (1, (true, ABORT)),
        (1, (true, INIT)),
    ],
    &[(4, (false, SHUTDOWN_ACK)), (1, (true, SHUTDOWN)), (1, (false, DATA))],
    &[(4, (true, SHUTDOWN_ACK)), (1, (false, SHUTDOWN)), (1, (true, DATA))],
    &[(4, (true, SHUTDOWN_COMPLETE)), (3, (false, SHUTDOWN_COMPLETE)), (1, (false, SHUTDOWN_ACK))],
    &[(4, (false, HEARTBEAT_ACK)), (2, (true, HEARTBEAT)), (1, (true, INIT)), (1, (true, DATA))],
];
/// Any chunk, the reserved and the unknown ones included.
const ANY: [u8; 18] = [1, 2, 6, 7, 8, 9, 10, 11, 14, 4, 5, 0, 3, 12, 13, 15, 64, 193];

impl Writer<'_, '_, '_> {
    /// A packet of an association.
    pub(super) fn sctp(&mut self, flow: usize) -> Packet {
        let state = self.entry(flow).and_then(|entry| entry.state().map(str::to_owned));
        let state = SctpState::ALL.iter().position(|known| Some(known.word()) == state.as_deref());
        let opener = self.flows[flow].original;
        let (way, kind) = if self.rarely(3) {
            (self.way(Way::Forth, 2), self.choices.pick(&ANY))
        } else {
            let (by_opener, kind) = self.choices.weighed(NEXT[state.unwrap_or(0)]);
            let way = match (state, by_opener) {
                (None, _) => self.way(Way::Forth, 8),
                (_, true) => opener,
                (_, false) => other(opener),
            };
            (way, kind)
        };
        let mut sctp = Sctp { chunks: vec![self.chunk(kind)], ..Sctp::default() };
        while sctp.chunks.len() < 4 && self.choices.one_in(6) {
            let kind = self.choices.pick(&ANY);
            let chunk = self.chunk(kind);
            sctp.chunks.push(chunk);
        }
        if self.odd(Feature::Numbers, 4) {
            sctp.tag = Some(self.choices.pick(&[0, 1000, 5000, 1, 77, u32::MAX]));
        }
        if self.odd(Feature::Checksums, 16) {
            sctp.checksum = Some(self.choices.pick(&[Checksum::Bad, Checksum::Value(0)]));
        }
        if self.odd(Feature::Lengths, 30) {
            sctp.chunks.clear();
        }
        self.along(flow, way, Body::Sctp(sctp))
    }

    fn chunk(&mut self, kind: u8) -> Chunk {
        let mut chunk = Chunk { kind, ..Chunk::default() };
        if self.odd(Feature::Numbers, 4) && matches!(kind, INIT | INIT_ACK) {
            chunk.tag = Some(self.choices.pick(&[77, 78, 0, 1000, 5000]));
        }
        if self.odd(Feature::Flags, 6) {
            chunk.flags = Some(self.choices.pick(&[1, 0, 2, 255]));
        }
        if self.odd(Feature::Lengths, 16) {
            chunk.length = Some(self.choices.pick(&[4, 0, 3, 5, 20, 19, 8, 65_535]));
        }
        if self.odd(Feature::Lengths, 16) {
            chunk.payload = Some(Payload::Length(self.choices.pick(&[0, 1, 4, 100])));
        }
        chunk
    }
}
