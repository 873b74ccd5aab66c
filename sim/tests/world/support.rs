//! The worlds that each application is tried in: without a box, and with one that only forwards.

use conntruth_sim::link::LinkSpec;
use conntruth_sim::{Seed, Topology, World};

use crate::base::{cidr, line, millisecond};

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

/// Both hosts on one network.
pub fn lan(client: LinkSpec, server: LinkSpec) -> Topology {
    let mut topology = Topology::default();
    topology.network("lan");
    let addresses = [cidr("10.0.0.1/16"), cidr("fd00::1/16")];
    topology.host("client").interface_by("eth0", "lan", &addresses, client);
    let addresses = [cidr("10.0.1.1/16"), cidr("fd00:1::1/16")];
    topology.host("server").interface_by("eth0", "lan", &addresses, server);
    topology
}
