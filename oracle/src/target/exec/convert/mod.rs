//! Between the wire's words and the target's types: what is asked, what is answered, and the entries in both.

mod answers;
mod asks;
mod entries;

use std::collections::BTreeMap;

use conntruth_engine::{Knob, Time, Tuple};

use crate::target as ours;
use crate::target::{Passing, Reasons, Shows};

use super::wire;

pub(super) use answers::{counters, events, observation, our_counters, our_events, seen, table};
pub(super) use asks::{arrival, begin, config, our_release, our_setting, packet, release, setting};
pub(super) use entries::{expectations, our_entry, our_expectations};

/// What is known of a world beside its messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The numbers of entries that the adapter gave none.
    ids: BTreeMap<(u16, Tuple), u64>,
    /// How much later than the scenario's time it may be.
    pub lag: Time,
}

/// Why a message that is well formed makes no sense.
pub(super) type Nonsense = String;

/// Of an adapter that is asked each time: any setting may be one it has.
fn all() -> Vec<String> {
    Knob::ALL.iter().map(|knob| knob.name.to_owned()).collect()
}

/// What an adapter says it can do.
pub(super) fn abilities(hello: &wire::Hello) -> ours::Abilities {
    let shows = |what| hello.shows.contains(&what);
    let word = |protocol: &wire::Protocol| {
        ours::Abilities::PROTOCOLS[match protocol {
            wire::Protocol::Tcp => 0,
            wire::Protocol::Udp => 1,
            wire::Protocol::Udplite => 2,
            wire::Protocol::Icmp => 3,
            wire::Protocol::Icmpv6 => 4,
            wire::Protocol::Sctp => 5,
            wire::Protocol::Gre => 6,
            wire::Protocol::Generic => 7,
        }]
        .to_owned()
    };
    ours::Abilities {
        time: match hello.time {
            wire::Clock::Virtual => Passing::Virtual,
            wire::Clock::Age => Passing::Age,
            wire::Clock::Real => Passing::Real,
            wire::Clock::None => Passing::None,
        },
        confirms: match hello.confirm {
            wire::Confirm::AtHook => ours::Confirms::AtHook,
            wire::Confirm::Explicit => ours::Confirms::Explicit,
            wire::Confirm::Immediate => ours::Confirms::Immediate,
        },
        shows: Shows {
            verdict: shows(wire::Shown::Verdict),
            class: shows(wire::Shown::Class),
            state: shows(wire::Shown::State),
            timeout: shows(wire::Shown::Timeout),
            status: shows(wire::Shown::Status),
            table: shows(wire::Shown::Table),
            events: shows(wire::Shown::Events),
            reasons: if shows(wire::Shown::Reasons) { Reasons::Own } else { Reasons::None },
            windows: shows(wire::Shown::Windows),
        },
        protocols: hello.protocols.iter().map(word).collect(),
        sysctls: hello.settings.clone().unwrap_or_else(all),
        helpers: hello.helpers.clone(),
        nat: hello.nat,
        zones: hello.zones,
        own_host: hello.own_host,
        rules: if hello.rules { ours::Rules::Own } else { ours::Rules::Told },
        marks: hello.marks,
        slack: match hello.time {
            wire::Clock::Virtual | wire::Clock::None => Time::ZERO,
            wire::Clock::Real | wire::Clock::Age => Time::from_secs(1),
        },
    }
}
