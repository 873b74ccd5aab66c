//! Scenario files: the suite in the binary, or files on disk; run in order, counted, and reported.
//!
//! A scenario's identity is its path below `scenarios`, without the ending: `tcp/reset/out-of-window`.

mod bless;
mod causes;
mod count;
mod find;
mod jsonl;
#[cfg(feature = "cli")]
mod junit;
mod known;
mod ktap;
mod tap;
mod text;

#[cfg(test)]
mod tests;

pub use bless::{Blessing, bless, replace};
#[cfg(feature = "cli")]
pub(crate) use causes::agrees;
pub use causes::{Grounds, causes};
pub use count::{Ended, NO_TIME, Suite, Totals};
pub use find::{File, Origin, Unreadable, embedded, from_paths, texts, version};
pub use jsonl::jsonl;
#[cfg(feature = "cli")]
pub use junit::junit;
pub use known::{KnownFailure, KnownFailures, UNEXPLAINED, difference};
pub use ktap::ktap;
pub use tap::tap;
pub use text::{Look, text};
