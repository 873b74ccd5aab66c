//! What the commands that read captures share: their arguments, and how they open and complain.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use conntruth_engine::{Helper, Profile, State, protocol};
use conntruth_sim::capture::{Capture, CaptureError};

use super::{Error, Tone};
use crate::replay::{Replayer, Tally, no_helper};

/// The tracker's configuration, as arguments.
#[derive(Debug, clap::Args)]
pub(super) struct TrackerArgs {
    /// Set a sysctl; `net.netfilter.nf_conntrack_` may be left out.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<Setting>,
    /// Assign a helper to a port, as a rule does: ftp, irc or tftp. Without a port to its usual one.
    #[arg(long, value_name = "NAME[=PROTO/PORT]")]
    helper: Vec<HelperPort>,
    /// Whose semantics; `conntruth profiles` lists them.
    #[arg(long, value_name = "NAME", default_value = "linux-6.18", value_parser = find_profile)]
    profile: &'static Profile,
}

impl TrackerArgs {
    /// A tracker as configured, with an empty table.
    pub(super) fn replayer(&self) -> Result<Replayer, Error> {
        self.configure(Replayer::new(self.profile))
    }

    /// A tracker that goes on where one was saved, and is then configured.
    pub(super) fn resume(&self, state: &State) -> Result<Replayer, Error> {
        if self.profile.name != conntruth_engine::LINUX_6_18.name && self.profile.name != state.profile() {
            return Err(
                format!("it follows the profile {}, not {}", state.profile(), self.profile.name).into()
            );
        }
        self.configure(Replayer::resume(state)?)
    }

    fn configure(&self, mut replayer: Replayer) -> Result<Replayer, Error> {
        for Setting { key, value } in &self.set {
            replayer.set(key, *value).map_err(|error| format!("--set {key}={value}: {error}"))?;
        }
        for helper in &self.helper {
            let HelperPort { name, protocol, port } = helper;
            replayer.assign(name, protocol, *port).map_err(|error| format!("--helper {helper}: {error}"))?;
        }
        Ok(replayer)
    }

    /// Whose semantics were asked for.
    pub(super) fn profile(&self) -> &'static Profile {
        self.profile
    }

    /// Whether more than the profile was asked for.
    pub(super) fn sets_something(&self) -> bool {
        !self.set.is_empty() || !self.helper.is_empty()
    }

    /// Whether this knob was set here.
    pub(super) fn names(&self, knob: conntruth_engine::Knob) -> bool {
        self.set.iter().any(|setting| conntruth_engine::Knob::find(&setting.key) == Some(knob))
    }

    /// The arguments again, as they are typed.
    pub(super) fn as_typed(&self) -> String {
        let mut typed = String::new();
        for Setting { key, value } in &self.set {
            typed.push_str(&format!(" --set {key}={value}"));
        }
        for helper in &self.helper {
            typed.push_str(&format!(" --helper {helper}"));
        }
        if self.profile.name != conntruth_engine::LINUX_6_18.name {
            typed.push_str(&format!(" --profile {}", self.profile.name));
        }
        typed
    }
}

fn find_profile(name: &str) -> Result<&'static Profile, String> {
    Profile::find(name).ok_or_else(|| {
        let names: Vec<_> = Profile::ALL.iter().map(|profile| profile.name).collect();
        format!("the profiles are: {}", names.join(", "))
    })
}

#[derive(Clone, Debug)]
struct Setting {
    key: String,
    value: i64,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Setting, String> {
        let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, as in tcp_loose=0")?;
        let value = value.trim().parse().map_err(|_| format!("`{value}` is not a whole number"))?;
        Ok(Setting { key: key.trim().to_owned(), value })
    }
}

#[derive(Clone, Debug)]
struct HelperPort {
    name: String,
    protocol: String,
    port: u16,
}

impl FromStr for HelperPort {
    type Err = String;

    fn from_str(text: &str) -> Result<HelperPort, String> {
        if !text.contains('=') {
            let info = Helper::find(text).ok_or_else(|| no_helper(text))?.info();
            let protocol = if info.protocols.contains(&protocol::TCP) { "tcp" } else { "udp" };
            return Ok(HelperPort { name: text.to_owned(), protocol: protocol.to_owned(), port: info.port });
        }
        let parts = text.split_once('=').and_then(|(name, rest)| Some((name, rest.split_once('/')?)));
        let (name, (protocol, port)) = parts.ok_or("write NAME=PROTO/PORT, as in ftp=tcp/21")?;
        if name.is_empty() || !matches!(protocol, "tcp" | "udp") {
            return Err("write NAME=PROTO/PORT with tcp or udp, as in ftp=tcp/21".to_owned());
        }
        let port = port.parse().map_err(|_| format!("`{port}` is no port"))?;
        Ok(HelperPort { name: name.to_owned(), protocol: protocol.to_owned(), port })
    }
}

impl fmt::Display for HelperPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}/{}", self.name, self.protocol, self.port)
    }
}

/// A capture file that says its name in errors.
pub(super) struct Source {
    path: PathBuf,
    pub(super) capture: Capture<'static>,
}

impl Source {
    /// Opens a file, or standard input for `-`.
    pub(super) fn open(path: &Path) -> Result<Source, Error> {
        let capture =
            if path.as_os_str() == "-" { Capture::new(std::io::stdin().lock()) } else { Capture::open(path) };
        let capture = capture.map_err(|error| named(path, &error))?;
        Ok(Source { path: path.to_owned(), capture })
    }

    /// Says what was noticed while its packets went through.
    ///
    /// # Errors
    /// When nothing could be tracked because nothing is known of the link.
    pub(super) fn tell(&self, tally: &Tally, tone: &Tone) -> Result<(), Error> {
        if let Some(link) = tally.unknown_link() {
            let what = format!(
                "link type {link} is not known: raw IP, Ethernet, Linux cooked and null/loop captures can be replayed"
            );
            return Err(format!("{}: {what}", name(&self.path)).into());
        }
        notice(tally, tone);
        Ok(())
    }

    /// An error of this capture, with its name.
    pub(super) fn error(&self, error: &CaptureError) -> Error {
        named(&self.path, error)
    }
}

fn named(path: &Path, error: &CaptureError) -> Error {
    format!("{}: {error}", name(path)).into()
}

fn name(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".into() } else { path.display().to_string() }
}

fn notice(tally: &Tally, tone: &Tone) {
    if let Some(skipped) = tally.skipped_words() {
        tone.note(skipped);
    }
    if let Some(packet) = tally.backwards {
        tone.warn(format_args!(
            "packet {packet} is older than the one before it: while time runs backwards the clock stands still"
        ));
    }
    if let Some((sender, wrong, all)) = tally.wrong_checksums() {
        tone.hint(format_args!(
            "{wrong} of {all} packets from {sender} have wrong checksums; if they were captured before the network \
             card filled them in (checksum offload), add `--set checksum=0`"
        ));
    }
}
