//! Whole worlds with our tracker in the middle: every application still does what it is for, and the tracker believes
//! what the hosts do.

#[path = "../../../sim/tests/world/apps.rs"]
mod apps;
#[path = "../../../sim/tests/world/base.rs"]
mod base;
mod believes;
mod support;
