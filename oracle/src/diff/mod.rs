//! Two targets, the same packets, every answer compared: at random by seed, or every sequence over an alphabet.
//!
//! ```text
//!            ┌──────────▶ reference ──────────┐
//! Source ─batch─┤                                ├─ compare ─▶ causes ─▶ shrink ─▶ a scenario for each
//!            └─ Judge (its own thread) ───────┘
//! ```
//!
//! A batch is many small worlds that share settings. While the target is at one, the next is made and the reference has
//! its answers ready. What cannot be compared has a name and a reason ([`NORMALISATIONS`]). A world that differs is
//! counted under its cause, and the first of each cause is made small.

mod cause;
mod compare;
mod depth;
mod example;
mod judge;
mod normal;
mod run;
mod shrink;
mod simpler;
mod source;
mod tally;

pub use cause::{Cause, Finding};
pub use compare::{Difference, Field, Mismatch, compare};
pub use depth::{ALPHABETS, Alphabet};
pub use normal::{NORMALISATIONS, Norm, Normal, Normalisation};
pub use run::{Ended, Options, Shard, run};
pub(crate) use shrink::simpler_stories;
pub use tally::Progress;

#[cfg(test)]
mod tests;
