//! Helpers: what reads a connection's payload to learn which other connections it announces. One table says what there
//! is; each helper is a parser, bytes in and meaning out, and a few lines that make an announcement of the meaning. What
//! follows from an announcement - expectations, drops, events - is the engine's.
//!
//! A helper is assigned by a rule, never by a port.

pub(crate) mod ftp;
pub(crate) mod irc;
mod numbers;
pub(crate) mod tftp;

use serde::{Deserialize, Serialize};

use crate::outcome::CtInfo;
use crate::reason::Reason;
use crate::tuple::{Addr, Direction, Family, Tuple, protocol};

/// A helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[doc(alias = "nf_conntrack_helper")]
pub enum Helper {
    /// The File Transfer Protocol: data connections, in both of its modes.
    Ftp,
    /// Internet Relay Chat: direct connections between clients.
    Irc,
    /// The Trivial File Transfer Protocol: the server's answers come from a port of their own.
    Tftp,
}

/// What is known of a helper without a connection: a row of the table of helpers.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct HelperInfo {
    /// Which.
    #[serde(skip)]
    pub helper: Helper,
    /// The name by which rules assign it.
    pub name: &'static str,
    /// The transport protocols whose connections it may be assigned to.
    pub protocols: &'static [u8],
    /// The families it knows.
    pub families: &'static [Family],
    /// The port that its protocol usually has.
    pub port: u16,
    /// Its classes of expectations, by number.
    pub classes: &'static [ExpectClass],
    /// Kernel file and symbol.
    pub source: &'static str,
}

/// What holds for all expectations of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[doc(alias = "nf_conntrack_expect_policy")]
pub struct ExpectClass {
    /// Its name in listings; empty where it has none.
    pub name: &'static str,
    /// How many a connection may have at a time; the oldest makes way for one more. 0 is no limit.
    pub max_expected: u32,
    /// How long one lasts, in seconds.
    pub timeout_secs: u32,
}

const BOTH: &[Family] = &[Family::Ipv4, Family::Ipv6];
const FIVE_MINUTES: u32 = 5 * 60;

const fn class(max_expected: u32, timeout_secs: u32) -> ExpectClass {
    ExpectClass { name: "", max_expected, timeout_secs }
}

impl Helper {
    /// The table of helpers.
    pub const ALL: &'static [HelperInfo] = &[
        HelperInfo {
            helper: Helper::Ftp,
            name: "ftp",
            protocols: &[protocol::TCP],
            families: BOTH,
            port: 21,
            classes: &[class(1, FIVE_MINUTES)],
            source: "linux 6.18 net/netfilter/nf_conntrack_ftp.c ftp_exp_policy",
        },
        HelperInfo {
            helper: Helper::Irc,
            name: "irc",
            protocols: &[protocol::TCP],
            families: &[Family::Ipv4],
            port: 6667,
            classes: &[class(8, FIVE_MINUTES)],
            source: "linux 6.18 net/netfilter/nf_conntrack_irc.c irc_exp_policy",
        },
        HelperInfo {
            helper: Helper::Tftp,
            name: "tftp",
            protocols: &[protocol::UDP],
            families: BOTH,
            port: 69,
            classes: &[class(1, FIVE_MINUTES)],
            source: "linux 6.18 net/netfilter/nf_conntrack_tftp.c tftp_exp_policy",
        },
    ];

    /// Helpers of Linux that this version does not have, by name.
    pub const LATER: &'static [&'static str] =
        &["amanda", "h323", "netbios-ns", "pptp", "Q.931", "RAS", "sane", "sip", "snmp"];

    /// Its row.
    pub fn info(self) -> &'static HelperInfo {
        &Helper::ALL[self as usize]
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// A helper by its name.
    pub fn find(name: &str) -> Option<Helper> {
        Helper::ALL.iter().find(|info| info.name == name).map(|info| info.helper)
    }

    /// Whether it can be assigned to a connection with this tuple.
    ///
    /// Source: linux 6.18 net/netfilter/nft_ct.c `nft_ct_helper_obj_eval`.
    pub(crate) fn suits(self, tuple: &Tuple) -> bool {
        let info = self.info();
        info.protocols.contains(&tuple.protocol) && info.families.contains(&tuple.family)
    }
}

/// What a connection has of its helper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Help {
    pub helper: Helper,
    pub memory: Memory,
}

/// What a helper remembers of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Memory {
    Ftp(ftp::Memory),
    Nothing,
}

impl Help {
    pub fn new(helper: Helper) -> Help {
        let memory = match helper {
            Helper::Ftp => Memory::Ftp(ftp::Memory::default()),
            Helper::Irc | Helper::Tftp => Memory::Nothing,
        };
        Help { helper, memory }
    }
}

/// A packet as its connection's helper gets it: at the last hook, before confirmation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit<'a> {
    pub info: CtInfo,
    /// The connection's tuples.
    pub tuples: &'a [Tuple; 2],
    /// From the transport header on.
    pub bytes: &'a [u8],
    /// FTP's: connections to third parties are expected, too.
    pub loose: bool,
}

impl<'a> Visit<'a> {
    pub fn direction(&self) -> Direction {
        self.info.direction()
    }

    /// The tuple of packets that travel in this direction.
    pub fn tuple(&self, direction: Direction) -> &Tuple {
        &self.tuples[direction as usize]
    }

    /// Whether the connection was answered before this packet: helpers of TCP look at nothing else.
    fn is_answered(&self) -> bool {
        matches!(self.info, CtInfo::Established | CtInfo::EstablishedReply)
    }

    /// A TCP segment's sequence number and payload; none where there is no payload.
    fn tcp(&self) -> Option<(u32, &'a [u8])> {
        let header = self.bytes.first_chunk::<20>()?;
        let seq = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let payload = self.bytes.get(usize::from(header[12] >> 4) * 4..)?;
        (!payload.is_empty()).then_some((seq, payload))
    }
}

/// What a helper makes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// There is nothing in it to look at.
    Nothing,
    /// Nothing is announced, and why.
    Pass(Reason),
    /// It is to be dropped.
    Drop(Reason),
    /// It announces a connection.
    Expect(Announcement),
}

/// A connection that a packet announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    /// How it was said.
    pub style: Style,
    pub class: u8,
    /// What its first packet will have: where `from` says nothing of its source, any; its source port is any.
    pub from: Option<Addr>,
    pub to: Addr,
    pub port: u16,
    pub family: Family,
    pub protocol: u8,
    /// Where in the payload address and port are written: what a translation rewrites.
    pub place: Place,
    /// What is said of it when it comes to be expected.
    pub reason: Reason,
}

/// A part of a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub at: usize,
    pub length: usize,
}

/// How an announcement was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// `PORT 10,0,0,1,16,146`
    FtpPort,
    /// `227 Entering Passive Mode (10,0,1,1,16,146)`
    FtpPasv,
    /// `EPRT |1|10.0.0.1|4242|`
    FtpEprt,
    /// `229 Entering Extended Passive Mode (|||4242|)`
    FtpEpsv,
    /// A request: it names no address.
    Tftp,
    /// `DCC SEND file 167772161 4242`
    Irc,
}

impl Style {
    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Style::FtpPort => "PORT",
            Style::FtpPasv => "227",
            Style::FtpEprt => "EPRT",
            Style::FtpEpsv => "229",
            Style::Tftp => "request",
            Style::Irc => "DCC",
        }
    }
}

impl std::fmt::Display for Style {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// Lets a connection's helper read a packet.
pub(crate) fn read(help: &mut Help, visit: &Visit<'_>) -> Advice {
    match (help.helper, &mut help.memory) {
        (Helper::Ftp, Memory::Ftp(memory)) => ftp::read(memory, visit),
        (Helper::Irc, _) => irc::read(visit),
        (Helper::Tftp, _) => tftp::read(visit),
        (Helper::Ftp, Memory::Nothing) => Advice::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (index, info) in Helper::ALL.iter().enumerate() {
            assert_eq!(info.helper as usize, index);
            assert_eq!(Helper::find(info.name), Some(info.helper));
            assert!(!Helper::LATER.contains(&info.name));
            assert!(!info.classes.is_empty() && info.source.starts_with("linux 6.18 "));
        }
    }
}
