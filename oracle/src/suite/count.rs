//! Running many worlds, and counting how they ended.

use std::fmt;
use std::sync::{Mutex, PoisonError, mpsc};

use conntruth_engine::Time;

use crate::language::Messages;
use crate::paint::{Paint, Role};
use crate::scenario::{Plan, Record, Verdict, diagnose, in_a_line};
use crate::target::{Identity, Played, Target};

use super::{File, Unreadable};

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
    pub fn run(plans: Vec<Plan>, target: &mut dyn Target, mut tick: impl FnMut(&Ended)) -> Suite {
        let identity = target.identity();
        let mut worlds = Vec::with_capacity(plans.len());
        let mut plans = plans.into_iter();
        loop {
            let some: Vec<Plan> = plans.by_ref().take(target.worlds_at_once().max(1)).collect();
            if some.is_empty() {
                return Suite { identity, worlds, stale: Vec::new(), version: None };
            }
            let ended = Ended::of_all(some, &identity, target);
            ended.iter().for_each(&mut tick);
            worlds.extend(ended);
        }
    }

    /// Runs them on several targets of one kind at once, for those whose time is real: a world that waits keeps no other
    /// waiting. The order of the worlds, and what each answers, is as if they had run one after the other.
    pub fn run_side_by_side(
        plans: Vec<Plan>,
        targets: Vec<Box<dyn Target + Send>>,
        mut tick: impl FnMut(&Ended),
    ) -> Option<Suite> {
        let identity = targets.first()?.identity();
        let waiting = Mutex::new(plans.into_iter().enumerate());
        let (send, receive) = mpsc::channel();
        let mut worlds: Vec<(usize, Ended)> = std::thread::scope(|scope| {
            for mut target in targets {
                let (send, waiting, identity) = (send.clone(), &waiting, &identity);
                scope.spawn(move || {
                    let most = target.worlds_at_once().max(1);
                    loop {
                        // A thread that has panicked holds no lock here: taking the next plans cannot panic.
                        let some: Vec<(usize, Plan)> = waiting
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .by_ref()
                            .take(most)
                            .collect();
                        let (numbers, plans): (Vec<usize>, Vec<Plan>) = some.into_iter().unzip();
                        let ended = Ended::of_all(plans, identity, &mut *target);
                        let mut all = numbers.into_iter().zip(ended);
                        if all.len() == 0 || all.any(|ended| send.send(ended).is_err()) {
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
                totals.packets += world.plan.packets();
                totals.claims += record.claims;
                totals.unseen += record.unseen.len();
            }
        }
        totals
    }
}

impl Ended {
    /// Some worlds: all at once where the target wants them so.
    fn of_all(plans: Vec<Plan>, identity: &Identity, target: &mut dyn Target) -> Vec<Ended> {
        if target.worlds_at_once() == 0 {
            return plans.into_iter().map(|plan| Ended::of(plan, identity, target)).collect();
        }
        let is_played = |plan: &&Plan| plan.refuses(identity).is_none();
        let plays: Vec<_> = plans.iter().filter(is_played).map(|plan| plan.play(identity)).collect();
        let answers = target.play(&plays);
        let mut played = plays.into_iter().zip(answers);
        let ended = |plan: Plan| {
            if plan.refuses(identity).is_some() {
                return Ended::of(plan, identity, target);
            }
            let (play, answers) = played.next().unwrap_or_else(|| (plan.play(identity), Vec::new()));
            Ended::of(plan, identity, &mut Played::new(identity.clone(), play, answers))
        };
        plans.into_iter().map(ended).collect()
    }

    fn of(plan: Plan, identity: &Identity, target: &mut dyn Target) -> Ended {
        if let Some(verdict) = plan.refuses(identity) {
            return Ended { plan, record: None, verdict, note: None };
        }
        let record = plan.run(target);
        let verdict = plan.verdict(&record);
        Ended { plan, record: Some(record), verdict, note: None }
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
