//! SCTP: placeholder until the tracker lands.
use super::{Decision, Rules, Segment};
use crate::conn::Conn;
use crate::reason::Reason;
use crate::snapshot::ProtoInfo;
use crate::sysctl::Knob;
use crate::tuple::Direction;
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sctp;
impl Sctp {
    pub(super) fn info(&self) -> ProtoInfo {
        ProtoInfo::Stateless
    }
}
pub(super) fn track(_: &mut Conn, _: Direction, segment: &Segment<'_>, rules: &Rules<'_>) -> Decision {
    Decision::Renew(rules.timeout(Knob::SctpClosed), Reason::Generic { protocol: segment.protocol })
}
