//! The reference as a target: our engine, asked directly.

use std::borrow::Cow;
use std::collections::BTreeMap;

use conntruth_engine::{
    ConnId, ConnSnapshot, Engine, Event, EventKind, Hook, Knob, Outcome, Packet, Profile, Time,
};

use super::{
    Abilities, Arrival, Config, Confirms, Entry, Fate, Happening, Identity, Observation, Passing, Path,
    Refusal, Setting, Shows, Target, Why,
};

/// The engine under a profile.
#[derive(Clone)]
pub struct Reference {
    profile: &'static Profile,
    engine: Engine,
    /// Entries as they last stood, while there are no events that would tell of their end.
    known: BTreeMap<u64, Entry>,
}

impl Reference {
    /// A reference with these semantics.
    pub fn new(profile: &'static Profile) -> Reference {
        Reference { profile, engine: Engine::new(profile), known: BTreeMap::new() }
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    fn events(&mut self) -> Vec<Happening> {
        let hz = self.profile.hz;
        std::iter::from_fn(|| self.engine.poll_event()).map(|event| happening(&event, hz)).collect()
    }

    fn entry(&self, conn: &ConnSnapshot) -> Entry {
        Entry::seen(conn, self.engine.now(), self.profile.hz)
    }

    /// The entry as it stands after a packet, or as it last stood, and whether the packet ended it.
    fn after(&mut self, id: ConnId, events: &[Happening]) -> (Option<Entry>, bool) {
        if let Some(conn) = self.engine.conn(id) {
            let entry = self.entry(&conn);
            if self.engine.sysctls().get(Knob::Events) == 0 {
                self.known.insert(entry.id, entry.clone());
            }
            return (Some(entry), false);
        }
        let ends = |event: &&Happening| event.kind == EventKind::Destroy && event.entry.id == id.number();
        let told = events.iter().rfind(ends).map(|event| event.entry.clone());
        let last = told.or_else(|| self.known.remove(&id.number()));
        let destroyed = last.is_some();
        (last, destroyed)
    }

    /// Lets a packet pass, and answers in the engine's own words.
    pub fn pass(&mut self, arrival: &Arrival) -> Outcome {
        let packet = Packet { notrack: arrival.notrack, zone: arrival.zone, ..Packet::new(&arrival.bytes) };
        let hook = match arrival.path {
            Path::Forward | Path::Input => Hook::Prerouting,
            Path::Output | Path::Loopback => Hook::Output,
        };
        let passage = self.engine.handle(arrival.at, hook, &packet);
        match arrival.fate {
            Fate::Passes => self.engine.confirm(arrival.at, passage),
            Fate::Dropped => self.engine.discard(passage),
        }
    }
}

impl Target for Reference {
    fn identity(&self) -> Identity {
        Identity {
            name: "reference".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            profile: self.profile.name.to_owned(),
            hz: self.profile.hz,
            abilities: Abilities {
                time: Passing::Virtual,
                confirms: Confirms::AtHook,
                shows: Shows::ALL,
                protocols: Abilities::PROTOCOLS.map(str::to_owned).to_vec(),
                sysctls: Knob::ALL.iter().map(|knob| knob.name.to_owned()).collect(),
                helpers: Vec::new(),
                nat: false,
                zones: true,
                own_host: true,
            },
        }
    }

    fn begin(&mut self, config: &Config) -> Result<(), Refusal> {
        self.engine = Engine::new(self.profile);
        self.known.clear();
        self.engine.listen();
        config.settings.iter().try_for_each(|setting| self.set(setting))
    }

    fn set(&mut self, setting: &Setting) -> Result<(), Refusal> {
        self.engine
            .set_by_name(&setting.name, setting.value)
            .map_err(|error| Refusal::Wrong(error.to_string()))?;
        Ok(())
    }

    fn packet(&mut self, arrival: &Arrival) -> Result<Observation, Refusal> {
        let outcome = self.pass(arrival);
        let events = self.events();
        let (entry, destroyed) = outcome.conn.map_or((None, false), |id| self.after(id, &events));
        Ok(Observation {
            class: outcome.class,
            verdict: outcome.verdict,
            attached: outcome.attached,
            why: Some(Why::Reason(outcome.reason)),
            entry,
            destroyed,
            events,
        })
    }

    fn advance(&mut self, to: Time) -> Result<Vec<Happening>, Refusal> {
        self.engine.handle_timeouts(to);
        Ok(self.events())
    }

    fn table(&mut self) -> Result<Vec<Entry>, Refusal> {
        Ok(self.engine.conns().map(|conn| self.entry(&conn)).collect())
    }
}

fn happening(event: &Event, hz: u32) -> Happening {
    Happening {
        at: event.at,
        kind: event.kind,
        changes: event.changes.names().map(Cow::Borrowed).collect(),
        entry: Entry::seen(&event.conn, event.at, hz),
    }
}
