//! The same scenarios, the same bytes: whatever was run before, however often.

use conntruth::Paint;
use conntruth::scenario::{Detail, ladder};
use conntruth::suite::{Suite, jsonl};
use conntruth_engine::LINUX_6_18;
use conntruth_tests::{embedded, run};

fn transcript(suite: &Suite) -> String {
    let told = suite.worlds.iter().filter_map(|world| {
        let record = world.record.as_ref()?;
        Some(format!("{}\n{}", world.plan.id, ladder(&world.plan, record, Detail::Source, Paint::PLAIN)))
    });
    told.collect()
}

#[test]
fn two_runs_are_one() {
    let files = embedded();
    let (first, second) = (run(&files, &LINUX_6_18), run(&files, &LINUX_6_18));
    assert_eq!(transcript(&first), transcript(&second));
    assert_eq!(jsonl(&first), jsonl(&second));
}

#[test]
fn a_world_does_not_know_what_ran_before_it() {
    let mut files = embedded();
    let forwards = transcript(&run(&files, &LINUX_6_18));
    files.reverse();
    let mut backwards = run(&files, &LINUX_6_18);
    backwards.worlds.sort_by(|left, right| left.plan.id.scenario.cmp(&right.plan.id.scenario));
    assert_eq!(forwards, transcript(&backwards));
}
