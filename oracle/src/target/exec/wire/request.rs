//! What happens in a world, as Conntruth says it.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Hex;

/// A fresh world: an empty table, time 0. Answer with `done`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Begin {
    /// The semantics that its claims are about.
    pub profile: String,
    /// Sysctls, in the order in which they are to be set.
    pub settings: Vec<Set>,
    /// Hosts that are not where their network would be, and the interface behind which each lives.
    pub routes: Vec<Route>,
    /// The rules of the tracker's host, each a line `TABLE HOOK STATEMENTS` in nftables' words: only for adapters whose
    /// `hello` says `rules`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
}

/// A sysctl takes a value. Answer with `done`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Set {
    /// Its name without what all of them begin with: `tcp_loose`.
    pub name: String,
    /// Its value.
    pub value: i64,
}

/// Where a host lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Route {
    /// Its address.
    pub address: IpAddr,
    /// The interface behind which it is.
    pub interface: String,
}

/// A packet passes through the tracker. Answer with `packet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Packet {
    /// When.
    pub at_ns: u64,
    /// Which hooks it passes.
    pub path: Path,
    /// The interface it comes in by; null for packets of the host itself.
    #[serde(rename = "in")]
    pub iif: Option<String>,
    /// The interface it would leave by; null for packets to the host itself.
    #[serde(rename = "out")]
    pub oif: Option<String>,
    /// What happens to it between tracking and confirmation.
    pub fate: Fate,
    /// A rule says not to track it.
    pub notrack: bool,
    /// The zone that a rule puts it into; 0 is the usual one.
    pub zone: u16,
    /// The mark that a rule gives its connection: before it is confirmed, or dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<u32>,
    /// The helper that a rule assigns to its connection, which is new: `ftp`. It reads this packet, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helper: Option<String>,
    /// The packet from its IP header on, in hex.
    pub bytes: Hex,
}

/// Which hooks a packet passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// PREROUTING, FORWARD, POSTROUTING.
    Forward,
    /// PREROUTING, INPUT.
    Input,
    /// OUTPUT, POSTROUTING.
    Output,
    /// OUTPUT, POSTROUTING, PREROUTING, INPUT: from the host to itself.
    Loopback,
}

/// What the scenario's rules do to a packet between tracking and confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It goes on and is confirmed.
    Passes,
    /// A rule drops it before it is confirmed.
    Dropped,
    /// It is kept there until `release`, as in a queue that a program reads.
    Waits,
}

/// A packet that waits goes on. Answer with `packet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Release {
    /// When.
    pub at_ns: u64,
    /// Which: its number among the packets of this world that were to wait, from 0.
    pub waiting: usize,
    /// How it ends.
    pub fate: Fate,
}

/// Time passes without a packet. Answer with `events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Advance {
    /// Until when, since the world began.
    pub to_ns: u64,
}
