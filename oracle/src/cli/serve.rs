//! `conntruth serve`: the reference as an adapter, to see what a right one says.

use std::io::{BufReader, Write};

use conntruth_engine::LINUX_6_18;

use super::{Error, Exit, Tone};
use crate::target::exec::{self, Clocked, Null, Style, wire};
use crate::target::{Passing, Reference, Target};

const EXAMPLES: &str = "\
Examples:
  echo '{\"type\":\"hello\",\"protocol\":1,\"conntruth\":\"\",\"profile\":\"linux-6.18\"}' | conntruth serve
                                             what an adapter says of itself
  conntruth run --target 'exec:conntruth serve --takes worlds'
                                             the reference, through the protocol
  conntruth serve --schema > adapter.schema.json
                                             the protocol's JSON Schema

The protocol is described in oracle/PROTOCOL.md.";

/// Speak the adapter protocol on stdin and stdout, as the reference: what a right adapter says.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Whose semantics the reference has.
    #[arg(long, value_name = "NAME", default_value = LINUX_6_18.name)]
    profile: String,
    /// What is in a message: one step, or a whole world.
    #[arg(long, value_name = "WHAT", default_value = "steps")]
    takes: Takes,
    /// How its time passes.
    #[arg(long, value_name = "HOW", default_value = "virtual")]
    time: Time,
    /// Have no rules: Conntruth then says of each packet what a scenario's rules do to it.
    #[arg(long)]
    no_rules: bool,
    /// Do no work: what is left is what the protocol costs.
    #[arg(long)]
    null: bool,
    /// Print the protocol's JSON Schema, and do nothing else.
    #[arg(long)]
    schema: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Takes {
    /// One thing that happens.
    Steps,
    /// A whole scenario.
    Worlds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Time {
    /// As the messages say.
    Virtual,
    /// By itself.
    Real,
    /// By itself, and entries can be made older.
    Age,
    /// Not at all.
    None,
}

impl From<Time> for Passing {
    fn from(time: Time) -> Passing {
        match time {
            Time::Virtual => Passing::Virtual,
            Time::Real => Passing::Real,
            Time::Age => Passing::Age,
            Time::None => Passing::None,
        }
    }
}

pub(super) fn run(args: &Args, _tone: &Tone) -> Result<Exit, Error> {
    let mut out = std::io::stdout().lock();
    if args.schema {
        out.write_all(serde_json::to_string_pretty(&exec::schema())?.as_bytes())?;
        out.write_all(b"\n")?;
        return Ok(Exit::Fine);
    }
    let mut reference = Reference::new(super::run::profile(&args.profile)?);
    let mut null = Null(reference.identity());
    let mut clocked = Clocked::new(reference.clone(), args.time.into());
    let target: &mut dyn Target = match (args.null, args.time) {
        (true, _) => &mut null,
        (false, Time::Virtual) => &mut reference,
        (false, _) => &mut clocked,
    };
    let takes = match args.takes {
        Takes::Steps => wire::Takes::Steps,
        Takes::Worlds => wire::Takes::Worlds,
    };
    let style = Style { takes, rules: !args.no_rules };
    exec::serve(target, style, BufReader::with_capacity(1 << 16, std::io::stdin().lock()), out)?;
    Ok(Exit::Fine)
}
