//! IRC, as much of it as a file needs that one client sends another (RFC 1459; DCC): names, messages to a name, and the
//! offer of a file in one, which the receiver fetches from the sender himself.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::ftp::Lines;
use super::{App, Event, Peer, Summary, Tally, Trouble};
use crate::host::{ConnId, Ending, Os, TcpOptions};
use crate::packet::protocol;

/// Says who it is, offers files, and fetches those that it is offered.
#[derive(Clone, Debug)]
pub struct Client {
    /// The server.
    pub to: SocketAddr,
    /// The connection's port here; none is any.
    pub port: Option<u16>,
    /// How its connections are to behave.
    pub options: TcpOptions,
    nick: String,
    control: Option<ConnId>,
    local: Option<SocketAddr>,
    lines: Lines,
    is_in: bool,
    offers: VecDeque<Offer>,
    /// Files on their way out, by their port, and once they are fetched by their connection.
    waiting: BTreeMap<u16, Vec<u8>>,
    sending: BTreeMap<ConnId, (Vec<u8>, usize)>,
    fetching: BTreeMap<ConnId, (String, Tally, u64)>,
    /// The ports of the next fetches that have none yet.
    wishes: VecDeque<u16>,
    offered: BTreeMap<String, Tally>,
    fetched: BTreeMap<String, Tally>,
    sent: Tally,
    received: Tally,
    trouble: Option<Trouble>,
    began: Option<u64>,
    ended: Option<u64>,
}

#[derive(Clone, Debug)]
struct Offer {
    to: String,
    name: String,
    bytes: Vec<u8>,
    port: Option<u16>,
}

impl Client {
    /// Somebody of this name.
    pub fn new(to: SocketAddr, nick: &str) -> Client {
        Client {
            to,
            port: None,
            options: TcpOptions::default(),
            nick: nick.to_owned(),
            control: None,
            local: None,
            lines: Lines::default(),
            is_in: false,
            offers: VecDeque::new(),
            waiting: BTreeMap::new(),
            sending: BTreeMap::new(),
            fetching: BTreeMap::new(),
            wishes: VecDeque::new(),
            offered: BTreeMap::new(),
            fetched: BTreeMap::new(),
            sent: Tally::default(),
            received: Tally::default(),
            trouble: None,
            began: None,
            ended: None,
        }
    }

    /// Offers a file to somebody, at this port where it is free.
    pub fn offer(&mut self, os: &mut Os<'_>, to: &str, name: &str, bytes: Vec<u8>, port: Option<u16>) {
        self.ended = None;
        self.offers.push_back(Offer { to: to.to_owned(), name: name.to_owned(), bytes, port });
        self.make_offers(os);
    }

    /// The port from which the next file is fetched that has none yet, where it is free.
    pub fn wish(&mut self, port: u16) {
        self.wishes.push_back(port);
    }

    /// What it has offered under a name.
    pub fn offered(&self, name: &str) -> Option<&Tally> {
        self.offered.get(name)
    }

    /// What it has fetched under a name.
    pub fn fetched(&self, name: &str) -> Option<&Tally> {
        self.fetched.get(name)
    }

    fn say(&self, os: &mut Os<'_>, words: &str) {
        if let Some(control) = self.control {
            os.send(control, format!("{words}\r\n").as_bytes());
        }
    }

    fn make_offers(&mut self, os: &mut Os<'_>) {
        let Some(IpAddr::V4(address)) = self.local.map(|local| local.ip()).filter(|_| self.is_in) else {
            return;
        };
        while let Some(offer) = self.offers.pop_front() {
            let Some(port) = super::ftp::listen(os, address.into(), offer.port, &self.options) else {
                return;
            };
            let Offer { to, name, bytes, .. } = offer;
            let mut tally = Tally::default();
            tally.add(&bytes);
            let (number, length) = (u32::from(address), bytes.len());
            self.waiting.insert(port, bytes);
            self.offered.insert(name.clone(), tally);
            self.say(os, &format!("PRIVMSG {to} :\u{1}DCC SEND {name} {number} {port} {length}\u{1}"));
        }
    }

    fn hear(&mut self, os: &mut Os<'_>, line: &str) {
        if line.split(' ').nth(1) == Some("001") {
            self.is_in = true;
            return self.make_offers(os);
        }
        let Some((_, offer)) = line.split_once("\u{1}DCC SEND ") else { return };
        let words: Vec<&str> = offer.trim_end_matches('\u{1}').split(' ').collect();
        let &[name, address, port, length] = &words[..] else { return };
        let (Ok(address), Ok(port), Ok(length)) = (address.parse::<u32>(), port.parse(), length.parse())
        else {
            return;
        };
        let to = SocketAddr::new(Ipv4Addr::from(address).into(), port);
        let own = self.local.map(|local| local.ip());
        let wish = self.wishes.pop_front();
        let connected = os.connect(to, own, wish, &self.options);
        match connected.or_else(|_| os.connect(to, own, None, &self.options)) {
            Ok(conn) => {
                self.ended = None;
                self.fetching.insert(conn, (name.to_owned(), Tally::default(), length));
            }
            Err(error) => self.trouble = Some(Trouble::Os(error)),
        }
    }

    fn handle_control(&mut self, os: &mut Os<'_>, conn: ConnId, event: &Event) {
        match event {
            Event::Connected(_) => {
                self.local = os.socket(conn).map(|socket| socket.local);
                let nick = self.nick.clone();
                self.say(os, &format!("NICK {nick}"));
                self.say(os, &format!("USER {nick} 0 * :{nick}"));
            }
            Event::Readable(_) => {
                os.receive(conn, usize::MAX, &mut |data| self.lines.add(data));
                while let Some(line) = self.lines.next() {
                    self.hear(os, &line);
                }
            }
            Event::PeerClosed(_) => os.close(conn),
            Event::Closed(_, ending) if *ending != Ending::Done => {
                self.trouble = Some(Trouble::Ended(*ending));
            }
            _ => {}
        }
    }

    fn go_on(&mut self, os: &mut Os<'_>, conn: ConnId) {
        let Some((bytes, done)) = self.sending.get_mut(&conn) else { return };
        while *done < bytes.len() {
            let moved = os.send(conn, &bytes[*done..]);
            if moved == 0 {
                return;
            }
            self.sent.add(&bytes[*done..*done + moved]);
            *done += moved;
        }
        os.close(conn);
    }

    fn handle_data(&mut self, os: &mut Os<'_>, conn: ConnId, event: &Event) {
        if let Some((_, tally, _)) = self.fetching.get_mut(&conn) {
            let received = &mut self.received;
            os.receive(conn, usize::MAX, &mut |data| {
                tally.add(data);
                received.add(data);
            });
            if matches!(event, Event::PeerClosed(_)) {
                os.close(conn);
            }
        } else {
            self.go_on(os, conn);
        }
        if let Event::Closed(_, ending) = event {
            self.over(os, conn, *ending);
        }
    }

    fn over(&mut self, os: &mut Os<'_>, conn: ConnId, ending: Ending) {
        self.sending.remove(&conn);
        if let Some((name, tally, wanted)) = self.fetching.remove(&conn) {
            if tally.bytes() < wanted {
                self.trouble = Some(Trouble::CutShort { have: tally.bytes(), wanted });
            }
            self.fetched.insert(name, tally);
        } else if ending != Ending::Done {
            self.trouble = Some(Trouble::Ended(ending));
        }
        if self.is_idle() {
            self.ended.get_or_insert(os.now());
        }
    }

    fn is_idle(&self) -> bool {
        self.offers.is_empty()
            && self.waiting.is_empty()
            && self.sending.is_empty()
            && self.fetching.is_empty()
    }
}

impl App for Client {
    fn handle(&mut self, os: &mut Os<'_>, event: Event) {
        let conn = match event {
            Event::Started => {
                self.began = Some(os.now());
                match os.connect(self.to, None, self.port, &self.options) {
                    Ok(conn) => self.control = Some(conn),
                    Err(error) => self.trouble = Some(Trouble::Os(error)),
                }
                return;
            }
            Event::Accepted(conn) => {
                let port = os.socket(conn).map_or(0, |socket| socket.local.port());
                if let Some(bytes) = self.waiting.remove(&port) {
                    os.unlisten(port);
                    self.sending.insert(conn, (bytes, 0));
                }
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
        } else {
            self.handle_data(os, conn, &event);
        }
    }

    fn summary(&self) -> Summary {
        Summary {
            is_done: self.ended.is_some() && self.is_idle(),
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

/// Passes messages on, by name.
#[derive(Clone, Debug)]
pub struct Server {
    /// The port.
    pub port: u16,
    sessions: BTreeMap<ConnId, (String, Lines)>,
    trouble: Option<Trouble>,
    began: Option<u64>,
}

impl Server {
    /// A server at a port.
    pub fn new(port: u16) -> Server {
        Server { port, sessions: BTreeMap::new(), trouble: None, began: None }
    }

    fn hear(&mut self, os: &mut Os<'_>, conn: ConnId, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let nick = self.sessions.get(&conn).map(|(nick, _)| nick.clone()).unwrap_or_default();
        match word {
            "NICK" => {
                if let Some((nick, _)) = self.sessions.get_mut(&conn) {
                    *nick = rest.trim().to_owned();
                }
            }
            "USER" => {
                os.send(conn, format!(":irc 001 {nick} :Welcome\r\n").as_bytes());
            }
            "PRIVMSG" => {
                let to = rest.split(' ').next().unwrap_or_default();
                let other = self.sessions.iter().find(|(_, (nick, _))| nick == to).map(|(&conn, _)| conn);
                let words = match other {
                    Some(_) => format!(":{nick} PRIVMSG {rest}\r\n"),
                    None => format!(":irc 401 {nick} {to} :No such nick\r\n"),
                };
                os.send(other.unwrap_or(conn), words.as_bytes());
            }
            _ => {}
        }
    }
}

impl App for Server {
    fn handle(&mut self, os: &mut Os<'_>, event: Event) {
        match event {
            Event::Started => {
                self.began = Some(os.now());
                let options = TcpOptions::default();
                self.trouble = os.listen(None, self.port, options).err().map(Trouble::Os);
            }
            Event::Accepted(conn) => {
                self.sessions.insert(conn, (String::new(), Lines::default()));
            }
            Event::Readable(conn) => {
                let Some((_, lines)) = self.sessions.get_mut(&conn) else { return };
                os.receive(conn, usize::MAX, &mut |data| lines.add(data));
                while let Some(line) = self.sessions.get_mut(&conn).and_then(|(_, lines)| lines.next()) {
                    self.hear(os, conn, &line);
                }
            }
            Event::PeerClosed(conn) => os.close(conn),
            Event::Closed(conn, _) => drop(self.sessions.remove(&conn)),
            _ => {}
        }
    }

    fn summary(&self) -> Summary {
        Summary { trouble: self.trouble.clone(), began: self.began, ..Summary::default() }
    }
}
