//! What is asked, in both directions: a scenario's steps as messages, and back for those who serve a target.

use conntruth_engine::Time;

use super::Nonsense;
use crate::target as ours;
use crate::target::exec::wire;

/// A setting for the wire.
pub(in crate::target::exec) fn setting(setting: &ours::Setting) -> wire::Set {
    wire::Set { name: setting.name.clone(), value: setting.value }
}

/// A configuration for the wire.
pub(in crate::target::exec) fn begin(
    config: &ours::Config,
    profile: &str,
    rules: ours::Rules,
) -> wire::Begin {
    wire::Begin {
        profile: profile.to_owned(),
        settings: config.settings.iter().map(setting).collect(),
        routes: config
            .routes
            .iter()
            .map(|(address, interface)| wire::Route { address: *address, interface: interface.clone() })
            .collect(),
        rules: match rules {
            ours::Rules::Own => config.rules.clone().into(),
            ours::Rules::Told => Vec::new(),
        },
    }
}

/// A packet for the wire.
pub(in crate::target::exec) fn packet(arrival: &ours::Arrival) -> wire::Packet {
    wire::Packet {
        at_ns: arrival.at.as_nanos(),
        path: match arrival.path {
            ours::Path::Forward => wire::Path::Forward,
            ours::Path::Input => wire::Path::Input,
            ours::Path::Output => wire::Path::Output,
            ours::Path::Loopback => wire::Path::Loopback,
        },
        iif: arrival.iif.clone(),
        oif: arrival.oif.clone(),
        fate: fate(arrival.fate),
        notrack: arrival.notrack,
        zone: arrival.zone,
        mark: arrival.mark,
        helper: arrival.helper.clone(),
        bytes: wire::Hex(arrival.bytes.clone()),
    }
}

fn fate(fate: ours::Fate) -> wire::Fate {
    match fate {
        ours::Fate::Passes => wire::Fate::Passes,
        ours::Fate::Dropped => wire::Fate::Dropped,
        ours::Fate::Waits => wire::Fate::Waits,
    }
}

/// A packet that goes on, for the wire.
pub(in crate::target::exec) fn release(release: &ours::Release) -> wire::Release {
    wire::Release { at_ns: release.at.as_nanos(), waiting: release.waiting, fate: fate(release.fate) }
}

/// An arrival of the wire.
pub(in crate::target::exec) fn arrival(packet: wire::Packet) -> ours::Arrival {
    ours::Arrival {
        at: Time(packet.at_ns),
        bytes: packet.bytes.0,
        path: match packet.path {
            wire::Path::Forward => ours::Path::Forward,
            wire::Path::Input => ours::Path::Input,
            wire::Path::Output => ours::Path::Output,
            wire::Path::Loopback => ours::Path::Loopback,
        },
        iif: packet.iif,
        oif: packet.oif,
        fate: our_fate(packet.fate),
        notrack: packet.notrack,
        zone: packet.zone,
        mark: packet.mark,
        helper: packet.helper,
        follows: false,
    }
}

fn our_fate(fate: wire::Fate) -> ours::Fate {
    match fate {
        wire::Fate::Passes => ours::Fate::Passes,
        wire::Fate::Dropped => ours::Fate::Dropped,
        wire::Fate::Waits => ours::Fate::Waits,
    }
}

/// A configuration of the wire.
pub(in crate::target::exec) fn config(begin: wire::Begin) -> Result<ours::Config, Nonsense> {
    Ok(ours::Config {
        settings: begin.settings.into_iter().map(our_setting).collect(),
        routes: begin.routes.into_iter().map(|route| (route.address, route.interface)).collect(),
        rules: begin.rules.try_into()?,
    })
}

/// A setting of the wire.
pub(in crate::target::exec) fn our_setting(set: wire::Set) -> ours::Setting {
    ours::Setting { name: set.name, value: set.value }
}

/// A release of the wire.
pub(in crate::target::exec) fn our_release(release: wire::Release) -> ours::Release {
    ours::Release { at: Time(release.at_ns), waiting: release.waiting, fate: our_fate(release.fate) }
}
