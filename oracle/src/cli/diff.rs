//! `conntruth diff`: generated traffic through two targets in step.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Error, Exit, Tone};
use crate::diff::{self, Alphabet, Ended, Finding, NORMALISATIONS, Options, Progress, Shard};
use crate::generate::{Feature, Features, Protocols, Speaks};
use crate::suite;
use crate::target::{Passing, Target};

const EXAMPLES: &str = "\
Examples:
  conntruth diff --target linux                          10,000 cases of seed 0 through the running kernel
  conntruth diff --target linux --seed 7 --duration 60s  a minute of another seed
  conntruth diff --target linux --protocol tcp,udp       some protocols alone
  conntruth diff --target linux --depth 4                every sequence of up to four packets
  conntruth diff --target linux --depth 5 --shard 3/16   a sixteenth of more
  conntruth diff --target linux --save scenarios/regression
                                                         keep what differs as scenarios
  conntruth diff --list-normalisations                   what is not compared, and why";

/// Send generated traffic through two targets and compare every answer.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What is asked.
    #[arg(long, value_name = "NAME", default_value = "reference")]
    target: String,
    /// What it is compared with.
    #[arg(long, value_name = "NAME", default_value = "reference")]
    reference: String,
    /// Whose semantics the reference has.
    #[arg(long, value_name = "NAME", default_value = "linux-6.18")]
    profile: String,
    /// Where the traffic comes from: the same seed, the same bytes.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// So many cases [default: 10000; with --depth or --duration all].
    #[arg(long, value_name = "N")]
    cases: Option<u64>,
    /// So long: 30s, 5min, 1h.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Protocols of the flows: tcp, udp, icmp, udplite, sctp, gre, generic [default: all].
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = protocol)]
    protocol: Vec<Speaks>,
    /// Rules on the tracker's host in every batch, not in some.
    #[arg(long, conflicts_with = "depth")]
    rules: bool,
    /// Every sequence of up to so many packets over an alphabet, instead of cases from a seed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=12))]
    depth: Option<u32>,
    /// The K-th of N equal parts.
    #[arg(long, value_name = "K/N", value_parser = shard)]
    shard: Option<Shard>,
    /// Keep the smallest example of each cause in this folder.
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Print all that was reached of tables, reasons and sysctls, as `coverage` does, instead of the sums.
    #[arg(long)]
    coverage: bool,
    /// List what is not compared, with the reasons, and do nothing else.
    #[arg(long)]
    list_normalisations: bool,
}

/// `30s`, `5min`, `1h`
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "s" => 1.0,
        "min" | "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("a number and a unit: `30s`, `5min`, `1h`".to_owned()),
    };
    let number: f64 = digits.parse().map_err(|_| "a number and a unit: `30s`, `5min`, `1h`".to_owned())?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| format!("`{text}` is no length of time"))
}

fn protocol(word: &str) -> Result<Speaks, String> {
    let known = Speaks::ALL.iter().find(|(name, _)| *name == word);
    known.map(|row| row.1).ok_or_else(|| {
        let all: Vec<&str> = Speaks::ALL.iter().map(|row| row.0).collect();
        format!("one of {}", all.join(", "))
    })
}

/// `3/16`
pub(super) fn shard(text: &str) -> Result<Shard, String> {
    let parts =
        text.split_once('/').and_then(|(k, n)| Some((k.parse::<u64>().ok()?, n.parse::<u64>().ok()?)));
    match parts {
        Some((k, n)) if (1..=n).contains(&k) => Ok(Shard { index: k - 1, of: n }),
        _ => Err("K of N, such as `1/4` to `4/4`".to_owned()),
    }
}

pub(super) fn run(args: &Args, tone: &Tone) -> Result<Exit, Error> {
    let mut out = anstream::stdout().lock();
    if args.list_normalisations {
        out.write_all(normalisations().as_bytes())?;
        return Ok(Exit::Fine);
    }
    let options = options(args)?;
    let open = |name| super::run::target(name, &args.profile, PATIENCE, tone);
    let (target, reference) = match (open(&args.target)?, open(&args.reference)?) {
        (Ok(target), Ok(reference)) => (target, reference),
        (Err(exit), _) | (_, Err(exit)) => return Ok(exit),
    };
    let mut targets = vec![target];
    if takes_real_time(&*targets[0]) {
        match open(&args.target)? {
            Ok(second) => targets.push(second),
            Err(exit) => return Ok(exit),
        }
    }
    out.write_all(opening(args, &options, &*reference, &*targets[0]).as_bytes())?;
    out.flush()?;
    drop(out);
    let bar = bar(&options, tone);
    let ended = diff::run(&options, reference, targets, &mut |progress| show(&bar, progress));
    bar.finish_and_clear();
    let ended = match ended {
        Ok(ended) => ended,
        Err(refusal) => {
            tone.error(&refusal);
            return Ok(Exit::Skipped);
        }
    };
    if ended.sum.cases == 0 {
        return Err("there is nothing to compare: this part of the run has no case".into());
    }
    let mut out = anstream::stdout().lock();
    out.write_all(report(args, &ended).as_bytes())?;
    if let Some(folder) = &args.save {
        save(folder, &ended.findings, tone)?;
    }
    if ended.is_unsteady() {
        tone.error(&*Error::from(
            "more than one case in a hundred differed in company and not alone: this machine is too busy",
        ));
    }
    Ok(if ended.findings.is_empty() && !ended.is_unsteady() { Exit::Fine } else { Exit::Failed })
}

/// A tracker whose time is real waits now and then, and is in a process of its own: two of them share two processors.
fn takes_real_time(target: &dyn Target) -> bool {
    let is_real = matches!(target.identity().abilities.time, Passing::Age | Passing::Real);
    is_real && std::thread::available_parallelism().is_ok_and(|processors| processors.get() > 1)
}

/// How long a target may wait at once for what cannot be aged.
const PATIENCE: Duration = Duration::from_secs(5);

fn options(args: &Args) -> Result<Options, Error> {
    let bounded = args.depth.is_some() || args.duration.is_some();
    let protocols = args.protocol.iter().fold(Protocols::NONE, |set, protocol| set.with(*protocol));
    let options = Options {
        seed: args.seed,
        cases: args.cases.or((!bounded).then_some(10_000)),
        duration: args.duration,
        protocols: if args.protocol.is_empty() { Protocols::USUAL } else { protocols },
        features: Features::PACKETS.with(Feature::Translation),
        rules: args.rules,
        depth: args.depth,
        shard: args.shard.unwrap_or(Shard { index: 0, of: 1 }),
    };
    if options.depth.is_some() && options.alphabets().is_empty() {
        return Err("there are alphabets for tcp, udp and icmp alone".into());
    }
    Ok(options)
}

/// Who is compared, and the alphabets where there are some.
fn opening(args: &Args, options: &Options, reference: &dyn Target, target: &dyn Target) -> String {
    let (ours, theirs) = (reference.identity(), target.identity());
    let mut text = format!(
        "conntruth {}, reference {} {}, target {} {}, profile {}, seed {}\n\n",
        env!("CARGO_PKG_VERSION"),
        ours.name,
        ours.version,
        theirs.name,
        theirs.version,
        args.profile,
        options.seed
    );
    if let Some(depth) = options.depth {
        for alphabet in options.alphabets() {
            text.push_str(&letters(&alphabet, depth));
        }
    }
    text
}

fn letters(alphabet: &Alphabet, depth: u32) -> String {
    let (heading, letters) = (alphabet.heading(), alphabet.letters());
    let mut text = format!("{heading}\n  {} letters: {}\n", letters.len(), alphabet.about);
    for letter in &letters {
        let _ = writeln!(text, "    {letter}");
    }
    let _ = writeln!(text, "  {} sequences of up to {depth}\n", grouped(alphabet.sequences(depth)));
    text
}

fn bar(options: &Options, tone: &Tone) -> ProgressBar {
    if !tone.shows_progress() {
        return ProgressBar::hidden();
    }
    let all: Option<u64> = match options.depth {
        Some(depth) => {
            Some(options.alphabets().iter().map(|alphabet| alphabet.sequences(depth)).sum::<u64>())
        }
        None => options.cases,
    };
    let all = all.map(|all| options.cases.unwrap_or(all).min(all) / options.shard.of);
    let (bar, template) = match all {
        Some(all) => {
            (ProgressBar::new(all), "{bar:30} {human_pos} of {human_len} cases, {elapsed} of {duration}{msg}")
        }
        None => (ProgressBar::no_length(), "{spinner} {human_pos} cases, {elapsed}{msg}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, progress: &Progress) {
    // A bar that flickers is worse than none.
    if bar.elapsed().as_millis() > 500 {
        bar.set_position(progress.cases);
        if progress.causes > 0 {
            bar.set_message(format!(", {} causes", progress.causes));
        }
    }
}

fn report(args: &Args, ended: &Ended) -> String {
    let mut text = String::new();
    for finding in &ended.findings {
        let s = if finding.count == 1 { "" } else { "s" };
        let _ = writeln!(text, "{} case{s}: {}", grouped(finding.count), finding.cause);
        let _ = writeln!(text, "  first in case {}, {} packets when small", finding.case, finding.packets);
        if !finding.repeats {
            let _ = writeln!(text, "  it did not differ when asked again: as it was generated");
        }
        for line in finding.scenario.lines() {
            let _ = writeln!(text, "  | {line}");
        }
        text.push('\n');
    }
    let rows: Vec<&str> = ended.normal.rows().map(|row| row.name).collect();
    let _ = writeln!(text, "normalised: {}", rows.join(", "));
    let seconds = ended.took.as_secs_f64().max(1e-9);
    let rate = ended.sum.packets as f64 / seconds;
    let what = if args.depth.is_some() { "sequences" } else { "cases" };
    let _ = writeln!(
        text,
        "{} {what}, {} packets in {seconds:.1} s, {} packets/s",
        grouped(ended.sum.cases),
        grouped(ended.sum.packets),
        grouped(rate as u64)
    );
    if ended.sum.announced > 0 {
        let (announced, related) = (grouped(ended.sum.announced), grouped(ended.sum.related));
        let _ = writeln!(
            text,
            "{announced} packets made the target expect a connection, {related} connections were expected ones"
        );
    }
    if ended.sum.translated > 0 {
        let (translated, rewritten) = (grouped(ended.sum.translated), grouped(ended.sum.rewritten));
        let _ = writeln!(
            text,
            "the target translated {translated} packets, and wrote the payload of {rewritten} anew"
        );
    }
    if let Some((packets, took)) = ended.baseline {
        let base = packets as f64 / took.as_secs_f64().max(1e-9);
        let _ = writeln!(
            text,
            "one process making the same system calls, answers thrown away: {} packets/s; this is {:.0} % of it",
            grouped(base as u64),
            rate / base * 100.0
        );
    }
    match &ended.coverage {
        Some(coverage) if args.coverage => {
            let _ = writeln!(text, "\n{coverage}");
        }
        Some(coverage) => {
            let _ = writeln!(text, "reached: {}", coverage.sums());
        }
        None => {}
    }
    if ended.sum.unsteady > 0 {
        let count = grouped(ended.sum.unsteady);
        let _ = writeln!(text, "differed once, and not when asked again (stalls): {count}");
    }
    if ended.sum.unsettled > 0 {
        let count = grouped(ended.sum.unsettled);
        let _ = writeln!(text, "differed each time in company, and not alone (stalls): {count}");
    }
    if ended.sum.unsupported > 0 {
        let count = grouped(ended.sum.unsupported);
        let _ = writeln!(text, "not compared, with something that the target cannot do: {count}");
    }
    let equal = ended.sum.cases - ended.sum.divergent;
    let _ = writeln!(text, "again: {}", again(args));
    let _ = writeln!(
        text,
        "{} {what} equal, {} different, {} causes",
        grouped(equal),
        grouped(ended.sum.divergent),
        ended.findings.len()
    );
    text
}

fn normalisations() -> String {
    let mut text = String::new();
    for row in NORMALISATIONS {
        let _ = writeln!(text, "{}\n  what: {}\n  why:  {}\n", row.name, row.what, row.reason);
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// The command that repeats this run.
fn again(args: &Args) -> String {
    let mut words = vec!["conntruth diff".to_owned()];
    words.push(format!("--target {}", super::run::shell(&args.target)));
    if args.reference != "reference" {
        words.push(format!("--reference {}", super::run::shell(&args.reference)));
    }
    words.push(format!("--profile {} --seed {}", super::run::shell(&args.profile), args.seed));
    words.extend(args.cases.map(|cases| format!("--cases {cases}")));
    words.extend(args.duration.map(|duration| format!("--duration {}s", duration.as_secs_f64())));
    if !args.protocol.is_empty() {
        let word = |speaks: &Speaks| Speaks::ALL.iter().find(|row| row.1 == *speaks).map_or("", |row| row.0);
        words.push(format!("--protocol {}", args.protocol.iter().map(word).collect::<Vec<_>>().join(",")));
    }
    words.extend(args.rules.then(|| "--rules".to_owned()));
    words.extend(args.depth.map(|depth| format!("--depth {depth}")));
    words.extend(args.shard.map(|shard| format!("--shard {shard}")));
    words.join(" ")
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes the smallest examples as files. One that is there already is left alone.
fn save(folder: &Path, findings: &[Finding], tone: &Tone) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for finding in findings {
        let rule = if finding.cause.rule.is_empty() { "packet" } else { &finding.cause.rule };
        let words = format!("{rule}-{}", finding.cause.field);
        let name: String =
            words.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let path = (1..).map(|number| match number {
            1 => folder.join(format!("{name}.ct")),
            _ => folder.join(format!("{name}-{number}.ct")),
        });
        let Some(path) = path.into_iter().find(|path| !path.exists()) else { continue };
        suite::replace(&path, &finding.scenario).map_err(|error| format!("{}: {error}", path.display()))?;
        tone.note(format!("{}: written", path.display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_say_what_they_want() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5min"), Ok(Duration::from_secs(90)));
        assert!(duration("90").is_err() && duration("s").is_err() && duration("-1s").is_err());
        assert_eq!(shard("2/4"), Ok(Shard { index: 1, of: 4 }));
        assert!(shard("0/4").is_err() && shard("5/4").is_err() && shard("1").is_err());
        assert_eq!(protocol("tcp"), Ok(Speaks::Tcp));
        assert!(protocol("dccp").is_err());
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!([0, 999, 1000, 1_679_616].map(grouped), ["0", "999", "1,000", "1,679,616"]);
    }
}
