//! The loop: takes the next event, lets it happen, and what follows from it in the same moment.

use std::net::IpAddr;

use super::node::Kind;
use super::script::Seen;
use super::{AppId, Moment, NodeId, PortId, RunError, World};
use crate::app::App;
use crate::chain::{Record, content};
use crate::host::{NEVER, Wake};
use crate::link::{Fault, Way};
use crate::middlebox::{Edge, fit, forward};
use crate::packet::{IcmpError, destination, icmp_error};
use crate::topology::{Hop, TopologyError};

/// What the queue holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    /// A packet has crossed the network, and goes down this cable.
    Cross(PortId, u32),
    /// A packet comes out of this cable.
    Arrive(PortId, u32),
    /// A packet from a host to itself.
    Loop(NodeId, u32),
    /// A host is woken.
    Wake(NodeId, Wake),
    /// A box is woken.
    Alarm(NodeId),
    /// Something that was planned from outside.
    Order(u32),
}

/// Something planned from outside.
pub(super) type Order = Box<dyn FnOnce(&mut World)>;

/// A packet that nobody takes comes back to who sent it.
pub(super) struct Unclaimed(pub(super) Vec<u8>);

impl World {
    /// [`World::start`], for an application whose type is not known here.
    ///
    /// # Errors
    /// As there.
    pub fn start_boxed(&mut self, node: &str, app: Box<dyn App>) -> Result<AppId, TopologyError> {
        let id = self.node(node)?;
        if matches!(self.nodes[id.0 as usize].kind, Kind::Script(_)) {
            return Err(TopologyError::WrongRole { node: node.to_owned(), wanted: "a host" });
        }
        let now = self.now();
        let number = self.nodes[id.0 as usize].host.start(now, app);
        self.note("start", id.0, u64::from(number));
        self.settle(id);
        Ok(AppId { node: id, number })
    }

    /// Plans something for a time, in nanoseconds: a start, a cut, a change of mind. What is in the past happens now.
    pub fn at(&mut self, at: u64, order: impl FnOnce(&mut World) + 'static) {
        let number = self.starts.len() as u32;
        self.starts.push(Some(Box::new(order)));
        self.queue.push(at, Happening::Order(number));
    }

    /// Plans a cut of a cable, or its mending.
    pub fn cut_at(&mut self, at: u64, port: PortId, is_cut: bool) {
        self.at(at, move |world| world.cut(port, is_cut));
    }

    /// Plans a fault.
    ///
    /// # Errors
    /// When it is out of range.
    pub fn fault_at(&mut self, at: u64, port: PortId, fault: Fault) -> Result<(), TopologyError> {
        let (node, interface) = self.names(port);
        fault.check().map_err(|error| TopologyError::Link { node, interface, error })?;
        self.at(at, move |world| {
            let added = world.add_fault(port, fault);
            debug_assert!(added.is_ok(), "it was checked");
        });
        Ok(())
    }

    /// Sends a packet by an interface now, whatever it is: to the next node that the routes say, or else straight to its
    /// destination.
    pub fn play(&mut self, port: PortId, bytes: Vec<u8>) {
        let (node, interface) = (self.ports[port.0 as usize].node, self.ports[port.0 as usize].interface);
        let Some(to) = destination(&bytes) else { return self.count.dropped += 1 };
        let hop = self.nodes[node.0 as usize].host.site().route_by(interface, to);
        if self.transmit(node, hop, bytes).is_err() {
            self.count.unclaimed += 1;
        }
    }

    /// Plans a packet.
    pub fn play_at(&mut self, at: u64, port: PortId, bytes: Vec<u8>) {
        self.at(at, move |world| world.play(port, bytes));
    }

    /// Lets everything happen that is due up to a moment, in nanoseconds, and time pass to it.
    ///
    /// # Errors
    /// When that exceeds the bounds.
    pub fn run_until(&mut self, until: u64) -> Result<(), RunError> {
        if until > self.limits.time {
            return Err(RunError::Time { limit: self.limits.time });
        }
        while let Some(happening) = self.queue.pop_until(until) {
            self.happen(happening)?;
        }
        self.queue.pass_until(until);
        self.look_at_boxes();
        Ok(())
    }

    /// Lets so many nanoseconds pass, and everything happen in them.
    ///
    /// # Errors
    /// When that exceeds the bounds.
    pub fn run_for(&mut self, length: u64) -> Result<(), RunError> {
        self.run_until(self.now().saturating_add(length))
    }

    /// Runs until nothing more is going to happen.
    ///
    /// # Errors
    /// When that exceeds the bounds: a connection that is kept alive never ends by itself.
    pub fn run_until_idle(&mut self) -> Result<(), RunError> {
        while let Some(next) = self.queue.next_at() {
            if next > self.limits.time {
                return Err(RunError::Time { limit: self.limits.time });
            }
            self.step()?;
        }
        Ok(())
    }

    /// Runs until something holds, or nothing more is going to happen. Whether it holds.
    ///
    /// # Errors
    /// When that exceeds the bounds.
    pub fn run_until_true(&mut self, mut holds: impl FnMut(&World) -> bool) -> Result<bool, RunError> {
        while !holds(self) {
            match self.queue.next_at() {
                None => return Ok(false),
                Some(next) if next > self.limits.time => {
                    return Err(RunError::Time { limit: self.limits.time });
                }
                Some(_) => self.step()?,
            }
        }
        Ok(true)
    }

    /// When the next event is due.
    pub fn next_at(&self) -> Option<u64> {
        self.queue.next_at()
    }

    fn step(&mut self) -> Result<(), RunError> {
        match self.queue.pop_until(NEVER) {
            Some(happening) => self.happen(happening),
            None => Ok(()),
        }
    }

    fn happen(&mut self, happening: Happening) -> Result<(), RunError> {
        self.count.events += 1;
        if self.count.events > self.limits.events {
            return Err(RunError::Events { limit: self.limits.events, at: self.now() });
        }
        match happening {
            Happening::Cross(port, parcel) => {
                let bytes = self.unpack(parcel);
                self.cross(port, bytes);
            }
            Happening::Arrive(port, parcel) => {
                let bytes = self.unpack(parcel);
                self.arrive(port, bytes);
            }
            Happening::Loop(node, parcel) => {
                let bytes = self.unpack(parcel);
                let now = self.now();
                self.note("loop", node.0, content(&bytes));
                self.nodes[node.0 as usize].host.handle(now, bytes);
                self.settle(node);
            }
            Happening::Wake(node, wake) => {
                let now = self.now();
                self.note("wake", node.0, 0);
                self.nodes[node.0 as usize].host.wake(now, wake);
                self.settle(node);
            }
            Happening::Alarm(node) => self.ring_box(node),
            Happening::Order(number) => {
                if let Some(order) = self.starts[number as usize].take() {
                    order(self);
                }
            }
        }
        Ok(())
    }

    /// Down the last cable; where that takes no time, the packet is there.
    fn cross(&mut self, port: PortId, bytes: Vec<u8>) {
        let now = self.now();
        let link = &mut self.ports[port.0 as usize].link;
        let is_ideal = link.is_ideal();
        let mut arrivals = std::mem::take(&mut self.arrivals);
        link.pass(now, Way::Down, bytes, &mut arrivals);
        for (at, bytes) in arrivals.drain(..) {
            if is_ideal {
                self.arrive(port, bytes);
            } else {
                let parcel = self.pack(bytes);
                self.queue.push(at, Happening::Arrive(port, parcel));
            }
        }
        self.arrivals = arrivals;
    }

    fn arrive(&mut self, port: PortId, bytes: Vec<u8>) {
        let now = self.now();
        let (id, interface) = (self.ports[port.0 as usize].node, self.ports[port.0 as usize].interface);
        self.note("arrive", port.0, content(&bytes));
        for watcher in &mut self.watchers {
            watcher.packet(now, port, Moment::Received, &bytes);
        }
        let node = &mut self.nodes[id.0 as usize];
        let is_own = destination(&bytes).is_some_and(|to| node.host.site().owns(to));
        match &mut node.kind {
            Kind::Script(script) => return script.take(Seen { at: now, interface, bytes }),
            Kind::Host | Kind::Router if is_own => node.host.handle(now, bytes),
            Kind::Host => self.count.dropped += 1,
            Kind::Router => self.forward(id, interface, bytes),
            Kind::Middlebox(_)
                if !is_own && node.bypass.as_mut().is_some_and(|passes| passes(now, &bytes)) =>
            {
                self.forward(id, interface, bytes);
            }
            Kind::Middlebox(_) => self.hand_to_box(id, Edge::Interface(interface), bytes),
        }
        self.settle(id);
    }

    /// As a router.
    fn forward(&mut self, id: NodeId, from: usize, bytes: Vec<u8>) {
        let node = &mut self.nodes[id.0 as usize];
        node.ident = node.ident.wrapping_add(1);
        let ident = node.ident;
        let site = node.host.site();
        let forwarded = match forward(site, from, bytes) {
            Ok(forwarded) => forwarded,
            Err(dropped) => {
                self.count.dropped += 1;
                if let Some(error) = dropped.error {
                    self.send_own(id, error);
                }
                return;
            }
        };
        let mtu = site.interfaces[forwarded.hop.interface].mtu;
        for piece in fit(forwarded.bytes, mtu, ident) {
            let Err(Unclaimed(bytes)) = self.transmit(id, forwarded.hop, piece) else { continue };
            self.count.unclaimed += 1;
            let site = self.nodes[id.0 as usize].host.site();
            let back =
                crate::packet::Header::read(&bytes).and_then(|header| site.address_of(from, header.src));
            let error = back.and_then(|from| icmp_error(IcmpError::HostUnreachable, from, &bytes));
            if let Some(error) = error {
                self.send_own(id, error);
            }
        }
    }

    /// Lets a host say everything that it has to say in this moment.
    pub(super) fn settle(&mut self, id: NodeId) {
        let now = self.now();
        loop {
            let host = &mut self.nodes[id.0 as usize].host;
            host.settle(now);
            while let Some((at, wake)) = host.poll_wake() {
                self.queue.push(at, Happening::Wake(id, wake));
            }
            let Some(bytes) = host.poll_packet() else { break };
            self.send_own(id, bytes);
        }
    }

    /// A packet of a node's own.
    fn send_own(&mut self, id: NodeId, bytes: Vec<u8>) {
        let now = self.now();
        let Some(to) = destination(&bytes) else { return };
        let node = &mut self.nodes[id.0 as usize];
        let is_own = node.host.site().owns(to);
        if let Kind::Middlebox(middlebox) = &node.kind
            && (!is_own || middlebox.sees_loopback())
        {
            return self.hand_to_box(id, Edge::Local, bytes);
        }
        if is_own {
            return self.loop_back(id, bytes);
        }
        let Some(hop) = node.host.site().route(to) else {
            return node.host.handle_unsent(now, IcmpError::NoRoute, &bytes);
        };
        if let Err(Unclaimed(bytes)) = self.transmit(id, hop, bytes) {
            self.count.unclaimed += 1;
            self.nodes[id.0 as usize].host.handle_unsent(now, IcmpError::HostUnreachable, &bytes);
        }
    }

    pub(super) fn loop_back(&mut self, id: NodeId, bytes: Vec<u8>) {
        let parcel = self.pack(bytes);
        self.queue.push(self.now(), Happening::Loop(id, parcel));
    }

    /// Puts a packet into a cable, if there is somebody for whom it is.
    pub(super) fn transmit(&mut self, id: NodeId, hop: Hop, bytes: Vec<u8>) -> Result<(), Unclaimed> {
        let now = self.now();
        let Some(&port) = self.nodes[id.0 as usize].ports.get(hop.interface) else {
            self.count.dropped += 1;
            return Ok(());
        };
        let Some(peer) = self.neighbour(port, hop.next) else { return Err(Unclaimed(bytes)) };
        for watcher in &mut self.watchers {
            watcher.packet(now, port, Moment::Sent, &bytes);
        }
        self.count.packets += 1;
        let link = &mut self.ports[port.0 as usize].link;
        if bytes.len() > link.mtu() {
            self.count.dropped += 1;
            return Ok(());
        }
        let mut deliveries = std::mem::take(&mut self.deliveries);
        link.pass(now, Way::Up, bytes, &mut deliveries);
        for (at, bytes) in deliveries.drain(..) {
            // Where the last cable takes its time there is no need to wait for the moment that is.
            if at == now && !self.ports[peer.0 as usize].link.is_ideal() {
                self.cross(peer, bytes);
            } else {
                let parcel = self.pack(bytes);
                self.queue.push(at, Happening::Cross(peer, parcel));
            }
        }
        self.deliveries = deliveries;
        Ok(())
    }

    /// Who has an address on a network; a script there takes what nobody has.
    fn neighbour(&self, port: PortId, next: IpAddr) -> Option<PortId> {
        let network = &self.networks[self.ports[port.0 as usize].network];
        let member = network.members.get(&next).copied();
        member.or(network.script.filter(|&script| script != port))
    }

    pub(super) fn note(&mut self, what: &'static str, place: u32, content: u64) {
        self.chain.add(Record { at: self.queue.now(), what, place, content });
    }

    pub(super) fn pack(&mut self, bytes: Vec<u8>) -> u32 {
        if let Some(free) = self.free_parcels.pop() {
            self.parcels[free as usize] = bytes;
            return free;
        }
        self.parcels.push(bytes);
        (self.parcels.len() - 1) as u32
    }

    pub(super) fn unpack(&mut self, parcel: u32) -> Vec<u8> {
        self.free_parcels.push(parcel);
        std::mem::take(&mut self.parcels[parcel as usize])
    }
}
