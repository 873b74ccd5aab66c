//! A capture becomes a scenario: its flows by name, its packets in the language's words, and under each of them what the
//! reference makes of it.
//!
//! A packet is written in words only if what the words mean is what was captured: every candidate is built, and compared
//! with the captured header, field by field. What the language cannot say, or cannot say exactly, stands there as raw
//! bytes. Payloads are not kept: a tracker does not read them, and they are nobody's business.

mod header;
mod write;

pub use write::{Imported, Trouble, import};

#[cfg(test)]
mod tests;
