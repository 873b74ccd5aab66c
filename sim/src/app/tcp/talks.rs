//! Many connections of one application: which talk an event belongs to, and what is remembered of those that are over.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use crate::app::{About, Act, Content, Event, Reading, Talk, Talked};
use crate::host::{ConnId, Os};

/// Talks by their connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Talks {
    living: BTreeMap<ConnId, (u32, Talk)>,
    /// Talks by the tokens that wake them.
    tokens: BTreeMap<u32, ConnId>,
    next_token: u32,
    past: VecDeque<Talked>,
    over: u64,
    failed: u64,
}

impl Talks {
    pub(super) fn add(
        &mut self,
        os: &Os<'_>,
        conn: ConnId,
        plan: &[Act],
        reading: Reading,
        content: Content,
    ) {
        let token = self.next_token;
        self.next_token = self.next_token.wrapping_add(1);
        self.tokens.insert(token, conn);
        self.living.insert(conn, (token, Talk::new(os, conn, plan.to_vec(), reading, content)));
    }

    /// An event of one of the connections; whether it was, and the talk then was over. At most `memory` of those are
    /// remembered.
    pub(super) fn handle(&mut self, os: &mut Os<'_>, event: &Event, memory: usize) -> bool {
        let conn = match event {
            Event::Woken(token) => self.tokens.get(token).copied(),
            Event::Accepted(conn)
            | Event::Connected(conn)
            | Event::Readable(conn)
            | Event::Writable(conn)
            | Event::PeerClosed(conn)
            | Event::Closed(conn, _)
            | Event::Error(About::Conn(conn), _) => Some(*conn),
            _ => None,
        };
        let Some(conn) = conn else { return false };
        let Some((token, talk)) = self.living.get_mut(&conn) else { return false };
        talk.handle(os, event, *token);
        let is_over = talk.is_over();
        if is_over {
            self.forget(conn, memory);
        }
        is_over
    }

    /// One more act on each connection that lives.
    pub(super) fn then(&mut self, os: &mut Os<'_>, act: &Act, memory: usize) {
        for (token, talk) in self.living.values_mut() {
            talk.then(os, act.clone(), *token);
        }
        let over: Vec<ConnId> =
            self.living.iter().filter(|(_, talk)| talk.1.is_over()).map(|(&conn, _)| conn).collect();
        over.into_iter().for_each(|conn| self.forget(conn, memory));
    }

    /// One more act on the connection with this other end, if it lives.
    pub(super) fn then_with(&mut self, os: &mut Os<'_>, remote: SocketAddr, act: Act, memory: usize) -> bool {
        let is_with = |talk: &Talk| talk.report().remote == Some(remote);
        let Some((&conn, (token, talk))) = self.living.iter_mut().find(|(_, (_, talk))| is_with(talk)) else {
            return false;
        };
        talk.then(os, act, *token);
        if talk.is_over() {
            self.forget(conn, memory);
        }
        true
    }

    /// Reads in another way from now on, on the connection with this other end, if it lives.
    pub(super) fn read_with(&mut self, os: &mut Os<'_>, remote: SocketAddr, reading: Reading) -> bool {
        let mut living = self.living.values_mut();
        let Some((token, talk)) = living.find(|(_, talk)| talk.report().remote == Some(remote)) else {
            return false;
        };
        talk.read(os, reading, *token);
        true
    }

    /// Those that live.
    pub(super) fn len(&self) -> usize {
        self.living.len()
    }

    /// How many are over, and how many of them otherwise than well.
    pub(super) fn over(&self) -> (u64, u64) {
        (self.over, self.failed)
    }

    /// First those that are over and remembered, then those that live.
    pub(super) fn reports(&self) -> impl Iterator<Item = &Talked> {
        self.past.iter().chain(self.living.values().map(|(_, talk)| talk.report()))
    }

    fn forget(&mut self, conn: ConnId, memory: usize) {
        let Some((token, talk)) = self.living.remove(&conn) else { return };
        self.tokens.remove(&token);
        self.over += 1;
        self.failed += u64::from(talk.report().trouble.is_some());
        if memory > 0 {
            while self.past.len() >= memory {
                self.past.pop_front();
            }
            self.past.push_back(talk.report().clone());
        }
    }
}
