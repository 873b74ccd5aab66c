//! Traffic: every story with everything in it is what a person could have written, runs, and gets simpler.

use super::super::Feature;
use super::*;
use crate::language::ast::Action;
use crate::language::read;
use crate::scenario::Plan;

fn bytes(seed: u64) -> Vec<u8> {
    use rand_chacha::rand_core::{Rng, SeedableRng};
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut bytes = vec![0; 1024];
    random.fill_bytes(&mut bytes);
    bytes
}

#[test]
fn all_of_it_prints_reads_back_and_runs() {
    let (mut sets, mut waits) = (0, 0);
    for seed in 0..600 {
        let traffic = Traffic::decode(&bytes(seed));
        let actions = traffic.story().steps.iter().map(|step| &step.action);
        sets += actions.clone().filter(|action| matches!(action, Action::Set(_))).count();
        waits += actions.filter(|action| matches!(action, Action::Release { .. })).count();
        assert_eq!(Traffic::of(traffic.story().clone()).as_ref(), Some(&traffic));
        assert_eq!(traffic.answers().len(), traffic.events().len(), "{traffic}");
        let text = traffic.to_string();
        let script = read("traffic", &text).unwrap_or_else(|messages| panic!("{messages}\n{text}"));
        assert_eq!(script.stories, std::slice::from_ref(traffic.story()), "{text}");
    }
    assert!(sets > 50 && waits > 50, "{sets} {waits}");
}

#[test]
fn what_is_blessed_holds() {
    for seed in 0..40 {
        let traffic = Traffic::decode(&bytes(seed));
        let text = traffic.scenario();
        let script =
            std::sync::Arc::new(read("traffic", &text).unwrap_or_else(|messages| panic!("{messages}")));
        let plans = Plan::all("traffic", &script, LINUX_6_18.hz).unwrap();
        let record = plans[0].run(&mut Reference::new(&LINUX_6_18));
        assert_eq!(plans[0].verdict(&record), crate::scenario::Verdict::Passed, "{text}");
        assert!(traffic.story().steps.is_empty() || text.contains("= "), "{text}");
    }
}

#[test]
fn it_gets_simpler_until_nothing_is_left_to_leave_out() {
    // Whatever has a SYN: the simplest story of that kind is one packet.
    let has_syn = |traffic: &Traffic| traffic.to_string().contains("> S ");
    let mut all = (0..100).map(|seed| Traffic::decode(&bytes(seed)));
    let mut traffic = all.find(|traffic| has_syn(traffic) && traffic.events().len() > 5).unwrap();
    let has_syn = |traffic: &Traffic| traffic.to_string().contains("> S");
    let mut rounds = 0;
    while let Some(next) = traffic.simpler().find(|simpler| has_syn(simpler)) {
        traffic = next;
        rounds += 1;
        assert!(rounds < 500);
    }
    let text = traffic.to_string();
    assert!(text.starts_with("flow tcp ") && text.ends_with("\n\n        > S\n"), "{text}");
}

#[test]
fn packets_alone_are_packets_alone() {
    for seed in 0..500 {
        let allowed = Allowed::packets_alone(super::super::Protocols::ALL);
        let traffic = Traffic::within(&bytes(seed), &allowed);
        assert_eq!(traffic.config(), Config { routes: traffic.config().routes, ..Config::default() });
        let plain = |packet: &Arrival| {
            (packet.notrack, packet.zone, packet.fate) == (false, 0, crate::target::Fate::Passes)
        };
        assert!(traffic.packets().all(plain) && traffic.packets().count() == traffic.events().len());
    }
    assert!(!Allowed::packets_alone(super::super::Protocols::ALL).features.has(Feature::Sets));
}

#[test]
fn a_disagreement_names_the_packet_and_is_a_scenario() {
    let traffic = Traffic::decode(&[]);
    let wrong = traffic.against(|_| Some(Class::Invalid)).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "packet 1: the reference says Tracked(New), the tracker Invalid\n\n\
         flow tcp client:40000 > server:80\n\n        > S\n        = new SYN_SENT 120s [UNREPLIED]\n        \
         < S.\n        = established reply SYN_RECV 60s []\n        > .\n        = established ESTABLISHED 5d [ASSURED]\n"
    );
    assert_eq!(traffic.against(|_| None), Ok(()));
}
