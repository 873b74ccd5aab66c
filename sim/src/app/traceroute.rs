//! The routers on the way, found by datagrams that may not pass so many.

use std::net::{IpAddr, SocketAddr};

use super::udp::any;
use super::{About, App, Event, Peer, Summary, Tally, Trouble};
use crate::host::{Os, UdpId};
use crate::packet::{IcmpError, protocol};
use crate::time::SECOND;

/// Sends a datagram for each hop, the next one when the one before was answered or given up.
#[derive(Clone, Debug)]
pub struct Traceroute {
    /// Where to.
    pub to: IpAddr,
    /// The first datagram's port; each next one has the next.
    pub port: u16,
    /// The most hops.
    pub most: u8,
    /// How long to wait for each answer, in nanoseconds.
    pub patience: u64,
    socket: Option<UdpId>,
    hops: Vec<TraceHop>,
    sent: Tally,
    trouble: Option<Trouble>,
    began: Option<u64>,
    ended: Option<u64>,
}

/// A hop, the nearest being the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceHop {
    /// When the datagram was sent, in nanoseconds.
    pub sent: u64,
    /// Who answered, with what, and when.
    pub answer: Option<(IpAddr, IcmpError, u64)>,
}

impl Traceroute {
    /// The way to an address, as `traceroute` looks for it: port 33434, 30 hops, five seconds each.
    pub fn new(to: IpAddr) -> Traceroute {
        Traceroute {
            to,
            port: 33_434,
            most: 30,
            patience: 5 * SECOND,
            socket: None,
            hops: Vec::new(),
            sent: Tally::default(),
            trouble: None,
            began: None,
            ended: None,
        }
    }

    /// The hops found so far.
    pub fn hops(&self) -> &[TraceHop] {
        &self.hops
    }

    /// Who answered at each hop.
    pub fn routers(&self) -> Vec<Option<IpAddr>> {
        self.hops.iter().map(|hop| hop.answer.map(|(from, ..)| from)).collect()
    }

    fn next(&mut self, os: &mut Os<'_>) {
        let hop_limit = self.hops.len() as u8 + 1;
        if hop_limit > self.most {
            return self.finish(os, Some(Trouble::Unanswered));
        }
        let Some(socket) = self.socket else { return };
        let to = SocketAddr::new(self.to, self.port + u16::from(hop_limit) - 1);
        let data = [hop_limit; 32];
        if let Err(error) = os.udp_send_within(socket, to, hop_limit, &data) {
            return self.finish(os, Some(Trouble::Os(error)));
        }
        self.sent.add(&data);
        self.hops.push(TraceHop { sent: os.now(), answer: None });
        os.wake_at(os.now() + self.patience, u32::from(hop_limit));
    }

    fn finish(&mut self, os: &mut Os<'_>, trouble: Option<Trouble>) {
        if self.ended.is_none() {
            self.ended = Some(os.now());
            self.trouble = trouble;
            if let Some(socket) = self.socket {
                os.udp_close(socket);
            }
        }
    }
}

impl App for Traceroute {
    fn handle(&mut self, os: &mut Os<'_>, event: Event) {
        match event {
            Event::Started => {
                self.began = Some(os.now());
                match os.udp_open(SocketAddr::new(any(self.to), 0), None) {
                    Ok(socket) => self.socket = Some(socket),
                    Err(error) => return self.finish(os, Some(Trouble::Os(error))),
                }
                self.next(os);
            }
            Event::Woken(hop) => {
                let is_current = hop as usize == self.hops.len() && self.ended.is_none();
                if is_current && self.hops.last().is_some_and(|hop| hop.answer.is_none()) {
                    self.next(os);
                }
            }
            Event::Error(About::Socket(_), quote) => {
                let place = usize::from(quote.dst.port().wrapping_sub(self.port));
                let is_last = place + 1 == self.hops.len();
                let Some(hop) = self.hops.get_mut(place).filter(|hop| hop.answer.is_none()) else { return };
                hop.answer = Some((quote.reporter, quote.error, os.now()));
                match quote.error {
                    IcmpError::TimeExceeded if is_last => self.next(os),
                    IcmpError::TimeExceeded => {}
                    IcmpError::PortUnreachable => self.finish(os, None),
                    error => self.finish(os, Some(Trouble::Icmp(error))),
                }
            }
            _ => {}
        }
    }

    fn summary(&self) -> Summary {
        Summary {
            is_done: self.ended.is_some(),
            trouble: self.trouble.clone(),
            sent: self.sent.clone(),
            received: Tally::default(),
            began: self.began,
            ended: self.ended,
        }
    }

    fn peers(&self) -> Vec<Peer> {
        vec![Peer { to: SocketAddr::new(self.to, 0), protocol: protocol::UDP }]
    }
}
