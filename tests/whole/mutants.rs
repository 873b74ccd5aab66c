//! How good the suite is: of the mutants that anybody can notice, next to all are noticed.

use conntruth::mutants::{EQUIVALENT, Kind, all, score};
use conntruth::suite::Suite;
use conntruth_engine::LINUX_6_18;
use conntruth_tests::embedded;

/// Bounds, timeouts and rules: all of them. Of the cells, whose whole crowd is `conntruth mutants`, every seventh.
#[test]
fn the_suite_notices_what_is_wrong() {
    let plans = Suite::plans(&embedded(), LINUX_6_18.hz).unwrap_or_else(|error| panic!("{error}"));
    let mutants: Vec<_> = all()
        .into_iter()
        .enumerate()
        .filter(|(index, mutant)| !matches!(mutant.kind, Kind::TcpCell | Kind::SctpCell) || index % 7 == 0)
        .map(|(_, mutant)| mutant)
        .collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let score = score(&plans, &mutants, threads, || {});
    assert_eq!(score.survivors, Vec::<String>::new());
    assert_eq!(score.stale, Vec::<String>::new());
    assert!(score.per_mille() >= 990, "{}", score.per_mille());
}

#[test]
fn what_nobody_can_notice_is_named_once_and_with_a_reason() {
    for row in EQUIVALENT {
        assert!(!row.names.is_empty() && row.reason.len() > 20);
    }
}
