//! Engines that are saved, restored and cloned in the middle of a story. States that nobody has saved are in `strange`.

use conntruth::generate::{Event, Traffic};
use conntruth::target::{Kept, Observation, Reference, Refusal, Target};
use conntruth_engine::{Engine, LINUX_6_18, State, Time};

use super::raw;

/// At every event the state goes through its text, and what was restored goes on beside the original.
pub fn restored_goes_on(bytes: &[u8]) {
    let steps = raw::decode(bytes);
    let mut engine = raw::engine();
    let mut restored = raw::engine();
    let mut now = Time::ZERO;
    for (index, step) in steps.iter().enumerate() {
        now = now.plus(step.wait);
        if index.is_multiple_of(5) {
            let text = serde_json::to_string(&engine.save()).unwrap_or_else(|error| panic!("{error}"));
            let state: State = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
            restored = Engine::restore(&state).unwrap_or_else(|error| panic!("{error}"));
        }
        let packet = step.packet();
        assert_eq!(engine.forward(now, &packet), restored.forward(now, &packet));
        assert_eq!(engine.poll_event(), restored.poll_event());
        assert_eq!(engine.poll_timeout(), restored.poll_timeout());
    }
    assert_eq!(engine.save(), restored.save());
    assert_eq!(engine.save().changes(&restored.save()), []);
}

/// The same of the reference, with its rules and with packets that wait: at every third event it goes through its text.
pub fn kept_goes_on(bytes: &[u8]) {
    let traffic = Traffic::decode(bytes);
    let told = |what: &dyn std::fmt::Display| format!("{what}\n{traffic}");
    let mut reference = Reference::new(&LINUX_6_18);
    reference.begin(&traffic.config()).unwrap_or_else(|refusal| panic!("{}", told(&refusal)));
    let mut restored = reference.clone();
    for (index, event) in traffic.events().iter().enumerate() {
        if index.is_multiple_of(3) {
            let text = serde_json::to_string(&reference.save()).unwrap_or_else(|error| panic!("{error}"));
            let kept: Kept = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}", told(&error)));
            restored = Reference::restore(&kept).unwrap_or_else(|error| panic!("{}", told(&error)));
            assert_eq!(kept.changes(&restored.save()), [], "{traffic}");
        }
        assert_eq!(see(&mut reference, event), see(&mut restored, event), "{traffic}");
        assert_eq!(reference.counters(), restored.counters(), "{traffic}");
    }
    assert_eq!(reference.save(), restored.save(), "{traffic}");
}

pub(super) fn see(reference: &mut Reference, event: &Event) -> Result<Option<Observation>, Refusal> {
    match event {
        Event::Packet(arrival) => reference.packet(arrival).map(Some),
        Event::Release(release) => Ok(reference.release(release).ok()),
        Event::Set { setting, .. } => reference.set(setting).map(|()| None),
    }
}

/// A clone of the whole reference, made in the middle, sees the rest as the original does.
pub fn clones_agree(bytes: &[u8]) {
    let traffic = Traffic::decode(bytes);
    let half = traffic.events().len() / 2;
    let mut reference = Reference::new(&LINUX_6_18);
    let mut clone = None;
    let mut answers = Vec::new();
    let ended = traffic.run(&mut reference, |reference, _, answer| {
        answers.push(answer);
        if answers.len() == half {
            clone = Some(reference.clone());
        }
    });
    assert_eq!(ended, Ok(()), "{traffic}");
    let Some(mut clone) = clone else { return };
    let mut rest = Vec::new();
    // Without beginning again: the clone is in the middle.
    for event in &traffic.events()[half..] {
        let seen = see(&mut clone, event);
        rest.push(seen.unwrap_or_else(|refusal| panic!("{refusal}\n{traffic}")));
    }
    assert_eq!(rest, answers[half..], "{traffic}");
    assert_eq!(clone.engine().save(), reference.engine().save());
}
