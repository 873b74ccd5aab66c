//! A TCP client with one connection, and a server with many.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use super::{Act, App, Content, Event, Peer, Reading, Summary, Talk, Talked, Tally, Trouble};
use crate::host::{ConnId, Os, TcpOptions};
use crate::packet::protocol;

/// Opens a connection and does what it was told on it.
#[derive(Clone, Debug)]
pub struct Client {
    /// Whom to.
    pub to: SocketAddr,
    /// From this address of the host; none is the one that its routes say.
    pub address: Option<IpAddr>,
    /// From this port; none is any.
    pub port: Option<u16>,
    /// How the connection is to behave.
    pub options: TcpOptions,
    /// How fast it reads.
    pub reading: Reading,
    /// What [`Act::Send`] sends.
    pub content: Content,
    plan: Vec<Act>,
    talk: Option<Talk>,
    trouble: Option<Trouble>,
    began: Option<u64>,
    done: Option<u64>,
}

impl Client {
    /// A client of somebody, with a plan.
    pub fn new(to: SocketAddr, plan: Vec<Act>) -> Client {
        Client {
            to,
            address: None,
            port: None,
            options: TcpOptions::default(),
            reading: Reading::Fast,
            content: Content::default(),
            plan,
            talk: None,
            trouble: None,
            began: None,
            done: None,
        }
    }

    /// One more act, after all the others.
    pub fn then(&mut self, os: &mut Os<'_>, act: Act) {
        match &mut self.talk {
            Some(talk) => talk.then(os, act, 0),
            None => self.plan.push(act),
        }
        self.note(os);
    }

    /// Reads in another way from now on.
    pub fn read(&mut self, os: &mut Os<'_>, reading: Reading) {
        self.reading = reading;
        if let Some(talk) = &mut self.talk {
            talk.read(os, reading, 0);
        }
        self.note(os);
    }

    /// The connection, once it was asked for.
    pub fn conn(&self) -> Option<ConnId> {
        self.talk.as_ref().map(Talk::conn)
    }

    /// What became of the connection.
    pub fn report(&self) -> Option<&Talked> {
        self.talk.as_ref().map(Talk::report)
    }

    fn note(&mut self, os: &Os<'_>) {
        let is_done = match &self.talk {
            Some(talk) => talk.is_over() || (talk.unfinished() == 0 && !self.plan.is_empty()),
            None => self.trouble.is_some(),
        };
        if is_done {
            self.done.get_or_insert(os.now());
        } else {
            self.done = None;
        }
    }
}

impl App for Client {
    fn handle(&mut self, os: &mut Os<'_>, event: Event) {
        if event == Event::Started {
            self.began = Some(os.now());
            match os.connect(self.to, self.address, self.port, &self.options) {
                Ok(conn) => {
                    self.talk = Some(Talk::new(os, conn, self.plan.clone(), self.reading, self.content));
                }
                Err(error) => self.trouble = Some(Trouble::Os(error)),
            }
        } else if let Some(talk) = &mut self.talk {
            talk.handle(os, &event, 0);
        }
        self.note(os);
    }

    fn summary(&self) -> Summary {
        let report = self.report();
        Summary {
            is_done: self.done.is_some(),
            trouble: self.trouble.clone().or_else(|| report?.trouble.clone()),
            sent: report.map(|report| report.sent.clone()).unwrap_or_default(),
            received: report.map(|report| report.received.clone()).unwrap_or_default(),
            began: self.began,
            ended: self.done,
        }
    }

    fn peers(&self) -> Vec<Peer> {
        vec![Peer { to: self.to, protocol: protocol::TCP }]
    }
}

/// Takes connections and does the same on each.
#[derive(Clone, Debug)]
pub struct Server {
    /// The port.
    pub port: u16,
    /// Only at this address of the host; none is all.
    pub address: Option<IpAddr>,
    /// How the connections are to behave.
    pub options: TcpOptions,
    /// How fast it reads.
    pub reading: Reading,
    /// What [`Act::Send`] sends.
    pub content: Content,
    /// How many connections that are over it remembers.
    pub memory: usize,
    plan: Vec<Act>,
    talks: BTreeMap<ConnId, (u32, Talk)>,
    /// Talks by the tokens that wake them.
    tokens: BTreeMap<u32, ConnId>,
    next_token: u32,
    past: VecDeque<Talked>,
    accepted: u64,
    over: u64,
    trouble: Option<Trouble>,
    began: Option<u64>,
}

impl Server {
    /// A server with a plan for each connection.
    pub fn new(port: u16, plan: Vec<Act>) -> Server {
        Server {
            port,
            address: None,
            options: TcpOptions::default(),
            reading: Reading::Fast,
            content: Content::default(),
            memory: 1000,
            plan,
            talks: BTreeMap::new(),
            tokens: BTreeMap::new(),
            next_token: 0,
            past: VecDeque::new(),
            accepted: 0,
            over: 0,
            trouble: None,
            began: None,
        }
    }

    /// A server that sends back what it gets, and closes when the other side does.
    pub fn echo(port: u16) -> Server {
        Server::new(port, vec![Act::Echo, Act::Close])
    }

    /// A server that takes everything and says nothing, and closes when the other side does.
    pub fn sink(port: u16) -> Server {
        Server::new(port, vec![Act::ReceiveAll, Act::Close])
    }

    /// A server that sends so many bytes to whoever comes, and closes.
    pub fn source(port: u16, bytes: u64) -> Server {
        Server::new(port, vec![Act::Send(bytes), Act::Close])
    }

    /// Connections taken so far.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Connections that are over.
    pub fn over(&self) -> u64 {
        self.over
    }

    /// Connections, first those that are over and remembered, then those that live, in the order in which they came.
    pub fn reports(&self) -> impl Iterator<Item = &Talked> {
        self.past.iter().chain(self.talks.values().map(|(_, talk)| talk.report()))
    }

    /// One more act on each connection that lives.
    pub fn then(&mut self, os: &mut Os<'_>, act: &Act) {
        for (token, talk) in self.talks.values_mut() {
            talk.then(os, act.clone(), *token);
        }
        let over: Vec<ConnId> =
            self.talks.iter().filter(|(_, talk)| talk.1.is_over()).map(|(&conn, _)| conn).collect();
        over.into_iter().for_each(|conn| self.forget(conn));
    }

    fn take(&mut self, os: &mut Os<'_>, conn: ConnId) {
        self.accepted += 1;
        let token = self.next_token;
        self.next_token = self.next_token.wrapping_add(1);
        let talk = Talk::new(os, conn, self.plan.clone(), self.reading, self.content);
        self.tokens.insert(token, conn);
        self.talks.insert(conn, (token, talk));
    }

    fn forget(&mut self, conn: ConnId) {
        let Some((token, talk)) = self.talks.remove(&conn) else { return };
        self.tokens.remove(&token);
        self.over += 1;
        if self.memory > 0 {
            if self.past.len() >= self.memory {
                self.past.pop_front();
            }
            self.past.push_back(talk.report().clone());
        }
    }
}

impl App for Server {
    fn handle(&mut self, os: &mut Os<'_>, event: Event) {
        let conn = match event {
            Event::Started => {
                self.began = Some(os.now());
                self.trouble = os.listen(self.address, self.port, self.options).err().map(Trouble::Os);
                return;
            }
            Event::Accepted(conn) => {
                self.take(os, conn);
                conn
            }
            Event::Woken(token) => match self.tokens.get(&token) {
                Some(&conn) => conn,
                None => return,
            },
            Event::Readable(conn)
            | Event::Writable(conn)
            | Event::PeerClosed(conn)
            | Event::Closed(conn, _)
            | Event::Error(super::About::Conn(conn), _) => conn,
            _ => return,
        };
        let Some((token, talk)) = self.talks.get_mut(&conn) else { return };
        talk.handle(os, &event, *token);
        if talk.is_over() {
            self.forget(conn);
        }
    }

    fn summary(&self) -> Summary {
        let mut summary = Summary { trouble: self.trouble.clone(), began: self.began, ..Summary::default() };
        // Of several connections the bytes have no common hash; of one they do.
        let mut reports = self.reports();
        if let (Some(only), None) = (reports.next(), reports.next()) {
            (summary.sent, summary.received) = (only.sent.clone(), only.received.clone());
        } else {
            summary.sent = Tally::default();
        }
        summary
    }
}
