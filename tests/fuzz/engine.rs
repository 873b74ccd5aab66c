//! Fuzz targets of the engine. `cargo test --test fuzz_engine` tries every corpus entry, every crash there ever was and a
//! few inputs that follow from a seed; the same functions run under libFuzzer, on the stable toolchain, with coverage:
//! `.ci/fuzz engine`. Corpora lie in `__fuzz__/TARGET/corpus`, regressions in `__fuzz__/TARGET/crashes`.
//!
//! What the targets look for is written where the properties are (`conntruth_tests::properties`). They are a program of their
//! own, since a fuzzer looks after every input at each counter that a program has: what reads scenarios, captures and
//! messages, and what asks a kernel, is in `main.rs`.

mod harness;
mod packets;

use std::process::ExitCode;

use conntruth_tests::properties::{back, entries, helpers, language, nat, passing, raw, state, strange};

harness::targets! {
    /// Whole stories through the engine, with the invariants that are cheap: what a packet may do.
    engine: passing::is_survived, 200;
    /// The same with the dear ones: entries, deadlines, counters, clones.
    stories: stories, 50;
    /// The packet parser: any bytes as one packet, at every hook, and any value of what goes into an engine.
    packet: packets::any, 500;
    /// The defragmenter: fragments that meet.
    defragmenter: packets::fragments, 200;
    /// Packets that are nearly right in a table that runs full, one by one and in batches.
    raw_packets: raw_packets, 100;
    /// Rules in nftables' words.
    rules: packets::rules, 300;
    /// States that nobody has saved.
    states: strange, 100;
    /// Stories through translation: mappings, and the packets that are rewritten on their way.
    nat: translation, 100;
    /// What FTP's helper reads.
    ftp: helpers::ftp, 100;
    /// What IRC's helper reads.
    irc: helpers::irc, 100;
    /// What TFTP's helper reads.
    tftp: helpers::tftp, 100;
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

fn strange(bytes: &[u8]) {
    strange::engines(bytes);
    strange::references(bytes);
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
    harness::main(TARGETS)
}
