//! `conntruth kernel`: kernels that run as programs under virtual time, for `--target linux:NAME`.

use std::io::Write;

use super::{Error, Exit, Tone};
use crate::kernels::{self, Order, Source};

const EXAMPLES: &str = "\
Examples:
  conntruth kernel build 6.12                      from Debian's linux-source-6.12, a few minutes
  conntruth kernel build ~/linux --name candidate  from a tree, for example under `git bisect run`
  conntruth kernel list
  conntruth run --target linux:6.12
  conntruth diff --reference linux:6.1 --target linux:6.12";

/// Build kernels that run as programs under virtual time, and list those that are built.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Build a kernel, and keep it.
    Build(Build),
    /// List those that are built.
    List,
}

#[derive(Debug, clap::Args)]
struct Build {
    /// A version that Debian has the source of, such as 6.12, or the path of a source tree.
    #[arg(value_name = "VERSION|PATH")]
    source: String,
    /// What to call it; the version, or the folder's name, where nothing is said.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How many compilers run at once; as many as there are processors where nothing is said.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Where Debian's packages are.
    #[arg(long, value_name = "URL", default_value = "http://deb.debian.org")]
    mirror: String,
}

pub(super) fn run(args: &Args, tone: &Tone) -> Result<Exit, Error> {
    match &args.what {
        What::Build(args) => build(args, tone),
        What::List => list(tone),
    }
}

fn build(args: &Build, tone: &Tone) -> Result<Exit, Error> {
    let (source, name) = Source::parse(&args.source)?;
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let order = Order {
        source,
        name: args.name.clone().unwrap_or(name),
        jobs: args.jobs.unwrap_or_else(processors).max(1),
        mirror: args.mirror.trim_end_matches('/').to_owned(),
    };
    let image = kernels::build(&order, &mut |what| tone.note(what))?;
    writeln!(anstream::stdout(), "{}", image.display())?;
    tone.note(format!("use it with `--target linux:{}`", order.name));
    Ok(Exit::Fine)
}

fn list(tone: &Tone) -> Result<Exit, Error> {
    let kernels = kernels::all();
    if kernels.is_empty() {
        tone.note("none is built: `conntruth kernel build 6.12` makes one");
    }
    let mut out = anstream::stdout().lock();
    for kernel in kernels {
        let version = kernels::version(&kernel.image).unwrap_or_else(|why| why);
        writeln!(out, "linux:{:<10} {:<12} {}", kernel.name, version, kernel.image.display())?;
    }
    Ok(Exit::Fine)
}
