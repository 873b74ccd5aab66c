//! What a replay notices on the way and tells at the end: packets skipped, a clock that would have run backwards,
//! checksums that the network card was to fill in.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use conntruth_engine::{Class, Outcome, Reason};
use conntruth_sim::capture::NotIp;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// So many senders are watched for checksums, and so many kinds of skipped packets are told apart: enough for a hint,
/// and a bound whatever is captured.
const MOST_SENDERS: usize = 4096;
const MOST_KINDS: usize = 16;

/// Counts kept while a capture is replayed.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Packets that were tracked, or at least looked at.
    pub packets: u64,
    /// Packets that are not IP.
    pub skipped: u64,
    kinds: BTreeMap<NotIp, u64>,
    /// The first packet with a time stamp before its predecessor's.
    pub backwards: Option<u64>,
    senders: HashMap<IpAddr, Checksums, FixedState>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Checksums {
    wrong: u64,
    all: u64,
}

impl Tally {
    pub(super) fn skip(&mut self, why: NotIp) {
        self.skipped += 1;
        if self.kinds.len() < MOST_KINDS || self.kinds.contains_key(&why) {
            *self.kinds.entry(why).or_default() += 1;
        }
    }

    /// Counts the checksum of a packet for its sender.
    pub(super) fn checksum(&mut self, bytes: &[u8], outcome: &Outcome) {
        if matches!(outcome.class, Class::Held | Class::Discarded) {
            return;
        }
        let Some(sender) = sender(bytes) else { return };
        let is_full = self.senders.len() == MOST_SENDERS;
        let checksums = match self.senders.get_mut(&sender) {
            Some(checksums) => checksums,
            None if is_full => return,
            None => self.senders.entry(sender).or_default(),
        };
        checksums.all += 1;
        checksums.wrong += u64::from(is_wrong_checksum(&outcome.reason));
    }

    /// What was skipped, in a sentence.
    pub fn skipped_words(&self) -> Option<String> {
        let (verb, noun) = if self.skipped == 1 { ("is", "packet") } else { ("are", "packets") };
        let mut parts: Vec<String> =
            self.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let others = self.skipped - self.kinds.values().sum::<u64>();
        if others > 0 {
            parts.push(format!("{others} others"));
        }
        let parts = parts.join(", ");
        (self.skipped > 0).then(|| format!("{} {noun} {verb} not IP and skipped: {parts}", self.skipped))
    }

    /// The link type of the packets, if it is one that we do not know and nothing else was captured.
    pub fn unknown_link(&self) -> Option<i32> {
        match self.kinds.first_key_value() {
            Some((NotIp::UnknownLink(link), count)) if *count == self.skipped && self.packets == 0 => {
                Some(*link)
            }
            _ => None,
        }
    }

    /// The sender of whose packets more than half have a wrong checksum, with how many of how many; the one with most.
    pub fn wrong_checksums(&self) -> Option<(IpAddr, u64, u64)> {
        let wrong = self.senders.iter().filter(|(_, checksums)| checksums.wrong * 2 > checksums.all);
        // The address decides between equals: the order of the map means nothing.
        let (sender, checksums) = wrong.max_by_key(|(sender, checksums)| (checksums.wrong, **sender))?;
        Some((*sender, checksums.wrong, checksums.all))
    }
}

/// Whether `--set checksum=0` would have let this packet pass.
fn is_wrong_checksum(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::TcpChecksum {}
            | Reason::UdpChecksum {}
            | Reason::UdpliteChecksum {}
            | Reason::IcmpChecksum {}
            | Reason::Icmpv6Checksum {}
            | Reason::SctpChecksum {}
    )
}

fn sender(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.first()? >> 4 {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(12..16)?).ok()?).into()),
        6 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(8..24)?).ok()?).into()),
        _ => None,
    }
}
