//! What a rule says: a list of statements, each of them one that nftables has. No behaviour but how they are printed.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::limit::Limit;
use super::words::Field;
use crate::helper::Helper;
use crate::nat::Range;
use crate::outcome::Hook;
use crate::tuple::Family;

/// A table of rules. Here a table is a priority: each has one chain at a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// Before the tracker: `notrack`, `ct zone set`.
    Raw,
    /// Right behind the tracker.
    Mangle,
    /// Address translation.
    Nat,
    /// Where packets are let through, or not.
    Filter,
}

impl Table {
    /// In the order of their priorities.
    pub const ALL: [Table; 4] = [Table::Raw, Table::Mangle, Table::Nat, Table::Filter];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Table::Raw => "raw",
            Table::Mangle => "mangle",
            Table::Nat => "nat",
            Table::Filter => "filter",
        }
    }

    /// The priority of its chains; the tracker has -200. Destinations are translated before routes are chosen, sources at
    /// the end.
    ///
    /// Source: linux 6.18 include/uapi/linux/netfilter_ipv4.h `enum nf_ip_hook_priorities`.
    pub const fn priority(self, hook: Hook) -> i32 {
        match (self, hook) {
            (Table::Raw, _) => -300,
            (Table::Mangle, _) => -150,
            (Table::Nat, Hook::Input | Hook::Postrouting) => 100,
            (Table::Nat, _) => -100,
            (Table::Filter, _) => 0,
        }
    }

    /// Its tables at a hook, in the order in which packets meet them.
    pub const fn at(hook: Hook) -> [Table; 4] {
        match hook {
            Hook::Input | Hook::Postrouting => [Table::Raw, Table::Mangle, Table::Filter, Table::Nat],
            _ => [Table::Raw, Table::Mangle, Table::Nat, Table::Filter],
        }
    }
}

/// What happens to packets that no rule of a chain decides about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// They go on.
    #[default]
    Accept,
    /// They end.
    Drop,
}

impl Policy {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Policy::Accept => "accept",
            Policy::Drop => "drop",
        }
    }
}

/// One line of a rule set; `Display` prints it, one blank between its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rule {
    /// Its table.
    pub table: Table,
    /// Its hook.
    pub hook: Hook,
    pub(super) body: Body,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// `policy drop`
    Policy(Policy),
    /// A rule: its statements, each with its text.
    Statements(Vec<(Statement, String)>),
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Statement {
    /// `ct state new`: where it does not hold, the rule ends.
    Match(Match),
    /// `counter`, `counter name bad`
    Counter(Option<String>),
    /// `log prefix "bad "`
    Log,
    /// `limit rate 10/second`: where it does not hold, the rule ends.
    Limit(Limit),
    /// `ct mark set 5`
    Set(Target, Source),
    /// `ct helper set "ftp"`
    SetHelper(Helper),
    /// `notrack`
    Notrack,
    /// `accept`
    Accept,
    /// `drop`
    Drop,
    /// `reject with tcp reset`
    Reject(With),
    /// `snat ip to 10.0.1.254`
    Translate(Translation),
    /// Read, and not applied by this version: what it belongs to.
    Later(&'static str),
}

impl Statement {
    /// Whether nothing can follow it.
    pub(super) fn is_last(&self) -> bool {
        matches!(self, Statement::Accept | Statement::Drop | Statement::Reject(_) | Statement::Translate(_))
    }
}

/// What a `set` changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    PacketMark,
    ConnMark,
    Zone,
}

/// What it is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Number(u32),
    PacketMark,
    ConnMark,
}

/// What a `reject` sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum With {
    /// ICMP's "destination unreachable" with this code; IPv4 only.
    Icmp(u8),
    /// ICMPv6's; IPv6 only.
    Icmpv6(u8),
    /// The one of the packet's family: codes of ICMP and ICMPv6.
    Icmpx(u8, u8),
    /// A TCP segment that resets; TCP only.
    TcpReset,
}

/// What translates an end of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Translator {
    /// `snat`
    Source,
    /// `dnat`
    Destination,
    /// `masquerade`: the source, to the address of the interface by which it leaves.
    Masquerade,
    /// `redirect`: the destination, to the host itself.
    Redirect,
}

impl Translator {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Translator::Source => "snat",
            Translator::Destination => "dnat",
            Translator::Masquerade => "masquerade",
            Translator::Redirect => "redirect",
        }
    }
}

/// A translation: what of a packet it changes, and to what. It is for packets of this family, where one is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Translation {
    pub by: Translator,
    pub family: Option<Family>,
    pub range: Range,
}

/// A comparison: a field, of which some bits may count, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub field: Field,
    pub mask: Option<u128>,
    pub test: Test,
}

/// What a field must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    /// One of these bits is set.
    Any(u128),
    /// Within one of these ranges.
    In(Vec<(u128, u128)>),
    /// Within none of them.
    NotIn(Vec<(u128, u128)>),
    Less(u128),
    AtMost(u128),
    More(u128),
    AtLeast(u128),
    /// One of these names.
    Named(Vec<String>),
    /// None of these names.
    NotNamed(Vec<String>),
}

impl Rule {
    /// Whether it stands in a chain of `nat`.
    pub fn translates(&self) -> bool {
        self.table == Table::Nat
    }

    /// Whether it is a chain's policy.
    pub fn is_policy(&self) -> bool {
        self.policy().is_some()
    }

    /// The policy it sets.
    pub fn policy(&self) -> Option<Policy> {
        match self.body {
            Body::Policy(policy) => Some(policy),
            Body::Statements(_) => None,
        }
    }

    pub(crate) fn statements(&self) -> impl Iterator<Item = &Statement> {
        let statements = match &self.body {
            Body::Policy(_) => &[],
            Body::Statements(statements) => &statements[..],
        };
        statements.iter().map(|(statement, _)| statement)
    }

    /// The zone that it puts packets into.
    pub(super) fn zone(&self) -> Option<u16> {
        self.statements().find_map(|statement| match statement {
            Statement::Set(Target::Zone, Source::Number(zone)) => u16::try_from(*zone).ok(),
            _ => None,
        })
    }

    /// The named counters that it counts in.
    pub fn counters(&self) -> impl Iterator<Item = &str> {
        self.statements().filter_map(|statement| match statement {
            Statement::Counter(name) => name.as_deref(),
            _ => None,
        })
    }

    /// Its limits, in order.
    pub(crate) fn limits(&self) -> impl Iterator<Item = &Limit> {
        self.statements().filter_map(|statement| match statement {
            Statement::Limit(limit) => Some(limit),
            _ => None,
        })
    }

    /// The helpers that it assigns.
    pub fn helpers(&self) -> impl Iterator<Item = Helper> {
        self.statements().filter_map(|statement| match statement {
            Statement::SetHelper(helper) => Some(*helper),
            _ => None,
        })
    }

    /// What this version reads in it and cannot apply.
    pub fn unsupported(&self) -> Option<&'static str> {
        self.statements().find_map(|statement| match statement {
            Statement::Later(what) => Some(*what),
            _ => None,
        })
    }

    /// Its statements as `nft` reads them.
    pub(super) fn nft(&self, log_group: u16) -> String {
        let Body::Statements(statements) = &self.body else { return String::new() };
        let word = |(statement, text): &(Statement, String)| match statement {
            Statement::Log => format!("{text} group {log_group}"),
            Statement::Counter(Some(name)) => format!("counter name {NFT_COUNTER}{name}"),
            Statement::SetHelper(helper) => format!("ct helper set \"{NFT_HELPER}{}\"", helper.name()),
            Statement::Translate(Translation { by, family: Some(family), .. }) => {
                // In a table of both families `nft` wants to be told which.
                let rest = text.strip_prefix(by.word()).unwrap_or_default().trim_start();
                let rest = rest.trim_start_matches("ip6 ").trim_start_matches("ip ");
                let family = if *family == Family::Ipv4 { "ip" } else { "ip6" };
                format!("{} {family} {rest}", by.word())
            }
            _ => text.clone(),
        };
        statements.iter().map(word).collect::<Vec<_>>().join(" ")
    }
}

/// What stands before a counter's name in `nft`, which has many words that are no names.
pub(super) const NFT_COUNTER: &str = "n_";
/// What stands before a helper's name where `nft` has an object for it.
pub(super) const NFT_HELPER: &str = "h_";

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table.word(), self.hook.word())?;
        match &self.body {
            Body::Policy(policy) => write!(f, " policy {}", policy.word()),
            Body::Statements(statements) => statements.iter().try_for_each(|(_, text)| write!(f, " {text}")),
        }
    }
}

impl TryFrom<String> for Rule {
    type Error = String;

    fn try_from(text: String) -> Result<Rule, String> {
        Rule::read(&text).map_err(|error| error.to_string())
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> String {
        rule.to_string()
    }
}
