//! Datagrams: requests and their answers, streams, and the one who answers.
//!
//! Each datagram begins with its number in four bytes, so that an answer is known for what it answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{About, App, Content, Event, Peer, Summary, Tally, Trouble};
use crate::host::{Os, UdpId};
use crate::packet::{IcmpError, protocol};
use crate::time::SECOND;

/// Sends datagrams at regular times, and notes the answers.
#[derive(Clone, Debug)]
pub struct Client {
    /// Whom to.
    pub to: SocketAddr,
    /// From this port; zero is any.
    pub port: u16,
    /// How many.
    pub count: u32,
    /// How far apart, in nanoseconds.
    pub interval: u64,
    /// How many bytes each, at least four.
    pub size: usize,
    /// How long to wait for an answer, in nanoseconds; zero is not at all: a stream.
    pub patience: u64,
    /// How often an unanswered one is sent again.
    pub retries: u32,
    socket: Option<UdpId>,
    requests: Vec<Request>,
    sent: Tally,
    received: Tally,
    trouble: Option<Trouble>,
    began: Option<u64>,
    ended: Option<u64>,
}

/// One datagram and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// When it was sent first, in nanoseconds.
    pub sent: u64,
    /// How often.
    pub tries: u32,
    /// When its answer came.
    pub answered: Option<u64>,
    /// Answers beyond the first.
    pub copies: u32,
    /// The ICMP error about it.
    pub error: Option<IcmpError>,
}

const NEXT: u32 = u32::MAX;

impl Client {
    /// So many requests of 64 bytes, a second apart, each with five seconds for its answer.
    pub fn new(to: SocketAddr, count: u32) -> Client {
        Client {
            to,
            port: 0,
            count,
            interval: SECOND,
            size: 64,
            patience: 5 * SECOND,
            retries: 0,
            socket: None,
            requests: Vec::new(),
            sent: Tally::default(),
            received: Tally::default(),
            trouble: None,
            began: None,
            ended: None,
        }
    }

    /// The datagrams sent so far.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// How many were answered.
    pub fn answered(&self) -> usize {
        self.requests.iter().filter(|request| request.answered.is_some()).count()
    }

    fn next(&mut self, os: &mut Os<'_>) {
        let number = self.requests.len() as u32;
        if number < self.count {
            self.requests.push(Request { sent: os.now(), tries: 0, answered: None, copies: 0, error: None });
            self.send(os, number);
            if number + 1 < self.count {
                os.wake_at(os.now() + self.interval, NEXT);
            }
        }
        self.finish_if_complete(os);
    }

    fn send(&mut self, os: &mut Os<'_>, number: u32) {
        let Some(socket) = self.socket else { return };
        let data = datagram(number, self.size);
        if let Err(error) = os.udp_send(socket, self.to, &data) {
            return self.finish(os, Some(Trouble::Os(error)));
        }
        self.sent.add(&data);
        self.requests[number as usize].tries += 1;
        if self.patience > 0 {
            os.wake_at(os.now() + self.patience, number);
        }
    }

    /// A request has had its time.
    fn over(&mut self, os: &mut Os<'_>, number: u32) {
        let Some(request) = self.requests.get(number as usize) else { return };
        let due = request.sent + self.patience * u64::from(request.tries);
        if request.answered.is_some() || self.ended.is_some() || os.now() < due {
            return;
        }
        if request.tries <= self.retries {
            self.send(os, number);
        } else {
            self.finish_if_complete(os);
        }
    }

    fn finish_if_complete(&mut self, os: &mut Os<'_>) {
        let now = os.now();
        let is_settled = |request: &Request| {
            request.answered.is_some()
                || request.error.is_some()
                || request.tries > self.retries
                    && now >= request.sent + self.patience * u64::from(request.tries)
        };
        if self.requests.len() < self.count as usize || !self.requests.iter().all(is_settled) {
            return;
        }
        let missing = self.patience > 0 && self.answered() < self.requests.len();
        let error = self.requests.iter().find_map(|request| request.error).map(Trouble::Icmp);
        self.finish(os, error.or_else(|| missing.then_some(Trouble::Unanswered)));
    }

    fn finish(&mut self, os: &mut Os<'_>, trouble: Option<Trouble>) {
        if self.ended.is_none() {
            self.ended = Some(os.now());
            self.trouble = trouble;
            // A stream's socket stays open for what still comes back.
            if let Some(socket) = self.socket.filter(|_| self.patience > 0) {
                os.udp_close(socket);
            }
        }
    }

    fn answer(&mut self, now: u64, data: &[u8]) {
        let request = number_of(data).and_then(|number| self.requests.get_mut(number as usize));
        let Some(request) = request else { return };
        if request.answered.is_some() {
            request.copies += 1;
        } else {
            request.answered = Some(now);
            self.received.add(data);
        }
    }
}

impl App for Client {
    fn handle(&mut self, os: &mut Os<'_>, event: Event) {
        match event {
            Event::Started => {
                self.began = Some(os.now());
                self.size = self.size.max(4);
                match os.udp_open(SocketAddr::new(any(self.to.ip()), self.port), Some(self.to)) {
                    Ok(socket) => self.socket = Some(socket),
                    Err(error) => return self.finish(os, Some(Trouble::Os(error))),
                }
                self.next(os);
            }
            Event::Woken(NEXT) => self.next(os),
            Event::Woken(number) => self.over(os, number),
            Event::Datagram { data, .. } => {
                self.answer(os.now(), &data);
                self.finish_if_complete(os);
            }
            Event::Error(About::Socket(_), quote) => {
                // Which datagram it was is not told: the oldest that nobody answered.
                let open = |request: &&mut Request| request.answered.is_none() && request.error.is_none();
                if let Some(request) = self.requests.iter_mut().find(open)
                    && !matches!(quote.error, IcmpError::TooBig { .. })
                {
                    request.error = Some(quote.error);
                    self.finish_if_complete(os);
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
            received: self.received.clone(),
            began: self.began,
            ended: self.ended,
        }
    }

    fn peers(&self) -> Vec<Peer> {
        vec![Peer { to: self.to, protocol: protocol::UDP }]
    }
}

/// Takes datagrams, and does with them what it was told.
#[derive(Clone, Debug)]
pub struct Server {
    /// The port.
    pub port: u16,
    /// At this address of the host; none is all.
    pub address: Option<IpAddr>,
    /// What it does.
    pub answer: Answer,
    sockets: Vec<UdpId>,
    streams: Vec<Stream>,
    datagrams: u64,
    sent: Tally,
    received: Tally,
    trouble: Option<Trouble>,
    began: Option<u64>,
}

/// What a server does with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing.
    Nothing,
    /// Sends it back.
    Echo,
    /// Sends so many bytes back.
    Bytes(usize),
    /// Sends a stream back.
    Stream {
        /// How many datagrams.
        count: u32,
        /// How many bytes each.
        size: usize,
        /// How far apart, in nanoseconds.
        interval: u64,
    },
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    socket: UdpId,
    to: SocketAddr,
    sent: u32,
}

impl Server {
    /// A server on a port, of both families.
    pub fn new(port: u16, answer: Answer) -> Server {
        Server {
            port,
            address: None,
            answer,
            sockets: Vec::new(),
            streams: Vec::new(),
            datagrams: 0,
            sent: Tally::default(),
            received: Tally::default(),
            trouble: None,
            began: None,
        }
    }

    /// Datagrams taken so far.
    pub fn datagrams(&self) -> u64 {
        self.datagrams
    }

    fn open(&mut self, os: &mut Os<'_>) {
        self.began = Some(os.now());
        let any = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let addresses: &[IpAddr] = match &self.address {
            Some(address) => std::slice::from_ref(address),
            None => &any,
        };
        for &address in addresses {
            match os.udp_open(SocketAddr::new(address, self.port), None) {
                Ok(socket) => self.sockets.push(socket),
                Err(error) => self.trouble = Some(Trouble::Os(error)),
            }
        }
    }

    fn send(&mut self, os: &mut Os<'_>, socket: UdpId, to: SocketAddr, data: &[u8]) {
        match os.udp_send(socket, to, data) {
            Ok(()) => self.sent.add(data),
            Err(error) => self.trouble = Some(Trouble::Os(error)),
        }
    }

    fn go_on(&mut self, os: &mut Os<'_>, at: u32) {
        let Answer::Stream { count, size, interval } = self.answer else { return };
        let Some(stream) = self.streams.get_mut(at as usize).filter(|stream| stream.sent < count) else {
            return;
        };
        let (socket, to, number) = (stream.socket, stream.to, stream.sent);
        stream.sent += 1;
        self.send(os, socket, to, &datagram(number, size));
        if number + 1 < count {
            os.wake_at(os.now() + interval, at);
        }
    }
}

impl App for Server {
    fn handle(&mut self, os: &mut Os<'_>, event: Event) {
        match event {
            Event::Started => self.open(os),
            Event::Woken(stream) => self.go_on(os, stream),
            Event::Datagram { socket, from, data, .. } => {
                self.datagrams += 1;
                self.received.add(&data);
                match self.answer {
                    Answer::Nothing => {}
                    Answer::Echo => self.send(os, socket, from, &data),
                    Answer::Bytes(size) => {
                        self.send(os, socket, from, &datagram(number_of(&data).unwrap_or(0), size));
                    }
                    Answer::Stream { .. } => {
                        self.streams.push(Stream { socket, to: from, sent: 0 });
                        self.go_on(os, self.streams.len() as u32 - 1);
                    }
                }
            }
            _ => {}
        }
    }

    fn summary(&self) -> Summary {
        Summary {
            is_done: false,
            trouble: self.trouble.clone(),
            sent: self.sent.clone(),
            received: self.received.clone(),
            began: self.began,
            ended: None,
        }
    }
}

fn datagram(number: u32, size: usize) -> Vec<u8> {
    let mut data = Content(u64::from(number)).bytes(size.max(4));
    data[..4].copy_from_slice(&number.to_be_bytes());
    data
}

fn number_of(data: &[u8]) -> Option<u32> {
    data.first_chunk().map(|number| u32::from_be_bytes(*number))
}

/// The unspecified address of another's family.
pub(super) fn any(other: IpAddr) -> IpAddr {
    if other.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}
