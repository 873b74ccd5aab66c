//! Traffic from bytes: any bytes are a story, and a story is a scenario like those that people write.
//!
//! ```text
//! seed and number ─stream─▶ bytes ─choices─▶ Story (the scenario language's own tree) and its packets
//! ```
//!
//! [`Traffic`] is where to begin: a story as the events that a tracker sees, a model to compare with, and ever simpler
//! stories. So a generated case prints as a scenario, runs in the runner, and shrinks by taking parts of it away. The same
//! function serves a seed, a fuzzer and a property test. It is total: bytes that run out mean the simplest choice, and
//! every loop has its end before it begins. What the protocols would do next is known from the honest stacks of
//! `scenario`, where the edges are from an engine that follows the story; neither knows what a target answers.

mod choices;
mod datagram;
mod dialogue;
mod header;
mod icmp;
mod nat;
mod rules;
mod scope;
mod sctp;
mod stream;
mod tcp;
mod tidy;
mod traffic;
mod writer;

use arbitrary::Unstructured;

use crate::language::ast::Story;
use crate::scenario::{Act, Lane, Move};
use crate::target::Arrival;

pub use choices::Choices;
pub use scope::{Allowed, Clock, Feature, Features, Protocols, Scope, Setup, Speaks};
pub use stream::{CASES_IN_A_BATCH, Stream};
pub use tidy::tidy;
pub use traffic::{Disagreement, Event, Traffic};

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
    let (story, moves) = writer::Writer::write(Choices::new(bytes), scope, lane);
    let packets = moves.into_iter().filter_map(|step| match step.act {
        Act::Packet(sent) => Some(sent.arrival),
        _ => None,
    });
    Case { story, arrivals: packets.collect() }
}

/// The story that bytes mean, the scope included: for those who have nothing but bytes.
pub fn story(bytes: &mut Unstructured<'_>) -> Story {
    whole(bytes, &Allowed::everything()).0
}

/// The story that bytes mean within what is allowed, and all that happens in it.
fn whole(bytes: &mut Unstructured<'_>, allowed: &Allowed) -> (Story, Vec<Move>) {
    let mut choices = Choices::new(bytes);
    let setup = Setup::choose(&mut choices, allowed);
    let scope = Scope::choose(&mut choices, allowed, &setup);
    writer::Writer::write(choices, &scope, Lane::FIRST)
}

#[cfg(test)]
mod tests;
