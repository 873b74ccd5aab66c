//! The protocols' trackers. Each gets a connection, a direction and the packet's transport part, and decides; what
//! follows from a decision - timers, counters, events, removal - is the engine's.

mod generic;
mod gre;
mod icmp;
mod sctp;
mod tcp;
mod udp;

pub(crate) use icmp::{ErrorStage, error_stage};

use serde::{Deserialize, Serialize};

use crate::conn::Conn;
use crate::profile::Profile;
use crate::reason::Reason;
use crate::snapshot::ProtoInfo;
use crate::sysctl::{Knob, Sysctls};
use crate::time::{Jiffies, Ticks};
use crate::tuple::{Direction, Family, Tuple, protocol};
use crate::wire::ip::{Datagram, transport};

/// What a protocol remembers of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ProtoState {
    Tcp(tcp::Tcp),
    Udp(udp::Udp),
    Sctp(sctp::Sctp),
    Gre(gre::Gre),
    Stateless,
}

impl ProtoState {
    /// Of a connection that no packet has been seen of.
    pub fn new(protocol: u8) -> ProtoState {
        match protocol {
            protocol::TCP => ProtoState::Tcp(tcp::Tcp::default()),
            protocol::UDP => ProtoState::Udp(udp::Udp::default()),
            protocol::SCTP => ProtoState::Sctp(sctp::Sctp::default()),
            protocol::GRE => ProtoState::Gre(gre::Gre::default()),
            _ => ProtoState::Stateless,
        }
    }

    /// Whether it can be what this protocol remembers.
    pub fn fits(&self, protocol: u8, ticks: Ticks) -> bool {
        let is_sound = match self {
            ProtoState::Tcp(tcp) => tcp.is_sound(),
            ProtoState::Gre(gre) => gre.is_sound(ticks),
            ProtoState::Udp(_) | ProtoState::Sctp(_) | ProtoState::Stateless => true,
        };
        is_sound && std::mem::discriminant(self) == std::mem::discriminant(&ProtoState::new(protocol))
    }

    /// What people may see of it.
    pub fn info(&self, ticks: Ticks) -> ProtoInfo {
        match self {
            ProtoState::Tcp(tcp) => tcp.info(),
            ProtoState::Sctp(sctp) => sctp.info(),
            ProtoState::Gre(gre) => gre.info(ticks),
            ProtoState::Udp(_) | ProtoState::Stateless => ProtoInfo::Stateless,
        }
    }

    /// Puts TCP into CLOSE; says whether that was a change.
    pub fn close(&mut self) -> bool {
        match self {
            ProtoState::Tcp(tcp) => tcp.close(),
            _ => false,
        }
    }

    /// Something that tells which it is, for reading ahead.
    pub fn touch(&self) -> u64 {
        u64::from(matches!(self, ProtoState::Tcp(_)))
    }
}

/// What a tracker wants done. Why, it writes where the packet's outcome is kept: reasons are large, and handing them
/// from function to function costs more than most rules do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Decision {
    /// Accepted: so many ticks to live from now on, and one packet more to count.
    Renew(u64),
    /// Accepted; the timeout runs on and nothing is counted.
    Keep,
    /// INVALID.
    Invalid,
    /// INVALID, and the connection has fewer ticks to live from now on.
    InvalidCut(u64),
    /// Accepted and counted; the connection ends here.
    Destroy,
    /// The connection ends here, and the packet is looked up again. This alone needs no reason.
    Reopen,
}

impl Decision {
    /// A packet that is accepted. The first of a connection always sets its timeout; others renew it, where they do.
    #[inline(always)]
    fn renew(conn: &Conn, renews: bool, timeout: u64) -> Decision {
        if renews || !conn.is_confirmed() { Decision::Renew(timeout) } else { Decision::Keep }
    }

    fn because(self, why: &mut Reason, reason: Reason) -> Decision {
        *why = reason;
        self
    }
}

/// A packet from its transport header on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    pub datagram: Datagram<'a>,
    pub protocol: u8,
    /// From the transport header on; empty where the header's place lies beyond the packet.
    pub bytes: &'a [u8],
    /// Whether checksums are to be checked: on the way in, while the sysctl is on and nobody else has.
    pub verify: bool,
}

/// What decides beside packet and connection.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub profile: &'static Profile,
    pub sysctls: Sysctls,
    pub ticks: Ticks,
    /// The present tick.
    pub now: Jiffies,
}

impl Rules {
    /// A timeout in ticks.
    pub fn timeout(&self, knob: Knob) -> u64 {
        self.ticks.of_setting(self.sysctls.get(knob))
    }
}

/// The tuple of a packet.
///
/// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `nf_ct_get_tuple`.
#[inline(always)]
pub(crate) fn tuple(datagram: &Datagram<'_>, protocol: u8, bytes: &[u8]) -> Result<Tuple, Reason> {
    let too_short = |needed: u32| move || Reason::TupleTooShort { length: bytes.len() as u32, needed };
    let (src_id, dst_id) = match protocol {
        protocol::TCP | protocol::UDP | protocol::UDPLITE | protocol::SCTP => {
            let &[a, b, c, d] = bytes.first_chunk::<4>().ok_or_else(too_short(4))?;
            (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
        }
        protocol::ICMP | protocol::ICMPV6 => {
            let &[kind, code, _, _, a, b, _, _] = bytes.first_chunk::<8>().ok_or_else(too_short(8))?;
            (u16::from_be_bytes([a, b]), u16::from_be_bytes([kind, code]))
        }
        protocol::GRE => gre::keys(bytes)?,
        _ => (0, 0),
    };
    let (src, dst) = datagram.addresses();
    Ok(Tuple { src, dst, src_id, dst_id, protocol, family: datagram.family })
}

/// The tuple that a packet most likely has, with nothing checked: for looking ahead.
pub(crate) fn glance(bytes: &[u8]) -> Option<Tuple> {
    let family = if bytes.first()? >> 4 == 4 { Family::Ipv4 } else { Family::Ipv6 };
    let datagram = Datagram::quoted(family, bytes)?;
    let part = transport(&datagram).ok()?;
    tuple(&datagram, part.protocol, datagram.from(part.offset)).ok()
}

/// Whether it is for [`error_stage`] to look at.
#[inline]
pub(crate) fn may_be_error(segment: &Segment<'_>) -> bool {
    match segment.datagram.family {
        Family::Ipv4 => segment.protocol == protocol::ICMP,
        Family::Ipv6 => segment.protocol == protocol::ICMPV6,
    }
}

/// Lets the protocol's tracker decide, and say why.
#[inline(always)]
pub(crate) fn track(
    conn: &mut Conn,
    direction: Direction,
    segment: &Segment<'_>,
    rules: &Rules,
    why: &mut Reason,
) -> Decision {
    match segment.protocol {
        protocol::TCP => tcp::track(conn, direction, segment, rules, why),
        protocol::UDP => udp::track(conn, segment, rules, why),
        protocol::UDPLITE => udp::track_lite(conn, segment, rules, why),
        protocol::ICMP => icmp::track(conn, segment, rules, why),
        protocol::ICMPV6 => icmp::track_v6(conn, segment, rules, why),
        protocol::GRE => gre::track(conn, rules, why),
        protocol::SCTP => sctp::track(conn, direction, segment, rules, why),
        _ => generic::track(conn, segment, rules, why),
    }
}

/// Whether two new connections with the same tuples may become one instead of the second being dropped.
///
/// Source: linux 6.18 `nf_conntrack_l4proto.allow_clash`.
pub(crate) fn may_clash(protocol: u8) -> bool {
    !matches!(protocol, protocol::TCP | protocol::SCTP | protocol::ICMP | protocol::ICMPV6)
}

/// Whether ICMP's protocol number belongs to the family it came in.
fn is_family(segment: &Segment<'_>, family: Family) -> bool {
    segment.datagram.family == family
}
