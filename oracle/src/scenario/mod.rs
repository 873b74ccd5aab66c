//! Scenarios, from their syntax tree to a result.
//!
//! ```text
//! Script -> Plan (bytes and moments, one world) -> run against a Target -> Record -> failures, transcript, blessing
//! ```
//!
//! `stack` is what honest hosts send; `places` and `talks` who they are; `build` and `cut` make bytes of it; `plan` puts
//! it in order; `run` lets it happen; `claims` judges. `hosts` runs stories in which hosts act.

mod build;
mod claims;
mod cut;
mod diagnose;
mod hosts;
mod id;
mod ladder;
mod places;
mod plan;
mod propose;
mod run;
mod sequence;
mod stack;
mod talks;
mod told;

pub use claims::Mismatch;
pub(crate) use diagnose::line_and_column;
pub use diagnose::{diagnose, in_a_line};
pub use hosts::{Aftermath, Keep};
pub use id::Id;
pub(crate) use ladder::sent_in_words;
pub use ladder::{Detail, beside, ladder, of_packet};
pub use places::Lane;
pub(crate) use plan::{Act, Move, Planner, moves};
pub use plan::{Happening, Happens, Plan, arrivals, config};
pub(crate) use propose::{Edits, apply, claims_of};
pub use propose::{Proposal, proposals};
pub use run::{Failure, Record, Verdict};
pub use sequence::{mermaid, sequence};
pub(crate) use stack::Stack;
pub use told::{Answer, Kind, Told, Wrong, told};
