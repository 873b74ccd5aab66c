//! A target in a thread of its own, which works at one batch while the next is made.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::scenario::{Plan, Record};
use crate::target::{Batch, Identity, Refusal, Sight, Target};

/// What the worlds of a batch have seen.
pub(super) type Sights = Result<Vec<Vec<Sight>>, Refusal>;

enum Job {
    Batch(Arc<Batch>),
    Baseline(Arc<Batch>),
    Plan(Box<Plan>),
}

enum Answer {
    Batch(Sights),
    Baseline(Result<Option<Duration>, Refusal>),
    Plan(Box<Record>),
}

/// See the module. Questions are answered in the order in which they were asked.
pub(super) struct Judge {
    identity: Identity,
    jobs: Option<SyncSender<Job>>,
    answers: Receiver<Answer>,
    thread: Option<JoinHandle<()>>,
}

/// Batches that wait for the target, so that it never waits for them.
const AHEAD: usize = 2;

impl Judge {
    pub fn new(mut target: Box<dyn Target + Send>) -> Judge {
        let identity = target.identity();
        let (jobs, todo) = sync_channel::<Job>(AHEAD);
        let (done, answers) = sync_channel::<Answer>(AHEAD + 1);
        let thread = std::thread::spawn(move || {
            for job in todo {
                let answer = match job {
                    Job::Batch(batch) => Answer::Batch(target.batch(&batch)),
                    Job::Baseline(batch) => Answer::Baseline(target.baseline(&batch)),
                    Job::Plan(plan) => Answer::Plan(Box::new(plan.run(&mut *target))),
                };
                if done.send(answer).is_err() {
                    break;
                }
            }
            target.end();
        });
        Judge { identity, jobs: Some(jobs), answers, thread: Some(thread) }
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Hands over a batch. [`Judge::sights`] has its answer.
    pub fn ask(&self, batch: Arc<Batch>) {
        self.send(Job::Batch(batch));
    }

    /// The answer to the oldest batch that was handed over.
    pub fn sights(&self) -> Sights {
        match self.answer()? {
            Answer::Batch(sights) => sights,
            Answer::Baseline(_) | Answer::Plan(_) => Err(broken()),
        }
    }

    /// How long a batch takes without the answers. Nothing else may be under way.
    pub fn baseline(&self, batch: Arc<Batch>) -> Result<Option<Duration>, Refusal> {
        self.send(Job::Baseline(batch));
        match self.answer()? {
            Answer::Baseline(took) => took,
            Answer::Batch(_) | Answer::Plan(_) => Err(broken()),
        }
    }

    /// Runs a scenario. Nothing else may be under way.
    pub fn run(&self, plan: &Plan) -> Result<Record, Refusal> {
        self.send(Job::Plan(Box::new(plan.clone())));
        match self.answer()? {
            Answer::Plan(record) => Ok(*record),
            Answer::Batch(_) | Answer::Baseline(_) => Err(broken()),
        }
    }

    fn send(&self, job: Job) {
        // Should the thread have ended, the answer that does not come says so.
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }

    fn answer(&self) -> Result<Answer, Refusal> {
        self.answers.recv().map_err(|_| broken())
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        self.jobs = None;
        // What it still answers nobody reads; it must not wait for that.
        while self.answers.recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn broken() -> Refusal {
    Refusal::Broken("the target has stopped answering".to_owned())
}
