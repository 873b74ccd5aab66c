//! An FTP server with files in memory.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use super::client::listen;
use super::words::{Lines, parse_target, six_numbers};
use crate::app::{App, Event, Summary, Tally, Trouble};
use crate::host::{ConnId, Ending, Os, TcpOptions};

/// A server at work.
#[derive(Clone, Debug)]
pub struct Server {
    /// The control connections' port.
    pub port: u16,
    /// The port that active data connections come from; none is any.
    pub data_port: Option<u16>,
    /// The only password, where one is needed.
    pub password: Option<String>,
    /// Data connections go to the client's own address alone, as careful servers have it.
    pub is_careful: bool,
    /// How its connections are to behave.
    pub options: TcpOptions,
    files: BTreeMap<String, Vec<u8>>,
    wishes: VecDeque<u16>,
    sessions: BTreeMap<ConnId, Session>,
    /// Control connections, by the data connection or the port that is theirs.
    data: BTreeMap<ConnId, ConnId>,
    passive: BTreeMap<u16, ConnId>,
    sent: Tally,
    received: Tally,
    trouble: Option<Trouble>,
    began: Option<u64>,
}

#[derive(Clone, Debug)]
struct Session {
    local: SocketAddr,
    remote: SocketAddr,
    lines: Lines,
    is_in: bool,
    target: Option<SocketAddr>,
    listening: Option<u16>,
    data: Option<ConnId>,
    is_open: bool,
    job: Option<Job>,
}

#[derive(Clone, Debug)]
enum Job {
    Send { bytes: Vec<u8>, sent: usize },
    Receive { name: String, bytes: Vec<u8> },
}

impl Server {
    /// A server with files, by their names.
    pub fn new(port: u16, files: BTreeMap<String, Vec<u8>>) -> Server {
        Server {
            port,
            data_port: port.checked_sub(1).filter(|&port| port > 0),
            password: None,
            is_careful: true,
            options: TcpOptions::default(),
            files,
            wishes: VecDeque::new(),
            sessions: BTreeMap::new(),
            data: BTreeMap::new(),
            passive: BTreeMap::new(),
            sent: Tally::default(),
            received: Tally::default(),
            trouble: None,
            began: None,
        }
    }

    /// Its files, those that were put there included.
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// The port of the next passive data connection that has none yet, where it is free.
    pub fn wish(&mut self, port: u16) {
        self.wishes.push_back(port);
    }

    fn command(&mut self, os: &mut Os<'_>, control: ConnId, line: &str) {
        let (word, argument) = line.split_once(' ').unwrap_or((line, ""));
        let word = word.to_ascii_uppercase();
        let Some(session) = self.sessions.get_mut(&control) else { return };
        if !session.is_in && !matches!(&word[..], "USER" | "PASS" | "QUIT") {
            return say(os, control, "530 Please log in first.");
        }
        match &word[..] {
            "USER" => say(os, control, "331 Please say the password."),
            "PASS" => {
                session.is_in = self.password.as_ref().is_none_or(|password| password == argument);
                let words = if session.is_in { "230 Welcome." } else { "530 Login incorrect." };
                say(os, control, words);
            }
            "SYST" => say(os, control, "215 UNIX Type: L8"),
            "TYPE" | "MODE" | "STRU" | "NOOP" => say(os, control, "200 Fine."),
            "PWD" => say(os, control, "257 \"/\" is the current directory."),
            "CWD" => say(os, control, "250 Fine."),
            "SIZE" => match self.files.get(argument) {
                Some(bytes) => say(os, control, &format!("213 {}", bytes.len())),
                None => say(os, control, "550 There is no such file."),
            },
            "PORT" | "EPRT" => self.take_target(os, control, &word, argument),
            "PASV" | "EPSV" => self.open_passive(os, control, word == "EPSV"),
            "LIST" | "NLST" => {
                let lines = self.files.iter().map(|(name, bytes)| {
                    format!("-rw-r--r--    1 0        0        {:>8} Jan 01 00:00 {name}\r\n", bytes.len())
                });
                let bytes = lines.collect::<String>().into_bytes();
                self.begin(os, control, Job::Send { bytes, sent: 0 }, "150 Here is the list.");
            }
            "RETR" => match self.files.get(argument).cloned() {
                Some(bytes) => self.begin(os, control, Job::Send { bytes, sent: 0 }, "150 Here is the file."),
                None => say(os, control, "550 There is no such file."),
            },
            "STOR" => {
                let job = Job::Receive { name: argument.to_owned(), bytes: Vec::new() };
                self.begin(os, control, job, "150 Send the file.");
            }
            "ABOR" => self.abort(os, control),
            "QUIT" => {
                say(os, control, "221 Goodbye.");
                os.close(control);
            }
            _ => say(os, control, "502 That is not done here."),
        }
    }

    fn take_target(&mut self, os: &mut Os<'_>, control: ConnId, word: &str, argument: &str) {
        let Some(session) = self.sessions.get_mut(&control) else { return };
        let target = parse_target(word, argument);
        match target.filter(|target| !self.is_careful || target.ip() == session.remote.ip()) {
            None => say(os, control, &format!("500 Illegal {word} command.")),
            Some(target) => {
                session.target = Some(target);
                say(os, control, &format!("200 {word} command successful."));
            }
        }
    }

    fn open_passive(&mut self, os: &mut Os<'_>, control: ConnId, is_extended: bool) {
        let Some(session) = self.sessions.get_mut(&control) else { return };
        if let Some(old) = session.listening.take() {
            os.unlisten(old);
            self.passive.remove(&old);
        }
        let address = session.local.ip();
        let Some(port) = listen(os, address, self.wishes.pop_front(), &self.options) else {
            return say(os, control, "425 No port is free.");
        };
        let words = match (is_extended, six_numbers(SocketAddr::new(address, port))) {
            (true, _) => format!("229 Entering Extended Passive Mode (|||{port}|)"),
            (false, Some(numbers)) => format!("227 Entering Passive Mode ({numbers})."),
            (false, None) => {
                os.unlisten(port);
                return say(os, control, "522 Use EPSV with IPv6.");
            }
        };
        session.listening = Some(port);
        session.target = None;
        self.passive.insert(port, control);
        say(os, control, &words);
    }

    fn begin(&mut self, os: &mut Os<'_>, control: ConnId, job: Job, words: &str) {
        let Some(session) = self.sessions.get_mut(&control) else { return };
        if session.data.is_none() && session.target.is_none() && session.listening.is_none() {
            return say(os, control, "425 Use PORT or PASV first.");
        }
        session.job = Some(job);
        say(os, control, words);
        if let Some(target) = session.target.take() {
            match os.connect(target, Some(session.local.ip()), self.data_port, &self.options) {
                Ok(conn) => {
                    session.data = Some(conn);
                    session.is_open = false;
                    self.data.insert(conn, control);
                }
                Err(_) => self.finish(os, control, "425 Cannot open the data connection."),
            }
            return;
        }
        self.go_on(os, control);
    }

    /// Moves what there is to be moved.
    fn go_on(&mut self, os: &mut Os<'_>, control: ConnId) {
        let Some(session) = self.sessions.get_mut(&control) else { return };
        let (Some(conn), true) = (session.data, session.is_open) else { return };
        match &mut session.job {
            None => {}
            Some(Job::Send { bytes, sent }) => {
                while *sent < bytes.len() {
                    let moved = os.send(conn, &bytes[*sent..]);
                    if moved == 0 {
                        return;
                    }
                    self.sent.add(&bytes[*sent..*sent + moved]);
                    *sent += moved;
                }
                os.close(conn);
            }
            Some(Job::Receive { bytes, .. }) => {
                let received = &mut self.received;
                os.receive(conn, usize::MAX, &mut |data| {
                    bytes.extend_from_slice(data);
                    received.add(data);
                });
            }
        }
    }

    fn abort(&mut self, os: &mut Os<'_>, control: ConnId) {
        let Some(session) = self.sessions.get_mut(&control) else { return };
        if session.job.is_some() {
            if let Some(conn) = session.data {
                os.abort(conn);
            }
            self.finish(os, control, "426 The transfer is aborted.");
        }
        say(os, control, "226 Aborted.");
    }

    fn finish(&mut self, os: &mut Os<'_>, control: ConnId, words: &str) {
        let Some(session) = self.sessions.get_mut(&control) else { return };
        if let Some(Job::Receive { name, bytes }) = session.job.take()
            && words.starts_with("226")
        {
            self.files.insert(name, bytes);
        }
        if let Some(conn) = session.data.take() {
            self.data.remove(&conn);
        }
        session.is_open = false;
        say(os, control, words);
    }

    fn handle_data(&mut self, os: &mut Os<'_>, control: ConnId, event: &Event) {
        match event {
            Event::Connected(_) | Event::Accepted(_) => {
                if let Some(session) = self.sessions.get_mut(&control) {
                    session.is_open = true;
                }
                self.go_on(os, control);
            }
            Event::Readable(_) | Event::Writable(_) => self.go_on(os, control),
            Event::PeerClosed(conn) => {
                self.go_on(os, control);
                os.close(*conn);
            }
            Event::Closed(_, Ending::Done) => {
                self.go_on(os, control);
                self.finish(os, control, "226 That was all.");
            }
            Event::Closed(..) => self.finish(os, control, "426 The data connection broke."),
            _ => {}
        }
    }

    fn handle_control(&mut self, os: &mut Os<'_>, control: ConnId, event: &Event) {
        match event {
            Event::Readable(_) => {
                let Some(session) = self.sessions.get_mut(&control) else { return };
                os.receive(control, usize::MAX, &mut |data| session.lines.add(data));
                while let Some(line) =
                    self.sessions.get_mut(&control).and_then(|session| session.lines.next())
                {
                    self.command(os, control, &line);
                }
            }
            Event::PeerClosed(_) => os.close(control),
            Event::Closed(..) => {
                let Some(session) = self.sessions.remove(&control) else { return };
                if let Some(port) = session.listening {
                    os.unlisten(port);
                    self.passive.remove(&port);
                }
                if let Some(conn) = session.data {
                    os.abort(conn);
                    self.data.remove(&conn);
                }
            }
            _ => {}
        }
    }

    fn accept(&mut self, os: &mut Os<'_>, conn: ConnId) {
        let Some(socket) = os.socket(conn) else { return };
        let (local, remote) = (socket.local, socket.remote);
        if let Some(control) = self.passive.remove(&local.port()) {
            os.unlisten(local.port());
            if let Some(session) = self.sessions.get_mut(&control) {
                session.listening = None;
                session.data = Some(conn);
                self.data.insert(conn, control);
            }
            return;
        }
        let session = Session {
            local,
            remote,
            lines: Lines::default(),
            is_in: false,
            target: None,
            listening: None,
            data: None,
            is_open: false,
            job: None,
        };
        self.sessions.insert(conn, session);
        say(os, conn, "220 Ready.");
    }
}

impl App for Server {
    fn handle(&mut self, os: &mut Os<'_>, event: Event) {
        let conn = match event {
            Event::Started => {
                self.began = Some(os.now());
                self.trouble = os.listen(None, self.port, self.options).err().map(Trouble::Os);
                return;
            }
            Event::Accepted(conn) => {
                self.accept(os, conn);
                conn
            }
            Event::Connected(conn)
            | Event::Readable(conn)
            | Event::Writable(conn)
            | Event::PeerClosed(conn)
            | Event::Closed(conn, _) => conn,
            _ => return,
        };
        if let Some(&control) = self.data.get(&conn) {
            self.handle_data(os, control, &event);
        } else {
            self.handle_control(os, conn, &event);
        }
    }

    fn summary(&self) -> Summary {
        Summary {
            is_done: false,
            trouble: self.trouble.clone(),
            sent: self.sent.clone(),
            received: self.received.clone(),
            began: self.began,
            ended: None,
        }
    }
}

fn say(os: &mut Os<'_>, control: ConnId, words: &str) {
    os.send(control, format!("{words}\r\n").as_bytes());
}
