//! Stories as texts: printed, read, formatted, blessed.

use std::sync::Arc;

use conntruth::generate::{Event, Traffic};
use conntruth::language::{self, format};
use conntruth::scenario::{Plan, Verdict};
use conntruth::target::{Observation, Reference};
use conntruth_engine::LINUX_6_18;

/// `parse ∘ print` is the identity.
pub fn read_back(bytes: &[u8]) {
    let traffic = Traffic::decode(bytes);
    if traffic.events().is_empty() {
        return;
    }
    let text = traffic.to_string();
    let script = language::read("story", &text).unwrap_or_else(|messages| panic!("{messages}\n{text}"));
    assert_eq!(script.stories, std::slice::from_ref(traffic.story()), "{text}");
    assert_eq!(script.stories[0].to_string(), text);
}

/// `fmt ∘ fmt` is `fmt`, also of a text that nobody has laid out, and what is sent stays the same.
pub fn formatting(bytes: &[u8]) {
    let traffic = Traffic::decode(bytes);
    if traffic.events().is_empty() {
        return;
    }
    let rough: String = traffic
        .scenario()
        .lines()
        .enumerate()
        .map(|(index, line)| match bytes.get(index).copied().unwrap_or_default() % 4 {
            0 if line.starts_with(' ') => format!("{line}   # here\n"),
            1 => format!("{line}  \n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let read = |text: &str| {
        language::read("story", text).unwrap_or_else(|messages| panic!("{messages}\n{text}")).stories
    };
    let format = |text: &str| format("story", text).unwrap_or_else(|messages| panic!("{messages}\n{text}"));
    let once = format(&rough);
    assert_eq!(format(&once), once);
    assert_eq!(read(&once), read(&rough), "{once}");
}

/// What blessing writes holds.
pub fn blessed(bytes: &[u8]) {
    let traffic = Traffic::decode(bytes);
    // A packet that its host throws away never comes to wait: that it goes on is no story that can be told.
    let is_told = |(event, answer): (&Event, Option<Observation>)| {
        !matches!(event, Event::Release(_)) || answer.is_some()
    };
    if traffic.events().is_empty() || !traffic.events().iter().zip(traffic.answers()).all(is_told) {
        return;
    }
    let text = traffic.scenario();
    let script = language::read("story", &text).unwrap_or_else(|messages| panic!("{messages}\n{text}"));
    let plans = Plan::all("story", &Arc::new(script), LINUX_6_18.hz)
        .unwrap_or_else(|messages| panic!("{messages}\n{text}"));
    for plan in &plans {
        let record = plan.run(&mut Reference::new(&LINUX_6_18));
        assert_eq!(plan.verdict(&record), Verdict::Passed, "{text}");
    }
}
