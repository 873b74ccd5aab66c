//! The worlds that each application is tried in: with our tracker in the box.

use conntruth::middlebox::Tracked;
use conntruth_engine::LINUX_6_18;
use conntruth_sim::link::LinkSpec;
use conntruth_sim::{Seed, World};

use crate::base::{line, millisecond};

/// The worlds, by name.
pub fn worlds() -> Vec<(&'static str, World)> {
    vec![("our tracker", world())]
}

/// The world with our tracker.
pub fn world() -> World {
    world_by(millisecond(), millisecond())
}

/// The world with our tracker, and these cables.
pub fn world_by(client: LinkSpec, server: LinkSpec) -> World {
    let mut world = World::new(line(client, server), Seed(7)).expect("it makes sense");
    world.install("box", Box::new(Tracked::new(&LINUX_6_18))).expect("it is a middlebox");
    world
}
