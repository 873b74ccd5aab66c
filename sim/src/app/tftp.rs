//! TFTP (RFC 1350): a block, its acknowledgement, the next block; the server answers from a port of its own.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::udp::any;
use super::{About, App, Event, Peer, Summary, Tally, Trouble};
use crate::host::{Os, UdpId};
use crate::packet::protocol;
use crate::time::SECOND;

const BLOCK: usize = 512;

/// What TFTP says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Words<'a> {
    Read(String),
    Write(String),
    Data(u16, &'a [u8]),
    Ack(u16),
    Error(u16, String),
}

impl<'a> Words<'a> {
    fn write(&self) -> Vec<u8> {
        let mut data = vec![0];
        match self {
            Words::Read(name) | Words::Write(name) => {
                data.push(if matches!(self, Words::Read(_)) { 1 } else { 2 });
                data.extend_from_slice(name.as_bytes());
                data.extend_from_slice(b"\0octet\0");
            }
            Words::Data(number, block) => {
                data.push(3);
                data.extend_from_slice(&number.to_be_bytes());
                data.extend_from_slice(block);
            }
            Words::Ack(number) => {
                data.push(4);
                data.extend_from_slice(&number.to_be_bytes());
            }
            Words::Error(code, text) => {
                data.push(5);
                data.extend_from_slice(&code.to_be_bytes());
                data.extend_from_slice(text.as_bytes());
                data.push(0);
            }
        }
        data
    }

    fn read(data: &'a [u8]) -> Option<Words<'a>> {
        let (kind, rest) = data.split_first_chunk::<2>()?;
        let number = rest.first_chunk::<2>().map(|number| u16::from_be_bytes(*number));
        let text = |bytes: &[u8]| {
            let end = bytes.iter().position(|&byte| byte == 0)?;
            Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
        };
        match kind {
            [0, 1] => Some(Words::Read(text(rest)?)),
            [0, 2] => Some(Words::Write(text(rest)?)),
            [0, 3] => Some(Words::Data(number?, &rest[2..])),
            [0, 4] => Some(Words::Ack(number?)),
            [0, 5] => Some(Words::Error(number?, text(&rest[2..]).unwrap_or_default())),
            _ => None,
        }
    }
}

/// One side of a transfer: what is moved, how far it is, and what was said last.
#[derive(Clone, Debug)]
struct Side {
    socket: UdpId,
    peer: SocketAddr,
    /// The other side's port is known: nobody else is listened to.
    is_met: bool,
    bytes: Vec<u8>,
    is_sender: bool,
    /// The last block sent and not acknowledged, or received in order.
    block: u64,
    is_last: bool,
    last_words: Vec<u8>,
    tries: u32,
    /// The number of the wake-up that counts.
    token: u32,
}

/// What a side has come to.
enum Step {
    Going,
    Done,
    Failed(Trouble),
}

impl Side {
    fn say(&mut self, os: &mut Os<'_>, words: &Words<'_>, token: u32) {
        self.last_words = words.write();
        self.tries = 0;
        self.again(os, token);
    }

    fn again(&mut self, os: &mut Os<'_>, token: u32) {
        self.tries += 1;
        self.token = token;
        let _ = os.udp_send(self.socket, self.peer, &self.last_words);
        os.wake_at(os.now() + SECOND, token);
    }

    /// The sender's next block.
    fn send_block(&mut self, os: &mut Os<'_>, token: u32) {
        self.block += 1;
        let start = (self.block as usize - 1) * BLOCK;
        let end = (start + BLOCK).min(self.bytes.len());
        self.is_last = end - start < BLOCK;
        let block = self.bytes[start..end].to_vec();
        self.say(os, &Words::Data(self.block as u16, &block), token);
    }

    fn handle(&mut self, os: &mut Os<'_>, words: &Words<'_>, token: u32) -> Step {
        match words {
            Words::Ack(number) if self.is_sender && *number == self.block as u16 => {
                if self.is_last {
                    return Step::Done;
                }
                self.send_block(os, token);
                Step::Going
            }
            Words::Data(number, data) if !self.is_sender && *number == (self.block + 1) as u16 => {
                self.block += 1;
                self.bytes.extend_from_slice(data);
                self.is_last = data.len() < BLOCK;
                self.say(os, &Words::Ack(*number), token);
                if self.is_last { Step::Done } else { Step::Going }
            }
            // A block that is there already: its acknowledgement was lost.
            Words::Data(number, _) if !self.is_sender && *number == self.block as u16 && self.block > 0 => {
                let _ = os.udp_send(self.socket, self.peer, &self.last_words);
                Step::Going
            }
            Words::Error(_, text) => Step::Failed(Trouble::Answer(text.clone())),
            _ => Step::Going,
        }
    }
}

/// So often is something said before it is given up.
const TRIES: u32 = 5;

/// Gets a file, or puts one.
#[derive(Clone, Debug)]
pub struct Client {
    /// Whom from, or to.
    pub to: SocketAddr,
    /// From this port; zero is any.
    pub port: u16,
    name: String,
    put: Option<Vec<u8>>,
    side: Option<Side>,
    tally: Tally,
    trouble: Option<Trouble>,
    began: Option<u64>,
    ended: Option<u64>,
    next_token: u32,
}

impl Client {
    /// Gets a file.
    pub fn get(to: SocketAddr, name: &str) -> Client {
        Client {
            to,
            port: 0,
            name: name.to_owned(),
            put: None,
            side: None,
            tally: Tally::default(),
            trouble: None,
            began: None,
            ended: None,
            next_token: 0,
        }
    }

    /// Puts a file.
    pub fn put(to: SocketAddr, name: &str, bytes: Vec<u8>) -> Client {
        Client { put: Some(bytes), ..Client::get(to, name) }
    }

    /// What was got.
    pub fn bytes(&self) -> &[u8] {
        match &self.side {
            Some(side) if !side.is_sender => &side.bytes,
            _ => &[],
        }
    }

    fn token(&mut self) -> u32 {
        self.next_token += 1;
        self.next_token
    }

    fn finish(&mut self, os: &mut Os<'_>, trouble: Option<Trouble>) {
        if self.ended.is_none() {
            self.ended = Some(os.now());
            self.trouble = trouble;
            if let Some(side) = &self.side {
                self.tally.add(&side.bytes);
            }
        }
    }
}

impl App for Client {
    fn handle(&mut self, os: &mut Os<'_>, event: Event) {
        let token = self.token();
        match event {
            Event::Started => {
                self.began = Some(os.now());
                let socket = match os.udp_open(SocketAddr::new(any(self.to.ip()), self.port), None) {
                    Ok(socket) => socket,
                    Err(error) => return self.finish(os, Some(Trouble::Os(error))),
                };
                let mut side = Side {
                    socket,
                    peer: self.to,
                    is_met: false,
                    bytes: self.put.clone().unwrap_or_default(),
                    is_sender: self.put.is_some(),
                    block: 0,
                    is_last: false,
                    last_words: Vec::new(),
                    tries: 0,
                    token: 0,
                };
                let name = self.name.clone();
                let words = if side.is_sender { Words::Write(name) } else { Words::Read(name) };
                side.say(os, &words, token);
                self.side = Some(side);
            }
            Event::Datagram { from, data, .. } => {
                let (Some(side), None) = (&mut self.side, self.ended) else { return };
                if side.is_met && side.peer != from || from.ip() != self.to.ip() {
                    return;
                }
                let Some(words) = Words::read(&data) else { return };
                (side.is_met, side.peer) = (true, from);
                match side.handle(os, &words, token) {
                    Step::Going => {}
                    Step::Done => self.finish(os, None),
                    Step::Failed(trouble) => self.finish(os, Some(trouble)),
                }
            }
            Event::Woken(woken) => {
                let (Some(side), None) = (&mut self.side, self.ended) else { return };
                if woken != side.token {
                    return;
                }
                if side.tries >= TRIES {
                    return self.finish(os, Some(Trouble::Unanswered));
                }
                side.again(os, token);
            }
            Event::Error(About::Socket(_), quote) => self.finish(os, Some(Trouble::Icmp(quote.error))),
            _ => {}
        }
    }

    fn summary(&self) -> Summary {
        let (mut sent, mut received) = (Tally::default(), Tally::default());
        if self.put.is_some() {
            sent = self.tally.clone()
        } else {
            received = self.tally.clone()
        }
        Summary {
            is_done: self.ended.is_some(),
            trouble: self.trouble.clone(),
            sent,
            received,
            began: self.began,
            ended: self.ended,
        }
    }

    fn peers(&self) -> Vec<Peer> {
        vec![Peer { to: self.to, protocol: protocol::UDP }]
    }
}

/// Has files, and takes some.
#[derive(Clone, Debug)]
pub struct Server {
    /// The port that requests come to.
    pub port: u16,
    files: BTreeMap<String, Vec<u8>>,
    wishes: VecDeque<u16>,
    requests: Vec<UdpId>,
    /// Transfers by their own sockets, with the name of a file that is put.
    sides: BTreeMap<UdpId, (Side, Option<String>)>,
    tokens: BTreeMap<u32, UdpId>,
    next_token: u32,
    sent: Tally,
    received: Tally,
    trouble: Option<Trouble>,
    began: Option<u64>,
}

impl Server {
    /// A server with files, by their names.
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Server {
        Server {
            port: 69,
            files,
            wishes: VecDeque::new(),
            requests: Vec::new(),
            sides: BTreeMap::new(),
            tokens: BTreeMap::new(),
            next_token: 0,
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

    /// The port of the next transfer that has none yet, where it is free.
    pub fn wish(&mut self, port: u16) {
        self.wishes.push_back(port);
    }

    fn take_request(&mut self, os: &mut Os<'_>, from: SocketAddr, to: SocketAddr, words: &Words<'_>) {
        // A port of its own, at the address that was asked.
        let wish = self.wishes.pop_front().unwrap_or(0);
        let mut open = |port: u16| os.udp_open(SocketAddr::new(to.ip(), port), Some(from));
        let Ok(socket) = open(wish).or_else(|_| open(0)) else { return };
        let mut side = Side {
            socket,
            peer: from,
            is_met: true,
            bytes: Vec::new(),
            is_sender: false,
            block: 0,
            is_last: false,
            last_words: Vec::new(),
            tries: 0,
            token: 0,
        };
        let token = self.token(socket);
        let mut put = None;
        match words {
            Words::Read(name) => match self.files.get(name) {
                Some(bytes) => {
                    side.bytes = bytes.clone();
                    side.is_sender = true;
                    side.send_block(os, token);
                }
                None => {
                    let words = Words::Error(1, "File not found".to_owned()).write();
                    let _ = os.udp_send(socket, from, &words);
                    return os.udp_close(socket);
                }
            },
            Words::Write(name) => {
                put = Some(name.clone());
                side.say(os, &Words::Ack(0), token);
            }
            _ => return os.udp_close(socket),
        }
        self.sides.insert(socket, (side, put));
    }

    fn token(&mut self, socket: UdpId) -> u32 {
        self.next_token += 1;
        self.tokens.insert(self.next_token, socket);
        self.next_token
    }

    fn end(&mut self, os: &mut Os<'_>, socket: UdpId, is_whole: bool) {
        let Some((side, put)) = self.sides.remove(&socket) else { return };
        self.tokens.remove(&side.token);
        match put {
            Some(name) if is_whole => {
                self.received.add(&side.bytes);
                self.files.insert(name, side.bytes);
            }
            Some(_) => {}
            None => self.sent.add(&side.bytes),
        }
        os.udp_close(socket);
    }
}

impl App for Server {
    fn handle(&mut self, os: &mut Os<'_>, event: Event) {
        match event {
            Event::Started => {
                self.began = Some(os.now());
                for address in [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()] {
                    match os.udp_open(SocketAddr::new(address, self.port), None) {
                        Ok(socket) => self.requests.push(socket),
                        Err(error) => self.trouble = Some(Trouble::Os(error)),
                    }
                }
            }
            Event::Datagram { socket, from, to, data } => {
                let Some(words) = Words::read(&data) else { return };
                if self.requests.contains(&socket) {
                    return self.take_request(os, from, to, &words);
                }
                let token = self.token(socket);
                let Some((side, put)) = self.sides.get_mut(&socket) else { return };
                let before = side.token;
                let step = side.handle(os, &words, token);
                // Of the two only one is still to come and counts.
                self.tokens.remove(if side.token == token { &before } else { &token });
                match step {
                    Step::Going => {}
                    // The last acknowledgement may be lost: one who has put a file is listened to for a while.
                    Step::Done if put.is_some() => {
                        let name = put.clone().unwrap_or_default();
                        self.files.insert(name, side.bytes.clone());
                    }
                    Step::Done => self.end(os, socket, true),
                    Step::Failed(_) => self.end(os, socket, false),
                }
            }
            Event::Woken(token) => {
                let Some(socket) = self.tokens.remove(&token) else { return };
                if self.sides.get(&socket).is_none_or(|(side, _)| side.token != token) {
                    return;
                }
                let next = self.token(socket);
                let Some((side, put)) = self.sides.get_mut(&socket) else { return };
                let is_over = put.is_some() && side.is_last;
                if is_over || side.tries >= TRIES {
                    return self.end(os, socket, is_over);
                }
                side.again(os, next);
            }
            _ => {}
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
