//! Helpers of connections that are translated: what is announced is written anew, with the address that the other side
//! knows and a port that is free there, and the connection that then comes follows its master.
//!
//! Source: linux 6.18 net/netfilter/nf_nat_ftp.c `nf_nat_ftp`, net/netfilter/nf_nat_irc.c `help`,
//! net/netfilter/nf_nat_tftp.c `help`.

use std::net::{IpAddr, Ipv4Addr};

use super::Engine;
use super::expecting::refusal;
use super::travel::Travel;
use crate::event::EventKind;
use crate::expect::{Follows, Refused};
use crate::helper::{Advice, Announcement, Style};
use crate::nat::payload::{self, Refused as NoPort};
use crate::outcome::{Class, Outcome};
use crate::reason::Reason;
use crate::tuple::{Addr, Direction};
use crate::wire::ip;

impl Engine {
    /// Lets the helper of a translated connection read a packet, and writes anew what it announces. Says whether the packet
    /// goes on.
    pub(super) fn help_translated(
        &mut self,
        slot: u32,
        travel: &mut Travel<'_>,
        outcome: &mut Outcome,
    ) -> bool {
        let announced = match self.let_read(slot, &travel.datagram(), outcome) {
            Advice::Nothing => return true,
            Advice::Pass(reason) => {
                outcome.help = Some(reason);
                return true;
            }
            Advice::Drop(reason) => return self.drop_read(slot, reason, outcome),
            Advice::Expect(announced) => announced,
        };
        let Class::Tracked(info) = outcome.class else { return true };
        let translated = match announced.style {
            Style::Tftp => self.expect_answers(slot, &announced),
            _ => self.announce(slot, &announced, info.direction(), travel),
        };
        match translated {
            Ok(()) => {
                outcome.help = Some(announced.reason);
                true
            }
            Err(reason) => self.drop_read(slot, reason, outcome),
        }
    }

    /// TFTP: nothing is written in the payload; answers go to the port that the client has in truth.
    fn expect_answers(&mut self, slot: u32, announced: &Announcement) -> Result<(), Reason> {
        let port = self.table.conn(slot).tuples[0].src_id;
        let follows = Follows { announced: Direction::Original, port };
        self.expect(slot, announced, Some(follows)).map_err(|refused| refusal(refused, announced.port))
    }

    /// Expects a connection at the announced port, or at another one that is free, and writes what was found.
    fn announce(
        &mut self,
        slot: u32,
        announced: &Announcement,
        direction: Direction,
        travel: &mut Travel<'_>,
    ) -> Result<(), Reason> {
        let follows = Some(Follows { announced: direction, port: announced.port });
        let mut draws = self.draws.clone();
        let found = payload::expect_at(announced.port, &mut draws, |port| {
            self.expect(slot, &Announcement { port, ..*announced }, follows).map_err(
                |refused| match refused {
                    Refused::Busy => NoPort::Busy,
                    Refused::Already | Refused::Full { .. } => NoPort::Otherwise,
                },
            )
        });
        self.draws = draws;
        // Port 0 is none, and what was expected there stays so.
        let port = found.filter(|port| *port != 0).ok_or(Reason::ExpectNoPort { port: announced.port })?;
        let address = self.table.conn(slot).tuples[!direction as usize].dst;
        let text = written(announced, address, port);
        let place = announced.place.at..announced.place.at + announced.place.length;
        let seq = sequence(travel);
        if !payload::mangle(travel.bytes_mut(), place, text.as_bytes()) {
            self.unexpect();
            return Err(Reason::NatPayload {});
        }
        let grown = text.len() as i32 - announced.place.length as i32;
        if let Some(seq) = seq {
            self.table.conn_mut(slot).moved(direction, seq, grown);
        }
        Ok(())
    }

    /// The latest expectation is none any more.
    fn unexpect(&mut self) {
        let Some(last) = self.expected.last().map(|last| last.number) else { return };
        if let Some(gone) = self.expected.remove(last) {
            self.tell_expected(EventKind::ExpectDestroy, &gone, self.now);
        }
    }
}

/// The sequence number of a segment as it came.
fn sequence(travel: &Travel<'_>) -> Option<u32> {
    let datagram = travel.datagram();
    let part = ip::transport(&datagram).ok()?;
    let word = datagram.from(part.offset).get(4..8)?;
    Some(u32::from_be_bytes(*word.first_chunk()?))
}

/// What stands in the place of an announcement.
///
/// Source: linux 6.18 net/netfilter/nf_nat_ftp.c `nf_nat_ftp_fmt_cmd`.
fn written(announced: &Announcement, address: Addr, port: u16) -> String {
    let first = match address.ip(announced.family) {
        IpAddr::V4(v4) => v4,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.octets();
            Ipv4Addr::new(a, b, c, d)
        }
    };
    match announced.style {
        Style::FtpPort | Style::FtpPasv => {
            let [a, b, c, d] = first.octets();
            format!("{a},{b},{c},{d},{},{}", port >> 8, port & 0xff)
        }
        Style::FtpEprt => match address.ip(announced.family) {
            IpAddr::V4(v4) => format!("|1|{v4}|{port}|"),
            IpAddr::V6(v6) => {
                let words = v6.segments().map(|word| format!("{word:04x}"));
                format!("|2|{}|{port}|", words.join(":"))
            }
        },
        Style::FtpEpsv => format!("|||{port}|"),
        Style::Irc => format!("{} {port}", first.to_bits()),
        Style::Tftp => String::new(),
    }
}
