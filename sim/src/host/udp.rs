//! A host's UDP sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{Io, OsError, UdpId};
use crate::app::{About, Event};
use crate::packet::{Datagram, Header, Quote};

/// All UDP sockets of a host.
#[derive(Debug, Default)]
pub(super) struct Udp {
    sockets: BTreeMap<u32, Socket>,
    /// By port, the sockets in the order in which they came.
    ports: BTreeMap<u16, Vec<u32>>,
    opened: u32,
}

#[derive(Debug)]
struct Socket {
    app: u32,
    view: UdpSocket,
}

/// A socket, as `ss` would list it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpSocket {
    /// Its end; the unspecified address is any of the host's.
    pub local: SocketAddr,
    /// The only one it takes datagrams from, where there is one.
    pub peer: Option<SocketAddr>,
    /// Datagrams that it took.
    pub received: u64,
    /// Datagrams that it sent.
    pub sent: u64,
}

impl Udp {
    /// A datagram for this host. Whether anybody takes it, or it is wrong in itself.
    pub(super) fn handle(&mut self, io: &mut Io, header: &Header, bytes: &[u8]) -> bool {
        let Some(datagram) = Datagram::read(header, bytes) else {
            io.count.malformed += 1;
            return true;
        };
        let Some(id) = self.find(datagram.dst, datagram.src) else { return false };
        let Some(socket) = self.sockets.get_mut(&id) else { return false };
        socket.view.received += 1;
        let (from, to) = (datagram.src, datagram.dst);
        io.tell(socket.app, Event::Datagram { socket: UdpId(id), from, to, data: datagram.data.to_vec() });
        true
    }

    /// An ICMP error about one of its datagrams.
    pub(super) fn handle_error(&mut self, io: &mut Io, quote: &Quote) {
        if let Some(socket) =
            self.find(quote.src, quote.dst).and_then(|id| self.sockets.get(&id).map(|s| (id, s)))
        {
            io.tell(socket.1.app, Event::Error(About::Socket(UdpId(socket.0)), *quote));
        }
    }

    /// Opens a socket; port zero is any that is free.
    pub(super) fn open(
        &mut self,
        io: &mut Io,
        app: u32,
        local: SocketAddr,
        peer: Option<SocketAddr>,
    ) -> Result<UdpId, OsError> {
        let clashes = |port: u16| {
            let others = self.ports.get(&port).into_iter().flatten().filter_map(|id| self.sockets.get(id));
            others.into_iter().any(|other| {
                let same = other.view.local.ip() == local.ip();
                let any = other.view.local.ip().is_unspecified() || local.ip().is_unspecified();
                let is_family = other.view.local.is_ipv4() == local.is_ipv4();
                (same || any && is_family) && other.view.peer == peer
            })
        };
        let port = match local.port() {
            0 => io.pick_port(|port| !self.ports.contains_key(&port)).ok_or(OsError::NoPort)?,
            port if clashes(port) => return Err(OsError::PortInUse { port }),
            port => port,
        };
        let id = self.opened;
        self.opened += 1;
        let local = SocketAddr::new(local.ip(), port);
        self.sockets.insert(id, Socket { app, view: UdpSocket { local, peer, received: 0, sent: 0 } });
        self.ports.entry(port).or_default().push(id);
        Ok(UdpId(id))
    }

    pub(super) fn close(&mut self, id: UdpId) {
        let Some(socket) = self.sockets.remove(&id.0) else { return };
        let port = socket.view.local.port();
        if let Some(ids) = self.ports.get_mut(&port) {
            ids.retain(|&other| other != id.0);
            if ids.is_empty() {
                self.ports.remove(&port);
            }
        }
    }

    /// Sends a datagram; it is fragmented where it must be.
    pub(super) fn send(
        &mut self,
        io: &mut Io,
        id: UdpId,
        to: SocketAddr,
        hop_limit: u8,
        data: &[u8],
    ) -> Result<(), OsError> {
        let socket = self.sockets.get_mut(&id.0).ok_or(OsError::Closed)?;
        let mut src = socket.view.local;
        if src.ip().is_unspecified() {
            src.set_ip(io.site.source(to.ip()).ok_or(OsError::NoRoute { to: to.ip() })?);
        }
        let packet = Datagram { src, dst: to, hop_limit, data }.write();
        io.emit(packet.ok_or(OsError::BadAddress { address: to })?);
        socket.view.sent += 1;
        Ok(())
    }

    pub(super) fn socket(&self, id: UdpId) -> Option<UdpSocket> {
        self.sockets.get(&id.0).map(|socket| socket.view)
    }

    pub(super) fn sockets(&self) -> impl Iterator<Item = UdpSocket> + '_ {
        self.sockets.values().map(|socket| socket.view)
    }

    pub(super) fn listens(&self, to: SocketAddr) -> bool {
        let from_anyone = SocketAddr::new(to.ip(), 0);
        self.find(to, from_anyone).is_some()
    }

    /// Whether a socket takes what `from` sends to `to`.
    pub(super) fn takes(&self, to: SocketAddr, from: SocketAddr) -> bool {
        self.find(to, from).is_some()
    }

    /// The socket that takes what `from` sends to `to`: one that is for him alone before one that is for all.
    fn find(&self, to: SocketAddr, from: SocketAddr) -> Option<u32> {
        let fits = |id: &&u32| {
            let Some(socket) = self.sockets.get(id) else { return false };
            let local = socket.view.local.ip();
            let is_any = local.is_unspecified() && local.is_ipv4() == to.is_ipv4();
            (is_any || local == to.ip()) && socket.view.peer.is_none_or(|peer| peer == from)
        };
        let for_him = |id: &u32| self.sockets.get(id).is_some_and(|socket| socket.view.peer.is_some());
        let ids = self.ports.get(&to.port())?;
        let mut fitting = ids.iter().filter(fits).copied();
        let first = fitting.next()?;
        Some(std::iter::once(first).chain(fitting).find(for_him).unwrap_or(first))
    }
}
