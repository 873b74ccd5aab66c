//! The running kernel as judge: each world of the suite, generated traffic, every short sequence; and what shows that
//! this judging can be trusted: an engine that is wrong is noticed, and a namespace that was used is as good as a new one.
//!
//! Where the machine cannot have the kernel as a target, one ignored test says so and why; `CONNTRUTH_REQUIRE=linux` makes
//! that a failure. It has its own `main`, since the kernel's process is this program once more.

use std::process::ExitCode;
use std::time::Duration;

use conntruth::Paint;
use conntruth::diff::{self, Options};
use conntruth::scenario::{Plan, Verdict, diagnose};
use conntruth::suite::{Ended, Suite};
use conntruth::target::known::{self, Unusable, Wish};
use conntruth::target::{Reference, Target};
use conntruth_engine::{Direction, LINUX_6_18, Next, Profile, Segment, TcpState};
use libtest_mimic::{Arguments, Failed, Trial};

const PATIENCE: Duration = Duration::from_secs(5);
/// Generated worlds, and packets of the sequences that are all tried: seconds, not minutes.
const CASES: u64 = 5_000;
const DEPTH: u32 = 2;
/// Among so many worlds an engine that is wrong is noticed.
const SOON: u64 = 1_000;
/// Namespaces that are used over and over.
const ROWS: usize = 8;
/// Tests at once: they wait for the kernel's jiffies more than they work.
const AT_ONCE: usize = 6;

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    if let Some(code) = conntruth::target::linux::serve_if_asked() {
        return code;
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let trials = match linux() {
        Ok(target) if arguments.list => names(&*target),
        Ok(target) => trials(target, &arguments),
        Err(why) => vec![absent(why)],
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn linux() -> Result<Box<dyn Target + Send>, String> {
    known::open("linux", &Wish { profile: &LINUX_6_18, patience: PATIENCE, limits: Default::default() })
        .map_err(|unusable| match unusable {
            Unusable::Missing(what) => what,
            Unusable::Unknown => "this program does not know it".to_owned(),
        })
}

/// What stands in the place of all tests where there is no such target.
#[allow(clippy::print_stderr)]
fn absent(why: String) -> Trial {
    let required = known::is_required("linux");
    let name = format!("skipped: the running kernel cannot be a target here: {why}");
    if !required {
        eprintln!("{name}");
    }
    Trial::test(name, move || Err(Failed::from(why))).with_ignored_flag(!required)
}

fn plans(target: &dyn Target) -> Vec<Plan> {
    let plans = Suite::plans(&conntruth_tests::embedded(), target.identity().hz);
    let plans = plans.unwrap_or_else(|error| panic!("{error}"));
    assert!(!plans.is_empty(), "the suite has no scenarios");
    plans
}

/// The names of all tests, without the kernel having been asked.
fn names(target: &dyn Target) -> Vec<Trial> {
    let worlds = plans(target).into_iter().map(|plan| Trial::test(format!("suite::{}", plan.id), || Ok(())));
    worlds.chain(others()).collect()
}

/// The suite has run, side by side, before its tests tell how each world has ended.
fn trials(target: Box<dyn Target + Send>, arguments: &Arguments) -> Vec<Trial> {
    let wanted = |name: &str| match &arguments.filter {
        Some(filter) if arguments.exact => name == filter,
        Some(filter) => name.contains(filter.as_str()),
        None => true,
    };
    let mut plans = plans(&*target);
    plans.retain(|plan| wanted(&format!("suite::{}", plan.id)));
    let jobs = known::side_by_side(&target.identity()).min(plans.len());
    let mut targets = vec![target];
    targets.extend((1..jobs).map_while(|_| linux().ok()));
    let suite = Suite::run_side_by_side(plans, targets, |_| {});
    let worlds = suite.into_iter().flat_map(|suite| suite.worlds).map(told);
    worlds.chain(others()).collect()
}

fn told(ended: Ended) -> Trial {
    let name = format!("suite::{}", ended.plan.id);
    match ended.verdict {
        Verdict::Skipped(why) | Verdict::Unsupported(why) | Verdict::Known(why) => {
            Trial::test(format!("{name}: {why}"), || Ok(())).with_ignored_flag(true)
        }
        Verdict::Passed => Trial::test(name, || Ok(())),
        Verdict::Failed => Trial::test(name, move || {
            let record = ended.record.ok_or("it did not run")?;
            Err(diagnose(&ended.plan, &record, Paint::PLAIN).into())
        }),
    }
}

/// The longest first: each has a thread.
fn others() -> Vec<Trial> {
    vec![
        Trial::test("namespace::used_is_as_good_as_new", used_is_as_good_as_new),
        Trial::test("diff::generated", || agrees(&Options { cases: Some(CASES), ..Options::default() })),
        Trial::test("diff::every_short_sequence", || {
            agrees(&Options { cases: None, depth: Some(DEPTH), ..Options::default() })
        }),
        Trial::test("canary::a_wrong_cell", || is_noticed(wrong_cell())),
        Trial::test("canary::a_wrong_bound", || is_noticed(wrong_bound())),
        Trial::test("canary::a_wrong_timeout", || is_noticed(wrong_timeout())),
    ]
}

/// The kernel and the engine give the same answers.
fn agrees(options: &Options) -> Result<(), Failed> {
    let ended = diff::run(options, Box::new(Reference::new(&LINUX_6_18)), vec![linux()?], &mut |_| {})?;
    let sum = ended.sum;
    if sum.packets == 0 {
        return Err("nothing was compared".into());
    }
    match ended.findings.first() {
        Some(finding) => {
            let counts = format!("{} of {} cases differ", sum.divergent, sum.cases);
            Err(format!("{counts}\n{}", finding.scenario).into())
        }
        None if ended.is_unsteady() => {
            Err("the kernel does not give the same answers twice: too busy a machine".into())
        }
        None => Ok(()),
    }
}

/// An engine that is wrong differs from the kernel, and soon.
fn is_noticed(profile: &'static Profile) -> Result<(), Failed> {
    let options = Options { cases: Some(SOON), ..Options::default() };
    let ended = diff::run(&options, Box::new(Reference::new(profile)), vec![linux()?], &mut |_| {})?;
    if ended.findings.is_empty() { Err("nothing was noticed".into()) } else { Ok(()) }
}

fn wrong_cell() -> &'static Profile {
    let next = Next::To(TcpState::Established);
    conntruth_tests::tcp_mutant(Direction::Reply, Segment::Fin, TcpState::Established, next)
}

fn wrong_bound() -> &'static Profile {
    Box::leak(Box::new(Profile { tcp_max_ack_window: LINUX_6_18.tcp_max_ack_window + 1, ..LINUX_6_18 }))
}

fn wrong_timeout() -> &'static Profile {
    Box::leak(Box::new(Profile { tcp_pick_up_capped: false, ..LINUX_6_18 }))
}

/// Every seventh world in a namespace that others have used, and each in a namespace of its own.
fn used_is_as_good_as_new() -> Result<(), Failed> {
    let target = linux()?;
    let identity = target.identity();
    let mut chosen: Vec<Plan> = plans(&*target).into_iter().step_by(7).collect();
    chosen.retain(|plan| plan.refuses(&identity).is_none() && plan.packets() < 40);
    // To make a namespace is to wait for the kernel, and most worlds wait for its jiffies: so several wait at once.
    std::thread::scope(|scope| {
        let row = |first| {
            let plans = chosen.iter().skip(first).step_by(ROWS);
            scope.spawn(move || one_after_the_other(plans))
        };
        let rows: Vec<_> = (0..ROWS).map(row).collect();
        rows.into_iter().try_for_each(|row| row.join().unwrap_or_else(|_| Err("it panicked".into())))
    })
}

/// All in one namespace, and each in one of its own.
fn one_after_the_other<'a>(plans: impl Iterator<Item = &'a Plan>) -> Result<(), Failed> {
    let mut used = linux()?;
    for plan in plans {
        let again = plan.run(&mut *used);
        let new = plan.run(&mut *linux()?);
        if (&again.failures, &again.unsupported, again.claims)
            != (&new.failures, &new.unsupported, new.claims)
        {
            return Err(format!("{}: a used namespace answers otherwise than a new one", plan.id).into());
        }
    }
    Ok(())
}
