//! Open vSwitch's userspace connection tracker as a target: a switch of our own, with a datapath that is a program and
//! ports that are files, in a private directory.
//!
//! ```text
//! Ovs (this process) ─┬─ control: JSON-RPC   packets in, time, the table ──┐
//!                     ├─ recorder: a capture  packets out, class on them ──┤
//!                     └─ keeper (a child) ─ ovsdb-server, ovs-vswitchd ────┘
//! ```
//!
//! No root is needed, no kernel module is used, and nothing of an Open vSwitch that runs here is touched. The tracker's
//! clock is stopped and moved by hand, so its time is virtual and exact to a millisecond.
//!
//! What is different by nature: an entry is there for good when a rule says `commit`; a packet goes on or not as a rule
//! says, never as the tracker says; a listing shows neither status bits nor events.

mod control;
mod keeper;
mod knobs;
mod known;
mod listing;
mod recorder;
mod rules;

use conntruth_engine::{Class, Counter, CtInfo, LINUX_6_18, Time, Tuple, Verdict};

use super::fates::Fates;
use super::{
    Abilities, Arrival, Config, Confirms, Entry, Fate, Happening, Identity, Observation, Passing, Path,
    Reasons, Refusal, Rules, Setting, Shows, Target, whose,
};
use control::Control;
use keeper::Keeper;
use knobs::Knobs;
use known::{Entries, Touch};
use recorder::Recorder;

pub(super) use keeper::serve_if_asked;

/// The tracker's clock counts milliseconds.
const HZ: u32 = 1_000;
const MILLISECOND: u64 = 1_000_000;
/// How long incomplete datagrams may be remembered: fragments of one world must not meet those of the next.
const FORGOTTEN: u64 = 60_000;
/// A recorder's file is begun anew beyond this size.
const LARGEST: u64 = 64 << 20;

/// Open vSwitch, with its clock stopped.
#[derive(Debug)]
pub struct Ovs {
    identity: Identity,
    // Fields are dropped in this order: the keeper last, which ends the programs and removes their directory.
    control: Control,
    recorder: Recorder,
    knobs: Knobs,
    entries: Entries,
    keeper: Keeper,
    /// The world's time, in the tracker's milliseconds since its beginning.
    now: u64,
    /// Fragments were sent in this world.
    has_fragments: bool,
    /// The tuples of datagrams of which first fragments were.
    begun: Vec<(whose::Datagram, Tuple)>,
    /// What rules do to the packets of this world.
    fates: Option<Fates>,
}

impl Ovs {
    /// Starts a switch.
    ///
    /// # Errors
    /// [`Refusal::Unsupported`] says what this machine lacks.
    pub fn new() -> Result<Ovs, Refusal> {
        let keeper = Keeper::start()?;
        let control = Control::connect(&keeper.control()).map_err(broken)?;
        let recorder = Recorder::open(&keeper.recording(0)).map_err(broken)?;
        let mut ovs = Ovs {
            identity: identity(keeper.version()),
            control,
            recorder,
            knobs: Knobs::new(&keeper),
            entries: Entries::default(),
            keeper,
            now: 0,
            has_fragments: false,
            begun: Vec::new(),
            fates: None,
        };
        ovs.control.call("time/stop", &[]).map_err(broken)?;
        rules::load(&ovs.keeper)?;
        for family in ["v4", "v6"] {
            // The least it takes: by itself it finds fragments under 1,200 bytes too small.
            ovs.control.call("dpctl/ipf-set-min-frag", &[family, "400"]).map_err(broken)?;
        }
        ovs.knobs.allow_zone(&mut ovs.control, 0)?;
        Ok(ovs)
    }

    /// Lets time pass up to a moment of the world.
    fn pass(&mut self, to: Time) -> Result<(), Refusal> {
        let to = to.as_nanos() / MILLISECOND;
        if to > self.now {
            self.warp(to - self.now)?;
            self.now = to;
        }
        Ok(())
    }

    fn warp(&mut self, milliseconds: u64) -> Result<(), Refusal> {
        let mut left = milliseconds;
        while left > 0 {
            let step = left.min(i32::MAX as u64);
            self.control.call("time/warp", &[&step.to_string()]).map_err(broken)?;
            left -= step;
        }
        Ok(())
    }

    /// Sends a packet, and reads back what the rules have recorded of it: the bits of `ct_state`.
    fn send(&mut self, frame: &rules::Frame<'_>) -> Result<Option<u32>, Refusal> {
        self.control.call("netdev-dummy/receive", &[frame.port, &frame.hex()]).map_err(broken)?;
        // The packet lies in the port's queue; the main loop takes it before it answers another command. Of a packet that
        // no rule records a few more rounds say that nothing will come.
        for _ in 0..rules::ROUNDS {
            self.control.call("version", &[]).map_err(broken)?;
            let mut state = None;
            self.recorder
                .read(|record| state = rules::recorded(record, frame.packet).or(state))
                .map_err(broken)?;
            if state.is_some() {
                return Ok(state);
            }
        }
        Ok(None)
    }

    /// All entries, as they stand now, right after a packet or after none.
    fn look(&mut self, touch: Option<Touch<'_>>) -> Result<(), Refusal> {
        let text = self.control.call("dpctl/dump-conntrack", &["-m", "-s"]).map_err(broken)?;
        let listed = listing::read(&text).map_err(Refusal::Broken)?;
        self.entries.see(listed, moment(self.now), touch);
        Ok(())
    }

    /// What earlier worlds have left: entries, settings, fragments, records.
    fn clean(&mut self) -> Result<(), Refusal> {
        if std::mem::take(&mut self.has_fragments) {
            // What has waited too long is given up when the next packet comes.
            self.warp(FORGOTTEN)?;
            self.send(&rules::Frame { port: rules::PORTS[0], tag: 0, zone: 0, packet: &rules::throwaway() })?;
        }
        self.control.call("dpctl/flush-conntrack", &[]).map_err(broken)?;
        self.recorder.read(|_| {}).map_err(broken)?;
        if self.recorder.size() > LARGEST {
            let number = self.recorder.number() + 1;
            let path = self.keeper.recording(number);
            self.keeper.record_to(&path)?;
            self.recorder = self.recorder.next(&path).map_err(broken)?;
        }
        self.knobs.reset(&mut self.control)?;
        self.entries = Entries::default();
        self.begun.clear();
        self.now = 0;
        Ok(())
    }
}

/// A moment of the world.
fn moment(milliseconds: u64) -> Time {
    Time(milliseconds * MILLISECOND)
}

fn identity(version: &str) -> Identity {
    Identity {
        name: "ovs".to_owned(),
        version: version.to_owned(),
        // It promises nothing of the kind: this is what it is held against.
        profile: LINUX_6_18.name.to_owned(),
        hz: HZ,
        abilities: Abilities {
            time: Passing::Virtual,
            confirms: Confirms::Explicit,
            shows: Shows {
                verdict: false,
                class: true,
                state: true,
                timeout: true,
                status: false,
                table: true,
                events: false,
                reasons: Reasons::None,
                windows: false,
            },
            protocols: ["tcp", "udp", "icmp", "icmpv6", "generic"].map(str::to_owned).to_vec(),
            sysctls: knobs::names(),
            helpers: Vec::new(),
            nat: false,
            zones: true,
            own_host: false,
            rules: Rules::Told,
            marks: false,
            slack: Time::ZERO,
        },
    }
}

impl Target for Ovs {
    fn identity(&self) -> Identity {
        self.identity.clone()
    }

    fn begin(&mut self, config: &Config) -> Result<(), Refusal> {
        // Its rules are flows, not nftables' statements.
        self.fates = Fates::new(&LINUX_6_18, config, &self.identity.abilities.shows)?;
        self.clean()?;
        config.settings.iter().try_for_each(|setting| self.set(setting))
    }

    fn set(&mut self, setting: &Setting) -> Result<(), Refusal> {
        self.fates.iter_mut().for_each(|fates| fates.set(setting));
        self.knobs.set(&mut self.control, setting)
    }

    fn packet(&mut self, arrival: &Arrival) -> Result<Observation, Refusal> {
        let Some(told) = self.fates.as_mut().map(|fates| fates.tell(arrival)).transpose()? else {
            return self.track(arrival);
        };
        let seen = told.arrival.as_ref().map(|arrival| self.track(arrival)).transpose()?;
        Ok(told.seen(seen))
    }

    fn advance(&mut self, to: Time) -> Result<Vec<Happening>, Refusal> {
        self.fates.iter_mut().for_each(|fates| fates.advance(to));
        self.pass(to)?;
        Ok(Vec::new())
    }

    fn table(&mut self) -> Result<Vec<Entry>, Refusal> {
        self.look(None)?;
        Ok(self.entries.all(moment(self.now)).collect())
    }

    fn counters(&mut self) -> Result<Vec<(String, Counter)>, Refusal> {
        // What the rules of the reference have counted says nothing about a switch.
        Ok(Vec::new())
    }
}

impl Ovs {
    /// Lets a packet pass.
    fn track(&mut self, arrival: &Arrival) -> Result<Observation, Refusal> {
        if arrival.fate == Fate::Waits {
            let what = "a switch keeps no packet between tracking and commitment";
            return Err(Refusal::Unsupported(what.to_owned()));
        }
        if arrival.mark.is_some() {
            let what = "a connection gets its mark when it is committed here, and rules may change it later";
            return Err(Refusal::Unsupported(what.to_owned()));
        }
        if arrival.helper.is_some() {
            let what = "a helper is not assigned to a connection but named when it is committed, which is not tried here";
            return Err(Refusal::Unsupported(what.to_owned()));
        }
        self.pass(arrival.at)?;
        self.knobs.allow_zone(&mut self.control, arrival.zone)?;
        let frame = frame(arrival)?;
        let is_fragment = whose::is_fragment(&arrival.bytes);
        self.has_fragments |= is_fragment;
        let state = self.send(&frame)?;
        let before = self.entries.clone();
        // A datagram that came in pieces is known by the first of them.
        let tuple = match whose::part(&arrival.bytes) {
            None => whose::tuple(&arrival.bytes),
            Some((datagram, begins)) => {
                self.begun.extend(begins.map(|tuple| (datagram, tuple)));
                let begun = self.begun.iter().rfind(|(begun, _)| *begun == datagram);
                begun.map(|(_, tuple)| *tuple).filter(|_| state.is_some())
            }
        };
        let timeouts = self.knobs.timeouts();
        self.look(Some(Touch { tuple, zone: arrival.zone, timeouts: &timeouts }))?;
        let class = state.map_or(if is_fragment { Class::Held } else { Class::Discarded }, class);
        let tuple = tuple.filter(|_| matches!(class, Class::Tracked(_) | Class::Invalid));
        let now = moment(self.now);
        let find = |entries: &Entries| tuple.and_then(|tuple| entries.find(&tuple, arrival.zone, now));
        let there = find(&self.entries);
        let (entry, destroyed) = match there {
            Some(entry) => (Some(entry), false),
            None => {
                let gone = find(&before);
                let destroyed = gone.is_some();
                (gone, destroyed)
            }
        };
        Ok(Observation {
            attached: matches!(class, Class::Tracked(_)) && entry.is_some(),
            entry,
            destroyed,
            ..Observation::of(class, Verdict::Accept)
        })
    }
}

/// The frame in which a packet enters.
fn frame(arrival: &Arrival) -> Result<rules::Frame<'_>, Refusal> {
    let port = match (arrival.path, arrival.iif.as_deref()) {
        (Path::Forward, Some("inside")) => rules::PORTS[0],
        // By which of them it comes is nothing to its tracker.
        (Path::Forward, Some("outside" | "dmz")) => rules::PORTS[1],
        (Path::Forward, other) => {
            let name = other.unwrap_or("without a name");
            return Err(Refusal::Unsupported(format!("there is no interface {name}")));
        }
        _ => {
            let what = "a switch has no packets of its own host";
            return Err(Refusal::Unsupported(what.to_owned()));
        }
    };
    let mut tag = 0;
    if arrival.notrack {
        tag |= rules::NOTRACK;
    }
    if arrival.fate == Fate::Dropped {
        tag |= rules::DROPPED;
    }
    Ok(rules::Frame { port, tag, zone: arrival.zone, packet: &arrival.bytes })
}

/// Bits of `ct_state`, as `ovs-fields(7)` has them.
const NEW: u32 = 0x01;
const ESTABLISHED: u32 = 0x02;
const RELATED: u32 = 0x04;
const REPLY: u32 = 0x08;
const INVALID: u32 = 0x10;
const TRACKED: u32 = 0x20;

/// What `ct state` would say: of a packet that is both new and related, the latter, as in Linux.
fn class(state: u32) -> Class {
    let is = |bit: u32| state & bit != 0;
    if !is(TRACKED) {
        return Class::Untracked;
    }
    if is(INVALID) {
        return Class::Invalid;
    }
    let reply = is(REPLY);
    Class::Tracked(match (is(RELATED), is(ESTABLISHED), is(NEW)) {
        (true, ..) => {
            if reply {
                CtInfo::RelatedReply
            } else {
                CtInfo::Related
            }
        }
        (_, true, _) => {
            if reply {
                CtInfo::EstablishedReply
            } else {
                CtInfo::Established
            }
        }
        (_, _, true) => CtInfo::New,
        _ => return Class::Invalid,
    })
}

fn broken(error: std::io::Error) -> Refusal {
    Refusal::Broken(format!("Open vSwitch: {error}"))
}
