//! Entries, and the connections that helpers expect.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An entry at one moment. What the adapter does not show is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Entry {
    /// A number that no other entry of this world has, for its whole life. Where it is left out, entries with the same
    /// original keys are taken as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// The IP protocol's number.
    pub protocol: u8,
    /// The keys of packets that travel as the first one did.
    pub original: Keys,
    /// The keys of answers. Where it is left out, those of `original` turned around.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Keys>,
    /// The state's word, as the kernel lists it: `SYN_SENT`, `ESTABLISHED`, ...; left out for protocols without states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Time left, exactly; or, with `timeout_most_ns`, the least it may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ns: Option<u64>,
    /// The most time that may be left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_most_ns: Option<u64>,
    /// Time left in whole seconds, rounded down, where nothing finer is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
    /// The status bits, by the kernel's names without `IPS_`: `SEEN_REPLY`, `ASSURED`, `CONFIRMED`, ...
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<Status>,
    /// The connection mark.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mark: u32,
    /// The zone.
    #[serde(default, skip_serializing_if = "is_zone_zero")]
    pub zone: u16,
    /// The helper's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helper: Option<String>,
    /// The `id` of the entry that announced this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<u64>,
    /// Packets and bytes, where they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<Sides<Counter>>,
    /// Whole seconds since it was confirmed, where that is noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lived_s: Option<u64>,
    /// TCP's windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<Sides<Window>>,
    /// SCTP's verification tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sctp: Option<Sides<u32>>,
    /// GRE's two timeouts, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gre: Option<Timeouts>,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zone_zero(value: &u16) -> bool {
    *value == 0
}

/// What identifies a connection in one direction: the addresses, and the keys of its protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Keys {
    /// Source address.
    pub src: IpAddr,
    /// Destination address, of the same family.
    pub dst: IpAddr,
    /// TCP, UDP, UDP-Lite, SCTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sport: Option<u16>,
    /// TCP, UDP, UDP-Lite, SCTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dport: Option<u16>,
    /// ICMP and ICMPv6.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<u8>,
    /// ICMP and ICMPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
    /// ICMP and ICMPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u16>,
    /// GRE with keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub srckey: Option<u16>,
    /// GRE with keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dstkey: Option<u16>,
}

/// A status bit, by the kernel's name without `IPS_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum Status {
    Expected,
    SeenReply,
    Assured,
    Confirmed,
    SrcNat,
    DstNat,
    SeqAdjust,
    SrcNatDone,
    DstNatDone,
    Dying,
    FixedTimeout,
    Helper,
}

/// Something of both senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Sides<T> {
    /// Of the one that sent the first packet.
    pub original: T,
    /// Of the other.
    pub reply: T,
}

/// Packets and bytes of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Counter {
    /// Packets that the tracker accepted.
    pub packets: u64,
    /// Their length from the network header on.
    pub bytes: u64,
}

/// What TCP's window tracker keeps of one sender, by the kernel's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Window {
    pub td_end: u32,
    pub td_maxend: u32,
    pub td_maxwin: u32,
    pub td_maxack: u32,
    pub td_scale: u8,
    /// The kernel's `IP_CT_TCP_FLAG_*` bits.
    pub td_flags: u8,
}

/// GRE's two timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Timeouts {
    pub timeout_s: u32,
    pub stream_timeout_s: u32,
}

/// All connections that helpers expect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Expectations {
    /// In no order.
    pub expectations: Vec<Expected>,
}

/// A connection that a helper expects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Expected {
    /// The IP protocol's number.
    pub protocol: u8,
    /// The keys that its first packet will have, as far as `mask` has bits.
    pub keys: Keys,
    /// The bits that must be equal.
    pub mask: Keys,
    /// The IP protocol's number of the connection whose helper expects it.
    pub master_protocol: u8,
    /// The original keys of that connection.
    pub master: Keys,
    /// Time left, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ns: Option<u64>,
    /// Time left in whole seconds, rounded down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
    /// The helper's name.
    pub helper: String,
    /// The helper's class of expectations.
    #[serde(default)]
    pub class: u32,
    /// The kernel's `NF_CT_EXPECT_*` bits.
    #[serde(default)]
    pub flags: u32,
    /// The zone.
    #[serde(default)]
    pub zone: u16,
}
