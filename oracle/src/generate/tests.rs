//! What generated stories must be, whatever the bytes.

use std::collections::BTreeSet;

use arbitrary::Unstructured;
use conntruth_engine::LINUX_6_18;
use proptest::prelude::*;

use super::*;
use crate::language::ast::Action;
use crate::language::{parse, read};
use crate::scenario::arrivals;

/// A story is one that a person could have written, and its packets are what the runner would send.
#[track_caller]
fn check(case: &Case, lane: Lane) {
    let Case { story, arrivals: packets } = case;
    let family = story.families[0];
    assert_eq!(arrivals(story, family, lane, LINUX_6_18.hz).as_ref(), Ok(packets));
    if story.steps.is_empty() {
        return;
    }
    let text = story.to_string();
    let script = read("case.ct", &text).unwrap_or_else(|messages| panic!("{messages}\n{text}"));
    assert_eq!(script.stories, std::slice::from_ref(story), "{text}");
    for packet in packets {
        assert!(packet.bytes.len() <= 1500, "{text}");
        // Forwarding would end it after the tracker has seen it.
        let ttl = match packet.bytes[0] >> 4 {
            _ if family == conntruth_engine::Family::Ipv6 => packet.bytes[7],
            _ => packet.bytes[8],
        };
        assert!(ttl >= 2, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_story(bytes in prop::collection::vec(any::<u8>(), 0..1500), lane in any::<u64>()) {
        let mut left = Unstructured::new(&bytes);
        let mut choices = Choices::new(&mut left);
        let setup = Setup::choose(&mut choices, &Allowed::default());
        let scope = Scope::choose(&mut choices, &Allowed::default(), &setup);
        let lane = Lane::number(lane);
        check(&case(&mut left, &scope, lane), lane);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_bytes_are_too_strange(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2048)) {
        let story = story(&mut Unstructured::new(&bytes));
        assert!(story.steps.len() < 100);
    }
}

#[test]
fn no_bytes_at_all_are_the_honest_story() {
    let story = story(&mut Unstructured::new(&[]));
    assert_eq!(
        story.to_string(),
        "flow tcp client:40000 > server:80\n\n        > S\n        < S.\n        > .\n"
    );
}

#[test]
fn a_seed_is_the_same_cases_one_by_one_and_on_any_lane() {
    let stream = Stream::new(7, Allowed::default());
    for number in [0, 1, 511, 512, 100_000] {
        let setup = stream.setup(number / CASES_IN_A_BATCH);
        let [first, again] = [Lane::FIRST, Lane::number(9)].map(|lane| stream.case(number, &setup, lane));
        assert_eq!(first.story, again.story);
        assert_eq!(first.arrivals.len(), again.arrivals.len());
    }
    let setup = stream.setup(0);
    assert_ne!(
        stream.case(0, &setup, Lane::FIRST).story,
        Stream::new(8, Allowed::default()).case(0, &setup, Lane::FIRST).story
    );
}

#[test]
fn the_bytes_of_a_seed_stay_as_they_are() {
    // On any machine, and from release to release: a change here changes what every seed means, and must be meant.
    let stream = Stream::new(1, Allowed::default());
    let mut sum = 0_u32;
    for number in 0..2 * CASES_IN_A_BATCH {
        let setup = stream.setup(number / CASES_IN_A_BATCH);
        for packet in stream.case(number, &setup, Lane::FIRST).arrivals {
            sum = crc32c::crc32c_append(sum, &packet.bytes);
        }
    }
    assert_eq!(format!("{sum:08x}"), "7969566b");
}

#[test]
fn lanes_have_no_address_in_common() {
    let stream = Stream::new(3, Allowed::default());
    let setup = stream.setup(0);
    let addresses = |lane| {
        let mut all = BTreeSet::new();
        for number in 0..20 {
            for packet in stream.case(number, &setup, lane).arrivals {
                all.insert(match packet.bytes[0] >> 4 {
                    6 => packet.bytes[8..24].to_vec(),
                    _ => packet.bytes[12..16].to_vec(),
                });
            }
        }
        all
    };
    let lanes = [Lane::FIRST, Lane::number(0), Lane::number(1), Lane::number(u64::from(Lane::COUNT) - 1)];
    let all: Vec<BTreeSet<Vec<u8>>> = lanes.into_iter().map(addresses).collect();
    for (index, left) in all.iter().enumerate() {
        for right in &all[index + 1..] {
            assert!(left.is_disjoint(right), "{left:?} {right:?}");
        }
    }
}

#[test]
fn ageing_leaves_out_what_it_cannot_age() {
    let allowed = Allowed { clock: Clock::Ageing, ..Allowed::default() };
    let stream = Stream::new(5, allowed);
    let mut timed = 0;
    for number in 0..2000 {
        let setup = stream.setup(number / CASES_IN_A_BATCH);
        let story = stream.case(number, &setup, Lane::FIRST).story;
        let mut after = story.steps.iter().filter_map(|step| step.after).peekable();
        if after.peek().is_none() {
            continue;
        }
        timed += 1;
        assert!(after.all(|after| after.value.ticks == 0 && after.value.nanos % 1_000_000_000 == 0));
        let text = story.to_string();
        assert!(!text.contains(" fragment") && !text.contains(" udp "), "{text}");
    }
    assert!(timed > 100);
}

#[test]
fn what_is_left_out_does_not_occur() {
    let allowed = Allowed {
        features: Features::NONE,
        protocols: Protocols::NONE.with(Speaks::Tcp),
        settings: false,
        ..Allowed::default()
    };
    let stream = Stream::new(2, allowed);
    for number in 0..200 {
        let setup = stream.setup(number / CASES_IN_A_BATCH);
        let story = stream.case(number, &setup, Lane::FIRST).story;
        let text = story.to_string();
        for word in [
            "fragment", "checksum", "icmp", "again", "lost", "notrack", "zone", "set ", "poke", "family",
            " seq ",
        ] {
            assert!(!text.contains(word), "{word}:\n{text}");
        }
        assert!(story.steps.iter().all(|step| matches!(step.action, Action::Send { .. })));
        assert!(parse("case", &text).is_ok());
    }
}
