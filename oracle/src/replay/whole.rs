//! From captured bytes to the packet that was on the wire: what the snap length cut off is made up for, what a network
//! card would have done is taken as done.

/// The largest packet that segmentation offload hands to a card: Linux's `GSO_MAX_SIZE`.
const LARGEST_OFFLOAD: u64 = 8 * 65_535;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const LARGEST_IPV6: u64 = IPV6_HEADER as u64 + 65_535;
/// The next header that may carry the length of a jumbogram.
const HOP_BY_HOP: u8 = 0;

/// A packet as it was on the wire, as far as the capture lets us know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole<'a> {
    pub bytes: &'a [u8],
    /// The snap length cut it short: zeros stand for what is missing.
    pub cut: bool,
    /// The length was left to the network card: all bytes are the packet's.
    pub offload: bool,
}

/// The packet of which `captured` is the beginning. `buffer` is where it is put together if something is missing.
pub(super) fn whole<'a>(captured: &'a [u8], original_len: u64, buffer: &'a mut Vec<u8>) -> Whole<'a> {
    let as_it_is = Whole { bytes: captured, cut: false, offload: false };
    let Some(claimed) = claimed_len(captured, original_len) else {
        return Whole { cut: (captured.len() as u64) < original_len, ..as_it_is };
    };
    let offload = claimed == 0;
    // What was never on the wire is not made up for: a length beyond it is the packet's own mistake.
    let length = if offload { original_len.min(LARGEST_OFFLOAD) } else { original_len.min(claimed) };
    if captured.len() as u64 >= length {
        return Whole { offload, ..as_it_is };
    }
    buffer.clear();
    buffer.extend_from_slice(captured);
    buffer.resize(length as usize, 0);
    Whole { bytes: buffer, cut: true, offload }
}

/// How long the IP header says the packet is, 0 where it leaves that to the card; `None` without a whole header.
fn claimed_len(bytes: &[u8], original_len: u64) -> Option<u64> {
    match bytes.first()? >> 4 {
        4 => {
            let header = usize::from(bytes[0] & 15) * 4;
            let is_whole = header >= IPV4_HEADER && bytes.len() >= header;
            is_whole.then(|| u16::from_be_bytes([bytes[2], bytes[3]]).into())
        }
        6 if bytes.len() >= IPV6_HEADER => {
            let payload = u16::from_be_bytes([bytes[4], bytes[5]]);
            let claimed = IPV6_HEADER as u64 + u64::from(payload);
            // Without a payload length IPv6 has no payload - unless there is more of it than the field can say.
            let is_big = payload == 0 && bytes[6] != HOP_BY_HOP && original_len > LARGEST_IPV6;
            Some(if is_big { 0 } else { claimed })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv4(total: u16, captured: usize) -> Vec<u8> {
        let mut bytes = vec![0xff; captured];
        bytes[0] = 0x45;
        bytes[2..4].copy_from_slice(&total.to_be_bytes());
        bytes
    }

    #[track_caller]
    fn check(captured: &[u8], original_len: u64, length: usize, cut: bool, offload: bool) {
        let mut buffer = Vec::new();
        let whole = whole(captured, original_len, &mut buffer);
        assert_eq!((whole.bytes.len(), whole.cut, whole.offload), (length, cut, offload));
        assert!(whole.bytes.starts_with(captured));
        assert!(whole.bytes[captured.len()..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn what_the_snap_length_cut_is_zeros_up_to_what_the_header_says() {
        check(&ipv4(100, 100), 100, 100, false, false);
        check(&ipv4(100, 40), 100, 100, true, false);
        // The frame's padding was cut, the packet was not.
        check(&ipv4(40, 40), 46, 40, false, false);
        // The header claims more than there ever was.
        check(&ipv4(1000, 40), 40, 40, false, false);
        check(&ipv4(1000, 40), 100, 100, true, false);
        let mut ipv6 = vec![0; 50];
        (ipv6[0], ipv6[5]) = (0x60, 60);
        check(&ipv6, 100, 100, true, false);
    }

    #[test]
    fn a_header_that_is_cut_itself_is_left_alone() {
        check(&ipv4(100, 19), 100, 19, true, false);
        check(&[0x60; 39], 100, 39, true, false);
        check(&[], 0, 0, false, false);
    }

    #[test]
    fn offload_takes_the_captured_length_within_reason() {
        check(&ipv4(0, 3000), 3000, 3000, false, true);
        check(&ipv4(0, 60), 3000, 3000, true, true);
        check(&ipv4(0, 60), u32::MAX.into(), LARGEST_OFFLOAD as usize, true, true);
        let mut ipv6 = vec![0; 70_000];
        (ipv6[0], ipv6[6]) = (0x60, 6);
        check(&ipv6, 70_000, 70_000, false, true);
        check(&ipv6[..60], 60, 60, false, false);
    }
}
