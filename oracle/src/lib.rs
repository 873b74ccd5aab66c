//! What stands around the reference tracker: captures and scenarios go in, verdicts with their reasons come out.
//!
//! The binary `conntruth` is a thin shell over [`cli`]; everything it does can be done with this library.
#![forbid(unsafe_code)]

pub mod cli;
pub mod explain;
mod files;

pub mod language;
pub mod replay;
