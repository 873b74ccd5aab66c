//! TFTP: the server answers a request from a port of its own.
//!
//! Source: linux 6.18 net/netfilter/nf_conntrack_tftp.c `tftp_help`.

use super::{Advice, Announcement, Place, Style, Visit};
use crate::reason::Reason;
use crate::tuple::{Direction, protocol};

const UDP_HEADER: usize = 8;
const READ: u16 = 1;
const WRITE: u16 = 2;

/// Lets the helper read a packet, of either direction, answered or not.
pub(super) fn read(visit: &Visit<'_>) -> Advice {
    let payload = visit.bytes.get(UDP_HEADER..).unwrap_or_default();
    let Some(&opcode) = payload.first_chunk::<2>() else { return Advice::Nothing };
    let opcode = u16::from_be_bytes(opcode);
    if !matches!(opcode, READ | WRITE) {
        return Advice::Pass(Reason::TftpNoRequest { opcode });
    }
    let answers = visit.tuple(Direction::Reply);
    Advice::Expect(Announcement {
        style: Style::Tftp,
        class: 0,
        from: Some(answers.src),
        to: answers.dst,
        port: answers.dst_id,
        family: answers.family,
        protocol: protocol::UDP,
        place: Place::default(),
        reason: Reason::TftpExpected { opcode, port: answers.dst_id },
    })
}
