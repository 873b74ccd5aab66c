//! Hosts that act: who is a stack, how they are wired, what they do, and what is claimed about them.

use std::net::IpAddr;

use conntruth_sim::link::{Fault, What, When};

use super::packet::{Endpoint, HostRef};
use super::{Length, Located, Name, Side, Span};

/// `router r1 outside`, `router r2 behind r1`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    /// Its name.
    pub name: Name,
    /// The network it is on.
    pub place: Place,
}

/// Where a router is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the network of a side of the tracker.
    Side(Side),
    /// Behind another router.
    Behind(Name),
}

/// `network lan behind r1 r2`: a network that several routers lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: Name,
    /// The routers; the first is the next one of its hosts, and of the tracker on the way there.
    pub routers: Vec<Name>,
}

/// `route server > client around`: packets from one host to another pass the tracker by, on a way of their own.
/// `route far > client via r2`: they take another router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The sender, or who forwards on the way.
    pub from: Name,
    /// The receiver.
    pub to: Name,
    /// The next router; none is a way around the tracker.
    pub via: Option<Name>,
}

/// A bound on what a run may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `limit 10d`: the last moment.
    Time(Length),
    /// `limit 1000 events`
    Events(u64),
}

/// `link client latency 20ms`, `link box outside mtu 1400`, `link client lose 5% up`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cable {
    /// Whose cable.
    pub host: Name,
    /// Which of its interfaces, where that is said.
    pub interface: Option<Located<&'static str>>,
    /// What is said of it.
    pub words: Vec<CableWord>,
    /// The line.
    pub span: Span,
}

/// What can be said of a cable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CableWord {
    /// `latency 20ms`
    Latency(Length),
    /// `jitter 5ms`
    Jitter(Length),
    /// `bandwidth 10Mbit`: bits a second.
    Bandwidth(u64),
    /// `queue 64000`: bytes.
    Queue(u64),
    /// `mtu 1400`
    Mtu(u64),
    /// `lose 5% up`
    Fault(Fault),
    /// `cut`, `cut at 1h`
    Cut(Option<Length>),
    /// `restore`, `restore at 2h`
    Restore(Option<Length>),
}

/// `client connects server:7 as c  give up after 2min`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// Who.
    pub host: Name,
    /// What.
    pub verb: Verb,
    /// `as c`
    pub name: Option<Name>,
    /// How.
    pub terms: Vec<Located<Term>>,
    /// The flow that it opens, by its place among the story's.
    pub flow: Option<usize>,
    /// `data d`: the flow of what is moved, by its place among the story's, where it is another one.
    pub data: Option<(Name, usize)>,
}

/// What a host does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `listens 7`: takes connections, and does with them what later steps say.
    Listens(u16),
    /// `echoes 7`: sends back what comes, closes when the other side does.
    Echoes(u16),
    /// `discards 9`: takes what comes, closes when the other side does.
    Discards(u16),
    /// `offers 19 1000 bytes`: sends so much to whoever comes, and closes.
    Offers(u16, u64),
    /// `answers 53`, `answers 53 200 bytes`: a datagram for each, the same or of a length.
    Answers(u16, Option<u64>),
    /// `ignores 53`: takes datagrams and says nothing.
    Ignores(u16),
    /// `serves ftp 21 file readme.txt 5000 bytes`
    Serves(Service, u16),
    /// `connects server:7`
    Connects(Endpoint),
    /// `asks server:53`: datagrams, and answers to them.
    Asks(Endpoint),
    /// `streams server:5004`: datagrams to which no answers are expected.
    Streams(Endpoint),
    /// `resolves www.example at server:53`
    Resolves(String, Endpoint),
    /// `tftp server:69 get boot.img`, `tftp server:69 put notes.txt 300 bytes`
    Tftp(Endpoint, Moved),
    /// `pings server`
    Pings(HostRef),
    /// `traces server`
    Traces(HostRef),
    /// `scans server 22 80 443`
    Scans(HostRef, Vec<u16>),
    /// `ftp server:21`
    Ftp(Endpoint),
    /// `ftp ctl get readme.txt active`
    Orders(Name, Order),
    /// `irc server:6667`
    Irc(Endpoint),
    /// `irc chat offers notes.txt 3000 bytes to ben`
    Announces(Name, Offered),
    /// `sends 1000 on c`
    Sends(u64, Option<Name>),
    /// `reads c`, `reads c 1000 every 1s`
    Reads(Option<Name>, Option<(u64, Length)>),
    /// `closes c`
    Closes(Option<Name>),
    /// `half-closes c`
    HalfCloses(Option<Name>),
    /// `aborts c`
    Aborts(Option<Name>),
}

/// What a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// Files, by FTP.
    Ftp(Vec<(String, u64)>),
    /// Files, by TFTP.
    Tftp(Vec<(String, u64)>),
    /// Addresses of names, by DNS.
    Dns(Vec<(String, IpAddr)>),
    /// Messages, by IRC.
    Irc,
}

/// A file that one client of IRC offers another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Its name.
    pub file: String,
    /// How long it is.
    pub bytes: u64,
    /// To whom.
    pub to: Name,
}

/// A file that is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// From the server.
    Get(String),
    /// To the server, so many bytes.
    Put(String, u64),
}

/// What an FTP client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// `login anonymous`
    Login(String),
    /// `list active`
    List(FtpMode),
    /// `get readme.txt passive`, `get large passive abort after 3000 bytes`
    Get(String, FtpMode, Option<u64>),
    /// `put notes.txt 300 bytes active`
    Put(String, u64, FtpMode),
    /// `quit`
    Quit,
}

/// Who opens a data connection, and how that is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FtpMode {
    /// The server: `PORT`, in IPv6 `EPRT`.
    Active,
    /// The client: `PASV`, in IPv6 `EPSV`.
    Passive,
    /// `EPRT` in both.
    Eprt,
    /// `EPSV` in both.
    Epsv,
}

/// How a host does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// `give up after 2min`
    GiveUp(Length),
    /// `keepalive 75s`
    KeepAlive(Length),
    /// `every 1s`
    Every(Length),
    /// `patience 5s`
    Patience(Length),
    /// `from 40000`
    From(u64),
    /// `window 8000`
    Window(u64),
    /// `backlog 5`
    Backlog(u64),
    /// `times 3`
    Times(u64),
    /// `size 56`
    Size(u64),
    /// `hops 5`
    Hops(u64),
    /// `tries 3`
    Tries(u64),
    /// `reads 1000 every 1s`: so many bytes at a time.
    Reads(u64, Length),
    /// `deaf`: never reads.
    Deaf,
    /// `anyway`: though nothing listens there.
    Anyway,
}

/// `run until c closed`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    /// `run 5s`
    For(Length),
    /// `run until quiet`: nothing more is going to happen.
    Quiet,
    /// `run until c closed`
    Until(Name, Goal),
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The host that asked for it has been told that it is open.
    Open,
    /// The host that asked for it has been told that it is over.
    Closed,
    /// No host has a socket of it.
    Gone,
    /// It has nothing more to do.
    Done,
}

/// A claim about hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostCheck {
    /// `believe c: client ESTABLISHED, server ESTABLISHED, tracker nothing`
    Believe {
        /// The connection.
        conn: Name,
        /// Who, and what state it is in for him; `nothing` where it is not.
        parts: Vec<(Name, Name)>,
    },
    /// `client sees timed-out on c`
    Sees {
        /// Who.
        host: Name,
        /// What: a word of [`OUTCOMES`].
        what: Name,
        /// Of what.
        on: Option<Name>,
    },
    /// `client received 1000 on c`, `client received whole on c`, `client sent 1000 on c`
    Moved {
        /// Who.
        host: Name,
        /// Received rather than sent.
        received: bool,
        /// How many bytes; none is all that the other side has sent, the very bytes.
        bytes: Option<Located<u64>>,
        /// Of what.
        on: Option<Name>,
        /// `hash 0x1234`: XXH64 of all the bytes.
        hash: Option<Located<u64>>,
    },
    /// `client received readme.txt whole on ctl`
    File {
        /// Who.
        host: Name,
        /// The file.
        file: Name,
        /// By what.
        on: Option<Name>,
    },
    /// `resolved q 10.0.1.1`, `resolved q nothing`
    Resolved {
        /// The question.
        what: Name,
        /// The first address; none where there is no such name.
        address: Option<Located<IpAddr>>,
        /// All of it.
        span: Span,
    },
    /// `took c 127s`
    Took {
        /// What.
        what: Name,
        /// How long; whole seconds are rounded down.
        length: Located<Length>,
        /// Whether it is finer than seconds.
        exact: bool,
    },
    /// `answered p 3`
    Answered {
        /// What.
        what: Name,
        /// How many requests.
        count: Located<u64>,
    },
    /// `found s 22 open`
    Found {
        /// The scan.
        what: Name,
        /// The port.
        port: Located<u64>,
        /// A word of [`FINDINGS`].
        found: Name,
    },
    /// `hops t box r1 server`
    Hops {
        /// The trace.
        what: Name,
        /// Who answered, in order; `*` is nobody.
        hosts: Vec<Name>,
    },
    /// `sockets server 0`
    Sockets {
        /// Who.
        host: Name,
        /// How many TCP sockets, without those that listen.
        count: Located<u64>,
    },
    /// `disagree c premature-expiry`
    Disagree {
        /// The connection.
        conn: Name,
        /// A word of [`DISAGREEMENTS`].
        how: Name,
    },
}

/// What an application is told in the end.
pub const OUTCOMES: &[&str] = &[
    "nothing",
    "done",
    "refused",
    "reset",
    "timed-out",
    "aborted",
    "unanswered",
    "cut-short",
    "no-route",
    "host-unreachable",
    "protocol-unreachable",
    "port-unreachable",
    "prohibited",
    "too-big",
    "time-exceeded",
    "trouble",
];

/// What a scan finds.
pub const FINDINGS: &[&str] = &["open", "closed", "silent", "unreachable"];

/// How hosts and tracker can differ about a connection.
pub const DISAGREEMENTS: &[&str] = &["nothing", "premature-expiry", "zombie", "refused", "evasion"];

/// The states of a socket, as `ss` and `netstat` have them.
pub const SOCKET_STATES: &[&str] = &[
    "nothing",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "CLOSE_WAIT",
    "CLOSING",
    "LAST_ACK",
    "TIME_WAIT",
];

/// A fault that happens always, for those who read its words one by one.
pub(in crate::language) fn fault(what: What) -> Fault {
    Fault::new(what, When::Always)
}
