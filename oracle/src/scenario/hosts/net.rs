//! The network of a story with hosts that act: its heading as a topology.
//!
//! The tracker stands between the networks of its sides, `inside`, `outside` and `dmz`. A host lives on one of them, or behind
//! a router that does; every network of /24 or /64 has its next router at .254 or ::fe.

use std::net::IpAddr;

use conntruth_sim::packet::Cidr;
use conntruth_sim::time::DAY;
use conntruth_sim::topology::{NodeSpec, Role, TopologyError};
use conntruth_sim::world::Limits;
use conntruth_sim::{Seed, Topology, World};

use crate::language::Message;
use crate::language::ast::host::{Cable, CableWord, Deed, Limit, Network, Place, Term, Verb};
use crate::language::ast::{Host, Name, Side, Span, Story};

use super::super::places::{Places, side_of};

/// The tracker's node.
pub(super) const BOX: &str = "box";
/// The router beside the tracker, where a story has packets go around it.
const AROUND: &str = "around";
/// No scenario is longer, unless it says so.
const LONGEST: u64 = 400 * DAY;
/// No scenario has more events, unless it says so.
const MOST_EVENTS: u64 = 2_000_000;

type Made<T> = Result<T, Box<Message>>;

/// The world of a story at its beginning; middleboxes only forward.
pub(super) fn world(story: &Story, places: &Places) -> Made<World> {
    let mut net = Net { story, places, topology: Topology::default() };
    net.networks()?;
    net.hosts()?;
    net.interfaces()?;
    net.routes()?;
    let cables: Vec<&Cable> = story.cables.iter().collect();
    cables.iter().try_for_each(|cable| net.cable(cable))?;
    let mut topology = net.topology;
    topology.nodes.sort_by_key(|node| node.name != BOX);
    let wrong = |error: TopologyError| Message::new(error.to_string(), line_of(story, &error));
    let mut world = World::new(topology, Seed(1)).map_err(wrong)?;
    let mut limits = Limits { events: MOST_EVENTS, time: LONGEST };
    for limit in &story.limits {
        match limit {
            Limit::Time(length) => limits.time = length.nanos,
            Limit::Events(count) => limits.events = *count,
        }
    }
    world.set_limits(limits);
    plan_cuts(&mut world, story)?;
    Ok(world)
}

/// The node and interface that a line about a cable speaks of.
pub(super) fn port(world: &World, cable: &Cable) -> Made<conntruth_sim::world::PortId> {
    let interface = cable.interface.map(|interface| interface.value);
    let found = world.port(&cable.host.value, interface);
    found.map_err(|error| Message::new(error.to_string(), cable.span).into())
}

fn plan_cuts(world: &mut World, story: &Story) -> Made<()> {
    for cable in &story.cables {
        let port = port(world, cable)?;
        for word in &cable.words {
            match word {
                CableWord::Cut(at) => world.cut_at(at.map_or(0, |at| at.nanos), port, true),
                CableWord::Restore(at) => world.cut_at(at.map_or(0, |at| at.nanos), port, false),
                _ => {}
            }
        }
    }
    Ok(())
}

struct Net<'s> {
    story: &'s Story,
    places: &'s Places,
    topology: Topology,
}

impl Net<'_> {
    fn networks(&mut self) -> Made<()> {
        Side::ALL.iter().for_each(|side| {
            self.topology.network(side.name());
        });
        let boxed = self.topology.middlebox(BOX);
        for side in Side::ALL {
            let (net, v6) = side_net(side);
            let own = [format!("10.0.{net}.254/24"), format!("fd00:{v6}::fe/64")];
            boxed.interface(side.name(), side.name(), &cidrs(&own.each_ref().map(|own| &**own)));
        }
        for network in &self.story.networks {
            self.topology.network(&network.name.value);
        }
        for (number, router) in self.story.routers.iter().enumerate() {
            let name = &router.name.value;
            let number = number as u8;
            let (network, own, next) = match &router.place {
                Place::Side(side) => {
                    let (net, v6) = side_net(*side);
                    let own = [
                        format!("10.0.{net}.{}/24", 250 - number),
                        format!("fd00:{v6}::{:x}/64", 0x80 + number),
                    ];
                    let next = [format!("10.0.{net}.254"), format!("fd00:{v6}::fe")];
                    (side.name().to_owned(), own, next)
                }
                Place::Behind(other) => {
                    let own = [format!("10.254.{number}.2/24"), format!("fd00:fe:{number:x}::2/64")];
                    let next = [format!("10.254.{number}.1"), format!("fd00:fe:{number:x}::1")];
                    let network = format!("{}-{name}", other.value);
                    self.topology.network(&network);
                    let ends = next.each_ref().map(|next| {
                        let prefix = if next.contains(':') { 64 } else { 24 };
                        format!("{next}/{prefix}")
                    });
                    let behind = cidrs(&ends.each_ref().map(|end| &**end));
                    let interface = format!("to-{name}");
                    if let Some(node) = self.topology.find(&other.value) {
                        node.interface(&interface, &network, &behind);
                    }
                    (network, own, next)
                }
            };
            let lan = self.behind(&router.name)?;
            if !self.topology.networks.contains(&lan) {
                self.topology.network(&lan);
            }
            let node = self.topology.router(name);
            node.interface("front", &network, &cidrs(&own.each_ref().map(|own| &**own)));
            node.interface("behind", &lan, &[]);
            next.iter().filter_map(|next| next.parse().ok()).for_each(|next| {
                node.default_route(next);
            });
        }
        Ok(())
    }

    /// The network behind a router: one with a line of its own, or one that is only its.
    fn behind(&self, router: &Name) -> Made<String> {
        let leads = |network: &&Network| network.routers.iter().any(|other| other.value == router.value);
        let mut networks = self.story.networks.iter().filter(leads);
        match (networks.next(), networks.next()) {
            (None, _) => Ok(format!("{}-lan", router.value)),
            (Some(network), None) => Ok(network.name.value.clone()),
            (Some(_), Some(other)) => {
                let title = format!("`{}` leads to one network already", router.value);
                Err(Message::new(title, other.name.span).into())
            }
        }
    }

    fn hosts(&mut self) -> Made<()> {
        let hosts: Vec<(String, Vec<IpAddr>, Side)> = self
            .places
            .all()
            .map(|(name, addresses, side)| (name.to_owned(), addresses.to_vec(), side))
            .collect();
        for (name, addresses, side) in hosts {
            let is_stack = self.story.stack.iter().any(|stack| stack.value == name);
            self.topology.node(&name, if is_stack { Role::Host } else { Role::Script });
            let own = self.wire(&name, "eth0", &name, &addresses, side)?;
            if let Some(node) = self.topology.find(&name) {
                own.iter().for_each(|own| {
                    node.default_route(gateway_of(own));
                });
            }
        }
        Ok(())
    }

    /// Further interfaces of hosts. What is not near by one of them still leaves by the first.
    fn interfaces(&mut self) -> Made<()> {
        let interfaces: Vec<(String, String, Vec<IpAddr>, Side)> = self
            .places
            .interfaces()
            .map(|(owner, name, addresses, side)| {
                (owner.to_owned(), name.to_owned(), addresses.to_vec(), side)
            })
            .collect();
        for (owner, name, addresses, side) in interfaces {
            self.wire(&owner, &name, &name, &addresses, side)?;
        }
        Ok(())
    }

    /// Gives a host an interface where a line of the heading, under a name, says that it is; its addresses there.
    fn wire(
        &mut self,
        host: &str,
        interface: &str,
        name: &str,
        addresses: &[IpAddr],
        side: Side,
    ) -> Made<Vec<Cidr>> {
        let said = self.story.hosts.iter().find(|host| host.name.value == name);
        let behind = said.and_then(|host| host.behind.as_ref()).map(|place| place.value.clone());
        let span = said.map_or(Span::default(), |host| host.name.span);
        let named = self.story.networks.iter().find(|network| Some(&network.name.value) == behind.as_ref());
        let routers: Vec<String> = match (named, &behind) {
            (Some(network), _) => network.routers.iter().map(|router| router.value.clone()).collect(),
            (None, Some(router)) => vec![router.clone()],
            (None, None) => Vec::new(),
        };
        let network = match (named, said.and_then(|host| host.behind.as_ref())) {
            (Some(network), _) => network.name.value.clone(),
            (None, Some(router)) => self.behind(router)?,
            (None, None) => side.name().to_owned(),
        };
        let own: Vec<Cidr> = addresses.iter().map(|address| network_of(*address)).collect();
        let is_nobodys = |own: &&IpAddr| own.is_multicast() || own.is_unspecified() || own.is_loopback();
        if let Some(address) = addresses.iter().find(is_nobodys) {
            return Err(Message::new(format!("no host has the address {address}"), span).into());
        }
        if own.is_empty() {
            return Err(Message::new(format!("`{name}` has no address"), span).into());
        }
        for cidr in &own {
            if routers.is_empty() {
                self.gateway(cidr, 0, None, side);
            }
            for (number, router) in routers.iter().enumerate() {
                self.gateway(cidr, number as u8, Some(router), side);
            }
        }
        if let Some(node) = self.topology.find(host) {
            node.interface(interface, &network, &own);
        }
        Ok(own)
    }

    /// Gives a router of a network its address there: .254 the first, .253 the next; and the way to the network to all on
    /// the way.
    fn gateway(&mut self, cidr: &Cidr, number: u8, behind: Option<&str>, side: Side) {
        let address = Cidr { address: below(gateway_of(cidr), number), prefix: cidr.prefix };
        let (node, interface) =
            (behind.unwrap_or(BOX), if behind.is_some() { "behind" } else { side.name() });
        let Some(spec) = self.topology.find(node) else { return };
        let Some(found) = spec.interfaces.iter_mut().find(|found| found.name == interface) else { return };
        if !found.addresses.contains(&address) {
            found.addresses.push(address);
        }
        let Some(mut at) = behind.map(str::to_owned) else { return };
        // From the router back to the tracker, each learns who is next.
        let network = Cidr { address: masked(cidr), prefix: cidr.prefix };
        loop {
            let Some(router) = self.story.routers.iter().find(|router| router.name.value == at) else {
                return;
            };
            let previous = match &router.place {
                Place::Side(_) => BOX.to_owned(),
                Place::Behind(other) => other.value.clone(),
            };
            let front = self.topology.find(&at).map(|node| node.interfaces[0].addresses.clone());
            let mut via = front.into_iter().flatten().map(|own| own.address);
            let via = via.find(|own| own.is_ipv4() == cidr.address.is_ipv4());
            if let (Some(via), Some(node)) = (via, self.topology.find(&previous)) {
                let known = node.routes.iter().any(|route| route.to == network);
                if !known {
                    node.route(network, via);
                }
            }
            if previous == BOX {
                return;
            }
            at = previous;
        }
    }

    /// Routes of single hosts to others: by another router, or past the tracker.
    fn routes(&mut self) -> Made<()> {
        if self.story.routes.iter().any(|way| way.via.is_none()) {
            let router = self.topology.router(AROUND);
            for side in Side::ALL {
                let (net, v6) = side_net(side);
                let own = [format!("10.0.{net}.253/24"), format!("fd00:{v6}::fd/64")];
                router.interface(side.name(), side.name(), &cidrs(&own.each_ref().map(|own| &**own)));
            }
        }
        for way in &self.story.routes {
            let via = way.via.as_ref().map_or(AROUND, |via| &via.value);
            let to: Vec<IpAddr> = self
                .topology
                .find(&way.to.value)
                .into_iter()
                .flat_map(|node| &node.interfaces)
                .flat_map(|interface| interface.addresses.iter().map(|own| own.address))
                .collect();
            let nodes = &self.topology.nodes;
            let wires = |name: &str| {
                nodes.iter().find(|node| node.name == name).into_iter().flat_map(|node| &node.interfaces)
            };
            let mut routes = Vec::new();
            for address in to {
                let shared = wires(&way.from.value).flat_map(|own| {
                    let own = own.clone();
                    wires(via).filter(move |other| other.network == own.network)
                });
                let near = shared.flat_map(|interface| &interface.addresses);
                let next = near.map(|own| own.address).find(|own| own.is_ipv4() == address.is_ipv4());
                let Some(next) = next else { continue };
                let prefix = if address.is_ipv4() { 32 } else { 128 };
                routes.push((Cidr { address, prefix }, next));
            }
            if routes.is_empty() {
                let title = match &way.via {
                    Some(via) => {
                        format!("`{}` has no network in common with `{}`", way.from.value, via.value)
                    }
                    None => "only hosts beside the tracker have a way around it".to_owned(),
                };
                return Err(Message::new(title, way.from.span.to(way.to.span)).into());
            }
            if let Some(node) = self.topology.find(&way.from.value) {
                routes.into_iter().for_each(|(to, via)| {
                    node.route(to, via);
                });
            }
        }
        Ok(())
    }

    fn cable(&mut self, cable: &Cable) -> Made<()> {
        let wrong = |title: String| Message::new(title, cable.span);
        let Some(node) = self.topology.find(&cable.host.value) else {
            return Err(wrong(format!("`{}` has no cable", cable.host.value)).into());
        };
        let NodeSpec { interfaces, .. } = node;
        let names: Vec<String> = interfaces.iter().map(|interface| format!("`{}`", interface.name)).collect();
        let found = match cable.interface {
            Some(wanted) => interfaces.iter_mut().find(|found| found.name == wanted.value),
            None if cable.host.value == BOX => None,
            None => interfaces.first_mut(),
        };
        let Some(interface) = found else {
            return Err(wrong(format!("which cable of `{}`?", cable.host.value))
                .label(format!("expected one of {} after it", names.join(", ")))
                .into());
        };
        let link = &mut interface.link;
        for word in &cable.words {
            match word {
                CableWord::Latency(length) => link.latency = length.nanos,
                CableWord::Jitter(length) => link.jitter = length.nanos,
                CableWord::Bandwidth(bits) => link.bandwidth = Some(*bits),
                CableWord::Queue(bytes) => link.queue = Some(*bytes),
                CableWord::Mtu(mtu) => link.mtu = *mtu as usize,
                CableWord::Fault(fault) => link.faults.push(fault.clone()),
                CableWord::Cut(_) | CableWord::Restore(_) => {}
            }
        }
        Ok(())
    }
}

/// The third octet and the second group of a side's networks.
fn side_net(side: Side) -> (u8, &'static str) {
    match side {
        Side::Inside => (0, "a"),
        Side::Outside => (1, "b"),
        Side::Dmz => (2, "c"),
    }
}

fn cidrs(texts: &[&str]) -> Vec<Cidr> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// An address with the network that it lives in.
fn network_of(address: IpAddr) -> Cidr {
    Cidr { address, prefix: if address.is_ipv4() { 24 } else { 64 } }
}

fn masked(cidr: &Cidr) -> IpAddr {
    match cidr.address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            [a, b, c, 0].into()
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

/// An address so many below another.
fn below(address: IpAddr, number: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((u32::from(v4) - u32::from(number)).into()),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) - u128::from(number)).into()),
    }
}

/// The line of the heading that a mistake in the topology is about: of two, the second.
fn line_of(story: &Story, error: &TopologyError) -> Span {
    let named = |wanted: &str| {
        let hosts = story.hosts.iter().map(|host| &host.name);
        let routers = story.routers.iter().map(|router| &router.name);
        let networks = story.networks.iter().map(|network| &network.name);
        let mut all = hosts.chain(routers).chain(networks).chain(&story.stack);
        all.find(|name| name.value == wanted).map(|name| name.span)
    };
    let found = match error {
        TopologyError::DuplicateAddress { address, first, second } => {
            let has = |host: &&Host| host.addresses.contains(address);
            let last = story.hosts.iter().rfind(has).map(|host| host.name.span);
            last.or_else(|| named(second)).or_else(|| named(first))
        }
        TopologyError::DuplicateNetwork { network } => named(network),
        TopologyError::DuplicateNode { node }
        | TopologyError::NoInterface { node }
        | TopologyError::BadAddress { node, .. }
        | TopologyError::UnknownNetwork { node, .. }
        | TopologyError::DuplicateInterface { node, .. } => named(node),
        TopologyError::UnreachableRouter { node, .. } => {
            let route = story.routes.iter().find(|route| route.from.value == *node);
            route.map(|route| route.from.span).or_else(|| named(node))
        }
        TopologyError::Link { node, .. } => {
            story.cables.iter().find(|cable| cable.host.value == *node).map(|cable| cable.span)
        }
        _ => None,
    };
    found.or_else(|| story.stack.first().map(|name| name.span)).unwrap_or_default()
}

/// Whether who is talked to can be reached, and can answer: a mistake, unless a story says that it is meant.
pub(super) fn reaches(world: &World, places: &Places, deed: &Deed, span: Span) -> Made<()> {
    let is_meant = deed.terms.iter().any(|term| term.value == Term::Anyway);
    let (to, must) = match &deed.verb {
        Verb::Connects(to) | Verb::Ftp(to) | Verb::Irc(to) | Verb::Asks(to) => (&to.host, !is_meant),
        Verb::Streams(to) | Verb::Resolves(_, to) | Verb::Tftp(to, _) => (&to.host, !is_meant),
        Verb::Pings(to) | Verb::Traces(to) | Verb::Scans(to, _) => (to, false),
        _ => return Ok(()),
    };
    let (Some(to), Ok(from)) = (places.address(to), world.node(&deed.host.value)) else { return Ok(()) };
    let there_and_back = || {
        let other = world.trace(from, to)?;
        match world.site(from).source(to) {
            Some(own) => world.trace(other, own).map(drop),
            None => Ok(()),
        }
    };
    match there_and_back() {
        Err(error @ TopologyError::RoutingLoop { .. }) => Err(Message::new(error.to_string(), span).into()),
        Err(error) if must => Err(Message::new(error.to_string(), span)
            .help("`anyway` at its end says that this is meant")
            .into()),
        _ => Ok(()),
    }
}

/// The hosts that the tracker reaches by another interface than their addresses say.
pub(super) fn strays(world: &World, places: &Places) -> Vec<(IpAddr, String)> {
    let Ok(node) = world.node(BOX) else { return Vec::new() };
    let site = world.site(node);
    let hosts = places.all().map(|(_, addresses, _)| addresses);
    let others = places.interfaces().map(|(_, _, addresses, _)| addresses);
    let all = hosts.chain(others).flatten().copied();
    let strays = all.filter_map(|address| {
        let by = &*site.interfaces[site.route(address)?.interface].name;
        (by != side_of(address).name()).then(|| (address, by.to_owned()))
    });
    strays.collect()
}

/// The next router of a network.
fn gateway_of(cidr: &Cidr) -> IpAddr {
    match masked(cidr) {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            [a, b, c, 254].into()
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0xfe])
        }
    }
}
