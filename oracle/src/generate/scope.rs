//! What may occur in stories: protocols, features, settings. Some of it is left out for some cases at a time (a swarm:
//! Groce et al., "Swarm testing", 2012), since what is always there hides what is rare.

use conntruth_engine::{Knob, Rule, Unit};

use super::dialogue::{self, READ};
use super::{Choices, nat, rules};
use crate::language::ast::{Located, Setting, Span};

macro_rules! set_of {
    ($(#[doc = $about:literal])* $set:ident of $item:ident { $( $(#[doc = $doc:literal])+ $variant:ident $word:literal, )* }) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $item { $( $(#[doc = $doc])+ $variant, )* }

        impl $item {
            /// All of them, by name.
            pub const ALL: &'static [(&'static str, $item)] = &[ $( ($word, $item::$variant), )* ];
        }

        #[doc = concat!("A set of [`", stringify!($item), "`].")]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $set(u32);

        impl $set {
            /// None of them.
            pub const NONE: $set = $set(0);
            /// All of them.
            pub const ALL: $set = $set((1 << $item::ALL.len()) - 1);

            /// Whether it is in the set.
            pub const fn has(self, item: $item) -> bool {
                self.0 & 1 << item as u32 != 0
            }

            /// The set with it.
            #[must_use]
            pub const fn with(self, item: $item) -> $set {
                $set(self.0 | 1 << item as u32)
            }

            /// The set without it.
            #[must_use]
            pub const fn without(self, item: $item) -> $set {
                $set(self.0 & !(1 << item as u32))
            }

            /// Those in the set, in order.
            pub fn iter(self) -> impl Iterator<Item = $item> {
                $item::ALL.iter().map(|row| row.1).filter(move |item| self.has(*item))
            }
        }
    };
}

set_of! {
    /// A protocol that flows of a story speak.
    Protocols of Speaks {
        /// TCP.
        Tcp "tcp",
        /// UDP.
        Udp "udp",
        /// ICMP, or ICMPv6 over IPv6: queries and answers.
        Icmp "icmp",
        /// UDP-Lite.
        UdpLite "udplite",
        /// SCTP.
        Sctp "sctp",
        /// GRE.
        Gre "gre",
        /// Any number without a tracker.
        Generic "generic",
        /// FTP's control connections, with a helper, and data connections.
        Ftp "ftp",
        /// TFTP, with a helper.
        Tftp "tftp",
        /// IRC with direct connections, with a helper.
        Irc "irc",
        /// All of them, between few hosts and ports whose addresses are translated.
        Nat "nat",
    }
}

impl Protocols {
    /// What is not asked for by name: worlds that translate are alone in a tracker, and slow.
    pub const USUAL: Protocols = Protocols::ALL.without(Speaks::Nat);
}

set_of! {
    /// Something that a story may have.
    Features of Feature {
        /// IPv6.
        Ipv6 "ipv6",
        /// Up to three flows.
        Several "several",
        /// Other flags than honest hosts send.
        Flags "flags",
        /// Sequence and acknowledgement numbers at, around and far from the edges.
        Numbers "numbers",
        /// First sequence numbers close to 2^32 and 2^31.
        Wraps "wraps",
        /// Windows of any size, zero among them.
        Windows "windows",
        /// TCP options, good and bad.
        Options "options",
        /// Connections that begin in the middle.
        PickUps "pick-ups",
        /// Resets where nothing asks for one.
        Resets "resets",
        /// Wrong checksums, and none.
        Checksums "checksums",
        /// Wrong lengths and data offsets.
        Lengths "lengths",
        /// Packets cut short.
        Cuts "cuts",
        /// Fragments.
        Fragments "fragments",
        /// IP options, extension headers, wrong headers.
        Headers "headers",
        /// ICMP errors that quote.
        Errors "errors",
        /// Packets sent again.
        Again "again",
        /// `notrack`.
        Notrack "notrack",
        /// Zones.
        Zones "zones",
        /// Packets lost between tracking and confirmation.
        Lost "lost",
        /// Bytes overwritten.
        Pokes "pokes",
        /// Time passes.
        Time "time",
        /// Rules on the tracker's host.
        Rules "rules",
        /// Sysctls that change between two packets.
        Sets "sets",
        /// Packets that wait between tracking and confirmation, and go on or are lost in any order.
        Waits "waits",
        /// Dialogues that helpers read, and write anew since addresses are translated.
        Translation "translation",
    }
}

impl Features {
    /// Those that are packets and nothing between them: what worlds that share a tracker may have.
    pub const PACKETS: Features =
        Features::ALL.without(Feature::Sets).without(Feature::Waits).without(Feature::Translation);
}

/// How time may pass in a story.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// Any length of it.
    #[default]
    Free,
    /// By whole seconds, and only in stories of protocols whose rules look at nothing but what is left of a timeout:
    /// not UDP, whose streams begin at an age, and not fragments, which have a timer of their own.
    Ageing,
    /// Not at all.
    Still,
}

/// What all batches of a run may have.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// Protocols.
    pub protocols: Protocols,
    /// Features.
    pub features: Features,
    /// How time passes.
    pub clock: Clock,
    /// Whether settings may be other than the defaults.
    pub settings: bool,
    /// Those that may, where not all.
    pub knobs: Option<Vec<Knob>>,
    /// Whether every batch has rules, where it may.
    pub rules: bool,
}

impl Default for Allowed {
    fn default() -> Allowed {
        Allowed {
            protocols: Protocols::USUAL,
            features: Features::PACKETS,
            clock: Clock::Free,
            settings: true,
            knobs: None,
            rules: false,
        }
    }
}

impl Allowed {
    /// Everything that a story can have.
    pub fn everything() -> Allowed {
        Allowed { features: Features::ALL, ..Allowed::default() }
    }

    /// Whole packets of these protocols and time between them, for a tracker that knows no settings, no rules and nothing of
    /// how a packet fared after it was tracked.
    pub fn packets_alone(protocols: Protocols) -> Allowed {
        const OTHERS: [Feature; 7] = [
            Feature::Rules,
            Feature::Sets,
            Feature::Waits,
            Feature::Notrack,
            Feature::Zones,
            Feature::Lost,
            Feature::Translation,
        ];
        let features = OTHERS.into_iter().fold(Features::ALL, Features::without);
        // Translation and helpers are what rules make.
        let protocols = READ.iter().fold(protocols.without(Speaks::Nat), |all, speaks| all.without(*speaks));
        Allowed { protocols, features, settings: false, ..Allowed::default() }
    }
}

/// What all worlds of a batch have in common, since they share a tracker.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The sysctls.
    pub settings: Vec<Setting>,
    /// The rules.
    pub rules: Vec<Rule>,
    /// Whether its worlds are dialogues that helpers read.
    pub read: bool,
    /// Whether they translate addresses.
    pub translates: bool,
    /// Whether time may pass: where it is made to by ageing it is slow, and most batches are better without.
    pub timed: bool,
}

impl Setup {
    /// A setup within what is allowed.
    pub fn choose(choices: &mut Choices<'_, '_>, allowed: &Allowed) -> Setup {
        let often = if allowed.clock == Clock::Ageing { 5 } else { 1 };
        let dialogues = allowed.protocols.iter().filter(|speaks| READ.contains(speaks)).count();
        let plain = allowed.protocols.iter().count() - dialogues;
        let read = dialogues > 0 && (plain == 0 || choices.below(6) == 5);
        let is_possible = allowed.clock != Clock::Still && !ageable(allowed, read).is_empty();
        let timed = is_possible && choices.below(often) == 0;
        let mut settings =
            if allowed.settings && choices.below(4) > 0 { settings(choices) } else { Vec::new() };
        settings.retain(|setting| allowed.knobs.as_ref().is_none_or(|all| all.contains(&setting.knob.value)));
        if read && allowed.features.has(Feature::Translation) && choices.below(2) == 1 {
            let mut rules = dialogue::assigning(choices, allowed.protocols);
            rules.extend(dialogue::translating(choices));
            return Setup { settings, rules, read, translates: true, timed: false };
        }
        let translates = allowed.protocols.has(Speaks::Nat)
            && (allowed.protocols == nat::PROTOCOLS || choices.below(2) == 1);
        if translates {
            let (rules, timed) = (nat::rules(choices), false);
            return Setup { settings, rules, read: false, translates, timed };
        }
        let ruled = allowed.features.has(Feature::Rules) && (allowed.rules || choices.below(3) == 2);
        let rules = match (read, ruled) {
            (true, _) => dialogue::assigning(choices, allowed.protocols),
            (false, true) => rules::rules(choices),
            (false, false) => Vec::new(),
        };
        Setup { settings, rules, read, translates, timed }
    }
}

/// What may occur in some stories.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The protocols they speak.
    pub protocols: Protocols,
    /// The features they may have.
    pub features: Features,
    /// How time passes.
    pub clock: Clock,
    /// The sysctls.
    pub settings: Vec<Setting>,
    /// The rules.
    pub rules: Vec<Rule>,
    /// Whether they are dialogues that helpers read.
    pub read: bool,
    /// Whether they translate addresses.
    pub translates: bool,
}

impl Scope {
    /// A part of what is allowed.
    pub fn choose(choices: &mut Choices<'_, '_>, allowed: &Allowed, setup: &Setup) -> Scope {
        let whole = choices.one_in(6);
        // Rules are a batch's own.
        let mut features =
            allowed.features.without(Feature::Rules).without(Feature::Translation).iter().fold(
                Features::NONE,
                |features, feature| {
                    if whole || choices.below(4) > 0 { features.with(feature) } else { features }
                },
            );
        if !setup.timed {
            features = features.without(Feature::Time);
        }
        if setup.translates {
            features = nat::features(features);
        }
        // Where ageing takes its time, UDP may grow older than it is to be.
        let mut all =
            if setup.timed { ageable(allowed, setup.read) } else { allowed.protocols.iter().collect() };
        all.retain(|speaks| *speaks != Speaks::Nat && READ.contains(speaks) == setup.read);
        let mut protocols = Protocols::NONE;
        for protocol in &all {
            if whole || choices.below(2) > 0 {
                protocols = protocols.with(*protocol);
            }
        }
        if protocols == Protocols::NONE {
            protocols = protocols.with(if all.is_empty() { Speaks::Tcp } else { choices.pick(&all) });
        }
        Scope {
            protocols,
            features,
            clock: allowed.clock,
            settings: setup.settings.clone(),
            rules: setup.rules.clone(),
            read: setup.read,
            translates: setup.translates,
        }
    }
}

/// The protocols of worlds in which time passes.
fn ageable(allowed: &Allowed, read: bool) -> Vec<Speaks> {
    let may_age =
        |speaks: &Speaks| allowed.clock == Clock::Free || !matches!(speaks, Speaks::Udp | Speaks::Tftp);
    let fits = |speaks: &Speaks| *speaks != Speaks::Nat && READ.contains(speaks) == read;
    allowed.protocols.iter().filter(may_age).filter(fits).collect()
}

/// Timeouts that tell each other apart, and the switches.
fn settings(choices: &mut Choices<'_, '_>) -> Vec<Setting> {
    // These say how long, or how many, fragments are kept; the tracker's host must agree to them.
    const NOT_TIMEOUTS: [Knob; 2] = [Knob::Frag6Time, Knob::IpfragTime];
    let mut settings = Vec::new();
    let mut set = |knob: Knob, value: i64| {
        let at = |value| Located { value, span: Span::default() };
        settings.push(Setting { knob: Located { value: knob, span: Span::default() }, value: at(value) });
    };
    for (name, values) in SWITCHES {
        let value = choices.pick(values);
        if value != i64::from(name.info().default) {
            set(*name, value);
        }
    }
    if choices.below(3) > 0 {
        let timeouts = Knob::ALL.iter().filter(|info| info.unit == Unit::Seconds);
        for (index, info) in timeouts.filter(|info| !NOT_TIMEOUTS.contains(&info.knob)).enumerate() {
            // Multiples of a common step apart, so that no two are the same, in no order.
            let scale = i64::from(choices.pick(&[1_u8, 3, 9, 40]));
            set(info.knob, 25 + scale * i64::from(choices.byte()) * 64 + index as i64);
        }
    }
    settings
}

/// Switches and counts, each with its values, as often as they stand there.
const SWITCHES: &[(Knob, &[i64])] = &[
    (Knob::Acct, &[0, 1]),
    (Knob::Checksum, &[1, 1, 1, 0]),
    (Knob::TcpBeLiberal, &[0, 0, 0, 0, 0, 1]),
    (Knob::TcpIgnoreInvalidRst, &[0, 0, 0, 1]),
    (Knob::TcpLoose, &[1, 1, 1, 0]),
    (Knob::TcpMaxRetrans, &[3, 3, 3, 0, 1, 2, 5, 255]),
];

/// A sysctl that changes in the middle of a story: a switch, or a timeout.
pub(super) fn setting(choices: &mut Choices<'_, '_>) -> Setting {
    let at = |value| Located { value, span: Span::default() };
    let (knob, value) = if choices.one_in(3) {
        let timeouts: Vec<Knob> =
            Knob::ALL.iter().filter(|info| info.unit == Unit::Seconds).map(|info| info.knob).collect();
        (choices.pick(&timeouts), choices.pick(&[30, 0, 1, 10, 600]))
    } else {
        let (knob, values) = choices.pick(SWITCHES);
        (knob, choices.pick(values))
    };
    Setting { knob: Located { value: knob, span: Span::default() }, value: at(value) }
}
