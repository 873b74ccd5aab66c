//! The boxes in a world: put into their places, handed packets, woken, and passed by.

use super::node::Kind;
use super::run::{Happening, Unclaimed};
use super::{NodeId, World};
use crate::host::NEVER;
use crate::middlebox::{Edge, Middlebox};
use crate::packet::{Header, IcmpError, destination, icmp_error};
use crate::topology::TopologyError;

impl World {
    /// Puts a box into its node, instead of the one that is there.
    ///
    /// # Errors
    /// When the node is not a middlebox, or the box cannot be there.
    pub fn install(
        &mut self,
        node: &str,
        mut middlebox: Box<dyn Middlebox>,
    ) -> Result<NodeId, TopologyError> {
        let id = self.node(node)?;
        let place = &mut self.nodes[id.0 as usize];
        let Kind::Middlebox(there) = &mut place.kind else {
            return Err(TopologyError::WrongRole { node: node.to_owned(), wanted: "a middlebox" });
        };
        middlebox
            .install(place.host.site())
            .map_err(|error| TopologyError::Box { node: node.to_owned(), error })?;
        *there = middlebox;
        self.watch_box(id);
        Ok(id)
    }

    /// Packets for which `passes` holds go by a box without its seeing them, as hardware offload does it: they are
    /// forwarded all the same. It is asked for each packet that comes in by an interface, with the time.
    ///
    /// # Errors
    /// When the node is not a middlebox.
    pub fn offload(
        &mut self,
        node: &str,
        passes: impl FnMut(u64, &[u8]) -> bool + 'static,
    ) -> Result<(), TopologyError> {
        let id = self.node(node)?;
        let place = &mut self.nodes[id.0 as usize];
        if !matches!(place.kind, Kind::Middlebox(_)) {
            return Err(TopologyError::WrongRole { node: node.to_owned(), wanted: "a middlebox" });
        }
        place.bypass = Some(Box::new(passes));
        Ok(())
    }

    /// Every packet goes through the box again.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn end_offload(&mut self, node: &str) -> Result<(), TopologyError> {
        let id = self.node(node)?;
        self.nodes[id.0 as usize].bypass = None;
        Ok(())
    }

    pub(super) fn hand_to_box(&mut self, id: NodeId, from: Edge, bytes: Vec<u8>) {
        let now = self.now();
        let mut exits = std::mem::take(&mut self.exits);
        if let Kind::Middlebox(middlebox) = &mut self.nodes[id.0 as usize].kind {
            middlebox.handle(now, from, bytes, &mut exits);
        }
        self.take_exits(id, exits);
        self.watch_box(id);
    }

    /// What came out of a box goes its way.
    fn take_exits(&mut self, id: NodeId, mut exits: Vec<(Edge, Vec<u8>)>) {
        for (edge, bytes) in exits.drain(..) {
            let Some(to) = destination(&bytes) else {
                self.count.dropped += 1;
                continue;
            };
            match edge {
                Edge::Local => self.loop_back(id, bytes),
                Edge::Interface(interface) => {
                    let hop = self.nodes[id.0 as usize].host.site().route_by(interface, to);
                    if let Err(Unclaimed(bytes)) = self.transmit(id, hop, bytes) {
                        self.count.unclaimed += 1;
                        self.complain_behind_box(id, &bytes);
                    }
                }
            }
        }
        self.exits = exits;
    }

    /// Nobody takes what a box sent: its host says so, to itself or through the box.
    fn complain_behind_box(&mut self, id: NodeId, bytes: &[u8]) {
        let now = self.now();
        let Some(header) = Header::read(bytes) else { return };
        let host = &mut self.nodes[id.0 as usize].host;
        if host.site().owns(header.src) {
            return host.handle_unsent(now, IcmpError::HostUnreachable, bytes);
        }
        let Some(from) = host.site().source(header.src) else { return };
        if let Some(error) = icmp_error(IcmpError::HostUnreachable, from, bytes) {
            // Not at once: what a box sends may be the answer to what it is given.
            let parcel = self.pack(error);
            let order = move |world: &mut World| {
                let bytes = world.unpack(parcel);
                world.hand_to_box(id, Edge::Local, bytes);
            };
            self.at(now, order);
        }
    }

    pub(super) fn ring_box(&mut self, id: NodeId) {
        self.note("alarm", id.0, 0);
        self.nodes[id.0 as usize].alarm = NEVER;
        self.look_at_box(id);
        self.watch_box(id);
    }

    pub(super) fn look_at_boxes(&mut self) {
        for node in 0..self.nodes.len() as u32 {
            self.look_at_box(NodeId(node));
        }
    }

    fn look_at_box(&mut self, id: NodeId) {
        let now = self.now();
        let Kind::Middlebox(middlebox) = &mut self.nodes[id.0 as usize].kind else { return };
        let mut exits = std::mem::take(&mut self.exits);
        middlebox.handle_timeout(now, &mut exits);
        self.take_exits(id, exits);
        self.settle(id);
    }

    /// Queues a wake-up for a box, when it wants one before the one that is queued.
    fn watch_box(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.0 as usize];
        let Kind::Middlebox(middlebox) = &node.kind else { return };
        if let Some(at) = middlebox.poll_timeout()
            && at < node.alarm
        {
            node.alarm = at;
            self.queue.push(at, Happening::Alarm(id));
        }
    }
}
