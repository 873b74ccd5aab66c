//! Reports: a run as data in a folder, and the folder as pages that anyone can open.
//!
//! ```text
//! Suite -> Run (data/NAME.json) ─┐
//!          Run of another day ───┴─▶ matrix (index.html) ─▶ a page for each scenario
//! ```
//!
//! A folder holds any number of runs, one for each implementation; a new run of the same one takes the place of the old.
//! The pages are written from the data alone, so they can be made again without running anything. They load nothing from
//! anywhere, and every word of a target is text there and nothing else. Beside them: a summary for CI and a badge.

mod data;
mod folder;
mod html;
mod markdown;
mod matrix;
mod page;

pub use data::{Fingerprint, Run, Scenario, World};
pub use folder::{Trouble, Written, write};
pub use markdown::{badge, markdown};

#[cfg(test)]
mod tests;
