//! Running many worlds, and counting how they ended.

use std::fmt;
use std::sync::{Mutex, PoisonError, mpsc};

use conntruth_engine::Time;

use crate::language::Messages;
use crate::paint::{Paint, Role};
use crate::scenario::{Plan, Record, Verdict, diagnose, in_a_line};
use crate::target::{Identity, Play, Refusal, Target};

use super::{File, Unreadable};

/// Why a world was skipped that had not begun when the time was over.
pub const NO_TIME: &str = "the time was over";

/// So many worlds are handed at once to a target that plays whole ones.
const PLAYED_AT_ONCE: usize = 4096;

/// One world, and how it ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What was to happen.
    pub plan: Plan,
    /// What happened; none for worlds that were not run.
    pub record: Option<Record>,
    /// How that is to be counted.
    pub verdict: Verdict,
    /// What is wrong with it beside its claims: it was known to fail, and does not, or not so.
    pub note: Option<String>,
}

/// All worlds of a run.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Who answered.
    pub identity: Identity,
    /// In the order of their ids.
    pub worlds: Vec<Ended>,
    /// Known failures of worlds that there are not.
    pub stale: Vec<String>,
    /// The suite's version, where it is the suite that the program carries.
    pub version: Option<String>,
}

/// How many ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Totals {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    pub unsupported: usize,
    /// Known deviations of a foreign implementation.
    pub known: usize,
    /// Virtual time that has passed in all worlds together.
    pub time: Time,
    /// Packets that reached the tracker.
    pub packets: usize,
    /// Claims that were compared.
    pub claims: usize,
    /// Parts of them that are about something which the target does not show.
    pub unseen: usize,
    /// Of the scenarios of each grade, strongest first: how many were judged, and how many of them failed.
    pub grades: [Graded; 3],
}

/// How the scenarios of a grade ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Graded {
    /// Passed, failed or known to fail.
    pub judged: usize,
    /// Failed, known or not.
    pub failed: usize,
}

/// `N passed, N failed, N skipped[, N unsupported][, N known]`
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)?;
        for (count, word) in [(self.unsupported, "unsupported"), (self.known, "known")] {
            if count > 0 {
                write!(f, ", {count} {word}")?;
            }
        }
        Ok(())
    }
}

impl Suite {
    /// Plans for all worlds of these files.
    ///
    /// # Errors
    /// When a scenario makes no sense: an unknown host, a piece that there is not.
    pub fn plans(files: &[File], hz: u32) -> Result<Vec<Plan>, Unreadable> {
        let mut plans = Vec::new();
        let mut mistakes: Vec<Messages> = Vec::new();
        for file in files {
            match Plan::all(&file.id, &file.script, hz) {
                Ok(all) => plans.extend(all),
                Err(messages) => mistakes.push(messages),
            }
        }
        if mistakes.is_empty() { Ok(plans) } else { Err(Unreadable::Mistakes(mistakes)) }
    }

    /// Runs them, one after the other; `tick` is told of each that has ended.
    pub fn run(plans: Vec<Plan>, target: &mut dyn Target, tick: impl FnMut(&Ended)) -> Suite {
        Suite::run_in_time(plans, target, &|| false, tick)
    }

    /// The same, as long as time is not over; what then is left is skipped.
    fn run_in_time(
        plans: Vec<Plan>,
        target: &mut dyn Target,
        is_over: &(dyn Fn() -> bool + Sync),
        mut tick: impl FnMut(&Ended),
    ) -> Suite {
        let identity = target.identity();
        let mut worlds = Vec::with_capacity(plans.len());
        let mut plans = plans.into_iter().peekable();
        while plans.peek().is_some() {
            // One that plays whole worlds has several under way at once.
            let many = if target.is_played() { PLAYED_AT_ONCE } else { 1 };
            let next: Vec<Plan> = plans.by_ref().take(many).collect();
            if is_over() {
                worlds.extend(next.into_iter().map(Ended::too_late));
            } else if target.is_played() {
                worlds.extend(Suite::played(next, target, &mut tick).worlds);
            } else {
                worlds.extend(
                    next.into_iter()
                        .map(|plan| Ended::of(plan, &identity, target))
                        .inspect(|ended| tick(ended)),
                );
            }
        }
        Suite { identity, worlds, stale: Vec::new(), version: None }
    }

    /// Has a target that takes whole worlds play all of them at once.
    fn played(plans: Vec<Plan>, target: &mut dyn Target, mut tick: impl FnMut(&Ended)) -> Suite {
        let identity = target.identity();
        let taped = |plan: Plan| {
            let had_hosts = plan.has_hosts();
            let plan = plan.without_hosts(&identity);
            // Years may pass between hosts about whom nobody is asked: that need not be played.
            let unseen = || if had_hosts { plan.unseen_by(&identity) } else { None };
            let refused = plan.refuses(&identity).or_else(unseen);
            (plan, refused)
        };
        let (plans, refused): (Vec<Plan>, Vec<Option<Verdict>>) = plans.into_iter().map(taped).unzip();
        let is_played = |(_, refused): &(&Plan, &Option<Verdict>)| refused.is_none();
        let plays: Vec<Play> =
            plans.iter().zip(&refused).filter(is_played).map(|(plan, _)| plan.play()).collect();
        let played = target.play(&plays);
        let mut played = played.map(|played| plays.into_iter().zip(played));
        let end = |(plan, refused): (Plan, Option<Verdict>)| {
            if let Some(verdict) = refused {
                return Ended { plan, record: None, verdict, note: None };
            }
            let record = match &mut played {
                Ok(played) => match played.next() {
                    Some((play, played)) => plan.judge(identity.clone(), play, played),
                    None => plan.broken(&identity, Refusal::Broken("it was not played".to_owned())),
                },
                Err(refusal) => plan.broken(&identity, refusal.clone()),
            };
            let verdict = plan.verdict(&record);
            Ended { plan, record: Some(record), verdict, note: None }
        };
        let worlds: Vec<Ended> =
            plans.into_iter().zip(refused).map(end).inspect(|ended| tick(ended)).collect();
        Suite { identity, worlds, stale: Vec::new(), version: None }
    }

    /// Runs them on several targets of one kind at once, for those whose time is real: a world that waits keeps no other
    /// waiting. The order of the worlds, and what each answers, is as if they had run one after the other.
    pub fn run_side_by_side(
        plans: Vec<Plan>,
        targets: Vec<Box<dyn Target + Send>>,
        tick: impl FnMut(&Ended),
    ) -> Option<Suite> {
        Suite::run_side_by_side_in_time(plans, targets, &|| false, tick)
    }

    /// The same, as long as time is not over: what then has not begun is skipped, for want of time ([`NO_TIME`]).
    pub fn run_side_by_side_in_time(
        plans: Vec<Plan>,
        mut targets: Vec<Box<dyn Target + Send>>,
        is_over: &(dyn Fn() -> bool + Sync),
        mut tick: impl FnMut(&Ended),
    ) -> Option<Suite> {
        if let [alone] = &mut targets[..] {
            return Some(Suite::run_in_time(plans, &mut **alone, is_over, tick));
        }
        let identity = targets.first()?.identity();
        let waiting = Mutex::new(plans.into_iter().enumerate());
        let (send, receive) = mpsc::channel();
        let mut worlds: Vec<(usize, Ended)> = std::thread::scope(|scope| {
            for mut target in targets {
                let (send, waiting, identity) = (send.clone(), &waiting, &identity);
                scope.spawn(move || {
                    loop {
                        // A thread that has panicked holds no lock here: taking the next plan cannot panic.
                        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                        let Some((index, plan)) = next else { break };
                        let ended = if is_over() {
                            Ended::too_late(plan)
                        } else {
                            Ended::of(plan, identity, &mut *target)
                        };
                        if send.send((index, ended)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(send);
            receive.iter().inspect(|(_, ended)| tick(ended)).collect()
        });
        worlds.sort_unstable_by_key(|(index, _)| *index);
        let worlds = worlds.into_iter().map(|(_, ended)| ended).collect();
        Some(Suite { identity, worlds, stale: Vec::new(), version: None })
    }

    /// The counts.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for world in &self.worlds {
            match world.verdict {
                Verdict::Passed => totals.passed += 1,
                Verdict::Failed => totals.failed += 1,
                Verdict::Skipped(_) => totals.skipped += 1,
                Verdict::Known(_) => totals.known += 1,
                Verdict::Unsupported(_) => totals.unsupported += 1,
            }
            let failed = matches!(world.verdict, Verdict::Failed | Verdict::Known(_));
            if failed || world.verdict == Verdict::Passed {
                let grade = &mut totals.grades[world.plan.story().grade as usize];
                grade.judged += 1;
                grade.failed += usize::from(failed);
            }
            if let Some(record) = &world.record {
                totals.time = totals.time.plus(record.time);
                totals.packets += world.packets();
                totals.claims += record.claims;
                totals.unseen += record.unseen.len();
            }
        }
        totals
    }
}

impl Ended {
    fn too_late(plan: Plan) -> Ended {
        Ended { plan, record: None, verdict: Verdict::Skipped(NO_TIME.to_owned()), note: None }
    }

    fn of(plan: Plan, identity: &Identity, target: &mut dyn Target) -> Ended {
        if let Some(verdict) = plan.refuses(identity) {
            return Ended { plan, record: None, verdict, note: None };
        }
        let record = plan.run(target);
        let verdict = plan.verdict(&record);
        Ended { plan, record: Some(record), verdict, note: None }
    }

    /// How many packets came to the tracker.
    pub fn packets(&self) -> usize {
        self.record.as_ref().map_or(self.plan.packets(), |record| self.plan.passed(record))
    }

    /// What is wrong with it, in full.
    pub fn told(&self, paint: Paint) -> String {
        let record = self.record.as_ref();
        let failed = record.filter(|record| !record.failures.is_empty() || self.note.is_none());
        let mut text = failed.map(|record| diagnose(&self.plan, record, paint)).unwrap_or_default();
        if let Some(note) = &self.note {
            text.push_str(&format!("{}: {}: {note}\n", paint.over(Role::Bad, "error"), self.plan.id));
        }
        text
    }

    /// What is wrong with it, in a line.
    pub fn told_in_a_line(&self) -> String {
        match (&self.note, &self.record) {
            (Some(note), _) => format!("{}: {note}", self.plan.id),
            (None, Some(record)) => in_a_line(&self.plan, record),
            (None, None) => self.plan.id.to_string(),
        }
    }

    /// The word for how it ended.
    pub fn word(&self) -> &'static str {
        match self.verdict {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::Skipped(_) => "skipped",
            Verdict::Known(_) => "known",
            Verdict::Unsupported(_) => "unsupported",
        }
    }

    /// Why it was not run, or not run in full.
    pub fn why(&self) -> Option<&str> {
        match &self.verdict {
            Verdict::Skipped(why) | Verdict::Unsupported(why) | Verdict::Known(why) => Some(why),
            _ => None,
        }
    }
}
