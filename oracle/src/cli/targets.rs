//! `conntruth targets`: the implementations there are, and whether they can be used here.

use std::io::Write;
use std::time::Duration;

use conntruth_engine::LINUX_6_18;

use super::{Error, Exit, Tone};
use crate::kernels;
use crate::paint::{Paint, Role};
use crate::target::exec::Limits;
use crate::target::known::{self, KNOWN, Known, Unusable, Wish};
use crate::target::{Identity, Passing, Reasons};

/// List the implementations that scenarios can be run against, and whether each works on this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  conntruth targets")]
pub(super) struct Args {}

pub(super) fn run(_args: &Args, tone: &Tone) -> Result<Exit, Error> {
    let mut out = anstream::stdout().lock();
    let paint = Paint::new(tone.colors_stdout());
    let wish = Wish { profile: &LINUX_6_18, patience: Duration::ZERO, limits: Limits::default() };
    for target in KNOWN.iter().flat_map(named) {
        if target.name.starts_with("exec:") {
            writeln!(out, "  {:<10} {}", target.name, target.about)?;
            continue;
        }
        let (mark, lines) = match known::open(&target.name, &wish) {
            Ok(open) => (paint.over(Role::Good, "✓"), told(&open.identity())),
            Err(Unusable::Missing(what)) => (paint.over(Role::Bad, "✗"), vec![format!("not here: {what}")]),
            Err(Unusable::Unknown) => continue,
        };
        writeln!(out, "{mark} {:<10} {}", target.name, target.about)?;
        for line in lines {
            writeln!(out, "  {:10} {}", "", paint.over(Role::Dim, &line))?;
        }
    }
    Ok(Exit::Fine)
}

/// A target under a name by which it can be asked for.
struct Named {
    name: String,
    about: &'static str,
}

/// All kernels that are built, in the place of `linux:VERSION`.
fn named(known: &Known) -> Vec<Named> {
    let names: Vec<String> = match known.name.strip_suffix("VERSION") {
        Some(prefix) => kernels::all().iter().map(|kernel| format!("{prefix}{}", kernel.name)).collect(),
        None => Vec::new(),
    };
    let names = if names.is_empty() { vec![known.name.to_owned()] } else { names };
    names.into_iter().map(|name| Named { name, about: known.about }).collect()
}

/// What a target is and can do, for people.
fn told(identity: &Identity) -> Vec<String> {
    let abilities = &identity.abilities;
    let time = match abilities.time {
        Passing::Virtual => "virtual, exact to the tick",
        Passing::Age => "real; entries are made older, so long waits take none",
        Passing::Real => "real",
        Passing::None => "does not pass",
    };
    let shows = abilities.shows;
    let reasons = match shows.reasons {
        Reasons::All => "why, of every packet",
        Reasons::Invalid => "why, of INVALID packets",
        Reasons::Own => "why, in its own words",
        Reasons::None => "",
    };
    let shown = [
        (shows.verdict, "verdicts"),
        (shows.class, "classes"),
        (shows.state, "states"),
        (shows.timeout, "timeouts"),
        (shows.table, "the table"),
        (shows.events, "events"),
        (shows.windows, "windows"),
        (!reasons.is_empty(), reasons),
    ];
    let shown: Vec<&str> = shown.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
    vec![
        format!("version {}, profile {}, {} ticks a second", identity.version, identity.profile, identity.hz),
        format!("time: {time}"),
        format!("shows {}", shown.join(", ")),
        format!("{} sysctls; {}", abilities.sysctls.len(), abilities.protocols.join(", ")),
    ]
}
