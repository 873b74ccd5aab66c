//! Every statement of the subset, there and back; and what packets make of them.

use super::*;
use crate::{CtInfo, Engine, EventKind, Journey, LINUX_6_18, Packet, Route, Time, Verdict, Walk};

#[test]
fn every_statement_comes_back_as_it_is_written() {
    for line in RuleSet::EVERY {
        let rule = Rule::read(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(rule.to_string(), *line);
        assert_eq!(rule.unsupported(), None, "{line}");
    }
    let rules = RuleSet::read(RuleSet::EVERY).unwrap();
    let json = serde_json::to_string(&rules).unwrap();
    assert_eq!(serde_json::from_str::<RuleSet>(&json).unwrap(), rules);
}

#[test]
fn what_is_read_and_not_applied_says_what_it_belongs_to() {
    for (line, what) in [
        ("mangle prerouting tcp dport 5060 ct helper set \"sip\"", "this helper"),
        ("filter forward ct label set 5", "labels"),
    ] {
        assert_eq!(Rule::read(line).unwrap().unsupported(), Some(what), "{line}");
    }
}

#[test]
fn no_text_breaks_the_reader() {
    let words: Vec<&str> = RuleSet::EVERY.iter().flat_map(|line| line.split(' ')).collect();
    for (index, word) in words.iter().enumerate() {
        for line in RuleSet::EVERY {
            let cut = line.char_indices().nth(index % line.len()).map_or(line.len(), |(at, _)| at);
            for text in
                [format!("{line} {word}"), format!("{} {word}", &line[..cut]), format!("{line}{word}\u{fc}")]
            {
                match Rule::read(&text) {
                    Ok(rule) => assert_eq!(Rule::read(&rule.to_string()).unwrap(), rule, "{text}"),
                    Err(error) => assert!(
                        error.place.end <= text.len() && error.place.start <= error.place.end,
                        "{text}"
                    ),
                }
            }
        }
    }
}

/// A datagram from 10.0.0.1 to 10.0.1.1, without a checksum.
fn datagram(dport: u8) -> Vec<u8> {
    let mut bytes = vec![0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 1, 1];
    let seal = crate::wire::checksum::seal(crate::wire::checksum::sum(&bytes));
    bytes[10..12].copy_from_slice(&seal);
    bytes.extend([0x13, 0x88, 0, dport, 0, 8, 0, 0]);
    bytes
}

fn host(lines: &[&str]) -> (Engine, Firewall) {
    let inside = Interface {
        name: "inside".to_owned(),
        addresses: vec![(Family::Ipv4, Addr::v4([10, 0, 0, 254]))],
        networks: vec![(Family::Ipv4, Addr::v4([10, 0, 0, 0]), 24)],
    };
    let mut engine = Engine::new(&LINUX_6_18);
    engine.listen();
    (engine, Firewall::new(&RuleSet::read(lines).unwrap(), vec![inside]))
}

fn forward(engine: &mut Engine, firewall: &mut Firewall, bytes: &[u8]) -> Walk {
    let journey = Journey {
        packet: Packet::new(bytes),
        route: Route::Forward,
        iif: "inside",
        oif: "outside",
        lost: false,
        waits: false,
    };
    engine.walk(Time::from_secs(1), firewall, &journey)
}

#[test]
fn without_a_rule_that_fits_a_walk_is_a_forward() {
    let (mut engine, mut firewall) = host(&["filter input drop", "filter forward udp dport 9 drop"]);
    let walk = forward(&mut engine, &mut firewall, &datagram(53));
    let outcome = Engine::new(&LINUX_6_18).forward(Time::from_secs(1), &Packet::new(&datagram(53)));
    assert_eq!((walk.outcome, walk.verdict, walk.by), (outcome, Verdict::Accept, None));
}

#[test]
fn a_rejected_packet_leaves_nothing_and_its_answer_belongs_to_it() {
    let (mut engine, mut firewall) =
        host(&["filter forward reject", "filter output ct state related counter name answers"]);
    let walk = forward(&mut engine, &mut firewall, &datagram(9));
    assert_eq!(walk.by.as_deref(), Some("filter forward reject"));
    let [answer] = &walk.sent[..] else { panic!("{walk:?}") };
    assert_eq!(answer.class, crate::Class::Tracked(CtInfo::RelatedReply));
    assert_eq!(answer.bytes[12..20], [10, 0, 0, 254, 10, 0, 0, 1]);
    assert_eq!(answer.bytes[20..22], [3, 3]);
    assert!(engine.is_empty() && engine.poll_event().is_none());
    assert_eq!(firewall.counters().collect::<Vec<_>>(), [("answers", Counter { packets: 1, bytes: 56 })]);
}

#[test]
fn what_is_dropped_changes_a_known_connection_and_is_told_late() {
    let (mut engine, mut firewall) =
        host(&["mangle prerouting ip dscp 1 ct mark set 7", "filter forward ip dscp 1 drop"]);
    forward(&mut engine, &mut firewall, &datagram(53));
    let kinds = |engine: &mut Engine| -> Vec<EventKind> {
        std::iter::from_fn(|| engine.poll_event()).map(|event| event.kind).collect()
    };
    assert_eq!(kinds(&mut engine), [EventKind::New]);
    let mut marked = datagram(53);
    marked[1] = 4;
    marked[10..12].fill(0);
    let seal = crate::wire::checksum::seal(crate::wire::checksum::sum(&marked[..20]));
    marked[10..12].copy_from_slice(&seal);
    assert_eq!(forward(&mut engine, &mut firewall, &marked).verdict, Verdict::Drop);
    assert_eq!(kinds(&mut engine), []);
    assert_eq!(engine.conns().next().unwrap().mark, 7);
    forward(&mut engine, &mut firewall, &datagram(53));
    assert_eq!(kinds(&mut engine), [EventKind::Update]);
}

/// Rules that count and limit, after three packets.
fn at_work() -> (Engine, Firewall) {
    let (mut engine, mut firewall) = host(&[
        "filter forward limit rate 2/minute burst 2 packets counter name few accept",
        "filter forward drop",
    ]);
    for _ in 0..3 {
        forward(&mut engine, &mut firewall, &datagram(53));
    }
    (engine, firewall)
}

#[test]
fn restored_rules_count_and_limit_where_they_were_saved() {
    let (mut engine, mut firewall) = at_work();
    let json = serde_json::to_string(&firewall.save()).unwrap();
    let state: FirewallState = serde_json::from_str(&json).unwrap();
    let mut restored = Firewall::restore(&state).unwrap();
    assert_eq!(restored.save(), firewall.save());
    let mut later = Engine::restore(&engine.save()).unwrap();
    for _ in 0..2 {
        let walk = forward(&mut engine, &mut firewall, &datagram(54));
        assert_eq!(walk.verdict, Verdict::Drop);
        assert_eq!(forward(&mut later, &mut restored, &datagram(54)), walk);
    }
    assert_eq!(restored.save(), firewall.save());
}

#[test]
fn what_differs_between_two_rule_sets_at_work_is_told_in_words() {
    let (mut engine, mut firewall) =
        host(&["filter forward limit rate 2/minute burst 2 packets counter name few accept"]);
    let before = firewall.save();
    forward(&mut engine, &mut firewall, &datagram(53));
    let words = |before: &FirewallState, later: &FirewallState| -> Vec<String> {
        before.changes(later).iter().map(ToString::to_string).collect()
    };
    let rule = "filter forward limit rate 2/minute burst 2 packets counter name few accept";
    assert_eq!(
        words(&before, &firewall.save()),
        [
            "the clock of the rules: 0.000000000 s -> 1.000000000 s".to_owned(),
            "counter few: packets 0 bytes 0 -> packets 1 bytes 28".to_owned(),
            format!(
                "the limit of `{rule}`: 60000000000 ns at 0.000000000 s -> 30000000000 ns at 1.000000000 s"
            ),
        ]
    );
    let (_, other) = host(&["filter forward drop"]);
    let words = words(&firewall.save(), &other.save());
    assert_eq!(words[1], format!("rule 1: `{rule}` -> `filter forward drop`"));
    assert_eq!(words[2], "counter few: packets 1 bytes 28 -> none");
}

#[test]
fn rules_that_do_not_fit_together_are_refused() {
    let saved = serde_json::to_value(at_work().1.save()).unwrap();
    let refused = |pointer: &str, value: serde_json::Value| {
        let mut state = saved.clone();
        *state.pointer_mut(pointer).unwrap() = value;
        let state: FirewallState = serde_json::from_value(state).unwrap();
        Firewall::restore(&state).map(drop).unwrap_err().to_string()
    };
    use serde_json::json;
    assert!(refused("/counters", json!([])).contains("counters are not those"));
    assert!(refused("/counters/0/1/packets", json!(u64::MAX)).contains("counted further"));
    assert!(refused("/buckets", json!([])).contains("a limit has no bucket"));
    assert!(refused("/rules", json!([])).contains("counters are not those"));
    let mut other = saved.clone();
    other["version"] = json!(2);
    let error = serde_json::from_value::<FirewallState>(other).unwrap_err().to_string();
    assert!(error.starts_with("rules of version 2; this program reads version 1"), "{error}");
}
