//! What an application does on one TCP connection: acts, one after the other, while it reads what comes.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::{Content, Event, Tally, Trouble};
use crate::host::{ConnId, Ending, Os};

/// One thing to do on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Send so many bytes of the talk's [`Content`].
    Send(u64),
    /// Send these bytes.
    Say(Vec<u8>),
    /// Wait until so many more bytes were received than the acts before waited for.
    Receive(u64),
    /// Wait until the other side has closed.
    ReceiveAll,
    /// Send back what comes, until the other side has closed.
    Echo,
    /// Do nothing for so many nanoseconds.
    Wait(u64),
    /// Send no more, but go on reading.
    HalfClose,
    /// Let go of the connection; it closes when the other side does.
    Close,
    /// End it with a RST.
    Abort,
}

/// How fast an application takes what comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// At once.
    #[default]
    Fast,
    /// So many bytes at a time, and not more often than every so many nanoseconds.
    Slow {
        /// Bytes.
        bytes: usize,
        /// Nanoseconds.
        every: u64,
    },
    /// Not at all.
    Never,
}

/// A connection and what is done on it.
#[derive(Clone, Debug)]
pub struct Talk {
    conn: ConnId,
    plan: VecDeque<Act>,
    reading: Reading,
    content: Content,
    /// Where in the content the next byte to be sent stands.
    offset: u64,
    /// How much of the act under way is still to be sent.
    unsent: u64,
    said: usize,
    wanted: u64,
    echo: VecDeque<u8>,
    wait_until: Option<u64>,
    next_read: u64,
    is_open: bool,
    peer_closed: bool,
    report: Talked,
}

/// What became of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Talked {
    /// This end.
    pub local: Option<SocketAddr>,
    /// The other end.
    pub remote: Option<SocketAddr>,
    /// When it was asked for, or taken, in nanoseconds.
    pub began: u64,
    /// When it was open.
    pub opened: Option<u64>,
    /// When both sides had closed it, or it ended otherwise.
    pub ended: Option<u64>,
    /// How it ended.
    pub ending: Option<Ending>,
    /// What went wrong, where something did.
    pub trouble: Option<Trouble>,
    /// What was handed over to be sent.
    pub sent: Tally,
    /// What was received.
    pub received: Tally,
    /// ICMP errors about it that did not end it.
    pub errors: u32,
}

/// A part of what can be echoed at a time: what waits in the host's buffers is not taken before there is room.
const ECHO_ROOM: usize = 16_384;

impl Talk {
    /// A talk on a connection that was asked for, or taken, at `now`.
    pub fn new(os: &Os<'_>, conn: ConnId, plan: Vec<Act>, reading: Reading, content: Content) -> Talk {
        let socket = os.socket(conn);
        Talk {
            conn,
            plan: plan.into(),
            reading,
            content,
            offset: 0,
            unsent: 0,
            said: 0,
            wanted: 0,
            echo: VecDeque::new(),
            wait_until: None,
            next_read: 0,
            is_open: false,
            peer_closed: false,
            report: Talked {
                local: socket.map(|socket| socket.local),
                remote: socket.map(|socket| socket.remote),
                began: os.now(),
                opened: None,
                ended: None,
                ending: None,
                trouble: None,
                sent: Tally::default(),
                received: Tally::default(),
                errors: 0,
            },
        }
    }

    /// The connection.
    pub fn conn(&self) -> ConnId {
        self.conn
    }

    /// What became of it so far.
    pub fn report(&self) -> &Talked {
        &self.report
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.report.ended.is_some()
    }

    /// Acts that are not done yet.
    pub fn unfinished(&self) -> usize {
        self.plan.len()
    }

    /// One more act, after all the others. The token wakes this talk.
    pub fn then(&mut self, os: &mut Os<'_>, act: Act, token: u32) {
        self.plan.push_back(act);
        self.go_on(os, token);
    }

    /// Reads in another way from now on.
    pub fn read(&mut self, os: &mut Os<'_>, reading: Reading, token: u32) {
        self.reading = reading;
        self.next_read = 0;
        self.go_on(os, token);
    }

    /// Something happens to its connection, or the time it asked for by `token` has come.
    pub fn handle(&mut self, os: &mut Os<'_>, event: &Event, token: u32) {
        match event {
            Event::Accepted(_) | Event::Connected(_) => {
                self.is_open = true;
                self.report.opened = Some(os.now());
            }
            Event::PeerClosed(_) => self.peer_closed = true,
            Event::Closed(_, ending) => return self.end(os, *ending, token),
            Event::Error(..) => self.report.errors += 1,
            _ => {}
        }
        self.go_on(os, token);
    }

    fn end(&mut self, os: &mut Os<'_>, ending: Ending, token: u32) {
        // A slow reader still reads at the end.
        if ending == Ending::Done {
            self.peer_closed = true;
            if self.reading != Reading::Never {
                self.take(os, usize::MAX);
            }
            self.go_on(os, token);
        }
        self.report.ended.get_or_insert(os.now());
        self.report.ending.get_or_insert(ending);
        let short = self.report.received.bytes() < self.wanted;
        let trouble = match ending {
            Ending::Done if short => {
                let (have, wanted) = (self.report.received.bytes(), self.wanted);
                Some(Trouble::CutShort { have, wanted })
            }
            Ending::Done | Ending::Aborted => None,
            _ => Some(Trouble::Ended(ending)),
        };
        if self.report.trouble.is_none() {
            self.report.trouble = trouble;
        }
    }

    fn go_on(&mut self, os: &mut Os<'_>, token: u32) {
        if !self.is_open || self.is_over() {
            return;
        }
        self.read_on(os, token);
        while let Some(act) = self.plan.front().cloned() {
            if !self.act(os, &act, token) {
                break;
            }
            self.plan.pop_front();
        }
    }

    /// Whether an act is done.
    fn act(&mut self, os: &mut Os<'_>, act: &Act, token: u32) -> bool {
        match act {
            Act::Send(bytes) => self.send(os, *bytes),
            Act::Say(words) => self.say(os, words),
            Act::Receive(bytes) => {
                if self.said == 0 {
                    self.wanted += bytes;
                    self.said = 1;
                }
                let is_done =
                    self.report.received.bytes() >= self.wanted || self.peer_closed && self.is_drained(os);
                if is_done {
                    self.said = 0;
                }
                is_done
            }
            Act::ReceiveAll => self.peer_closed && self.is_drained(os),
            Act::Echo => self.send_back(os),
            Act::Wait(length) => {
                let until = *self.wait_until.get_or_insert_with(|| {
                    let until = os.now() + length;
                    os.wake_at(until, token);
                    until
                });
                let is_done = os.now() >= until;
                if is_done {
                    self.wait_until = None;
                }
                is_done
            }
            Act::HalfClose => {
                os.half_close(self.conn);
                true
            }
            Act::Close => {
                os.close(self.conn);
                true
            }
            Act::Abort => {
                os.abort(self.conn);
                self.end(os, Ending::Aborted, token);
                true
            }
        }
    }

    fn send(&mut self, os: &mut Os<'_>, bytes: u64) -> bool {
        if self.said == 0 {
            (self.unsent, self.said) = (bytes, 1);
        }
        let (content, sent) = (self.content, &mut self.report.sent);
        let (offset, unsent) = (&mut self.offset, &mut self.unsent);
        while *unsent > 0 {
            let moved = os.send_with(self.conn, &mut |room| {
                let part = room.len().min(usize::try_from(*unsent).unwrap_or(usize::MAX));
                let room = &mut room[..part];
                content.fill(*offset, room);
                sent.add(room);
                *offset += part as u64;
                *unsent -= part as u64;
                part
            });
            if moved == 0 {
                return false;
            }
        }
        self.said = 0;
        true
    }

    fn say(&mut self, os: &mut Os<'_>, words: &[u8]) -> bool {
        while self.said < words.len() {
            let moved = os.send(self.conn, &words[self.said..]);
            if moved == 0 {
                return false;
            }
            self.report.sent.add(&words[self.said..self.said + moved]);
            self.said += moved;
        }
        self.said = 0;
        true
    }

    fn send_back(&mut self, os: &mut Os<'_>) -> bool {
        loop {
            let (front, _) = self.echo.as_slices();
            if front.is_empty() {
                if self.take(os, ECHO_ROOM) == 0 {
                    return self.peer_closed && self.is_drained(os);
                }
                continue;
            }
            let moved = os.send(self.conn, front);
            self.report.sent.add(&front[..moved]);
            self.echo.drain(..moved);
            if moved == 0 {
                return false;
            }
        }
    }

    fn read_on(&mut self, os: &mut Os<'_>, token: u32) {
        match self.reading {
            Reading::Never => {}
            // What is to be sent back is taken when there is room for it.
            _ if matches!(self.plan.front(), Some(Act::Echo)) => {}
            Reading::Fast => {
                self.take(os, usize::MAX);
            }
            Reading::Slow { bytes, every } => {
                if os.now() >= self.next_read && self.take(os, bytes) > 0 {
                    self.next_read = os.now() + every;
                    os.wake_at(self.next_read, token);
                }
            }
        }
    }

    fn take(&mut self, os: &mut Os<'_>, limit: usize) -> usize {
        let is_echo = matches!(self.plan.front(), Some(Act::Echo));
        let (received, echo) = (&mut self.report.received, &mut self.echo);
        let got = os.receive(self.conn, limit, &mut |data| {
            received.add(data);
            if is_echo {
                echo.extend(data);
            }
        });
        got.bytes
    }

    fn is_drained(&self, os: &Os<'_>) -> bool {
        os.socket(self.conn).is_none_or(|socket| socket.receive_queue == 0)
    }
}
