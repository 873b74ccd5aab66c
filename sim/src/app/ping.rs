//! Echo requests at regular times, and what came back.

use std::net::{IpAddr, SocketAddr};

use super::{About, App, Content, Event, Peer, Summary, Tally, Trouble};
use crate::host::Os;
use crate::packet::{IcmpError, protocol};
use crate::time::SECOND;

/// Sends echo requests.
#[derive(Clone, Debug)]
pub struct Ping {
    /// Whom to.
    pub to: IpAddr,
    /// How many.
    pub count: u16,
    /// How far apart, in nanoseconds.
    pub interval: u64,
    /// How long to wait for the last reply, in nanoseconds.
    pub patience: u64,
    /// How many bytes to have sent back.
    pub size: usize,
    /// How many routers a request may pass.
    pub hop_limit: u8,
    /// The identifier, where that is free; none is any.
    pub wish: Option<u16>,
    ident: Option<u16>,
    probes: Vec<Probe>,
    sent: Tally,
    received: Tally,
    trouble: Option<Trouble>,
    began: Option<u64>,
    ended: Option<u64>,
}

/// One echo request and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// When it was sent, in nanoseconds.
    pub sent: u64,
    /// When its reply came.
    pub answered: Option<u64>,
    /// Replies beyond the first.
    pub copies: u32,
    /// The ICMP error about it, and who sent that.
    pub error: Option<(IcmpError, IpAddr)>,
}

impl Ping {
    /// So many requests, a second apart, with 56 bytes.
    pub fn new(to: IpAddr, count: u16) -> Ping {
        Ping {
            to,
            count,
            interval: SECOND,
            patience: 10 * SECOND,
            size: 56,
            hop_limit: 64,
            wish: None,
            ident: None,
            probes: Vec::new(),
            sent: Tally::default(),
            received: Tally::default(),
            trouble: None,
            began: None,
            ended: None,
        }
    }

    /// The requests sent so far.
    pub fn probes(&self) -> &[Probe] {
        &self.probes
    }

    /// How many were answered.
    pub fn answered(&self) -> usize {
        self.probes.iter().filter(|probe| probe.answered.is_some()).count()
    }

    /// Round trips of those that were answered, in nanoseconds.
    pub fn round_trips(&self) -> impl Iterator<Item = u64> + '_ {
        self.probes.iter().filter_map(|probe| Some(probe.answered? - probe.sent))
    }

    fn send(&mut self, os: &mut Os<'_>) {
        let Some(ident) = self.ident else { return };
        let seq = self.probes.len() as u16;
        let data = Content(u64::from(seq)).bytes(self.size);
        match os.ping(ident, seq, self.to, self.hop_limit, &data) {
            Ok(()) => self.sent.add(&data),
            Err(error) => return self.finish(os, Some(Trouble::Os(error))),
        }
        self.probes.push(Probe { sent: os.now(), answered: None, copies: 0, error: None });
        let wait = if self.probes.len() < usize::from(self.count) { self.interval } else { self.patience };
        os.wake_at(os.now() + wait, self.probes.len() as u32);
    }

    fn finish(&mut self, os: &mut Os<'_>, trouble: Option<Trouble>) {
        if self.ended.is_none() {
            self.ended = Some(os.now());
            self.trouble = trouble;
            if let Some(ident) = self.ident {
                os.ping_close(ident);
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.probes.len() >= usize::from(self.count)
            && self.probes.iter().all(|probe| probe.answered.is_some() || probe.error.is_some())
    }

    fn finish_if_complete(&mut self, os: &mut Os<'_>) {
        if self.is_complete() {
            let error = self.probes.iter().find_map(|probe| probe.error).filter(|_| self.answered() == 0);
            self.finish(os, error.map(|(error, _)| Trouble::Icmp(error)));
        }
    }
}

impl App for Ping {
    fn handle(&mut self, os: &mut Os<'_>, event: Event) {
        match event {
            Event::Started => {
                self.began = Some(os.now());
                match os.ping_open(self.wish) {
                    Ok(ident) => self.ident = Some(ident),
                    Err(error) => return self.finish(os, Some(Trouble::Os(error))),
                }
                self.send(os);
            }
            Event::Woken(number) if number as usize == self.probes.len() && self.ended.is_none() => {
                if self.probes.len() < usize::from(self.count) {
                    self.send(os);
                } else {
                    let trouble = (self.answered() == 0).then_some(Trouble::Unanswered);
                    self.finish(os, trouble);
                }
            }
            Event::Echo { seq, data, .. } => {
                let is_intact = data == Content(u64::from(seq)).bytes(self.size);
                let Some(probe) = self.probes.get_mut(usize::from(seq)).filter(|_| is_intact) else { return };
                if probe.answered.is_some() {
                    probe.copies += 1;
                    return;
                }
                probe.answered = Some(os.now());
                self.received.add(&data);
                self.finish_if_complete(os);
            }
            Event::Error(About::Ping { seq, .. }, quote) => {
                if let Some(probe) = self.probes.get_mut(usize::from(seq)) {
                    probe.error.get_or_insert((quote.error, quote.reporter));
                }
                // Too large a request goes out again in pieces, as the next one will.
                self.finish_if_complete(os);
            }
            _ => {}
        }
    }

    fn summary(&self) -> Summary {
        Summary {
            is_done: self.ended.is_some(),
            trouble: self.trouble.clone(),
            sent: self.sent.clone(),
            received: self.received.clone(),
            began: self.began,
            ended: self.ended,
        }
    }

    fn peers(&self) -> Vec<Peer> {
        let protocol = if self.to.is_ipv4() { protocol::ICMP } else { protocol::ICMPV6 };
        vec![Peer { to: SocketAddr::new(self.to, 0), protocol }]
    }
}
