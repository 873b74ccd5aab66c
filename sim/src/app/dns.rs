//! Names and addresses: a resolver that asks and asks again, and a server that knows (RFC 1035, as much as an address
//! needs).

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::udp::any;
use super::{About, App, Event, Peer, Summary, Tally, Trouble};
use crate::host::{Os, UdpId};
use crate::packet::protocol;
use crate::time::SECOND;

/// Asks for the addresses of names, one after the other.
#[derive(Clone, Debug)]
pub struct Resolver {
    /// Whom it asks; of several the next when one does not answer.
    pub servers: Vec<SocketAddr>,
    /// From this port; zero is another one each time.
    pub port: u16,
    /// How long it waits for an answer, in nanoseconds.
    pub patience: u64,
    /// How often it asks each server.
    pub attempts: u32,
    questions: VecDeque<Question>,
    answers: Vec<Answer>,
    /// The question under way: its socket, its number, and how often it was asked.
    asked: Option<(UdpId, u16, u32)>,
    sent: Tally,
    received: Tally,
    trouble: Option<Trouble>,
    began: Option<u64>,
    ended: Option<u64>,
    token: u32,
}

/// A name, and the family of the address that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name.
    pub name: String,
    /// An IPv6 address.
    pub is_v6: bool,
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The question.
    pub question: Question,
    /// The addresses; none where nobody answered. Empty where there is no such name.
    pub addresses: Option<Vec<IpAddr>>,
    /// How often it was asked.
    pub tries: u32,
}

const HEADER: usize = 12;
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const NO_SUCH_NAME: u8 = 3;

impl Resolver {
    /// A resolver that asks one server, as `resolv.conf` has it: two attempts, five seconds each.
    pub fn new(server: SocketAddr, names: &[&str]) -> Resolver {
        let question = |name: &&str| Question { name: (*name).to_owned(), is_v6: false };
        Resolver {
            servers: vec![server],
            port: 0,
            patience: 5 * SECOND,
            attempts: 2,
            questions: names.iter().map(question).collect(),
            answers: Vec::new(),
            asked: None,
            sent: Tally::default(),
            received: Tally::default(),
            trouble: None,
            began: None,
            ended: None,
            token: 0,
        }
    }

    /// What was answered so far.
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// One more question, before it has started.
    pub fn add(&mut self, question: Question) {
        self.questions.push_back(question);
    }

    /// One more question, after all the others.
    pub fn ask(&mut self, os: &mut Os<'_>, question: Question) {
        self.questions.push_back(question);
        if self.ended.take().is_some() {
            self.go_on(os, 0);
        }
    }

    /// Asks the first question, for so many-eth time.
    fn go_on(&mut self, os: &mut Os<'_>, tries: u32) {
        if let Some((socket, ..)) = self.asked.take() {
            os.udp_close(socket);
        }
        let Some(question) = self.questions.front() else {
            self.ended.get_or_insert(os.now());
            return;
        };
        let servers = self.servers.len() as u32;
        if tries >= self.attempts * servers {
            self.trouble.get_or_insert(Trouble::Unanswered);
            return self.settle(os, None, tries);
        }
        let server = self.servers[(tries % servers) as usize];
        let number = os.random() as u16;
        let data = query(number, question);
        let socket = os.udp_open(SocketAddr::new(any(server.ip()), self.port), Some(server));
        match socket.and_then(|socket| os.udp_send(socket, server, &data).map(|()| socket)) {
            Ok(socket) => self.asked = Some((socket, number, tries + 1)),
            Err(error) => {
                self.trouble.get_or_insert(Trouble::Os(error));
                return self.settle(os, None, tries);
            }
        }
        self.sent.add(&data);
        self.token += 1;
        os.wake_at(os.now() + self.patience, self.token);
    }

    fn settle(&mut self, os: &mut Os<'_>, addresses: Option<Vec<IpAddr>>, tries: u32) {
        if let Some(question) = self.questions.pop_front() {
            self.answers.push(Answer { question, addresses, tries });
        }
        self.go_on(os, 0);
    }
}

impl App for Resolver {
    fn handle(&mut self, os: &mut Os<'_>, event: Event) {
        let tries = self.asked.map_or(0, |(.., tries)| tries);
        match event {
            Event::Started => {
                self.began = Some(os.now());
                self.go_on(os, 0);
            }
            Event::Woken(token) if token == self.token && self.asked.is_some() => self.go_on(os, tries),
            Event::Error(About::Socket(_), _) if self.asked.is_some() => self.go_on(os, tries),
            Event::Datagram { socket, data, .. } => {
                let Some((asked, number, tries)) = self.asked.filter(|asked| asked.0 == socket) else {
                    return;
                };
                let Some(addresses) = read_answer(number, &data) else { return };
                self.received.add(&data);
                os.udp_close(asked);
                self.asked = None;
                self.settle(os, Some(addresses), tries);
            }
            _ => {}
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
        self.servers.iter().map(|&to| Peer { to, protocol: protocol::UDP }).collect()
    }
}

/// Knows names.
#[derive(Clone, Debug)]
pub struct Server {
    /// The port.
    pub port: u16,
    /// How long it thinks about each question, in nanoseconds.
    pub delay: u64,
    names: BTreeMap<String, Vec<IpAddr>>,
    thinking: BTreeMap<u32, (UdpId, SocketAddr, Vec<u8>)>,
    questions: u32,
    sent: Tally,
    received: Tally,
    trouble: Option<Trouble>,
    began: Option<u64>,
}

impl Server {
    /// A server that knows these names.
    pub fn new(names: &[(&str, &[IpAddr])]) -> Server {
        let names = names.iter().map(|(name, addresses)| ((*name).to_ascii_lowercase(), addresses.to_vec()));
        Server {
            port: 53,
            delay: 0,
            names: names.collect(),
            thinking: BTreeMap::new(),
            questions: 0,
            sent: Tally::default(),
            received: Tally::default(),
            trouble: None,
            began: None,
        }
    }

    /// Questions that it was asked.
    pub fn questions(&self) -> u32 {
        self.questions
    }

    fn answer(&mut self, os: &mut Os<'_>, token: u32) {
        let Some((socket, to, data)) = self.thinking.remove(&token) else { return };
        let answer = self.answer_to(&data);
        if let Some(answer) = answer
            && os.udp_send(socket, to, &answer).is_ok()
        {
            self.sent.add(&answer);
        }
    }

    fn answer_to(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (name, kind, end) = read_question(query)?;
        let known = self.names.get(&name);
        let fits = |address: &&IpAddr| address.is_ipv4() == (kind == TYPE_A);
        let addresses: Vec<IpAddr> = known.into_iter().flatten().filter(fits).copied().collect();
        let mut answer = query[..end].to_vec();
        // An answer, by who knows it, recursion wanted where the question wanted it.
        answer[2] = 0x84 | query[2] & 1;
        answer[3] = if known.is_some() { 0 } else { NO_SUCH_NAME };
        answer[4..12].fill(0);
        answer[5] = 1;
        answer[6..8].copy_from_slice(&(addresses.len() as u16).to_be_bytes());
        for address in addresses {
            // The name again, by where it stands; class IN; an hour.
            answer.extend_from_slice(&[0xc0, HEADER as u8]);
            answer.extend_from_slice(&kind.to_be_bytes());
            answer.extend_from_slice(&[0, 1, 0, 0, 0x0e, 0x10]);
            match address {
                IpAddr::V4(address) => {
                    answer.extend_from_slice(&[0, 4]);
                    answer.extend_from_slice(&address.octets());
                }
                IpAddr::V6(address) => {
                    answer.extend_from_slice(&[0, 16]);
                    answer.extend_from_slice(&address.octets());
                }
            }
        }
        Some(answer)
    }
}

impl App for Server {
    fn handle(&mut self, os: &mut Os<'_>, event: Event) {
        match event {
            Event::Started => {
                self.began = Some(os.now());
                for address in [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()] {
                    if let Err(error) = os.udp_open(SocketAddr::new(address, self.port), None) {
                        self.trouble = Some(Trouble::Os(error));
                    }
                }
            }
            Event::Datagram { socket, from, data, .. } => {
                self.received.add(&data);
                self.questions += 1;
                self.thinking.insert(self.questions, (socket, from, data));
                if self.delay == 0 {
                    self.answer(os, self.questions);
                } else {
                    os.wake_at(os.now() + self.delay, self.questions);
                }
            }
            Event::Woken(token) => self.answer(os, token),
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

fn query(number: u16, question: &Question) -> Vec<u8> {
    let mut data = number.to_be_bytes().to_vec();
    data.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in question.name.split('.').filter(|label| !label.is_empty()) {
        let label = &label.as_bytes()[..label.len().min(63)];
        data.push(label.len() as u8);
        data.extend_from_slice(label);
    }
    data.push(0);
    data.extend_from_slice(&if question.is_v6 { TYPE_AAAA } else { TYPE_A }.to_be_bytes());
    data.extend_from_slice(&[0, 1]);
    data
}

/// The name and type that are asked for, and where the question ends.
fn read_question(data: &[u8]) -> Option<(String, u16, usize)> {
    let mut at = HEADER;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*data.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        if length > 63 {
            return None;
        }
        labels.push(String::from_utf8_lossy(data.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes(*data.get(at..at + 4)?.first_chunk()?);
    Some((labels.join("."), kind, at + 4))
}

/// The addresses in an answer to the question with this number; `None` where it is none.
fn read_answer(number: u16, data: &[u8]) -> Option<Vec<IpAddr>> {
    let is_answer = data.get(..2)? == number.to_be_bytes() && data.get(2)? & 0x80 != 0;
    let (_, _, mut at) = read_question(data).filter(|_| is_answer)?;
    let count = u16::from_be_bytes([data[6], data[7]]);
    let mut addresses = Vec::new();
    for _ in 0..count {
        let head = data.get(at..at + 12)?;
        let length = usize::from(u16::from_be_bytes([head[10], head[11]]));
        let value = data.get(at + 12..at + 12 + length)?;
        match u16::from_be_bytes([head[2], head[3]]) {
            TYPE_A => addresses.push(IpAddr::from(*value.first_chunk::<4>()?)),
            TYPE_AAAA => addresses.push(IpAddr::from(*value.first_chunk::<16>()?)),
            _ => {}
        }
        at += 12 + length;
    }
    Some(addresses)
}
