//! Tests of the whole that are no scenarios: what is printed, what must be noticed, and what must never change.

mod canary;
mod coverage;
mod determinism;
mod diagnostics;
mod language;
mod mutants;
mod profiles;
mod report;
mod robust;
mod tables;
mod transcripts;
