//! Tests of the whole that are no scenarios: what is printed, what must be noticed, and what must never change.

mod canary;
mod coverage;
mod determinism;
mod diagnostics;
mod language;
mod profiles;
mod robust;
mod tables;
mod transcripts;
