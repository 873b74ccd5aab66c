//! Reassembly: fragments of both families are put together before anything is tracked.
//!
//! A fragment is held until its datagram is whole, and the whole datagram goes on in place of the fragment that made it
//! so. There is no way to turn this off while tracking is on: it comes before any rule that could say `notrack`. Each
//! place that reassembles (PREROUTING or OUTPUT, in a zone) holds its own; memory and time are bounded by the sysctls.
//!
//! Not here: what becomes of a datagram that waited in vain (the kernel may send an ICMP error), interfaces (link-local
//! fragments of two links would be told apart by them), and refragmentation on the way out.
//!
//! The kernel's timers of this length are up to two seconds late by design of its timer wheel. Here a datagram is given
//! up exactly at its time.
//!
//! Source: linux 6.18 net/ipv4/inet_fragment.c, net/ipv4/ip_fragment.c, net/ipv6/netfilter/nf_conntrack_reasm.c.

mod ipv4;
mod ipv6;
mod pieces;
#[cfg(test)]
mod properties;
mod saved;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::outcome::Hook;
use crate::reason::Reason;
use crate::sysctl::{Knob, Sysctls};
use crate::time::{Jiffies, Ticks, Time};
use crate::tuple::{Addr, Family};
use crate::wire::ip::{Datagram, FragmentInfo};

use pieces::Pieces;
pub(crate) use saved::SavedDefrag;

/// What reassembly made of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gathered {
    /// It is no fragment.
    Whole,
    /// It completed its datagram, which goes on in its place.
    Reassembled {
        /// With one network header, as if it had never been cut.
        bytes: Vec<u8>,
        /// Whether the checksum of any fragment was given as verified: then that of the whole cannot be.
        trusted: bool,
    },
    /// It is a fragment that reassembly leaves as it is; the tracker sees it.
    Pass,
    /// It waits.
    Held(Reason),
    /// It is gone.
    Dropped(Reason),
}

/// Where a packet is put together: pieces of one place never meet those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    pub hook: Hook,
    pub zone: u16,
}

/// What the fragments of one datagram share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Key {
    place: Place,
    family: Family,
    src: Addr,
    dst: Addr,
    id: u32,
    /// Only IPv4 tells datagrams apart by it.
    protocol: u8,
}

/// A datagram that is not whole yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Queue {
    pieces: Pieces,
    /// What stands before the fragmented part in the first fragment.
    head: Vec<u8>,
    /// IPv6: the place in `head` whose next-header value names the fragment header, and what follows that.
    named_at: u32,
    next_header: u8,
    /// One bit for each ECN codepoint seen.
    ecn: u8,
    /// IPv4: the largest fragment, and the largest of those that may not be fragmented further.
    largest: u32,
    largest_df: u32,
    /// IPv4: the source's count when the last fragment of this datagram came; `None` when it is not counted.
    count: Option<u32>,
    trusted: bool,
    /// When it is given up, and its place among those of the same moment.
    deadline: (Jiffies, u64),
    memory: u64,
}

/// What a family's rules say of a fragment.
enum Step {
    /// It is held.
    Held,
    /// It is thrown away, and the datagram goes on waiting.
    Refused(Reason),
    /// It is thrown away with all that is held of its datagram.
    GivenUp(Reason),
    /// All that is held is thrown away, and the fragment goes on as it is.
    Passed,
}

/// How many fragments of one IPv4 source have come.
#[derive(Clone, Copy, Debug, Default)]
struct Source {
    count: u32,
    /// How many datagrams that count are waiting.
    waiting: u32,
}

/// All datagrams that are not whole yet.
///
/// Time must not run backwards. A time that lies ahead gives up what is due first.
#[derive(Clone, Debug)]
pub(crate) struct Defrag {
    ticks: Ticks,
    queues: BTreeMap<Key, Queue>,
    deadlines: BTreeMap<(Jiffies, u64), Key>,
    sources: BTreeMap<Addr, Source>,
    /// Memory held, by family.
    memory: [u64; 2],
    made: u64,
}

impl Defrag {
    /// Holds nothing yet.
    pub(crate) const fn new(ticks: Ticks) -> Defrag {
        Defrag {
            ticks,
            queues: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            sources: BTreeMap::new(),
            memory: [0; 2],
            made: 0,
        }
    }

    /// Takes a packet before it is tracked. `trusted` says that its checksum need not be verified.
    #[inline]
    pub(crate) fn handle(
        &mut self,
        now: Time,
        place: Place,
        datagram: &Datagram<'_>,
        trusted: bool,
        sysctls: &Sysctls,
    ) -> Gathered {
        match datagram.fragment() {
            None => Gathered::Whole,
            Some(fragment) => {
                self.handle_timeouts(now);
                self.gather(self.ticks.at(now), place, datagram, fragment, trusted, sysctls)
            }
        }
    }

    /// Memory that fragments count for, by family.
    pub(crate) fn memory(&self) -> [u64; 2] {
        self.memory
    }

    /// The next moment at which a datagram is given up.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.deadlines.first_key_value().map(|(&(deadline, _), _)| self.ticks.start(deadline))
    }

    /// Gives up what has waited too long, in silence.
    pub(crate) fn handle_timeouts(&mut self, now: Time) {
        let now = self.ticks.at(now);
        while let Some(first) = self.deadlines.first_entry()
            && first.key().0 <= now
        {
            let key = *first.get();
            self.give_up(&key);
        }
    }

    fn gather(
        &mut self,
        now: Jiffies,
        place: Place,
        datagram: &Datagram<'_>,
        fragment: FragmentInfo,
        trusted: bool,
        sysctls: &Sysctls,
    ) -> Gathered {
        let is_ipv4 = datagram.family == Family::Ipv4;
        if !is_ipv4 {
            match ipv6::look(datagram, &fragment) {
                Ok(true) => {}
                Ok(false) => return Gathered::Pass,
                Err(reason) => return Gathered::Dropped(reason),
            }
        }
        let limit = sysctls.get(if is_ipv4 { Knob::IpfragHigh } else { Knob::Frag6High }) as u64;
        let held = self.memory[datagram.family as usize];
        if limit == 0 || held > limit {
            return Gathered::Dropped(Reason::FragmentMemory { held, limit });
        }
        let (src, dst) = datagram.addresses();
        let key = Key {
            place,
            family: datagram.family,
            src,
            dst,
            id: fragment.id,
            protocol: if is_ipv4 { datagram.protocol } else { 0 },
        };
        self.find_or_make(key, now, sysctls);
        let emptied = if is_ipv4 { self.empty_if_too_far(&key, now, sysctls) } else { None };
        let Some(queue) = self.queues.get_mut(&key) else { return Gathered::Pass };
        let step = match datagram.family {
            Family::Ipv4 => ipv4::take(queue, datagram, fragment),
            Family::Ipv6 => ipv6::take(queue, datagram, fragment),
        };
        match step {
            Step::Held => {
                let size = packet_memory(datagram.bytes.len() as u64);
                queue.trusted |= trusted;
                queue.memory += size;
                self.memory[key.family as usize] += size;
                if queue.pieces.is_whole() {
                    return self.put_together(&key);
                }
                let (offset, length) = (fragment.offset, datagram.from(fragment.data_at).len() as u32);
                Gathered::Held(emptied.unwrap_or(Reason::FragmentHeld { offset, length }))
            }
            Step::Refused(reason) => Gathered::Dropped(reason),
            Step::GivenUp(reason) => {
                self.give_up(&key);
                Gathered::Dropped(reason)
            }
            Step::Passed => {
                self.give_up(&key);
                Gathered::Pass
            }
        }
    }

    fn find_or_make(&mut self, key: Key, now: Jiffies, sysctls: &Sysctls) {
        if self.queues.contains_key(&key) {
            return;
        }
        let is_counted = key.family == Family::Ipv4 && sysctls.get(Knob::IpfragMaxDist) != 0;
        if is_counted {
            self.sources.entry(key.src).or_default().waiting += 1;
        }
        let memory = match key.family {
            Family::Ipv4 => ipv4::QUEUE_MEMORY,
            Family::Ipv6 => ipv6::QUEUE_MEMORY,
        };
        self.memory[key.family as usize] += memory;
        let deadline = self.new_deadline(&key, now, sysctls);
        let queue = Queue {
            pieces: Pieces::default(),
            head: Vec::new(),
            named_at: 0,
            next_header: 0,
            ecn: 0,
            largest: 0,
            largest_df: 0,
            count: is_counted.then_some(0),
            trusted: false,
            deadline,
            memory,
        };
        self.queues.insert(key, queue);
    }

    /// Enters a deadline. A timeout of zero ends with the tick.
    fn new_deadline(&mut self, key: &Key, now: Jiffies, sysctls: &Sysctls) -> (Jiffies, u64) {
        let seconds = sysctls.get(match key.family {
            Family::Ipv4 => Knob::IpfragTime,
            Family::Ipv6 => Knob::Frag6Time,
        });
        self.made += 1;
        let deadline = (Jiffies(now.0.saturating_add(self.ticks.of_setting(seconds).max(1))), self.made);
        self.deadlines.insert(deadline, *key);
        deadline
    }

    /// A datagram between whose fragments too many others of the same source have come is emptied, and waits anew.
    ///
    /// Source: linux 6.18 net/ipv4/ip_fragment.c `ip_frag_too_far`, `ip_frag_reinit`.
    fn empty_if_too_far(&mut self, key: &Key, now: Jiffies, sysctls: &Sysctls) -> Option<Reason> {
        let limit = sysctls.get(Knob::IpfragMaxDist) as u32;
        let queue = self.queues.get_mut(key)?;
        let before = queue.count.filter(|_| limit != 0)?;
        let source = self.sources.get_mut(&key.src)?;
        source.count = source.count.wrapping_add(1);
        queue.count = Some(source.count);
        let distance = source.count.wrapping_sub(before);
        if queue.pieces.is_empty() || distance <= limit {
            return None;
        }
        queue.pieces = Pieces::default();
        (queue.ecn, queue.trusted) = (0, false);
        self.memory[key.family as usize] -= queue.memory - ipv4::QUEUE_MEMORY;
        queue.memory = ipv4::QUEUE_MEMORY;
        let old = queue.deadline;
        self.deadlines.remove(&old);
        let deadline = self.new_deadline(key, now, sysctls);
        self.queues.get_mut(key)?.deadline = deadline;
        Some(Reason::FragmentTooFar { distance, limit })
    }

    fn put_together(&mut self, key: &Key) -> Gathered {
        let Some(queue) = self.give_up(key) else { return Gathered::Pass };
        let bytes = match key.family {
            Family::Ipv4 => ipv4::put_together(&queue),
            Family::Ipv6 => ipv6::put_together(&queue),
        };
        match bytes {
            Ok(bytes) => Gathered::Reassembled { bytes, trusted: queue.trusted },
            Err(reason) => Gathered::Dropped(reason),
        }
    }

    /// Removes a datagram with all that was kept for it.
    fn give_up(&mut self, key: &Key) -> Option<Queue> {
        let queue = self.queues.remove(key)?;
        self.deadlines.remove(&queue.deadline);
        self.memory[key.family as usize] -= queue.memory;
        if queue.count.is_some()
            && let Some(source) = self.sources.get_mut(&key.src)
        {
            source.waiting -= 1;
            if source.waiting == 0 {
                self.sources.remove(&key.src);
            }
        }
        Some(queue)
    }
}

/// How much memory a fragment of so many bytes counts for: a buffer of a power of two with room for the kernel's own
/// headers, and whole pages beyond. Real drivers differ; this is what a packet from a TUN device takes.
///
/// Source: linux 6.18 net/core/skbuff.c `__alloc_skb`, `alloc_skb_with_frags`, drivers/net/tun.c `tun_alloc_skb`.
fn packet_memory(length: u64) -> u64 {
    const BUFFERS: [(u64, u64); 4] = [(192, 832), (640, 1280), (1664, 2304), (3712, 4352)];
    const PAGE: u64 = 4096;
    let (largest, most) = BUFFERS[3];
    match BUFFERS.iter().find(|&&(room, _)| length <= room) {
        Some(&(_, size)) => size,
        None => most + (length - largest).div_ceil(PAGE) * PAGE,
    }
}

/// The bit of an ECN codepoint.
fn ecn_bit(traffic_class: u8) -> u8 {
    1 << (traffic_class & 3)
}

/// What the codepoints of all fragments make of the whole: bits to set in the first fragment's, or `None` when some
/// fragments say that they can be marked and some that they cannot.
///
/// Source: linux 6.18 net/ipv4/inet_fragment.c `ip_frag_ecn_table`; RFC 3168 section 5.3.
fn joint_ecn(bits: u8) -> Option<u8> {
    const NOT_ECT: u8 = 1 << 0;
    const CE: u8 = 1 << 3;
    match bits {
        NOT_ECT => Some(0),
        _ if bits & NOT_ECT != 0 => None,
        CE => Some(0),
        _ if bits & CE != 0 => Some(3),
        _ => Some(0),
    }
}
