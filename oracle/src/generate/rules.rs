//! Rule sets: lines of every kind of statement that there is, at every hook, about what generated traffic has. Addresses
//! are compared by the bits that say which host it is, since every world has addresses of its own.

use std::cell::RefCell;

use conntruth_engine::Rule;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::Choices;

/// Where a rule can stand, and how often it does.
const PLACES: &[(u8, &str)] = &[
    (5, "raw prerouting"),
    (4, "mangle prerouting"),
    (2, "filter prerouting"),
    (3, "mangle forward"),
    (8, "filter forward"),
    (2, "mangle postrouting"),
    (1, "filter postrouting"),
    (1, "raw output"),
    (2, "mangle output"),
    (2, "filter output"),
];

/// Comparisons, behind the tracker or anywhere.
#[rustfmt::skip]
const MATCHES: &[&str] = &[
    "ct state new", "ct state established", "ct state invalid", "ct state related", "ct state untracked",
    "ct state established,related", "ct state != new", "ct state != invalid", "ct state { new, untracked }",
    "ct direction original", "ct direction reply", "ct direction != original",
    "ct status assured", "ct status seen-reply", "ct status confirmed", "ct status seen-reply,assured",
    "ct status & (seen-reply|assured) == seen-reply", "ct status != confirmed", "ct status dying",
    "ct mark 0", "ct mark 1", "ct mark != 0", "ct mark & 0x3 == 2", "ct mark { 1, 4-6 }", "ct mark > 2",
    "meta mark 0", "meta mark 1", "meta mark != 0", "meta mark & 0x4 != 0", "meta mark 2-5", "meta mark <= 3",
    "ct zone 0", "ct zone 1", "ct zone { 1, 3 }", "ct zone != 2",
    "iifname inside", "iifname != inside", "iifname { inside, lo }", "oifname outside", "oifname != outside",
    "ip saddr & 0.0.0.3 == 0.0.0.1", "ip daddr & 0.0.0.3 != 0.0.0.1", "ip saddr 10.0.0.0/8", "ip daddr != 10.0.0.0/8",
    "ip6 saddr & ::3 == ::1", "ip6 daddr & ::3 != ::1", "ip6 saddr fd00:a::/32",
    "ip protocol tcp", "ip protocol != tcp", "ip protocol { icmp, udp, 89 }", "ip6 nexthdr tcp", "ip6 nexthdr != udp",
    "ip dscp 0", "ip dscp != 0", "ip6 dscp 0", "ip ttl 64", "ip ttl 63", "ip ttl < 64", "ip6 hoplimit 63-64",
    "ip length < 60", "ip6 length > 40",
    "meta l4proto tcp", "meta l4proto != tcp", "meta l4proto { udp, sctp, 47 }", "meta nfproto ipv6",
    "tcp dport 80", "tcp sport 80", "tcp dport != 80", "tcp dport { 53, 80-443 }", "tcp sport > 1024",
    "tcp flags syn", "tcp flags & (syn|ack) == syn", "tcp flags & (fin|syn|rst|ack) != syn", "tcp flags != ack",
    "tcp flags & rst == rst", "tcp flags syn,fin / syn,fin,rst", "tcp flags { syn, ack, psh|ack }", "tcp flags psh",
    "udp dport 53", "udp sport != 53", "udp dport < 1000", "sctp dport { 80, 53 }", "sctp sport 40000",
    "icmp type echo-request", "icmp type { echo-reply, destination-unreachable, 13 }", "icmp code 0",
    "icmpv6 type echo-request", "icmpv6 type != { echo-request, echo-reply }", "icmpv6 code 4",
];

/// What a rule does and goes on.
const STEPS: &[&str] = &[
    "counter",
    "counter name c",
    "ct mark set 1",
    "ct mark set 2",
    "ct mark set 5",
    "ct mark set meta mark",
    "meta mark set 1",
    "meta mark set 4",
    "meta mark set ct mark",
    "log prefix \"generated\"",
];

/// How a rule ends.
const ENDS: &[(u8, &str)] = &[
    (6, ""),
    (4, "accept"),
    (4, "drop"),
    (3, "reject"),
    (3, "reject with tcp reset"),
    (1, "reject with icmp host-unreachable"),
    (1, "reject with icmpx admin-prohibited"),
    (1, "reject with icmpv6 no-route"),
];

/// How one in raw ends.
const RAW_ENDS: &[(u8, &str)] = &[
    (3, ""),
    (4, "notrack"),
    (3, "ct zone set 1"),
    (2, "ct zone set 2"),
    (1, "ct zone set 3"),
    (1, "notrack ct zone set 1"),
    (1, "accept"),
    (2, "drop"),
];

/// Some rules.
pub(super) fn rules(choices: &mut Choices<'_, '_>) -> Vec<Rule> {
    let count = 1 + choices.below(9);
    let mut rules = Vec::new();
    // What cannot be said is left out: two matches that no packet fits, a reject in POSTROUTING.
    while rules.len() < count {
        match read(line(choices)) {
            Some(rule) => rules.push(rule),
            None if choices.byte() == 0 => break,
            None => {}
        }
    }
    rules
}

/// So many lines are known at a time.
const KNOWN: usize = 4096;

/// Reads a line. A fuzzer's inputs have most lines in common, and reading one takes as long as a packet.
pub(super) fn read(line: String) -> Option<Rule> {
    thread_local! {
        static READ: RefCell<HashMap<String, Option<Rule>, FixedState>> =
            const { RefCell::new(HashMap::with_hasher(FixedState::with_seed(0))) };
    }
    READ.with_borrow_mut(|read| {
        if let Some(rule) = read.get(&line) {
            return rule.clone();
        }
        if read.len() >= KNOWN {
            read.clear();
        }
        let rule = Rule::read(&line).ok();
        read.insert(line, rule.clone());
        rule
    })
}

fn line(choices: &mut Choices<'_, '_>) -> String {
    let place = choices.weighed(PLACES);
    let is_raw = place.starts_with("raw");
    if !is_raw && choices.one_in(24) {
        let policy = choices.pick(&["accept", "drop"]);
        return format!("{place} policy {policy}");
    }
    let mut words = vec![place];
    let matches = choices.pick(&[1, 1, 2, 2, 3, 0]);
    for _ in 0..matches {
        words.push(choices.pick(MATCHES));
    }
    for _ in 0..choices.pick(&[0, 1, 1, 2]) {
        words.push(choices.pick(STEPS));
    }
    let end = choices.weighed(if is_raw { RAW_ENDS } else { ENDS });
    // Without a match a verdict is for all packets: then there is little to see.
    if !end.is_empty() && (matches > 0 || choices.one_in(6)) {
        words.push(end);
    }
    if words.len() == 1 {
        words.push("counter");
    }
    words.join(" ")
}
