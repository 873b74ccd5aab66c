//! UDP and UDP-Lite: no states, but a flow that is answered and lives on becomes a stream.
//!
//! Source: linux 6.18 net/netfilter/nf_conntrack_proto_udp.c. Whether a reply was seen is asked before this packet
//! counts as one, so the first answer itself still finds the flow unanswered.

use serde::{Deserialize, Serialize};

use super::{Decision, ProtoState, Rules, Segment};
use crate::conn::Conn;
use crate::event::Changes;
use crate::reason::Reason;
use crate::status::Status;
use crate::sysctl::Knob;
use crate::time::Jiffies;
use crate::tuple::Family;
use crate::wire::checksum;

/// When an answered flow becomes a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Udp {
    stream_at: Jiffies,
}

const HEADER: usize = 8;

#[inline(always)]
pub(super) fn track(conn: &mut Conn, segment: &Segment<'_>, rules: &Rules, why: &mut Reason) -> Decision {
    if let Err(reason) = check(segment) {
        return Decision::Invalid.because(why, reason);
    }
    if !conn.is_confirmed() {
        let after = rules.ticks.of_secs(rules.profile.udp_stream_after_secs);
        let stream_at =
            (rules.now.0 + after).saturating_add_signed(rules.profile.bounds.udp_stream_ticks.into());
        conn.proto = ProtoState::Udp(Udp { stream_at: Jiffies(stream_at) });
    }
    let switches = &rules.profile.switches;
    let renewed = |conn: &Conn, knob| Decision::renew(conn, switches.udp_renews, rules.timeout(knob));
    if !conn.has_reply() {
        return renewed(conn, Knob::Udp).because(why, Reason::UdpUnreplied {});
    }
    let ProtoState::Udp(udp) = conn.proto else { unreachable!("a UDP connection keeps UDP's state") };
    if rules.now <= udp.stream_at {
        return renewed(conn, Knob::Udp).because(why, Reason::UdpReplied {});
    }
    if switches.udp_assured && !conn.status.has(Status::NAT_CLASH) {
        conn.set_status(Status::ASSURED, Changes::ASSURED);
    }
    renewed(conn, Knob::UdpStream).because(why, Reason::UdpStream {})
}

/// UDP-Lite has UDP's timeouts, and no two seconds.
pub(super) fn track_lite(
    conn: &mut Conn,
    segment: &Segment<'_>,
    rules: &Rules,
    why: &mut Reason,
) -> Decision {
    if let Err(reason) = check_lite(segment, rules) {
        return Decision::Invalid.because(why, reason);
    }
    let switches = &rules.profile.switches;
    let renewed = |conn: &Conn, knob| Decision::renew(conn, switches.udplite_renews, rules.timeout(knob));
    if !conn.has_reply() {
        return renewed(conn, Knob::Udp).because(why, Reason::UdpliteUnreplied {});
    }
    if switches.udplite_assured && !conn.status.has(Status::NAT_CLASH) {
        conn.set_status(Status::ASSURED, Changes::ASSURED);
    }
    let knob = if switches.udplite_stream { Knob::UdpStream } else { Knob::Udp };
    renewed(conn, knob).because(why, Reason::UdpliteStream {})
}

fn check(segment: &Segment<'_>) -> Result<(), Reason> {
    let length = segment.bytes.len();
    let &[.., l, m, c, d] =
        segment.bytes.first_chunk::<HEADER>().ok_or(Reason::UdpTruncated { length: length as u32 })?;
    let field = usize::from(u16::from_be_bytes([l, m]));
    if field > length || field < HEADER {
        return Err(Reason::UdpLength { field: field as u32, length: length as u32 });
    }
    let sealed = [c, d] != [0, 0];
    if sealed
        && segment.verify
        && !checksum::is_transport_intact(&segment.datagram, segment.protocol, segment.bytes)
    {
        return Err(Reason::UdpChecksum {});
    }
    Ok(())
}

fn check_lite(segment: &Segment<'_>, rules: &Rules) -> Result<(), Reason> {
    let length = segment.bytes.len();
    let &[.., l, m, c, d] =
        segment.bytes.first_chunk::<HEADER>().ok_or(Reason::UdpliteTruncated { length: length as u32 })?;
    let coverage = match u16::from_be_bytes([l, m]) {
        0 => length,
        coverage => usize::from(coverage),
    };
    if !(HEADER..=length).contains(&coverage) {
        return Err(Reason::UdpliteCoverage { coverage: coverage as u32, length: length as u32 });
    }
    if [c, d] == [0, 0] {
        return Err(Reason::UdpliteNoChecksum {});
    }
    // Of the bytes covered, but with the whole length, and UDP's number, in the pseudo header; over IPv4 the length has
    // come into the place of the protocol's number, of which there are 256.
    let counted = match segment.datagram.family {
        Family::Ipv4 => length as u32 & 0xff,
        Family::Ipv6 => length as u32,
    };
    let pseudo = checksum::pseudo_header(&segment.datagram, rules.profile.udplite_checksum_protocol, counted);
    if segment.verify && !checksum::is_intact(checksum::sum(&segment.bytes[..coverage]) + pseudo) {
        return Err(Reason::UdpliteChecksum {});
    }
    Ok(())
}
