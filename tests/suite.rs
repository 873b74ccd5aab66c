//! One test for each world of each scenario, and for each example in the manual.
//!
//! `cargo test --test suite tcp/opening` runs an area. What is not supported yet is ignored, and listed so.

use std::process::ExitCode;

use conntruth::Paint;
use conntruth::harness::Harness;
use conntruth::scenario::{Plan, Verdict, diagnose};
use conntruth::target::{Reference, Target};
use conntruth_engine::LINUX_6_18;
use conntruth_tests::manual::{Example, examples};
use libtest_mimic::{Arguments, Failed, Trial};

const MANUAL: &str = include_str!("../scenarios/README.md");

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Harness::suite().trials().unwrap_or_else(|error| panic!("{error}"));
    trials.extend(examples(MANUAL).into_iter().map(|example| {
        let name = format!("manual::line-{}", example.line);
        Trial::test(name, move || manual(&example))
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn holds(plan: &Plan) -> Result<(), Failed> {
    let record = plan.run(&mut Reference::new(&LINUX_6_18));
    match plan.verdict(&record) {
        Verdict::Passed => Ok(()),
        Verdict::Failed => Err(diagnose(plan, &record, Paint::PLAIN).into()),
        Verdict::Skipped(why) | Verdict::Unsupported(why) | Verdict::Known(why) => Err(why.into()),
    }
}

/// `ct`: must hold. `ct bare`: is read, and claims nothing yet. `ct fails`: is read, and a claim must not hold. `ct wrong`: must not be read. `ct later`: is read, and
/// belongs to a later version.
fn manual(example: &Example) -> Result<(), Failed> {
    let name = format!("scenarios/README.md line {}", example.line);
    let kind = example.kind.split_whitespace().nth(1).unwrap_or("holds");
    let script = match (conntruth::language::read(&name, &example.text), kind) {
        (Ok(_), "wrong") => return Err("it has no mistake".into()),
        (Err(_), "wrong") => return Ok(()),
        (Ok(_), "bare") => return Ok(()),
        (Ok(script), _) => std::sync::Arc::new(script),
        (Err(messages), _) => return Err(messages.to_string().into()),
    };
    let plans = Plan::all("manual", &script, LINUX_6_18.hz)?;
    let identity = Reference::new(&LINUX_6_18).identity();
    for plan in &plans {
        match (plan.refuses(&identity), kind) {
            (Some(_), "later") => continue,
            (Some(Verdict::Unsupported(why) | Verdict::Skipped(why)), _) => return Err(why.into()),
            (_, "later") => return Err("it could be run: it is not for later any more".into()),
            _ => {}
        }
        match (holds(plan), kind) {
            (Err(_), "fails") => {}
            (Ok(()), "fails") => return Err("every claim holds".into()),
            (result, _) => result?,
        }
    }
    Ok(())
}
