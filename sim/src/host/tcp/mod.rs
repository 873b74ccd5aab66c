//! A host's TCP: which connection a segment belongs to, listeners, and time.
//!
//! smoltcp has the protocol. Here are the things around it that it does not have: a set of sockets for each connection,
//! found by its ends, so that a host may have many; listeners that make a connection of a SYN, with a backlog; giving
//! up; ICMP errors; and the path's MTU, for which a connection moves to a stack with a smaller one.

mod conn;
mod options;
mod reception;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use hashbrown::HashMap;
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::socket::tcp::State;
use smoltcp::wire::HardwareAddress;

use super::device::Device;
use super::{ConnId, Io, NEVER, OsError, Wake};
use crate::app::{About, Event};
use crate::packet::{Header, IcmpError, Quote, TcpHead};
use crate::time::{MICROSECOND, instant, moment};

pub use options::{Ending, TcpOptions, TcpSocket, TcpState};
pub use reception::Reception;

use conn::{Conn, Look, Origin};

/// All connections and listeners of a host.
pub(crate) struct Tcp {
    device: Device,
    /// One for each MTU in use; the first is for packets of no connection.
    stacks: Vec<(usize, Interface)>,
    conns: Vec<Option<Box<Conn>>>,
    generations: Vec<u32>,
    free: Vec<u32>,
    index: HashMap<Ends, u32, foldhash::fast::FixedState>,
    listeners: BTreeMap<u16, Vec<Listener>>,
    dirty: Vec<u32>,
}

/// Both ends, this one first, as numbers that hash quickly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Ends(u128, u128, u32);

struct Listener {
    address: Option<IpAddr>,
    app: u32,
    options: TcpOptions,
    /// Connections that are not open yet.
    opening: usize,
}

impl Tcp {
    pub(super) fn new() -> Tcp {
        Tcp {
            device: Device::default(),
            stacks: Vec::new(),
            conns: Vec::new(),
            generations: Vec::new(),
            free: Vec::new(),
            index: HashMap::with_hasher(foldhash::fast::FixedState::with_seed(0)),
            listeners: BTreeMap::new(),
            dirty: Vec::new(),
        }
    }

    /// A segment for this host.
    pub(super) fn handle(&mut self, io: &mut Io, header: &Header, bytes: Vec<u8>) {
        let Some(head) = header.tcp(&bytes) else { return io.count.malformed += 1 };
        let (remote, local) = header.ends(head.ports);
        let is_syn = head.flags & (TcpHead::SYN | TcpHead::ACK | TcpHead::RST) == TcpHead::SYN;
        let mut slot = self.index.get(&Ends::new(local, remote)).copied();
        if let Some(old) = slot
            && is_syn
            && self.is_reopening(old, &head)
        {
            self.remove(old);
            slot = None;
        }
        if let Some(slot) = slot {
            return self.poll(io, slot, Some((bytes, head)));
        }
        if !is_syn {
            return self.answer(io, bytes);
        }
        let Some((listener, app, options)) = self.listener(local) else { return self.answer(io, bytes) };
        if listener.opening >= options.backlog {
            return io.count.backlog_full += 1;
        }
        listener.opening += 1;
        let slot = self.add(io, app, (local, remote), Origin::Listen(local.port()), &options);
        if let Some(conn) = self.conn(slot) {
            let listening = conn.socket().listen((local.ip(), local.port()));
            debug_assert!(listening.is_ok(), "a new socket listens to anything");
        }
        self.poll(io, slot, Some((bytes, head)));
    }

    /// A packet that smoltcp answers without a socket: with a RST, or an echo reply.
    pub(super) fn answer(&mut self, io: &mut Io, bytes: Vec<u8>) {
        // What is too large for a link is cut behind smoltcp.
        let stack = self.stack(io, 65_535);
        self.device.incoming = Some(bytes);
        let mut nobody = SocketSet::new(Vec::new());
        self.stacks[stack].1.poll(instant(io.now), &mut self.device, &mut nobody);
        self.device.outgoing.drain(..).for_each(|packet| io.emit(packet));
    }

    /// A wake-up of a connection has come.
    pub(super) fn wake(&mut self, io: &mut Io, id: ConnId) {
        let now = io.now;
        let Some(conn) = self.find(id) else { return };
        conn.alarms.ring(now);
        if conn.gives_up_at() > now {
            if let Some(reminder) = conn.remind(now) {
                self.remind(io, id.slot, reminder);
            }
            return self.poll(io, id.slot, None);
        }
        let app = conn.app;
        conn.end(Ending::TimedOut, &mut |event| io.tell(app, event));
        if conn.is_probing() {
            conn.socket().abort();
            self.poll(io, id.slot, None);
        } else {
            self.remove(id.slot);
        }
    }

    /// Polls what applications have touched.
    pub(super) fn flush(&mut self, io: &mut Io) {
        while let Some(slot) = self.dirty.pop() {
            if let Some(conn) = self.conn(slot) {
                conn.is_dirty = false;
                self.poll(io, slot, None);
            }
        }
    }

    /// An ICMP error about one of its segments. Whether it was.
    pub(super) fn handle_error(&mut self, io: &mut Io, quote: &Quote) {
        let Some(&slot) = self.index.get(&Ends::new(quote.src, quote.dst)) else { return };
        let Some(conn) = self.conns[slot as usize].as_mut() else { return };
        let (app, id) = (conn.app, conn.id);
        if let IcmpError::TooBig { .. } = quote.error {
            let mtu = io.path_mtu(quote.dst.ip());
            if mtu < conn.mtu {
                conn.mtu = mtu;
                let stack = self.stack(io, mtu);
                if let Some(conn) = self.conn(slot) {
                    conn.stack = stack;
                }
                io.tell(app, Event::Error(About::Conn(id), *quote));
                self.poll(io, slot, None);
            }
            return;
        }
        // Only what answers the SYN itself ends an attempt (RFC 1122, section 4.2.3.9); an open connection lives on.
        if conn.state() == State::SynSent && conn.isn == Some(quote.word) {
            let ending = match quote.error {
                IcmpError::TimeExceeded | IcmpError::ReassemblyTimeout => None,
                IcmpError::PortUnreachable | IcmpError::ProtocolUnreachable => Some(Ending::Refused),
                error => Some(Ending::Unreachable(error)),
            };
            if let Some(ending) = ending {
                conn.end(ending, &mut |event| io.tell(app, event));
                return self.remove(slot);
            }
        }
        io.tell(app, Event::Error(About::Conn(id), *quote));
    }

    /// Takes SYNs to a port.
    pub(super) fn listen(
        &mut self,
        app: u32,
        address: Option<IpAddr>,
        port: u16,
        options: TcpOptions,
    ) -> Result<(), OsError> {
        let listeners = self.listeners.entry(port).or_default();
        let clashes =
            |other: &Listener| other.address.is_none() || address.is_none() || other.address == address;
        if port == 0 || listeners.iter().any(clashes) {
            return Err(OsError::PortInUse { port });
        }
        listeners.push(Listener { address, app, options, opening: 0 });
        Ok(())
    }

    /// Takes no more SYNs to an application's port.
    pub(super) fn unlisten(&mut self, app: u32, port: u16) {
        if let Some(listeners) = self.listeners.get_mut(&port) {
            listeners.retain(|listener| listener.app != app);
        }
    }

    /// Whether anything listens to an address and port.
    pub(super) fn listens(&self, to: SocketAddr) -> bool {
        let fits = |listener: &Listener| listener.address.is_none_or(|address| address == to.ip());
        self.listeners.get(&to.port()).is_some_and(|listeners| listeners.iter().any(fits))
    }

    /// Opens a connection from `local` to `remote`.
    pub(super) fn connect(
        &mut self,
        io: &mut Io,
        app: u32,
        ends: (SocketAddr, SocketAddr),
        options: &TcpOptions,
    ) -> Result<ConnId, OsError> {
        let (local, remote) = ends;
        let key = Ends::new(local, remote);
        if self.index.contains_key(&key) {
            return Err(OsError::PortInUse { port: local.port() });
        }
        let slot = self.add(io, app, ends, Origin::Connect, options);
        let Some(conn) = self.conns[slot as usize].as_mut() else { unreachable!("it was just put there") };
        let context = self.stacks[conn.stack].1.context();
        let id = conn.id;
        if conn.socket().connect(context, remote, local).is_err() {
            self.remove(slot);
            return Err(OsError::BadAddress { address: remote });
        }
        self.touch(id);
        Ok(id)
    }

    /// Whether a connection from here to there exists.
    pub(super) fn is_taken(&self, local: SocketAddr, remote: SocketAddr) -> bool {
        self.index.contains_key(&Ends::new(local, remote))
    }

    /// Hands data over: what fits, up to what `fill` gives. Whether there is room for more.
    pub(super) fn send(&mut self, id: ConnId, fill: &mut dyn FnMut(&mut [u8]) -> usize) -> usize {
        let Some(conn) = self.find(id) else { return 0 };
        let mut total = 0;
        // The buffer is a ring: what is free may lie in two parts.
        for _ in 0..2 {
            let sent = conn.socket().send(|room| {
                let sent = fill(room);
                (sent.min(room.len()), sent.min(room.len()))
            });
            total += sent.unwrap_or(0);
        }
        if !conn.socket().can_send() {
            conn.wants_room = true;
        }
        if total > 0 {
            self.touch(id);
        }
        total
    }

    /// Takes up to `limit` bytes of what has arrived.
    pub(super) fn receive(&mut self, id: ConnId, limit: usize, take: &mut dyn FnMut(&[u8])) -> usize {
        let Some(conn) = self.find(id) else { return 0 };
        let mut total = 0;
        while total < limit && conn.socket().can_recv() {
            let got = conn.socket().recv(|data| {
                let part = &data[..data.len().min(limit - total)];
                take(part);
                (part.len(), part.len())
            });
            match got {
                Ok(got) if got > 0 => total += got,
                _ => break,
            }
        }
        if total > 0 {
            self.touch(id);
        }
        total
    }

    /// Sends no more; what arrives is still taken.
    pub(super) fn half_close(&mut self, id: ConnId) {
        if let Some(conn) = self.find(id) {
            conn.socket().close();
            self.touch(id);
        }
    }

    /// Sends no more, and does not wait for more than a minute for the other side to do the same.
    pub(super) fn close(&mut self, io: &mut Io, id: ConnId) {
        let Some(conn) = self.find(id) else { return };
        conn.is_orphan = true;
        if conn.state() == State::SynSent {
            let app = conn.app;
            conn.end(Ending::Aborted, &mut |event| io.tell(app, event));
            return self.remove(id.slot);
        }
        self.half_close(id);
    }

    /// Ends it at once, with a RST.
    pub(super) fn abort(&mut self, id: ConnId) {
        if let Some(conn) = self.find(id) {
            // An attempt that was not answered has nothing to reset.
            if conn.state() == State::SynSent {
                return self.remove(id.slot);
            }
            conn.end_silently();
            conn.socket().abort();
            self.touch(id);
        }
    }

    /// The socket, while there is one.
    /// What becomes of a segment: by its connection, or where there is none by whoever listens.
    pub(super) fn receives(&self, (from, to): (SocketAddr, SocketAddr), head: &TcpHead) -> Reception {
        let opens = head.flags & (TcpHead::SYN | TcpHead::ACK | TcpHead::RST) == TcpHead::SYN;
        let slot = self.index.get(&Ends::new(to, from));
        match slot.and_then(|&slot| self.conns[slot as usize].as_ref()) {
            // A port is used again once its connection does nothing but wait.
            Some(conn) if opens && conn.state() == State::TimeWait && self.listens(to) => Reception::Takes,
            Some(conn) if conn.state() != State::Closed => conn.receives(head),
            _ if head.flags & TcpHead::RST != 0 => Reception::Knows,
            _ if opens && self.listens(to) => Reception::Takes,
            _ => Reception::Refuses,
        }
    }

    pub(super) fn view(&self, id: ConnId) -> Option<TcpSocket> {
        let conn = self.conns.get(id.slot as usize)?.as_ref()?;
        (conn.id == id).then(|| conn.view())
    }

    /// All sockets, in the order of their slots.
    pub(super) fn sockets(&self) -> impl Iterator<Item = (ConnId, TcpSocket)> + '_ {
        self.conns.iter().flatten().map(|conn| (conn.id, conn.view()))
    }

    fn listener(&mut self, local: SocketAddr) -> Option<(&mut Listener, u32, TcpOptions)> {
        let fits = |listener: &&mut Listener| listener.address.is_none_or(|address| address == local.ip());
        let listener = self.listeners.get_mut(&local.port())?.iter_mut().find(fits)?;
        let (app, options) = (listener.app, listener.options);
        Some((listener, app, options))
    }

    /// A connection in TIME_WAIT gives way to a new one whose numbers are beyond its own (RFC 6191, section 2).
    fn is_reopening(&mut self, slot: u32, head: &TcpHead) -> bool {
        let Some(conn) = self.conn(slot) else { return false };
        let is_beyond = (head.seq.wrapping_sub(conn.peer_end) as i32) >= 0;
        let is_waiting = conn.state() == State::TimeWait;
        let local = conn.local;
        is_waiting && is_beyond && self.listener(local).is_some()
    }

    fn add(
        &mut self,
        io: &mut Io,
        app: u32,
        ends: (SocketAddr, SocketAddr),
        origin: Origin,
        options: &TcpOptions,
    ) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.conns.push(None);
            self.generations.push(0);
            (self.conns.len() - 1) as u32
        });
        let id = ConnId { slot, generation: self.generations[slot as usize] };
        let mut conn = Conn::new(id, app, ends, origin, options);
        conn.mtu = io.path_mtu(ends.1.ip());
        conn.stack = self.stack(io, conn.mtu);
        self.conns[slot as usize] = Some(Box::new(conn));
        self.index.insert(Ends::new(ends.0, ends.1), slot);
        slot
    }

    /// Forgets a connection without another word.
    fn remove(&mut self, slot: u32) {
        let Some(conn) = self.conns[slot as usize].take() else { return };
        self.index.remove(&Ends::new(conn.local, conn.remote));
        self.generations[slot as usize] += 1;
        self.free.push(slot);
        if let Origin::Listen(port) = conn.origin
            && conn.is_opening()
        {
            self.one_opened(port, conn.local.ip());
        }
    }

    /// A listener has one connection less that is not open yet.
    fn one_opened(&mut self, port: u16, address: IpAddr) {
        let fits = |listener: &&mut Listener| listener.address.is_none_or(|own| own == address);
        if let Some(listener) =
            self.listeners.get_mut(&port).and_then(|listeners| listeners.iter_mut().find(fits))
        {
            listener.opening = listener.opening.saturating_sub(1);
        }
    }

    /// Lets smoltcp work on a connection, then looks at what has changed.
    fn poll(&mut self, io: &mut Io, slot: u32, segment: Option<(Vec<u8>, TcpHead)>) {
        let Some(conn) = self.conns[slot as usize].as_deref_mut() else { return };
        let was_opening = conn.is_opening();
        let read = conn.socket().recv_queue();
        let (packet, head) = segment.unzip();
        if let Some(head) = &head {
            conn.hear(head);
        }
        let stack = &mut self.stacks[conn.stack].1;
        self.device.incoming = packet;
        stack.poll(instant(io.now), &mut self.device, conn.set());
        for mut packet in self.device.outgoing.drain(..) {
            conn.see_sent(&mut packet);
            io.emit(packet);
        }
        let app = conn.app;
        let look = conn.look(io.now, head, read, &mut |event| io.tell(app, event));
        let opened = was_opening && !conn.is_opening();
        let (origin, address) = (conn.origin, conn.local.ip());
        if look == Look::Alive {
            let next = stack.poll_at(instant(io.now), conn.set());
            // What is due already would have been done: a microsecond keeps it from going round in one moment.
            let next = next.map_or(NEVER, |next| moment(next).max(io.now + MICROSECOND));
            let next = if conn.is_last_try(io.now) { NEVER } else { next };
            let next = conn.next_wake(io.now, next);
            if conn.alarms.set(next) {
                io.wake_at(next, Wake::Conn(conn.id));
            }
        }
        if let (true, Origin::Listen(port)) = (opened, origin) {
            self.one_opened(port, address);
        }
        if look == Look::Free {
            self.remove(slot);
        }
    }

    /// Three times the same acknowledgement; what smoltcp says to it follows with the next poll.
    fn remind(&mut self, io: &mut Io, slot: u32, reminder: Vec<u8>) {
        let Some(conn) = self.conns[slot as usize].as_deref_mut() else { return };
        let stack = &mut self.stacks[conn.stack].1;
        for _ in 0..3 {
            self.device.incoming = Some(reminder.clone());
            stack.poll_ingress_single(instant(io.now), &mut self.device, conn.set());
        }
        self.device.outgoing.clear();
    }

    fn touch(&mut self, id: ConnId) {
        if let Some(conn) = self.conn(id.slot)
            && !conn.is_dirty
        {
            conn.is_dirty = true;
            self.dirty.push(id.slot);
        }
    }

    fn conn(&mut self, slot: u32) -> Option<&mut Conn> {
        self.conns.get_mut(slot as usize)?.as_deref_mut()
    }

    fn find(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conn(id.slot).filter(|conn| conn.id == id)
    }

    /// The stack with this MTU.
    fn stack(&mut self, io: &mut Io, mtu: usize) -> usize {
        if let Some(at) = self.stacks.iter().position(|stack| stack.0 == mtu) {
            return at;
        }
        self.device.mtu = mtu;
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = io.dice.number();
        let mut interface = Interface::new(config, &mut self.device, instant(io.now));
        // Whose packets these are has been looked at before they come here.
        interface.set_any_ip(true);
        self.stacks.push((mtu, interface));
        self.stacks.len() - 1
    }
}

impl Ends {
    fn new(local: SocketAddr, remote: SocketAddr) -> Ends {
        let ports = u32::from(local.port()) << 16 | u32::from(remote.port());
        Ends(number(local.ip()), number(remote.ip()), ports)
    }
}

/// An address as a number; IPv4's are those that IPv6 maps them to.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => 0xffff << 32 | u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}
