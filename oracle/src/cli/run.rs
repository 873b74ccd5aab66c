//! `conntruth run`: scenarios against a target.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use conntruth_engine::{LINUX_6_18, Profile};
use globset::{Glob, GlobSet, GlobSetBuilder};
use indicatif::ProgressBar;

use super::{Error, Exit, Tone, closely};
use crate::diff::Shard;
use crate::language::ast::Grade;
use crate::language::words::{GRADES, word_of};
use crate::paint::Paint;
use crate::report::{self, Run};
use crate::scenario::{Plan, Record, mermaid, sequence};
use crate::suite::{self, Blessing, File, KnownFailures, Look, Origin, Suite, Totals, Unreadable};
use crate::target::Target;
use crate::target::exec::Limits;
use crate::target::known::{self, KNOWN, Unusable, Wish};

const EXAMPLES: &str = "\
Examples:
  conntruth run                            the suite that the program carries
  conntruth run --filter 'tcp/**'          a part of it
  conntruth run my-case.ct                 a scenario of your own, or a folder of them
  conntruth run my-case.ct --trace         draw who sent what, and what the tracker made of it
  conntruth run my-case.ct --pcap DIR      captures of every wire, where hosts act
  conntruth run my-case.ct --bless         write what was found into its claims
  conntruth run --target linux             hold the suite against the kernel that runs here
  conntruth run --report site              a report for browsers: open site/index.html
  conntruth run --target linux --report site
                                           the kernel beside the reference, in the same report
  conntruth run --format markdown >> $GITHUB_STEP_SUMMARY
                                           a summary where CI shows one
  conntruth run --target 'exec:python3 adapter.py'
                                           ... against a program of yours: see `conntruth init`
  conntruth run --shard 2/4 --max-time 10min
                                           the second of four parts, for ten minutes at most
  conntruth run --target exec:./adapter --validate
                                           ... and check every message that it sends";

/// Run scenarios and compare their claims.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Scenario files, or folders of them; the suite in the program where none is given.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only scenarios whose id fits, such as `tcp/**` or `*rst*`; may be given several times.
    #[arg(long, value_name = "GLOB")]
    filter: Vec<String>,
    /// Write what was found into the claims that do not hold, and claims where there are none.
    #[arg(long)]
    bless: bool,
    /// How to report.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Write a report for browsers into a folder; runs of other targets that are in it already stand beside this one.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Write JUnit XML into a file, beside whatever is printed.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// A line for each scenario.
    #[arg(long, short)]
    verbose: bool,
    /// What to run them against.
    #[arg(long, value_name = "NAME", default_value = "reference")]
    target: String,
    /// How long a target whose time is real may wait at once, for what it cannot be made to believe.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = patience)]
    patience: Duration,
    /// How many worlds run side by side; as many as are good for the target where nothing is said.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Draw what happens: hosts as columns, the tracker in the middle.
    #[arg(long, value_name = "STYLE", num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    trace: Option<Style>,
    /// Write captures of every wire of every world with hosts into this folder.
    #[arg(long, value_name = "DIR")]
    pcap: Option<PathBuf>,
    /// Run everything twice, and name the first event that differs.
    #[arg(long)]
    check_determinism: bool,
    /// Whose semantics the reference has.
    #[arg(long, value_name = "NAME", default_value = "linux-6.18")]
    profile: String,
    /// Count the failures that this file names as known; one that passes, differs or does not exist is a failure.
    #[arg(long, value_name = "FILE")]
    known: Option<PathBuf>,
    /// Write all failures into a file of known failures; reasons and links in it, or in --known, stay.
    #[arg(long, value_name = "FILE")]
    write_known: Option<PathBuf>,
    /// Only scenarios of this grade, or a stronger one.
    #[arg(long, value_name = "GRADE", value_parser = grade)]
    grade: Option<Grade>,
    /// The version that the suite must have; it is printed with failures, and in `--format jsonl`.
    #[arg(long, value_name = "VERSION")]
    suite_version: Option<String>,
    /// The K-th of N equal parts, for machines side by side.
    #[arg(long, value_name = "K/N", value_parser = super::diff::shard)]
    shard: Option<Shard>,
    /// Begin nothing more after this time; what is left is skipped, and counted so.
    #[arg(long, value_name = "TIME", value_parser = super::diff::duration)]
    max_time: Option<Duration>,
    #[command(flatten)]
    exec: Exec,
}

fn grade(word: &str) -> Result<Grade, String> {
    let known = GRADES.iter().find(|(name, _)| *name == word);
    known.map(|(_, grade)| *grade).ok_or_else(|| "one of must, should, may".to_owned())
}

/// What a program that is a target may do.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct Exec {
    /// Of a target `exec:COMMAND`: hold every message, in both directions, against the protocol's schema.
    #[arg(long)]
    validate: bool,
    /// Of a target `exec:COMMAND`: how long it may take for an answer [default: 5s].
    #[arg(long, value_name = "TIME", value_parser = patience)]
    answer_time: Option<Duration>,
    /// Of a target `exec:COMMAND`: how many bytes of an answer are read [default: 67108864].
    #[arg(long, value_name = "BYTES")]
    answer_bytes: Option<usize>,
}

impl Exec {
    fn limits(self) -> Limits {
        let usual = Limits::default();
        Limits {
            answer: self.answer_time.unwrap_or(usual.answer),
            output: self.answer_bytes.unwrap_or(usual.output),
            validate: self.validate,
        }
    }
}

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Style {
    /// For a terminal.
    Text,
    /// As a diagram of Mermaid.
    Mermaid,
}

impl Style {
    /// A world that is over.
    pub(super) fn draw(self, plan: &Plan, record: &Record, paint: Paint) -> String {
        match self {
            Style::Text => sequence(plan, record, paint),
            Style::Mermaid => format!("%% {}\n{}", plan.id, mermaid(plan, record)),
        }
    }
}

/// How to report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// An object a line.
    Jsonl,
    /// JUnit XML.
    Junit,
    /// Test Anything Protocol.
    Tap,
    /// The kernel's dialect of it.
    Ktap,
    /// A summary for CI.
    Markdown,
    /// What an endpoint of shields.io answers.
    Badge,
}

impl Args {
    /// As if nothing had been said.
    pub(super) fn bare() -> Args {
        Args { target: "reference".to_owned(), profile: LINUX_6_18.name.to_owned(), ..Args::default() }
    }
}

pub(super) fn run(args: &Args, tone: &Tone) -> Result<Exit, Error> {
    let version = suite::version();
    if let Some(wanted) = args.suite_version.as_ref().filter(|wanted| **wanted != version) {
        return Err(format!("the suite in this program is {version}, not {wanted}").into());
    }
    let before = known_before(args)?;
    let mut target = match open(&args.target, &args.profile, args.patience, args.exec, tone)? {
        Ok(target) => target,
        Err(exit) => return Ok(exit),
    };
    let files = selected(&args.paths, &args.filter, tone)?;
    if args.bless {
        bless(&files, &mut *target, tone)?;
        // Judged as it now stands.
        return judge(args, &selected(&args.paths, &args.filter, tone)?, target, before.as_ref(), tone);
    }
    if args.trace.is_some() || args.pcap.is_some() || args.check_determinism {
        let look = closely::Closely {
            trace: args.trace,
            captures: args.pcap.as_deref(),
            twice: args.check_determinism,
        };
        return closely::run(&look, &files, &mut *target, tone);
    }
    judge(args, &files, target, before.as_ref(), tone)
}

/// The target of that name, or the exit code of a command that cannot have it, which was then said.
pub(super) fn target(
    name: &str,
    profile: &str,
    patience: Duration,
    tone: &Tone,
) -> Result<Result<Box<dyn Target + Send>, Exit>, Error> {
    open(name, profile, patience, Exec::default(), tone)
}

/// As [`target`], with what a program may do.
fn open(
    name: &str,
    profile: &str,
    patience: Duration,
    exec: Exec,
    tone: &Tone,
) -> Result<Result<Box<dyn Target + Send>, Exit>, Error> {
    let profile = self::profile(profile)?;
    match known::open(name, &Wish { profile, patience, limits: exec.limits() }) {
        Ok(target) => Ok(Ok(target)),
        Err(Unusable::Unknown) => {
            let names = KNOWN.map(|known| format!("`{}`", known.name)).join(", ");
            Err(format!("there is no target `{name}`: there are {names}").into())
        }
        Err(Unusable::Missing(what)) => {
            tone.warn(format!("target `{name}` cannot be used here: {what}"));
            Ok(Err(if known::is_required(name) { Exit::Failed } else { Exit::Skipped }))
        }
    }
}

/// A length of time in the language's words.
pub(super) fn patience(text: &str) -> Result<Duration, String> {
    let nanos = text.strip_suffix("ms").map(|number| (number, 1_000_000)).or_else(|| {
        let units = [("s", 1_000_000_000), ("min", 60_000_000_000)];
        units.iter().find_map(|(unit, nanos)| text.strip_suffix(unit).map(|number| (number, *nanos)))
    });
    nanos
        .and_then(|(number, unit)| number.parse::<u64>().ok()?.checked_mul(unit))
        .map(Duration::from_nanos)
        .ok_or_else(|| format!("`{text}` is no length of time, such as `5s`, `500ms` or `1min`"))
}

/// The semantics of that name.
pub(super) fn profile(name: &str) -> Result<&'static Profile, Error> {
    Profile::find(name).ok_or_else(|| {
        let default = LINUX_6_18.name;
        format!("there is no profile `{name}`; `conntruth profiles` lists them, {default} is the default")
            .into()
    })
}

/// The files that the arguments select. Selecting nothing is an error: what was not run is never green.
pub(super) fn selected(paths: &[PathBuf], filter: &[String], tone: &Tone) -> Result<Vec<File>, Error> {
    let read = if paths.is_empty() { suite::embedded() } else { suite::from_paths(paths) };
    let mut files = read.map_err(|error| located(error, tone))?;
    if files.is_empty() {
        return Err("there are no scenarios: a scenario's file name ends with `.ct`".into());
    }
    if let Some(globs) = globs(filter)? {
        let all = files.len();
        files.retain(|file| globs.is_match(&file.id));
        if files.is_empty() {
            return Err(format!("none of {all} scenarios fits {}", quoted(filter)).into());
        }
    }
    Ok(files)
}

fn globs(patterns: &[String]) -> Result<Option<GlobSet>, Error> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let mut builder = GlobSetBuilder::new();
    for pattern in patterns {
        builder.add(Glob::new(pattern)?);
    }
    Ok(Some(builder.build()?))
}

fn quoted(patterns: &[String]) -> String {
    patterns.iter().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>().join(" or ")
}

/// Mistakes of a file in colour, where there is colour.
pub(super) fn located(error: Unreadable, tone: &Tone) -> Error {
    match error {
        Unreadable::Mistakes(files) if tone.colors_stderr() => {
            let text = files.iter().map(|messages| messages.render(true)).collect::<Vec<_>>().join("\n\n");
            super::Located(text).into()
        }
        Unreadable::Mistakes(files) => {
            let text = files.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n");
            super::Located(text).into()
        }
        other => other.into(),
    }
}

fn bless(files: &[File], target: &mut dyn Target, tone: &Tone) -> Result<(), Error> {
    if std::env::var_os("CI").is_some_and(|value| !value.is_empty()) {
        return Err("claims are not blessed where CI is set: a machine has nobody who reads them".into());
    }
    for file in files {
        let Origin::Disk(path) = &file.origin else {
            return Err("the suite in the program cannot be blessed: name the files, `conntruth run scenarios --bless`".into());
        };
        match suite::bless(&file.id, &file.script, target)
            .map_err(|messages| super::Located(messages.render(tone.colors_stderr())))?
        {
            Blessing::Nothing => {}
            Blessing::Text { text, changes, left } => {
                if changes > 0 {
                    suite::replace(path, &text).map_err(|error| format!("{}: {error}", path.display()))?;
                    let s = if changes == 1 { "" } else { "s" };
                    tone.note(format!("{}: {changes} part{s} blessed", path.display()));
                }
                for place in left {
                    tone.warn(format!("{}: {place}: left as it was", path.display()));
                }
            }
        }
    }
    Ok(())
}

/// The known failures that the arguments name.
fn known_before(args: &Args) -> Result<Option<KnownFailures>, Error> {
    let written = args.write_known.as_ref().filter(|path| path.exists());
    let Some(path) = args.known.as_ref().or(written) else { return Ok(None) };
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Some(KnownFailures::read(&text).map_err(|error| format!("{}: {error}", path.display()))?))
}

/// Counts known failures as such, and writes them where that is asked for.
fn excuse(suite: &mut Suite, args: &Args, before: Option<&KnownFailures>, tone: &Tone) -> Result<(), Error> {
    let written;
    let file = match (&args.write_known, before) {
        (Some(path), _) => {
            written = KnownFailures::of(suite, before);
            let text = written.write(&suite.identity);
            suite::replace(path, &text).map_err(|error| format!("{}: {error}", path.display()))?;
            let (count, s) = (written.known.len(), if written.known.len() == 1 { "" } else { "s" });
            tone.note(format!("{}: {count} known failure{s} written", path.display()));
            &written
        }
        (None, Some(before)) => before,
        (None, None) => return Ok(()),
    };
    let mut others = BTreeSet::new();
    if !args.paths.is_empty() || !args.filter.is_empty() || args.grade.is_some() || args.shard.is_some() {
        // What was not selected is not stale.
        let all = suite::embedded().map_err(|error| located(error, tone))?;
        for plan in Suite::plans(&all, suite.identity.hz).map_err(|error| located(error, tone))? {
            others.insert(plan.id.to_string());
            others.insert(plan.id.scenario);
        }
    }
    suite.excuse(file, &others);
    Ok(())
}

fn judge(
    args: &Args,
    files: &[File],
    target: Box<dyn Target + Send>,
    before: Option<&KnownFailures>,
    tone: &Tone,
) -> Result<Exit, Error> {
    let mut plans = Suite::plans(files, target.identity().hz).map_err(|error| located(error, tone))?;
    let all = plans.len();
    plans.retain(|plan| args.grade.is_none_or(|grade| plan.story().grade <= grade));
    if plans.is_empty() {
        return Err(format!("none of {all} scenarios has this grade").into());
    }
    if let Some(shard) = args.shard {
        let all = plans.len();
        let mut number = 0..;
        plans.retain(|_| shard.has(number.next().unwrap_or_default()));
        if plans.is_empty() {
            return Err(format!("of {all} worlds none is in this part").into());
        }
    }
    let jobs = args.jobs.unwrap_or_else(|| known::side_by_side(&target.identity())).min(plans.len()).max(1);
    let first = target.first_exchange();
    let mut targets = vec![target];
    while targets.len() < jobs {
        match open(&args.target, &args.profile, args.patience, args.exec, tone)? {
            Ok(another) => targets.push(another),
            // Fewer than wished for will do.
            Err(_) => break,
        }
    }
    let (mut suite, took) = timed(plans, targets, args.max_time, tone)?;
    suite.version = args.paths.is_empty().then(suite::version);
    excuse(&mut suite, args, before, tone)?;
    let totals = suite.totals();
    if let (1.., 0, Some(talk)) = (totals.failed, totals.passed, first.as_ref().and_then(|first| first.get()))
    {
        tone.warn(format!("every scenario failed: the adapter is probably wrong. What was said first (> to it, < from it):\n{talk}"));
    }
    let out = match args.format {
        Format::Text => {
            let look = Look {
                paint: Paint::new(tone.colors_stdout()),
                each: args.verbose,
                quiet: tone.is_quiet(),
                took: Some(took),
                again: again(args),
            };
            suite::text(&suite, &look)
        }
        Format::Jsonl => suite::jsonl(&suite),
        Format::Junit => suite::junit(&suite)?,
        Format::Tap => suite::tap(&suite),
        Format::Ktap => suite::ktap(&suite),
        Format::Markdown => report::markdown(&Run::of(&suite, &again(args))),
        Format::Badge => report::badge(&Run::of(&suite, &again(args))),
    };
    if let Some(path) = &args.junit {
        suite::replace(path, &suite::junit(&suite)?)
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    if let Some(folder) = &args.report {
        let written = report::write(folder, &Run::of(&suite, &again(args)))?;
        let s = if written.runs == 1 { "" } else { "s" };
        tone.note(format_args!(
            "{}: {} run{s}, {} pages",
            written.index.display(),
            written.runs,
            written.pages
        ));
    }
    anstream::stdout().lock().write_all(out.as_bytes())?;
    Ok(if suite.stale.is_empty() { exit(&totals) } else { Exit::Failed })
}

/// Runs the plans, with a progress bar where somebody looks. The clock is for people: nothing depends on it.
#[allow(clippy::disallowed_methods)]
fn timed(
    plans: Vec<Plan>,
    targets: Vec<Box<dyn Target + Send>>,
    most: Option<Duration>,
    tone: &Tone,
) -> Result<(Suite, Duration), Error> {
    let started = std::time::Instant::now();
    let bar =
        if tone.shows_progress() { ProgressBar::new(plans.len() as u64) } else { ProgressBar::hidden() };
    let is_over = || most.is_some_and(|most| started.elapsed() >= most);
    let suite = Suite::run_side_by_side_in_time(plans, targets, &is_over, |_| {
        // A bar that flickers is worse than none.
        if started.elapsed().as_millis() > 500 {
            bar.inc(1);
        }
    });
    bar.finish_and_clear();
    Ok((suite.ok_or("there is no target")?, started.elapsed()))
}

fn exit(totals: &Totals) -> Exit {
    match totals {
        Totals { failed: 1.., .. } => Exit::Failed,
        Totals { passed: 0, known: 0, .. } => Exit::Skipped,
        _ => Exit::Fine,
    }
}

/// The command that repeats this run.
fn again(args: &Args) -> String {
    let mut words = vec!["conntruth".to_owned(), "run".to_owned()];
    words.extend(args.paths.iter().map(|path| shell(&path.display().to_string())));
    words.extend(args.filter.iter().map(|filter| format!("--filter {}", shell(filter))));
    if args.target == "reference" {
        words.push(format!("--profile {}", args.profile));
    } else {
        words.push(format!("--target {}", shell(&args.target)));
        words.push(format!("--patience {}ms", args.patience.as_millis()));
    }
    words.extend(args.grade.map(|grade| format!("--grade {}", word_of(GRADES, grade))));
    words.extend(args.shard.map(|shard| format!("--shard {shard}")));
    words.extend(args.max_time.map(|time| format!("--max-time {}s", time.as_secs_f64())));
    words.extend(args.known.as_ref().map(|path| format!("--known {}", shell(&path.display().to_string()))));
    words.extend(args.exec.answer_time.map(|time| format!("--answer-time {}ms", time.as_millis())));
    words.extend(args.exec.answer_bytes.map(|bytes| format!("--answer-bytes {bytes}")));
    words.extend(args.exec.validate.then(|| "--validate".to_owned()));
    words.join(" ")
}

pub(super) fn shell(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:,@".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_can_be_pasted() {
        assert_eq!(shell("tcp/a-b.ct"), "tcp/a-b.ct");
        assert_eq!(shell("it's*"), r"'it'\''s*'");
    }

    #[test]
    fn nothing_passed_is_not_green() {
        assert_eq!(exit(&Totals { passed: 1, ..Totals::default() }), Exit::Fine);
        assert_eq!(exit(&Totals { passed: 9, failed: 1, ..Totals::default() }), Exit::Failed);
        assert_eq!(exit(&Totals { unsupported: 3, ..Totals::default() }), Exit::Skipped);
    }
}
