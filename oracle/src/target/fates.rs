//! Rules for targets that have none. The reference takes each packet through the scenario's rules, and the target is told
//! what they do to it: whether it is tracked and where, which mark its connection takes, and whether it is dropped before
//! that is confirmed. What the rules themselves do - which packets pass, what is sent in return, what is counted - is then
//! the reference's doing, and no claim about that is held against the target.

use conntruth_engine::{Class, EventKind, Profile, Time, Treatment, Verdict};

use super::{Arrival, Config, Fate, Observation, Reference, Refusal, Sent, Setting, Shows, Target};

/// A reference that walks along.
#[derive(Clone, Debug)]
pub(super) struct Fates {
    reference: Reference,
    /// The target shows events.
    events: bool,
}

/// What rules do to one packet.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// As it comes to the tracker; none where a rule ends it before.
    pub arrival: Option<Arrival>,
    /// Whether it goes on to its end, as far as the rules are concerned.
    verdict: Verdict,
    /// The rule that ended it.
    by: Option<String>,
    /// What rules sent in return.
    sent: Vec<Sent>,
}

impl Fates {
    /// For a world with rules; none where there are no rules.
    ///
    /// # Errors
    /// When the reference cannot apply them.
    pub(super) fn new(
        profile: &'static Profile,
        config: &Config,
        shows: &Shows,
    ) -> Result<Option<Fates>, Refusal> {
        if config.rules.is_empty() {
            return Ok(None);
        }
        if config.rules.translates() {
            let what = "a target without rules of its own cannot be told how they translate";
            return Err(Refusal::Unsupported(what.to_owned()));
        }
        let mut reference = Reference::new(profile);
        // A setting that the reference does not take, the target may: it says so itself.
        let settings = Vec::new();
        reference.begin(&Config { settings, ..config.clone() })?;
        let mut fates = Fates { reference, events: shows.events };
        config.settings.iter().for_each(|setting| fates.set(setting));
        Ok(Some(fates))
    }

    /// A sysctl takes another value.
    pub(super) fn set(&mut self, setting: &Setting) {
        let _ = self.reference.set(setting);
    }

    /// Time passes.
    pub(super) fn advance(&mut self, to: Time) {
        let _ = self.reference.advance(to);
    }

    /// What the rules do to a packet.
    ///
    /// # Errors
    /// [`Refusal::Unsupported`] when they do what a target cannot be told.
    pub(super) fn tell(&mut self, arrival: &Arrival) -> Result<Told, Refusal> {
        if arrival.fate == Fate::Waits {
            return Err(Refusal::Unsupported(
                "a target without rules of its own is not told of packets that wait among rules".to_owned(),
            ));
        }
        let walk = self.reference.pass(arrival);
        let Treatment { seen, notrack, zone, mark, helper, dropped, answered } = walk.treatment;
        let helper = helper.map(|helper| helper.name().to_owned());
        let happened = self.reference.happened();
        let untold = self.events && !walk.sent.is_empty();
        let unsaid = if answered {
            Some("what a rule sends in return changes a connection")
        } else if untold && happened.iter().any(|event| event.kind == EventKind::Update) {
            Some("what a rule sends in return tells what its connection has not told yet")
        } else {
            None
        };
        if let Some(what) = unsaid {
            return Err(Refusal::Unsupported(format!("{what}: a target without rules cannot be told that")));
        }
        let fate = if dropped { Fate::Dropped } else { Fate::Passes };
        let arrival = seen.then(|| Arrival { fate, notrack, zone, mark, helper, ..arrival.clone() });
        let sent = walk.sent.into_iter().map(|answer| Sent {
            bytes: answer.bytes,
            class: answer.class,
            verdict: answer.verdict,
        });
        // That the tracker itself stops it is for the target to say.
        let verdict = if walk.by.is_some() { Verdict::Drop } else { Verdict::Accept };
        Ok(Told { arrival, verdict, by: walk.by, sent: sent.collect() })
    }
}

impl Told {
    /// What became of a packet: what the target says, after what the rules did.
    pub(super) fn seen(self, observation: Option<Observation>) -> Observation {
        let unseen = || Observation::of(Class::Discarded, Verdict::Drop);
        let seen = observation.unwrap_or_else(unseen);
        let verdict = if self.verdict == Verdict::Drop { Verdict::Drop } else { seen.verdict };
        Observation { verdict, by: self.by, sent: self.sent, ..seen }
    }
}
