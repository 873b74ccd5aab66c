//! Protocols without a tracker of their own: by addresses and protocol number alone, one timeout for every packet.

use super::{Decision, Rules, Segment};
use crate::reason::Reason;
use crate::sysctl::Knob;

pub(super) fn track(segment: &Segment<'_>, rules: &Rules, why: &mut Reason) -> Decision {
    Decision::Renew(rules.timeout(Knob::Generic)).because(why, Reason::Generic { protocol: segment.protocol })
}
