//! The network of a story with hosts that act: its heading as a topology.
//!
//! The tracker stands between two networks, `inside` and `outside`. A host lives on one of them, or behind a router that
//! does; every network of /24 or /64 has its next router at .254 or ::fe.

use std::net::{IpAddr, Ipv6Addr};

use conntruth_sim::packet::Cidr;
use conntruth_sim::time::DAY;
use conntruth_sim::topology::{NodeSpec, Role};
use conntruth_sim::world::Limits;
use conntruth_sim::{Seed, Topology, World};

use crate::language::Message;
use crate::language::ast::host::{Cable, CableWord, Limit, Place};
use crate::language::ast::{Side, Span, Story};

use super::super::places::Places;

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
    net.ways_around()?;
    let cables: Vec<&Cable> = story.cables.iter().collect();
    cables.iter().try_for_each(|cable| net.cable(cable))?;
    let mut topology = net.topology;
    topology.nodes.sort_by_key(|node| node.name != BOX);
    let span = story.stack.first().map_or(Span::default(), |name| name.span);
    let mut world = World::new(topology, Seed(1)).map_err(|error| Message::new(error.to_string(), span))?;
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
        self.topology.network("inside").network("outside");
        let boxed = self.topology.middlebox(BOX);
        boxed.interface("inside", "inside", &cidrs(&["10.0.0.254/24", "fd00:a::fe/64"]));
        boxed.interface("outside", "outside", &cidrs(&["10.0.1.254/24", "fd00:b::fe/64"]));
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
            let lan = format!("{name}-lan");
            self.topology.network(&lan);
            let node = self.topology.router(name);
            node.interface("front", &network, &cidrs(&own.each_ref().map(|own| &**own)));
            node.interface("behind", &lan, &[]);
            next.iter().filter_map(|next| next.parse().ok()).for_each(|next| {
                node.default_route(next);
            });
        }
        Ok(())
    }

    fn hosts(&mut self) -> Made<()> {
        let hosts: Vec<(String, Vec<IpAddr>, Side)> = self
            .places
            .all()
            .map(|(name, addresses, side)| (name.to_owned(), addresses.to_vec(), side))
            .collect();
        for (name, addresses, side) in hosts {
            let said = self.story.hosts.iter().find(|host| host.name.value == name);
            let behind = said.and_then(|host| host.behind.as_ref()).map(|router| router.value.clone());
            let role = if self.story.stack.iter().any(|stack| stack.value == name) {
                Role::Host
            } else {
                Role::Script
            };
            let network = match &behind {
                Some(router) => format!("{router}-lan"),
                None => side.name().to_owned(),
            };
            let own: Vec<Cidr> = addresses.iter().map(|address| network_of(*address)).collect();
            let span = said.map_or(Span::default(), |host| host.name.span);
            for cidr in &own {
                self.gateway(cidr, behind.as_deref(), side);
            }
            let node = self.topology.node(&name, role);
            node.interface("eth0", &network, &own);
            own.iter().for_each(|own| {
                node.default_route(gateway_of(own));
            });
            if own.is_empty() {
                return Err(Message::new(format!("`{name}` has no address"), span).into());
            }
        }
        Ok(())
    }

    /// Gives the next router of a network its address there, and the way to the network to all on the way.
    fn gateway(&mut self, cidr: &Cidr, behind: Option<&str>, side: Side) {
        let address = Cidr { address: gateway_of(cidr), prefix: cidr.prefix };
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

    /// Ways that pass the tracker by: a router of their own, and a route to it.
    fn ways_around(&mut self) -> Made<()> {
        if self.story.around.is_empty() {
            return Ok(());
        }
        let router = self.topology.router(AROUND);
        router.interface("inside", "inside", &cidrs(&["10.0.0.253/24", "fd00:a::fd/64"]));
        router.interface("outside", "outside", &cidrs(&["10.0.1.253/24", "fd00:b::fd/64"]));
        for way in &self.story.around {
            let find = |name: &str| self.places.all().find(|(host, ..)| *host == name);
            let (Some((from, own, side)), Some((_, to, _))) = (find(&way.from.value), find(&way.to.value))
            else {
                return Err(Message::new(
                    "only hosts beside the tracker have a way around it",
                    way.from.span,
                )
                .into());
            };
            let (net, v6) = side_net(side);
            for &address in to {
                let via = match address {
                    IpAddr::V4(_) => format!("10.0.{net}.253"),
                    IpAddr::V6(_) => format!("fd00:{v6}::fd"),
                };
                let prefix = if address.is_ipv4() { 32 } else { 128 };
                let is_near = own.iter().any(|own| masked(&network_of(*own)) == masked(&cidr_of(&via)));
                let (Some(node), Ok(via)) = (self.topology.find(from), via.parse()) else { continue };
                if is_near {
                    node.route(Cidr { address, prefix }, via);
                }
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
    }
}

fn cidrs(texts: &[&str]) -> Vec<Cidr> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

fn cidr_of(text: &str) -> Cidr {
    text.parse().map_or(Cidr { address: Ipv6Addr::UNSPECIFIED.into(), prefix: 128 }, network_of)
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
