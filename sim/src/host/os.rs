//! What an application can do on its host.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::{ConnId, Host, TcpOptions, TcpSocket, UdpId, UdpSocket, Wake};
use crate::topology::Site;

/// An application's host, for the time of one call.
pub struct Os<'a> {
    pub(super) host: &'a mut Host,
    pub(super) app: u32,
}

/// Why a host does not do what an application asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OsError {
    /// It has no way to this address.
    NoRoute {
        /// The address.
        to: IpAddr,
    },
    /// Somebody has the port already.
    PortInUse {
        /// The port.
        port: u16,
    },
    /// All ports are in use.
    NoPort,
    /// The address is nobody's, or of another family than the sender's.
    BadAddress {
        /// The address.
        address: SocketAddr,
    },
    /// The socket is closed.
    Closed,
}

/// What was taken from a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// So many bytes.
    pub bytes: usize,
    /// Nothing more will ever come.
    pub is_end: bool,
}

impl Os<'_> {
    /// The time, in nanoseconds since the world's beginning.
    pub fn now(&self) -> u64 {
        self.host.io.now
    }

    /// The host's addresses and routes.
    pub fn site(&self) -> &Site {
        &self.host.io.site
    }

    /// A number from the host's dice.
    pub fn random(&mut self) -> u64 {
        self.host.io.dice.number()
    }

    /// Asks for [`crate::app::Event::Woken`] at a time, in nanoseconds. It cannot be taken back: the token says which it was.
    pub fn wake_at(&mut self, at: u64, token: u32) {
        let at = at.max(self.now());
        self.host.io.wake_at(at, Wake::App(self.app, token));
    }

    /// Takes TCP connections to a port, at one address or all.
    ///
    /// # Errors
    /// When somebody does so already.
    pub fn listen(&mut self, address: Option<IpAddr>, port: u16, options: TcpOptions) -> Result<(), OsError> {
        self.host.tcp.listen(self.app, address, port, options)
    }

    /// Takes no more connections to a port.
    pub fn unlisten(&mut self, port: u16) {
        self.host.tcp.unlisten(self.app, port);
    }

    /// Begins to open a TCP connection, from any address and port or from these.
    ///
    /// # Errors
    /// When there is no way, or no free port.
    pub fn connect(
        &mut self,
        to: SocketAddr,
        address: Option<IpAddr>,
        port: Option<u16>,
        options: &TcpOptions,
    ) -> Result<ConnId, OsError> {
        let Host { io, tcp, .. } = &mut *self.host;
        let source = match address {
            Some(address) => {
                Some(address).filter(|_| io.site.owns(to.ip()) || io.site.route(to.ip()).is_some())
            }
            None => io.site.source(to.ip()),
        };
        let address = source.ok_or(OsError::NoRoute { to: to.ip() })?;
        if address.is_ipv4() != to.is_ipv4() || !io.site.owns(address) {
            return Err(OsError::BadAddress { address: SocketAddr::new(address, port.unwrap_or(0)) });
        }
        let port = match port {
            Some(port) => port,
            None => io
                .pick_port(|port| !tcp.is_taken(SocketAddr::new(address, port), to))
                .ok_or(OsError::NoPort)?,
        };
        tcp.connect(io, self.app, (SocketAddr::new(address, port), to), options)
    }

    /// Hands data over to a connection: `fill` is given the free room, in one part or two, and says how much of it it
    /// has filled. How much that was; when it was less than there is to send,
    /// [`crate::app::Event::Writable`] follows.
    pub fn send_with(&mut self, conn: ConnId, fill: &mut dyn FnMut(&mut [u8]) -> usize) -> usize {
        self.host.tcp.send(conn, fill)
    }

    /// Hands data over to a connection, as much as there is room for. How much that was.
    pub fn send(&mut self, conn: ConnId, data: &[u8]) -> usize {
        let mut rest = data;
        self.send_with(conn, &mut |room| {
            let part = room.len().min(rest.len());
            room[..part].copy_from_slice(&rest[..part]);
            rest = &rest[part..];
            part
        })
    }

    /// Takes up to `limit` bytes of what has arrived; `take` gets them in pieces.
    pub fn receive(&mut self, conn: ConnId, limit: usize, take: &mut dyn FnMut(&[u8])) -> Received {
        let bytes = self.host.tcp.receive(conn, limit, take);
        let is_end = match self.host.tcp.view(conn) {
            None => true,
            Some(socket) => {
                use super::TcpState as S;
                let is_closed =
                    matches!(socket.state, S::CloseWait | S::LastAck | S::Closing | S::TimeWait | S::Closed);
                is_closed && socket.receive_queue == 0
            }
        };
        Received { bytes, is_end }
    }

    /// Sends no more on a connection, once what was handed over is sent; what arrives is still taken.
    pub fn half_close(&mut self, conn: ConnId) {
        self.host.tcp.half_close(conn);
    }

    /// Sends no more on a connection and lets go of it: the other side has a minute to close too.
    pub fn close(&mut self, conn: ConnId) {
        let Host { io, tcp, .. } = &mut *self.host;
        tcp.close(io, conn);
    }

    /// Ends a connection at once, with a RST.
    pub fn abort(&mut self, conn: ConnId) {
        self.host.tcp.abort(conn);
    }

    /// How a connection stands, while there is one.
    pub fn socket(&self, conn: ConnId) -> Option<TcpSocket> {
        self.host.tcp.view(conn)
    }

    /// Opens a UDP socket. The unspecified address is any of the host's, port zero any free one; with a `peer` it takes
    /// datagrams from him alone.
    ///
    /// # Errors
    /// When somebody has the port already.
    pub fn udp_open(&mut self, local: SocketAddr, peer: Option<SocketAddr>) -> Result<UdpId, OsError> {
        let Host { io, udp, .. } = &mut *self.host;
        udp.open(io, self.app, local, peer)
    }

    /// Sends a datagram, with the host's usual hop limit.
    ///
    /// # Errors
    /// When there is no way, or it is larger than a datagram can be.
    pub fn udp_send(&mut self, socket: UdpId, to: SocketAddr, data: &[u8]) -> Result<(), OsError> {
        self.udp_send_within(socket, to, 64, data)
    }

    /// Sends a datagram that may pass so many routers.
    ///
    /// # Errors
    /// When there is no way, or it is larger than a datagram can be.
    pub fn udp_send_within(
        &mut self,
        socket: UdpId,
        to: SocketAddr,
        hop_limit: u8,
        data: &[u8],
    ) -> Result<(), OsError> {
        let Host { io, udp, .. } = &mut *self.host;
        udp.send(io, socket, to, hop_limit, data)
    }

    /// Closes a UDP socket.
    pub fn udp_close(&mut self, socket: UdpId) {
        self.host.udp.close(socket);
    }

    /// How a UDP socket stands, while there is one.
    pub fn udp_socket(&self, socket: UdpId) -> Option<UdpSocket> {
        self.host.udp.socket(socket)
    }

    /// An identifier for echo requests: the one wished for, where that is free.
    ///
    /// # Errors
    /// When too many are in use.
    pub fn ping_open(&mut self, wish: Option<u16>) -> Result<u16, OsError> {
        let Host { io, pings, .. } = &mut *self.host;
        pings.open(io, self.app, wish)
    }

    /// Sends an echo request under one's own identifier.
    ///
    /// # Errors
    /// When there is no way.
    pub fn ping(
        &mut self,
        ident: u16,
        seq: u16,
        to: IpAddr,
        hop_limit: u8,
        data: &[u8],
    ) -> Result<(), OsError> {
        let Host { io, pings, .. } = &mut *self.host;
        pings.send(io, (ident, seq), to, hop_limit, data)
    }

    /// Gives an identifier back.
    pub fn ping_close(&mut self, ident: u16) {
        self.host.pings.close(ident);
    }
}

impl fmt::Display for OsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OsError::NoRoute { to } => write!(f, "no route to {to}"),
            OsError::PortInUse { port } => write!(f, "port {port} is in use"),
            OsError::NoPort => write!(f, "no port is free"),
            OsError::BadAddress { address } => write!(f, "{address} is not an address to use here"),
            OsError::Closed => write!(f, "the socket is closed"),
        }
    }
}

impl std::error::Error for OsError {}
