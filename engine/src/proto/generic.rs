//! Protocols without a tracker of their own: by addresses and protocol number alone, one timeout for every packet.

use super::{Decision, Rules, Segment};
use crate::reason::Reason;
use crate::sysctl::Knob;

pub(super) fn track(segment: &Segment<'_>, rules: &Rules<'_>) -> Decision {
    Decision::Renew(rules.timeout(Knob::Generic), Reason::Generic { protocol: segment.protocol })
}
