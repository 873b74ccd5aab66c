//! The targets there are, by name.

use std::time::Duration;

use conntruth_engine::Profile;

use super::exec::{Exec, Limits};
use super::{Identity, Reference, Refusal, Target};

/// A target that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The name it is selected by.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
}

/// All of them, the default first.
pub const KNOWN: [Known; 5] = [
    Known { name: "reference", about: "the engine in this program, exact and under virtual time" },
    Known { name: "linux", about: "the tracker of the kernel that runs here, in a namespace of its own" },
    Known {
        name: "linux:VERSION",
        about: "the tracker of any kernel, under virtual time: one that `conntruth kernel build` has made, or a path",
    },
    Known {
        name: "ovs",
        about: "Open vSwitch's userspace tracker, in a switch of its own, under virtual time",
    },
    Known {
        name: "exec:COMMAND",
        about: "any program that speaks the adapter protocol (oracle/PROTOCOL.md)",
    },
];

/// How a target is to be.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Whose semantics the reference has.
    pub profile: &'static Profile,
    /// How long a target whose time is real may wait at once, for what cannot be aged.
    pub patience: Duration,
    /// What a program that is a target may take.
    pub limits: Limits,
}

/// Why there is no such target here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Nobody knows the name.
    Unknown,
    /// This machine lacks something, and what.
    Missing(String),
}

/// A target by its name, ready to be asked.
///
/// # Errors
/// When there is none of that name, or it cannot be used on this machine.
pub fn open(name: &str, wish: &Wish) -> Result<Box<dyn Target + Send>, Unusable> {
    match name {
        "reference" => Ok(Box::new(Reference::new(wish.profile))),
        "linux" => linux(wish),
        "ovs" => ovs(),
        _ => match (name.strip_prefix("exec:"), name.strip_prefix("linux:")) {
            (Some(command), _) => exec(command, wish),
            (_, Some(kernel)) => guest(name, kernel),
            _ => Err(Unusable::Unknown),
        },
    }
}

fn exec(command: &str, wish: &Wish) -> Result<Box<dyn Target + Send>, Unusable> {
    match Exec::new(command, wish.profile, wish.patience, wish.limits) {
        Ok(exec) => Ok(Box::new(exec)),
        Err(refusal) => Err(Unusable::Missing(refusal.to_string())),
    }
}

/// A kernel under virtual time: a cached one by its name, or any by its path.
#[cfg(target_os = "linux")]
fn guest(name: &str, kernel: &str) -> Result<Box<dyn Target + Send>, Unusable> {
    let image = crate::kernels::find(kernel).map_err(Unusable::Missing)?;
    match super::linux::Uml::new(name, &image) {
        Ok(uml) => Ok(Box::new(uml)),
        Err(Refusal::Unsupported(what) | Refusal::Wrong(what) | Refusal::Broken(what)) => {
            Err(Unusable::Missing(what))
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn guest(_: &str, _: &str) -> Result<Box<dyn Target + Send>, Unusable> {
    Err(Unusable::Missing("it runs on Linux only".to_owned()))
}

#[cfg(target_os = "linux")]
fn linux(wish: &Wish) -> Result<Box<dyn Target + Send>, Unusable> {
    match super::linux::Linux::new(wish.patience) {
        Ok(linux) => Ok(Box::new(linux)),
        Err(Refusal::Unsupported(what) | Refusal::Wrong(what) | Refusal::Broken(what)) => {
            Err(Unusable::Missing(what))
        }
    }
}

#[cfg(target_os = "linux")]
fn ovs() -> Result<Box<dyn Target + Send>, Unusable> {
    match super::ovs::Ovs::new() {
        Ok(ovs) => Ok(Box::new(ovs)),
        Err(Refusal::Unsupported(what) | Refusal::Wrong(what) | Refusal::Broken(what)) => {
            Err(Unusable::Missing(what))
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn ovs() -> Result<Box<dyn Target + Send>, Unusable> {
    Err(Unusable::Missing("it is driven on Linux only".to_owned()))
}

#[cfg(not(target_os = "linux"))]
fn linux(_: &Wish) -> Result<Box<dyn Target + Send>, Unusable> {
    Err(Unusable::Missing("this is no Linux".to_owned()))
}

/// How many of a target are worth having side by side: those that wait in real time keep each other waiting else.
pub fn side_by_side(identity: &Identity) -> usize {
    if identity.name.starts_with("linux:") {
        // One guest plays all of them.
        return 1;
    }
    if identity.name == "ovs" {
        // Its clock is moved in steps of real milliseconds, and a switch is cheap.
        return 4;
    }
    match identity.abilities.time {
        super::Passing::Age | super::Passing::Real => 16,
        super::Passing::Virtual | super::Passing::None => 1,
    }
}

/// Whether what this machine lacks is an error here: `CONNTRUTH_REQUIRE=linux,ovs` says so of some targets.
pub fn is_required(name: &str) -> bool {
    std::env::var("CONNTRUTH_REQUIRE").is_ok_and(|names| names.split(',').any(|other| other.trim() == name))
}
