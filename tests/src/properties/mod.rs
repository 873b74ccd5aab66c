//! What must hold whatever the bytes: one function for each property, which panics where it does not hold. `PROPERTIES`
//! names them all; `tests/properties.rs` tries each by proptest and by bolero, `tests/fuzz` by libFuzzer.
//!
//! ```text
//! bytes ─┬─ Traffic (the decoder of `conntruth diff`): stories, nearly right     ─▶ entries, passing, state
//!        ├─ the same through rules that translate                                ─▶ nat, back
//!        ├─ raw: packets that meet, many of them noise                           ─▶ raw
//!        ├─ words that are nearly right, on a control connection                 ─▶ helpers
//!        └─ texts: a story as a scenario                                         ─▶ language
//! ```

pub mod back;
pub mod entries;
pub mod helpers;
pub mod language;
pub mod nat;
pub mod passing;
pub mod raw;
pub mod state;
pub mod strange;

/// A property.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// Its name, as tests have it.
    pub name: &'static str,
    /// What it says, in a sentence.
    pub says: &'static str,
    /// Panics where it does not hold for these bytes.
    pub check: fn(&[u8]),
    /// So many cases are tried in a usual run of the tests.
    pub cases: u32,
}

macro_rules! properties {
    ($( $(#[doc = $says:literal])+ $name:ident: $check:path, $cases:literal; )*) => {
        /// All of them.
        pub const PROPERTIES: &[Property] = &[ $( Property {
            name: stringify!($name),
            says: concat!($($says),+),
            check: $check,
            cases: $cases,
        } ),* ];
    };
}

properties! {
    /// Any bytes are survived, and neither table nor fragments hold more than they may.
    any_bytes_are_survived: raw::any_bytes_are_survived, 256;
    /// The same packets have the same answers, and leave the same state.
    noise_is_determined: raw::is_determined, 128;
    /// Packets in batches have the answers that they have one by one.
    batches_equal_one_by_one: raw::batches_equal_one_by_one, 128;
    /// The table is never larger than `nf_conntrack_max`.
    the_table_keeps_its_maximum: raw::the_table_keeps_its_maximum, 128;
    /// The same story twice leaves the same answers and the same state.
    stories_are_determined: passing::is_determined, 256;
    /// Stories survive, whatever is in them, and memory is bounded by what they send.
    stories_are_survived: passing::is_survived, 256;
    /// The answer's tuple of the answer's tuple is the tuple.
    inverting_twice_is_nothing: entries::inverting_twice_is_nothing, 256;
    /// A confirmed entry is found by both of its tuples, each in its direction; one that is not confirmed by none.
    entries_are_found_by_both_tuples: entries::found_by_both_tuples, 256;
    /// Without a packet of its own an entry's time left only falls; it is there until the last nanosecond, and gone then.
    timeouts_fall_and_expiry_is_exact: entries::timeouts_fall, 128;
    /// A packet that is INVALID changes nothing that can be seen, but where its rule says so.
    invalid_packets_change_nothing: passing::invalid_changes_nothing, 256;
    /// A deadline changes to a moment that is one of the timeouts away from now, and to no other.
    deadlines_are_timeouts_from_now: passing::deadlines_are_timeouts, 256;
    /// A packet renews its own entry and no other: by the timeout of its protocol and of the state that it has led to.
    refresh_rules: passing::refresh_rules, 256;
    /// An entry appears only with a packet that passes and is attached to it.
    entries_come_of_confirmed_packets: passing::entries_come_of_confirmed_packets, 256;
    /// A packet is counted once, with its bytes, where it is attached and renews, and nowhere else; entries take that along.
    counters_add_up: passing::counters_add_up, 256;
    /// No two connections have one mapping, each is found from both sides, and says what of it is translated.
    nat_mappings_are_injective: nat::mappings_are_injective, 256;
    /// What left translated is answered, and the answer arrives, byte for byte, as one to what was sent; errors quote that.
    nat_mappings_lead_back: back::packets_lead_back, 256;
    /// Expectations end with their masters, and are never more than there may be.
    expectations_never_outlive_their_masters: helpers::expectations_have_masters, 128;
    /// An engine that was saved and restored between two events goes on as the one it was saved from.
    restored_engines_go_on_the_same: state::restored_goes_on, 96;
    /// So does the whole reference: its rules with their counters and limits, and packets that wait.
    kept_references_go_on_the_same: state::kept_goes_on, 96;
    /// Two clones that are given the same events agree.
    clones_agree: state::clones_agree, 128;
    /// No state that can be read, however it was made, leads to a panic: it is refused, or the engine works.
    strange_states_are_refused_or_work: strange::engines, 256;
    /// The same of a state with its rules, and with packets that wait.
    strange_references_are_refused_or_work: strange::references, 256;
    /// What is printed is read back as it was.
    printed_stories_read_back: language::read_back, 128;
    /// What is formatted is not formatted otherwise again.
    formatting_twice_is_formatting_once: language::formatting, 128;
    /// A scenario whose claims were written by blessing passes.
    blessed_scenarios_pass: language::blessed, 64;
}

/// A property by its name.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn property(name: &str) -> &'static Property {
    match PROPERTIES.iter().find(|property| property.name == name) {
        Some(property) => property,
        None => panic!("there is no property `{name}`"),
    }
}
