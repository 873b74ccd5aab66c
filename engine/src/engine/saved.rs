//! An engine as a [`State`], and back.

use super::Engine;
use crate::defrag::SavedDefrag;
use crate::profile::Profile;
use crate::proto::Rules;
use crate::state::{LATEST, State, StateError};
use crate::table::SavedTable;
use crate::time::{Jiffies, Ticks};

impl Engine {
    /// All that it holds, as a value.
    pub fn save(&self) -> State {
        // Whoever adds a field decides here whether it is kept.
        let Engine {
            rules,
            now,
            tick_ends: _,
            table,
            defrag,
            expected,
            held,
            whole: _,
            listening,
            events,
            due: _,
            draws,
            ended: _,
        } = self;
        State {
            version: State::VERSION,
            profile: rules.profile.name.to_owned(),
            hz: rules.profile.hz,
            now: *now,
            sysctls: rules.sysctls.clone(),
            listening: *listening,
            table: SavedTable::of(table),
            defrag: SavedDefrag::of(defrag),
            expected: expected.clone(),
            held: held.clone(),
            events: events.clone(),
            draws: draws.clone(),
        }
    }

    /// An engine that goes on where one was saved.
    ///
    /// # Errors
    /// When its profile is none of [`Profile::ALL`], or its parts do not fit together.
    pub fn restore(state: &State) -> Result<Engine, StateError> {
        let profile = Profile::find(&state.profile);
        Engine::restore_as(state, profile.ok_or_else(|| StateError::Profile(state.profile.clone()))?)
    }

    /// The same under a profile of one's own; its name is not compared.
    ///
    /// # Errors
    /// When the profile has another clock, or the state's parts do not fit together.
    pub fn restore_as(state: &State, profile: &'static Profile) -> Result<Engine, StateError> {
        if profile.hz != state.hz {
            return Err(StateError::Clock { profile: profile.hz, state: state.hz });
        }
        let ticks = Ticks::new(profile.hz);
        let tick = ticks.at(state.now);
        if state.now > LATEST {
            return Err(StateError::Broken("its clock has run further than can be".to_owned()));
        }
        let table = state.table.restore(ticks, tick).map_err(StateError::Broken)?;
        let latest = Jiffies(tick.0 + ticks.longest());
        let expected = state.expected.restore(&table, latest).map_err(StateError::Broken)?;
        Ok(Engine {
            rules: Rules { profile, sysctls: state.sysctls.clone(), ticks, now: tick },
            now: state.now,
            tick_ends: ticks.start(Jiffies(tick.0 + 1)),
            table,
            defrag: state.defrag.restore(ticks, tick).map_err(StateError::Broken)?,
            expected,
            held: state.held.clone(),
            whole: None,
            listening: state.listening,
            events: state.events.clone(),
            due: Vec::new(),
            draws: state.draws.clone(),
            ended: None,
        })
    }
}
