//! A world out of a topology: everything that can be wrong with it is found here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::node::{Kind, Network, Node, Port};
use super::script::Script;
use super::{Limits, NodeId, PortId, World, WorldCount};
use crate::chain::Chain;
use crate::dice::Seed;
use crate::host::{Host, NEVER};
use crate::link::Link;
use crate::middlebox::PassThrough;
use crate::queue::Queue;
use crate::topology::{NodeSpec, Role, Site, Topology, TopologyError};

impl World {
    /// A world at its beginning, everything in it seeded from one number. Middleboxes only forward until they are
    /// [installed](World::install).
    ///
    /// # Errors
    /// When the topology makes no sense.
    pub fn new(topology: Topology, seed: Seed) -> Result<World, TopologyError> {
        let networks = networks(&topology)?;
        check_nodes(&topology)?;
        let mut world = World {
            queue: Queue::default(),
            nodes: Vec::new(),
            ports: Vec::new(),
            networks,
            parcels: Vec::new(),
            free_parcels: Vec::new(),
            chain: Chain::default(),
            limits: Limits::default(),
            watchers: Vec::new(),
            count: WorldCount::default(),
            deliveries: Vec::new(),
            arrivals: Vec::new(),
            exits: Vec::new(),
            starts: Vec::new(),
        };
        for spec in &topology.nodes {
            world.add_node(spec, seed)?;
        }
        world.check_routers(&topology)?;
        Ok(world)
    }

    fn add_node(&mut self, spec: &NodeSpec, seed: Seed) -> Result<(), TopologyError> {
        let id = NodeId(self.nodes.len() as u32);
        let site = Site::new(spec);
        let mut ports = Vec::new();
        for (interface, wired) in spec.interfaces.iter().enumerate() {
            let port = PortId(self.ports.len() as u32);
            ports.push(port);
            let find = |network: &Network| network.name == wired.network;
            let network = self.networks.iter().position(find).ok_or_else(|| {
                TopologyError::UnknownNetwork { node: spec.name.clone(), network: wired.network.clone() }
            })?;
            for own in &wired.addresses {
                self.networks[network].members.insert(own.address, port);
            }
            if spec.role == Role::Script {
                self.networks[network].script.get_or_insert(port);
            }
            let name = format!("{} {}", spec.name, wired.name);
            let bad_link =
                |error| TopologyError::Link { node: spec.name.clone(), interface: wired.name.clone(), error };
            wired.link.check().map_err(bad_link)?;
            let link = Link::new(name, wired.link.clone(), seed).map_err(bad_link)?;
            self.ports.push(Port { node: id, interface, network, link });
        }
        let kind = match spec.role {
            Role::Host => Kind::Host,
            Role::Router => Kind::Router,
            Role::Script => Kind::Script(Script::default()),
            Role::Middlebox => {
                let mut pass = PassThrough::default();
                let _ = crate::middlebox::Middlebox::install(&mut pass, &site);
                Kind::Middlebox(Box::new(pass))
            }
        };
        let dice = seed.dice(&format!("host {}", spec.name));
        let host = Host::new(site, dice, spec.role == Role::Middlebox);
        self.nodes.push(Node { host, kind, ports, alarm: NEVER, bypass: None, ident: 0 });
        Ok(())
    }

    /// Each route's next router must be somebody.
    fn check_routers(&self, topology: &Topology) -> Result<(), TopologyError> {
        for (spec, node) in topology.nodes.iter().zip(&self.nodes) {
            for route in &spec.routes {
                let is_known = node.ports.iter().any(|port| {
                    let port = &self.ports[port.0 as usize];
                    let own = &node.host.site().interfaces[port.interface].addresses;
                    let is_near = own.iter().any(|own| own.contains(route.via));
                    is_near && self.networks[port.network].members.contains_key(&route.via)
                });
                if !is_known {
                    let (node, to, via) = (spec.name.clone(), route.to, route.via);
                    return Err(TopologyError::UnreachableRouter { node, to, via });
                }
            }
        }
        Ok(())
    }
}

fn networks(topology: &Topology) -> Result<Vec<Network>, TopologyError> {
    let mut names = BTreeSet::new();
    let mut networks = Vec::new();
    for name in &topology.networks {
        if !names.insert(name) {
            return Err(TopologyError::DuplicateNetwork { network: name.clone() });
        }
        networks.push(Network { name: name.clone(), members: BTreeMap::new(), script: None });
    }
    Ok(networks)
}

fn check_nodes(topology: &Topology) -> Result<(), TopologyError> {
    let mut names = BTreeSet::new();
    let mut owners: BTreeMap<IpAddr, &str> = BTreeMap::new();
    for node in &topology.nodes {
        if !names.insert(&node.name) {
            return Err(TopologyError::DuplicateNode { node: node.name.clone() });
        }
        if node.interfaces.is_empty() {
            return Err(TopologyError::NoInterface { node: node.name.clone() });
        }
        let mut interfaces = BTreeSet::new();
        for interface in &node.interfaces {
            if !interfaces.insert(&interface.name) {
                let (node, interface) = (node.name.clone(), interface.name.clone());
                return Err(TopologyError::DuplicateInterface { node, interface });
            }
            for &own in &interface.addresses {
                let address = own.address;
                if address.is_multicast() || address.is_unspecified() || address.is_loopback() {
                    return Err(TopologyError::BadAddress { node: node.name.clone(), address: own });
                }
                if let Some(first) = owners.insert(address, &node.name) {
                    let (first, second) = (first.to_owned(), node.name.clone());
                    return Err(TopologyError::DuplicateAddress { address, first, second });
                }
            }
        }
    }
    Ok(())
}
