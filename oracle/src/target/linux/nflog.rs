//! NFLOG: what rules log, and what the kernel says of packets that it finds INVALID.

use std::io;

use nix::sys::socket::SockProtocol;

use super::netlink::{Messages, Reply, Socket, attributes};
use super::rules;

/// `NFNL_SUBSYS_ULOG` with `NFULNL_MSG_PACKET`, and with `NFULNL_MSG_CONFIG`.
const PACKET: u16 = 4 << 8;
const CONFIG: u16 = 4 << 8 | 1;
/// Attributes of a packet.
const MARK: u16 = 2;
const PAYLOAD: u16 = 9;
const PREFIX: u16 = 10;
/// Attributes of a configuration.
const COMMAND: u16 = 1;
const MODE: u16 = 2;
const THRESHOLD: u16 = 5;
const BIND: u8 = 1;
const COPY_PACKET: u8 = 2;
/// The length of `struct nfgenmsg`.
pub(super) const FAMILY_HEADER: usize = 4;

/// The kernel's own reasons come in this group.
const REASONS: u16 = 0;

/// A packet that was logged.
pub(super) struct Logged<'a> {
    /// The group it was logged to.
    pub(super) group: u16,
    /// What the rule or the kernel says of it, without the byte that ends it.
    pub(super) prefix: &'a [u8],
    /// The packet, from its network header on; its end may be missing.
    pub(super) payload: &'a [u8],
    /// The packet's mark.
    pub(super) mark: u32,
}

/// A socket that is told of the classes that rules log, and of the kernel's reasons, in one order.
///
/// # Errors
/// When the kernel has no NFLOG, or another program listens to these groups.
pub(super) fn open() -> io::Result<Socket> {
    let mut socket = Socket::open(SockProtocol::NetlinkNetFilter, 0, 64)?;
    let mut message = Messages::default();
    for group in [REASONS, rules::GROUP] {
        let mut header = vec![0, 0];
        header.extend_from_slice(&group.to_be_bytes());
        // Rules say themselves how much of a packet they want.
        let most: u32 = if group == REASONS { 256 } else { 4096 };
        let mut mode = most.to_be_bytes().to_vec();
        mode.extend_from_slice(&[COPY_PACKET, 0]);
        message.begin(CONFIG, libc::NLM_F_ACK as u16, &header).put(COMMAND, &[BIND]);
        message
            .begin(CONFIG, libc::NLM_F_ACK as u16, &header)
            .put(MODE, &mode)
            .put(THRESHOLD, &1_u32.to_be_bytes());
    }
    socket.command(&message)?;
    Ok(socket)
}

/// Reads a message.
pub(super) fn read<'a>(reply: &Reply<'a>) -> Option<Logged<'a>> {
    if reply.kind != PACKET {
        return None;
    }
    let (header, body) = reply.body.split_at_checked(FAMILY_HEADER)?;
    let mut logged =
        Logged { group: u16::from_be_bytes([header[2], header[3]]), prefix: &[], payload: &[], mark: 0 };
    for (kind, value) in attributes(body) {
        match kind {
            PREFIX => logged.prefix = value.strip_suffix(b"\0").unwrap_or(value),
            PAYLOAD => logged.payload = value,
            MARK => logged.mark = value.first_chunk().map_or(0, |mark| u32::from_be_bytes(*mark)),
            _ => {}
        }
    }
    Some(logged)
}
