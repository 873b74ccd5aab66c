//! Putting fragments together at their receiver.
//!
//! Strict, as Linux is: what overlaps spoils its datagram, an exact copy is ignored. Time is given with each call.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Header, Slice};
use crate::time::SECOND;

/// Datagrams that are not whole yet.
#[derive(Debug, Default)]
pub struct Reassembly {
    datagrams: BTreeMap<Key, Partial>,
}

/// What became of a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gathered {
    /// It waits for others.
    Held,
    /// It contradicts others, and all of them are gone; or there is no sense in it.
    Spoiled,
    /// It was the one that was missing: the whole packet.
    Whole(Vec<u8>),
}

type Key = (IpAddr, IpAddr, u32, u8);

#[derive(Debug)]
struct Partial {
    expires: u64,
    /// Where the last fragment ends.
    length: Option<usize>,
    /// By offset.
    pieces: BTreeMap<usize, Vec<u8>>,
    /// The first fragment as it came.
    first: Option<Vec<u8>>,
}

const LARGEST: usize = 65_535;
/// So much of a host's memory is for fragments at most.
const MOST_DATAGRAMS: usize = 1024;

impl Reassembly {
    /// Takes a fragment that came at `now`.
    pub fn handle(&mut self, now: u64, bytes: &[u8], header: &Header, slice: Slice) -> Gathered {
        let key =
            (header.src, header.dst, slice.ident, if header.src.is_ipv4() { header.protocol } else { 0 });
        let data = header.payload(bytes);
        let end = slice.offset + data.len();
        if data.is_empty() || end > LARGEST || (slice.more && !data.len().is_multiple_of(8)) {
            return Gathered::Spoiled;
        }
        if self.datagrams.len() >= MOST_DATAGRAMS && !self.datagrams.contains_key(&key) {
            return Gathered::Spoiled;
        }
        // Linux's ipfrag_time and ip6frag_time.
        let patience = if header.src.is_ipv4() { 30 * SECOND } else { 60 * SECOND };
        let expires = now + patience;
        let partial = self.datagrams.entry(key).or_insert_with(|| Partial {
            expires,
            length: None,
            pieces: BTreeMap::new(),
            first: None,
        });
        match partial.take(bytes, slice, data) {
            Some(false) => Gathered::Held,
            Some(true) => {
                let whole = self.datagrams.remove(&key).and_then(|partial| partial.together(header));
                whole.map_or(Gathered::Spoiled, Gathered::Whole)
            }
            None => {
                self.datagrams.remove(&key);
                Gathered::Spoiled
            }
        }
    }

    /// When the next datagram is given up.
    pub fn poll_timeout(&self) -> Option<u64> {
        self.datagrams.values().map(|partial| partial.expires).min()
    }

    /// Gives up what has waited too long: for each datagram its first fragment, where that has come.
    pub fn handle_timeout(&mut self, now: u64) -> Vec<Vec<u8>> {
        let (over, kept) = std::mem::take(&mut self.datagrams)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(_, partial)| partial.expires <= now);
        self.datagrams = kept;
        over.into_values().filter_map(|partial| partial.first).collect()
    }
}

impl Partial {
    /// Whether all is there now; `None` where the fragment contradicts what is there.
    fn take(&mut self, bytes: &[u8], slice: Slice, data: &[u8]) -> Option<bool> {
        let end = slice.offset + data.len();
        if self.pieces.get(&slice.offset).is_some_and(|piece| piece.len() == data.len()) {
            return Some(false);
        }
        let before = self.pieces.range(..=slice.offset).next_back();
        let after = self.pieces.range(slice.offset..).next();
        let overlaps = before.is_some_and(|(&at, piece)| at + piece.len() > slice.offset)
            || after.is_some_and(|(&at, _)| at < end);
        let contradicts = match (self.length, slice.more) {
            (Some(length), true) => end > length,
            (Some(length), false) => end != length,
            (None, true) => false,
            (None, false) => self.end() > end,
        };
        if overlaps || contradicts {
            return None;
        }
        if !slice.more {
            self.length = Some(end);
        }
        if slice.offset == 0 {
            self.first = Some(bytes.to_vec());
        }
        self.pieces.insert(slice.offset, data.to_vec());
        let have: usize = self.pieces.values().map(Vec::len).sum();
        Some(self.length == Some(have))
    }

    fn end(&self) -> usize {
        self.pieces.last_key_value().map_or(0, |(at, piece)| at + piece.len())
    }

    /// The packet as if it had never been cut, with the first fragment's header.
    fn together(self, header: &Header) -> Option<Vec<u8>> {
        let first = self.first?;
        let head = Header::read(&first)?;
        let data = self.pieces.into_values().flatten();
        let mut whole;
        if header.src.is_ipv4() {
            whole = first[..head.transport].to_vec();
            whole[6..8].fill(0);
            whole.extend(data);
            let length = u16::try_from(whole.len()).ok()?;
            whole[2..4].copy_from_slice(&length.to_be_bytes());
            smoltcp::wire::Ipv4Packet::new_unchecked(&mut whole[..]).fill_checksum();
        } else {
            let at = head.fragment?.header;
            whole = first[..at].to_vec();
            // Whatever named the fragment header names what stood behind it.
            let named = if at == 40 { 6 } else { last_header_before(&first, at)? };
            whole[named] = first[at];
            whole.extend(data);
            let length = u16::try_from(whole.len() - 40).ok()?;
            whole[4..6].copy_from_slice(&length.to_be_bytes());
        }
        Some(whole)
    }
}

/// Where the extension header begins that stands before the one at `end`.
fn last_header_before(bytes: &[u8], end: usize) -> Option<usize> {
    let mut at = 40;
    loop {
        let next = at + 8 * (1 + usize::from(*bytes.get(at + 1)?));
        if next == end {
            return Some(at);
        }
        if next > end {
            return None;
        }
        at = next;
    }
}
