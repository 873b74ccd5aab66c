//! Nodes, their interfaces, and the networks between them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::script::Script;
use super::{NodeId, PortId};
use crate::host::Host;
use crate::link::Link;
use crate::middlebox::Middlebox;

/// A node.
pub(super) struct Node {
    pub(super) host: Host,
    pub(super) kind: Kind,
    /// Its interfaces, in the site's order.
    pub(super) ports: Vec<PortId>,
    /// When a wake-up of its box is queued for.
    pub(super) alarm: u64,
    /// Packets that pass the box by.
    pub(super) bypass: Option<Bypass>,
    /// Names for datagrams that it cuts on the way.
    pub(super) ident: u32,
}

/// What a node does with packets.
pub(super) enum Kind {
    Host,
    Router,
    Middlebox(Box<dyn Middlebox>),
    Script(Script),
}

/// Which packets pass a box by.
pub(super) type Bypass = Box<dyn FnMut(u64, &[u8]) -> bool>;

/// An interface.
pub(super) struct Port {
    pub(super) node: NodeId,
    pub(super) interface: usize,
    pub(super) network: usize,
    pub(super) link: Link,
}

/// A network: who has which address.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) name: String,
    pub(super) members: BTreeMap<IpAddr, PortId>,
    /// Nodes that take packets to any address, when nobody has it.
    pub(super) script: Option<PortId>,
}

impl Node {
    pub(super) fn name(&self) -> &str {
        &self.host.site().name
    }
}
