//! Echo requests that a host's applications send, and what comes back.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Io, OsError};
use crate::app::{About, Event};
use crate::packet::{EchoRequest, Header, Quote};

/// Who sends echo requests under which identifier.
#[derive(Debug, Default)]
pub(super) struct Pings {
    owners: BTreeMap<u16, u32>,
}

impl Pings {
    /// An identifier of the application's own: the one it wishes for, where that is free.
    pub(super) fn open(&mut self, io: &mut Io, app: u32, wish: Option<u16>) -> Result<u16, OsError> {
        if self.owners.len() > usize::from(u16::MAX / 2) {
            return Err(OsError::NoPort);
        }
        let mut wish = wish;
        loop {
            let ident = wish.take().unwrap_or_else(|| io.dice.number() as u16);
            if let std::collections::btree_map::Entry::Vacant(vacant) = self.owners.entry(ident) {
                vacant.insert(app);
                return Ok(ident);
            }
        }
    }

    pub(super) fn close(&mut self, ident: u16) {
        self.owners.remove(&ident);
    }

    pub(super) fn send(
        &self,
        io: &mut Io,
        (ident, seq): (u16, u16),
        to: IpAddr,
        hop_limit: u8,
        data: &[u8],
    ) -> Result<(), OsError> {
        let src = io.site.source(to).ok_or(OsError::NoRoute { to })?;
        let packet = EchoRequest { src, dst: to, hop_limit, ident, seq, data }.write();
        io.emit(packet.ok_or(OsError::NoRoute { to })?);
        Ok(())
    }

    /// Whether a packet was an echo reply.
    pub(super) fn handle(&mut self, io: &mut Io, header: &Header, bytes: &[u8]) -> bool {
        let Some(echo) = EchoRequest::read_reply(header, bytes) else { return false };
        if let Some(&app) = self.owners.get(&echo.ident) {
            let (ident, seq, from) = (echo.ident, echo.seq, echo.dst);
            io.tell(app, Event::Echo { ident, seq, from, data: echo.data.to_vec() });
        }
        true
    }

    /// An ICMP error about one of its requests.
    pub(super) fn handle_error(&mut self, io: &mut Io, quote: &Quote) {
        let ident = quote.src.port();
        if let Some(&app) = self.owners.get(&ident) {
            io.tell(app, Event::Error(About::Ping { ident, seq: quote.word as u16 }, *quote));
        }
    }
}
