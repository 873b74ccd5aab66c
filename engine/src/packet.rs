//! A packet as it is handed to the tracker: bytes, and what the host knows beside them.

use serde::{Deserialize, Serialize};

/// Who has verified the transport checksum.
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checksum {
    /// Nobody: the tracker does, when it comes in and `nf_conntrack_checksum` is on.
    #[default]
    Verify,
    /// The network card, or nobody can because the capture cut it off: taken as right.
    Trusted,
}

/// A packet from its network header on.
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The bytes. What a link adds behind the packet is cut off by the lengths in the headers.
    pub bytes: &'a [u8],
    /// Who has verified the checksum.
    pub checksum: Checksum,
    /// A rule before the tracker says `notrack`.
    pub notrack: bool,
    /// The zone that a rule before the tracker sets.
    pub zone: u16,
    /// Segmentation offload: an IP total length of zero means all bytes.
    pub offload: bool,
}

impl<'a> Packet<'a> {
    /// A packet as it comes off a wire, with no rule before the tracker.
    pub fn new(bytes: &'a [u8]) -> Packet<'a> {
        Packet { bytes, checksum: Checksum::Verify, notrack: false, zone: 0, offload: false }
    }

    /// Whether its transport checksum is not to be looked at.
    pub(crate) fn is_trusted(&self) -> bool {
        self.checksum == Checksum::Trusted || self.offload
    }
}
