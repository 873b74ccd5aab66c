//! An FTP client: logs in, and does what it was told, one thing after the other.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::words::{Lines, Reply, extended, parse_epsv, parse_pasv, parse_reply, six_numbers};
use crate::app::{App, Event, Peer, Summary, Tally, Trouble};
use crate::host::{ConnId, Ending, Os, TcpOptions};
use crate::packet::protocol;

/// Who opens data connections, and how that is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The server, told by `PORT`: IPv4 alone.
    Port,
    /// The server, told by `EPRT`.
    Eprt,
    /// The client, told by the answer to `PASV`: IPv4 alone.
    Pasv,
    /// The client, told by the answer to `EPSV`.
    Epsv,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Say who one is.
    Login {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// Have files listed.
    List(Mode),
    /// Get a file.
    Get(Mode, String),
    /// Put a file.
    Put(Mode, String, Vec<u8>),
    /// Get a file, and abort when so many bytes of it have come.
    GetPart(Mode, String, u64),
    /// Do nothing for so many nanoseconds.
    Wait(u64),
    /// Send a command as it is, and take any answer.
    Say(String),
    /// Leave.
    Quit,
}

/// A file, or list of files, that was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transferred {
    /// The file's name; empty for a list.
    pub name: String,
    /// What came; empty for one that was put.
    pub bytes: Vec<u8>,
    /// What went over the data connection.
    pub tally: Tally,
    /// When it was asked for, in nanoseconds.
    pub began: u64,
    /// When the server said that it was over.
    pub ended: Option<u64>,
    /// The server's last word on it.
    pub reply: Option<Reply>,
    /// How the data connection ended.
    pub ending: Option<Ending>,
    /// This end of the data connection.
    pub local: Option<SocketAddr>,
    /// Its other end.
    pub remote: Option<SocketAddr>,
}

/// A client at work.
#[derive(Clone, Debug)]
pub struct Client {
    /// Whom to.
    pub to: SocketAddr,
    /// The control connection's port; none is any.
    pub port: Option<u16>,
    /// How its connections are to behave.
    pub options: TcpOptions,
    orders: VecDeque<(Order, Option<u16>)>,
    stage: Stage,
    control: Option<ConnId>,
    local: Option<SocketAddr>,
    lines: Lines,
    data: Data,
    is_binary: bool,
    done: Vec<Transferred>,
    dialogue: Vec<String>,
    sent: Tally,
    received: Tally,
    trouble: Option<Trouble>,
    began: Option<u64>,
    ended: Option<u64>,
}

/// Which answer it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Greeting,
    User,
    Password,
    Type,
    /// To `PORT`, `EPRT`, `PASV` or `EPSV`.
    Where,
    /// To the command that moves data: its beginning, or its end.
    Moving,
    Aborting,
    Any,
    Quit,
    /// No answer: a pause.
    Pause,
    Idle,
    Over,
}

/// The data connection.
#[derive(Clone, Debug, Default)]
struct Data {
    conn: Option<ConnId>,
    listening: Option<u16>,
    is_open: bool,
    is_over: bool,
    /// How much of a file to be put has been handed over.
    sent: usize,
}

impl Client {
    /// A client of somebody, with something to do.
    pub fn new(to: SocketAddr, orders: Vec<Order>) -> Client {
        Client {
            to,
            port: None,
            options: TcpOptions::default(),
            orders: orders.into_iter().map(|order| (order, None)).collect(),
            stage: Stage::Greeting,
            control: None,
            local: None,
            lines: Lines::default(),
            data: Data::default(),
            is_binary: false,
            done: Vec::new(),
            dialogue: Vec::new(),
            sent: Tally::default(),
            received: Tally::default(),
            trouble: None,
            began: None,
            ended: None,
        }
    }

    /// One more thing to do, after all the others.
    pub fn then(&mut self, os: &mut Os<'_>, order: Order) {
        self.then_at(os, order, None);
    }

    /// The same, with the port that its data connection is to have at this end, where that is free.
    pub fn then_at(&mut self, os: &mut Os<'_>, order: Order, port: Option<u16>) {
        self.orders.push_back((order, port));
        if self.stage == Stage::Idle {
            self.ended = None;
            self.next(os);
        }
    }

    /// What it is at or has still to do.
    pub fn unfinished(&self) -> usize {
        self.orders.len()
    }

    /// What was moved so far, the one under way included.
    pub fn transfers(&self) -> &[Transferred] {
        &self.done
    }

    /// What was said on the control connection, a line each, `> ` before one's own.
    pub fn dialogue(&self) -> &[String] {
        &self.dialogue
    }

    fn next(&mut self, os: &mut Os<'_>) {
        let Some((order, _)) = self.orders.front().cloned() else {
            self.stage = Stage::Idle;
            self.ended.get_or_insert(os.now());
            return;
        };
        match order {
            Order::Login { user, .. } => self.say(os, &format!("USER {user}"), Stage::User),
            Order::List(mode) | Order::Get(mode, _) | Order::Put(mode, ..) | Order::GetPart(mode, ..) => {
                let name = match &order {
                    Order::Get(_, name) | Order::Put(_, name, _) | Order::GetPart(_, name, _) => name.clone(),
                    _ => String::new(),
                };
                if self.is_binary {
                    self.begin(os, mode, name);
                } else {
                    self.say(os, "TYPE I", Stage::Type);
                }
            }
            Order::Wait(length) => {
                self.stage = Stage::Pause;
                os.wake_at(os.now() + length, 0);
            }
            Order::Say(line) => self.say(os, &line, Stage::Any),
            Order::Quit => self.say(os, "QUIT", Stage::Quit),
        }
    }

    /// Opens the way for data, or has it opened.
    fn begin(&mut self, os: &mut Os<'_>, mode: Mode, name: String) {
        self.data = Data::default();
        self.done.push(Transferred {
            name,
            bytes: Vec::new(),
            tally: Tally::default(),
            began: os.now(),
            ended: None,
            reply: None,
            ending: None,
            local: None,
            remote: None,
        });
        match mode {
            Mode::Pasv => return self.say(os, "PASV", Stage::Where),
            Mode::Epsv => return self.say(os, "EPSV", Stage::Where),
            Mode::Port | Mode::Eprt => {}
        }
        let Some(address) = self.local.map(|local| local.ip()) else { return };
        let Some(port) = listen(os, address, self.wished_port(), &self.options) else {
            return self.fail(os, Trouble::Os(crate::host::OsError::NoPort));
        };
        self.data.listening = Some(port);
        let target = SocketAddr::new(address, port);
        let words = match (mode, six_numbers(target)) {
            (Mode::Port, Some(numbers)) => format!("PORT {numbers}"),
            (Mode::Port, None) => {
                return self.fail(os, Trouble::Nonsense("PORT has no words for IPv6".to_owned()));
            }
            _ => format!("EPRT {}", extended(target)),
        };
        self.say(os, &words, Stage::Where);
    }

    fn ask_for_data(&mut self, os: &mut Os<'_>) {
        let words = match self.orders.front().map(|(order, _)| order) {
            Some(Order::List(_)) => "LIST".to_owned(),
            Some(Order::Get(_, name) | Order::GetPart(_, name, _)) => format!("RETR {name}"),
            Some(Order::Put(_, name, _)) => format!("STOR {name}"),
            _ => return,
        };
        self.say(os, &words, Stage::Moving);
    }

    fn take_reply(&mut self, os: &mut Os<'_>, reply: Reply) {
        if matches!(self.stage, Stage::Moving | Stage::Aborting | Stage::Where)
            && let Some(transfer) = self.done.last_mut()
        {
            transfer.reply = Some(reply.clone());
        }
        match (self.stage, reply.code) {
            (Stage::Greeting, 220) => self.next(os),
            (Stage::User, 331) => {
                if let Some((Order::Login { password, .. }, _)) = self.orders.front() {
                    let words = format!("PASS {password}");
                    self.say(os, &words, Stage::Password);
                }
            }
            (Stage::User | Stage::Password, 230) => self.done_with(os),
            (Stage::Type, 200) => {
                self.is_binary = true;
                self.next(os);
            }
            (Stage::Where, 200) => self.ask_for_data(os),
            (Stage::Where, 227 | 229) => self.open_data(os, &reply),
            (Stage::Moving, 125 | 150) => self.send_file(os),
            (Stage::Moving, 226 | 250) => {
                self.stage = Stage::Moving;
                self.finish_if_over(os);
            }
            // An aborted transfer is answered twice: for itself, and for the abort.
            (Stage::Aborting, 426) => {}
            (Stage::Aborting, 225 | 226) => self.finish_transfer(os),
            (Stage::Any, 200..) => self.done_with(os),
            (Stage::Quit, 221) => {
                if let Some(control) = self.control {
                    os.close(control);
                }
                self.orders.pop_front();
                self.stage = Stage::Over;
                self.ended.get_or_insert(os.now());
            }
            (_, 100..200) => {}
            (Stage::Where | Stage::Moving, 400..) => {
                self.trouble.get_or_insert(Trouble::Answer(format!("{} {}", reply.code, reply.text)));
                self.finish_transfer(os);
            }
            (_, code) => self.fail(os, Trouble::Answer(format!("{code} {}", reply.text))),
        }
    }

    fn open_data(&mut self, os: &mut Os<'_>, reply: &Reply) {
        let target = match reply.code {
            227 => parse_pasv(&reply.text),
            _ => parse_epsv(&reply.text).map(|port| SocketAddr::new(self.to.ip(), port)),
        };
        let Some(target) = target else {
            return self.fail(os, Trouble::Nonsense(format!("{} {}", reply.code, reply.text)));
        };
        let address = self.local.map(|local| local.ip());
        let connected = os.connect(target, address, self.wished_port(), &self.options);
        match connected.or_else(|_| os.connect(target, address, None, &self.options)) {
            Ok(conn) => self.data.conn = Some(conn),
            Err(error) => return self.fail(os, Trouble::Os(error)),
        }
        self.note_ends(os);
        self.ask_for_data(os);
    }

    fn wished_port(&self) -> Option<u16> {
        self.orders.front().and_then(|(_, port)| *port)
    }

    fn note_ends(&mut self, os: &Os<'_>) {
        let socket = self.data.conn.and_then(|conn| os.socket(conn));
        if let (Some(transfer), Some(socket)) = (self.done.last_mut(), socket) {
            (transfer.local, transfer.remote) = (Some(socket.local), Some(socket.remote));
        }
    }

    /// The server is ready and so is the connection: the file to be put goes out.
    fn send_file(&mut self, os: &mut Os<'_>) {
        let Some((Order::Put(_, _, bytes), _)) = self.orders.front() else { return };
        let (Some(conn), true) = (self.data.conn, self.data.is_open) else { return };
        let Some(transfer) = self.done.last_mut() else { return };
        // Not before the server has said that it is ready.
        if self.stage != Stage::Moving || transfer.reply.as_ref().is_none_or(|reply| reply.code >= 200) {
            return;
        }
        while self.data.sent < bytes.len() {
            let moved = os.send(conn, &bytes[self.data.sent..]);
            if moved == 0 {
                return;
            }
            transfer.tally.add(&bytes[self.data.sent..self.data.sent + moved]);
            self.sent.add(&bytes[self.data.sent..self.data.sent + moved]);
            self.data.sent += moved;
        }
        os.close(conn);
        self.data.is_over = true;
    }

    fn read_data(&mut self, os: &mut Os<'_>) {
        let (Some(conn), Some(transfer)) = (self.data.conn, self.done.last_mut()) else { return };
        let received = &mut self.received;
        os.receive(conn, usize::MAX, &mut |data| {
            transfer.bytes.extend_from_slice(data);
            transfer.tally.add(data);
            received.add(data);
        });
        if let Some((Order::GetPart(_, _, limit), _)) = self.orders.front()
            && self.stage == Stage::Moving
            && transfer.tally.bytes() >= *limit
        {
            self.say(os, "ABOR", Stage::Aborting);
        }
    }

    fn handle_data(&mut self, os: &mut Os<'_>, event: &Event) {
        match event {
            Event::Connected(_) | Event::Accepted(_) => {
                self.data.is_open = true;
                self.note_ends(os);
                self.send_file(os);
            }
            Event::Writable(_) => self.send_file(os),
            Event::Readable(_) => self.read_data(os),
            Event::PeerClosed(conn) => {
                self.read_data(os);
                os.close(*conn);
                self.data.is_over = true;
                self.finish_if_over(os);
            }
            Event::Closed(_, ending) => {
                self.read_data(os);
                if let Some(transfer) = self.done.last_mut() {
                    transfer.ending.get_or_insert(*ending);
                }
                if !matches!(ending, Ending::Done) && self.stage != Stage::Aborting {
                    self.trouble.get_or_insert(Trouble::Ended(*ending));
                }
                self.data.is_over = true;
                self.finish_if_over(os);
            }
            _ => {}
        }
    }

    /// A transfer is over when the server has said so and the data has ended.
    fn finish_if_over(&mut self, os: &mut Os<'_>) {
        let is_said = self.done.last().is_some_and(|transfer| {
            transfer.reply.as_ref().is_some_and(|reply| (200..300).contains(&reply.code))
        });
        if self.stage == Stage::Moving && is_said && self.data.is_over {
            self.finish_transfer(os);
        }
    }

    fn finish_transfer(&mut self, os: &mut Os<'_>) {
        if let Some(port) = self.data.listening.take() {
            os.unlisten(port);
        }
        if let (Some(conn), false) = (self.data.conn, self.data.is_over) {
            os.abort(conn);
        }
        if let Some(transfer) = self.done.last_mut() {
            transfer.ended.get_or_insert(os.now());
        }
        self.done_with(os);
    }

    fn done_with(&mut self, os: &mut Os<'_>) {
        self.orders.pop_front();
        self.next(os);
    }

    fn fail(&mut self, os: &mut Os<'_>, trouble: Trouble) {
        self.trouble.get_or_insert(trouble);
        self.stage = Stage::Over;
        self.ended.get_or_insert(os.now());
        if let Some(control) = self.control {
            os.close(control);
        }
    }

    fn say(&mut self, os: &mut Os<'_>, words: &str, stage: Stage) {
        self.stage = stage;
        self.dialogue.push(format!("> {words}"));
        if let Some(control) = self.control {
            os.send(control, format!("{words}\r\n").as_bytes());
        }
    }

    fn handle_control(&mut self, os: &mut Os<'_>, conn: ConnId, event: &Event) {
        match event {
            Event::Connected(_) => self.local = os.socket(conn).map(|socket| socket.local),
            Event::Readable(_) => {
                os.receive(conn, usize::MAX, &mut |data| self.lines.add(data));
                while let Some(line) = self.lines.next() {
                    self.dialogue.push(line.clone());
                    if let Some(reply) = parse_reply(&line) {
                        self.take_reply(os, reply);
                    }
                }
            }
            Event::PeerClosed(_) if self.stage != Stage::Over => {
                self.fail(os, Trouble::Ended(Ending::Done));
            }
            Event::Closed(_, ending) if self.stage != Stage::Over => {
                self.fail(os, Trouble::Ended(*ending));
            }
            _ => {}
        }
    }
}

impl App for Client {
    fn handle(&mut self, os: &mut Os<'_>, event: Event) {
        let conn = match event {
            Event::Started => {
                self.began = Some(os.now());
                match os.connect(self.to, None, self.port, &self.options) {
                    Ok(conn) => self.control = Some(conn),
                    Err(error) => self.fail(os, Trouble::Os(error)),
                }
                return;
            }
            Event::Woken(_) => {
                if self.stage == Stage::Pause {
                    self.done_with(os);
                }
                return;
            }
            Event::Accepted(conn) => {
                self.data.conn = Some(conn);
                conn
            }
            Event::Connected(conn)
            | Event::Readable(conn)
            | Event::Writable(conn)
            | Event::PeerClosed(conn)
            | Event::Closed(conn, _) => conn,
            _ => return,
        };
        if Some(conn) == self.control {
            self.handle_control(os, conn, &event);
        } else if Some(conn) == self.data.conn {
            self.handle_data(os, &event);
        }
    }

    fn summary(&self) -> Summary {
        Summary {
            is_done: self.ended.is_some(),
            trouble: self.trouble.clone(),
            sent: self.sent.clone(),
            received: self.received.clone(),
            began: self.began,
            ended: self.ended,
        }
    }

    fn peers(&self) -> Vec<Peer> {
        vec![Peer { to: self.to, protocol: protocol::TCP }]
    }
}

/// Listens on a port that is free: the one wished for, where it is.
pub(in crate::app) fn listen(
    os: &mut Os<'_>,
    address: std::net::IpAddr,
    wish: Option<u16>,
    options: &TcpOptions,
) -> Option<u16> {
    let first = 32_768 + (os.random() % 28_000) as u16;
    let mut ports = wish.into_iter().chain(first..61_000).chain(32_768..first);
    ports.find(|&port| os.listen(Some(address), port, *options).is_ok())
}
