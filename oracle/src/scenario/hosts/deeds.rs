//! What hosts do: each deed as an application, or as something that one is told.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use conntruth_sim::World;
use conntruth_sim::app::ping::Ping;
use conntruth_sim::app::scan::Scan;
use conntruth_sim::app::tcp::{Client, Server};
use conntruth_sim::app::traceroute::Traceroute;
use conntruth_sim::app::{Act, Content, Reading, dns, ftp, irc, tftp, udp};
use conntruth_sim::host::TcpOptions;
use conntruth_sim::world::AppId;

use crate::language::ast::host::{Deed, FtpMode, Moved, Offered, Order, Service, Term, Verb};
use crate::language::ast::packet::{Endpoint, HostRef};
use crate::language::ast::{Length, Located, Name};

use super::super::plan::Plan;
use super::cast::{Cast, Kind, Part, Undone};

impl Cast {
    /// A host does something.
    pub(super) fn act(&mut self, world: &mut World, plan: &Plan, deed: &Deed) -> Result<(), Undone> {
        let host = &*deed.host.value;
        match &deed.verb {
            Verb::Listens(port) => self.serve(world, deed, *port, Vec::new()),
            Verb::Echoes(port) => self.serve(world, deed, *port, vec![Act::Echo, Act::Close]),
            Verb::Discards(port) => self.serve(world, deed, *port, vec![Act::ReceiveAll, Act::Close]),
            Verb::Offers(port, bytes) => self.serve(world, deed, *port, vec![Act::Send(*bytes), Act::Close]),
            Verb::Answers(port, bytes) => {
                let answer = match bytes {
                    Some(bytes) => udp::Answer::Bytes(*bytes as usize),
                    None => udp::Answer::Echo,
                };
                started(world, host, udp::Server::new(*port, answer)).map(drop)
            }
            Verb::Ignores(port) => {
                started(world, host, udp::Server::new(*port, udp::Answer::Nothing)).map(drop)
            }
            Verb::Serves(service, port) => {
                let app = match service {
                    Service::Ftp(files) => started(world, host, ftp::Server::new(*port, contents(files)))?,
                    Service::Tftp(files) => {
                        let mut server = tftp::Server::new(contents(files));
                        server.port = *port;
                        started(world, host, server)?
                    }
                    Service::Irc => started(world, host, irc::Server::new(*port))?,
                    Service::Dns(names) => {
                        let names: Vec<(&str, &[IpAddr])> = names
                            .iter()
                            .map(|(name, address)| (&**name, std::slice::from_ref(address)))
                            .collect();
                        let mut server = dns::Server::new(&names);
                        server.port = *port;
                        started(world, host, server)?
                    }
                };
                self.services.insert((host.to_owned(), *port), app);
                Ok(())
            }
            Verb::Sends(bytes, on) => self.tell(world, host, on.as_ref(), &Act::Send(*bytes)),
            Verb::Closes(on) => self.tell(world, host, on.as_ref(), &Act::Close),
            Verb::HalfCloses(on) => self.tell(world, host, on.as_ref(), &Act::HalfClose),
            Verb::Aborts(on) => self.tell(world, host, on.as_ref(), &Act::Abort),
            Verb::Reads(on, pace) => self.read(world, host, on.as_ref(), reading(*pace)),
            Verb::Announces(on, offer) => self.announce(world, plan, deed, (on, offer)),
            Verb::Orders(on, order) => self.order(world, plan, deed, (on, order)),
            _ => self.begin(world, plan, deed),
        }
    }

    fn serve(&mut self, world: &mut World, deed: &Deed, port: u16, acts: Vec<Act>) -> Result<(), Undone> {
        let mut server = Server::new(port, acts);
        (server.options, server.reading) = (options(&deed.terms), Terms(&deed.terms).reading());
        let app = started(world, &deed.host.value, server)?;
        self.servers.insert((deed.host.value.clone(), port), app);
        Ok(())
    }

    /// Somebody begins something.
    fn begin(&mut self, world: &mut World, plan: &Plan, deed: &Deed) -> Result<(), Undone> {
        let host = &*deed.host.value;
        let places = &plan.talks.places;
        let address = |to: &HostRef| -> Result<IpAddr, Undone> {
            places.address(to).ok_or_else(|| format!("`{to}` has no address of this family"))
        };
        let talk = deed.flow.map(|flow| plan.talk(flow));
        // The tracker's own host is talked to by the address that faces whoever does.
        let socket = |to: &Endpoint| -> Result<SocketAddr, Undone> {
            let address = talk.map_or_else(|| address(&to.host), |talk| Ok(talk.spots[1].address))?;
            Ok(SocketAddr::new(address, to.port.unwrap_or(0)))
        };
        let own_port = talk.map(|talk| talk.ports[0]);
        let options = options(&deed.terms);
        let terms = Terms(&deed.terms);
        let (app, kind, to) = match &deed.verb {
            Verb::Connects(to) => {
                let mut client = Client::new(socket(to)?, Vec::new());
                (client.port, client.options, client.reading) = (own_port, options, terms.reading());
                (started(world, host, client)?, Kind::Tcp, socket(to)?)
            }
            Verb::Ftp(to) => {
                let mut client = ftp::Client::new(socket(to)?, Vec::new());
                (client.port, client.options) = (own_port, options);
                (started(world, host, client)?, Kind::Ftp, socket(to)?)
            }
            Verb::Irc(to) => {
                // Everybody goes by his own name.
                let mut client = irc::Client::new(socket(to)?, host);
                (client.port, client.options) = (own_port, options);
                (started(world, host, client)?, Kind::Irc, socket(to)?)
            }
            Verb::Tftp(to, moved) => {
                let mut client = match moved {
                    Moved::Get(name) => tftp::Client::get(socket(to)?, name),
                    Moved::Put(name, bytes) => tftp::Client::put(socket(to)?, name, own_file(*bytes)),
                };
                client.port = own_port.unwrap_or(0);
                let peer = places.name_of(socket(to)?.ip()).unwrap_or_default();
                let service = self.service(peer, socket(to)?.port());
                if let (Some((_, data)), Some(service)) = (&deed.data, service) {
                    let port = plan.talk(*data).ports[0];
                    world.with_app::<tftp::Server, _>(service, |server, _| server.wish(port));
                }
                (started(world, host, client)?, Kind::Tftp, socket(to)?)
            }
            Verb::Resolves(name, to) => {
                let mut client = dns::Resolver::new(socket(to)?, &[]);
                client.port = own_port.unwrap_or(0);
                terms.patience(&mut client.patience);
                let question = dns::Question { name: name.clone(), is_v6: socket(to)?.is_ipv6() };
                client.add(question);
                (started(world, host, client)?, Kind::Dns, socket(to)?)
            }
            Verb::Asks(to) | Verb::Streams(to) => {
                let mut client = udp::Client::new(socket(to)?, u32::from(terms.times()));
                client.port = own_port.unwrap_or(0);
                terms.every(&mut client.interval);
                if matches!(deed.verb, Verb::Streams(_)) {
                    client.patience = 0;
                }
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
        let ends = deed.flow.map(|flow| ends(plan, flow));
        let name = deed.name.as_ref().map(|name| name.value.clone());
        self.parts.push(Part {
            name,
            host: host.to_owned(),
            app,
            kind,
            peer: (peer, to.port()),
            talk: deed.flow,
            ends,
            far: ends.map(|(near, far)| (far, near)),
        });
        Ok(())
    }

    /// One side of a connection does something with it.
    fn tell(&mut self, world: &mut World, host: &str, on: Option<&Name>, act: &Act) -> Result<(), Undone> {
        let part = self.connection(on)?.clone();
        if part.host == host {
            world.with_app::<Client, _>(part.app, |client, os| client.then(os, act.clone()));
            return Ok(());
        }
        let (server, remote) = self.other_side(&part, host)?;
        let told =
            world.with_app::<Server, _>(server, |server, os| server.then_with(os, remote, act.clone()));
        match told {
            Some(true) => Ok(()),
            _ => Err(format!("`{host}` has no such connection")),
        }
    }

    /// One side of a connection reads in another way from now on.
    fn read(
        &mut self,
        world: &mut World,
        host: &str,
        on: Option<&Name>,
        reading: Reading,
    ) -> Result<(), Undone> {
        let part = self.connection(on)?.clone();
        if part.host == host {
            world.with_app::<Client, _>(part.app, |client, os| client.read(os, reading));
            return Ok(());
        }
        let (server, remote) = self.other_side(&part, host)?;
        match world.with_app::<Server, _>(server, |server, os| server.read_with(os, remote, reading)) {
            Some(true) => Ok(()),
            _ => Err(format!("`{host}` has no such connection")),
        }
    }

    fn connection(&self, on: Option<&Name>) -> Result<&Part, Undone> {
        let part = self.part(on)?;
        match part.kind {
            Kind::Tcp => Ok(part),
            _ => Err("only connections of TCP can be told this".to_owned()),
        }
    }

    /// The server that took a connection, and the other end as it knows it.
    fn other_side(&self, part: &Part, host: &str) -> Result<(AppId, SocketAddr), Undone> {
        let (local, remote) = part.far.ok_or_else(|| "it has no other side".to_owned())?;
        let server = self.servers.get(&(host.to_owned(), local.port())).filter(|_| part.peer.0 == host);
        server
            .map(|server| (*server, remote))
            .ok_or_else(|| format!("`{host}` is no side of this connection"))
    }

    /// Somebody offers somebody else a file.
    fn announce(
        &mut self,
        world: &mut World,
        plan: &Plan,
        deed: &Deed,
        (on, offer): (&Name, &Offered),
    ) -> Result<(), Undone> {
        let part = self.part(Some(on))?.clone();
        let is_other = |other: &&Part| other.kind == Kind::Irc && other.host == offer.to.value;
        let other = self.parts.iter().find(is_other).map(|other| other.app);
        let (Kind::Irc, Some(other)) = (part.kind, other) else {
            return Err(format!("`{}` and `{}` do not both speak IRC", part.host, offer.to.value));
        };
        let mut port = None;
        if let Some((name, flow)) = &deed.data {
            let (from, to) = ends(plan, *flow);
            world.with_app::<irc::Client, _>(other, |client, _| client.wish(from.port()));
            port = Some(to.port());
            self.parts.push(Part {
                name: Some(name.value.clone()),
                host: offer.to.value.clone(),
                app: other,
                kind: Kind::Irc,
                peer: (part.host.clone(), to.port()),
                talk: Some(*flow),
                ends: Some((from, to)),
                far: Some((to, from)),
            });
        }
        let bytes = own_file(offer.bytes);
        world.with_app::<irc::Client, _>(part.app, |client, os| {
            client.offer(os, &offer.to.value, &offer.file, bytes, port);
        });
        Ok(())
    }

    fn order(
        &mut self,
        world: &mut World,
        plan: &Plan,
        deed: &Deed,
        (on, order): (&Name, &Order),
    ) -> Result<(), Undone> {
        let part = self.part(Some(on))?.clone();
        if part.kind != Kind::Ftp {
            return Err(format!("`{}` does not speak FTP", on.value));
        }
        let is_v4 = part.ends.is_none_or(|(_, to)| to.is_ipv4());
        let mode = |mode: &FtpMode| match (mode, is_v4) {
            (FtpMode::Active, true) => ftp::Mode::Port,
            (FtpMode::Active, false) | (FtpMode::Eprt, _) => ftp::Mode::Eprt,
            (FtpMode::Passive, true) => ftp::Mode::Pasv,
            (FtpMode::Passive, false) | (FtpMode::Epsv, _) => ftp::Mode::Epsv,
        };
        let is_passive = match order {
            Order::List(how) | Order::Get(_, how, _) | Order::Put(_, _, how) => {
                matches!(how, FtpMode::Passive | FtpMode::Epsv)
            }
            Order::Login(_) | Order::Quit => false,
        };
        let order = match order {
            Order::Login(user) => {
                ftp::Order::Login { user: user.clone(), password: format!("{user}@example") }
            }
            Order::List(how) => ftp::Order::List(mode(how)),
            Order::Get(name, how, None) => ftp::Order::Get(mode(how), name.clone()),
            Order::Get(name, how, Some(bytes)) => ftp::Order::GetPart(mode(how), name.clone(), *bytes),
            Order::Put(name, bytes, how) => ftp::Order::Put(mode(how), name.clone(), own_file(*bytes)),
            Order::Quit => ftp::Order::Quit,
        };
        let moves = !matches!(order, ftp::Order::Login { .. } | ftp::Order::Quit);
        let count = self.transfers.entry(part.app).or_insert(0);
        let number = *count;
        *count += usize::from(moves);
        let mut port = None;
        if let (Some(flow), Some(name)) = (deed.flow, &deed.name) {
            let kind = Kind::Data(number);
            port = Some(self.data(world, plan, &part, (flow, name), (kind, is_passive)));
        }
        world.with_app::<ftp::Client, _>(part.app, |client, os| client.then_at(os, order, port));
        Ok(())
    }

    /// A data connection that has a name; the port that the client has of it.
    fn data(
        &mut self,
        world: &mut World,
        plan: &Plan,
        control: &Part,
        (flow, name): (usize, &Name),
        (kind, is_passive): (Kind, bool),
    ) -> u16 {
        let (from, to) = ends(plan, flow);
        let (host, peer) = match is_passive {
            true => (control.host.clone(), control.peer.0.clone()),
            false => (control.peer.0.clone(), control.host.clone()),
        };
        if is_passive && let Some(service) = self.service(&control.peer.0, control.peer.1) {
            world.with_app::<ftp::Server, _>(service, |server, _| server.wish(to.port()));
        }
        self.parts.push(Part {
            name: Some(name.value.clone()),
            host,
            app: control.app,
            kind,
            peer: (peer, to.port()),
            talk: Some(flow),
            ends: Some((from, to)),
            far: Some((to, from)),
        });
        if is_passive { from.port() } else { to.port() }
    }
}

/// Both ends of a flow.
fn ends(plan: &Plan, flow: usize) -> (SocketAddr, SocketAddr) {
    let talk = plan.talk(flow);
    let [from, to] = [0, 1].map(|side| SocketAddr::new(talk.spots[side].address, talk.ports[side]));
    (from, to)
}

/// Files of these names and lengths.
fn contents(files: &[(String, u64)]) -> BTreeMap<String, Vec<u8>> {
    let files = files.iter().enumerate();
    files.map(|(at, (name, bytes))| (name.clone(), Content(at as u64).bytes(*bytes as usize))).collect()
}

/// What a client puts.
pub(super) fn own_file(bytes: u64) -> Vec<u8> {
    Content(99).bytes(bytes as usize)
}

fn reading(pace: Option<(u64, Length)>) -> Reading {
    match pace {
        Some((bytes, every)) => Reading::Slow { bytes: bytes as usize, every: every.nanos },
        None => Reading::Fast,
    }
}

fn started(world: &mut World, host: &str, app: impl conntruth_sim::app::App) -> Result<AppId, Undone> {
    world.start(host, app).map_err(|error| error.to_string())
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

    fn reading(&self) -> Reading {
        let found = self.find(|term| match term {
            Term::Deaf => Some(Reading::Never),
            Term::Reads(bytes, every) => Some(reading(Some((bytes, every)))),
            _ => None,
        });
        found.unwrap_or_default()
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
