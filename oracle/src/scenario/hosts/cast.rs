//! Who does what: what a story has started, by the names it gave, and what became of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use conntruth_sim::World;
use conntruth_sim::app::tcp::{Client, Server};
use conntruth_sim::app::{Summary, Talked, Trouble, ftp};
use conntruth_sim::host::{Ending, TcpSocket, TcpState};
use conntruth_sim::packet::IcmpError;
use conntruth_sim::world::AppId;

use crate::language::ast::Name;

/// What a story has started.
#[derive(Debug, Default)]
pub(super) struct Cast {
    /// TCP servers by host and port.
    pub servers: BTreeMap<(String, u16), AppId>,
    /// Servers of files and names by host and port.
    pub services: BTreeMap<(String, u16), AppId>,
    pub parts: Vec<Part>,
    /// How many transfers each FTP client was told to make.
    pub transfers: BTreeMap<AppId, usize>,
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
    /// Its flow.
    pub talk: Option<usize>,
    /// Both ends of a connection, as the one who opens it knows them.
    pub ends: Option<(SocketAddr, SocketAddr)>,
    /// The same as the other side knows them, its own first: addresses may be translated on the way.
    pub far: Option<(SocketAddr, SocketAddr)>,
}

/// What it is that he does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp,
    Udp,
    Dns,
    Tftp,
    Ping,
    Trace,
    Scan,
    Ftp,
    Irc,
    /// A data connection: which of its client's transfers.
    Data(usize),
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

    /// What became of a connection, as one of its sides was told.
    pub(super) fn talked(&self, world: &World, part: &Part, host: &str) -> Option<Talked> {
        if part.host == host {
            return world.app::<Client>(part.app)?.report().cloned();
        }
        let (local, remote) = part.far?;
        let server = self.servers.get(&(host.to_owned(), local.port()))?;
        let mut reports = world.app::<Server>(*server)?.reports();
        reports.find(|report| report.remote == Some(remote)).cloned()
    }

    /// What somebody has come to: both sides of a TCP connection have a tale of their own.
    pub(super) fn summary(&self, world: &World, part: &Part, host: &str) -> Option<Summary> {
        if let Kind::Data(number) = part.kind {
            let client = world.app::<ftp::Client>(part.app)?;
            return client.transfers().get(number).map(transferred);
        }
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

    /// The tracker says how both sides of a connection know it, each its own end first.
    pub(super) fn translated(
        &mut self,
        talk: usize,
        near: Option<(SocketAddr, SocketAddr)>,
        far: (SocketAddr, SocketAddr),
        name: impl FnOnce() -> String,
    ) {
        let Some(part) = self.parts.iter_mut().find(|part| part.talk == Some(talk)) else { return };
        if part.ends.is_some() && (part.far != Some(far) || part.ends != near) {
            (part.ends, part.far) = (near, Some(far));
            part.peer = (name(), far.0.port());
        }
    }

    /// The control connection of a data connection; anything else itself.
    pub(super) fn control_of<'c>(&'c self, part: &'c Part) -> &'c Part {
        let is_control = |other: &&Part| other.app == part.app && other.kind == Kind::Ftp;
        let is_data = matches!(part.kind, Kind::Data(_));
        self.parts.iter().find(is_control).filter(|_| is_data).unwrap_or(part)
    }

    /// A server of files or names, or any that there is at this port where addresses are translated on the way.
    pub(super) fn service(&self, host: &str, port: u16) -> Option<AppId> {
        let own = self.services.get(&(host.to_owned(), port));
        own.or_else(|| self.services.iter().find(|((_, other), _)| *other == port).map(|(_, app)| app))
            .copied()
    }
}

/// What became of a file on its way.
fn transferred(moved: &ftp::Transferred) -> Summary {
    let trouble = moved.ending.filter(|ending| *ending != Ending::Done).map(Trouble::Ended);
    Summary {
        is_done: moved.ended.is_some(),
        trouble,
        received: moved.tally.clone(),
        began: Some(moved.began),
        ended: moved.ended,
        ..Summary::default()
    }
}

/// The socket of a connection at one of its ends.
pub(super) fn socket(world: &World, host: &str, part: &Part) -> Option<TcpSocket> {
    let (local, remote) = if host == part.host { part.ends? } else { part.far? };
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
