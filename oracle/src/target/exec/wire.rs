//! The adapter protocol's messages: what stands on a line, in either direction.
//!
//! They say what the types of [`crate::target`] say, in words that are pleasant in any language: addresses as text,
//! bytes as hex, times as nanoseconds, keys under their protocol's names. The published schema is made of these types
//! ([`super::schema`]), and so is the manual's list. A field whose name ends in `_ns` counts nanoseconds since the
//! world began, or from now; one in `_s` whole seconds.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the protocol. Additions that an adapter may leave unread do not change it.
pub const PROTOCOL: u32 = 1;

/// What Conntruth says: one object a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Request {
    Hello(Greeting),
    Begin(Begin),
    Set(Set),
    Packet(Packet),
    Release(Release),
    Advance(Advance),
    Table(Bare),
    Expectations(Bare),
    End(Bare),
    World(World),
}

/// What an adapter answers: one object a line, one line for each request.
// Nearly all of them are of packets: a box would only cost.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Answer {
    Hello(Hello),
    Done(Bare),
    Packet(Seen),
    Events(Events),
    Table(Table),
    Expectations(Expectations),
    World(Answers),
    Unsupported(Unsupported),
    Error(Failed),
}

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

/// A message with nothing but its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Bare {}

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

/// A whole scenario, for adapters that take `worlds`. Answer with `world`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct World {
    pub begin: Begin,
    pub steps: Vec<Request>,
}

/// The answers to the steps of a world, one for each, in order. They may end with an `unsupported` or an `error`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Answers {
    pub answers: Vec<Answer>,
}

/// What became of a packet. What the adapter does not show is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Seen {
    /// What `ct state` would match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// Whether the tracker itself lets it go on. What rules do is not its doing: see `fate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The entry it belongs to or is about, as it stands after the packet; null while a new one is not confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
    /// Whether the packet belongs to that entry; taken as true where there is one. False for an INVALID packet of a
    /// known connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached: Option<bool>,
    /// The packet ended that entry, which is shown as it last stood.
    #[serde(default, skip_serializing_if = "is_false")]
    pub destroyed: bool,
    /// Why, in the implementation's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What its listeners were told of this packet, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !*value
}

/// What `ct state` would match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Class {
    /// In original direction while nothing has answered.
    New,
    /// In original direction of an answered connection.
    Established,
    /// In reply direction.
    EstablishedReply,
    /// About another connection, in original direction.
    Related,
    /// About another connection, in reply direction.
    RelatedReply,
    /// Not tracked.
    Untracked,
    /// The tracker makes nothing of it.
    Invalid,
    /// Held for reassembly: no class yet.
    Fragment,
    /// Thrown away by the IP layer before the tracker saw it.
    Discarded,
}

/// Whether a packet goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Verdict {
    Accept,
    Drop,
}

/// What ended or changed while time passed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Events {
    /// In order; empty where events are not shown.
    #[serde(default)]
    pub events: Vec<Event>,
}

/// One message to the tracker's listeners.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Event {
    /// When.
    pub at_ns: u64,
    /// What.
    pub kind: Kind,
    /// Of an update: what changed, by the kernel's names without `IPCT_`: `reply`, `assured`, `protoinfo`, ...
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// The entry as it then stood.
    pub entry: Entry,
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Confirmed.
    New,
    /// Changed.
    Update,
    /// Removed, by a packet or by its age.
    Destroy,
}

/// All entries, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Table {
    /// One for each connection.
    pub entries: Vec<Entry>,
}

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

/// It cannot do this, and that is no failure. The scenario counts as `unsupported`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Unsupported {
    /// What is missing.
    pub reason: String,
    /// Where that is discussed: a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<String>,
}

/// It went wrong. The scenario fails; the program goes on with the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Failed {
    /// What went wrong.
    pub reason: String,
    /// More for those who look for it: a function, a line, an internal state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// Bytes in hexadecimal digits, two for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hex(pub Vec<u8>);

impl Serialize for Hex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(self.0.len() * 2);
        for byte in &self.0 {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Hex, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let pair = |pair: &[u8]| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
        bytes.map(Hex).ok_or_else(|| serde::de::Error::custom("bytes are pairs of hexadecimal digits"))
    }
}

impl JsonSchema for Hex {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Hex".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^([0-9a-f]{2})*$",
            "description": "Bytes in hexadecimal digits, two for each."
        })
    }
}
