//! A crowd of TCP clients on one host, one after the other or all at once, who all do the same.

use std::net::SocketAddr;

use super::talks::Talks;
use crate::app::{Act, App, Content, Event, Peer, Reading, Summary, Talked, Trouble};
use crate::host::{Os, TcpOptions};
use crate::packet::protocol;

/// Opens many connections, at regular times.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// Whom to; they take turns.
    pub to: Vec<SocketAddr>,
    /// How many connections.
    pub count: u64,
    /// How far apart they begin, in nanoseconds.
    pub interval: u64,
    /// How many begin at a time.
    pub batch: u64,
    /// How the connections are to behave.
    pub options: TcpOptions,
    /// How many connections that are over it remembers.
    pub memory: usize,
    plan: Vec<Act>,
    talks: Talks,
    begun: u64,
    trouble: Option<Trouble>,
    began: Option<u64>,
    ended: Option<u64>,
}

const NEXT: u32 = u32::MAX;

impl Crowd {
    /// So many connections to somebody, a millisecond apart, with a plan for each.
    pub fn new(to: SocketAddr, count: u64, plan: Vec<Act>) -> Crowd {
        Crowd {
            to: vec![to],
            count,
            interval: crate::time::MILLISECOND,
            batch: 1,
            options: TcpOptions::default(),
            memory: 1000,
            plan,
            talks: Talks::default(),
            begun: 0,
            trouble: None,
            began: None,
            ended: None,
        }
    }

    /// Connections begun so far.
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// Connections that live.
    pub fn living(&self) -> usize {
        self.talks.len()
    }

    /// Connections that are over, and how many of them otherwise than well.
    pub fn over(&self) -> (u64, u64) {
        self.talks.over()
    }

    /// Connections, first those that are over and remembered, then those that live.
    pub fn reports(&self) -> impl Iterator<Item = &Talked> {
        self.talks.reports()
    }

    /// One more act on each connection that lives.
    pub fn then(&mut self, os: &mut Os<'_>, act: &Act) {
        self.talks.then(os, act, self.memory);
        self.note(os);
    }

    fn next(&mut self, os: &mut Os<'_>) {
        for _ in 0..self.batch.max(1) {
            if self.begun == self.count || self.to.is_empty() {
                return;
            }
            let to = self.to[(self.begun % self.to.len() as u64) as usize];
            self.begun += 1;
            match os.connect(to, None, None, &self.options) {
                Ok(conn) => self.talks.add(os, conn, &self.plan, Reading::Fast, Content::default()),
                Err(error) => self.trouble = Some(Trouble::Os(error)),
            }
        }
        if self.begun < self.count {
            os.wake_at(os.now() + self.interval, NEXT);
        }
    }

    fn note(&mut self, os: &Os<'_>) {
        if self.begun == self.count && self.talks.len() == 0 {
            self.ended.get_or_insert(os.now());
        }
    }
}

impl App for Crowd {
    fn handle(&mut self, os: &mut Os<'_>, event: Event) {
        match event {
            Event::Started => {
                self.began = Some(os.now());
                self.next(os);
            }
            Event::Woken(NEXT) => self.next(os),
            event => {
                self.talks.handle(os, &event, self.memory);
            }
        }
        self.note(os);
    }

    fn summary(&self) -> Summary {
        let trouble = self.talks.reports().find_map(|report| report.trouble.clone());
        Summary {
            is_done: self.ended.is_some(),
            trouble: self.trouble.clone().or(trouble),
            began: self.began,
            ended: self.ended,
            ..Summary::default()
        }
    }

    fn peers(&self) -> Vec<Peer> {
        self.to.iter().map(|&to| Peer { to, protocol: protocol::TCP }).collect()
    }
}
