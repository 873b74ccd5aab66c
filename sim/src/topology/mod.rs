//! Who is in a world and how they are wired: plain data, checked as a whole before anything runs.
//!
//! Nodes are hosts, routers, boxes under test and scripts; each has interfaces, each interface a cable to a network.
//! A network is a switch that loses nothing; what goes wrong goes wrong on cables. There is no ARP: who has an address
//! is known.

mod error;
mod site;

use std::net::IpAddr;

use crate::link::LinkSpec;
use crate::packet::Cidr;

pub use error::TopologyError;
pub use site::{Hop, Interface, Route, Site};

/// What a world is built from.
///
/// ```
/// use conntruth_sim::{Seed, Topology, World};
/// let mut topology = Topology::default();
/// topology.network("lan");
/// topology.host("client").interface("eth0", "lan", &["10.0.0.1/24".parse()?]);
/// topology.host("server").interface("eth0", "lan", &["10.0.0.2/24".parse()?]);
/// let world = World::new(topology, Seed(1))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// The networks' names.
    pub networks: Vec<String>,
    /// The nodes.
    pub nodes: Vec<NodeSpec>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSpec {
    /// Its name, unlike any other's.
    pub name: String,
    /// What it does with packets.
    pub role: Role,
    /// Its interfaces, the first one first.
    pub interfaces: Vec<InterfaceSpec>,
    /// Its routes beside those to its own networks.
    pub routes: Vec<RouteSpec>,
}

/// What a node does with packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes those for itself, and answers with a real stack.
    Host,
    /// Forwards the others.
    Router,
    /// Hands all to a box under test, which says what becomes of them; without one it is a router.
    Middlebox,
    /// Takes all, answers none, and sends what it is told.
    Script,
}

/// An interface and its cable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceSpec {
    /// Its name, unlike any other's of its node.
    pub name: String,
    /// The network at the other end of the cable.
    pub network: String,
    /// Its addresses; the first of a family is the sender's address where nothing says otherwise.
    pub addresses: Vec<Cidr>,
    /// The cable.
    pub link: LinkSpec,
}

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// Where to; `0.0.0.0/0` and `::/0` are everywhere.
    pub to: Cidr,
    /// The next router.
    pub via: IpAddr,
}

impl Topology {
    /// Adds a network.
    pub fn network(&mut self, name: &str) -> &mut Topology {
        self.networks.push(name.to_owned());
        self
    }

    /// Adds a host.
    pub fn host(&mut self, name: &str) -> &mut NodeSpec {
        self.node(name, Role::Host)
    }

    /// Adds a router.
    pub fn router(&mut self, name: &str) -> &mut NodeSpec {
        self.node(name, Role::Router)
    }

    /// Adds a node for a box under test.
    pub fn middlebox(&mut self, name: &str) -> &mut NodeSpec {
        self.node(name, Role::Middlebox)
    }

    /// Adds a node that plays packets.
    pub fn script(&mut self, name: &str) -> &mut NodeSpec {
        self.node(name, Role::Script)
    }

    /// Adds a node.
    pub fn node(&mut self, name: &str, role: Role) -> &mut NodeSpec {
        let node = NodeSpec { name: name.to_owned(), role, interfaces: Vec::new(), routes: Vec::new() };
        self.nodes.push(node);
        let last = self.nodes.len() - 1;
        &mut self.nodes[last]
    }

    /// The node of this name.
    pub fn find(&mut self, name: &str) -> Option<&mut NodeSpec> {
        self.nodes.iter_mut().find(|node| node.name == name)
    }
}

impl NodeSpec {
    /// Adds an interface with a cable that is as good as none.
    pub fn interface(&mut self, name: &str, network: &str, addresses: &[Cidr]) -> &mut NodeSpec {
        self.interface_by(name, network, addresses, LinkSpec::default())
    }

    /// Adds an interface with a cable.
    pub fn interface_by(
        &mut self,
        name: &str,
        network: &str,
        addresses: &[Cidr],
        link: LinkSpec,
    ) -> &mut NodeSpec {
        self.interfaces.push(InterfaceSpec {
            name: name.to_owned(),
            network: network.to_owned(),
            addresses: addresses.to_vec(),
            link,
        });
        self
    }

    /// Adds a route.
    pub fn route(&mut self, to: Cidr, via: IpAddr) -> &mut NodeSpec {
        self.routes.push(RouteSpec { to, via });
        self
    }

    /// Adds a route to everywhere, of the router's family.
    pub fn default_route(&mut self, via: IpAddr) -> &mut NodeSpec {
        let everywhere: IpAddr = match via {
            IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        self.route(Cidr { address: everywhere, prefix: 0 }, via)
    }
}
