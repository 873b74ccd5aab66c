//! Captures through the tracker: each packet enters at PREROUTING and is confirmed at POSTROUTING, as on a forwarding
//! box, and the captured time stamps drive the clock.
//!
//! [`Replayer`] turns a packet of a capture into a [`Record`]: the tracker's answer, the connection as it then stands,
//! and what listeners were told. [`json`] and [`text`] write records. Nothing here reads files or arguments.

use conntruth_engine::{
    Checksum, Class, ConnSnapshot, Engine, Event, EventKind, Firewall, Helper, Journey, Knob, Outcome,
    Packet, Profile, Reason, Route, Rule, RuleSet, State, StateError, SysctlError, Time, Verdict, protocol,
};
use conntruth_sim::Clock;
use conntruth_sim::capture::{Captured, Family};

pub mod json;
mod summary;
mod tally;
pub mod text;
mod whole;

pub use summary::Summary;
pub use tally::Tally;

use whole::{Whole, whole};

/// What the tracker made of one packet.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// The packet's number in the capture.
    pub number: u64,
    /// Its captured time stamp; of packets without one, the clock's time.
    pub time: Time,
    /// The packet, from the network header on, with zeros for what the snap length cut off.
    pub bytes: &'a [u8],
    /// The snap length cut it short, so its checksum was taken as right.
    pub truncated: bool,
    /// The tracker's answer.
    pub outcome: Outcome,
    /// The entry that the packet's tuple matches, as it stands after the packet.
    pub connection: Option<Connection>,
    /// What listeners were told since the packet before: first of connections whose time had come, then of this packet.
    pub events: &'a [Event],
}

/// A connection as it stands after a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The entry; one that the packet destroyed as it last stood.
    pub snapshot: ConnSnapshot,
    /// The packet destroyed it.
    pub destroyed: bool,
}

/// A tracker that is fed from a capture.
pub struct Replayer {
    engine: Engine,
    clock: Clock,
    /// `nf_conntrack_events` is 0: nobody is told anything. The engine tells us all the same, for we show the
    /// connections that a packet destroyed, and they are seen in no other way.
    hides_events: bool,
    events: Vec<Event>,
    padded: Vec<u8>,
    tally: Tally,
    /// The rules that assign helpers, and the host that they are on.
    helpers: RuleSet,
    firewall: Option<Firewall>,
}

impl Replayer {
    /// A tracker with these semantics and an empty table.
    pub fn new(profile: &'static Profile) -> Replayer {
        let mut engine = Engine::new(profile);
        engine.listen();
        Replayer {
            engine,
            clock: Clock::default(),
            hides_events: false,
            events: Vec::new(),
            padded: Vec::new(),
            tally: Tally::default(),
            helpers: RuleSet::default(),
            firewall: None,
        }
    }

    /// A tracker that goes on where one was saved.
    ///
    /// # Errors
    /// When the state cannot be restored.
    pub fn resume(state: &State) -> Result<Replayer, StateError> {
        let mut engine = Engine::restore(state)?;
        engine.listen();
        let mut replayer = Replayer::new(engine.profile());
        replayer.engine = engine;
        let _ = replayer.clock.advance_to(state.now().as_nanos());
        replayer.hide_events(i64::from(state.sysctls().get(Knob::Events)));
        Ok(replayer)
    }

    /// All that the tracker holds.
    pub fn save(&self) -> State {
        if !self.hides_events {
            return self.engine.save();
        }
        let mut engine = self.engine.clone();
        // It is a value that can be set: it was.
        let _ = engine.set(Knob::Events, 0);
        engine.save()
    }

    /// Sets a sysctl.
    ///
    /// # Errors
    /// When there is none of this name, or the kernel would refuse the value.
    pub fn set(&mut self, name: &str, value: i64) -> Result<(), SysctlError> {
        let knob = self.engine.set_by_name(name, value)?;
        if knob == Knob::Events {
            self.hide_events(value);
        }
        Ok(())
    }

    /// A rule assigns a helper to new connections to a port, as on a host that has just this rule.
    ///
    /// # Errors
    /// When there is no such helper.
    pub fn assign(&mut self, helper: &str, protocol: &str, port: u16) -> Result<(), String> {
        let known = Helper::find(helper).ok_or_else(|| no_helper(helper))?;
        let number = if protocol == "tcp" { protocol::TCP } else { protocol::UDP };
        if !known.info().protocols.contains(&number) {
            return Err(format!("the helper {helper} does not read {protocol}"));
        }
        let line = format!("mangle prerouting {protocol} dport {port} ct helper set \"{helper}\"");
        self.helpers.push(Rule::read(&line).map_err(|error| error.to_string())?);
        self.firewall = Some(Firewall::new(&self.helpers, Vec::new()));
        Ok(())
    }

    fn hide_events(&mut self, setting: i64) {
        self.hides_events = setting == 0;
        if self.hides_events {
            // It is a value that can be set.
            let _ = self.engine.set(Knob::Events, 1);
        }
    }

    /// Feeds a packet to the tracker. `None` for one that is not IP: it is skipped and counted.
    ///
    /// Where time runs backwards from one packet to the next, the clock stands still.
    pub fn handle<'a>(&'a mut self, captured: &Captured<'a>) -> Option<Record<'a>> {
        let bytes = match captured.bytes {
            Ok(bytes) => bytes,
            Err(why) => {
                self.tally.skip(why);
                return None;
            }
        };
        self.tally.packets += 1;
        let time = captured.time.unwrap_or(self.clock.now());
        if !self.clock.advance_to(time) {
            self.tally.backwards.get_or_insert(captured.number);
        }
        let packet = whole(bytes, captured.original_len, &mut self.padded);
        let outcome = match contradiction(captured.family, packet.bytes) {
            Some(outcome) => outcome,
            None => {
                track(&mut self.engine, self.firewall.as_mut(), Time(self.clock.now()), as_packet(&packet))
            }
        };
        if !packet.cut && !packet.offload {
            self.tally.checksum(packet.bytes, &outcome);
        }
        self.events.clear();
        self.events.extend(std::iter::from_fn(|| self.engine.poll_event()));
        let connection = connection(&self.engine, &outcome, &self.events);
        Some(Record {
            number: captured.number,
            time: Time(time),
            bytes: packet.bytes,
            truncated: packet.cut,
            outcome,
            connection,
            events: if self.hides_events { &[] } else { &self.events },
        })
    }

    /// The tracker as it stands.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What was noticed on the way.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

/// Lets a packet through a forwarding host, by its rules where it has any.
fn track(engine: &mut Engine, firewall: Option<&mut Firewall>, now: Time, packet: Packet<'_>) -> Outcome {
    let Some(firewall) = firewall else { return engine.forward(now, &packet) };
    let journey = Journey { packet, route: Route::Forward, iif: "", oif: "", lost: false, waits: false };
    engine.walk(now, firewall, &journey).outcome
}

/// What is wrong with the name of a helper that is not there.
pub(crate) fn no_helper(name: &str) -> String {
    let known: Vec<&str> = Helper::ALL.iter().map(|info| info.name).collect();
    let later = if Helper::LATER.contains(&name) { " in this version" } else { "" };
    format!("there is no helper `{name}`{later}; there are {}", known.join(", "))
}

fn as_packet<'a>(whole: &Whole<'a>) -> Packet<'a> {
    let trusted = whole.cut || whole.offload;
    let checksum = if trusted { Checksum::Trusted } else { Checksum::Verify };
    Packet { checksum, offload: whole.offload, ..Packet::new(whole.bytes) }
}

/// A packet whose link layer names the other family goes to the other family's receiver, which wants its own version.
fn contradiction(family: Option<Family>, bytes: &[u8]) -> Option<Outcome> {
    let expected = match family? {
        Family::Ipv4 => 4,
        Family::Ipv6 => 6,
    };
    let version = bytes.first()? >> 4;
    (version != expected).then_some(Outcome {
        class: Class::Discarded,
        verdict: Verdict::Drop,
        conn: None,
        attached: false,
        reason: Reason::IpVersion { version },
        help: None,
    })
}

/// The connection that an outcome is about, as it stands, or as it last stood when these events tell of its end.
pub(crate) fn connection(engine: &Engine, outcome: &Outcome, events: &[Event]) -> Option<Connection> {
    let id = outcome.conn?;
    if let Some(snapshot) = engine.conn(id) {
        return Some(Connection { snapshot, destroyed: false });
    }
    let is_end = |event: &&Event| event.kind == EventKind::Destroy && event.conn.id == id;
    let end = events.iter().find(is_end)?;
    Some(Connection { snapshot: end.conn.clone(), destroyed: true })
}
