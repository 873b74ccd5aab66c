//! Worlds as a whole: hosts that talk, cables that fail, and what both sides then believe.

mod apps;
mod base;
mod captures;
mod determinism;
mod faults;
mod paths;
mod robust;
mod scripts;
mod support;
mod tcp;
mod topology;
