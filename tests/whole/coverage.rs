//! What the suite reaches: all there is to reach. The report is a snapshot, so that a scenario that goes, or comes, is
//! seen in what it takes along.

use conntruth::coverage::{Coverage, Watched};
use conntruth::suite::Suite;
use conntruth::target::Reference;
use conntruth_engine::LINUX_6_18;
use conntruth_tests::embedded;

fn of_the_suite() -> Coverage {
    let plans = Suite::plans(&embedded(), LINUX_6_18.hz).unwrap_or_else(|error| panic!("{error}"));
    let mut target = Watched::new(Reference::new(&LINUX_6_18), Coverage::new(&LINUX_6_18));
    Suite::run(plans, &mut target, |_| {});
    target.coverage
}

#[test]
fn the_suite_reaches_all_that_can_be_reached() {
    let coverage = of_the_suite();
    let mut gaps = Vec::new();
    for cell in coverage.tcp().filter(|cell| (cell.reached == 0) == cell.unreachable.is_none()) {
        gaps.push(format!("{} in {}, {:?}: {}", cell.kind, cell.state, cell.direction, cell.reached));
    }
    for cell in coverage.sctp().filter(|cell| (cell.reached == 0) == cell.unreachable.is_none()) {
        gaps.push(format!("{} in {}, {:?}: {}", cell.kind.word(), cell.state, cell.direction, cell.reached));
    }
    for (info, reached, why) in coverage.reasons().filter(|row| (row.1 == 0) == row.2.is_none()) {
        gaps.push(format!("{}: {reached}, {why:?}", info.slug));
    }
    for (knob, _) in coverage.knobs().filter(|row| row.1.is_empty()) {
        gaps.push(format!("{} always has its default", knob.short_name()));
    }
    assert!(gaps.is_empty(), "{}", gaps.join("\n"));
}

#[test]
fn report() {
    insta::assert_snapshot!(of_the_suite());
}
