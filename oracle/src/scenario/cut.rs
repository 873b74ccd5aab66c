//! Cutting a finished packet up: in fragments, or short.

use crate::language::Message;
use crate::language::ast::Span;
use crate::language::ast::packet::{Cut, Poke};
use crate::packet::{Check, Fragment, Ip};

use super::build::Built;

/// The packets that really go out.
///
/// # Errors
/// When a piece is asked for that there is not.
pub(crate) fn pieces(
    built: &Built,
    cut: &Cut,
    pokes: &[Poke],
    span: Span,
) -> Result<Vec<Vec<u8>>, Box<Message>> {
    let built = &read(built, cut);
    let mut packets = match cut {
        Cut::Whole => vec![built.whole()],
        Cut::Short(bytes) => {
            let end = built.payload.len().min(*bytes as usize);
            vec![built.ip.wrap(built.protocol, &built.payload[..end])]
        }
        Cut::Fragments { size, order } => fragments(built, *size, order.as_deref(), span)?,
        Cut::Fragment { from, to, at, more } => {
            let length = built.payload.len();
            let (from, to) = (*from as usize, *to as usize);
            if from > to || to > length {
                return Err(Message::new(format!("there is no `{from}..{to}` in {length} bytes"), span)
                    .help("offsets count from the first byte after the network header")
                    .into());
            }
            let offset = at.unwrap_or(from as u32) as u16;
            vec![piece(built, from..to, offset, more.unwrap_or(to < length))]
        }
    };
    for packet in &mut packets {
        for poke in pokes {
            let end = (poke.offset as usize).saturating_add(poke.bytes.len());
            let length = packet.len();
            let place = packet.get_mut(poke.offset as usize..end).ok_or_else(|| {
                Message::new(
                    format!("`poke {}` writes up to byte {end} of a packet of {length}", poke.offset),
                    span,
                )
            })?;
            place.copy_from_slice(&poke.bytes);
        }
    }
    Ok(packets)
}

fn fragments(
    built: &Built,
    size: u32,
    order: Option<&[u16]>,
    span: Span,
) -> Result<Vec<Vec<u8>>, Box<Message>> {
    // Fragments begin at multiples of eight, so all but the last have such a length.
    let size = ((size & !7) as usize).max(8);
    let length = built.payload.len();
    let count = length.div_ceil(size).max(1);
    let in_order: Vec<u16> = (1..=count as u16).collect();
    let wanted = order.unwrap_or(&in_order);
    wanted
        .iter()
        .map(|number| {
            let index = usize::from(*number).wrapping_sub(1);
            if index >= count {
                let title = format!("there is no fragment {number}: {length} bytes make {count}");
                return Err(Message::new(title, span).into());
            }
            let from = index * size;
            let to = (from + size).min(length);
            Ok(piece(built, from..to, from as u16, to < length))
        })
        .collect()
}

fn piece(built: &Built, range: std::ops::Range<usize>, offset: u16, more: bool) -> Vec<u8> {
    let ip = Ip { fragment: Some(Fragment { offset, more }), ..built.ip.clone() };
    ip.wrap(built.protocol, &built.payload[range])
}

/// A packet given as bytes, with as much of its header as cutting needs.
fn read(built: &Built, cut: &Cut) -> Built {
    let Some(raw) = built.raw.as_ref().filter(|_| *cut != Cut::Whole) else { return built.clone() };
    let mut ip = built.ip.clone();
    let version = raw.first().map_or(0, |byte| byte >> 4);
    let header = if version == 6 { 40 } else { usize::from(raw.first().map_or(0, |byte| byte & 0xf)) * 4 };
    let protocol = match version {
        6 if raw.len() >= 40 => {
            ip.ttl = raw[7];
            raw[6]
        }
        4 if raw.len() >= 20 => {
            (ip.ttl, ip.tos) = (raw[8], raw[1]);
            ip.id = u32::from(u16::from_be_bytes([raw[4], raw[5]]));
            ip.options = raw.get(20..header).unwrap_or_default().to_vec();
            ip.check = Check::Right;
            raw[9]
        }
        _ => return built.clone(),
    };
    let payload = raw.get(header..).unwrap_or_default().to_vec();
    Built { ip, protocol, payload, raw: None, ..built.clone() }
}
