//! Who does what: the applications that a story has started, by the names it gave them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use conntruth_sim::World;
use conntruth_sim::app::ping::Ping;
use conntruth_sim::app::scan::Scan;
use conntruth_sim::app::tcp::{Client, Server};
use conntruth_sim::app::traceroute::Traceroute;
use conntruth_sim::app::{Act, Content, Reading, Summary, Talked, Trouble, ftp, udp};
use conntruth_sim::host::{Ending, TcpOptions, TcpSocket, TcpState};
use conntruth_sim::packet::IcmpError;
use conntruth_sim::world::AppId;

use crate::language::ast::host::{Deed, FtpMode, Order, Term, Verb};
use crate::language::ast::packet::{Endpoint, HostRef};
use crate::language::ast::{Located, Name};

use super::super::places::Places;
use super::super::talks::Talk;

/// What a story has started.
#[derive(Debug, Default)]
pub(super) struct Cast {
    /// TCP servers by host and port.
    servers: BTreeMap<(String, u16), AppId>,
    parts: Vec<Part>,
}

/// Something that a host does under a name.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// None where it is the only one.
    pub name: Option<String>,
    /// Who does it.
    pub host: String,
    pub app: AppId,
    pub kind: Kind,
    /// The other side, by the story's name for it, and its port.
    pub peer: (String, u16),
    /// Both ends of a connection.
    pub ends: Option<(SocketAddr, SocketAddr)>,
}

/// What it is that he does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp,
    Udp,
    Ping,
    Trace,
    Scan,
    Ftp,
}

/// Why a deed cannot be done, in words.
pub(super) type Undone = String;

impl Cast {
    /// The part of a name; the only connection where there is none.
    pub(super) fn part(&self, name: Option<&Name>) -> Result<&Part, Undone> {
        let found = match name {
            Some(name) => self.parts.iter().find(|part| part.name.as_deref() == Some(&*name.value)),
            None => self.parts.last(),
        };
        found.ok_or_else(|| {
            let name = name.map_or_else(String::new, |name| format!(" `{}`", name.value));
            format!("nothing was begun{name} that is a host's doing")
        })
    }

    /// A host does something.
    pub(super) fn act(
        &mut self,
        world: &mut World,
        places: &Places,
        talk: Option<&Talk>,
        deed: &Deed,
    ) -> Result<(), Undone> {
        let options = options(&deed.terms);
        let host = &*deed.host.value;
        let deaf = deed.terms.iter().any(|term| term.value == Term::Deaf);
        let server = |port: u16, plan: Vec<Act>| {
            let reading = if deaf { Reading::Never } else { Reading::Fast };
            let mut server = Server::new(port, plan);
            (server.options, server.reading) = (options, reading);
            server
        };
        let serving = match &deed.verb {
            Verb::Listens(port) => Some(server(*port, Vec::new())),
            Verb::Echoes(port) => Some(server(*port, vec![Act::Echo, Act::Close])),
            Verb::Discards(port) => Some(server(*port, vec![Act::ReceiveAll, Act::Close])),
            Verb::Offers(port, bytes) => Some(server(*port, vec![Act::Send(*bytes), Act::Close])),
            _ => None,
        };
        if let Some(serving) = serving {
            let port = serving.port;
            let app = started(world, host, serving)?;
            self.servers.insert((host.to_owned(), port), app);
            return Ok(());
        }
        match &deed.verb {
            Verb::Answers(port, None) => {
                started(world, host, udp::Server::new(*port, udp::Answer::Echo)).map(drop)
            }
            Verb::Answers(port, Some(bytes)) => {
                let answer = udp::Answer::Bytes(*bytes as usize);
                started(world, host, udp::Server::new(*port, answer)).map(drop)
            }
            Verb::Ignores(port) => {
                started(world, host, udp::Server::new(*port, udp::Answer::Nothing)).map(drop)
            }
            Verb::Serves(port, files) => {
                let files = files.iter().enumerate();
                let files = files
                    .map(|(at, (name, bytes))| (name.clone(), Content(at as u64).bytes(*bytes as usize)));
                started(world, host, ftp::Server::new(*port, files.collect())).map(drop)
            }
            Verb::Sends(bytes, on) => self.tell(world, host, on.as_ref(), &Act::Send(*bytes)),
            Verb::Closes(on) => self.tell(world, host, on.as_ref(), &Act::Close),
            Verb::HalfCloses(on) => self.tell(world, host, on.as_ref(), &Act::HalfClose),
            Verb::Aborts(on) => self.tell(world, host, on.as_ref(), &Act::Abort),
            Verb::Orders(on, order) => self.order(world, places, on, order),
            _ => self.begin(world, places, talk, deed, options),
        }
    }

    /// Somebody begins something.
    fn begin(
        &mut self,
        world: &mut World,
        places: &Places,
        talk: Option<&Talk>,
        deed: &Deed,
        options: TcpOptions,
    ) -> Result<(), Undone> {
        let host = &*deed.host.value;
        let address = |to: &HostRef| -> Result<IpAddr, Undone> {
            places.address(to).ok_or_else(|| format!("`{to}` has no address of this family"))
        };
        let socket = |to: &Endpoint| -> Result<SocketAddr, Undone> {
            Ok(SocketAddr::new(address(&to.host)?, to.port.unwrap_or(0)))
        };
        let own_port = talk.map(|talk| talk.ports[0]);
        let terms = Terms(&deed.terms);
        let (app, kind, to) = match &deed.verb {
            Verb::Connects(to) => {
                let mut client = Client::new(socket(to)?, Vec::new());
                (client.port, client.options) = (own_port, options);
                if deed.terms.iter().any(|term| term.value == Term::Deaf) {
                    client.reading = Reading::Never;
                }
                (started(world, host, client)?, Kind::Tcp, socket(to)?)
            }
            Verb::Ftp(to) => {
                let mut client = ftp::Client::new(socket(to)?, Vec::new());
                (client.port, client.options) = (own_port, options);
                (started(world, host, client)?, Kind::Ftp, socket(to)?)
            }
            Verb::Asks(to) => {
                let mut client = udp::Client::new(socket(to)?, terms.times() as u32);
                client.port = own_port.unwrap_or(0);
                terms.every(&mut client.interval);
                terms.patience(&mut client.patience);
                if let Some(size) = terms.size() {
                    client.size = size;
                }
                client.retries = terms.tries().map_or(0, |tries| tries - 1);
                (started(world, host, client)?, Kind::Udp, socket(to)?)
            }
            Verb::Pings(to) => {
                let mut ping = Ping::new(address(to)?, terms.times());
                ping.wish = talk.map(|talk| talk.tuple().src_id);
                terms.every(&mut ping.interval);
                terms.patience(&mut ping.patience);
                if let Some(size) = terms.size() {
                    ping.size = size;
                }
                ping.hop_limit = options.hop_limit;
                (started(world, host, ping)?, Kind::Ping, SocketAddr::new(address(to)?, 0))
            }
            Verb::Traces(to) => {
                let mut trace = Traceroute::new(address(to)?);
                terms.patience(&mut trace.patience);
                (started(world, host, trace)?, Kind::Trace, SocketAddr::new(address(to)?, 0))
            }
            Verb::Scans(to, ports) => {
                let mut scan = Scan::new(address(to)?, ports.iter().copied());
                terms.patience(&mut scan.patience);
                (started(world, host, scan)?, Kind::Scan, SocketAddr::new(address(to)?, 0))
            }
            _ => return Ok(()),
        };
        let peer = places.name_of(to.ip()).map_or_else(|| to.ip().to_string(), str::to_owned);
        let ends = talk.map(|talk| {
            let [from, to] = [0, 1].map(|side| SocketAddr::new(talk.spots[side].address, talk.ports[side]));
            (from, to)
        });
        let name = deed.name.as_ref().map(|name| name.value.clone());
        self.parts.push(Part { name, host: host.to_owned(), app, kind, peer: (peer, to.port()), ends });
        Ok(())
    }

    /// One side of a connection does something with it.
    fn tell(&mut self, world: &mut World, host: &str, on: Option<&Name>, act: &Act) -> Result<(), Undone> {
        let part = self.part(on)?.clone();
        if part.kind != Kind::Tcp {
            return Err("only connections of TCP can be told this".to_owned());
        }
        if part.host == host {
            world.with_app::<Client, _>(part.app, |client, os| client.then(os, act.clone()));
            return Ok(());
        }
        let server = self.servers.get(&(host.to_owned(), part.peer.1)).filter(|_| part.peer.0 == host);
        let Some(&server) = server else {
            return Err(format!("`{host}` is no side of this connection"));
        };
        let remote = part.ends.map(|ends| ends.0);
        let told = world.with_app::<Server, _>(server, |server, os| {
            remote.is_some_and(|remote| server.then_with(os, remote, act.clone()))
        });
        match told {
            Some(true) => Ok(()),
            _ => Err(format!("`{host}` has no such connection")),
        }
    }

    fn order(&mut self, world: &mut World, places: &Places, on: &Name, order: &Order) -> Result<(), Undone> {
        let part = self.part(Some(on))?.clone();
        if part.kind != Kind::Ftp {
            return Err(format!("`{}` does not speak FTP", on.value));
        }
        let is_v4 = part.ends.is_none_or(|(_, to)| to.is_ipv4());
        let _ = places;
        let mode = |mode: &FtpMode| match (mode, is_v4) {
            (FtpMode::Active, true) => ftp::Mode::Port,
            (FtpMode::Active, false) | (FtpMode::Eprt, _) => ftp::Mode::Eprt,
            (FtpMode::Passive, true) => ftp::Mode::Pasv,
            (FtpMode::Passive, false) | (FtpMode::Epsv, _) => ftp::Mode::Epsv,
        };
        let order = match order {
            Order::Login(user) => {
                ftp::Order::Login { user: user.clone(), password: format!("{user}@example") }
            }
            Order::List(how) => ftp::Order::List(mode(how)),
            Order::Get(name, how) => ftp::Order::Get(mode(how), name.clone()),
            Order::Put(name, bytes, how) => {
                ftp::Order::Put(mode(how), name.clone(), Content(99).bytes(*bytes as usize))
            }
            Order::Quit => ftp::Order::Quit,
        };
        world.with_app::<ftp::Client, _>(part.app, |client, os| client.then(os, order));
        Ok(())
    }

    /// What became of a connection, as one of its sides was told.
    pub(super) fn talked(&self, world: &World, part: &Part, host: &str) -> Option<Talked> {
        if part.host == host {
            return world.app::<Client>(part.app)?.report().cloned();
        }
        let server = self.servers.get(&(host.to_owned(), part.peer.1))?;
        let remote = part.ends.map(|ends| ends.0);
        let mut reports = world.app::<Server>(*server)?.reports();
        reports.find(|report| report.remote == remote).cloned()
    }

    /// What somebody has come to: both sides of a TCP connection have a tale of their own.
    pub(super) fn summary(&self, world: &World, part: &Part, host: &str) -> Option<Summary> {
        if part.kind != Kind::Tcp {
            return (part.host == host).then(|| world.summary(part.app));
        }
        let talked = self.talked(world, part, host);
        if talked.is_none() && part.host == host {
            return Some(world.summary(part.app));
        }
        let talked = talked?;
        Some(Summary {
            is_done: talked.ended.is_some(),
            trouble: talked.trouble,
            sent: talked.sent,
            received: talked.received,
            began: Some(talked.began),
            ended: talked.ended,
        })
    }
}

fn started(world: &mut World, host: &str, app: impl conntruth_sim::app::App) -> Result<AppId, Undone> {
    world.start(host, app).map_err(|error| error.to_string())
}

/// The socket of a connection at one of its ends.
pub(super) fn socket(world: &World, host: &str, part: &Part) -> Option<TcpSocket> {
    let (near, far) = part.ends?;
    let (local, remote) = if host == part.host { (near, far) } else { (far, near) };
    let node = world.node(host).ok()?;
    let mut sockets = world.tcp_sockets(node).map(|(_, socket)| socket);
    sockets.find(|socket| socket.local == local && socket.remote == remote)
}

/// The state of a socket in the words of `ss`.
pub(super) fn state_word(state: TcpState) -> &'static str {
    match state {
        TcpState::Closed => "nothing",
        TcpState::Listen => "LISTEN",
        TcpState::SynSent => "SYN_SENT",
        TcpState::SynReceived => "SYN_RECV",
        TcpState::Established => "ESTABLISHED",
        TcpState::FinWait1 => "FIN_WAIT1",
        TcpState::FinWait2 => "FIN_WAIT2",
        TcpState::CloseWait => "CLOSE_WAIT",
        TcpState::Closing => "CLOSING",
        TcpState::LastAck => "LAST_ACK",
        TcpState::TimeWait => "TIME_WAIT",
    }
}

/// What an application was told in the end, in a word.
pub(super) fn outcome(summary: &Summary, ending: Option<Ending>) -> &'static str {
    match (&summary.trouble, ending) {
        (Some(Trouble::Icmp(error)), _) => icmp_word(*error),
        (Some(Trouble::Unanswered), _) => "unanswered",
        (Some(Trouble::CutShort { .. }), _) => "cut-short",
        (Some(Trouble::Ended(ending)), _) => ending_word(*ending),
        (Some(_), _) => "trouble",
        (None, Some(ending)) => ending_word(ending),
        (None, None) if summary.is_done => "done",
        (None, None) => "nothing",
    }
}

fn ending_word(ending: Ending) -> &'static str {
    match ending {
        Ending::Done => "done",
        Ending::Refused => "refused",
        Ending::Reset => "reset",
        Ending::TimedOut => "timed-out",
        Ending::Aborted => "aborted",
        Ending::Unreachable(error) => icmp_word(error),
    }
}

fn icmp_word(error: IcmpError) -> &'static str {
    match error {
        IcmpError::NoRoute => "no-route",
        IcmpError::HostUnreachable => "host-unreachable",
        IcmpError::ProtocolUnreachable => "protocol-unreachable",
        IcmpError::PortUnreachable => "port-unreachable",
        IcmpError::Prohibited => "prohibited",
        IcmpError::TooBig { .. } => "too-big",
        IcmpError::TimeExceeded | IcmpError::ReassemblyTimeout => "time-exceeded",
        IcmpError::Other { .. } => "trouble",
    }
}

fn options(terms: &[Located<Term>]) -> TcpOptions {
    let mut options = TcpOptions::default();
    for term in terms {
        match term.value {
            Term::GiveUp(length) => options.give_up = length.nanos,
            Term::KeepAlive(length) => options.keep_alive = Some(length.nanos),
            Term::Window(bytes) => options.receive_buffer = bytes as usize,
            Term::Backlog(count) => options.backlog = count as usize,
            Term::Hops(count) => options.hop_limit = count as u8,
            _ => {}
        }
    }
    options
}

/// How something is done, word by word.
struct Terms<'t>(&'t [Located<Term>]);

impl Terms<'_> {
    fn find<T>(&self, pick: impl Fn(Term) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(|term| pick(term.value))
    }

    fn times(&self) -> u16 {
        self.find(|term| if let Term::Times(count) = term { Some(count as u16) } else { None }).unwrap_or(1)
    }

    fn size(&self) -> Option<usize> {
        self.find(|term| if let Term::Size(bytes) = term { Some(bytes as usize) } else { None })
    }

    fn tries(&self) -> Option<u32> {
        self.find(|term| if let Term::Tries(count) = term { Some(count as u32) } else { None })
    }

    fn every(&self, slot: &mut u64) {
        if let Some(length) =
            self.find(|term| if let Term::Every(length) = term { Some(length) } else { None })
        {
            *slot = length.nanos;
        }
    }

    fn patience(&self, slot: &mut u64) {
        let found = self.find(|term| if let Term::Patience(length) = term { Some(length) } else { None });
        if let Some(length) = found {
            *slot = length.nanos;
        }
    }
}
