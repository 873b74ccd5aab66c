//! Each mutant against the suite until a world fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::scenario::{Plan, Verdict};
use crate::target::Reference;

use super::equivalent;
use super::{Kind, Mutant};

/// What became of the mutants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// How many of each kind were tried, noticed, and cannot be noticed.
    pub kinds: Vec<(Kind, usize, usize, usize)>,
    /// Not noticed.
    pub survivors: Vec<String>,
    /// Not noticed, and why nobody could.
    pub equivalent: Vec<(String, &'static str)>,
    /// Said to be impossible to notice, and noticed.
    pub stale: Vec<String>,
}

impl Score {
    /// Of those that can be noticed, how many were: in thousandths, rounded down.
    pub fn per_mille(&self) -> usize {
        let (all, noticed) = self.sums();
        (noticed * 1000).checked_div(all).unwrap_or(0)
    }

    /// Those that can be noticed, and those that were.
    pub fn sums(&self) -> (usize, usize) {
        self.kinds.iter().fold((0, 0), |(all, noticed), &(_, tried, killed, equal)| {
            (all + tried - equal, noticed + killed)
        })
    }
}

/// Tries all mutants; `tick` is told of each that is done. The score is the same with any number of threads.
pub fn score(plans: &[Plan], mutants: &[Mutant], threads: usize, mut tick: impl FnMut()) -> Score {
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::channel();
    let mut noticed: Vec<Option<bool>> = vec![None; mutants.len()];
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || {
                let mut orders = Orders::new(plans);
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(mutant) = mutants.get(index) else { break };
                    if send.send((index, orders.notice(mutant))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        for (index, is_noticed) in receive {
            if let Some(place) = noticed.get_mut(index) {
                *place = Some(is_noticed);
            }
            tick();
        }
    });
    sum(mutants, &noticed)
}

fn sum(mutants: &[Mutant], noticed: &[Option<bool>]) -> Score {
    let mut score = Score { kinds: Kind::ALL.map(|kind| (kind, 0, 0, 0)).to_vec(), ..Score::default() };
    for (mutant, noticed) in mutants.iter().zip(noticed) {
        let Some((_, tried, killed, equal)) = score.kinds.iter_mut().find(|(kind, ..)| *kind == mutant.kind)
        else {
            continue;
        };
        *tried += 1;
        match (noticed, equivalent::reason(&mutant.name)) {
            (Some(true), None) => *killed += 1,
            (Some(true), Some(_)) => {
                *killed += 1;
                score.stale.push(mutant.name.clone());
            }
            (_, Some(reason)) => {
                *equal += 1;
                score.equivalent.push((mutant.name.clone(), reason));
            }
            (_, None) => score.survivors.push(mutant.name.clone()),
        }
    }
    score.kinds.retain(|(_, tried, ..)| *tried > 0);
    score
}

/// In which order the worlds are asked: those of the mutant's area first, and of these the one that noticed last.
struct Orders<'a> {
    plans: &'a [Plan],
    orders: Vec<(&'static str, Vec<usize>)>,
}

impl<'a> Orders<'a> {
    fn new(plans: &'a [Plan]) -> Orders<'a> {
        Orders { plans, orders: Vec::new() }
    }

    /// Whether any world fails under the mutant.
    fn notice(&mut self, mutant: &Mutant) -> bool {
        let at = match self.orders.iter().position(|(area, _)| *area == mutant.area) {
            Some(at) => at,
            None => {
                let mut order: Vec<usize> = (0..self.plans.len()).collect();
                order.sort_by_key(|index| !self.plans[*index].id.scenario.starts_with(mutant.area));
                self.orders.push((mutant.area, order));
                self.orders.len() - 1
            }
        };
        let order = &mut self.orders[at].1;
        let mut target = Reference::new(mutant.profile);
        let fails = |plan: &Plan| plan.verdict(&plan.run(&mut target)) == Verdict::Failed;
        let Some(place) = order.iter().map(|index| &self.plans[*index]).position(fails) else { return false };
        order[..=place].rotate_right(1);
        true
    }
}
