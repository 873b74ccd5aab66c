//! The worlds that each application is tried in: without a box, and with one that only forwards.

use conntruth_sim::link::LinkSpec;
use conntruth_sim::{Seed, World};

use crate::base::{lan, line, millisecond};

/// The worlds, by name.
pub fn worlds() -> Vec<(&'static str, World)> {
    worlds_by(millisecond(), millisecond())
}

/// The worlds with these cables.
pub fn worlds_by(client: LinkSpec, server: LinkSpec) -> Vec<(&'static str, World)> {
    let build = |topology| World::new(topology, Seed(7)).expect("it makes sense");
    vec![
        ("no box", build(lan(client.clone(), server.clone()))),
        ("a box that forwards", build(line(client, server))),
    ]
}
