//! A run as JUnit XML, for the machines that collect it: an area is a test suite, a world a test case.

use std::collections::BTreeMap;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::paint::Paint;
use crate::scenario::Verdict;

use super::{Ended, Suite};

/// The run as a document.
///
/// # Errors
/// When the document cannot be written.
pub fn junit(suite: &Suite) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new(format!("conntruth {}", suite.identity.profile));
    let mut areas: BTreeMap<&str, TestSuite> = BTreeMap::new();
    for world in &suite.worlds {
        let id = world.plan.id.scenario.as_str();
        let area = id.rsplit_once('/').map_or("scenarios", |(area, _)| area);
        areas.entry(area).or_insert_with(|| TestSuite::new(area)).add_test_case(case(world));
    }
    report.add_test_suites(areas.into_values());
    let mut text = report.to_string()?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

fn case(world: &Ended) -> TestCase {
    let status = match &world.verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Failed => {
            let text = world.told(Paint::PLAIN);
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(text.lines().next().unwrap_or("failed").to_owned()).set_description(text);
            status
        }
        Verdict::Skipped(why) | Verdict::Unsupported(why) | Verdict::Known(why) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("{}: {why}", world.word()));
            status
        }
    };
    let mut case = TestCase::new(world.plan.id.to_string(), status);
    case.set_classname(world.plan.id.scenario.replace('/', "."));
    case
}
