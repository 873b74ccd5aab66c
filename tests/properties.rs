//! Every property of `conntruth_tests::properties`, by proptest and by bolero: `cargo test --test properties clones`.
//!
//! `PROPTEST_CASES=100000` and `BOLERO_RANDOM_ITERATIONS=100000` try more. What proptest finds is bytes that it has made
//! fewer; the property's message has the story.

use conntruth_tests::properties::{PROPERTIES, Property, back, property, raw};
use conntruth_tests::seeded::Seeded;
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, TestRunner};

/// So many bytes at most: more than a story needs.
const BYTES: usize = 2048;

fn by_proptest(name: &str) {
    let Property { check, cases, .. } = *property(name);
    let usual = Config::default();
    let cases = if usual.cases == 256 { cases } else { usual.cases };
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..usual });
    let result = runner.run(&vec(any::<u8>(), 0..BYTES), |bytes| {
        check(&bytes);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{}\n{error}", property(name).says);
    }
}

macro_rules! tests {
    ($($name:ident)*) => {
        mod by_proptest {
            $( #[test] fn $name() { super::by_proptest(stringify!($name)); } )*
        }

        mod by_bolero {
            $( #[test] fn $name() {
                let conntruth_tests::properties::Property { check, cases, .. } =
                    *super::property(stringify!($name));
                super::Seeded { folder: None, cases: cases.into(), most: super::BYTES }.check(check);
            } )*
        }

        /// The properties that have tests here.
        const TESTED: &[&str] = &[$( stringify!($name), )*];
    };
}

tests! {
    any_bytes_are_survived
    noise_is_determined
    batches_equal_one_by_one
    the_table_keeps_its_maximum
    stories_are_determined
    stories_are_survived
    inverting_twice_is_nothing
    entries_are_found_by_both_tuples
    timeouts_fall_and_expiry_is_exact
    invalid_packets_change_nothing
    deadlines_are_timeouts_from_now
    refresh_rules
    entries_come_of_confirmed_packets
    counters_add_up
    nat_mappings_are_injective
    nat_mappings_lead_back
    expectations_never_outlive_their_masters
    restored_engines_go_on_the_same
    kept_references_go_on_the_same
    clones_agree
    strange_states_are_refused_or_work
    strange_references_are_refused_or_work
    printed_stories_read_back
    formatting_twice_is_formatting_once
    blessed_scenarios_pass
}

#[test]
fn every_property_is_tested_and_says_what_it_is() {
    let names: Vec<&str> = PROPERTIES.iter().map(|property| property.name).collect();
    assert_eq!(names, TESTED);
    assert!(PROPERTIES.iter().all(|property| property.says.trim().ends_with('.')));
}

/// A decoder that only ever makes noise would prove nothing.
#[test]
fn the_raw_decoder_reaches_the_trackers() {
    let mut state = 1_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(200_000)
    .collect();
    let reached = raw::reasons(&bytes);
    assert!(reached.len() > 45, "{} reasons only: {reached:?}", reached.len());
}

/// Nor would one whose packets are never answered.
#[test]
fn translated_packets_of_every_protocol_lead_back() {
    let seeded = Seeded { folder: None, cases: 0, most: BYTES };
    let mut all = back::Compared::default();
    for number in 0..400 {
        let compared = back::compared(&seeded.follows(1, number));
        all.answers.iter_mut().zip(compared.answers).for_each(|(all, more)| *all += more);
        (all.errors, all.plain) = (all.errors + compared.errors, all.plain + compared.plain);
    }
    assert!(all.answers[..4].iter().all(|answers| *answers > 20) && all.errors > 20, "{all:?}");
}
