//! SCTP: chunks behind a common header.

use super::cursor::Cursor;
use super::once;
use super::packet::{checksum_field, payload_field};
use crate::language::ast::packet::{Chunk, Payload, Sctp};
use crate::language::message::{Message, Parse};
use crate::language::words::CHUNKS;

/// The words of a chunk and of the common header.
pub(super) const FIELDS: &[&str] = &["tag", "flags", "length", "vtag", "checksum", "hex"];
/// A packet has room for no more.
const MOST_CHUNKS: usize = 16_384;

/// The first chunk; `-` for none at all.
pub(super) fn start(cursor: &mut Cursor<'_>) -> Parse<Sctp> {
    let mut sctp = Sctp::default();
    if cursor.eat("-").is_none() {
        sctp.chunks.push(chunk(cursor)?);
    }
    Ok(sctp)
}

fn chunk(cursor: &mut Cursor<'_>) -> Parse<Chunk> {
    let kind = if cursor.eat("chunk").is_some() {
        cursor.fit("a chunk's type", 255)?
    } else {
        cursor.word_from(CHUNKS, "a chunk such as `INIT` or `DATA`, `chunk N`, or `-` for none")?.value
    };
    Ok(Chunk { kind, ..Chunk::default() })
}

/// A field of the latest chunk or of the common header, or the next chunk.
pub(super) fn field(cursor: &mut Cursor<'_>, sctp: &mut Sctp) -> Parse<bool> {
    let span = cursor.here();
    if cursor.eat("+").is_some() {
        if sctp.chunks.len() >= MOST_CHUNKS {
            return Message::new(format!("at most {MOST_CHUNKS} chunks"), span).fail();
        }
        sctp.chunks.push(chunk(cursor)?);
        return Ok(true);
    }
    if cursor.eat("vtag").is_some() {
        once(&mut sctp.tag, cursor.fit("`vtag`", u64::from(u32::MAX))?, "`vtag`", span)?;
        return Ok(true);
    }
    if checksum_field(cursor, &mut sctp.checksum, u64::from(u32::MAX))? {
        return Ok(true);
    }
    let Some(chunk) = sctp.chunks.last_mut() else { return Ok(false) };
    match cursor.peek_word() {
        Some("tag") => {
            cursor.next();
            once(&mut chunk.tag, cursor.fit("`tag`", u64::from(u32::MAX))?, "`tag`", span)?;
        }
        Some("flags") => {
            cursor.next();
            once(&mut chunk.flags, cursor.fit("`flags`", 255)?, "`flags`", span)?;
        }
        Some("length") => {
            cursor.next();
            once(&mut chunk.length, cursor.fit("`length`", 65_535)?, "`length`", span)?;
        }
        _ => {
            let span = cursor.here();
            let found = payload_field(cursor, &mut chunk.payload)?;
            if matches!(chunk.payload, Some(Payload::Text(_))) {
                return Message::new("no address can stand in a chunk", span).fail();
            }
            return Ok(found);
        }
    }
    Ok(true)
}
