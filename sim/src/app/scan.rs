//! A port scan: which ports of a host can be connected to.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::{App, Event, Peer, Summary, Tally, Trouble};
use crate::host::{ConnId, Ending, Os, TcpOptions};
use crate::packet::{IcmpError, protocol};
use crate::time::SECOND;

/// Opens connections to ports, and resets those that open.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The host.
    pub to: IpAddr,
    /// How many attempts are under way at a time.
    pub parallel: usize,
    /// How long an attempt may take, in nanoseconds.
    pub patience: u64,
    ports: Vec<u16>,
    begun: usize,
    attempts: BTreeMap<ConnId, u16>,
    found: BTreeMap<u16, Found>,
    trouble: Option<Trouble>,
    began: Option<u64>,
    ended: Option<u64>,
}

/// What a port is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Somebody listens.
    Open,
    /// Nobody does, and the host says so.
    Closed,
    /// No answer comes.
    Silent,
    /// The network says no.
    Unreachable(IcmpError),
}

impl Scan {
    /// A scan of these ports, sixteen at a time, three seconds each.
    pub fn new(to: IpAddr, ports: impl IntoIterator<Item = u16>) -> Scan {
        Scan {
            to,
            parallel: 16,
            patience: 3 * SECOND,
            ports: ports.into_iter().collect(),
            begun: 0,
            attempts: BTreeMap::new(),
            found: BTreeMap::new(),
            trouble: None,
            began: None,
            ended: None,
        }
    }

    /// What was found so far, by port.
    pub fn found(&self) -> &BTreeMap<u16, Found> {
        &self.found
    }

    fn go_on(&mut self, os: &mut Os<'_>) {
        let options = TcpOptions {
            give_up: self.patience,
            receive_buffer: 1024,
            send_buffer: 64,
            ..TcpOptions::default()
        };
        while self.attempts.len() < self.parallel.max(1) && self.begun < self.ports.len() {
            let port = self.ports[self.begun];
            self.begun += 1;
            match os.connect(SocketAddr::new(self.to, port), None, None, &options) {
                Ok(conn) => {
                    self.attempts.insert(conn, port);
                }
                Err(error) => self.trouble = Some(Trouble::Os(error)),
            }
        }
        if self.attempts.is_empty() {
            self.ended.get_or_insert(os.now());
        }
    }
}

impl App for Scan {
    fn handle(&mut self, os: &mut Os<'_>, event: Event) {
        let (conn, found) = match event {
            Event::Started => {
                self.began = Some(os.now());
                return self.go_on(os);
            }
            Event::Connected(conn) => {
                os.abort(conn);
                (conn, Found::Open)
            }
            Event::Closed(conn, ending) => match ending {
                Ending::Refused => (conn, Found::Closed),
                Ending::Unreachable(error) => (conn, Found::Unreachable(error)),
                _ => (conn, Found::Silent),
            },
            _ => return,
        };
        if let Some(port) = self.attempts.remove(&conn) {
            self.found.insert(port, found);
            self.go_on(os);
        }
    }

    fn summary(&self) -> Summary {
        Summary {
            is_done: self.ended.is_some(),
            trouble: self.trouble.clone(),
            sent: Tally::default(),
            received: Tally::default(),
            began: self.began,
            ended: self.ended,
        }
    }

    fn peers(&self) -> Vec<Peer> {
        vec![Peer { to: SocketAddr::new(self.to, 0), protocol: protocol::TCP }]
    }
}
