//! A connection as it stands at one moment, copied out of the table: what listings, events and claims are made of.
//! Nothing in it changes later, and nothing in the engine refers to it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::helper::Helper;
use crate::outcome::ConnId;
use crate::states::{SctpState, TcpState};
use crate::status::Status;
use crate::time::Time;
use crate::tuple::{Direction, Family, Tuple};

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
    /// The helper that reads it.
    pub helper: Option<Helper>,
    /// The entry that announced this one; it may be gone.
    pub master: Option<ConnId>,
    /// That one's tuple in original direction.
    pub master_tuple: Option<Tuple>,
    /// The helper that has read the announcement.
    pub master_helper: Option<Helper>,
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
        self.original.protocol_name()
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
        if proc {
            fmt_full(tuple, f)?;
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

/// A tuple with IPv6 addresses in full.
pub(crate) fn fmt_full(tuple: &Tuple, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if tuple.family == Family::Ipv4 {
        return write!(f, "{tuple}");
    }
    write!(f, "src={} dst={}", FullIpv6(tuple.src), FullIpv6(tuple.dst))?;
    tuple.fmt_keys(f)
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

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::tuple::Addr;
    use crate::tuple::protocol;

    fn conn(src: &str, dst: &str, number: u8, keys: [u16; 4], info: ProtoInfo, timeout: u64) -> ConnSnapshot {
        let [src, dst]: [IpAddr; 2] = [src, dst].map(|text| text.parse().unwrap());
        let family = if src.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
        let tuple = |src: IpAddr, dst: IpAddr, src_id, dst_id| Tuple {
            src: Addr::from(src),
            dst: Addr::from(dst),
            src_id,
            dst_id,
            protocol: number,
            family,
        };
        ConnSnapshot {
            id: ConnId::from(1),
            original: tuple(src, dst, keys[0], keys[1]),
            reply: tuple(dst, src, keys[2], keys[3]),
            status: Status::CONFIRMED,
            info,
            timeout,
            deadline: Time::ZERO,
            mark: 0,
            zone: 0,
            helper: None,
            master: None,
            master_tuple: None,
            master_helper: None,
            counters: None,
            started: None,
            stopped: None,
            delta_secs: None,
        }
    }

    /// All lines were printed by the running kernel and by conntrack 1.4.7.
    #[track_caller]
    fn check(conn: &ConnSnapshot, proc: &str, tool: &str) {
        assert_eq!(ProcLine(conn).to_string(), proc);
        assert_eq!(format!("{conn} use=1"), tool);
    }

    #[test]
    fn tcp_with_counters_and_time() {
        let info = ProtoInfo::Tcp { state: TcpState::Established, sides: Default::default() };
        let mut conn = conn("10.0.0.1", "10.0.1.1", protocol::TCP, [40_000, 80, 80, 40_000], info, 431_998);
        conn.status = Status(Status::CONFIRMED.0 | Status::SEEN_REPLY.0 | Status::ASSURED.0);
        conn.counters = Some([Counter { packets: 2, bytes: 80 }, Counter { packets: 1, bytes: 40 }]);
        conn.delta_secs = Some(1);
        check(
            &conn,
            "ipv4     2 tcp      6 431998 ESTABLISHED src=10.0.0.1 dst=10.0.1.1 sport=40000 dport=80 packets=2 bytes=80 \
             src=10.0.1.1 dst=10.0.0.1 sport=80 dport=40000 packets=1 bytes=40 [ASSURED] mark=0 zone=0 delta-time=1 use=2",
            "tcp      6 431998 ESTABLISHED src=10.0.0.1 dst=10.0.1.1 sport=40000 dport=80 packets=2 bytes=80 \
             src=10.0.1.1 dst=10.0.0.1 sport=80 dport=40000 packets=1 bytes=40 [ASSURED] mark=0 delta-time=1 use=1",
        );
    }

    #[test]
    fn gre_has_its_timeouts_for_the_file_alone() {
        let info = ProtoInfo::Gre { timeout: 30, stream_timeout: 180 };
        check(
            &conn("10.0.0.1", "10.0.1.1", protocol::GRE, [0; 4], info, 28),
            "ipv4     2 gre      47 28 timeout=30, stream_timeout=180 src=10.0.0.1 dst=10.0.1.1 srckey=0x0 dstkey=0x0 \
             [UNREPLIED] src=10.0.1.1 dst=10.0.0.1 srckey=0x0 dstkey=0x0 mark=0 zone=0 use=2",
            "gre      47 28 src=10.0.0.1 dst=10.0.1.1 srckey=0x0 dstkey=0x0 \
             [UNREPLIED] src=10.0.1.1 dst=10.0.0.1 srckey=0x0 dstkey=0x0 mark=0 use=1",
        );
    }

    #[test]
    fn ipv6_in_full_and_compressed() {
        let keys = [7, 128 << 8, 7, 129 << 8];
        check(
            &conn("fd00:a::1", "fd00:b::1", protocol::ICMPV6, keys, ProtoInfo::Stateless, 28),
            "ipv6     10 icmpv6   58 28 src=fd00:000a:0000:0000:0000:0000:0000:0001 \
             dst=fd00:000b:0000:0000:0000:0000:0000:0001 type=128 code=0 id=7 [UNREPLIED] \
             src=fd00:000b:0000:0000:0000:0000:0000:0001 dst=fd00:000a:0000:0000:0000:0000:0000:0001 \
             type=129 code=0 id=7 mark=0 zone=0 use=2",
            "icmpv6   58 28 src=fd00:a::1 dst=fd00:b::1 type=128 code=0 id=7 [UNREPLIED] \
             src=fd00:b::1 dst=fd00:a::1 type=129 code=0 id=7 mark=0 use=1",
        );
        check(
            &conn("fd00:a::1", "fd00:b::1", 89, [0; 4], ProtoInfo::Stateless, 598),
            "ipv6     10 unknown  89 598 src=fd00:000a:0000:0000:0000:0000:0000:0001 \
             dst=fd00:000b:0000:0000:0000:0000:0000:0001 [UNREPLIED] src=fd00:000b:0000:0000:0000:0000:0000:0001 \
             dst=fd00:000a:0000:0000:0000:0000:0000:0001 mark=0 zone=0 use=2",
            "unknown  89 598 src=fd00:a::1 dst=fd00:b::1 [UNREPLIED] src=fd00:b::1 dst=fd00:a::1 mark=0 use=1",
        );
    }
}
