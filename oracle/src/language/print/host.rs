//! Hosts that act, as they are written.

use std::fmt::{self, Display, Formatter};

use conntruth_sim::link::{Fault, Filter, Way, What, When};
use conntruth_sim::packet::protocol;

use crate::language::ast::host::{
    Cable, CableWord, Deed, FtpMode, Goal, HostCheck, Limit, Moved, Order, Place, Run, Service, Term, Verb,
};
use crate::language::ast::{Length, Located, Name, Story};
use crate::language::words::TCP_FLAGS;

use super::Words;

/// Lines of the heading that say who is a stack and how all are wired.
pub(super) fn heading(story: &Story) -> Vec<String> {
    let mut lines = Vec::new();
    for router in &story.routers {
        let place = match &router.place {
            Place::Side(side) => side.name().to_owned(),
            Place::Behind(other) => format!("behind {}", other.value),
        };
        lines.push(format!("router {} {place}", router.name.value));
    }
    for network in &story.networks {
        lines.push(format!("network {} behind {}", network.name.value, super::named(&network.routers)));
    }
    // Hosts may live behind routers.
    lines.extend(story.hosts.iter().map(ToString::to_string));
    if !story.stack.is_empty() {
        lines.push(format!("stack {}", super::named(&story.stack)));
    }
    lines.extend(story.cables.iter().map(ToString::to_string));
    lines.extend(story.routes.iter().map(|way| match &way.via {
        Some(via) => format!("route {} > {} via {}", way.from.value, way.to.value, via.value),
        None => format!("route {} > {} around", way.from.value, way.to.value),
    }));
    lines.extend(story.limits.iter().map(|limit| match limit {
        Limit::Time(length) => format!("limit {length}"),
        Limit::Events(count) => format!("limit {count} events"),
    }));
    lines
}

/// Whether a claim about hosts stands at the margin: one that does not begin with a host.
pub(super) fn stands_left(check: &HostCheck) -> bool {
    !matches!(check, HostCheck::Sees { .. } | HostCheck::Moved { .. } | HostCheck::File { .. })
}

impl Display for Cable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.host.value)?;
        if let Some(interface) = &self.interface {
            write!(f, " {}", interface.value)?;
        }
        self.words.iter().try_for_each(|word| write!(f, " {word}"))
    }
}

impl Display for CableWord {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let moment = |f: &mut Formatter<'_>, word: &str, at: &Option<Length>| match at {
            Some(at) => write!(f, "{word} at {at}"),
            None => f.write_str(word),
        };
        match self {
            CableWord::Latency(length) => write!(f, "latency {length}"),
            CableWord::Jitter(length) => write!(f, "jitter {length}"),
            CableWord::Bandwidth(bits) => write!(f, "bandwidth {bits}bit"),
            CableWord::Queue(bytes) => write!(f, "queue {bytes}"),
            CableWord::Mtu(mtu) => write!(f, "mtu {mtu}"),
            CableWord::Cut(at) => moment(f, "cut", at),
            CableWord::Restore(at) => moment(f, "restore", at),
            CableWord::Fault(fault) => write_fault(f, fault),
        }
    }
}

fn nanos(nanos: u64) -> Length {
    Length { nanos, ticks: 0 }
}

fn write_fault(f: &mut Formatter<'_>, fault: &Fault) -> fmt::Result {
    match fault.what {
        What::Lose => f.write_str("lose")?,
        What::Corrupt { at: Some(at) } => write!(f, "corrupt byte {at}")?,
        What::Corrupt { at: None } => f.write_str("corrupt")?,
        What::Truncate { length } => write!(f, "truncate {length}")?,
        What::Duplicate { after: 0 } => f.write_str("duplicate")?,
        What::Duplicate { after } => write!(f, "duplicate after {}", nanos(after))?,
        What::Delay { by } => write!(f, "delay by {}", nanos(by))?,
    }
    let percent = |millionths: u32| format!("{}.{:04}%", millionths / 10_000, millionths % 10_000);
    match &fault.when {
        When::Always => {}
        When::Numbers(numbers) => {
            let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
            write!(f, " packet {}", numbers.join(","))?;
        }
        When::Every(step) => write!(f, " every {step}")?,
        When::Chance(chance) => write!(f, " {}", percent(chance.millionths()))?,
        When::Burst { begins, ends } => {
            write!(f, " bursts {} {}", percent(begins.millionths()), percent(ends.millionths()))?;
        }
        When::Between { from, until } => write!(f, " from {} until {}", nanos(*from), nanos(*until))?,
    }
    match fault.way {
        Some(Way::Up) => f.write_str(" up")?,
        Some(Way::Down) => f.write_str(" down")?,
        None => {}
    }
    write_filter(f, &fault.only)
}

fn write_filter(f: &mut Formatter<'_>, only: &Filter) -> fmt::Result {
    let flags = |bits: u8| -> String {
        TCP_FLAGS.iter().filter(|(_, bit)| bits & bit != 0).map(|(letter, _)| *letter).collect()
    };
    match only.protocol {
        Some(protocol::TCP) => f.write_str(" tcp")?,
        Some(protocol::UDP) => f.write_str(" udp")?,
        Some(protocol::ICMP) => f.write_str(" icmp")?,
        Some(protocol::ICMPV6) => f.write_str(" icmpv6")?,
        _ => {}
    }
    if let Some(port) = only.port {
        write!(f, " port {port}")?;
    }
    if only.flags_set != 0 {
        write!(f, " flags {}", flags(only.flags_set))?;
    }
    if only.flags_clear != 0 {
        write!(f, " without {}", flags(only.flags_clear))?;
    }
    match only.data {
        Some(true) => f.write_str(" data")?,
        Some(false) => f.write_str(" bare")?,
        None => {}
    }
    match only.longer_than {
        Some(length) => write!(f, " longer {length}"),
        None => Ok(()),
    }
}

/// ` WORD NAME` where there is a name.
fn with(word: &str, name: &Option<Name>) -> String {
    name.as_ref().map(|name| format!(" {word}{}", name.value)).unwrap_or_default()
}

impl Display for Deed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.host.value, self.verb)?;
        f.write_str(&with("as ", &self.name))?;
        if let Some((name, _)) = &self.data {
            write!(f, " data {}", name.value)?;
        }
        self.terms.iter().try_for_each(|Located { value, .. }| write!(f, " {value}"))
    }
}

impl Display for Verb {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Verb::Listens(port) => write!(f, "listens {port}"),
            Verb::Echoes(port) => write!(f, "echoes {port}"),
            Verb::Discards(port) => write!(f, "discards {port}"),
            Verb::Offers(port, bytes) => write!(f, "offers {port} {bytes} bytes"),
            Verb::Answers(port, Some(bytes)) => write!(f, "answers {port} {bytes} bytes"),
            Verb::Answers(port, None) => write!(f, "answers {port}"),
            Verb::Ignores(port) => write!(f, "ignores {port}"),
            Verb::Serves(Service::Ftp(files), port) => {
                write!(f, "serves ftp {port}")?;
                files.iter().try_for_each(|(name, bytes)| write!(f, " file {name} {bytes} bytes"))
            }
            Verb::Serves(Service::Tftp(files), port) => {
                write!(f, "serves tftp {port}")?;
                files.iter().try_for_each(|(name, bytes)| write!(f, " file {name} {bytes} bytes"))
            }
            Verb::Serves(Service::Dns(names), port) => {
                write!(f, "serves dns {port}")?;
                names.iter().try_for_each(|(name, address)| write!(f, " name {name} {address}"))
            }
            Verb::Serves(Service::Irc, port) => write!(f, "serves irc {port}"),
            Verb::Irc(to) => write!(f, "irc {to}"),
            Verb::Announces(on, offer) => {
                write!(
                    f,
                    "irc {} offers {} {} bytes to {}",
                    on.value, offer.file, offer.bytes, offer.to.value
                )
            }
            Verb::Streams(to) => write!(f, "streams {to}"),
            Verb::Resolves(name, to) => write!(f, "resolves {name} at {to}"),
            Verb::Tftp(to, Moved::Get(name)) => write!(f, "tftp {to} get {name}"),
            Verb::Tftp(to, Moved::Put(name, bytes)) => write!(f, "tftp {to} put {name} {bytes} bytes"),
            Verb::Reads(on, slow) => {
                write!(f, "reads{}", with("", on))?;
                match slow {
                    Some((bytes, every)) => write!(f, " {bytes} every {every}"),
                    None => Ok(()),
                }
            }
            Verb::Connects(to) => write!(f, "connects {to}"),
            Verb::Asks(to) => write!(f, "asks {to}"),
            Verb::Pings(to) => write!(f, "pings {to}"),
            Verb::Traces(to) => write!(f, "traces {to}"),
            Verb::Scans(to, ports) => {
                write!(f, "scans {to}")?;
                ports.iter().try_for_each(|port| write!(f, " {port}"))
            }
            Verb::Ftp(to) => write!(f, "ftp {to}"),
            Verb::Orders(on, order) => write!(f, "ftp {} {order}", on.value),
            Verb::Sends(bytes, on) => write!(f, "sends {bytes}{}", with("on ", on)),
            Verb::Closes(on) => write!(f, "closes{}", with("", on)),
            Verb::HalfCloses(on) => write!(f, "half-closes{}", with("", on)),
            Verb::Aborts(on) => write!(f, "aborts{}", with("", on)),
        }
    }
}

impl Display for Order {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Order::Login(user) => write!(f, "login {user}"),
            Order::List(mode) => write!(f, "list {mode}"),
            Order::Get(name, mode, None) => write!(f, "get {name} {mode}"),
            Order::Get(name, mode, Some(bytes)) => write!(f, "get {name} {mode} abort after {bytes} bytes"),
            Order::Put(name, bytes, mode) => write!(f, "put {name} {bytes} bytes {mode}"),
            Order::Quit => f.write_str("quit"),
        }
    }
}

impl Display for FtpMode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FtpMode::Active => "active",
            FtpMode::Passive => "passive",
            FtpMode::Eprt => "eprt",
            FtpMode::Epsv => "epsv",
        })
    }
}

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Term::GiveUp(length) => write!(f, "give up after {length}"),
            Term::KeepAlive(length) => write!(f, "keepalive {length}"),
            Term::Every(length) => write!(f, "every {length}"),
            Term::Patience(length) => write!(f, "patience {length}"),
            Term::From(port) => write!(f, "from {port}"),
            Term::Window(bytes) => write!(f, "window {bytes}"),
            Term::Backlog(count) => write!(f, "backlog {count}"),
            Term::Times(count) => write!(f, "times {count}"),
            Term::Size(bytes) => write!(f, "size {bytes}"),
            Term::Hops(count) => write!(f, "hops {count}"),
            Term::Tries(count) => write!(f, "tries {count}"),
            Term::Reads(bytes, every) => write!(f, "reads {bytes} every {every}"),
            Term::Deaf => f.write_str("deaf"),
            Term::Anyway => f.write_str("anyway"),
        }
    }
}

impl Display for Run {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Run::For(length) => write!(f, "{length}"),
            Run::Quiet => f.write_str("until quiet"),
            Run::Until(name, goal) => write!(f, "until {} {goal}", name.value),
        }
    }
}

impl Display for Goal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Goal::Open => "open",
            Goal::Closed => "closed",
            Goal::Gone => "gone",
            Goal::Done => "done",
        })
    }
}

impl Display for HostCheck {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            HostCheck::Believe { conn, parts } => {
                write!(f, "believe {}: ", conn.value)?;
                let parts: Vec<String> =
                    parts.iter().map(|(who, state)| format!("{} {}", who.value, state.value)).collect();
                f.write_str(&parts.join(", "))
            }
            HostCheck::Sees { host, what, on } => {
                write!(f, "{} sees {}{}", host.value, what.value, with("on ", on))
            }
            HostCheck::Moved { host, received, bytes, on, hash } => {
                let mut words = Words::new(f);
                words.put(&host.value)?;
                words.put(if *received { "received" } else { "sent" })?;
                match bytes {
                    Some(bytes) => words.put(bytes.value)?,
                    None => words.put("whole")?,
                }
                if let Some(on) = on {
                    words.put(format_args!("on {}", on.value))?;
                }
                match hash {
                    Some(hash) => words.put(format_args!("hash 0x{:016x}", hash.value)),
                    None => Ok(()),
                }
            }
            HostCheck::Took { what, length, exact } => {
                let whole = length.value.nanos.is_multiple_of(1_000_000_000) && length.value.ticks == 0;
                match *exact && whole {
                    true => write!(f, "took {} {}.0s", what.value, length.value.nanos / 1_000_000_000),
                    false => write!(f, "took {} {}", what.value, length.value),
                }
            }
            HostCheck::File { host, file, on } => {
                write!(f, "{} received {} whole{}", host.value, file.value, with("on ", on))
            }
            HostCheck::Resolved { what, address, .. } => match address {
                Some(address) => write!(f, "resolved {} {}", what.value, address.value),
                None => write!(f, "resolved {} nothing", what.value),
            },
            HostCheck::Answered { what, count } => write!(f, "answered {} {}", what.value, count.value),
            HostCheck::Found { what, port, found } => {
                write!(f, "found {} {} {}", what.value, port.value, found.value)
            }
            HostCheck::Hops { what, hosts } => {
                write!(f, "hops {} {}", what.value, super::named(hosts))
            }
            HostCheck::Sockets { host, count } => write!(f, "sockets {} {}", host.value, count.value),
            HostCheck::Disagree { conn, how } => write!(f, "disagree {} {}", conn.value, how.value),
        }
    }
}
