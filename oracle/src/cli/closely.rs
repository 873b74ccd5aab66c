//! `conntruth run` with `--trace`, `--pcap` or `--check-determinism`: one world after the other, looked at closely.

use std::io::Write;
use std::path::Path;

use conntruth_sim::app::Tally;

use super::run::{Style, located};
use super::{Error, Exit, Tone};
use crate::paint::{Paint, Role};
use crate::scenario::{Aftermath, Detail, Keep, Plan, Record, Verdict, diagnose, ladder};
use crate::suite::{File, Suite};
use crate::target::Target;

/// What is wanted.
pub(super) struct Closely<'a> {
    pub trace: Option<Style>,
    pub captures: Option<&'a Path>,
    pub twice: bool,
}

/// Runs all worlds of the files. The clock is for people: nothing depends on it.
#[allow(clippy::disallowed_methods)]
pub(super) fn run(
    look: &Closely<'_>,
    files: &[File],
    target: &mut dyn Target,
    tone: &Tone,
) -> Result<Exit, Error> {
    let identity = target.identity();
    let plans = Suite::plans(files, identity.hz).map_err(|error| located(error, tone))?;
    let plans: Vec<Plan> = plans.into_iter().map(|plan| plan.taken_by(target)).collect();
    let paint = Paint::new(tone.colors_stdout());
    let mut out = anstream::stdout().lock();
    let (mut passed, mut failed, mut nanos) = (0, 0, 0_u64);
    // Over every event of hosts, and every answer in words.
    let mut all = Tally::default();
    let started = std::time::Instant::now();
    for plan in &plans {
        if let Some(Verdict::Unsupported(why) | Verdict::Skipped(why)) = plan.refuses(&identity) {
            writeln!(out, "- {}: {why}", plan.id)?;
            continue;
        }
        let folder = look.captures.map(|folder| folder.join(folder_name(plan)));
        if let Some(folder) = folder.as_ref().filter(|_| plan.has_hosts()) {
            std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        let keep = Keep { events: look.twice, captures: folder.as_deref() };
        let (record, aftermath) = once(plan, target, keep);
        nanos = nanos.saturating_add(record.time.as_nanos());
        if let Some(style) = look.trace {
            if style == Style::Text {
                writeln!(out, "{}", paint.over(Role::Good, &plan.id.to_string()))?;
            }
            writeln!(out, "{}", style.draw(plan, &record, paint))?;
        }
        let mut is_fine = match plan.verdict(&record) {
            Verdict::Passed => true,
            Verdict::Failed => {
                writeln!(out, "{}", diagnose(plan, &record, paint))?;
                false
            }
            Verdict::Unsupported(why) | Verdict::Skipped(why) | Verdict::Known(why) => {
                writeln!(out, "- {}: {why}", plan.id)?;
                continue;
            }
        };
        if look.twice {
            let told = ladder(plan, &record, Detail::Source, Paint::PLAIN);
            all.add(format!("{}\n{:016x}\n{told}", plan.id, aftermath.chain.value()).as_bytes());
            let (again, later) = once(plan, target, Keep { events: true, captures: None });
            if let Some(what) = difference(&(record, aftermath), &(again, later)) {
                writeln!(out, "{}: not the same twice: {what}", plan.id)?;
                is_fine = false;
            }
        }
        if is_fine { passed += 1 } else { failed += 1 }
    }
    let took = started.elapsed().as_secs_f64();
    let simulated = nanos as f64 / 1e9;
    let same = format!(", each the same twice, all of it 0x{:016x}", all.hash());
    let same = if look.twice { same.as_str() } else { "" };
    writeln!(
        out,
        "{passed} passed, {failed} failed{}; {simulated:.0} s of virtual time in {:.0} ms: {:.0} simulated seconds a second",
        if failed == 0 { same } else { "" },
        took * 1e3,
        simulated / took.max(1e-9)
    )?;
    Ok(match (passed, failed) {
        (_, 1..) => Exit::Failed,
        (0, _) => Exit::Skipped,
        _ => Exit::Fine,
    })
}

fn once(plan: &Plan, target: &mut dyn Target, keep: Keep<'_>) -> (Record, Aftermath) {
    if plan.has_hosts() {
        return plan.run_with_hosts(target, keep);
    }
    (plan.run(target), Aftermath::default())
}

/// Where two runs of one plan part, in words.
fn difference(one: &(Record, Aftermath), other: &(Record, Aftermath)) -> Option<String> {
    if let Some(difference) = one.1.chain.first_difference(&other.1.chain) {
        let at = difference.event as usize;
        let event = |run: &(Record, Aftermath)| {
            run.1.events.get(at).cloned().unwrap_or_else(|| "it was over".to_owned())
        };
        return Some(format!("event {at}: {}; {}", event(one), event(other)));
    }
    let differs = one.1.chain.value() != other.1.chain.value() || !one.0.is_like(&other.0);
    differs.then(|| "the same events, but other answers of the tracker".to_owned())
}

/// A folder's name for a world.
fn folder_name(plan: &Plan) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' };
    plan.id.to_string().chars().map(plain).collect()
}
