//! The list, and that the score notices what it should.

use std::collections::BTreeSet;
use std::sync::Arc;

use conntruth_engine::{Bounds, LINUX_6_18, Switches};

use super::{Kind, all, score};
use crate::language;
use crate::scenario::Plan;

#[test]
fn every_mutant_has_a_name_of_its_own_and_there_is_one_for_everything() {
    let mutants = all();
    let names: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.name.as_str()).collect();
    assert_eq!(names.len(), mutants.len());
    let count = |kind| mutants.iter().filter(|mutant| mutant.kind == kind).count();
    // Ten other values for each cell; eight for each of SCTP's.
    assert_eq!(count(Kind::TcpCell), 2 * 6 * 10 * 10);
    assert_eq!(count(Kind::SctpCell), 2 * 11 * 9 * 8);
    assert_eq!(count(Kind::Bound), 2 * (Bounds::ALL.len() + 4));
    assert_eq!(count(Kind::Rule), Switches::ALL.len() + 4);
}

#[test]
fn what_no_world_is_about_survives() {
    let text = "flow udp client:1 > server:2\n> (1)  = new 30s\n";
    let script = Arc::new(language::read("test", text).unwrap_or_else(|messages| panic!("{messages}")));
    let plans = Plan::all("test", &script, LINUX_6_18.hz).unwrap_or_else(|messages| panic!("{messages}"));
    let mutants: Vec<_> = all()
        .into_iter()
        .filter(|mutant| ["default udp_timeout 31", "default gre_timeout 31"].contains(&&*mutant.name))
        .collect();
    let score = score(&plans, &mutants, 2, || {});
    assert_eq!(score.survivors, ["default gre_timeout 31"]);
    assert_eq!((score.sums(), score.per_mille()), ((2, 1), 500));
}
