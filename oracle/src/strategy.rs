//! Strategies of proptest over generated traffic (feature `proptest`). What fails is made simple as a story, not as
//! bytes: without a step, a setting, a field, with the honest value in the place of another, so that the case that
//! proptest prints is a scenario that a person would have written.
//!
//! Somebody else's tracker against ours, in fifteen lines:
//!
//! ```
//! use conntruth::generate::{Allowed, Clock, Feature, Features, Protocols, Speaks};
//! use conntruth::strategy::traffic;
//! use proptest::prelude::*;
//!
//! # use std::collections::BTreeMap;
//! # use conntruth::engine::{Class, CtInfo};
//! # /// Knows flows by their ends, and whether they were answered.
//! # #[derive(Default)]
//! # struct MyTracker(BTreeMap<Vec<u8>, bool>);
//! # impl MyTracker {
//! #     fn class(&mut self, packet: &[u8]) -> Class {
//! #         let end = |at: usize, port: usize| [&packet[at..at + 4], &packet[port..port + 2]].concat();
//! #         let (from, to) = (end(12, 20), end(16, 22));
//! #         if let Some(answered) = self.0.get_mut(&[&to[..], &from].concat()) {
//! #             *answered = true;
//! #             return Class::Tracked(CtInfo::EstablishedReply);
//! #         }
//! #         let answered = *self.0.entry([&from[..], &to].concat()).or_default();
//! #         Class::Tracked(if answered { CtInfo::Established } else { CtInfo::New })
//! #     }
//! # }
//! fn udp() -> Allowed {
//!     let features = Features::NONE.with(Feature::Several).with(Feature::Again);
//!     Allowed { features, clock: Clock::Still, ..Allowed::packets_alone(Protocols::NONE.with(Speaks::Udp)) }
//! }
//!
//! proptest! {
//! #   #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
//!     # /*
//!     #[test]
//!     # */
//!     fn my_tracker_agrees(traffic in traffic(udp())) {
//!         let mut mine = MyTracker::default();
//!         traffic.against(|packet| Some(mine.class(&packet.bytes)))?;
//!     }
//! }
//! # my_tracker_agrees();
//! ```
//!
//! Should it not agree, proptest prints the smallest story that it found: the packet, both answers, and the scenario with
//! what Linux says of each packet, ready for `conntruth run` and for an issue:
//!
//! ```text
//! packet 3: the reference says Tracked(Established), the tracker Tracked(New)
//!
//! flow udp client:40000 > server:80
//!
//!         >
//!         = new 30s [UNREPLIED]
//!         <
//!         = established reply 30s []
//!         >
//!         = established 30s []
//! ```

use std::collections::VecDeque;

use proptest::prelude::Rng;
use proptest::strategy::{NewTree, Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::generate::{Allowed, Traffic};

/// Traffic within what is allowed.
pub fn traffic(allowed: Allowed) -> TrafficStrategy {
    TrafficStrategy { allowed, most: 2048 }
}

/// See [`traffic`].
#[derive(Clone, Debug)]
pub struct TrafficStrategy {
    allowed: Allowed,
    most: usize,
}

impl TrafficStrategy {
    /// Stories of at most so many bytes; 2048 where nothing is said, which is more than any needs. Fewer bytes are shorter
    /// and more honest stories.
    #[must_use]
    pub fn bytes(self, most: usize) -> TrafficStrategy {
        TrafficStrategy { most, ..self }
    }
}

impl Strategy for TrafficStrategy {
    type Tree = TrafficTree;
    type Value = Traffic;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<TrafficStrategy> {
        let rng = runner.rng();
        let mut bytes = vec![0; rng.next_u32() as usize % (self.most + 1)];
        rng.fill_bytes(&mut bytes);
        let current = Traffic::within(&bytes, &self.allowed);
        Ok(TrafficTree { current, fails: None, candidates: VecDeque::new() })
    }
}

/// A story, and the ever simpler ones that proptest tries.
#[derive(Clone, Debug)]
pub struct TrafficTree {
    current: Traffic,
    /// What `current` was made of, and is known to fail; none where `current` itself is.
    fails: Option<Traffic>,
    /// What else is simpler than that.
    candidates: VecDeque<Traffic>,
}

impl ValueTree for TrafficTree {
    type Value = Traffic;

    fn current(&self) -> Traffic {
        self.current.clone()
    }

    fn simplify(&mut self) -> bool {
        // It was not taken back: it fails too, and goes on from there.
        self.candidates = self.current.simpler().collect();
        let Some(next) = self.candidates.pop_front() else { return false };
        self.fails = Some(std::mem::replace(&mut self.current, next));
        true
    }

    fn complicate(&mut self) -> bool {
        if let Some(next) = self.candidates.pop_front() {
            self.current = next;
            return true;
        }
        if let Some(fails) = self.fails.take() {
            self.current = fails;
        }
        false
    }
}
