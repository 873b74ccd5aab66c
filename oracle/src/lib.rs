//! What stands around the reference tracker: captures and scenarios go in, verdicts with their reasons come out.
//!
//! The binary `conntruth` is a thin shell over [`cli`]; everything it does can be done with this library.
//!
//! A scenario: [`language`] (text to tree) -> [`scenario`] (tree to packets, run, claims), against a [`target`]; many of
//! them: [`suite`], what they reach: [`coverage`], how good they are: [`mutants`], and for those who look at a run later:
//! [`report`]. Made from a seed: [`generate`], and held against another target: [`diff`]. A capture: [`replay`],
//! [`explain`]. To others: [`export`], and from them: [`import`]. [`packet`] writes the bytes that scenarios send.
//!
//! For other crates: `strategy` (proptest) and `harness` (a test for each scenario), each behind a feature of its name; the
//! program, and what only it needs, is behind `cli`, which is on unless `default-features = false`.
#![deny(unsafe_code)]

mod glance;
mod paint;

#[cfg(feature = "cli")]
pub mod kernels;
pub mod middlebox;
pub mod packet;
pub mod target;

pub mod language;
pub mod scenario;
pub mod suite;

pub mod coverage;
pub mod mutants;
#[cfg(feature = "cli")]
pub mod report;

#[cfg(feature = "harness")]
pub mod harness;

pub mod diff;
pub mod generate;
#[cfg(feature = "proptest")]
pub mod strategy;

pub mod explain;
#[cfg(feature = "cli")]
pub mod export;
#[cfg(feature = "cli")]
pub mod import;
pub mod replay;

#[cfg(feature = "cli")]
pub mod cli;

pub use conntruth_engine as engine;
pub use paint::{Paint, Role};
