//! Datagrams that wait, as plain data, and back. What is read may be anything: it is taken only where all of it fits
//! together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Defrag, Key, Queue, Source, ipv4, ipv6};
use crate::state::MOST;
use crate::time::{Jiffies, Ticks};
use crate::tuple::{Addr, Family};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedDefrag {
    queues: Vec<(Key, Queue)>,
    /// How many fragments of each source that counts have come.
    sources: Vec<(Addr, u32)>,
    made: u64,
}

/// The most memory that a datagram may count for.
const MOST_MEMORY: u64 = 1 << 32;

impl SavedDefrag {
    /// All that waits.
    pub fn of(defrag: &Defrag) -> SavedDefrag {
        SavedDefrag {
            queues: defrag.queues.iter().map(|(key, queue)| (*key, queue.clone())).collect(),
            sources: defrag.sources.iter().map(|(addr, source)| (*addr, source.count)).collect(),
            made: defrag.made,
        }
    }

    /// How many datagrams wait.
    pub fn waiting(&self) -> usize {
        self.queues.len()
    }

    /// Reassembly in this state, or what is wrong with it.
    pub fn restore(&self, ticks: Ticks, now: Jiffies) -> Result<Defrag, String> {
        let mut defrag = Defrag { made: self.made, ..Defrag::new(ticks) };
        let counts: BTreeMap<Addr, u32> = self.sources.iter().copied().collect();
        if self.made > MOST {
            return Err("it has counted further than can be".to_owned());
        }
        for (key, queue) in &self.queues {
            let (src, dst) = (key.src.ip(key.family), key.dst.ip(key.family));
            let wrong = |what: &str| format!("the datagram {} from {src} to {dst} {what}", key.id);
            if !is_sound(key, queue) {
                return Err(wrong("holds what no fragments make"));
            }
            if queue.deadline.1 > self.made || queue.deadline.0.0 > now.0 + ticks.longest() {
                return Err(wrong("waits for longer than it may"));
            }
            if queue.count.is_some() {
                let Some(&count) = counts.get(&key.src) else {
                    return Err(wrong("comes from a source that is not counted"));
                };
                let source = defrag.sources.entry(key.src).or_insert(Source { count, waiting: 0 });
                source.waiting += 1;
            }
            defrag.memory[key.family as usize] += queue.memory;
            let is_first = defrag.deadlines.insert(queue.deadline, *key).is_none();
            if !is_first || defrag.queues.insert(*key, queue.clone()).is_some() {
                return Err(wrong("is there twice"));
            }
        }
        if defrag.sources.len() != self.sources.len() {
            return Err("a source is counted of which nothing waits".to_owned());
        }
        Ok(defrag)
    }
}

/// Whether a datagram can be put together, or go on waiting.
fn is_sound(key: &Key, queue: &Queue) -> bool {
    let length = queue.head.len();
    let first = queue.head.first().copied().unwrap_or_default();
    let (least, has_head) = match key.family {
        Family::Ipv4 => {
            let is_header = first >> 4 == 4 && length >= 20 && usize::from(first & 0xf) * 4 == length;
            (ipv4::QUEUE_MEMORY, is_header)
        }
        Family::Ipv6 => {
            let is_header = first >> 4 == 6 && (40..=1 << 16).contains(&length);
            (ipv6::QUEUE_MEMORY, is_header && (queue.named_at as usize) < length)
        }
    };
    // The headers come with the first piece.
    let needs_head = queue.pieces.runs_from_start();
    queue.pieces.is_sound()
        && (has_head || !needs_head)
        && (least..=MOST_MEMORY).contains(&queue.memory)
        && (key.family == Family::Ipv4 || queue.count.is_none())
}
