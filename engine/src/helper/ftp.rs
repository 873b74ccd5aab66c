//! FTP: where the data connection will be, from the commands of the client (PORT, EPRT) and the answers of the server
//! (227, 229). A line is read only where it begins a segment, right behind a line end that this side has sent before:
//! two such places are remembered for each direction.
//!
//! Source: linux 6.18 net/netfilter/nf_conntrack_ftp.c `help`.

use serde::{Deserialize, Serialize};

use super::numbers::{address, ipv6, list};
use super::{Advice, Announcement, Place, Style, Visit};
use crate::reason::Reason;
use crate::tuple::{Addr, Direction, Family, protocol};

/// The places behind line ends, of each direction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory([Places; 2]);

/// Up to two sequence numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Places {
    count: usize,
    seqs: [u32; 2],
}

impl Places {
    fn has(&self, seq: u32) -> bool {
        self.seqs.iter().take(self.count).any(|known| *known == seq)
    }

    /// Remembers one more; of three the older of the first two makes way, unless the new one is older still.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_ftp.c `update_nl_seq`.
    fn add(&mut self, seq: u32) {
        if self.has(seq) {
            return;
        }
        if let Some(free) = self.seqs.get_mut(self.count) {
            *free = seq;
            self.count += 1;
            return;
        }
        let is_before = |a: u32, b: u32| (a.wrapping_sub(b) as i32) < 0;
        let oldest = usize::from(!is_before(self.seqs[0], self.seqs[1]));
        if is_before(self.seqs[oldest], seq) {
            self.seqs[oldest] = seq;
        }
    }
}

/// Lets the helper read a packet.
pub(super) fn read(memory: &mut Memory, visit: &Visit<'_>) -> Advice {
    let Some((seq, payload)) = visit.tcp() else { return Advice::Nothing };
    if !visit.is_answered() {
        return Advice::Pass(Reason::HelpUnanswered {});
    }
    let places = &mut memory.0[visit.direction() as usize];
    let advice =
        if places.has(seq) { line(payload, visit) } else { Advice::Pass(Reason::FtpNotAfterNewline { seq }) };
    let is_partial = matches!(advice, Advice::Drop(_));
    if !is_partial && payload.ends_with(b"\n") {
        places.add(seq.wrapping_add(payload.len() as u32));
    }
    advice
}

/// What a line announces.
fn line(payload: &[u8], visit: &Visit<'_>) -> Advice {
    let direction = visit.direction();
    let tuple = visit.tuple(direction);
    let found = match find(payload, direction, tuple.family, tuple.src) {
        Find::Nothing => return Advice::Pass(Reason::FtpNoCommand {}),
        Find::Partial(style) => {
            return Advice::Drop(Reason::FtpPartial { command: style, length: payload.len() as u32 });
        }
        Find::Found(found) => found,
    };
    let answers = visit.tuple(!direction);
    let is_foreign = found.address != tuple.src;
    if is_foreign && !visit.loose {
        return Advice::Pass(Reason::FtpForeignAddress { port: found.port });
    }
    Advice::Expect(Announcement {
        style: found.style,
        class: 0,
        from: Some(answers.src),
        to: if is_foreign { found.address } else { answers.dst },
        port: found.port,
        family: tuple.family,
        protocol: protocol::TCP,
        place: found.place,
        reason: Reason::FtpExpected { command: found.style, port: found.port },
    })
}

/// What stands in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub style: Style,
    pub address: Addr,
    pub port: u16,
    pub place: Place,
}

/// Whether something stands in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Find {
    Nothing,
    /// It begins as this command does, and does not go on so.
    Partial(Style),
    Found(Found),
}

/// A command: how it begins, and up to which byte the line is skipped then.
struct Command {
    style: Style,
    word: &'static [u8],
    skip: Option<u8>,
}

const COMMANDS: [[Command; 2]; 2] = [
    [
        Command { style: Style::FtpPort, word: b"PORT", skip: Some(b' ') },
        Command { style: Style::FtpEprt, word: b"EPRT", skip: Some(b' ') },
    ],
    [
        Command { style: Style::FtpPasv, word: b"227 ", skip: None },
        Command { style: Style::FtpEpsv, word: b"229 ", skip: Some(b'(') },
    ],
];

/// Finds a command in a line that begins a payload. What the command does not say of the address is the sender's.
///
/// Source: linux 6.18 net/netfilter/nf_conntrack_ftp.c `find_pattern`.
pub(crate) fn find(payload: &[u8], direction: Direction, family: Family, sender: Addr) -> Find {
    for command in &COMMANDS[direction as usize] {
        let word = command.word;
        if payload.len() <= word.len() {
            if payload.eq_ignore_ascii_case(&word[..payload.len()]) {
                return Find::Partial(command.style);
            }
            continue;
        }
        if !payload[..word.len()].eq_ignore_ascii_case(word) {
            continue;
        }
        let read = || {
            let skipped = match command.skip {
                // What is skipped to must not be the last byte.
                Some(skip) => {
                    payload[word.len()..payload.len() - 1].iter().position(|byte| *byte == skip)? + 1
                }
                None => 0,
            };
            let at = word.len() + skipped;
            let (at, (address, port, length)) = numbers(command.style, payload, at, family, sender)?;
            Some(Found { style: command.style, address, port, place: Place { at, length } })
        };
        return read().map_or(Find::Partial(command.style), Find::Found);
    }
    Find::Nothing
}

/// Address, port, and how many bytes they take.
type Numbers = (Addr, u16, usize);

fn numbers(
    style: Style,
    payload: &[u8],
    at: usize,
    family: Family,
    sender: Addr,
) -> Option<(usize, Numbers)> {
    let bytes = payload.get(at..)?;
    match style {
        Style::FtpPort => Some((at, six(bytes, Some(b'\r'), family, sender)?)),
        Style::FtpPasv => {
            // RFC 1123 4.1.2.6: nobody knows what stands before the first digit.
            let skipped = bytes.iter().position(u8::is_ascii_digit)?;
            Some((at + skipped, six(&bytes[skipped..], None, family, sender)?))
        }
        Style::FtpEprt => Some((at, eprt(bytes, family)?)),
        Style::FtpEpsv => {
            let end = delimiter(bytes, 2)?;
            let (port, length) = port(bytes, 3, end)?;
            Some((at, (sender, port, length)))
        }
        Style::Tftp | Style::Irc => None,
    }
}

/// `10,0,0,1,16,146`. In IPv6 they stand for the address's first four bytes: nobody looks at the family.
///
/// Source: linux 6.18 net/netfilter/nf_conntrack_ftp.c `try_rfc959`.
fn six(bytes: &[u8], end: Option<u8>, family: Family, sender: Addr) -> Option<Numbers> {
    let ([a, b, c, d, high, low], length) = list(bytes, b',', end)?;
    let word = address([a, b, c, d]);
    let address = match family {
        Family::Ipv4 => Addr { hi: 0, lo: u64::from(word) },
        Family::Ipv6 => Addr { hi: u64::from(word) << 32 | (sender.hi & 0xffff_ffff), lo: sender.lo },
    };
    Some((address, (high << 8 | low) as u16, length))
}

/// `|1|10.0.0.1|4242|`, `|2|fd00::1|4242|`
///
/// Source: linux 6.18 net/netfilter/nf_conntrack_ftp.c `try_eprt`.
fn eprt(bytes: &[u8], family: Family) -> Option<Numbers> {
    let &[end, kind, again, _] = bytes.first_chunk()?;
    let number = if family == Family::Ipv4 { b'1' } else { b'2' };
    if !may_delimit(end) || again != end || kind != number {
        return None;
    }
    let rest = &bytes[3..];
    let (address, length) = match family {
        Family::Ipv4 => {
            let (numbers, length) = list(rest, b'.', Some(end))?;
            (Addr { hi: 0, lo: u64::from(address(numbers)) }, length)
        }
        Family::Ipv6 => {
            let (address, length) = ipv6(rest, end)?;
            (Addr::v6(address), length)
        }
    };
    let (port, length) = port(bytes, 3 + length + 1, end)?;
    Some((address, port, length))
}

/// A delimiter may be any visible byte that is no digit.
fn may_delimit(byte: u8) -> bool {
    byte.is_ascii_graphic() && !byte.is_ascii_digit()
}

/// The first byte, where it is a delimiter, so many more are the same, and something follows.
fn delimiter(bytes: &[u8], more: usize) -> Option<u8> {
    let end = *bytes.first().filter(|byte| may_delimit(**byte))?;
    let same = bytes.get(1..=more)?.iter().all(|byte| *byte == end);
    (same && bytes.len() > more + 1).then_some(end)
}

/// A port from `at` to the delimiter: what is too large wraps, 0 is none. Says where the delimiter ends.
///
/// Source: linux 6.18 net/netfilter/nf_conntrack_ftp.c `get_port`.
fn port(bytes: &[u8], at: usize, end: u8) -> Option<(u16, usize)> {
    let mut port = 0u16;
    for (index, &byte) in bytes.iter().enumerate().skip(at) {
        match byte {
            _ if byte == end => return (port != 0).then_some((port, index + 1)),
            b'0'..=b'9' => port = port.wrapping_mul(10).wrapping_add(u16::from(byte - b'0')),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests;
