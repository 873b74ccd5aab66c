//! A host: smoltcp's TCP and echo replies, and around them everything else that a host does.
//!
//! It has no clock and no wires. Packets, wake-ups and orders come in with the time; packets to be sent, wake-ups to be
//! asked for and messages to applications stand ready afterwards. Applications run on it, called with an [`Os`].

mod device;
mod io;
mod os;
mod ping;
mod tcp;
mod udp;

use crate::app::{App, Event};
use crate::dice::Dice;
use crate::packet::{Gathered, Header, IcmpError, Reassembly, icmp_error, protocol, read_icmp_error};
use crate::topology::Site;

pub use io::HostCount;
pub use os::{Os, OsError, Received};
pub use tcp::{Ending, Reception, TcpOptions, TcpSocket, TcpState};
pub use udp::UdpSocket;

use io::Io;

pub(crate) use io::{NEVER, Wake};

/// A TCP connection of a host, for as long as the world lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnId {
    slot: u32,
    generation: u32,
}

/// A UDP socket of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UdpId(u32);

/// A host at work.
pub(crate) struct Host {
    io: Io,
    tcp: tcp::Tcp,
    udp: udp::Udp,
    pings: ping::Pings,
    reassembly: Reassembly,
    reassembly_alarm: u64,
    apps: Vec<Option<Box<dyn App>>>,
}

impl Host {
    /// A host whose packets are cut to size here, or else, `behind` a box, by that.
    pub(crate) fn new(site: Site, dice: Dice, behind: bool) -> Host {
        Host {
            io: Io::new(site, dice, behind),
            tcp: tcp::Tcp::new(),
            udp: udp::Udp::default(),
            pings: ping::Pings::default(),
            reassembly: Reassembly::default(),
            reassembly_alarm: NEVER,
            apps: Vec::new(),
        }
    }

    pub(crate) fn site(&self) -> &Site {
        &self.io.site
    }

    /// A packet for this host.
    pub(crate) fn handle(&mut self, now: u64, bytes: Vec<u8>) {
        self.io.now = now;
        self.io.count.received += 1;
        let Some(header) = Header::read(&bytes) else { return self.io.count.malformed += 1 };
        let Some(slice) = header.fragment else { return self.take(&header, bytes) };
        match self.reassembly.handle(now, &bytes, &header, slice) {
            Gathered::Whole(whole) => {
                if let Some(header) = Header::read(&whole) {
                    self.take(&header, whole);
                }
            }
            Gathered::Held => self.watch_reassembly(),
            Gathered::Spoiled => self.io.count.malformed += 1,
        }
    }

    fn take(&mut self, header: &Header, bytes: Vec<u8>) {
        match header.protocol {
            protocol::TCP => self.tcp.handle(&mut self.io, header, bytes),
            protocol::UDP => {
                if !self.udp.handle(&mut self.io, header, &bytes) {
                    self.complain(IcmpError::PortUnreachable, header, &bytes);
                }
            }
            protocol::ICMP | protocol::ICMPV6 => self.take_icmp(header, bytes),
            _ => self.complain(IcmpError::ProtocolUnreachable, header, &bytes),
        }
    }

    fn take_icmp(&mut self, header: &Header, bytes: Vec<u8>) {
        if let Some(quote) = read_icmp_error(header, &bytes) {
            self.io.learn(&quote);
            match quote.protocol {
                protocol::TCP => self.tcp.handle_error(&mut self.io, &quote),
                protocol::UDP => self.udp.handle_error(&mut self.io, &quote),
                _ => self.pings.handle_error(&mut self.io, &quote),
            }
        } else if !self.pings.handle(&mut self.io, header, &bytes) {
            // What is left is smoltcp's: echo requests.
            self.tcp.answer(&mut self.io, bytes);
        }
    }

    fn complain(&mut self, error: IcmpError, header: &Header, bytes: &[u8]) {
        if let Some(packet) = icmp_error(error, header.dst, bytes) {
            self.io.emit(packet);
        }
    }

    fn watch_reassembly(&mut self) {
        if let Some(at) = self.reassembly.poll_timeout()
            && self.reassembly_alarm == NEVER
        {
            self.reassembly_alarm = at;
            self.io.wake_at(at, Wake::Reassembly);
        }
    }

    /// A wake-up that was asked for.
    pub(crate) fn wake(&mut self, now: u64, wake: Wake) {
        self.io.now = now;
        match wake {
            Wake::Conn(id) => self.tcp.wake(&mut self.io, id),
            Wake::App(app, token) => self.io.tell(app, Event::Woken(token)),
            Wake::Reassembly => {
                self.reassembly_alarm = NEVER;
                for first in self.reassembly.handle_timeout(now) {
                    if let Some(header) = Header::read(&first) {
                        self.complain(IcmpError::ReassemblyTimeout, &header, &first);
                    }
                }
                self.watch_reassembly();
            }
        }
    }

    /// A packet that could not be sent for want of a neighbour, or a route: its sender here is told.
    pub(crate) fn handle_unsent(&mut self, now: u64, error: IcmpError, bytes: &[u8]) {
        let Some(header) = Header::read(bytes) else { return };
        let Some(packet) = icmp_error(error, header.src, bytes) else { return };
        let Some(header) = Header::read(&packet) else { return };
        self.io.now = now;
        self.take_icmp(&header, packet);
    }

    /// Starts an application; its number is its name.
    pub(crate) fn start(&mut self, now: u64, app: Box<dyn App>) -> u32 {
        self.io.now = now;
        let number = self.apps.len() as u32;
        self.apps.push(Some(app));
        self.io.tell(number, Event::Started);
        number
    }

    pub(crate) fn app(&self, number: u32) -> Option<&dyn App> {
        self.apps.get(number as usize)?.as_deref()
    }

    /// Lets something happen to an application, with the host at its hands.
    pub(crate) fn with_app<R>(
        &mut self,
        now: u64,
        number: u32,
        f: impl FnOnce(&mut dyn App, &mut Os<'_>) -> R,
    ) -> Option<R> {
        self.io.now = now;
        let mut app = self.apps.get_mut(number as usize)?.take()?;
        let result = f(app.as_mut(), &mut Os { host: self, app: number });
        self.apps[number as usize] = Some(app);
        Some(result)
    }

    /// Applications and connections work until nobody has anything more to say in this moment.
    pub(crate) fn settle(&mut self, now: u64) {
        self.io.now = now;
        loop {
            self.tcp.flush(&mut self.io);
            let Some((app, event)) = self.io.mailbox.pop_front() else { break };
            self.with_app(now, app, |app, os| app.handle(os, event));
        }
    }

    /// The next packet to be sent.
    pub(crate) fn poll_packet(&mut self) -> Option<Vec<u8>> {
        self.io.out.pop_front()
    }

    /// The next wake-up to be asked for.
    pub(crate) fn poll_wake(&mut self) -> Option<(u64, Wake)> {
        self.io.asked.pop()
    }

    pub(crate) fn count(&self) -> &HostCount {
        &self.io.count
    }

    pub(crate) fn tcp_sockets(&self) -> impl Iterator<Item = (ConnId, TcpSocket)> + '_ {
        self.tcp.sockets()
    }

    pub(crate) fn tcp_socket(&self, id: ConnId) -> Option<TcpSocket> {
        self.tcp.view(id)
    }

    /// What it would make of a packet that came now; `None` where nobody could say.
    pub(crate) fn receives(&self, header: &Header, bytes: &[u8]) -> Option<Reception> {
        let ends = |ports| header.ends(ports);
        match header.protocol {
            protocol::TCP => {
                let head = header.tcp(bytes)?;
                Some(self.tcp.receives(ends(head.ports), &head))
            }
            protocol::UDP => {
                let (from, to) = ends(header.ports(bytes)?);
                Some(if self.udp.takes(to, from) { Reception::Takes } else { Reception::Refuses })
            }
            _ => None,
        }
    }

    pub(crate) fn udp_sockets(&self) -> impl Iterator<Item = UdpSocket> + '_ {
        self.udp.sockets()
    }

    /// Whether an application takes what is sent to an address and port.
    pub(crate) fn listens(&self, protocol: u8, to: std::net::SocketAddr) -> bool {
        if protocol == protocol::TCP { self.tcp.listens(to) } else { self.udp.listens(to) }
    }
}
