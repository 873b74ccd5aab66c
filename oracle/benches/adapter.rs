//! What the adapter protocol costs: the suite's worlds through a program that does no work, whole and in steps, and
//! through the Python skeleton.
//!
//! `cargo bench -p conntruth --bench adapter`

use std::time::Duration;

use conntruth::scenario::Plan;
use conntruth::suite::{self, Suite};
use conntruth::target::exec::{Exec, Limits};
use conntruth::target::{Play, Target};
use conntruth_engine::LINUX_6_18;
use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

/// The suite's worlds, but those that no adapter takes.
fn plays() -> Vec<Play> {
    let files = suite::embedded().expect("the suite has no mistakes");
    let plans = Suite::plans(&files, LINUX_6_18.hz).expect("the suite makes sense");
    let is_taken = |plan: &&Plan| plan.not_yet().is_none() && plan.packets() > 0;
    plans.iter().filter(is_taken).map(Plan::play).collect()
}

fn through(bencher: Bencher<'_, '_>, command: &str) {
    let plays = plays();
    let opened = Exec::new(command, &LINUX_6_18, Duration::ZERO, Limits::default());
    let Ok(mut exec) = opened else { return };
    bencher.counter(ItemsCount::new(plays.len())).bench_local(|| match exec.is_played() {
        true => exec.play(&plays).expect("it plays").len(),
        false => plays.iter().map(|play| play.ask(&mut exec)).count(),
    });
}

#[divan::bench]
fn null_in_worlds(bencher: Bencher<'_, '_>) {
    through(bencher, &format!("'{}' serve --null --takes worlds", env!("CARGO_BIN_EXE_conntruth")));
}

/// Beside it the reference walks through the rules of those that have any.
#[divan::bench]
fn null_in_worlds_without_rules(bencher: Bencher<'_, '_>) {
    through(
        bencher,
        &format!("'{}' serve --null --takes worlds --no-rules", env!("CARGO_BIN_EXE_conntruth")),
    );
}

#[divan::bench]
fn null_in_steps(bencher: Bencher<'_, '_>) {
    through(bencher, &format!("'{}' serve --null", env!("CARGO_BIN_EXE_conntruth")));
}

#[divan::bench]
fn reference_in_worlds(bencher: Bencher<'_, '_>) {
    through(bencher, &format!("'{}' serve --takes worlds", env!("CARGO_BIN_EXE_conntruth")));
}

#[divan::bench]
fn python_skeleton_in_worlds(bencher: Bencher<'_, '_>) {
    through(bencher, &format!("python3 '{}/adapters/python/adapter.py'", env!("CARGO_MANIFEST_DIR")));
}
