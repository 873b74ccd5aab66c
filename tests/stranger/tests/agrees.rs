//! Generated traffic through both trackers, by proptest and by bolero: the same decoder, so that a case of either prints as
//! the same kind of scenario.

use conntruth::engine::{Class, CtInfo};
use conntruth::generate::{Allowed, Clock, Disagreement, Feature, Features, Protocols, Speaks, Traffic};
use conntruth::strategy::traffic;
use conntruth_stranger::{Relation, Tracker};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

/// What this tracker can be asked: whole UDP datagrams, at one moment.
fn allowed() -> Allowed {
    let features = Features::NONE.with(Feature::Several).with(Feature::Again).with(Feature::Ipv6);
    Allowed { features, clock: Clock::Still, ..Allowed::packets_alone(Protocols::NONE.with(Speaks::Udp)) }
}

fn agree(mut mine: Tracker, traffic: &Traffic) -> Result<(), Disagreement> {
    traffic.against(|packet| {
        Some(Class::Tracked(match mine.packet(&packet.bytes)? {
            Relation::New => CtInfo::New,
            Relation::Known => CtInfo::Established,
            Relation::Answer => CtInfo::EstablishedReply,
        }))
    })
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn my_tracker_agrees(traffic in traffic(allowed())) {
        agree(Tracker::default(), &traffic)?;
    }
}

/// What lies in `__fuzz__`, and one input that follows from `BOLERO_RANDOM_SEED`: further ones bolero draws from the operating
/// system, and a test that may fail once is none. `cargo bolero test my_tracker_agrees_by_bolero` tries them for as long as
/// it is let.
#[test]
fn my_tracker_agrees_by_bolero() {
    bolero::check!().with_iterations(0).for_each(|bytes: &[u8]| {
        let traffic = Traffic::within(bytes, &allowed());
        agree(Tracker::default(), &traffic).unwrap_or_else(|disagreement| panic!("{disagreement}"));
    });
}

/// A mistake is found, made small, and told as a scenario that can be pasted into an issue.
#[test]
fn a_mistake_is_told_as_a_small_scenario() {
    let mut runner = TestRunner::new_with_rng(
        Config { failure_persistence: None, ..Config::default() },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let found = runner.run(&traffic(allowed()), |traffic| Ok(agree(Tracker::forgetful(), &traffic)?));
    let Err(TestError::Fail(_, smallest)) = found else { panic!("it was not found: {found:?}") };
    let told = agree(Tracker::forgetful(), &smallest).unwrap_err();
    assert_eq!(told.packet, 3);
    insta::assert_snapshot!(told, @"
    packet 3: the reference says Tracked(Established), the tracker Tracked(New)

    flow udp client:40000 > server:80

            >
            = new 30s [UNREPLIED]
            <
            = established reply 30s []
            >
            = established 30s []
    ");
}
