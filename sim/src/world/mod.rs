//! A world: nodes and cables on a virtual clock that jumps from event to event.
//!
//! Nothing happens between events, so idle days cost nothing. Everything that happens is folded into a hash chain; two
//! worlds of the same topology, seed and orders have the same one on any machine.

mod boxes;
mod build;
mod check;
mod limits;
mod node;
mod run;
mod script;
mod watch;

use std::any::Any;

use crate::app::{App, Summary};
use crate::chain::{Chain, Record};
use crate::host::{ConnId, HostCount, Os, Reception, TcpSocket, UdpSocket};
use crate::link::{Fault, Fired, LinkCount, Way};
use crate::middlebox::Middlebox;
use crate::packet::Header;
use crate::queue::Queue;
use crate::time::seconds;
use crate::topology::{Site, TopologyError};

pub use limits::{Limits, RunError};
pub use script::Seen;
pub use watch::{Moment, Watcher};

use node::{Kind, Network, Node, Port};
use run::Happening;

/// A node of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

/// An interface of a world's node, and its cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortId(pub(crate) u32);

/// An application on a world's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AppId {
    /// The host.
    pub node: NodeId,
    number: u32,
}

/// A world at work.
///
/// ```
/// use conntruth_sim::app::tcp::{Client, Server};
/// use conntruth_sim::app::Act;
/// use conntruth_sim::time::{DAY, SECOND};
/// use conntruth_sim::{Seed, Topology, World};
///
/// let mut topology = Topology::default();
/// topology.network("lan");
/// topology.host("client").interface("eth0", "lan", &["10.0.0.1/24".parse()?]);
/// topology.host("server").interface("eth0", "lan", &["10.0.0.2/24".parse()?]);
/// let mut world = World::new(topology, Seed(1))?;
/// world.start("server", Server::echo(7))?;
/// let plan = vec![Act::Send(1000), Act::Receive(1000), Act::Wait(5 * DAY), Act::Close];
/// let client = world.start("client", Client::new("10.0.0.2:7".parse()?, plan))?;
/// world.run_until(5 * DAY + SECOND)?;
/// assert_eq!(world.summary(client).to_string(), "done in 432000 s, 1000 bytes sent, 1000 received");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct World {
    queue: Queue<Happening>,
    nodes: Vec<Node>,
    ports: Vec<Port>,
    networks: Vec<Network>,
    /// Packets under way.
    parcels: Vec<Vec<u8>>,
    free_parcels: Vec<u32>,
    chain: Chain,
    limits: Limits,
    watchers: Vec<Box<dyn Watcher>>,
    count: WorldCount,
    /// Kept so that a packet allocates nothing.
    deliveries: Vec<(u64, Vec<u8>)>,
    arrivals: Vec<(u64, Vec<u8>)>,
    exits: Vec<(crate::middlebox::Edge, Vec<u8>)>,
    starts: Vec<Option<run::Order>>,
}

/// What a world has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorldCount {
    /// Events that happened.
    pub events: u64,
    /// Packets put into cables.
    pub packets: u64,
    /// Packets to addresses that nobody on their network has.
    pub unclaimed: u64,
    /// Packets that a node could make nothing of: malformed, not its own, no route, hop limit used up.
    pub dropped: u64,
}

impl World {
    /// The time, in nanoseconds since the beginning.
    pub fn now(&self) -> u64 {
        self.queue.now()
    }

    /// What has been counted.
    pub fn count(&self) -> WorldCount {
        self.count
    }

    /// The hash over all that has happened.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Keeps a line for each event, from the beginning on, for comparing runs.
    pub fn record(&mut self) {
        self.chain.record();
    }

    /// A recorded event in words: `arrive at server eth0 at 0.004 s`.
    pub fn describe(&self, record: &Record) -> String {
        let Record { at, what, place, content } = *record;
        let place = match what {
            "arrive" | "cut" => self.port_name(PortId(place)),
            _ => self.nodes[place as usize].name().to_owned(),
        };
        format!("{what} at {place} at {} ({content:016x})", seconds(at))
    }

    /// Other bounds on what a run may cost.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Somebody is told of all packets from now on, beside those who are already.
    pub fn watch(&mut self, watcher: impl Watcher) {
        self.watchers.push(Box::new(watcher));
    }

    /// Those who are told of packets, of this type.
    pub fn watchers<T: Watcher>(&self) -> impl Iterator<Item = &T> {
        self.watchers.iter().filter_map(|watcher| {
            let watcher: &dyn Any = watcher.as_ref();
            watcher.downcast_ref()
        })
    }

    /// Those of this type are told no more, and come back.
    pub fn unwatch<T: Watcher>(&mut self) -> Vec<T> {
        let mut found = Vec::new();
        for watcher in std::mem::take(&mut self.watchers) {
            let is_wanted = (watcher.as_ref() as &dyn Any).is::<T>();
            if !is_wanted {
                self.watchers.push(watcher);
            } else if let Ok(watcher) = (watcher as Box<dyn Any>).downcast() {
                found.push(*watcher);
            }
        }
        found
    }

    /// The node of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn node(&self, name: &str) -> Result<NodeId, TopologyError> {
        let at = self.nodes.iter().position(|node| node.name() == name);
        at.map(|at| NodeId(at as u32)).ok_or_else(|| TopologyError::UnknownNode { node: name.to_owned() })
    }

    /// An interface of a node; the first one has no need of its name.
    ///
    /// # Errors
    /// When there is none.
    pub fn port(&self, node: &str, interface: Option<&str>) -> Result<PortId, TopologyError> {
        let id = self.node(node)?;
        let node = &self.nodes[id.0 as usize];
        let at = interface.map_or(Some(0), |name| node.host.site().interface(name));
        at.map(|at| node.ports[at]).ok_or_else(|| TopologyError::UnknownInterface {
            node: node.name().to_owned(),
            interface: interface.unwrap_or_default().to_owned(),
        })
    }

    /// All interfaces, in the order of nodes.
    pub fn ports(&self) -> impl Iterator<Item = PortId> + use<> {
        (0..self.ports.len() as u32).map(PortId)
    }

    /// An interface's name with its node's: `client eth0`.
    pub fn port_name(&self, port: PortId) -> String {
        let port = &self.ports[port.0 as usize];
        let site = self.nodes[port.node.0 as usize].host.site();
        format!("{} {}", site.name, site.interfaces[port.interface].name)
    }

    /// A node's interfaces, addresses and routes.
    pub fn site(&self, node: NodeId) -> &Site {
        self.nodes[node.0 as usize].host.site()
    }

    /// What a node's host has counted.
    pub fn host_count(&self, node: NodeId) -> HostCount {
        *self.nodes[node.0 as usize].host.count()
    }

    /// A node's TCP sockets, as `ss -tan` would list them, without those that listen.
    pub fn tcp_sockets(&self, node: NodeId) -> impl Iterator<Item = (ConnId, TcpSocket)> + '_ {
        self.nodes[node.0 as usize].host.tcp_sockets()
    }

    /// One of a node's TCP sockets, while there is one.
    pub fn tcp_socket(&self, node: NodeId, conn: ConnId) -> Option<TcpSocket> {
        self.nodes[node.0 as usize].host.tcp_socket(conn)
    }

    /// What a node would make of a packet that came to it now, without giving it to it; `None` where nobody could say.
    pub fn receives(&self, node: NodeId, bytes: &[u8]) -> Option<Reception> {
        let header = Header::read(bytes)?;
        self.nodes[node.0 as usize].host.receives(&header, bytes)
    }

    /// A node's UDP sockets.
    pub fn udp_sockets(&self, node: NodeId) -> impl Iterator<Item = UdpSocket> + '_ {
        self.nodes[node.0 as usize].host.udp_sockets()
    }

    /// Starts an application on a host, a router or a middlebox's own host, now.
    ///
    /// # Errors
    /// When there is no such node, or it runs no applications.
    pub fn start(&mut self, node: &str, app: impl App) -> Result<AppId, TopologyError> {
        self.start_boxed(node, Box::new(app))
    }

    /// An application as it stands, by its type; `None` where it is of another.
    pub fn app<T: App>(&self, id: AppId) -> Option<&T> {
        let app: &dyn Any = self.nodes[id.node.0 as usize].host.app(id.number)?;
        app.downcast_ref()
    }

    /// What an application has come to.
    pub fn summary(&self, id: AppId) -> Summary {
        self.nodes[id.node.0 as usize].host.app(id.number).map(|app| app.summary()).unwrap_or_default()
    }

    /// Lets an application, by its type, do something now; `None` where it is of another.
    pub fn with_app<T: App, R>(&mut self, id: AppId, f: impl FnOnce(&mut T, &mut Os<'_>) -> R) -> Option<R> {
        let now = self.now();
        let host = &mut self.nodes[id.node.0 as usize].host;
        let result = host.with_app(now, id.number, |app, os| {
            let app: &mut dyn Any = app;
            app.downcast_mut().map(|app| f(app, os))
        });
        self.settle(id.node);
        result.flatten()
    }

    /// The box in a node, by its type.
    pub fn middlebox<T: Middlebox>(&mut self, node: NodeId) -> Option<&mut T> {
        let Kind::Middlebox(middlebox) = &mut self.nodes[node.0 as usize].kind else { return None };
        let middlebox: &mut dyn Any = middlebox.as_mut();
        middlebox.downcast_mut()
    }

    /// Cuts a cable, or mends it, now.
    pub fn cut(&mut self, port: PortId, is_cut: bool) {
        self.note("cut", port.0, u64::from(is_cut));
        self.ports[port.0 as usize].link.cut(is_cut);
    }

    /// One more fault on a cable, from now on.
    ///
    /// # Errors
    /// When it is out of range.
    pub fn add_fault(&mut self, port: PortId, fault: Fault) -> Result<(), TopologyError> {
        let (node, interface) = self.names(port);
        let link = &mut self.ports[port.0 as usize].link;
        link.add(fault).map_err(|error| TopologyError::Link { node, interface, error })
    }

    /// What has become of the packets in a cable.
    pub fn link_count(&self, port: PortId, way: Way) -> LinkCount {
        self.ports[port.0 as usize].link.count(way)
    }

    /// The faults on a cable, and how often each has fired.
    pub fn faults(&self, port: PortId) -> impl Iterator<Item = Fired<'_>> {
        self.ports[port.0 as usize].link.fired()
    }

    /// Faults that have not fired, with the interface on whose cable they stand.
    pub fn silent_faults(&self) -> impl Iterator<Item = (PortId, &Fault)> {
        self.ports().flat_map(move |port| {
            self.faults(port).filter(|fired| fired.times == 0).map(move |fired| (port, fired.fault))
        })
    }

    /// What a script has received.
    pub fn seen(&self, node: NodeId) -> &[Seen] {
        match &self.nodes[node.0 as usize].kind {
            Kind::Script(script) => script.seen(),
            _ => &[],
        }
    }

    fn names(&self, port: PortId) -> (String, String) {
        let port = &self.ports[port.0 as usize];
        let site = self.nodes[port.node.0 as usize].host.site();
        (site.name.clone(), site.interfaces[port.interface].name.clone())
    }
}
