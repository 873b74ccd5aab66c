//! What is not compared, or not as strictly, and why: every relaxation has a name and stands in this one table. Which of
//! them apply is asked of the two targets; two references are compared in everything.

use crate::target::{Identity, Passing, Reasons, Shows};

/// One relaxation: a row of [`NORMALISATIONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// The listing's order.
    Order,
    /// Names of entries.
    Ids,
    /// TCP's windows.
    Windows,
    /// GRE's two timeouts.
    GreTimeouts,
    /// What an event carries.
    EventParts,
    /// Held, given up or discarded.
    Silence,
    /// Reasons in the kernel's words.
    Words,
    /// No reasons at all.
    NoReasons,
    /// Intervals of time.
    Intervals,
    /// Answers of rules.
    Answers,
    /// Ports that are chosen at random.
    Choices,
    /// A machine that stands still.
    Stalls,
    /// No verdicts.
    NoVerdicts,
    /// No classes.
    NoClasses,
    /// No states.
    NoStates,
    /// No timeouts.
    NoTimeouts,
    /// No status bits.
    NoStatus,
    /// No table.
    NoTable,
    /// No events.
    NoEvents,
}

/// A relaxation, for people.
#[derive(Clone, Copy, Debug)]
pub struct Normalisation {
    /// Which.
    pub norm: Norm,
    /// Its name.
    pub name: &'static str,
    /// What is not compared.
    pub what: &'static str,
    /// Why.
    pub reason: &'static str,
    /// Between whom.
    applies: fn(&Identity, &Identity) -> bool,
}

fn is_outside(left: &Identity, right: &Identity) -> bool {
    !(left.abilities.shows.windows && right.abilities.shows.windows)
}

fn has_no_reasons(left: &Identity, right: &Identity) -> bool {
    [left, right]
        .iter()
        .any(|identity| matches!(identity.abilities.shows.reasons, Reasons::None | Reasons::Own))
}

/// Whether one of two targets does not show something.
fn is_unshown(left: &Identity, right: &Identity, shows: fn(&Shows) -> bool) -> bool {
    !(shows(&left.abilities.shows) && shows(&right.abilities.shows))
}

/// A row for what one of two targets does not show.
macro_rules! unshown {
    ($norm:ident, $name:literal, $what:literal, $field:ident) => {
        Normalisation {
            norm: Norm::$norm,
            name: $name,
            what: $what,
            reason: "one of the two targets does not show them",
            applies: |left, right| is_unshown(left, right, |shows| shows.$field),
        }
    };
}

fn has_words(left: &Identity, right: &Identity) -> bool {
    is_outside(left, right) && !has_no_reasons(left, right)
}

fn is_real(left: &Identity, right: &Identity) -> bool {
    let real = |identity: &Identity| matches!(identity.abilities.time, Passing::Age | Passing::Real);
    real(left) || real(right)
}

fn always(_: &Identity, _: &Identity) -> bool {
    true
}

/// All of them.
pub const NORMALISATIONS: &[Normalisation] = &[
    Normalisation {
        norm: Norm::Intervals,
        name: "intervals",
        what: "the time left is compared by interval",
        reason: "a clock that runs moves on while it is read, and ctnetlink rounds down to seconds; both ends of the interval are known, and the reference's one value must lie in it",
        applies: always,
    },
    Normalisation {
        norm: Norm::Ids,
        name: "ids",
        what: "names of entries; entries are told apart by original tuple and zone",
        reason: "CTA_ID is a hash with a key drawn at boot",
        applies: always,
    },
    Normalisation {
        norm: Norm::Order,
        name: "order",
        what: "the order in which entries are listed, and in which those that have ended while nobody looked are told",
        reason: "a dump walks hash buckets, and so does the kernel when it looks for what has ended; the hash has a key drawn at boot",
        applies: is_outside,
    },
    Normalisation {
        norm: Norm::Windows,
        name: "windows",
        what: "td_end, td_maxend, td_maxwin and td_maxack of TCP's sides; what else is kept of both sides, where one of the two targets shows nothing of it",
        reason: "ctnetlink shows the scales and flags alone, other trackers nothing; the windows are compared through what they let pass, and through the bounds in the kernel's words for INVALID",
        applies: is_outside,
    },
    Normalisation {
        norm: Norm::GreTimeouts,
        name: "gre-timeouts",
        what: "the two timeouts that a GRE entry keeps",
        reason: "ctnetlink does not show them; the time left does, after each packet",
        applies: is_outside,
    },
    Normalisation {
        norm: Norm::EventParts,
        name: "event-parts",
        what: "of events: the time, the time left, which changes are named, the counters of all but the last, and what else the message does not carry",
        reason: "a ctnetlink event carries the status always, the state with IPCT_PROTOINFO, counters at the end, and no list of changes; the entry after the packet is compared in full",
        applies: is_outside,
    },
    Normalisation {
        norm: Norm::Silence,
        name: "silence",
        what: "whether a packet that no rule ever sees was discarded by the IP layer, or is a fragment that waits, is dropped as a double, or has ended its datagram",
        reason: "none of them comes out or is logged; what a fragment has done shows with the one that completes the datagram, or fails to",
        applies: is_outside,
    },
    Normalisation {
        norm: Norm::Words,
        name: "words",
        what: "the reason's name; the kernel's own words for it, and the number in them, are compared instead",
        reason: "the kernel logs sentences, and none for most of what it accepts",
        applies: has_words,
    },
    Normalisation {
        norm: Norm::Answers,
        name: "answers",
        what: "of what a reject sends: identification and header checksum of IPv4, the checksum of TCP over it, what stands behind IP options that it echoes or quotes, the flow label of IPv6, and what is not shown",
        reason: "the kernel draws the identification and the flow label, leaves TCP's checksum to the card, writes into options like record route as a router does, and a log shows the first 256 bytes",
        applies: is_outside,
    },
    Normalisation {
        norm: Norm::Choices,
        name: "choices",
        what: "which port translation takes where it chooses at random: the reference takes the one that the target has taken, if the rules let it; one that they do not is a difference",
        reason: "the kernel draws where in the range it begins to look",
        applies: is_outside,
    },
    Normalisation {
        norm: Norm::Stalls,
        name: "stalls",
        what: "a difference that is not there when its batch is asked again, or its case alone; such cases are counted, and more than one of the latter in a hundred is an error",
        reason: "a machine that stands still for seconds lets entries die that should have lived, and readings come late",
        applies: is_real,
    },
    Normalisation {
        norm: Norm::NoReasons,
        name: "no-reasons",
        what: "reasons",
        reason: "one of the two targets does not say any",
        applies: has_no_reasons,
    },
    unshown!(NoVerdicts, "no-verdicts", "whether a packet goes on", verdict),
    unshown!(NoClasses, "no-classes", "classes", class),
    unshown!(NoStates, "no-states", "states", state),
    unshown!(NoTimeouts, "no-timeouts", "the time left", timeout),
    unshown!(NoStatus, "no-status", "status bits", status),
    unshown!(NoTable, "no-table", "entries", table),
    unshown!(NoEvents, "no-events", "events", events),
];

/// The relaxations between two targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Normal(u32);

impl Normal {
    /// Those that the abilities of two targets call for.
    pub fn between(reference: &Identity, target: &Identity) -> Normal {
        let apply = NORMALISATIONS.iter().filter(|row| (row.applies)(reference, target));
        Normal(apply.fold(0, |set, row| set | 1 << row.norm as u32))
    }

    /// Whether one of them applies.
    pub const fn has(self, norm: Norm) -> bool {
        self.0 & 1 << norm as u32 != 0
    }

    /// The rows of those that apply.
    pub fn rows(self) -> impl Iterator<Item = &'static Normalisation> {
        NORMALISATIONS.iter().filter(move |row| self.has(row.norm))
    }
}
