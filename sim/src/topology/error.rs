//! What can be wrong with a topology: each kind with the names that a person must look for.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::link::FaultError;
use crate::packet::Cidr;

/// Why a world cannot be built, or an application in it cannot do what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopologyError {
    /// Two networks have one name.
    DuplicateNetwork {
        /// The name.
        network: String,
    },
    /// Two nodes have one name.
    DuplicateNode {
        /// The name.
        node: String,
    },
    /// Two interfaces of a node have one name.
    DuplicateInterface {
        /// The node.
        node: String,
        /// The interface.
        interface: String,
    },
    /// Two interfaces have one address.
    DuplicateAddress {
        /// The address.
        address: IpAddr,
        /// Who has it first.
        first: String,
        /// Who has it too.
        second: String,
    },
    /// There is no network of this name.
    UnknownNetwork {
        /// The node that is wired to it.
        node: String,
        /// The name.
        network: String,
    },
    /// There is no node of this name.
    UnknownNode {
        /// The name.
        node: String,
    },
    /// The node has no interface of this name.
    UnknownInterface {
        /// The node.
        node: String,
        /// The name.
        interface: String,
    },
    /// The node is not of the kind that can do this.
    WrongRole {
        /// The node.
        node: String,
        /// What only a node of another kind does.
        wanted: &'static str,
    },
    /// The node is wired to nothing.
    NoInterface {
        /// The node.
        node: String,
    },
    /// The address is nobody's: a multicast or unspecified one.
    BadAddress {
        /// The node.
        node: String,
        /// The address.
        address: Cidr,
    },
    /// The next router of a route is on no network of the node, or nobody there has its address.
    UnreachableRouter {
        /// The node.
        node: String,
        /// Where the route leads.
        to: Cidr,
        /// The next router.
        via: IpAddr,
    },
    /// A cable, or a fault on it, is out of range.
    Link {
        /// The node at its end.
        node: String,
        /// The interface at its end.
        interface: String,
        /// What is wrong.
        error: FaultError,
    },
    /// A box under test cannot be where it is put.
    Box {
        /// The node.
        node: String,
        /// What it says.
        error: String,
    },
    /// There is no way from a node to an address.
    NoRoute {
        /// Where the way would begin.
        from: String,
        /// Where it ends.
        at: String,
        /// Where it would lead.
        to: IpAddr,
    },
    /// Packets would go in a circle.
    RoutingLoop {
        /// Where the way begins.
        from: String,
        /// Where it comes by for the second time.
        at: String,
        /// Where it would lead.
        to: IpAddr,
    },
    /// An application talks to a port at which nothing listens.
    NoListener {
        /// The application's host.
        from: String,
        /// The host that it talks to.
        host: String,
        /// Its address and port.
        to: SocketAddr,
    },
}

impl fmt::Display for TopologyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use TopologyError as E;
        match self {
            E::DuplicateNetwork { network } => write!(f, "there are two networks {network}"),
            E::DuplicateNode { node } => write!(f, "there are two hosts {node}"),
            E::DuplicateInterface { node, interface } => {
                write!(f, "{node} has two interfaces {interface}")
            }
            E::DuplicateAddress { address, first, second } => {
                write!(f, "{first} and {second} have the same address {address}")
            }
            E::UnknownNetwork { node, network } => {
                write!(f, "{node} is wired to {network}, but there is no such network")
            }
            E::UnknownNode { node } => write!(f, "there is no host {node}"),
            E::UnknownInterface { node, interface } => write!(f, "{node} has no interface {interface}"),
            E::WrongRole { node, wanted } => write!(f, "{node} is not {wanted}"),
            E::NoInterface { node } => write!(f, "{node} is wired to no network"),
            E::BadAddress { node, address } => write!(f, "{node} cannot have the address {address}"),
            E::UnreachableRouter { node, to, via } => {
                write!(f, "{node} routes {to} via {via}, but nobody on its networks has that address")
            }
            E::Link { node, interface, error } => write!(f, "the cable of {node} {interface}: {error}"),
            E::Box { node, error } => write!(f, "{node}: {error}"),
            E::NoRoute { from, at, to } if from == at => write!(f, "{from} has no route to {to}"),
            E::NoRoute { from, at, to } => {
                write!(f, "{from} has no route to {to}: the way ends at {at}")
            }
            E::RoutingLoop { from, at, to } => {
                write!(f, "the way from {from} to {to} leads in a circle: it comes by {at} twice")
            }
            E::NoListener { from, host, to } => {
                write!(f, "{from} talks to {to}, but nothing listens there on {host}")
            }
        }
    }
}

impl std::error::Error for TopologyError {}
