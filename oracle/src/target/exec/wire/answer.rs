//! What an adapter says of packets and of time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, Expected, Hex};

/// What became of a packet. What the adapter does not show is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Seen {
    /// What `ct state` would match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// Whether it goes on: whether the tracker itself lets it, where rules are not the adapter's; see `fate`.
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
    /// The rule that ended it, in its words, from adapters with rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What rules sent in return, from adapters with rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<Sent>,
    /// The packet as it left, where translation has changed it: with the hop limit with which it came. From adapters with
    /// `nat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Hex>,
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

/// A packet that a rule sent: a `reject`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Sent {
    /// From its IP header on, as far as that is known.
    pub bytes: Hex,
    /// What `ct state` says of it.
    pub class: Class,
    /// Whether it went on to its end.
    pub verdict: Verdict,
}

/// What the rules have counted, from adapters with rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Counters {
    /// One for each name.
    pub counters: Vec<Counted>,
}

/// What one counter has counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Counted {
    /// Its name.
    pub name: String,
    /// Packets so far.
    pub packets: u64,
    /// Their length from the network header on.
    pub bytes: u64,
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
    /// The entry as it then stood; of an expectation the entry that has announced it.
    pub entry: Entry,
    /// Of a message about an expectation: which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expectation: Option<Expected>,
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Confirmed.
    New,
    /// Changed.
    Update,
    /// Removed, by a packet or by its age.
    Destroy,
    /// A helper expects a connection from now on.
    ExpectNew,
    /// It is not expected any more: it has come, its time is up, or its master has ended.
    ExpectDestroy,
}

/// All entries, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Table {
    /// One for each connection.
    pub entries: Vec<Entry>,
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
