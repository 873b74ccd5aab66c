//! NFQUEUE: packets that a rule keeps between tracking and confirmation, until it is said how each goes on.
//!
//! The rule is put into its chain by a message of ours: not every kernel has nftables' own statement for it, and `nft` has
//! no word for the older target that does the same.

use std::io;

use nix::sys::socket::SockProtocol;

use super::netlink::{Messages, Reply, Socket, attributes};
use super::nflog::FAMILY_HEADER;
use super::rules;

/// `NFNL_SUBSYS_QUEUE` with `NFQNL_MSG_PACKET`, `NFQNL_MSG_VERDICT` and `NFQNL_MSG_CONFIG`.
const PACKET: u16 = 3 << 8;
const VERDICT: u16 = 3 << 8 | 1;
const CONFIG: u16 = 3 << 8 | 2;
/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END` of `NFNL_SUBSYS_NFTABLES`, with `NFT_MSG_NEWRULE` in between.
const BEGIN: u16 = 0x10;
const END: u16 = 0x11;
const TABLES: u8 = 10;
const NEW_RULE: u16 = 10 << 8 | 6;
/// `NFPROTO_INET`.
const INET: u8 = 1;
/// Attributes of a rule, of a list, of an expression.
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const ELEMENT: u16 = 1;
const NAME: u16 = 1;
const DATA: u16 = 2;
/// Attributes of a packet, and of a verdict.
const PACKET_HEADER: u16 = 1;
const VERDICT_HEADER: u16 = 2;
const PAYLOAD: u16 = 10;
/// Attributes of a configuration.
const COMMAND: u16 = 1;
const PARAMETERS: u16 = 2;
const BIND: u8 = 1;
const COPY_PACKET: u8 = 2;
/// `NF_DROP` and `NF_ACCEPT`.
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
/// How much of a packet is copied: enough to see whose it is.
const SNAP: u32 = 256;

/// A packet that waits.
pub(super) struct Queued<'a> {
    /// By which the kernel knows it.
    pub(super) id: u32,
    /// It, from its network header on; its end may be missing.
    pub(super) payload: &'a [u8],
}

/// A socket that is told of packets that wait, and says how they go on.
///
/// # Errors
/// When the kernel has no NFQUEUE, or another program reads the queue.
pub(super) fn open() -> io::Result<Socket> {
    let mut socket = Socket::open(SockProtocol::NetlinkNetFilter, 0, 16)?;
    let mut message = Messages::default();
    let mut parameters = SNAP.to_be_bytes().to_vec();
    parameters.push(COPY_PACKET);
    message.begin(CONFIG, libc::NLM_F_ACK as u16, &header()).put(COMMAND, &[BIND, 0, 0, 0]);
    message.begin(CONFIG, libc::NLM_F_ACK as u16, &header()).put(PARAMETERS, &parameters);
    socket.command(&message)?;
    Ok(socket)
}

/// Puts the rule into its chain: by the statement, or by the target.
///
/// # Errors
/// When the kernel has neither.
pub(super) fn fill(socket: &mut Socket) -> io::Result<()> {
    let statement = rule("queue", |data| {
        data.put(1, &rules::QUEUE.to_be_bytes()).put(2, &1_u16.to_be_bytes());
    });
    // `struct xt_NFQ_info`, as long as the kernel pads it.
    let [low, high] = rules::QUEUE.to_ne_bytes();
    let target = rule("target", |data| {
        data.put(1, b"NFQUEUE\0").put(2, &0_u32.to_be_bytes()).put(3, &[low, high, 0, 0, 0, 0, 0, 0]);
    });
    transact(socket, &statement).or_else(|_| transact(socket, &target))
}

fn rule(expression: &str, data: impl FnOnce(&mut Messages)) -> Messages {
    let mut message = Messages::default();
    let text = |text: &str| [text.as_bytes(), b"\0"].concat();
    message.begin(BEGIN, 0, &[0, 0, 0, TABLES]);
    message
        .begin(NEW_RULE, (libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_APPEND) as u16, &[INET, 0, 0, 0])
        .put(RULE_TABLE, &text(rules::TABLE))
        .put(RULE_CHAIN, &text(rules::KEEP))
        .nest(RULE_EXPRESSIONS, |list| {
            list.nest(ELEMENT, |element| {
                element.put(NAME, &text(expression)).nest(DATA, data);
            });
        });
    message.begin(END, 0, &[0, 0, 0, TABLES]);
    message
}

/// Sends a transaction; only its middle is acknowledged by every kernel.
fn transact(socket: &mut Socket, messages: &Messages) -> io::Result<()> {
    socket.send(messages)?;
    let mut answers = Vec::new();
    socket.drain(|reply| answers.extend(reply.error()))?;
    match answers.iter().find(|code| **code != 0) {
        Some(code) => Err(io::Error::from_raw_os_error(*code)),
        None if answers.is_empty() => Err(io::Error::other("no answer")),
        None => Ok(()),
    }
}

/// Reads a message.
pub(super) fn read<'a>(reply: &Reply<'a>) -> Option<Queued<'a>> {
    if reply.kind != PACKET {
        return None;
    }
    let (mut id, mut payload) = (None, &[][..]);
    for (kind, value) in attributes(reply.body.get(FAMILY_HEADER..)?) {
        match kind {
            PACKET_HEADER => id = value.first_chunk().map(|id| u32::from_be_bytes(*id)),
            PAYLOAD => payload = value,
            _ => {}
        }
    }
    Some(Queued { id: id?, payload })
}

/// Lets a packet go on, or ends it.
pub(super) fn decide(id: u32, passes: bool) -> Messages {
    let mut verdict = if passes { ACCEPT } else { DROP }.to_be_bytes().to_vec();
    verdict.extend_from_slice(&id.to_be_bytes());
    let mut message = Messages::default();
    message.begin(VERDICT, libc::NLM_F_ACK as u16, &header()).put(VERDICT_HEADER, &verdict);
    message
}

/// `struct nfgenmsg`: no family, version 0, and the queue.
fn header() -> [u8; FAMILY_HEADER] {
    let [high, low] = rules::QUEUE.to_be_bytes();
    [0, 0, high, low]
}
