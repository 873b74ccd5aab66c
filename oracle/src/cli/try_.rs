//! `conntruth try`: a scenario on the command line, for asking.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use super::run::Style;
use super::{Error, Exit, Located, Tone};
use crate::language::{self, command_line};
use crate::paint::Paint;
use crate::scenario::{Detail, Plan, Verdict, beside, diagnose, ladder};
use crate::suite::{self, Blessing};
use crate::target::Target;

const EXAMPLES: &str = "\
Examples:
  conntruth try 'tcp client:1 > server:80' '> S' '< S.' '+1h' '> .'
  conntruth try 'udp client:5000 > server:53' '> (40)' '+1s < (200)' '+1.5s > (40)' 'expires 120s'
  conntruth try 'set tcp_loose 0' 'tcp client:1 > server:80' '> .' --save picked-up.ct
  conntruth try 'tcp client:1 > server:80' opened '+1s > R seq next+1' --target linux
  conntruth try 'stack client server' 'server echoes 7' 'client connects server:7 as c' 'run until c open' --trace";

/// Try a few steps and see what the tracker makes of them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Lines of a scenario: a flow, then packets, times, claims.
    #[arg(value_name = "STEP", required = true)]
    steps: Vec<String>,
    /// Write the steps as a scenario, with a claim under each packet.
    #[arg(long, value_name = "FILE.ct")]
    save: Option<PathBuf>,
    /// Draw what happens: hosts as columns, the tracker in the middle.
    #[arg(long, value_name = "STYLE", num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    trace: Option<Style>,
    /// What to ask.
    #[arg(long, value_name = "NAME", default_value = "reference")]
    target: String,
    /// How long a target whose time is real may wait at once.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = super::run::patience)]
    patience: std::time::Duration,
    /// Whose semantics the reference has.
    #[arg(long, value_name = "NAME", default_value = "linux-6.18")]
    profile: String,
}

pub(super) fn run(args: &Args, tone: &Tone) -> Result<Exit, Error> {
    let mut target = match super::run::target(&args.target, &args.profile, args.patience, tone)? {
        Ok(target) => target,
        Err(exit) => return Ok(exit),
    };
    let mut reference = match args.target.as_str() {
        "reference" => None,
        _ => super::run::target("reference", &args.profile, args.patience, tone)?.ok(),
    };
    let text = command_line(&args.steps);
    let located = |messages: language::Messages| Located(messages.render(tone.colors_stderr()));
    let script = Arc::new(language::read("command line", &text).map_err(located)?);
    let plans = Plan::all("try", &script, target.identity().hz).map_err(located)?;
    let plans: Vec<Plan> = plans.into_iter().map(|plan| plan.taken_by(&*target)).collect();
    let paint = Paint::new(tone.colors_stdout());
    let mut out = anstream::stdout().lock();
    let mut exit = Exit::Fine;
    let several = plans.len() > 1;
    for plan in &plans {
        if let Some(Verdict::Unsupported(why) | Verdict::Skipped(why)) = plan.refuses(&target.identity()) {
            tone.warn(why);
            exit = exit.max(Exit::Skipped);
            continue;
        }
        let record = plan.run(&mut *target);
        if several {
            writeln!(out, "{}", plan.id)?;
        }
        match &mut reference {
            // Another implementation is asked what ours would say.
            Some(reference) => {
                let ours = plan.run(&mut **reference);
                let records = [(args.target.as_str(), &record), ("reference", &ours)];
                write!(out, "{}", beside(plan, records, paint))?;
            }
            None if args.trace.is_none() => {
                write!(out, "{}", ladder(plan, &record, Detail::Why, paint))?;
            }
            None => {}
        }
        if let Some(style) = args.trace {
            write!(out, "{}", style.draw(plan, &record, paint))?;
        }
        for entry in target.table()? {
            writeln!(out, "{entry}")?;
        }
        if !record.failures.is_empty() {
            writeln!(out, "\n{}", diagnose(plan, &record, paint).trim_end())?;
            exit = Exit::Failed;
        }
        for (_, why) in &record.unsupported {
            tone.warn(why);
        }
    }
    if let Some(path) = &args.save {
        save(path, &script, &mut *target, tone)?;
    }
    Ok(exit)
}

fn save(
    path: &std::path::Path,
    script: &Arc<language::ast::Script>,
    target: &mut dyn Target,
    tone: &Tone,
) -> Result<(), Error> {
    if path.exists() {
        return Err(format!("{}: is there already", path.display()).into());
    }
    let id = path.with_extension("").display().to_string();
    let blessed = suite::bless(&id, script, target)
        .map_err(|messages| Located(messages.render(tone.colors_stderr())))?;
    let text = match blessed {
        Blessing::Nothing => script.text.clone(),
        Blessing::Text { text, .. } => text,
    };
    suite::replace(path, &text).map_err(|error| format!("{}: {error}", path.display()))?;
    tone.note(format!("{}: written", path.display()));
    Ok(())
}
