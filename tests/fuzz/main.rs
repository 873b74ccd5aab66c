//! Fuzz targets. `cargo test --test fuzz` tries every corpus entry, every crash there ever was and a few inputs that follow
//! from a seed; the same functions run under libFuzzer, on the stable toolchain, with coverage: `.ci/fuzz engine`. Corpora lie in
//! `__fuzz__/TARGET/corpus`, regressions in `__fuzz__/TARGET/crashes`.
//!
//! What the targets look for is written where the properties are (`conntruth_tests::properties`); here is what reads: texts,
//! captures, states, the adapter protocol, the kernel. It has its own `main`, since the kernel's process is this program
//! once more.

mod kernel;
mod readers;

use std::path::PathBuf;
use std::process::ExitCode;

use conntruth_tests::properties::{back, entries, helpers, language, nat, passing, raw, state};
use conntruth_tests::seeded::Seeded;
use libtest_mimic::{Arguments, Failed, Trial};

/// A target of a fuzzer.
struct Target {
    name: &'static str,
    run: fn(),
}

macro_rules! targets {
    ($( $(#[doc = $about:literal])+ $name:ident: $check:expr, $iterations:literal; )*) => {
        /// All of them.
        const TARGETS: &[Target] = &[ $( Target {
            name: stringify!($name),
            run: || {
                if cfg!(fuzzing_libfuzzer) {
                    bolero::check!(name = stringify!($name)).for_each(|bytes: &[u8]| $check(bytes));
                } else {
                    beside(stringify!($name), $iterations).check(|bytes: &[u8]| $check(bytes));
                }
            },
        } ),* ];
    };
}

targets! {
    /// Whole stories through the engine, with the invariants that are cheap: what a packet may do.
    engine: passing::is_survived, 200;
    /// The same with the dear ones: entries, deadlines, counters, clones.
    stories: stories, 50;
    /// The packet parser: any bytes as one packet, at every hook, and any value of what goes into an engine.
    packet: readers::packet, 500;
    /// The defragmenter: fragments that meet.
    defragmenter: readers::fragments, 200;
    /// Packets that are nearly right in a table that runs full, one by one and in batches.
    raw_packets: raw_packets, 100;
    /// The scenario parser, the formatter, and the runner over what could be read.
    scenario: readers::scenario, 200;
    /// Rules in nftables' words.
    rules: readers::rules, 300;
    /// Readers of pcap and pcapng, and the replay of what they give.
    capture: readers::capture, 200;
    /// The adapter protocol, as an adapter's answers.
    adapter: readers::adapter, 100;
    /// The adapter protocol, as requests to one.
    requests: readers::requests, 200;
    /// States that nobody has saved.
    states: state::strange_states, 100;
    /// Stories through translation: mappings, and the packets that are rewritten on their way.
    nat: translation, 100;
    /// What FTP's helper reads.
    ftp: helpers::ftp, 100;
    /// What IRC's helper reads.
    irc: helpers::irc, 100;
    /// What TFTP's helper reads.
    tftp: helpers::tftp, 100;
    /// Stories through the engine and the running kernel, and every answer compared.
    differential: kernel::differential, 20;
}

/// The inputs of a target in a plain `cargo test`.
fn beside(name: &str, cases: u64) -> Seeded {
    let here =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or(env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    Seeded { folder: Some(here.join("fuzz/__fuzz__").join(name)), cases, most: 4096 }
}

fn stories(bytes: &[u8]) {
    entries::found_by_both_tuples(bytes);
    entries::timeouts_fall(bytes);
    passing::invalid_changes_nothing(bytes);
    passing::deadlines_are_timeouts(bytes);
    passing::refresh_rules(bytes);
    passing::entries_come_of_confirmed_packets(bytes);
    passing::counters_add_up(bytes);
    state::clones_agree(bytes);
    state::kept_goes_on(bytes);
    language::read_back(bytes);
    language::blessed(bytes);
    language::formatting(bytes);
}

fn translation(bytes: &[u8]) {
    nat::mappings_are_injective(bytes);
    back::packets_lead_back(bytes);
}

fn raw_packets(bytes: &[u8]) {
    raw::any_bytes_are_survived(bytes);
    raw::batches_equal_one_by_one(bytes);
    state::restored_goes_on(bytes);
}

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    if let Some(code) = conntruth::target::linux::serve_if_asked() {
        return code;
    }
    if cfg!(fuzzing_libfuzzer) {
        return under_libfuzzer();
    }
    let trials = TARGETS.iter().map(|target| {
        Trial::test(target.name, || run(target).map_err(Failed::from))
            .with_ignored_flag(target.name == "differential" && kernel::is_missing())
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
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
fn under_libfuzzer() -> ExitCode {
    let chosen = std::env::var(CHOSEN).unwrap_or_default();
    let Some(target) = TARGETS.iter().find(|target| target.name == chosen) else {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
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
