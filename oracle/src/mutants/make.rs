//! The mutants: every value of every cell, every number by one up and one down, every rule the other way.

use std::fmt;

use conntruth_engine::{
    Bounds, Knob, LINUX_6_18, Next, Profile, SctpState, Segment, Switches, TcpState, Unit,
};

/// What is wrong with a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A cell of TCP's table.
    TcpCell,
    /// A cell of SCTP's table.
    SctpCell,
    /// A number of the rules.
    Bound,
    /// A timeout, or another setting's default.
    Timeout,
    /// A rule, or an effect.
    Rule,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [Kind::TcpCell, Kind::SctpCell, Kind::Bound, Kind::Timeout, Kind::Rule];

    /// The words for it.
    pub const fn words(self) -> &'static str {
        match self {
            Kind::TcpCell => "cells of the TCP table",
            Kind::SctpCell => "cells of the SCTP table",
            Kind::Bound => "bounds, by one",
            Kind::Timeout => "timeouts by a second, switches",
            Kind::Rule => "rules and effects",
        }
    }
}

/// A tracker that is wrong in one place.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// What it is a mutant of.
    pub kind: Kind,
    /// `tcp-cell original SYN in NONE: invalid`
    pub name: String,
    /// Where those live that should notice: the beginning of their ids.
    pub area: &'static str,
    /// Its semantics.
    pub profile: &'static Profile,
}

/// SCTP's rows.
const CHUNKS: [&str; 11] = [
    "INIT",
    "INIT_ACK",
    "ABORT",
    "SHUTDOWN",
    "SHUTDOWN_ACK",
    "ERROR",
    "COOKIE_ECHO",
    "COOKIE_ACK",
    "SHUTDOWN_COMPLETE",
    "HEARTBEAT",
    "HEARTBEAT_ACK",
];

/// All mutants of Linux 6.18, in a fixed order. They live as long as the program: a profile does.
pub fn all() -> Vec<Mutant> {
    let mut all = Vec::new();
    tcp_cells(&mut all);
    sctp_cells(&mut all);
    bounds(&mut all);
    timeouts(&mut all);
    rules(&mut all);
    all
}

fn mutant(kind: Kind, name: String, area: &'static str, change: impl FnOnce(&mut Profile)) -> Mutant {
    let mut profile = Profile { ..LINUX_6_18 };
    change(&mut profile);
    Mutant { kind, name, area, profile: Box::leak(Box::new(profile)) }
}

/// What a cell may say.
fn nexts<S: Copy + PartialEq>(states: &[S]) -> impl Iterator<Item = Next<S>> {
    states.iter().map(|state| Next::To(*state)).chain([Next::Ignore, Next::Invalid])
}

fn word<S: fmt::Display>(next: Next<S>) -> String {
    match next {
        Next::To(state) => state.to_string(),
        Next::Ignore => "ignored".to_owned(),
        Next::Invalid => "invalid".to_owned(),
    }
}

const DIRECTIONS: [&str; 2] = ["original", "reply"];

fn tcp_cells(all: &mut Vec<Mutant>) {
    let states: Vec<TcpState> = TcpState::ALL.into_iter().filter(|state| *state != TcpState::None).collect();
    for (direction, way) in DIRECTIONS.iter().enumerate() {
        for (row, segment) in Segment::ALL.iter().enumerate() {
            for (column, state) in TcpState::ALL.iter().enumerate() {
                let right = LINUX_6_18.tcp_table[direction][row][column];
                for wrong in nexts(&states).filter(|next| *next != right) {
                    let name = format!("tcp-cell {way} {segment} in {state}: {}", word(wrong));
                    all.push(mutant(Kind::TcpCell, name, "tcp/", |profile| {
                        let mut table = *LINUX_6_18.tcp_table;
                        table[direction][row][column] = wrong;
                        profile.tcp_table = Box::leak(Box::new(table));
                    }));
                }
            }
        }
    }
}

/// SCTP's tracker knows no cell that is ignored.
fn sctp_cells(all: &mut Vec<Mutant>) {
    let states: Vec<SctpState> =
        SctpState::ALL.into_iter().filter(|state| *state != SctpState::None).collect();
    for (direction, way) in DIRECTIONS.iter().enumerate() {
        for (row, chunk) in CHUNKS.iter().enumerate() {
            for (column, state) in SctpState::ALL.iter().enumerate() {
                let right = LINUX_6_18.sctp_table[direction][row][column];
                let wrongs = nexts(&states).filter(|next| *next != right && *next != Next::Ignore);
                for wrong in wrongs {
                    let name = format!("sctp-cell {way} {chunk} in {state}: {}", word(wrong));
                    all.push(mutant(Kind::SctpCell, name, "sctp/", |profile| {
                        let mut table = *LINUX_6_18.sctp_table;
                        table[direction][row][column] = wrong;
                        profile.sctp_table = Box::leak(Box::new(table));
                    }));
                }
            }
        }
    }
}

/// The area that is named for a rule's protocol.
fn area(name: &str) -> &'static str {
    let areas = [
        ("tcp", "tcp/"),
        ("udplite", "udplite/"),
        ("udp", "udp/"),
        ("sctp", "sctp/"),
        ("icmpv6", "icmpv6/"),
        ("icmp", "icmp/"),
        ("gre", "gre/"),
        ("generic", "generic/"),
        ("early", "table/"),
        ("frag", "fragments/"),
        ("ipfrag", "fragments/"),
    ];
    areas.iter().find(|(protocol, _)| name.starts_with(protocol)).map_or("sysctl/", |(_, area)| area)
}

/// A number of the profile, by its name.
type Number = (&'static str, fn(&mut Profile) -> &mut u32);

const NUMBERS: [Number; 4] = [
    ("tcp_max_ack_window", |profile| &mut profile.tcp_max_ack_window),
    ("tcp_syn_sent2_secs", |profile| &mut profile.tcp_syn_sent2_secs),
    ("udp_stream_after_secs", |profile| &mut profile.udp_stream_after_secs),
    ("early_drop_buckets", |profile| &mut profile.early_drop_buckets),
];

fn bounds(all: &mut Vec<Mutant>) {
    for by in [1, -1] {
        for &(name, _, place) in Bounds::ALL {
            let wrong = format!("bound {name} {by:+}");
            all.push(mutant(Kind::Bound, wrong, area(name), |profile| *place(&mut profile.bounds) += by));
        }
        for (name, place) in NUMBERS {
            let wrong = format!("bound {name} {by:+}");
            all.push(mutant(Kind::Bound, wrong, area(name), |profile| {
                let number = place(profile);
                *number = number.saturating_add_signed(by);
            }));
        }
    }
}

fn timeouts(all: &mut Vec<Mutant>) {
    for info in Knob::ALL {
        let name = info.knob.short_name();
        let wrongs: &[i32] = match info.unit {
            Unit::Seconds => &[info.default + 1, info.default - 1],
            Unit::Switch => &[1 - info.default],
            Unit::Choice => &[0, 1],
            // A few bytes more for fragments, a few entries more in the table: that is size, and no rule.
            Unit::Count | Unit::Bytes if info.knob != Knob::TcpMaxRetrans => &[],
            Unit::Count | Unit::Bytes => &[info.default + 1, info.default - 1],
        };
        for wrong in wrongs {
            let mutant = mutant(Kind::Timeout, format!("default {name} {wrong}"), area(name), |profile| {
                profile.defaults = Box::leak(Box::new([(info.knob, *wrong)]));
            });
            all.push(mutant);
        }
    }
}

/// A rule of the profile, by its name.
type Flag = (&'static str, fn(&mut Profile) -> &mut bool);

const FLAGS: [Flag; 3] = [
    ("tcp_rst_always_close_timeout", |profile| &mut profile.tcp_rst_always_close_timeout),
    ("tcp_syn_again_keeps_timeout", |profile| &mut profile.tcp_syn_again_keeps_timeout),
    ("tcp_pick_up_capped", |profile| &mut profile.tcp_pick_up_capped),
];

fn rules(all: &mut Vec<Mutant>) {
    for &(name, _, place) in Switches::ALL {
        all.push(mutant(Kind::Rule, format!("without {name}"), area(name), |profile| {
            let rule = place(&mut profile.switches);
            *rule = !*rule;
        }));
    }
    for (name, place) in FLAGS {
        all.push(mutant(Kind::Rule, format!("without {name}"), area(name), |profile| {
            let rule = place(profile);
            *rule = !*rule;
        }));
    }
    all.push(mutant(Kind::Rule, "without udplite_checksum_protocol".to_owned(), "udplite/", |profile| {
        profile.udplite_checksum_protocol = conntruth_engine::protocol::UDPLITE;
    }));
}
