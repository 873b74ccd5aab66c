//! IRC: a client offers another a direct connection, DCC, in a message that goes through the server.
//!
//! Source: linux 6.18 net/netfilter/nf_conntrack_irc.c `help`.

use super::numbers::decimal;
use super::{Advice, Announcement, Place, Style, Visit};
use crate::reason::Reason;
use crate::tuple::{Addr, Direction, protocol};

/// No more of a segment is looked at.
const MOST: usize = 4095;
/// What follows the commands' names at least: a message shorter than this announces nothing.
const AFTER_MESSAGE: usize = 26;
const AFTER_WORD: usize = 12;
const BEFORE_TARGET: usize = 10;
const COMMANDS: [&[u8]; 5] = [b"SEND ", b"CHAT ", b"MOVE ", b"TSEND ", b"SCHAT "];

/// What a message offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub address: u32,
    pub port: u16,
    pub place: Place,
}

/// Lets the helper read a packet: only what the client says.
pub(super) fn read(visit: &Visit<'_>) -> Advice {
    let Some((_, payload)) = visit.tcp().filter(|_| visit.direction() == Direction::Original) else {
        return Advice::Nothing;
    };
    if !visit.is_answered() {
        return Advice::Pass(Reason::HelpUnanswered {});
    }
    let own = [visit.tuple(Direction::Original).src, visit.tuple(Direction::Reply).dst];
    let is_own = |offer: &Offer| own.contains(&Addr { hi: 0, lo: u64::from(offer.address) });
    match find(payload, |offer| is_own(offer) && offer.port != 0) {
        Ok(offer) => {
            let [_, to] = own;
            Advice::Expect(Announcement {
                style: Style::Irc,
                class: 0,
                from: None,
                to,
                port: offer.port,
                family: visit.tuple(Direction::Original).family,
                protocol: protocol::TCP,
                place: offer.place,
                reason: Reason::IrcExpected { port: offer.port },
            })
        }
        Err(reason) => Advice::Pass(reason),
    }
}

/// The first offer in a payload that is accepted, or why there is none.
pub(crate) fn find(payload: &[u8], accepts: impl Fn(&Offer) -> bool) -> Result<Offer, Reason> {
    let data = &payload[..payload.len().min(MOST)];
    let room = |at: usize, needed: usize| at + needed < data.len();
    let mut at = 0;
    while room(at, BEFORE_TARGET) && matches!(data[at], b' ' | b'\r' | b'\n') {
        at += 1;
    }
    if room(at, BEFORE_TARGET) {
        if !data[at..at + 8].eq_ignore_ascii_case(b"PRIVMSG ") {
            return Err(Reason::IrcNoMessage {});
        }
        at += 8;
    }
    let mut why = Reason::IrcNoOffer {};
    while room(at, AFTER_MESSAGE) {
        if !data[at..].starts_with(b" :") {
            at += 1;
            continue;
        }
        at += 2;
        if !data[at..].starts_with(b"\x01DCC ") {
            return Err(why);
        }
        at += 5;
        for command in COMMANDS {
            if !data[at.min(data.len())..].starts_with(command) {
                continue;
            }
            at += command.len();
            let Some(offer) = offer(payload, data.len(), &mut at) else {
                why = Reason::IrcUnreadable {};
                continue;
            };
            if accepts(&offer) {
                return Ok(offer);
            }
            // Nothing behind a forged offer is looked at.
            return Err(Reason::IrcForged { address: offer.address, port: offer.port });
        }
    }
    Err(why)
}

/// `file 167772161 4242` and a line end behind it. `at` is where reading goes on when this is no offer that is wanted.
///
/// Source: linux 6.18 net/netfilter/nf_conntrack_irc.c `parse_dcc`.
fn offer(payload: &[u8], end: usize, at: &mut usize) -> Option<Offer> {
    // Nobody who reads past a word's end reads on from there: the place is the caller's until all is read.
    let mut here = *at;
    loop {
        let byte = *payload.get(here)?;
        here += 1;
        if byte == b' ' {
            break;
        }
        if here + AFTER_WORD > end {
            return None;
        }
    }
    if !payload[here..payload.len().min(end + 1)].contains(&b'\n') {
        return None;
    }
    let start = here;
    let (address, length) = decimal(payload.get(here..).unwrap_or_default());
    here += length;
    while payload.get(here) == Some(&b' ') {
        if here >= end {
            return None;
        }
        here += 1;
    }
    let (port, length) = decimal(payload.get(here..).unwrap_or_default());
    here += length;
    let place = Place { at: start, length: here - start };
    Some(Offer { address: address as u32, port: port as u16, place })
}

#[cfg(test)]
mod tests;
