//! The worlds that tests are about: a client and a server, on one network or with a box between them.

use std::net::{IpAddr, SocketAddr};

use conntruth_sim::Topology;
use conntruth_sim::link::LinkSpec;
use conntruth_sim::packet::Cidr;
use conntruth_sim::time::MILLISECOND;

/// An address with its prefix.
pub fn cidr(text: &str) -> Cidr {
    text.parse().expect("an address with a prefix length")
}

/// An address.
pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The client's address of a family.
pub fn client(is_v6: bool) -> IpAddr {
    ip(if is_v6 { "fd00::1" } else { "10.0.0.1" })
}

/// The server's address of a family, with a port.
pub fn server(is_v6: bool, port: u16) -> SocketAddr {
    SocketAddr::new(ip(if is_v6 { "fd00:1::1" } else { "10.0.1.1" }), port)
}

/// A cable of a millisecond.
pub fn millisecond() -> LinkSpec {
    LinkSpec { latency: MILLISECOND, ..LinkSpec::default() }
}

/// A box between them.
pub fn line(client: LinkSpec, server: LinkSpec) -> Topology {
    let mut topology = Topology::default();
    topology.network("inside").network("outside");
    topology
        .host("client")
        .interface_by("eth0", "inside", &[cidr("10.0.0.1/24"), cidr("fd00::1/64")], client)
        .default_route(ip("10.0.0.254"))
        .default_route(ip("fd00::fe"));
    topology
        .middlebox("box")
        .interface("inside", "inside", &[cidr("10.0.0.254/24"), cidr("fd00::fe/64")])
        .interface("outside", "outside", &[cidr("10.0.1.254/24"), cidr("fd00:1::fe/64")]);
    topology
        .host("server")
        .interface_by("eth0", "outside", &[cidr("10.0.1.1/24"), cidr("fd00:1::1/64")], server)
        .default_route(ip("10.0.1.254"))
        .default_route(ip("fd00:1::fe"));
    topology
}
