//! Protocols without a tracker of their own: by addresses and protocol number alone, one timeout for every packet.

use super::{Decision, Rules, Segment};
use crate::conn::Conn;
use crate::reason::Reason;
use crate::sysctl::Knob;

pub(super) fn track(conn: &Conn, segment: &Segment<'_>, rules: &Rules, why: &mut Reason) -> Decision {
    let timeout = rules.timeout(Knob::Generic);
    Decision::renew(conn, rules.profile.switches.generic_renews, timeout)
        .because(why, Reason::Generic { protocol: segment.protocol })
}
