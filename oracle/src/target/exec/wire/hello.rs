//! The first messages: who speaks, and what it can do and show.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The first message. Answer with `hello`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Greeting {
    /// The protocol's version. Answer with the one that the adapter was written for.
    pub protocol: u32,
    /// The version of Conntruth.
    pub conntruth: String,
    /// The semantics that are expected: `linux-6.18`.
    pub profile: String,
}

/// Who answers, and what it can do and show. Claims about what it does not show are not compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Hello {
    /// The protocol's version that the adapter was written for: 1.
    pub protocol: u32,
    /// The implementation's name.
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// The semantics it is to be held to, where they are not those that were asked for: a name of `conntruth profiles`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Ticks a second of its timers, where they are not the profile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub hz: Option<u32>,
    /// `steps`: one message for each thing that happens, each answered before the next. `worlds`: a whole scenario in
    /// one message, answered by one; the next may come before that.
    #[serde(default)]
    pub takes: Takes,
    /// How it lets time pass.
    #[serde(default)]
    pub time: Clock,
    /// When an entry is there for good.
    #[serde(default)]
    pub confirm: Confirm,
    /// What its answers show.
    pub shows: Vec<Shown>,
    /// The protocols it has a tracker for; scenarios with others are `unsupported`. `generic` is one for all others.
    #[serde(default = "all_protocols")]
    pub protocols: Vec<Protocol>,
    /// The settings that can be made (`tcp_loose`, `udp_timeout`, ...); scenarios that need others are `unsupported`.
    /// Where it is left out, the adapter is asked each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Vec<String>>,
    /// The helpers it has: `ftp`, `sip`, ...
    #[serde(default)]
    pub helpers: Vec<String>,
    /// Address translation.
    #[serde(default)]
    pub nat: bool,
    /// Zones.
    #[serde(default)]
    pub zones: bool,
    /// Packets of its own host: the paths `input`, `output` and `loopback`.
    #[serde(default)]
    pub own_host: bool,
    /// Rules in nftables' words: `begin` has them, and no packet says what they do to it. Where this is false, the
    /// reference applies them, and each packet says what they do to it.
    #[serde(default)]
    pub rules: bool,
    /// Marks of connections, which rules set.
    #[serde(default)]
    pub marks: bool,
}

/// How much a message has in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Takes {
    /// One thing that happens.
    #[default]
    Steps,
    /// A whole scenario.
    Worlds,
}

/// How time passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// As the messages say, exactly: `at_ns` and `to_ns` are the time.
    #[default]
    Virtual,
    /// On a clock of its own. Conntruth waits before it says that time has passed, and reads timeouts with that in mind.
    Real,
    /// On a clock of its own, but `advance` makes entries older at once.
    Age,
    /// Not at all. Scenarios that need it are `unsupported`.
    None,
}

/// When an entry is there for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Confirm {
    /// When its packet has passed the last hook: a new connection whose packet is dropped leaves none.
    #[default]
    AtHook,
    /// When a rule says so. The adapter does so where the packet's fate is `passes`.
    Explicit,
    /// When its packet was looked at.
    Immediate,
}

/// Something that answers may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Shown {
    /// Whether a packet goes on: `verdict`.
    Verdict,
    /// What `ct state` would match: `class`.
    Class,
    /// Of entries: `state`.
    State,
    /// Of entries: `timeout_ns` or `timeout_s`.
    Timeout,
    /// Of entries: `status`.
    Status,
    /// All entries, when asked for the table.
    Table,
    /// `events`.
    Events,
    /// Of entries: `tcp`, `sctp` and `gre`.
    Windows,
    /// `why`, in its own words, of packets that are INVALID.
    Reasons,
}

/// A protocol that trackers are named after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Protocol {
    Tcp,
    Udp,
    Udplite,
    Icmp,
    Icmpv6,
    Sctp,
    Gre,
    Generic,
}

fn all_protocols() -> Vec<Protocol> {
    use Protocol::{Generic, Gre, Icmp, Icmpv6, Sctp, Tcp, Udp, Udplite};
    vec![Tcp, Udp, Udplite, Icmp, Icmpv6, Sctp, Gre, Generic]
}
