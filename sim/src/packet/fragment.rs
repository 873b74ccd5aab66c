//! Cutting packets to size: at their sender, and for IPv4 also on the way.

use super::{Header, protocol};

/// Cuts a packet into fragments of at most `mtu` bytes; a packet that fits comes back whole. `ident` names the
/// datagram, where it has no name yet.
///
/// `Don't fragment` is not looked at: whoever cuts has decided, and the pieces of IPv4 may be cut again. `None` where the
/// packet cannot be read, is a piece of IPv6 already, or so little fits that no data would move.
pub fn fragment(bytes: &[u8], mtu: usize, ident: u32) -> Option<Vec<Vec<u8>>> {
    let header = Header::read(bytes)?;
    if header.end <= mtu {
        return Some(vec![bytes[..header.end].to_vec()]);
    }
    if bytes[0] >> 4 == 4 {
        fragment_v4(bytes, &header, mtu, ident)
    } else {
        fragment_v6(bytes, &header, mtu, ident)
    }
}

fn fragment_v4(bytes: &[u8], header: &Header, mtu: usize, ident: u32) -> Option<Vec<Vec<u8>>> {
    let room = mtu.checked_sub(header.transport)? & !7;
    if room == 0 {
        return None;
    }
    let whole = header.fragment;
    let start = whole.map_or(0, |slice| slice.offset);
    let more_follow = whole.is_some_and(|slice| slice.more);
    let ident = match whole {
        Some(slice) => slice.ident as u16,
        None => ident as u16,
    };
    let payload = header.payload(bytes);
    let mut head = bytes[..header.transport].to_vec();
    head[4..6].copy_from_slice(&ident.to_be_bytes());
    let mut fragments = Vec::new();
    for (number, data) in payload.chunks(room).enumerate() {
        if number == 1 {
            forget_options(&mut head[20..]);
        }
        let at = number * room;
        let more = more_follow || at + data.len() < payload.len();
        let field = ((start + at) / 8) as u16 | if more { 0x2000 } else { 0 };
        let length = (head.len() + data.len()) as u16;
        head[2..4].copy_from_slice(&length.to_be_bytes());
        head[6..8].copy_from_slice(&field.to_be_bytes());
        let mut piece = Vec::with_capacity(head.len() + data.len());
        piece.extend_from_slice(&head);
        piece.extend_from_slice(data);
        smoltcp::wire::Ipv4Packet::new_unchecked(&mut piece[..]).fill_checksum();
        fragments.push(piece);
    }
    Some(fragments)
}

/// Options that are not to be copied into later fragments become no-operations there (RFC 791, section 3.1).
fn forget_options(options: &mut [u8]) {
    const COPIED: u8 = 0x80;
    let mut at = 0;
    while let Some(&kind) = options.get(at) {
        let length = match (kind, options.get(at + 1)) {
            (0, _) => return,
            (1, _) => 1,
            (_, Some(&length)) if length >= 2 && at + usize::from(length) <= options.len() => {
                usize::from(length)
            }
            _ => return,
        };
        if kind & COPIED == 0 {
            options[at..at + length].fill(1);
        }
        at += length;
    }
}

/// Only a sender cuts IPv6 (RFC 8200, section 4.5).
fn fragment_v6(bytes: &[u8], header: &Header, mtu: usize, ident: u32) -> Option<Vec<Vec<u8>>> {
    const FRAGMENT_HEADER: usize = 8;
    if header.fragment.is_some() {
        return None;
    }
    let (unfragmentable, next_at) = unfragmentable(bytes, header)?;
    let next = bytes[next_at];
    let room = mtu.checked_sub(unfragmentable + FRAGMENT_HEADER)? & !7;
    if room == 0 {
        return None;
    }
    let payload = &bytes[unfragmentable..header.end];
    let mut fragments = Vec::new();
    for (number, data) in payload.chunks(room).enumerate() {
        let at = number * room;
        let field = at as u16 | u16::from(at + data.len() < payload.len());
        let mut piece = Vec::with_capacity(unfragmentable + FRAGMENT_HEADER + data.len());
        piece.extend_from_slice(&bytes[..unfragmentable]);
        piece.extend_from_slice(&[next, 0]);
        piece.extend_from_slice(&field.to_be_bytes());
        piece.extend_from_slice(&ident.to_be_bytes());
        piece.extend_from_slice(data);
        piece[next_at] = protocol::FRAGMENT;
        let length = (piece.len() - 40) as u16;
        piece[4..6].copy_from_slice(&length.to_be_bytes());
        fragments.push(piece);
    }
    Some(fragments)
}

/// How many bytes go into every fragment, and where among them the number of the next header stands.
fn unfragmentable(bytes: &[u8], header: &Header) -> Option<(usize, usize)> {
    let (mut at, mut next_at) = (40, 6);
    while let protocol::HOP_BY_HOP | protocol::ROUTING = bytes[next_at] {
        next_at = at;
        at += 8 * (1 + usize::from(*bytes.get(at + 1)?));
    }
    (at <= header.end).then_some((at, next_at))
}
