//! The reference as a value that can be kept: engine, rules at work, and the packets that wait between the hooks.

use conntruth_engine::{Engine, Firewall, FirewallState, Profile, State, StateChange, StateError};
use serde::{Deserialize, Serialize};

use super::reference::Waiting;
use super::{Entry, Reference};

/// All that a [`Reference`] holds at one moment. Its parts bear the versions.
///
/// ```
/// use conntruth::engine::LINUX_6_18;
/// use conntruth::generate::Traffic;
/// use conntruth::target::{Kept, Reference, Target};
///
/// let traffic = Traffic::decode(&[]);
/// let mut reference = Reference::new(&LINUX_6_18);
/// reference.begin(&traffic.config()).unwrap();
/// let (first, second) = (traffic.packets().next().unwrap(), traffic.packets().nth(1).unwrap());
/// reference.packet(first).unwrap();
///
/// let kept = serde_json::to_string(&reference.save()).unwrap();
/// let kept: Kept = serde_json::from_str(&kept).unwrap();
/// let mut restored = Reference::restore(&kept).unwrap();
/// assert_eq!(restored.packet(second), reference.packet(second));
/// let words: Vec<String> = kept.changes(&restored.save()).iter().map(ToString::to_string).collect();
/// assert!(words[0].ends_with("state SYN_SENT -> SYN_RECV"), "{words:?}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    engine: State,
    firewall: Option<FirewallState>,
    waiting: Vec<Option<Waiting>>,
    known: Vec<Entry>,
}

impl Reference {
    /// All that it holds, as a value.
    pub fn save(&self) -> Kept {
        Kept {
            engine: self.engine.save(),
            firewall: self.firewall.as_ref().map(Firewall::save),
            waiting: self.waiting.clone(),
            known: self.known.values().cloned().collect(),
        }
    }

    /// A reference that goes on where one was kept.
    ///
    /// # Errors
    /// When its profile is none of [`Profile::ALL`], or its parts do not fit together.
    pub fn restore(kept: &Kept) -> Result<Reference, StateError> {
        let unknown = || StateError::Profile(kept.engine.profile().to_owned());
        let profile = Profile::find(kept.engine.profile()).ok_or_else(unknown)?;
        Ok(Reference {
            profile,
            engine: Engine::restore(&kept.engine)?,
            known: kept.known.iter().map(|entry| (entry.id, entry.clone())).collect(),
            waiting: kept.waiting.clone(),
            firewall: kept.firewall.as_ref().map(Firewall::restore).transpose()?,
        })
    }
}

impl Kept {
    /// The tracker.
    pub fn engine(&self) -> &State {
        &self.engine
    }

    /// The rules at work, where there are any.
    pub fn firewall(&self) -> Option<&FirewallState> {
        self.firewall.as_ref()
    }

    /// What is otherwise in a later one: of the tracker, of its rules, and of the packets that wait.
    pub fn changes(&self, later: &Kept) -> Vec<StateChange> {
        let mut found = self.engine.changes(&later.engine);
        let mut value = |what: &str, from: String, to: String| {
            found.push(StateChange::Value { what: what.to_owned(), from, to });
        };
        let waits = |kept: &Kept| kept.waiting.iter().flatten().count().to_string();
        if self.waiting != later.waiting {
            value("packets that wait between the hooks", waits(self), waits(later));
        }
        match (&self.firewall, &later.firewall) {
            (Some(before), Some(now)) => found.extend(before.changes(now)),
            (before, now) if before.is_some() != now.is_some() => {
                let word = |is_there: bool| if is_there { "there" } else { "none" }.to_owned();
                value("rules", word(before.is_some()), word(now.is_some()));
            }
            _ => {}
        }
        found
    }
}
