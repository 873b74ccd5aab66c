//! A rule set at work as a value that can be kept beside the engine's [`crate::State`]: its rules, what it has counted,
//! and what is left in the buckets of its limits.

use serde::{Deserialize, Deserializer, Serialize};

use super::limit::{Bucket, Limit};
use super::{Firewall, Interface, Rule, RuleSet};
use crate::snapshot::Counter;
use crate::state::{MOST, StateChange, StateError};
use crate::time::Time;

/// All that a [`Firewall`] holds at one moment.
///
/// ```
/// use conntruth_engine::{Firewall, FirewallState, RuleSet};
///
/// let rules = RuleSet::read(["filter forward limit rate 1/hour counter name seen accept"]).unwrap();
/// let firewall = Firewall::new(&rules, Vec::new());
/// let saved = serde_json::to_string(&firewall.save()).unwrap();
/// let state: FirewallState = serde_json::from_str(&saved).unwrap();
/// assert_eq!(Firewall::restore(&state).unwrap().save(), firewall.save());
/// assert_eq!(state.changes(&firewall.save()), []);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallState {
    /// The first field: what follows another number is not looked at.
    #[serde(deserialize_with = "this_version")]
    version: u32,
    /// Chain by chain.
    rules: RuleSet,
    interfaces: Vec<Interface>,
    now: Time,
    /// By name.
    counters: Vec<(String, Counter)>,
    /// Of the limits in the order of the rules.
    buckets: Vec<Bucket>,
}

fn this_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        FirewallState::VERSION => Ok(FirewallState::VERSION),
        other => Err(serde::de::Error::custom(format_args!(
            "rules of version {other}; this program reads version {}",
            FirewallState::VERSION
        ))),
    }
}

impl Firewall {
    /// All that it holds, as a value.
    pub fn save(&self) -> FirewallState {
        let Firewall { chains, translates: _, counters, interfaces, now } = self;
        let mut rules = RuleSet::default();
        chains.iter().flat_map(|chain| &chain.rules).for_each(|rule| rules.push(rule.clone()));
        FirewallState {
            version: FirewallState::VERSION,
            rules,
            interfaces: interfaces.clone(),
            now: *now,
            counters: counters.clone(),
            buckets: chains.iter().flat_map(|chain| &chain.buckets).copied().collect(),
        }
    }

    /// A rule set that goes on where one was saved.
    ///
    /// # Errors
    /// When its counters or limits are not those of its rules.
    pub fn restore(state: &FirewallState) -> Result<Firewall, StateError> {
        let broken = |what: &str| Err(StateError::Broken(what.to_owned()));
        let mut firewall = Firewall::new(&state.rules, state.interfaces.clone());
        firewall.now = state.now;
        let names = |counters: &[(String, Counter)]| -> Vec<String> {
            counters.iter().map(|(name, _)| name.clone()).collect()
        };
        if names(&firewall.counters) != names(&state.counters) {
            return broken("its counters are not those of its rules");
        }
        if state.counters.iter().any(|(_, counter)| counter.packets > MOST || counter.bytes > MOST) {
            return broken("it has counted further than can be");
        }
        firewall.counters.clone_from(&state.counters);
        let places = firewall.chains.iter_mut().flat_map(|chain| &mut chain.buckets);
        let mut saved = state.buckets.iter();
        for place in places {
            let Some(bucket) = saved.next() else { return broken("a limit has no bucket") };
            *place = *bucket;
        }
        match saved.next() {
            None => Ok(firewall),
            Some(_) => broken("there is a bucket of no limit"),
        }
    }
}

impl FirewallState {
    /// The version that this library writes, and the only one that it reads.
    pub const VERSION: u32 = 1;

    /// The rules, chain by chain.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// The named counters: packets and bytes so far, in the order of their names.
    pub fn counters(&self) -> impl Iterator<Item = (&str, Counter)> {
        self.counters.iter().map(|(name, counter)| (&**name, *counter))
    }

    /// What is otherwise in a later state: the clock, rules, counters, limits. Empty exactly when both are the same.
    pub fn changes(&self, later: &FirewallState) -> Vec<StateChange> {
        let mut found = Vec::new();
        let mut value = |what: String, from: String, to: String| {
            if from != to {
                found.push(StateChange::Value { what, from, to });
            }
        };
        value("the clock of the rules".to_owned(), format!("{} s", self.now), format!("{} s", later.now));
        let line = |rules: &RuleSet, index: usize| {
            rules.rules().get(index).map_or("none".to_owned(), |rule| format!("`{rule}`"))
        };
        for index in 0..self.rules.rules().len().max(later.rules.rules().len()) {
            value(format!("rule {}", index + 1), line(&self.rules, index), line(&later.rules, index));
        }
        let mut names: Vec<&str> = self.counters().chain(later.counters()).map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            value(format!("counter {name}"), self.counted(name), later.counted(name));
        }
        let (before, now) = (self.limits(), later.limits());
        for index in 0..before.len().max(now.len()) {
            let words = |limits: &[(&Rule, Bucket)]| match limits.get(index) {
                Some((_, bucket)) => bucket.to_string(),
                None => "none".to_owned(),
            };
            let rule = before.get(index).or(now.get(index)).map(|(rule, _)| rule.to_string());
            value(format!("the limit of `{}`", rule.unwrap_or_default()), words(&before), words(&now));
        }
        let interfaces = |state: &FirewallState| -> Vec<String> {
            state.interfaces.iter().map(|interface| interface.name.clone()).collect()
        };
        if self.interfaces != later.interfaces {
            let (from, to) = (interfaces(self).join(" "), interfaces(later).join(" "));
            let to = if from == to { format!("{to}, with other addresses") } else { to };
            value("the interfaces".to_owned(), from, to);
        }
        found
    }

    fn counted(&self, name: &str) -> String {
        let counter = self.counters().find(|(other, _)| *other == name).map(|(_, counter)| counter);
        counter.map_or("none".to_owned(), |counter| {
            format!("packets {} bytes {}", counter.packets, counter.bytes)
        })
    }

    /// The limits, each with its rule.
    fn limits(&self) -> Vec<(&Rule, Bucket)> {
        let limits = |rule| Rule::limits(rule).map(move |_: &Limit| rule);
        self.rules.rules().iter().flat_map(limits).zip(self.buckets.iter().copied()).collect()
    }
}
