//! Rules: the part of nftables' language that concerns connection tracking, as a value that can be read, checked,
//! printed and evaluated. A rule is a line `TABLE HOOK statements` in nftables' own words; a [`RuleSet`] is its lines.
//!
//! ```text
//! text ── read ──> RuleSet ── Firewall (chains, counters) ── Engine::walk: each hook runs its chains ──> verdict
//! ```
//!
//! `words` are the tables of what can be said, `statement` what is said, `read` makes one of the other; `view` is what a
//! rule sees of a packet, `evaluate` runs a chain over it, and `reject` builds the packets that `reject` sends; `saved` keeps
//! all of it. Nothing here knows the tracker: what a rule sees of a connection is copied in, and the mark it sets copied out.
//!
//! What belongs to labels is read, and [`Rule::unsupported`] says so.

mod evaluate;
mod limit;
mod read;
mod reject;
mod saved;
mod statement;
mod view;
mod words;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::helper::Helper;
use crate::outcome::Hook;
use crate::snapshot::Counter;
use crate::time::Time;
use crate::tuple::{Addr, Family, protocol};

pub(crate) use evaluate::{ConnView, Passing, Sighted, Verdict as ChainVerdict};
use limit::{Bucket, Limit};
pub use read::RuleError;
pub(crate) use reject::answer;
pub use saved::FirewallState;
use statement::{NFT_COUNTER, NFT_HELPER};
pub use statement::{Policy, Rule, Table};
pub(crate) use statement::{Translation, Translator, With};
pub(crate) use view::View;

/// A rule set: its lines, in order.
///
/// ```
/// use conntruth_engine::RuleSet;
///
/// let rules = RuleSet::read(["filter forward policy drop", "filter forward ct state established accept"]).unwrap();
/// assert_eq!(rules.rules().len(), 2);
/// let (line, error) = RuleSet::read(["filter forward ct state establishd accept"]).unwrap_err();
/// assert_eq!((line, error.nearest.as_deref()), (0, Some("established")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct RuleSet {
    rules: Vec<Rule>,
}

impl RuleSet {
    /// Rules with every kind of statement, field, comparison and value, each as it is printed: for tests of all that must
    /// know them.
    pub const EVERY: &'static [&'static str] = &[
        "filter forward ct state established, related accept",
        "filter forward ct state != new drop",
        "filter forward ct state { new, untracked } drop",
        "filter forward ct status seen-reply, assured accept",
        "filter forward ct status & (seen-reply|assured) == seen-reply accept",
        "filter forward ct direction != original accept",
        "filter forward ct mark & 0xff == 5 accept",
        "filter forward ct mark { 1, 3-5 } accept",
        "filter forward ct zone != 2 accept",
        "filter forward ct expiration 10s-1m30s accept",
        "filter forward ct expiration > 1d accept",
        "filter forward ct helper \"ftp\" accept",
        "mangle prerouting tcp dport 21 ct helper set \"ftp\"",
        "filter forward meta mark <= 7 accept",
        "filter forward meta l4proto { tcp, udp, 99 } accept",
        "filter forward meta nfproto ipv6 accept",
        "filter forward iifname inside oifname != { outside, lo } accept",
        "filter forward ip saddr 10.0.0.0/8 ip daddr != 10.0.1.1-10.0.1.9 accept",
        "filter forward ip saddr & 0.0.0.3 == 0.0.0.1 accept",
        "filter forward ip6 saddr { fd00:a::1, fd00:b::/32 } accept",
        "filter forward ip protocol icmp accept",
        "filter forward ip dscp ef ip ttl < 5 ip length > 60 accept",
        "filter forward ip6 nexthdr icmpv6 ip6 dscp cs1 ip6 hoplimit 64 accept",
        "filter forward tcp flags & (fin|syn|rst|ack) == syn accept",
        "filter forward tcp flags syn, ack / syn, ack, rst accept",
        "filter forward tcp sport > 1023 tcp dport { 22, 80-90 } accept",
        "filter forward udp dport 53 accept",
        "filter forward sctp dport != 5 accept",
        "filter forward icmp type { echo-request, 13 } icmp code 0 accept",
        "filter forward icmpv6 type != packet-too-big accept",
        "filter input counter counter name bad log log prefix \"bad: \" drop",
        "filter output reject",
        "filter output reject with tcp reset",
        "filter output reject with icmp host-prohibited",
        "filter output reject with icmpv6 policy-fail",
        "mangle prerouting reject with icmpx admin-prohibited",
        "mangle postrouting ct mark set 7 meta mark set ct mark ct mark set meta mark accept",
        "raw prerouting notrack",
        "raw output ct zone set 7",
        "nat prerouting dnat to 10.0.0.1",
        "nat prerouting tcp dport 80 dnat ip to 10.0.0.1-10.0.0.9:8080-8090 random, persistent",
        "nat prerouting udp dport 53 dnat ip6 to [fd00:a::1]:53",
        "nat prerouting tcp dport 81 dnat to :80",
        "nat output tcp dport 80 redirect to :8080-8081 random",
        "nat prerouting redirect",
        "nat input ct state new snat ip6 to fd00:b::fe",
        "nat postrouting meta l4proto { tcp, udp } snat to 10.0.1.250-10.0.1.253:1024-2047 fully-random",
        "nat postrouting icmp type echo-request snat ip to 10.0.1.250:5-9",
        "nat postrouting oifname outside masquerade persistent",
        "nat postrouting meta l4proto tcp masquerade to :1024-1033",
        "nat postrouting policy drop",
        "filter forward limit rate 10/second accept",
        "filter forward limit rate over 3/hour burst 2 packets drop",
        "filter forward limit rate 20 kbytes/minute burst 2 mbytes counter accept",
        "filter forward limit rate over 1 bytes/week drop",
        "filter forward policy drop",
    ];

    /// Reads the lines of a rule set.
    ///
    /// # Errors
    /// The first line that cannot be read, and why.
    pub fn read<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) -> Result<RuleSet, (usize, RuleError)> {
        let mut rules = RuleSet::default();
        for (index, line) in lines.into_iter().enumerate() {
            let rule = Rule::read(line.as_ref()).map_err(|error| (index, error))?;
            rules.push(rule);
        }
        Ok(rules)
    }

    /// Adds a rule at the end.
    pub fn push(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// Its lines.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule counts time: what it says then depends on when packets come.
    pub fn has_limits(&self) -> bool {
        self.rules.iter().any(|rule| rule.limits().next().is_some())
    }

    /// Whether there is a chain of `nat`.
    pub fn translates(&self) -> bool {
        self.rules.iter().any(Rule::translates)
    }

    /// The named counters, in order, each once.
    pub fn counters(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.rules.iter().flat_map(Rule::counters).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The helpers that rules assign, each once.
    pub fn helpers(&self) -> Vec<Helper> {
        let mut helpers: Vec<Helper> = self.rules.iter().flat_map(Rule::helpers).collect();
        helpers.sort_unstable();
        helpers.dedup();
        helpers
    }

    /// The zones that rules put packets into, each once.
    pub fn zones(&self) -> Vec<u16> {
        let mut zones: Vec<u16> = self.rules.iter().filter_map(Rule::zone).collect();
        zones.sort_unstable();
        zones.dedup();
        zones
    }

    /// The name of a counter where `nft` has this one.
    pub fn counter_of_nft(name: &str) -> &str {
        name.strip_prefix(NFT_COUNTER).unwrap_or(name)
    }

    /// The first rule that this version reads and cannot apply, and what it belongs to.
    pub fn unsupported(&self) -> Option<(&Rule, &'static str)> {
        self.rules.iter().find_map(|rule| Some((rule, rule.unsupported()?)))
    }

    /// The whole set in the words that `nft -f` reads: one table, its chains by hook and priority. Log lines go to NFLOG
    /// group `log_group`, so that they are nobody else's; counters have names that are no words of `nft`, see
    /// [`RuleSet::counter_of_nft`].
    pub fn to_nft(&self, table: &str, log_group: u16) -> String {
        use std::fmt::Write;

        let mut text = format!("table inet {table} {{\n");
        for counter in self.counters() {
            let _ = writeln!(text, "counter {NFT_COUNTER}{counter} {{ }}");
        }
        for helper in self.helpers() {
            let name = helper.name();
            let protocol = if helper.info().protocols.contains(&protocol::TCP) { "tcp" } else { "udp" };
            let _ = writeln!(text, "ct helper {NFT_HELPER}{name} {{ type \"{name}\" protocol {protocol}; }}");
        }
        for hook in Hook::ALL {
            for kind in Table::ALL {
                let mut rules =
                    self.rules.iter().filter(|rule| (rule.table, rule.hook) == (kind, hook)).peekable();
                if rules.peek().is_none() {
                    continue;
                }
                let policy = self.policy(kind, hook);
                let (word, hook_word) = (kind.word(), hook.word());
                let _ = writeln!(
                    text,
                    "chain {word}_{hook_word} {{\ntype {} hook {hook_word} priority {}; policy {};",
                    if kind == Table::Nat { "nat" } else { "filter" },
                    kind.priority(hook),
                    policy.word()
                );
                for rule in rules.filter(|rule| !rule.is_policy()) {
                    let _ = writeln!(text, "{}", rule.nft(log_group));
                }
                text.push_str("}\n");
            }
        }
        text.push_str("}\n");
        text
    }

    /// What happens to packets that no rule of a chain decides about: the last `policy` of the chain.
    fn policy(&self, table: Table, hook: Hook) -> Policy {
        let of_chain = |rule: &&Rule| (rule.table, rule.hook) == (table, hook);
        self.rules.iter().filter(of_chain).filter_map(Rule::policy).next_back().unwrap_or_default()
    }
}

impl TryFrom<Vec<String>> for RuleSet {
    type Error = String;

    fn try_from(lines: Vec<String>) -> Result<RuleSet, String> {
        RuleSet::read(&lines).map_err(|(index, error)| format!("rule {}: {error}", index + 1))
    }
}

impl From<RuleSet> for Vec<String> {
    fn from(rules: RuleSet) -> Vec<String> {
        rules.rules.iter().map(ToString::to_string).collect()
    }
}

/// An interface of the host that the rules are on: answers need an address to come from, and a way to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name, as `iifname` compares it.
    pub name: String,
    /// The host's own addresses there.
    pub addresses: Vec<(Family, Addr)>,
    /// Networks behind it: an address of each, and how many of its bits count. The longest that fits is the way.
    pub networks: Vec<(Family, Addr, u8)>,
}

/// A rule set at work on a host: its chains in the order in which packets meet them, and its counters.
#[derive(Clone, Debug)]
pub struct Firewall {
    chains: Vec<Chain>,
    translates: bool,
    counters: Vec<(String, Counter)>,
    interfaces: Vec<Interface>,
    /// The time of the packet at hand.
    now: Time,
}

/// The rules of one table at one hook.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub table: Table,
    pub hook: Hook,
    pub policy: Policy,
    pub rules: Vec<Rule>,
    /// Those of its rules' limits, in order.
    pub buckets: Vec<Bucket>,
}

/// The loopback interface's name.
pub(crate) const LOOPBACK: &str = "lo";

impl Firewall {
    /// These rules on a host with these interfaces.
    pub fn new(rules: &RuleSet, interfaces: Vec<Interface>) -> Firewall {
        let mut chains = Vec::new();
        for hook in Hook::ALL {
            for table in Table::at(hook) {
                let own: Vec<Rule> = rules
                    .rules
                    .iter()
                    .filter(|rule| (rule.table, rule.hook) == (table, hook))
                    .cloned()
                    .collect();
                if !own.is_empty() {
                    let policy = rules.policy(table, hook);
                    let buckets = own.iter().flat_map(Rule::limits).map(Limit::bucket).collect();
                    chains.push(Chain { table, hook, policy, rules: own, buckets });
                }
            }
        }
        let counters =
            rules.counters().into_iter().map(|name| (name.to_owned(), Counter::default())).collect();
        Firewall { chains, translates: rules.translates(), counters, interfaces, now: Time::ZERO }
    }

    /// A packet comes at this time.
    pub(crate) fn set_now(&mut self, now: Time) {
        self.now = now;
    }

    /// The named counters: packets and bytes so far, in the order of their names.
    pub fn counters(&self) -> impl Iterator<Item = (&str, Counter)> {
        self.counters.iter().map(|(name, counter)| (&**name, *counter))
    }

    /// Whether there is a chain of `nat`: then every connection's translation is decided, though it may be none.
    pub(crate) fn translates(&self) -> bool {
        self.translates
    }

    /// Whether a table has a chain at a hook.
    pub(crate) fn has(&self, table: Table, hook: Hook) -> bool {
        self.chains.iter().any(|chain| (chain.table, chain.hook) == (table, hook))
    }

    /// Runs the chain of a table at a hook, if there is one.
    pub(crate) fn run(&mut self, table: Table, hook: Hook, passing: &mut Passing<'_>) -> ChainVerdict {
        match self.chains.iter_mut().find(|chain| (chain.table, chain.hook) == (table, hook)) {
            Some(chain) => evaluate::run(chain, self.now, passing, &mut self.counters),
            None => ChainVerdict::Accept,
        }
    }

    /// The interface by which an address is reached: the loopback for the host's own.
    pub(crate) fn way_to(&self, family: Family, address: Addr) -> &str {
        if self.is_own(family, address) {
            return LOOPBACK;
        }
        let networks = self
            .interfaces
            .iter()
            .flat_map(|interface| interface.networks.iter().map(|network| (&*interface.name, network)));
        let fits = networks.filter(|(_, (of, network, length))| {
            *of == family && view::shares_prefix(family, *network, address, *length)
        });
        fits.max_by_key(|(_, (_, _, length))| *length).map_or("", |(name, _)| name)
    }

    /// Whether an address is the host's own.
    pub(crate) fn is_own(&self, family: Family, address: Addr) -> bool {
        self.interfaces.iter().any(|interface| interface.addresses.contains(&(family, address)))
    }

    /// The host's first address.
    pub(crate) fn first_address(&self, family: Family) -> Option<Addr> {
        let mut all = self.interfaces.iter().flat_map(|interface| &interface.addresses);
        all.find(|(of, _)| *of == family).map(|(_, address)| *address)
    }

    /// The address from which the host speaks on an interface.
    pub(crate) fn address_on(&self, name: &str, family: Family) -> Option<Addr> {
        let interface = self.interfaces.iter().find(|interface| interface.name == name)?;
        interface.addresses.iter().find(|(of, _)| *of == family).map(|(_, address)| *address)
    }
}
