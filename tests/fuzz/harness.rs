//! What both programs of fuzz targets have in common: their targets' inputs in a plain `cargo test`, and how libFuzzer is
//! told what to do.

use std::path::PathBuf;
use std::process::ExitCode;

use conntruth_tests::seeded::Seeded;
use libtest_mimic::{Arguments, Failed, Trial};

#[cfg(fuzzing_mimalloc)]
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A target of a fuzzer.
pub struct Target {
    pub name: &'static str,
    pub run: fn(),
    /// Whether what it needs is not here, and that is no error.
    pub is_missing: fn() -> bool,
}

/// Targets: a name, what is checked of any bytes, how many inputs that follow from a seed a plain test tries, and what says
/// that it cannot be tried here.
macro_rules! targets {
    ($( $(#[doc = $about:literal])+ $name:ident: $check:expr, $iterations:literal $(, unless $missing:expr)?; )*) => {
        /// All of them.
        const TARGETS: &[$crate::harness::Target] = &[ $( $crate::harness::Target {
            name: stringify!($name),
            run: || {
                if cfg!(fuzzing_libfuzzer) {
                    bolero::check!(name = stringify!($name)).for_each(|bytes: &[u8]| $check(bytes));
                } else {
                    $crate::harness::beside(stringify!($name), $iterations).check(|bytes: &[u8]| $check(bytes));
                }
            },
            is_missing: || { false $(|| $missing())? },
        } ),* ];
    };
}
pub(crate) use targets;

/// The inputs of a target in a plain `cargo test`.
pub fn beside(name: &str, cases: u64) -> Seeded {
    let here =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or(env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    Seeded { folder: Some(here.join("fuzz/__fuzz__").join(name)), cases, most: 4096 }
}

/// Corpora are tried by every test: there is one of each target, and none is large.
fn corpora_are_there_and_small(targets: &[Target]) -> Result<(), Failed> {
    for target in targets {
        let inputs = beside(target.name, 0).kept();
        let bytes: usize = inputs.iter().map(|(_, bytes)| bytes.len()).sum();
        if inputs.len() < 5 || inputs.len() > 300 || bytes > 64 << 10 {
            return Err(format!("{}: {} inputs of {bytes} bytes", target.name, inputs.len()).into());
        }
    }
    Ok(())
}

/// What a program of targets does.
pub fn main(targets: &'static [Target]) -> ExitCode {
    if cfg!(fuzzing_libfuzzer) {
        return under_libfuzzer(targets);
    }
    let trials = targets.iter().map(|target| {
        Trial::test(target.name, || run(target).map_err(Failed::from))
            .with_ignored_flag((target.is_missing)())
    });
    let small = Trial::test("corpora_are_there_and_small", || corpora_are_there_and_small(targets));
    libtest_mimic::run(&Arguments::from_args(), trials.chain([small]).collect()).exit_code()
}

/// Runs a target in a thread of its own: what it panics with is told there.
fn run(target: &Target) -> Result<(), String> {
    let thread = std::thread::Builder::new().name(target.name.to_owned()).spawn(target.run);
    let ended = thread.map_err(|error| error.to_string())?.join();
    ended.map_err(|_| {
        format!("{}: see above; an input that fails is kept in its folder `crashes`", target.name)
    })
}

/// The variable that names the target.
const CHOSEN: &str = "CONNTRUTH_FUZZ";
/// Where bolero takes libFuzzer's arguments from.
const ARGUMENTS: &str = "BOLERO_LIBFUZZER_ARGS";

/// The target that `CONNTRUTH_FUZZ` names, with the arguments of this process as libFuzzer's: so it is what ClusterFuzz, OSS-Fuzz
/// and libFuzzer itself, which starts itself again to merge, take for a fuzzer.
#[allow(clippy::print_stderr)]
fn under_libfuzzer(targets: &[Target]) -> ExitCode {
    let chosen = std::env::var(CHOSEN).unwrap_or_default();
    let Some(target) = targets.iter().find(|target| target.name == chosen) else {
        let names: Vec<&str> = targets.iter().map(|target| target.name).collect();
        eprintln!("{CHOSEN} is to be one of {}", names.join(", "));
        return ExitCode::from(2);
    };
    // What libFuzzer starts itself, to merge, has no arguments but those that bolero reads.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = std::env::var(ARGUMENTS);
    let wanted = if arguments.is_empty() { "-print_final_stats=1".to_owned() } else { arguments.join(" ") };
    if given.is_err() || (!arguments.is_empty() && given.as_ref() != Ok(&wanted)) {
        return again(&arguments, &wanted);
    }
    match run(target) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// This process once more, with the variable that bolero reads.
#[cfg(unix)]
#[allow(clippy::print_stderr)]
fn again(arguments: &[String], wanted: &str) -> ExitCode {
    use std::os::unix::process::CommandExt;
    let program = std::env::current_exe().unwrap_or_else(|_| "fuzz".into());
    let mut command = std::process::Command::new(program);
    command.args(arguments).env(ARGUMENTS, wanted).env_remove("__BOLERO_LIBFUZZER_RECURSE");
    eprintln!("{}", command.exec());
    ExitCode::FAILURE
}

#[cfg(not(unix))]
fn again(_: &[String], _: &str) -> ExitCode {
    ExitCode::FAILURE
}
