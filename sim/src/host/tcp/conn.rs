//! One TCP connection: a smoltcp socket in a set of its own, and what our layer adds to it.

use std::net::SocketAddr;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::wire::{IpAddress, IpProtocol, IpRepr, TcpControl, TcpOption, TcpPacket, TcpRepr, TcpSeqNumber};

use super::options::{ANSWERING, CLOSING, Ending, LAST_SYN, OPENING, TcpOptions, TcpSocket};
use super::reception::{Reception, Standing};
use crate::app::Event;
use crate::host::{ConnId, NEVER};
use crate::packet::TcpHead;
use crate::time::{MINUTE, SECOND, duration};

/// A connection.
pub(super) struct Conn {
    pub(super) id: ConnId,
    set: SocketSet<'static>,
    handle: SocketHandle,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) app: u32,
    /// Which of the host's stacks, by MTU, it is on.
    pub(super) stack: usize,
    pub(super) mtu: usize,
    pub(super) origin: Origin,
    pub(super) alarms: Alarms,
    pub(super) is_dirty: bool,
    /// The application wanted to send more than there was room for.
    pub(super) wants_room: bool,
    /// The application has let go of it.
    pub(super) is_orphan: bool,
    options: (u64, Option<u64>),
    state: State,
    /// When something was heard last, or outstanding first.
    heard: u64,
    was_pending: bool,
    told: Told,
    /// The first sequence number it sent.
    pub(super) isn: Option<u32>,
    /// One past the last sequence number that it sent, probes of a closed window apart.
    sent_end: u32,
    /// The acknowledgement number that it sent last, and one past the last sequence number that it offered to take.
    acked: u32,
    edge: Option<u32>,
    /// Its own window scale.
    own_scale: u8,
    /// The last acknowledgement that it took.
    last_ack: Option<(u32, u16)>,
    /// The other side's window scale.
    scale: u8,
    /// One past the last sequence number that the other side takes.
    send_edge: Option<u32>,
    /// When to remind smoltcp of what is outstanding, and how often that was done already.
    reminder: Option<u64>,
    reminders: u32,
    /// One past the last sequence number that it received.
    pub(super) peer_end: u32,
}

/// Wake-ups that are queued, soonest first. None can be taken back: one that comes too early looks and waits on, and no
/// new one is asked for while an earlier one is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alarms([u64; 3]);

/// Who began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The application here.
    Connect,
    /// A listener here, at this port, took it.
    Listen(u16),
}

/// What the application knows already.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    open: bool,
    peer_closed: bool,
    ended: bool,
}

/// What a look at the socket came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It goes on.
    Alive,
    /// Its place can be used again.
    Free,
}

impl Default for Alarms {
    fn default() -> Alarms {
        Alarms([NEVER; 3])
    }
}

impl Alarms {
    /// Whether a wake-up must be queued for this time; it then counts as queued.
    pub(super) fn set(&mut self, at: u64) -> bool {
        let [first, second, _] = self.0;
        let is_sooner = at < first;
        if is_sooner {
            // The latest is forgotten where there are too many, and comes as a surprise that does no harm.
            self.0 = [at, first, second];
        }
        is_sooner
    }

    /// Those up to `now` have come.
    pub(super) fn ring(&mut self, now: u64) {
        while self.0[0] <= now {
            self.0.rotate_left(1);
            self.0[2] = NEVER;
        }
    }
}

impl Conn {
    pub(super) fn new(
        id: ConnId,
        app: u32,
        ends: (SocketAddr, SocketAddr),
        origin: Origin,
        options: &TcpOptions,
    ) -> Conn {
        let buffer = |size: usize| SocketBuffer::new(vec![0; size]);
        let mut socket = Socket::new(buffer(options.receive_buffer), buffer(options.send_buffer));
        socket.set_nagle_enabled(options.nagle);
        socket.set_ack_delay(options.ack_delay.map(duration));
        socket.set_hop_limit(Some(options.hop_limit.max(1)));
        socket.set_keep_alive(options.keep_alive.map(duration));
        socket.set_congestion_control(smoltcp::socket::tcp::CongestionControl::Reno);
        let mut set = SocketSet::new(Vec::with_capacity(1));
        let handle = set.add(socket);
        let (local, remote) = ends;
        Conn {
            id,
            set,
            handle,
            local,
            remote,
            app,
            stack: 0,
            mtu: 0,
            origin,
            alarms: Alarms::default(),
            is_dirty: false,
            wants_room: false,
            is_orphan: false,
            options: (options.give_up, options.keep_alive),
            state: State::Closed,
            heard: 0,
            was_pending: false,
            told: Told::default(),
            isn: None,
            sent_end: 0,
            acked: 0,
            edge: None,
            own_scale: 0,
            last_ack: None,
            scale: 0,
            send_edge: None,
            reminder: None,
            reminders: 0,
            peer_end: 0,
        }
    }

    pub(super) fn socket(&mut self) -> &mut Socket<'static> {
        self.set.get_mut(self.handle)
    }

    pub(super) fn set(&mut self) -> &mut SocketSet<'static> {
        &mut self.set
    }

    pub(super) fn view(&self) -> TcpSocket {
        let socket: &Socket<'_> = self.set.get(self.handle);
        TcpSocket {
            local: self.local,
            remote: self.remote,
            state: socket.state(),
            receive_queue: socket.recv_queue(),
            send_queue: socket.send_queue(),
            mtu: self.mtu,
        }
    }

    /// What it would make of a segment that came now.
    pub(super) fn receives(&self, head: &TcpHead) -> Reception {
        let una = self.last_ack.map(|(ack, _)| ack);
        let Conn { isn, sent_end, acked, edge, .. } = *self;
        Standing { state: self.state(), isn, sent_end, una, acked, edge }.receives(head)
    }

    pub(super) fn state(&self) -> State {
        let socket: &Socket<'_> = self.set.get(self.handle);
        socket.state()
    }

    /// A segment that it is about to take.
    pub(super) fn hear(&mut self, head: &TcpHead) {
        if head.end.wrapping_sub(self.peer_end) as i32 > 0 || self.is_opening() {
            self.peer_end = head.end;
        }
        if head.flags & TcpHead::SYN != 0 {
            self.scale = head.scale;
        }
        if head.flags & TcpHead::ACK != 0 {
            let is_old = self.last_ack.is_some_and(|(ack, _)| (head.ack.wrapping_sub(ack) as i32) < 0);
            if !is_old {
                let scale = if head.flags & TcpHead::SYN != 0 { 0 } else { self.scale };
                self.send_edge = Some(head.ack.wrapping_add(u32::from(head.window) << scale));
                self.last_ack = Some((head.ack, head.window));
            }
        }
        self.reminders = 0;
    }

    /// A packet that it sends. smoltcp numbers an acknowledgement without data by where its retransmission stands, which a
    /// receiver that has all of that already takes for an old one; then two sides that send at once can wait for each
    /// other for ever. It is numbered by what was sent last (RFC 9293, section 3.10.7.4: SND.NXT), or where the window of the other
    /// side has shrunk below that, by the window's end: beyond it nothing is taken, not even an acknowledgement.
    pub(super) fn see_sent(&mut self, packet: &mut [u8]) {
        let transport = if self.local.is_ipv4() { 20 } else { 40 };
        let syn = TcpPacket::new_checked(&packet[transport..]).ok().filter(|segment| segment.syn());
        if let Some(scale) = syn.map(|segment| scale_of(segment.options())) {
            self.own_scale = scale;
        }
        let Ok(mut segment) = TcpPacket::new_checked(&mut packet[transport..]) else { return };
        if segment.ack() {
            let scale = if segment.syn() { 0 } else { self.own_scale };
            self.acked = segment.ack_number().0 as u32;
            self.edge = Some(self.acked.wrapping_add(u32::from(segment.window_len()) << scale));
        }
        let seq = segment.seq_number().0 as u32;
        let end = seq.wrapping_add(segment.segment_len() as u32);
        if self.isn.is_none() {
            (self.isn, self.sent_end) = (Some(seq), end);
        } else if end.wrapping_sub(self.sent_end) as i32 > 0 {
            // A probe is one byte beyond what the other side takes, and so would be all that follows it.
            let is_closed = self.last_ack.is_some_and(|(_, window)| window == 0);
            let is_probe = is_closed && segment.payload_mut().len() == 1;
            if !is_probe {
                self.sent_end = end;
            }
        } else if end == seq && !segment.rst() {
            let number = self.acceptable();
            if seq != number {
                segment.set_seq_number(TcpSeqNumber(number as i32));
                segment.fill_checksum(&self.local.ip().into(), &self.remote.ip().into());
            }
        }
    }

    /// The number of a segment without data: after all that was sent, inside the other side's window.
    fn acceptable(&self) -> u32 {
        match self.send_edge {
            Some(edge) if (self.sent_end.wrapping_sub(edge) as i32) > 0 => edge,
            _ => self.sent_end,
        }
    }

    /// Looks at what has become of the socket after it was polled, and tells the application. `head` is the segment that
    /// it was polled with, `read` how much had arrived before that.
    pub(super) fn look(
        &mut self,
        now: u64,
        head: Option<TcpHead>,
        read: usize,
        tell: &mut impl FnMut(Event),
    ) -> Look {
        let state = self.state();
        let was = std::mem::replace(&mut self.state, state);
        if head.is_some() {
            self.heard = now;
        }
        let is_reset = head.is_some_and(|head| head.flags & TcpHead::RST != 0);
        if is_reset && matches!(state, State::Listen) {
            self.told.ended = true;
            return Look::Free;
        }
        if is_reset && state == State::Closed && was != State::Closed {
            let refused = matches!(was, State::SynSent);
            self.end(if refused { Ending::Refused } else { Ending::Reset }, tell);
            return Look::Free;
        }
        self.tell_progress(read, tell);
        let is_over = match state {
            State::TimeWait => true,
            State::Closed => was != State::TimeWait,
            _ => false,
        };
        if is_over {
            self.end(Ending::Done, tell);
        }
        let pending = self.is_pending();
        if pending && !self.was_pending {
            self.heard = now;
        }
        self.was_pending = pending;
        if state == State::Closed && self.socket().remote_endpoint().is_none() {
            Look::Free
        } else {
            Look::Alive
        }
    }

    fn tell_progress(&mut self, read: usize, tell: &mut impl FnMut(Event)) {
        use State as S;
        let id = self.id;
        let state = self.state;
        if !self.told.open && !matches!(state, S::Closed | S::Listen | S::SynSent | S::SynReceived) {
            self.told.open = true;
            tell(match self.origin {
                Origin::Connect => Event::Connected(id),
                Origin::Listen(_) => Event::Accepted(id),
            });
        }
        if self.told.ended {
            return;
        }
        let socket = self.set.get_mut::<Socket<'_>>(self.handle);
        if socket.recv_queue() > read {
            tell(Event::Readable(id));
        }
        if self.wants_room && socket.can_send() {
            self.wants_room = false;
            tell(Event::Writable(id));
        }
        let has_fin = matches!(state, S::CloseWait | S::LastAck | S::Closing | S::TimeWait);
        if has_fin && !self.told.peer_closed {
            self.told.peer_closed = true;
            tell(Event::PeerClosed(id));
        }
    }

    /// Tells how it ended, once.
    pub(super) fn end(&mut self, ending: Ending, tell: &mut impl FnMut(Event)) {
        if !self.told.ended {
            self.told.ended = true;
            tell(Event::Closed(self.id, ending));
        }
    }

    /// It ended by its application's wish, which needs no telling.
    pub(super) fn end_silently(&mut self) {
        self.told.ended = true;
    }

    /// Whether it is still opening.
    pub(super) fn is_opening(&self) -> bool {
        !self.told.open
    }

    /// Whether something is outstanding that the other side must answer.
    fn is_pending(&self) -> bool {
        use State as S;
        let socket: &Socket<'_> = self.set.get(self.handle);
        match socket.state() {
            S::SynSent | S::SynReceived | S::FinWait1 | S::Closing | S::LastAck => true,
            S::Established | S::CloseWait => socket.send_queue() > 0 || self.options.1.is_some(),
            S::FinWait2 => self.is_orphan,
            _ => false,
        }
    }

    /// When to wake it next, `next` being what smoltcp wants. smoltcp can lose its retransmission timer when a closed
    /// window opens again while something is outstanding; then it is reminded, later each time.
    pub(super) fn next_wake(&mut self, now: u64, next: u64) -> u64 {
        let has_lost = next == NEVER
            && self.set.get::<Socket<'_>>(self.handle).send_queue() > 0
            && self.last_ack.is_some_and(|(_, window)| window > 0)
            && self.told.open;
        if !has_lost {
            self.reminder = None;
        } else if self.reminder.is_none() {
            let wait = (SECOND << self.reminders.min(6)).min(MINUTE);
            self.reminder = Some(now + wait);
        }
        self.reminder.map_or(next, |at| at.min(next)).min(self.gives_up_at())
    }

    /// What to remind smoltcp with, when it is time: an acknowledgement that it has seen. Three copies make it send again
    /// what was not acknowledged (RFC 5681, section 3.2).
    pub(super) fn remind(&mut self, now: u64) -> Option<Vec<u8>> {
        self.reminder.filter(|&at| at <= now)?;
        self.reminder = None;
        self.reminders += 1;
        let (ack, window) = self.last_ack?;
        let (local, remote): (IpAddress, IpAddress) = (self.local.ip().into(), self.remote.ip().into());
        let repr = TcpRepr {
            src_port: self.remote.port(),
            dst_port: self.local.port(),
            control: TcpControl::None,
            seq_number: TcpSeqNumber(self.acked as i32),
            ack_number: Some(TcpSeqNumber(ack as i32)),
            window_len: window,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &[],
        };
        let ip = IpRepr::new(remote, local, IpProtocol::Tcp, repr.buffer_len(), 64);
        let mut packet = vec![0; ip.buffer_len()];
        let checksums = ChecksumCapabilities::default();
        ip.emit(&mut packet[..], &checksums);
        let mut segment = TcpPacket::new_unchecked(&mut packet[ip.header_len()..]);
        repr.emit(&mut segment, &remote, &local, &checksums);
        Some(packet)
    }

    /// When it will have been given up.
    pub(super) fn gives_up_at(&self) -> u64 {
        if !self.was_pending {
            return NEVER;
        }
        let (give_up, keep_alive) = self.options;
        let socket: &Socket<'_> = self.set.get(self.handle);
        // A probe is due only after the connection was idle for so long.
        let idle = keep_alive.filter(|_| socket.send_queue() == 0).unwrap_or(0);
        let patience = match self.state {
            State::SynSent => OPENING.min(give_up),
            State::SynReceived => ANSWERING.min(give_up),
            State::FinWait2 => CLOSING,
            State::Established | State::CloseWait => idle.saturating_add(give_up),
            _ => give_up,
        };
        self.heard.saturating_add(patience)
    }

    /// Whether the last SYN has been sent: smoltcp's timeout stops doubling at a minute, and would send one more.
    pub(super) fn is_last_try(&self, now: u64) -> bool {
        self.state == State::SynSent && now.saturating_sub(self.heard) >= LAST_SYN
    }

    /// Whether a probe went unanswered rather than data: then a RST says so, as with Linux.
    pub(super) fn is_probing(&mut self) -> bool {
        self.options.1.is_some() && self.socket().send_queue() == 0 && !self.is_opening()
    }
}

/// The window scale among a SYN's options; none is no scale.
fn scale_of(mut options: &[u8]) -> u8 {
    while let Ok((rest, option)) = TcpOption::parse(options) {
        match option {
            TcpOption::WindowScale(scale) => return scale,
            TcpOption::EndOfList => return 0,
            _ if rest.len() < options.len() => options = rest,
            _ => return 0,
        }
    }
    0
}
