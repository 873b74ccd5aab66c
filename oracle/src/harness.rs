//! One test for each scenario, in a crate of one's own (feature `harness`): with `cargo test`, which filters by id, and with
//! nextest, which runs each in a process of its own and writes JUnit.
//!
//! In `Cargo.toml` a test target without the usual harness, and in `tests/scenarios.rs` one line:
//!
//! ```toml
//! [[test]]
//! name = "scenarios"
//! harness = false
//! ```
//!
//! ```no_run
//! conntruth::scenarios!("tests/scenarios");
//! # // `main` is made by the macro, so this example is a program of its own.
//! ```
//!
//! The folder is taken from the crate's own. With a second argument, what makes a target, scenarios run against a tracker of
//! one's own; with `suite` in the place of the folder, the whole suite that the library carries does. More can be said with a
//! [`Harness`].
//!
//! ```no_run
//! # use conntruth::target::Reference;
//! # use conntruth::engine::LINUX_6_18;
//! // `Reference` stands here for your own `Target`.
//! conntruth::scenarios!(suite, || Reference::new(&LINUX_6_18));
//! ```

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use conntruth_engine::LINUX_6_18;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::Paint;
use crate::scenario::{Plan, Verdict};
use crate::suite::{self, File, KnownFailures, Suite, Unreadable};
use crate::target::{Reference, Target};

/// A `main` that runs each scenario of a folder, or of the suite, as a test. See [`crate::harness`].
#[macro_export]
macro_rules! scenarios {
    (suite) => {
        $crate::scenarios!(@ $crate::harness::Harness::suite());
    };
    (suite, $target:expr) => {
        $crate::scenarios!(@ $crate::harness::Harness::suite().target($target));
    };
    ($folder:literal) => {
        $crate::scenarios!(@ $crate::harness::Harness::folder(concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder)));
    };
    ($folder:literal, $target:expr) => {
        $crate::scenarios!(@ $crate::harness::Harness::folder(
            concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder)
        ).target($target));
    };
    (@ $harness:expr) => {
        fn main() -> ::std::process::ExitCode {
            $harness.main()
        }
    };
}

type Make = dyn Fn() -> Box<dyn Target> + Send + Sync;

/// Scenarios, and what they are run against.
pub struct Harness {
    files: Result<Vec<File>, Unreadable>,
    make: Arc<Make>,
    known: Result<KnownFailures, String>,
}

impl Harness {
    /// All scenarios of a folder.
    pub fn folder(path: impl AsRef<Path>) -> Harness {
        Harness::of(suite::from_paths(&[PathBuf::from(path.as_ref())]))
    }

    /// The suite that the library carries.
    pub fn suite() -> Harness {
        Harness::of(suite::embedded())
    }

    fn of(files: Result<Vec<File>, Unreadable>) -> Harness {
        let make = || Box::new(Reference::new(&LINUX_6_18)) as Box<dyn Target>;
        Harness { files, make: Arc::new(make), known: Ok(KnownFailures::default()) }
    }

    /// Runs them against another target than the reference; each test has one of its own.
    #[must_use]
    pub fn target<T: Target + 'static>(self, make: impl Fn() -> T + Send + Sync + 'static) -> Harness {
        Harness { make: Arc::new(move || Box::new(make()) as Box<dyn Target>), ..self }
    }

    /// Failures that are known, in the form that `conntruth run --write-known` writes. One that passes, or fails in another
    /// way, is a failure.
    #[must_use]
    pub fn known(self, path: impl AsRef<Path>) -> Harness {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
        let known = text.and_then(|text| KnownFailures::read(&text));
        Harness { known: known.map_err(|error| format!("{}: {error}", path.display())), ..self }
    }

    /// The tests: one for each world of each scenario, named by its id. What the target cannot do is ignored, and says why.
    ///
    /// # Errors
    /// When a scenario has mistakes, there is none at all, or the known failures cannot be read.
    pub fn trials(self) -> Result<Vec<Trial>, String> {
        let files = self.files.map_err(|error| error.to_string())?;
        let known = Arc::new(self.known?);
        let identity = (self.make)().identity();
        let plans = Suite::plans(&files, identity.hz).map_err(|error| error.to_string())?;
        // What was not run is never green.
        if plans.is_empty() {
            return Err("there are no scenarios: a scenario's file name ends with `.ct`".to_owned());
        }
        let trial = |plan: Plan| {
            let (make, known) = (Arc::clone(&self.make), Arc::clone(&known));
            let is_refused = plan.refuses(&identity).is_some();
            Trial::ignorable_test(name(&plan), move || holds(plan, &*make, &known))
                .with_ignored_flag(is_refused)
        };
        Ok(plans.into_iter().map(trial).collect())
    }

    /// Runs what the command line asks for.
    #[allow(clippy::print_stderr)] // It is the `main` of a test program.
    pub fn main(self) -> ExitCode {
        let arguments = Arguments::from_args();
        match self.trials() {
            Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        }
    }
}

/// `tcp/opening/simultaneous::ipv6`
fn name(plan: &Plan) -> String {
    let mut name = plan.id.scenario.clone();
    name.extend(plan.id.variant.iter().map(|(name, value)| format!("::{name}={value}")));
    name.extend(plan.id.family.map(|family| format!("::{family:?}").to_lowercase()));
    name
}

fn holds(plan: Plan, make: &Make, known: &KnownFailures) -> Result<Completion, Failed> {
    let others = known.known.iter().map(|known| known.id.clone()).collect();
    let mut suite = Suite::run(vec![plan], &mut *make(), |_| {});
    suite.excuse(known, &others);
    let Some(ended) = suite.worlds.first() else { return Err("it was not run".into()) };
    match &ended.verdict {
        Verdict::Passed => Ok(Completion::Completed),
        Verdict::Known(why) => Ok(Completion::ignored_with(format!("known to fail: {why}"))),
        Verdict::Skipped(why) | Verdict::Unsupported(why) => Ok(Completion::ignored_with(why.clone())),
        Verdict::Failed => Err(ended.told(Paint::PLAIN).into()),
    }
}
