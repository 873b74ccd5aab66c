//! The reference tracker as the box in the middle of a simulated world: our engine, and a router around it.
//!
//! Packets are tracked where they come in, routed as any router does, and confirmed where they leave, so that one which
//! the router drops leaves no entry. Fragments that the tracker holds are held here too, and go on as they came.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use conntruth_engine::{Class, Engine, Hook, Outcome, Packet, Passage, Profile, Time, Verdict};
use conntruth_sim::middlebox::{Edge, Middlebox, fit, forward};
use conntruth_sim::packet::Header;
use conntruth_sim::topology::Site;

/// A router with our tracker in it.
pub struct Tracked {
    engine: Engine,
    site: Site,
    gathering: Gathering,
    /// Names for datagrams that are cut on the way out.
    ident: u32,
    passed: Option<VecDeque<Passed>>,
}

/// A packet that went by the tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// When.
    pub at: Time,
    /// Where it came in.
    pub from: Edge,
    /// Where it went on; none where it was held or dropped.
    pub to: Option<Edge>,
    /// The packet as it came in.
    pub bytes: Vec<u8>,
    /// What the tracker said.
    pub outcome: Outcome,
}

const NANOS: u64 = 1_000_000_000;

/// What names a datagram among fragments.
type Datagram = (IpAddr, IpAddr, u32, u8);

/// Fragments that a tracker holds, until their datagram is whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gathering {
    held: BTreeMap<Datagram, Vec<Vec<u8>>>,
}

/// A packet that goes no further, and the ICMP error that its sender is due.
struct Complaint(Option<Vec<u8>>);

impl Gathering {
    /// A fragment that the tracker holds waits for the others; what is whole goes on, piece by piece, in order.
    pub(crate) fn gather(
        &mut self,
        bytes: Vec<u8>,
        header: &Header,
        verdict: Verdict,
        class: Class,
    ) -> Vec<Vec<u8>> {
        let Some(slice) = header.fragment else { return vec![bytes] };
        let protocol = if header.src.is_ipv4() { header.protocol } else { 0 };
        let datagram = (header.src, header.dst, slice.ident, protocol);
        if verdict == Verdict::Drop {
            self.held.remove(&datagram);
            return Vec::new();
        }
        let pieces = self.held.entry(datagram).or_default();
        // A copy of what is there already is no piece of its own.
        if !pieces.contains(&bytes) {
            pieces.push(bytes);
        }
        if class == Class::Held {
            return Vec::new();
        }
        let mut pieces = self.held.remove(&datagram).unwrap_or_default();
        let offset =
            |bytes: &Vec<u8>| Header::read(bytes).and_then(|header| header.fragment).map_or(0, |s| s.offset);
        pieces.sort_by_key(offset);
        pieces
    }
}

impl Tracked {
    /// A tracker with these semantics, and an empty table.
    pub fn new(profile: &'static Profile) -> Tracked {
        Tracked::with_engine(Engine::new(profile))
    }

    /// A tracker as it stands.
    pub fn with_engine(engine: Engine) -> Tracked {
        let site = Site { name: String::new(), interfaces: Vec::new(), routes: Vec::new() };
        Tracked { engine, site, gathering: Gathering::default(), ident: 0, passed: None }
    }

    /// The tracker.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// Keeps what it says of each packet from now on, for [`Tracked::poll_passed`].
    pub fn keep(&mut self) {
        self.passed.get_or_insert_default();
    }

    /// The next packet that it kept, oldest first.
    pub fn poll_passed(&mut self) -> Option<Passed> {
        self.passed.as_mut()?.pop_front()
    }

    /// Between the hooks, as a router: where the pieces go, or the ICMP error about them.
    fn route(
        &self,
        from: Edge,
        header: &Header,
        pieces: Vec<Vec<u8>>,
    ) -> Result<(Edge, Vec<Vec<u8>>), Complaint> {
        if self.site.owns(header.dst) {
            return Ok((Edge::Local, pieces));
        }
        let Edge::Interface(from) = from else {
            let hop = self.site.route(header.dst).ok_or(Complaint(None))?;
            return Ok((Edge::Interface(hop.interface), pieces));
        };
        let mut out = Vec::with_capacity(pieces.len());
        let mut to = Edge::Local;
        for piece in pieces {
            let forwarded = forward(&self.site, from, piece).map_err(|dropped| Complaint(dropped.error))?;
            to = Edge::Interface(forwarded.hop.interface);
            out.push(forwarded.bytes);
        }
        Ok((to, out))
    }

    fn confirm(
        &mut self,
        now: Time,
        passage: Passage,
        to: Edge,
        pieces: Vec<Vec<u8>>,
        out: &mut Vec<(Edge, Vec<u8>)>,
    ) -> Outcome {
        let outcome = self.engine.confirm(now, passage);
        if outcome.verdict == Verdict::Drop {
            return outcome;
        }
        self.ident = self.ident.wrapping_add(1);
        for piece in pieces {
            match to {
                Edge::Local => out.push((to, piece)),
                Edge::Interface(interface) => {
                    let mtu = self.site.interfaces[interface].mtu;
                    out.extend(fit(piece, mtu, self.ident).into_iter().map(|piece| (to, piece)));
                }
            }
        }
        outcome
    }
}

impl Middlebox for Tracked {
    fn install(&mut self, site: &Site) -> Result<(), String> {
        self.site = site.clone();
        Ok(())
    }

    fn handle(&mut self, now: u64, from: Edge, packet: Vec<u8>, out: &mut Vec<(Edge, Vec<u8>)>) {
        let now = Time(now);
        let hook = match from {
            Edge::Interface(_) => Hook::Prerouting,
            Edge::Local => Hook::Output,
        };
        let kept = self.passed.is_some().then(|| packet.clone());
        let passage = self.engine.handle(now, hook, &Packet::new(&packet));
        let first = *passage.outcome();
        let mut to = None;
        let mut error = None;
        let outcome = match Header::read(&packet).filter(|_| first.class != Class::Discarded) {
            None => self.engine.discard(passage),
            Some(header) => {
                let pieces = self.gathering.gather(packet, &header, first.verdict, first.class);
                if pieces.is_empty() || first.verdict == Verdict::Drop {
                    self.engine.discard(passage)
                } else {
                    match self.route(from, &header, pieces) {
                        Ok((edge, pieces)) => {
                            let outcome = self.confirm(now, passage, edge, pieces, out);
                            to = (outcome.verdict == Verdict::Accept).then_some(edge);
                            outcome
                        }
                        Err(Complaint(complaint)) => {
                            error = complaint;
                            self.engine.discard(passage)
                        }
                    }
                }
            }
        };
        if let (Some(passed), Some(bytes)) = (&mut self.passed, kept) {
            passed.push_back(Passed { at: now, from, to, bytes, outcome });
        }
        if let Some(error) = error {
            self.handle(now.0, Edge::Local, error, out);
        }
    }

    fn poll_timeout(&self) -> Option<u64> {
        // It works once a tick, and what it has filed since the last one may seem due already.
        let tick = NANOS / u64::from(self.engine.profile().hz);
        let next = self.engine.now().as_nanos() + tick;
        self.engine.poll_timeout().map(|at| at.as_nanos().max(next))
    }

    fn handle_timeout(&mut self, now: u64, _out: &mut Vec<(Edge, Vec<u8>)>) {
        self.engine.handle_timeouts(Time(now));
    }
}
