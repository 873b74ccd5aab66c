//! What a node knows of its surroundings: its interfaces, its addresses, its routes.
//!
//! A box under test is handed its site, so that it can be set up alike whatever it is.

use std::net::IpAddr;

use super::NodeSpec;
use crate::packet::Cidr;

/// A node's interfaces and routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The node's name.
    pub name: String,
    /// Its interfaces; everywhere else they go by their place here.
    pub interfaces: Vec<Interface>,
    /// Its routes, those to its own networks included; of two that fit, the first counts.
    pub routes: Vec<Route>,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The network's name.
    pub network: String,
    /// Its addresses.
    pub addresses: Vec<Cidr>,
    /// The largest packet it sends, in bytes.
    pub mtu: usize,
}

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub to: Cidr,
    /// The next router; none where the network is the node's own.
    pub via: Option<IpAddr>,
    /// The interface by which a packet leaves.
    pub interface: usize,
}

/// Where a packet goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The interface by which it leaves.
    pub interface: usize,
    /// The address of the next node.
    pub next: IpAddr,
}

impl Site {
    /// A node's site: routes whose router is on none of its networks are left out.
    pub(crate) fn new(spec: &NodeSpec) -> Site {
        let interfaces: Vec<Interface> = spec
            .interfaces
            .iter()
            .map(|interface| Interface {
                name: interface.name.clone(),
                network: interface.network.clone(),
                addresses: interface.addresses.clone(),
                mtu: interface.link.mtu,
            })
            .collect();
        let own = interfaces.iter().enumerate().flat_map(|(interface, spec)| {
            spec.addresses.iter().map(move |&to| Route { to, via: None, interface })
        });
        let own: Vec<Route> = own.collect();
        let others = spec.routes.iter().filter_map(|route| {
            let interface = own.iter().find(|own| own.to.contains(route.via))?.interface;
            Some(Route { to: route.to, via: Some(route.via), interface })
        });
        let mut routes: Vec<Route> = own.iter().copied().chain(others).collect();
        routes.sort_by_key(|route| std::cmp::Reverse(route.to.prefix));
        Site { name: spec.name.clone(), interfaces, routes }
    }

    /// Whether an address is the node's own; the loopback addresses are.
    pub fn owns(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.addresses().any(|(_, own)| own.address == address)
    }

    /// Where a packet to this address goes next.
    pub fn route(&self, to: IpAddr) -> Option<Hop> {
        self.routes.iter().find(|route| route.to.contains(to)).map(|route| hop(route, to))
    }

    /// Where a packet to this address goes next when it leaves by this interface: by the best route there, or straight
    /// to its destination.
    pub fn route_by(&self, interface: usize, to: IpAddr) -> Hop {
        let fits = |route: &&Route| route.interface == interface && route.to.contains(to);
        self.routes.iter().find(fits).map_or(Hop { interface, next: to }, |route| hop(route, to))
    }

    /// The node's address for talking to `to`: one of the interface by which it gets there.
    pub fn source(&self, to: IpAddr) -> Option<IpAddr> {
        if self.owns(to) {
            return Some(to);
        }
        let hop = self.route(to)?;
        self.address_of(hop.interface, hop.next)
    }

    /// The address that an interface shows to a neighbour: in the neighbour's network, or else any of the family.
    pub fn address_of(&self, interface: usize, neighbour: IpAddr) -> Option<IpAddr> {
        let addresses = &self.interfaces.get(interface)?.addresses;
        let near = addresses.iter().find(|own| own.contains(neighbour));
        near.or_else(|| addresses.iter().find(|own| own.address.is_ipv4() == neighbour.is_ipv4()))
            .map(|own| own.address)
    }

    /// The interface of this name.
    pub fn interface(&self, name: &str) -> Option<usize> {
        self.interfaces.iter().position(|interface| interface.name == name)
    }

    /// All addresses, with their interfaces.
    pub fn addresses(&self) -> impl Iterator<Item = (usize, Cidr)> + '_ {
        self.interfaces
            .iter()
            .enumerate()
            .flat_map(|(at, interface)| interface.addresses.iter().map(move |&own| (at, own)))
    }
}

fn hop(route: &Route, to: IpAddr) -> Hop {
    Hop { interface: route.interface, next: route.via.unwrap_or(to) }
}
