//! A connection as it stands at one moment, copied out of the table: what listings, events and claims are made of.
//! Nothing in it changes later, and nothing in the engine refers to it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::outcome::ConnId;
use crate::states::{SctpState, TcpState};
use crate::status::Status;
use crate::time::Time;
use crate::tuple::{Direction, Family, Tuple, protocol};

/// What a protocol's tracker keeps beside the tuple, as far as it can be seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProtoInfo {
    /// TCP: its state, and both senders' windows.
    Tcp {
        /// The tracker's state.
        state: TcpState,
        /// What is known of the original and the reply direction's sender.
        sides: [TcpSide; 2],
    },
    /// SCTP: its state and the verification tags that each direction must carry.
    Sctp {
        /// The tracker's state.
        state: SctpState,
        /// Verification tags of the original and the reply direction.
        tags: [u32; 2],
    },
    /// GRE keeps its two timeouts from the first packet on, in seconds.
    Gre {
        /// While unanswered.
        timeout: u32,
        /// Once answered.
        stream_timeout: u32,
    },
    /// A protocol without states.
    Stateless,
}

/// One TCP sender as the window tracker sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[doc(alias = "ip_ct_tcp_state")]
pub struct TcpSide {
    /// The highest sequence number it has sent, plus one.
    pub td_end: u32,
    /// The highest sequence number it may send, plus one.
    pub td_maxend: u32,
    /// The largest window it was seen to advertise, scaled.
    pub td_maxwin: u32,
    /// The highest ACK it has sent.
    pub td_maxack: u32,
    /// The shift of its windows.
    pub td_scale: u8,
    /// The kernel's `IP_CT_TCP_FLAG_*` bits.
    pub flags: u8,
}

/// Packets and bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// Packets that the tracker accepted.
    pub packets: u64,
    /// Their length from the network header on.
    pub bytes: u64,
}

/// A connection at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnSnapshot {
    /// Its name in this engine.
    pub id: ConnId,
    /// The key of packets that travel as the first one did.
    pub original: Tuple,
    /// The key of answers.
    pub reply: Tuple,
    /// The status bits.
    pub status: Status,
    /// State and what else the protocol keeps.
    pub info: ProtoInfo,
    /// Whole seconds left, rounded down. Zero for an entry that died of its age.
    pub timeout: u64,
    /// The moment of its death, should no packet renew it; for an entry not yet confirmed, the time it would live.
    pub deadline: Time,
    /// The connection mark.
    pub mark: u32,
    /// The zone.
    pub zone: u16,
    /// The entry that announced this one.
    pub master: Option<ConnId>,
    /// Packets and bytes of both directions, where `nf_conntrack_acct` was on when it began.
    pub counters: Option<[Counter; 2]>,
    /// When it was confirmed, where `nf_conntrack_timestamp` was on.
    pub started: Option<Time>,
    /// When it ended, in a destroy event.
    pub stopped: Option<Time>,
    /// Seconds between the two, or until now: `delta-time` in listings.
    pub delta_secs: Option<u64>,
}

impl ConnSnapshot {
    /// One of the two tuples.
    pub fn tuple(&self, direction: Direction) -> &Tuple {
        match direction {
            Direction::Original => &self.original,
            Direction::Reply => &self.reply,
        }
    }

    /// The state's word, for protocols that have states.
    pub fn state(&self) -> Option<&'static str> {
        match self.info {
            ProtoInfo::Tcp { state, .. } => Some(state.word()),
            ProtoInfo::Sctp { state, .. } => Some(state.word()),
            _ => None,
        }
    }

    /// The protocol's name as the kernel lists it, `unknown` for those without a tracker.
    pub fn protocol_name(&self) -> &'static str {
        match self.original.protocol {
            protocol::ICMP => "icmp",
            protocol::TCP => "tcp",
            protocol::UDP => "udp",
            protocol::GRE => "gre",
            protocol::ICMPV6 => "icmpv6",
            protocol::SCTP => "sctp",
            protocol::UDPLITE => "udplite",
            _ => "unknown",
        }
    }
}

/// A line of `conntrack -L`, without the end that only the kernel knows (`use=`).
impl fmt::Display for ConnSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} {} {} ", self.protocol_name(), self.original.protocol, self.timeout)?;
        self.fmt_rest(f, false)
    }
}

/// A line of `/proc/net/nf_conntrack`: with the family, IPv6 addresses in full, mark and zone always.
#[derive(Clone, Copy, Debug)]
pub struct ProcLine<'a>(pub &'a ConnSnapshot);

impl fmt::Display for ProcLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conn = self.0;
        let (family, number) = match conn.original.family {
            Family::Ipv4 => ("ipv4", 2),
            Family::Ipv6 => ("ipv6", 10),
        };
        write!(
            f,
            "{family:<8} {number} {:<8} {} {} ",
            conn.protocol_name(),
            conn.original.protocol,
            conn.timeout
        )?;
        conn.fmt_rest(f, true)?;
        write!(f, " use=2")
    }
}

impl ConnSnapshot {
    fn fmt_rest(&self, f: &mut fmt::Formatter<'_>, proc: bool) -> fmt::Result {
        match self.info {
            // The tool is not told of these.
            ProtoInfo::Gre { timeout, stream_timeout } if proc => {
                write!(f, "timeout={timeout}, stream_timeout={stream_timeout} ")?;
            }
            _ => {
                if let Some(state) = self.state() {
                    write!(f, "{state} ")?;
                }
            }
        }
        self.fmt_tuple(f, Direction::Original, proc)?;
        if !self.status.has(Status::SEEN_REPLY) {
            write!(f, "[UNREPLIED] ")?;
        }
        self.fmt_tuple(f, Direction::Reply, proc)?;
        if self.status.has(Status::ASSURED) {
            write!(f, "[ASSURED] ")?;
        }
        write!(f, "mark={}", self.mark)?;
        if proc || self.zone != 0 {
            write!(f, " zone={}", self.zone)?;
        }
        if let Some(secs) = self.delta_secs {
            write!(f, " delta-time={secs}")?;
        }
        Ok(())
    }

    fn fmt_tuple(&self, f: &mut fmt::Formatter<'_>, direction: Direction, proc: bool) -> fmt::Result {
        let tuple = self.tuple(direction);
        if proc && tuple.family == Family::Ipv6 {
            write!(f, "src={} dst={}", FullIpv6(tuple.src), FullIpv6(tuple.dst))?;
            tuple.fmt_keys(f)?;
        } else {
            write!(f, "{tuple}")?;
        }
        if let Some(counters) = self.counters {
            let Counter { packets, bytes } = counters[direction as usize];
            write!(f, " packets={packets} bytes={bytes}")?;
        }
        write!(f, " ")
    }
}

/// An IPv6 address with every digit, as the kernel's `%pI6` prints it.
struct FullIpv6(crate::tuple::Addr);

impl fmt::Display for FullIpv6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, half) in [self.0.hi, self.0.lo].into_iter().enumerate() {
            for shift in [48, 32, 16, 0] {
                if index > 0 || shift < 48 {
                    write!(f, ":")?;
                }
                write!(f, "{:04x}", (half >> shift) & 0xffff)?;
            }
        }
        Ok(())
    }
}
