//! `conntruth init`: an adapter to begin with.

use std::io::Write;
use std::path::PathBuf;

use super::{Error, Exit, Tone};

const EXAMPLES: &str = "\
Examples:
  conntruth init my-adapter                                  in Python
  conntruth init --language c my-adapter
  conntruth run --target 'exec:python3 my-adapter/adapter.py'

The files run as they stand; comments say where your implementation is called. The protocol is described in
oracle/PROTOCOL.md, and `conntruth serve` shows what a right adapter says.";

/// Write an adapter to begin with: a small program that puts your implementation under test.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder; it is made where there is none.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// In which language.
    #[arg(long, value_name = "LANGUAGE", default_value = "python")]
    language: Language,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Language {
    Python,
    C,
    Go,
    Rust,
}

macro_rules! adapter {
    ($path:literal) => {
        include_str!(concat!("../../adapters/", $path))
    };
}

/// What there is for a language.
struct Skeleton {
    /// Names and texts.
    files: &'static [(&'static str, &'static str)],
    /// What makes it, if it must be made; `{}` is the folder.
    build: Option<&'static str>,
    /// The command of the target.
    command: &'static [&'static str],
}

impl Language {
    fn skeleton(self) -> Skeleton {
        match self {
            Language::Python => Skeleton {
                files: &[("adapter.py", adapter!("python/adapter.py"))],
                build: None,
                command: &["python3 ", "adapter.py"],
            },
            Language::C => Skeleton {
                files: &[("adapter.c", adapter!("c/adapter.c")), ("Makefile", adapter!("c/Makefile"))],
                build: Some("make -C {}"),
                command: &["", "adapter"],
            },
            Language::Go => Skeleton {
                files: &[("main.go", adapter!("go/main.go")), ("go.mod", adapter!("go/go.mod"))],
                build: Some("(cd {} && go build -o adapter .)"),
                command: &["", "adapter"],
            },
            Language::Rust => Skeleton {
                files: &[
                    ("src/main.rs", adapter!("rust/src/main.rs")),
                    ("Cargo.toml", adapter!("rust/Cargo.toml.in")),
                ],
                build: Some("cargo build --release --manifest-path {}/Cargo.toml"),
                command: &["", "target/release/adapter"],
            },
        }
    }
}

pub(super) fn run(args: &Args, _tone: &Tone) -> Result<Exit, Error> {
    let skeleton = args.language.skeleton();
    // All or nothing: somebody's work is never overwritten.
    for (name, _) in skeleton.files {
        let path = args.folder.join(name);
        if path.exists() {
            return Err(format!("{} is there already: name another folder", path.display()).into());
        }
    }
    for (name, text) in skeleton.files {
        let path = args.folder.join(name);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        std::fs::write(&path, text).map_err(failed)?;
    }
    let mut out = anstream::stdout().lock();
    let shown = |path: PathBuf| path.display().to_string();
    for (name, _) in skeleton.files {
        writeln!(out, "{}", shown(args.folder.join(name)))?;
    }
    writeln!(out, "\nNext:")?;
    if let Some(build) = skeleton.build {
        writeln!(out, "  {}", build.replace("{}", &super::run::shell(&shown(args.folder.clone()))))?;
    }
    let [before, program] = skeleton.command else { return Ok(Exit::Fine) };
    // A program is looked up in the system's folders unless its name has a slash.
    let program = shown(std::path::Path::new(".").join(&args.folder).join(program));
    let command = format!("exec:{before}{}", super::run::shell(&program));
    writeln!(out, "  conntruth run --target {}", super::run::shell(&command))?;
    writeln!(out, "\nThen put your implementation where the file says YOURS.")?;
    Ok(Exit::Fine)
}
