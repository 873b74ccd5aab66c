//! Fuzz targets of what reads: texts, captures, the adapter protocol on both sides; and stories held against the running
//! kernel. As those of the engine (`engine.rs`): `cargo test --test fuzz`, and `.ci/fuzz scenario` under libFuzzer.
//!
//! It has its own `main`, since the kernel's process is this program once more.

mod harness;
mod kernel;
mod readers;

use std::process::ExitCode;

harness::targets! {
    /// The scenario parser, the formatter, and the runner over what could be read.
    scenario: readers::scenario, 200;
    /// Readers of pcap and pcapng, and the replay of what they give.
    capture: readers::capture, 200;
    /// The adapter protocol, as an adapter's answers.
    adapter: readers::adapter, 100;
    /// The adapter protocol, as requests to one.
    requests: readers::requests, 200;
    /// Stories through the engine and the running kernel, and every answer compared.
    differential: kernel::differential, 20, unless kernel::is_missing;
}

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    if let Some(code) = conntruth::target::linux::serve_if_asked() {
        return code;
    }
    harness::main(TARGETS)
}
