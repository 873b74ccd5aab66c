//! Worlds in which addresses are translated: rules of `nat`, and flows between few hosts and few ports, so that many want
//! the same.

use conntruth_engine::{Family, Rule};

use super::{Choices, Feature, Features, Protocols, Speaks};

/// Where a rule stands, and how often.
const PLACES: &[(u8, Place)] =
    &[(5, Place::Prerouting), (6, Place::Postrouting), (1, Place::Output), (1, Place::Input)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Prerouting,
    Input,
    Output,
    Postrouting,
}

impl Place {
    const fn word(self) -> &'static str {
        match self {
            Place::Prerouting => "prerouting",
            Place::Input => "input",
            Place::Output => "output",
            Place::Postrouting => "postrouting",
        }
    }
}

/// For which packets a rule is.
#[rustfmt::skip]
const MATCHES: &[&str] = &[
    "", "", "", "iifname inside", "iifname outside", "oifname outside", "oifname outside", "oifname inside", "oifname lo",
    "tcp dport 80", "udp dport 53", "tcp dport { 53, 80-8080 }", "tcp sport 40000", "udp sport > 1023",
    "meta l4proto tcp", "meta l4proto udp", "meta l4proto icmp", "meta l4proto ipv6-icmp", "meta l4proto { tcp, udp }",
    "meta l4proto sctp", "meta l4proto gre", "meta l4proto 99", "meta nfproto ipv4", "meta nfproto ipv6",
    "ip daddr 10.0.1.254", "ip daddr 10.0.1.1", "ip saddr 10.0.0.1", "ip saddr 10.0.0.0/24", "ip6 daddr fd00:b::fe",
    "ip6 saddr fd00:a::1", "ct state new", "ct direction original", "ct status snat", "ct status dnat", "ct status & (snat|dnat) == 0",
    "icmp type echo-request", "icmpv6 type echo-request", "ct mark 1", "meta mark 4", "ct zone 1",
];

/// What a rule does beside.
const STEPS: &[(u8, &str)] =
    &[(12, ""), (2, "counter name c"), (1, "ct mark set 1"), (1, "meta mark set 4"), (1, "counter")];

/// Addresses to translate to: hosts, the tracker's own, and some that nobody has; ranges small and large.
#[rustfmt::skip]
const ADDRESSES: [&[&str]; 2] = [
    &["10.0.0.1", "10.0.0.2", "10.0.1.1", "10.0.1.2", "10.0.1.254", "10.0.0.254", "10.0.1.250", "10.0.1.250-10.0.1.251",
      "10.0.0.1-10.0.0.2", "10.0.1.1-10.0.1.2", "10.0.1.200-10.0.1.250", "10.0.0.1-10.0.1.200"],
    &["fd00:a::1", "fd00:a::2", "fd00:b::1", "fd00:b::2", "fd00:b::fe", "fd00:a::fe", "fd00:b::250", "fd00:b::250-fd00:b::251",
      "fd00:a::1-fd00:a::2", "fd00:b::1-fd00:b::2", "fd00:b::200-fd00:b:1::5", "fd00:a::1-fd00:b::9"],
];

/// Ports to translate to; of ICMP identifiers.
const PORTS: [&str; 12] = [
    "40000",
    "80",
    "8080",
    "40000-40001",
    "40000-40002",
    "80-81",
    "7000-7003",
    "7-8",
    "1-65535",
    "30000-60000",
    "600-603",
    "0-5",
];

const FLAGS: &[(u8, &str)] =
    &[(8, ""), (2, "random"), (2, "fully-random"), (3, "persistent"), (1, "random, persistent")];

/// Some rules, `nat`'s first.
pub(super) fn rules(choices: &mut Choices<'_, '_>) -> Vec<Rule> {
    let count = 1 + choices.below(5);
    let mut rules = Vec::new();
    while rules.len() < count {
        match super::rules::read(line(choices)) {
            Some(rule) => rules.push(rule),
            None if choices.byte() == 0 => break,
            None => {}
        }
    }
    if rules.is_empty() {
        rules.extend(Rule::read("nat postrouting oifname outside masquerade"));
    }
    if choices.one_in(5) {
        rules.extend(super::rules::rules(choices));
    }
    rules
}

fn line(choices: &mut Choices<'_, '_>) -> String {
    let place = choices.weighed(PLACES);
    let mut words = vec!["nat".to_owned(), place.word().to_owned()];
    let mut add = |word: &str| {
        if !word.is_empty() {
            words.push(word.to_owned());
        }
    };
    add(choices.pick(MATCHES));
    if choices.one_in(4) {
        add(choices.pick(MATCHES));
    }
    add(choices.weighed(STEPS));
    let end = match choices.below(24) {
        0 => "accept".to_owned(),
        1 => "drop".to_owned(),
        2 => return format!("nat {} policy {}", place.word(), choices.pick(&["accept", "drop"])),
        _ => translator(choices, place),
    };
    add(&end);
    words.join(" ")
}

fn translator(choices: &mut Choices<'_, '_>, place: Place) -> String {
    let is_source = matches!(place, Place::Input | Place::Postrouting);
    let own = place == Place::Postrouting && choices.below(2) == 0 || !is_source && choices.one_in(3);
    let ports = (choices.below(2) == 0).then(|| choices.pick(&PORTS));
    let flags = choices.weighed(FLAGS);
    let mut text = match (is_source, own) {
        (true, true) => "masquerade".to_owned(),
        (false, true) => "redirect".to_owned(),
        (true, false) => "snat".to_owned(),
        (false, false) => "dnat".to_owned(),
    };
    let is_v6 = choices.one_in(4);
    match (own, ports) {
        (true, Some(ports)) => text.push_str(&format!(" to :{ports}")),
        (true, None) => {}
        (false, Some(ports)) if choices.one_in(8) => text.push_str(&format!(" to :{ports}")),
        (false, ports) => {
            let address = choices.pick(ADDRESSES[usize::from(is_v6)]);
            text.push_str(if is_v6 { " ip6 to " } else { " ip to " });
            match ports {
                Some(ports) if is_v6 => {
                    let ends: Vec<String> = address.split('-').map(|end| format!("[{end}]")).collect();
                    text.push_str(&format!("{}:{ports}", ends.join("-")));
                }
                Some(ports) => text.push_str(&format!("{address}:{ports}")),
                None => text.push_str(address),
            }
        }
    }
    if !flags.is_empty() {
        text.push(' ');
        text.push_str(flags);
    }
    text
}

/// What flows of such worlds speak, as often as they do.
const SPEAK: &[(u8, Speaks)] = &[
    (8, Speaks::Tcp),
    (7, Speaks::Udp),
    (4, Speaks::Icmp),
    (1, Speaks::UdpLite),
    (2, Speaks::Sctp),
    (1, Speaks::Gre),
    (1, Speaks::Generic),
];

/// What a flow of such a world speaks.
pub(super) fn speaks(choices: &mut Choices<'_, '_>) -> Speaks {
    choices.weighed(SPEAK)
}

/// From whom to whom flows go: most from inside to outside.
const ENDS: &[(u8, (&str, &str))] = &[
    (6, ("client", "server")),
    (5, ("ann", "server")),
    (2, ("client", "ben")),
    (2, ("ann", "ben")),
    (2, ("client", "box")),
    (1, ("ann", "box")),
    (4, ("server", "box")),
    (2, ("ben", "box")),
    (2, ("server", "client")),
    (1, ("ben", "ann")),
    (2, ("box", "server")),
    (1, ("box", "client")),
    (1, ("client", "ann")),
];

/// The ends of a flow, and its ports.
pub(super) fn ends(choices: &mut Choices<'_, '_>) -> ((&'static str, &'static str), [u16; 2]) {
    let ends = choices.weighed(ENDS);
    let from = choices.pick(&[40_000, 40_000, 40_000, 40_001, 40_002, 500, 1023, 80]);
    let to = choices.pick(&[80, 80, 80, 53, 8080, 40_000]);
    (ends, [from, to])
}

/// The identifiers of echoes.
pub(super) const IDS: [u16; 4] = [7, 7, 8, 0];

/// The protocols of such worlds, whatever else is asked for.
pub(super) const PROTOCOLS: Protocols = Protocols::NONE.with(Speaks::Nat);

/// What may occur in them: no pieces and no odd headers, which are no business of translation; and nothing that has its
/// place at FORWARD alone.
pub(super) fn features(features: Features) -> Features {
    [Feature::Fragments, Feature::Headers, Feature::Pokes, Feature::Lost, Feature::Time]
        .into_iter()
        .fold(features.with(Feature::Several), Features::without)
}

/// The family of such a world.
pub(super) fn family(choices: &mut Choices<'_, '_>, ipv6: bool) -> Family {
    if ipv6 && choices.one_in(4) { Family::Ipv6 } else { Family::Ipv4 }
}
