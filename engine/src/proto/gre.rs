//! GRE: version 1 carrying PPP (PPTP) by its call key, all else by addresses; answered, it is a stream at once.
//!
//! Source: linux 6.18 net/netfilter/nf_conntrack_proto_gre.c. The source key of a PPTP call comes from its control
//! connection; without a helper there is none, and it is zero.

use serde::{Deserialize, Serialize};

use super::{Decision, Rules};
use crate::conn::Conn;
use crate::event::Changes;
use crate::proto::ProtoState;
use crate::reason::Reason;
use crate::snapshot::ProtoInfo;
use crate::status::Status;
use crate::sysctl::Knob;
use crate::time::Ticks;

/// Both timeouts are taken from the sysctls at the first packet, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gre {
    timeout: u64,
    stream_timeout: u64,
}

impl Gre {
    /// Whether its timeouts are such as a sysctl can have.
    pub(super) fn is_sound(self, ticks: Ticks) -> bool {
        self.timeout <= ticks.longest() && self.stream_timeout <= ticks.longest()
    }

    pub(super) fn info(self, ticks: Ticks) -> ProtoInfo {
        let second = ticks.of_secs(1);
        ProtoInfo::Gre {
            timeout: (self.timeout / second) as u32,
            stream_timeout: (self.stream_timeout / second) as u32,
        }
    }
}

const PPP: u16 = 0x880b;
const VERSION: u8 = 0x07;

/// Source and destination key. Version 1 needs 8 bytes before its protocol is even looked at.
pub(super) fn keys(bytes: &[u8]) -> Result<(u16, u16), Reason> {
    match bytes {
        [_, version, p, q, _, _, k, l, ..] if version & VERSION == 1 => match u16::from_be_bytes([*p, *q]) {
            PPP => Ok((0, u16::from_be_bytes([*k, *l]))),
            protocol => Err(Reason::GreProtocol { protocol }),
        },
        _ => Ok((0, 0)),
    }
}

pub(super) fn track(conn: &mut Conn, rules: &Rules, why: &mut Reason) -> Decision {
    let switches = &rules.profile.switches;
    if !conn.is_confirmed() || !switches.gre_keeps_timeouts {
        conn.proto = ProtoState::Gre(Gre {
            timeout: rules.timeout(Knob::Gre),
            stream_timeout: rules.timeout(Knob::GreStream),
        });
    }
    let ProtoState::Gre(gre) = conn.proto else { unreachable!("a GRE connection keeps GRE's state") };
    if !conn.has_reply() {
        return Decision::renew(conn, switches.gre_renews, gre.timeout).because(why, Reason::GreUnreplied {});
    }
    if switches.gre_assured {
        conn.set_status(Status::ASSURED, Changes::ASSURED);
    }
    Decision::renew(conn, switches.gre_renews, gre.stream_timeout).because(why, Reason::GreStream {})
}
