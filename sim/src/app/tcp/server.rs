//! A TCP server.

use std::net::{IpAddr, SocketAddr};

use super::talks::Talks;
use crate::app::{Act, App, Content, Event, Reading, Summary, Talked, Trouble};
use crate::host::{Os, TcpOptions};

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
    talks: Talks,
    accepted: u64,
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
            talks: Talks::default(),
            accepted: 0,
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
        self.talks.over().0
    }

    /// Connections, first those that are over and remembered, then those that live.
    pub fn reports(&self) -> impl Iterator<Item = &Talked> {
        self.talks.reports()
    }

    /// One more act on each connection that lives.
    pub fn then(&mut self, os: &mut Os<'_>, act: &Act) {
        self.talks.then(os, act, self.memory);
    }

    /// One more act on the connection with this other end; whether there is one that lives.
    pub fn then_with(&mut self, os: &mut Os<'_>, remote: SocketAddr, act: Act) -> bool {
        self.talks.then_with(os, remote, act, self.memory)
    }

    /// Reads in another way from now on, on the connection with this other end; whether there is one that lives.
    pub fn read_with(&mut self, os: &mut Os<'_>, remote: SocketAddr, reading: Reading) -> bool {
        self.talks.read_with(os, remote, reading)
    }
}

impl App for Server {
    fn handle(&mut self, os: &mut Os<'_>, event: Event) {
        match event {
            Event::Started => {
                self.began = Some(os.now());
                self.trouble = os.listen(self.address, self.port, self.options).err().map(Trouble::Os);
                return;
            }
            Event::Accepted(conn) => {
                self.accepted += 1;
                self.talks.add(os, conn, &self.plan, self.reading, self.content);
            }
            _ => {}
        }
        self.talks.handle(os, &event, self.memory);
    }

    fn summary(&self) -> Summary {
        let mut summary = Summary { trouble: self.trouble.clone(), began: self.began, ..Summary::default() };
        // Of several connections the bytes have no common hash; of one they do.
        let mut reports = self.reports();
        if let (Some(only), None) = (reports.next(), reports.next()) {
            (summary.sent, summary.received) = (only.sent.clone(), only.received.clone());
        }
        summary
    }
}
