//! Whether what is planned can work at all: routes there and back, and somebody who listens.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::node::Kind;
use super::{AppId, NodeId, World};
use crate::packet::protocol;
use crate::topology::TopologyError;

impl World {
    /// Who gets a packet that a node sends to an address, by the routes alone.
    ///
    /// # Errors
    /// When nobody does: the way ends, or leads in a circle.
    pub fn trace(&self, from: NodeId, to: IpAddr) -> Result<NodeId, TopologyError> {
        let name = |id: NodeId| self.nodes[id.0 as usize].name().to_owned();
        let mut been = BTreeSet::new();
        let mut at = from;
        loop {
            let node = &self.nodes[at.0 as usize];
            if node.host.site().owns(to) {
                return Ok(at);
            }
            if !been.insert(at) {
                return Err(TopologyError::RoutingLoop { from: name(from), at: name(at), to });
            }
            let forwards = at == from || matches!(node.kind, Kind::Router | Kind::Middlebox(_));
            let hop = node.host.site().route(to).filter(|_| forwards);
            let next = hop.and_then(|hop| {
                let port = &self.ports[node.ports[hop.interface].0 as usize];
                let network = &self.networks[port.network];
                network.members.get(&hop.next).or(network.script.as_ref())
            });
            let Some(next) = next else {
                return Err(TopologyError::NoRoute { from: name(from), at: name(at), to });
            };
            at = self.ports[next.0 as usize].node;
            if matches!(self.nodes[at.0 as usize].kind, Kind::Script(_)) {
                return Ok(at);
            }
        }
    }

    /// Whether an application can do what it is for: there are routes to its peers and back, and they listen.
    ///
    /// # Errors
    /// When not, with what is missing.
    pub fn check(&self, id: AppId) -> Result<(), TopologyError> {
        let Some(app) = self.nodes[id.node.0 as usize].host.app(id.number) else { return Ok(()) };
        for peer in app.peers() {
            let other = self.trace(id.node, peer.to.ip())?;
            let own = self.nodes[id.node.0 as usize].host.site().source(peer.to.ip());
            if let Some(own) = own {
                self.trace(other, own)?;
            }
            let other = &self.nodes[other.0 as usize];
            let has_ports = matches!(peer.protocol, protocol::TCP | protocol::UDP);
            let listens = matches!(other.kind, Kind::Script(_)) || other.host.listens(peer.protocol, peer.to);
            if has_ports && peer.to.port() != 0 && !listens {
                let from = self.nodes[id.node.0 as usize].name().to_owned();
                return Err(TopologyError::NoListener { from, host: other.name().to_owned(), to: peer.to });
            }
        }
        Ok(())
    }
}
