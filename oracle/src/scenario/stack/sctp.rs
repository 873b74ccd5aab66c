//! An honest SCTP at each end of a flow: verification tags, and chunks with fields that make sense.

use crate::language::ast::packet::{Chunk as SaidChunk, Payload, Sctp as Said, Way};
use crate::packet::{Check, Chunk, Sctp};

use super::side;

/// Initiate tags of the two sides, and their first transmission sequence numbers.
const TAGS: [u32; 2] = [1000, 5000];

const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const SACK: u8 = 3;
const HEARTBEAT: u8 = 4;
const HEARTBEAT_ACK: u8 = 5;
const SHUTDOWN: u8 = 7;
const COOKIE_ECHO: u8 = 10;

/// Both ends of an association.
#[derive(Clone, Debug)]
pub(crate) struct SctpTalk {
    /// The tag that each side has asked its peer to use.
    tags: [u32; 2],
    /// The next transmission sequence number of each side.
    next: [u32; 2],
}

impl SctpTalk {
    /// Two ends that have sent nothing.
    pub fn new() -> SctpTalk {
        SctpTalk { tags: TAGS, next: TAGS }
    }

    /// Fills in what was not said.
    pub fn fill(&mut self, way: Way, said: &Said) -> (Sctp, Vec<Chunk>) {
        let chunks: Vec<Chunk> = said.chunks.iter().map(|chunk| self.chunk(way, chunk)).collect();
        let opens = said.chunks.iter().any(|chunk| chunk.kind == INIT);
        let honest = if opens { 0 } else { self.tags[1 - side(way)] };
        let tag = said.tag.unwrap_or(honest);
        let check = said.checksum.map_or(Check::Right, super::super::build::check);
        (Sctp { sport: 0, dport: 0, tag, check }, chunks)
    }

    fn chunk(&mut self, way: Way, said: &SaidChunk) -> Chunk {
        let me = side(way);
        let payload = match &said.payload {
            Some(payload) => payload.clone(),
            // A cookie, and a byte of data, are the least that there must be.
            None if matches!(said.kind, COOKIE_ECHO) => Payload::Bytes(COOKIE.to_vec()),
            None if said.kind == DATA => Payload::Length(1),
            None => Payload::Length(0),
        };
        let mut value = Vec::new();
        match said.kind {
            INIT | INIT_ACK => {
                if let Some(tag) = said.tag {
                    self.tags[me] = tag;
                }
                value.extend(self.tags[me].to_be_bytes());
                value.extend(65_536_u32.to_be_bytes());
                value.extend([0, 10, 0, 10]);
                value.extend(self.next[me].to_be_bytes());
                if said.kind == INIT_ACK && said.payload.is_none() {
                    value.extend([0, 7, 0, 4 + COOKIE.len() as u8]);
                    value.extend(COOKIE);
                }
            }
            DATA => {
                value.extend(self.next[me].to_be_bytes());
                value.extend([0; 8]);
                self.next[me] = self.next[me].wrapping_add(1);
            }
            SACK => {
                value.extend(self.next[1 - me].wrapping_sub(1).to_be_bytes());
                value.extend(65_536_u32.to_be_bytes());
                value.extend([0; 4]);
            }
            SHUTDOWN => value.extend(self.next[1 - me].wrapping_sub(1).to_be_bytes()),
            HEARTBEAT | HEARTBEAT_ACK if said.payload.is_none() => value.extend([0, 1, 0, 8, 0, 0, 0, 1]),
            _ => {}
        }
        value.extend(super::super::build::payload(Some(&payload)));
        let flags = said.flags.unwrap_or(if said.kind == DATA { 3 } else { 0 });
        Chunk { kind: said.kind, flags, length: said.length, value }
    }
}

/// The state cookie.
const COOKIE: &[u8] = b"cookie..";
