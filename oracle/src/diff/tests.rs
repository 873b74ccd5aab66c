//! Would it notice? Trackers that are wrong in one thing are found, and what finds them is made small.

use conntruth_engine::{LINUX_6_18, Next, Profile, TcpState};

use super::*;
use crate::generate::{Protocols, Speaks};
use crate::language::read;
use crate::scenario::{Plan, Verdict};
use crate::target::{Reference, Target};

fn engine(profile: &'static Profile) -> Box<dyn Target + Send> {
    Box::new(Reference::new(profile))
}

/// Compares a tracker that is wrong with one that is right.
fn against(wrong: Profile, options: &Options) -> Ended {
    let wrong: &'static Profile = Box::leak(Box::new(wrong));
    run(options, engine(&LINUX_6_18), vec![engine(wrong)], &mut |_| {}).expect("two engines refuse nothing")
}

/// The mutant is found within so many cases, and the smallest example has so few packets and fails as a scenario.
#[track_caller]
fn check(wrong: Profile, cases: u64, packets: usize) -> Ended {
    let options = Options { cases: Some(cases), ..Options::default() };
    let name = wrong.name;
    let ended = against(wrong, &options);
    let smallest = ended.findings.iter().map(|finding| finding.packets).min();
    assert!(smallest.is_some_and(|smallest| smallest <= packets), "{name}: {:#?}", ended.findings);
    for finding in &ended.findings {
        assert!(finding.repeats, "{}", finding.scenario);
        let script = read("found.ct", &finding.scenario);
        let script =
            std::sync::Arc::new(script.unwrap_or_else(|messages| panic!("{messages}\n{}", finding.scenario)));
        let plans = Plan::all("found", &script, 250).unwrap_or_else(|messages| panic!("{messages}"));
        assert_eq!(plans.len(), 1);
    }
    ended
}

#[test]
fn two_that_are_equal_do_not_differ() {
    let options = Options { cases: Some(3000), ..Options::default() };
    let ended =
        run(&options, engine(&LINUX_6_18), vec![engine(&LINUX_6_18), engine(&LINUX_6_18)], &mut |_| {})
            .unwrap();
    assert_eq!((ended.sum.cases, ended.sum.divergent, ended.findings.len()), (3000, 0, 0));
    assert_eq!(ended.normal.rows().map(|row| row.name).collect::<Vec<_>>(), ["intervals", "ids"]);
    assert!(ended.sum.packets > 3000 * 5);
}

#[test]
fn a_wrong_cell_is_found() {
    let mut table = *LINUX_6_18.tcp_table;
    // Original, FIN, CLOSE_WAIT.
    table[0][2][5] = Next::To(TcpState::TimeWait);
    let wrong = Profile { name: "wrong-cell", tcp_table: Box::leak(Box::new(table)), ..LINUX_6_18 };
    let ended = check(wrong, 3000, 6);
    assert!(ended.findings.iter().any(|finding| finding.cause.how == "LAST_ACK / TIME_WAIT"));
}

#[test]
fn a_wrong_bound_is_found() {
    check(Profile { name: "wrong-bound", tcp_max_ack_window: 66_001, ..LINUX_6_18 }, 10_000, 6);
}

#[test]
fn a_wrong_timeout_is_found() {
    let ended = check(Profile { name: "wrong-timeout", tcp_syn_sent2_secs: 121, ..LINUX_6_18 }, 3000, 3);
    assert!(ended.findings.iter().all(|finding| finding.cause.field == Field::Timeout));
}

#[test]
fn a_wrong_switch_is_found() {
    check(Profile { name: "wrong-switch", tcp_syn_again_keeps_timeout: false, ..LINUX_6_18 }, 3000, 2);
    check(Profile { name: "wrong-age", udp_stream_after_secs: 3, ..LINUX_6_18 }, 10_000, 4);
    check(Profile { name: "wrong-checksum", udplite_checksum_protocol: 136, ..LINUX_6_18 }, 3000, 1);
}

#[test]
fn an_example_claims_what_the_target_says() {
    let wrong: &'static Profile =
        Box::leak(Box::new(Profile { name: "wrong", tcp_syn_sent2_secs: 121, ..LINUX_6_18 }));
    let options =
        Options { cases: Some(2000), protocols: Protocols::NONE.with(Speaks::Tcp), ..Options::default() };
    let ended = run(&options, engine(&LINUX_6_18), vec![engine(wrong)], &mut |_| {}).unwrap();
    let finding = &ended.findings[0];
    let script = std::sync::Arc::new(read("found.ct", &finding.scenario).unwrap());
    let plan = Plan::all("found", &script, 250).unwrap().swap_remove(0);
    for (profile, verdict) in [(wrong, Verdict::Passed), (&LINUX_6_18, Verdict::Failed)] {
        let record = plan.run(&mut Reference::new(profile));
        assert_eq!(plan.verdict(&record), verdict, "{}", finding.scenario);
    }
    insta::assert_snapshot!(finding.scenario);
}

#[test]
fn shards_are_parts_of_the_whole() {
    let part = |index, of| {
        let options = Options { cases: Some(3000), shard: Shard { index, of }, ..Options::default() };
        run(&options, engine(&LINUX_6_18), vec![engine(&LINUX_6_18), engine(&LINUX_6_18)], &mut |_| {})
            .unwrap()
            .sum
    };
    let whole = part(0, 1);
    let parts = [part(0, 3), part(1, 3), part(2, 3)];
    assert_eq!(parts.iter().map(|sum| sum.cases).sum::<u64>(), whole.cases);
    assert_eq!(parts.iter().map(|sum| sum.packets).sum::<u64>(), whole.packets);
}

#[test]
fn every_sequence_of_two_is_equal_and_a_wrong_cell_is_not() {
    let options = Options { depth: Some(2), cases: None, ..Options::default() };
    let all: u64 = options.alphabets().iter().map(|alphabet| alphabet.sequences(2)).sum();
    let ended =
        run(&options, engine(&LINUX_6_18), vec![engine(&LINUX_6_18), engine(&LINUX_6_18)], &mut |_| {})
            .unwrap();
    assert_eq!((ended.sum.cases, ended.sum.divergent), (all, 0));
    let mut table = *LINUX_6_18.tcp_table;
    table[1][0][1] = Next::Invalid;
    let wrong = Profile { name: "wrong-cell", tcp_table: Box::leak(Box::new(table)), ..LINUX_6_18 };
    let ended = against(wrong, &options);
    assert!(ended.sum.divergent > 0);
    assert!(ended.findings.iter().all(|finding| finding.packets == 2), "{:#?}", ended.findings);
}

/// Whatever the number of machines: the same cases, and the same differences with the same first examples.
#[test]
fn parts_merged_are_the_whole() {
    let mut table = *LINUX_6_18.tcp_table;
    table[0][2][5] = Next::To(TcpState::TimeWait);
    let wrong = Profile { name: "wrong-cell", tcp_table: Box::leak(Box::new(table)), ..LINUX_6_18 };
    let of_part = |index, of| {
        let options = Options { cases: Some(2200), shard: Shard { index, of }, ..Options::default() };
        against(Profile { ..wrong }, &options)
    };
    let told = |ended: &Ended| {
        let findings = ended.findings.iter();
        let all: Vec<_> =
            findings.map(|one| (one.count, one.case, one.cause.to_string(), one.scenario.clone())).collect();
        (ended.sum, all)
    };
    let whole = of_part(0, 1);
    assert!(whole.sum.divergent > 1, "{whole:?}");
    let merged = Ended::merged((0..3).map(|index| of_part(index, 3))).unwrap();
    let (mut ours, mut theirs) = (told(&merged), told(&whole));
    // Causes that are met equally often stand in no order.
    ours.1.sort();
    theirs.1.sort();
    assert_eq!(ours, theirs);
}
