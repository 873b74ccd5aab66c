//! The syntax tree: what a scenario file says, once it has been read. No behaviour, no engine, no defaults: what the
//! file leaves out is `None` here, and the runner knows what an honest stack would have sent.
//!
//! A file is a [`Script`]. `each` is gone by the time there is a tree: a script has one [`Story`] for each variant, and
//! a story is a heading and a list of [`Step`]s. [`packet`] is what a step sends, [`claim`] what it asserts.
//!
//! Every node that a message or `--bless` may have to point at carries a [`Span`] into [`Script::text`].

pub mod claim;
pub mod host;
pub mod packet;

use std::net::IpAddr;
use std::ops::Range;

use conntruth_engine::{Family, Helper, Knob, Rule};

use claim::{Check, Claims, Qualified};
use host::{Cable, Deed, Limit, Network, Route, Router, Run};
use packet::{Endpoint, Packet, Protocol};

/// Where something stands in the source, in bytes. Spans say *where*, not *what*: all are equal to each other, so
/// that `parse(print(story)) == story` means what it should.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    /// From one place to another.
    pub const fn new(start: usize, end: usize) -> Span {
        Span { start, end }
    }

    /// As a range, to slice the source with.
    pub const fn range(self) -> Range<usize> {
        self.start..self.end
    }

    /// From the beginning of this to the end of `other`.
    #[must_use]
    pub const fn to(self, other: Span) -> Span {
        Span { start: self.start, end: other.end }
    }
}

impl PartialEq for Span {
    fn eq(&self, _: &Span) -> bool {
        true
    }
}

impl Eq for Span {}

/// Something and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// What it is.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

/// A word that names something: a flow, a host, a label, a slug.
pub type Name = Located<String>;

/// A scenario file, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// What messages call it: a path, or `command line`.
    pub name: String,
    /// The text that all spans point into.
    pub text: String,
    /// The comment that the file opens with, without the `#`.
    pub about: String,
    /// One story for each variant of `each`; exactly one where there is no `each`. Never empty.
    pub stories: Vec<Story>,
}

/// One variant of a scenario. Each of its families is run in a world of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// What `each` gave this variant: `[("order", "3,2,1")]`. Empty where there is no `each`.
    pub variant: Vec<(String, String)>,
    /// `grade should`; [`Grade::Must`] where nothing is said.
    pub grade: Grade,
    /// `source ...`: where the requirement comes from, one for each line.
    pub sources: Vec<String>,
    /// `profile linux-6.18 tutorial`: the profiles this holds for; all of them when empty.
    pub profiles: Vec<Name>,
    /// `family 4 6`; IPv4 where nothing is said. Never empty.
    pub families: Vec<Family>,
    /// Only the hosts that the file names; `client`, `server` and `box` are there unless named here.
    pub hosts: Vec<Host>,
    /// `stack client server`: the hosts that are real TCP/IP stacks and act; none in a story of packets alone.
    pub stack: Vec<Name>,
    /// `router r1 outside`
    pub routers: Vec<Router>,
    /// `link client latency 20ms`: what cables are like, and what goes wrong on them.
    pub cables: Vec<Cable>,
    /// `network lan behind r1 r2`
    pub networks: Vec<Network>,
    /// `route server > client around`, `route far > client via r2`
    pub routes: Vec<Route>,
    /// `limit 10d`, `limit 1000 events`
    pub limits: Vec<Limit>,
    /// The flows, in order. Their protocols decide how their packets are written.
    pub flows: Vec<Flow>,
    /// `set` before the first step: the configuration.
    pub settings: Vec<Setting>,
    /// `helper ftp tcp 21`: connections to a port have a helper.
    pub helpers: Vec<HelperPort>,
    /// `rules` and its lines, in order.
    pub rules: Vec<Located<Rule>>,
    /// Lines of the heading that belong to a later issue (`helper`, `stack`, ...).
    pub not_yet: Vec<NotYet>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// How strongly an implementation is held to a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Wrong when it differs.
    #[default]
    Must,
    /// Surprising when it differs.
    Should,
    /// Both ways are known and defensible.
    May,
}

/// `host ann 10.0.0.7 fd00:a::7 inside`, `interface www of server 10.0.2.1 dmz`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: Name,
    /// The host of which this is another interface.
    pub of: Option<Name>,
    /// At most one address of each family.
    pub addresses: Vec<IpAddr>,
    /// `behind r1`: the router, or the network, that it lives behind.
    pub behind: Option<Name>,
    /// The side of the tracker it is on; found from the address (10.0.0.0/16 is inside) where nothing is said.
    pub side: Option<Side>,
}

/// An interface of the tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Where `client` lives.
    Inside,
    /// Where `server` lives.
    Outside,
    /// Between the two.
    Dmz,
}

impl Side {
    /// All of them.
    pub const ALL: [Side; 3] = [Side::Inside, Side::Outside, Side::Dmz];

    /// The name of the interface.
    pub const fn name(self) -> &'static str {
        match self {
            Side::Inside => "inside",
            Side::Outside => "outside",
            Side::Dmz => "dmz",
        }
    }
}

/// `flow web tcp client:40000 > server:80`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Left out where there is only one flow.
    pub name: Option<Name>,
    /// What it speaks.
    pub protocol: Protocol,
    /// The left side: its packets are written with `>`.
    pub from: Endpoint,
    /// The right side: its packets are written with `<`.
    pub to: Endpoint,
    /// `id 5`: the identifier of an ICMP flow.
    pub id: Option<u16>,
    /// It has no line of its own: a host opens it (`client connects server:7 as c`).
    pub implied: bool,
    /// The whole line.
    pub span: Span,
}

/// `helper ftp tcp 21`: a rule assigns a helper to connections to this port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelperPort {
    /// Which helper.
    pub helper: Located<Helper>,
    /// TCP or UDP, as the helper has it.
    pub protocol: Located<Protocol>,
    /// The port.
    pub port: Located<u16>,
}

/// `set tcp_loose 0`, `set tcp_timeout_established 1h`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Which knob.
    pub knob: Located<Knob>,
    /// In the knob's own unit: a time was turned into seconds.
    pub value: Located<i64>,
}

/// A line that the language knows and this version cannot run: the runner reports it as unsupported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotYet {
    /// What it is, for people: "rules", "hosts that act".
    pub what: &'static str,
    /// The issue that owns it.
    pub issue: u8,
    /// The line as it stands, and its body.
    pub lines: Vec<String>,
    /// All of it.
    pub span: Span,
}

/// One step: time passes, then something happens, then something is claimed about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `A:` - a name for the packet, to quote it or send it again.
    pub label: Option<Name>,
    /// `+10ms`: how long after the step before; nothing said is `+0`.
    pub after: Option<Located<Length>>,
    /// What happens.
    pub action: Action,
    /// What is claimed about the packets of this step, in order.
    pub claims: Option<Claims>,
    /// What is claimed in its place for certain profiles. `= for linux-6.18 established`
    pub qualified: Vec<Qualified>,
    /// The step without its claims and without a comment at the end. A blessed claim is written after it: on the
    /// same line where the file does so elsewhere, else on a line of its own at the column of `action`.
    pub span: Span,
    /// Where `action` is written; its column is where a claim on a line of its own begins.
    pub action_span: Span,
}

impl Step {
    /// What is claimed about its packets for a profile.
    pub fn claims_for(&self, profile: &str) -> Option<&Claims> {
        let own = self.qualified.iter().find(|own| own.profiles.iter().any(|name| name.value == profile));
        own.map(|own| &own.claims).or(self.claims.as_ref())
    }

    /// All its claims, for whatever profiles.
    pub fn all_claims(&self) -> impl Iterator<Item = &Claims> {
        self.claims.iter().chain(self.qualified.iter().map(|own| &own.claims))
    }
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: time passes. `+5d`
    Wait,
    /// A packet, or several of the same kind. `100x > P. (1460)`
    Send {
        /// How many times, 1 where nothing is said. Each is built after the one before was sent.
        times: u32,
        /// What.
        packet: Box<Packet>,
    },
    /// A whole TCP handshake: `S`, `S.` and `.`, no time between. `web opened`
    Opened {
        /// Whose; the only flow where nothing is said.
        flow: Option<Name>,
    },
    /// A packet that waits goes on, or ends where it is. `A goes on`, `A is lost`
    Release {
        /// Its label.
        label: Name,
        /// Whether it goes on.
        goes_on: bool,
    },
    /// The hosts see these, the tracker does not. Only [`Action::Send`], [`Action::Opened`] and [`Action::Wait`] inside,
    /// without claims.
    Hidden(Vec<Step>),
    /// A knob is turned in the middle of the story.
    Set(Setting),
    /// A host does something. `client connects server:7 as c`
    Deed(Box<Deed>),
    /// Time passes until something has come about. `run until c closed`
    Run(Run),
    /// A cable changes. `link client cut`
    Cable(Cable),
    /// From now on the packets of a flow pass the tracker by. `offload c`; without a name all packets go through it again.
    Offload(Option<Name>),
    /// A claim that is not about one packet. `table (empty)`
    Check(Check),
    /// Belongs to a later issue.
    NotYet(NotYet),
}

/// A length of time: `10ms`, `5d`, `1tick`, `30s-1tick`. A tick is worth what the profile's `hz` says (4 ms at 250).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length {
    /// Nanoseconds.
    pub nanos: u64,
    /// Ticks to add, or with a minus to take away.
    pub ticks: i32,
}

impl Length {
    /// In nanoseconds, with ticks of `tick` nanoseconds; never below zero, never past the end of time.
    pub fn nanos(self, tick: u64) -> u64 {
        let ticks = u64::from(self.ticks.unsigned_abs()).saturating_mul(tick);
        if self.ticks < 0 { self.nanos.saturating_sub(ticks) } else { self.nanos.saturating_add(ticks) }
    }
}
