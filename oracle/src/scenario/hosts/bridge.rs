//! Any lock-step [`Target`] as the box in the middle of a world.
//!
//! A world cannot hold a target that somebody else owns, so the box in the world is a letter box: what comes in lies there
//! until the runner, between two events of the world, hands it to the target; what the target lets pass leaves in the
//! same moment. Routing is done here, as for the reference in the library's `Tracked`: tracked where it comes in, routed,
//! confirmed where it leaves.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use conntruth_engine::{Class, Time, Verdict};
use conntruth_sim::middlebox::{Edge, Middlebox, fit, forward};
use conntruth_sim::packet::Header;
use conntruth_sim::topology::Site;

use crate::middlebox::Gathering;
use crate::target::{Arrival, Fate, Observation, Path, Refusal, Target};

use super::numbers::complete;

/// What lies between the world and the target.
#[derive(Debug, Default)]
struct Letters {
    site: Option<Site>,
    now: u64,
    incoming: VecDeque<(Edge, Vec<u8>)>,
    outgoing: VecDeque<(Edge, Vec<u8>)>,
}

/// The box in the world.
pub(super) struct LetterBox(Rc<RefCell<Letters>>);

/// The target's side of it.
#[derive(Debug, Default)]
pub(super) struct Bridge {
    letters: Rc<RefCell<Letters>>,
    gathering: Gathering,
    /// Names for datagrams that are cut on the way out.
    ident: u32,
    /// Whether rules may translate a packet's destination.
    translates: bool,
}

/// A packet that went by the target.
#[derive(Clone, Debug)]
pub(crate) struct Handed {
    /// As it was handed over.
    pub arrival: Arrival,
    /// What the target said.
    pub observation: Observation,
    /// Whether it went on.
    pub passed: bool,
}

impl Middlebox for LetterBox {
    fn install(&mut self, site: &Site) -> Result<(), String> {
        self.0.borrow_mut().site = Some(site.clone());
        Ok(())
    }

    fn handle(&mut self, now: u64, from: Edge, packet: Vec<u8>, _out: &mut Vec<(Edge, Vec<u8>)>) {
        let mut letters = self.0.borrow_mut();
        letters.now = now;
        letters.incoming.push_back((from, packet));
    }

    fn poll_timeout(&self) -> Option<u64> {
        let letters = self.0.borrow();
        (!letters.incoming.is_empty() || !letters.outgoing.is_empty()).then_some(letters.now)
    }

    fn handle_timeout(&mut self, _now: u64, out: &mut Vec<(Edge, Vec<u8>)>) {
        out.extend(self.0.borrow_mut().outgoing.drain(..));
    }
}

impl Bridge {
    /// A bridge to a target that translates destinations, or does not.
    pub(super) fn new(translates: bool) -> Bridge {
        Bridge { translates, ..Bridge::default() }
    }

    /// The box to be put into the world.
    pub(super) fn letter_box(&self) -> LetterBox {
        LetterBox(Rc::clone(&self.letters))
    }

    /// Whether something waits to be handed over.
    pub(super) fn has_mail(&self) -> bool {
        !self.letters.borrow().incoming.is_empty()
    }

    /// Hands the oldest packet to the target. `like` is what a step said of it, where a step sent it.
    ///
    /// # Errors
    /// When the target does not take it.
    pub(super) fn hand_over(
        &mut self,
        target: &mut dyn Target,
        like: impl FnOnce(&[u8]) -> Option<Arrival>,
    ) -> Result<Option<Handed>, Refusal> {
        let (site, now, letter) = {
            let mut letters = self.letters.borrow_mut();
            let letter = letters.incoming.pop_front();
            (letters.site.clone(), letters.now, letter)
        };
        let (Some(site), Some((from, bytes))) = (site, letter) else { return Ok(None) };
        let header = Header::read(&bytes);
        let said = like(&bytes);
        let way = header.as_ref().map(|header| Way::find(&site, from, header, &bytes));
        let name = |edge: Option<Edge>| match edge {
            Some(Edge::Interface(at)) => Some(site.interfaces[at].name.clone()),
            _ => None,
        };
        let to = way.as_ref().map_or(Some(other_side(&site, from)), |way| way.to);
        // Where destinations are translated its way is known only behind that.
        let is_stopped = !self.translates && way.as_ref().is_some_and(|way| way.to.is_none());
        let mut arrival = Arrival {
            at: Time(now),
            path: path(from, to),
            iif: name(Some(from)),
            oif: name(to),
            fate: if is_stopped { Fate::Dropped } else { Fate::Passes },
            notrack: false,
            zone: 0,
            mark: None,
            helper: None,
            follows: false,
            bytes,
        };
        if let Some(said) = said {
            arrival.notrack = said.notrack;
            arrival.zone = said.zone;
            if said.fate == Fate::Dropped {
                arrival.fate = Fate::Dropped;
            }
        }
        let observation = target.packet(&arrival)?;
        self.answer(&site, &observation);
        let mut passed = false;
        // A kernel that has changed what a segment says leaves its checksum to the device.
        let left = observation.left.as_deref().and_then(|left| {
            let header = Header::read(left)?;
            Some((completed(&header, left.to_vec()), header))
        });
        let way = match &left {
            Some((bytes, header)) => Some(Way::find(&site, from, header, bytes)),
            None => way,
        };
        if let (Some(header), Some(way)) = (&header, way)
            && observation.class != Class::Discarded
        {
            let verdict = if arrival.fate == Fate::Dropped { Verdict::Drop } else { observation.verdict };
            let pieces = self.gathering.gather(arrival.bytes.clone(), header, verdict, observation.class);
            passed = verdict == Verdict::Accept && !pieces.is_empty();
            // What is translated leaves as a whole, and is cut again as the next link needs it.
            let pieces = left.map_or(pieces, |(bytes, _)| vec![bytes]);
            match (way.to, way.error) {
                (Some(edge), _) if passed => self.leave(&site, from, edge, pieces),
                (None, Some(error)) if observation.by.is_none() => {
                    self.letters.borrow_mut().incoming.push_front((Edge::Local, error));
                }
                _ => {}
            }
        }
        Ok(Some(Handed { arrival, observation, passed }))
    }

    /// What rules send in return, already tracked, goes where its receiver is.
    fn answer(&mut self, site: &Site, observation: &Observation) {
        let mut letters = self.letters.borrow_mut();
        for sent in observation.sent.iter().filter(|sent| sent.verdict == Verdict::Accept) {
            let Some(header) = Header::read(&sent.bytes) else { continue };
            let edge = match site.owns(header.dst) {
                true => Some(Edge::Local),
                false => site.route(header.dst).map(|hop| Edge::Interface(hop.interface)),
            };
            letters.outgoing.extend(edge.map(|edge| (edge, completed(&header, sent.bytes.clone()))));
        }
    }

    /// Puts what goes on where the world finds it.
    fn leave(&mut self, site: &Site, from: Edge, edge: Edge, pieces: Vec<Vec<u8>>) {
        self.ident = self.ident.wrapping_add(1);
        let mut letters = self.letters.borrow_mut();
        for piece in pieces {
            match (edge, from) {
                (Edge::Local, _) => letters.outgoing.push_back((edge, piece)),
                (Edge::Interface(to), Edge::Interface(at)) => {
                    // The hop limit of each piece is lowered, as on any router.
                    let Ok(forwarded) = forward(site, at, piece) else { continue };
                    let mtu = site.interfaces[to].mtu;
                    let cut = fit(forwarded.bytes, mtu, self.ident);
                    letters.outgoing.extend(cut.into_iter().map(|piece| (edge, piece)));
                }
                (Edge::Interface(to), Edge::Local) => {
                    let cut = fit(piece, site.interfaces[to].mtu, self.ident);
                    letters.outgoing.extend(cut.into_iter().map(|piece| (edge, piece)));
                }
            }
        }
    }
}

/// A TCP segment with its checksum made right: a kernel leaves that to the device, and shows the packet before.
fn completed(header: &Header, mut bytes: Vec<u8>) -> Vec<u8> {
    complete(header, &mut bytes);
    bytes
}

/// Where a packet would go.
struct Way {
    /// None where it goes nowhere.
    to: Option<Edge>,
    /// The ICMP error that its sender is due then.
    error: Option<Vec<u8>>,
}

impl Way {
    fn find(site: &Site, from: Edge, header: &Header, bytes: &[u8]) -> Way {
        if site.owns(header.dst) {
            return Way { to: Some(Edge::Local), error: None };
        }
        match from {
            Edge::Local => {
                let hop = site.route(header.dst);
                Way { to: hop.map(|hop| Edge::Interface(hop.interface)), error: None }
            }
            Edge::Interface(at) => match forward(site, at, bytes.to_vec()) {
                Ok(forwarded) => Way { to: Some(Edge::Interface(forwarded.hop.interface)), error: None },
                Err(dropped) => Way { to: None, error: dropped.error },
            },
        }
    }
}

/// Where a packet that cannot be read would have gone.
fn other_side(site: &Site, from: Edge) -> Edge {
    match from {
        Edge::Interface(0) if site.interfaces.len() > 1 => Edge::Interface(1),
        _ => Edge::Interface(0),
    }
}

fn path(from: Edge, to: Option<Edge>) -> Path {
    match (from, to) {
        (Edge::Interface(_), Some(Edge::Local)) => Path::Input,
        (Edge::Interface(_), _) => Path::Forward,
        (Edge::Local, Some(Edge::Local)) => Path::Loopback,
        (Edge::Local, _) => Path::Output,
    }
}
