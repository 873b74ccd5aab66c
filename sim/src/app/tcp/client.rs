//! A TCP client with one connection.

use std::net::{IpAddr, SocketAddr};

use crate::app::{Act, App, Content, Event, Peer, Reading, Summary, Talk, Talked, Trouble};
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
