//! IPv6's rules of reassembly. What contradicts what is held is thrown away alone, unless it overlaps; what is not cut
//! as the RFC says goes on unreassembled.
//!
//! Source: linux 6.18 net/ipv6/netfilter/nf_conntrack_reasm.c `nf_ct_frag6_gather`, `nf_ct_frag6_queue`,
//! `nf_ct_frag6_reasm`.

use super::pieces::Insertion;
use super::{Queue, Step, ecn_bit, joint_ecn};
use crate::reason::Reason;
use crate::tuple::protocol;
use crate::wire::ip::{Datagram, FRAGMENT_HEADER, FragmentInfo, skip_extensions};

/// What a waiting datagram counts for by itself.
pub(super) const QUEUE_MEMORY: u64 = 184;

const LARGEST_PAYLOAD: u32 = 65_535;
const HEADER: usize = 40;

/// Whether a fragment is to be reassembled at all; an error when its own header is cut short.
pub(super) fn look(datagram: &Datagram<'_>, fragment: &FragmentInfo) -> Result<bool, Reason> {
    // In this order: what is left of a fragment header may already tell that the transport header is missing.
    if is_header_cut(datagram, fragment) {
        return Ok(false);
    }
    let (length, needed) = (datagram.bytes.len() as u32, fragment.data_at);
    if length < needed { Err(Reason::FragmentTruncated { length, needed }) } else { Ok(true) }
}

/// Whether a first fragment ends before its transport header does (RFC 8200 section 4.5).
///
/// Source: linux 6.18 net/ipv6/reassembly.c `ipv6frag_thdr_truncated`.
fn is_header_cut(datagram: &Datagram<'_>, fragment: &FragmentInfo) -> bool {
    const TCP_HEADER: u32 = 20;
    const UDP_OR_ICMP_HEADER: u32 = 8;
    let at = fragment.data_at as usize - FRAGMENT_HEADER;
    match skip_extensions(datagram.bytes, 44, at) {
        Ok(transport) => {
            let header = match transport.protocol {
                protocol::TCP => TCP_HEADER,
                protocol::UDP | protocol::ICMPV6 => UDP_OR_ICMP_HEADER,
                _ => 1,
            };
            transport.offset + header > datagram.bytes.len() as u32
        }
        Err(_) => false,
    }
}

/// Takes a fragment.
pub(super) fn take(queue: &mut Queue, datagram: &Datagram<'_>, fragment: FragmentInfo) -> Step {
    let FragmentInfo { offset, more, data_at, named_at, .. } = fragment;
    let data = datagram.from(data_at);
    let length = data.len() as u32;
    let end = offset + length;
    if end > LARGEST_PAYLOAD {
        return Step::Refused(Reason::FragmentOversize { length: end });
    }
    if more && !end.is_multiple_of(8) {
        return Step::Passed;
    }
    if !queue.pieces.agree_on_end(end, !more) {
        return Step::Refused(Reason::FragmentRefused { offset, length, end: queue.pieces.end });
    }
    if length == 0 {
        return Step::Refused(Reason::FragmentEmpty { offset });
    }
    match queue.pieces.insert(offset, data) {
        Insertion::Duplicate => return Step::Refused(Reason::FragmentDuplicate { offset, length }),
        Insertion::Overlap => return Step::GivenUp(Reason::FragmentOverlap { offset, length }),
        Insertion::Held => {}
    }
    queue.ecn |= ecn_bit(datagram.bytes[1] >> 4);
    if offset == 0 {
        let header_at = data_at as usize - FRAGMENT_HEADER;
        queue.head = datagram.bytes[..header_at].to_vec();
        queue.named_at = named_at;
        queue.next_header = datagram.bytes[header_at];
    }
    Step::Held
}

/// The datagram, under the first fragment's headers without the fragment header.
///
/// The kernel remembers in one byte where the next-header value stands that named the fragment header. Behind more than
/// 255 bytes of headers it writes the new value to a place 256 bytes or more too early, and the old one stays.
pub(super) fn put_together(queue: &Queue) -> Result<Vec<u8>, Reason> {
    let Some(ecn) = joint_ecn(queue.ecn) else { return Err(Reason::FragmentEcn {}) };
    let payload = queue.head.len() - HEADER + queue.pieces.end as usize;
    let Ok(payload) = u16::try_from(payload) else {
        return Err(Reason::FragmentOversize { length: payload as u32 });
    };
    let mut bytes = Vec::with_capacity(HEADER + usize::from(payload));
    bytes.extend_from_slice(&queue.head);
    queue.pieces.runs().for_each(|run| bytes.extend_from_slice(run));
    bytes[1] |= ecn << 4;
    bytes[4..6].copy_from_slice(&payload.to_be_bytes());
    bytes[usize::from(queue.named_at as u8)] = queue.next_header;
    Ok(bytes)
}
