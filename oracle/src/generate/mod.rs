//! Traffic from bytes: any bytes are a story, and a story is a scenario like those that people write.
//!
//! ```text
//! seed and number ─stream─▶ bytes ─choices─▶ Story (the scenario language's own tree) and its packets
//! ```
//!
//! So a generated case prints as a scenario, runs in the runner, and shrinks by taking parts of it away. The same
//! function serves a seed, a fuzzer and a property test. It is total: bytes that run out mean the simplest choice, and
//! every loop has its end before it begins. What the protocols would do next is known from the honest stacks of
//! `scenario`, where the edges are from an engine that follows the story; neither knows what a target answers.

mod choices;
mod datagram;
mod header;
mod icmp;
mod nat;
mod rules;
mod scope;
mod sctp;
mod stream;
mod tcp;
mod tidy;
mod writer;

use arbitrary::Unstructured;

use crate::language::ast::Story;
use crate::scenario::Lane;
use crate::target::Arrival;

pub use choices::Choices;
pub use scope::{Allowed, Clock, Feature, Features, Protocols, Scope, Setup, Speaks};
pub use stream::{CASES_IN_A_BATCH, Stream};
pub use tidy::tidy;

/// A story, and the packets that it sends from the addresses of a lane.
#[derive(Clone, Debug)]
pub struct Case {
    /// The story.
    pub story: Story,
    /// Its packets, as [`crate::scenario::arrivals`] makes them of it.
    pub arrivals: Vec<Arrival>,
}

/// The story that bytes mean within a scope.
pub fn case(bytes: &mut Unstructured<'_>, scope: &Scope, lane: Lane) -> Case {
    writer::Writer::write(Choices::new(bytes), scope, lane)
}

/// The story that bytes mean, the scope included: for those who have nothing but bytes.
pub fn story(bytes: &mut Unstructured<'_>) -> Story {
    let (mut choices, allowed) = (Choices::new(bytes), Allowed::default());
    let setup = Setup::choose(&mut choices, &allowed);
    let scope = Scope::choose(&mut choices, &allowed, &setup);
    case(bytes, &scope, Lane::FIRST).story
}

#[cfg(test)]
mod tests;
