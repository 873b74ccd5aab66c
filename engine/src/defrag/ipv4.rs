//! IPv4's rules of reassembly. What contradicts what is held gives the whole datagram up.
//!
//! Source: linux 6.18 net/ipv4/ip_fragment.c `ip_frag_queue`, `ip_frag_reasm`.

use super::pieces::Insertion;
use super::{Queue, Step, ecn_bit, joint_ecn};
use crate::reason::Reason;
use crate::wire::checksum;
use crate::wire::ip::{Datagram, FragmentInfo};

/// What a waiting datagram counts for by itself, seen as the memory in `/proc/net/sockstat`.
pub(super) const QUEUE_MEMORY: u64 = 200;

const DONT_FRAGMENT: u8 = 0x40;

/// Takes a fragment.
pub(super) fn take(queue: &mut Queue, datagram: &Datagram<'_>, fragment: FragmentInfo) -> Step {
    let FragmentInfo { offset, more, data_at, .. } = fragment;
    let mut data = datagram.from(data_at);
    if more {
        // Only the last one may be of any length: of others the odd bytes are cut off.
        data = &data[..data.len() & !7];
    }
    let length = data.len() as u32;
    let end = offset + length;
    if !queue.pieces.agree_on_end(end, !more) {
        return Step::GivenUp(Reason::FragmentEnd { offset, length, end: queue.pieces.end });
    }
    if length == 0 {
        return Step::GivenUp(Reason::FragmentEmpty { offset });
    }
    match queue.pieces.insert(offset, data) {
        Insertion::Duplicate => return Step::Refused(Reason::FragmentDuplicate { offset, length }),
        Insertion::Overlap => return Step::GivenUp(Reason::FragmentOverlap { offset, length }),
        Insertion::Held => {}
    }
    queue.ecn |= ecn_bit(datagram.bytes[1]);
    let size = datagram.header_len + length;
    queue.largest = queue.largest.max(size);
    if datagram.bytes[6] & DONT_FRAGMENT != 0 {
        queue.largest_df = queue.largest_df.max(size);
    }
    if offset == 0 {
        queue.head = datagram.bytes[..data_at as usize].to_vec();
    }
    Step::Held
}

/// The datagram, under the first fragment's header with its options: a new length and checksum, no fragment; the bit
/// that forbids fragmentation when a fragment that had it was as large as any.
pub(super) fn put_together(queue: &Queue) -> Result<Vec<u8>, Reason> {
    let Some(ecn) = joint_ecn(queue.ecn) else { return Err(Reason::FragmentEcn {}) };
    let total = queue.head.len() + queue.pieces.end as usize;
    let Ok(total) = u16::try_from(total) else {
        return Err(Reason::FragmentOversize { length: total as u32 });
    };
    let mut bytes = Vec::with_capacity(usize::from(total));
    bytes.extend_from_slice(&queue.head);
    queue.pieces.runs().for_each(|run| bytes.extend_from_slice(run));
    bytes[1] |= ecn;
    bytes[2..4].copy_from_slice(&total.to_be_bytes());
    bytes[6] = if queue.largest_df == queue.largest { DONT_FRAGMENT } else { 0 };
    bytes[7] = 0;
    bytes[10..12].fill(0);
    let seal = checksum::seal(checksum::sum(&bytes[..queue.head.len()]));
    bytes[10..12].copy_from_slice(&seal);
    Ok(bytes)
}
