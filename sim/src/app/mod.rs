//! Applications: state machines that are told what happens and act on their host. None has a thread, none waits.
//!
//! Each module is one of them; [`App`] is what they have in common, and all that a host knows of them. What an
//! application has come to is read from its own type, or in general from its [`Summary`].

mod content;
mod talk;
mod tally;

pub mod dns;
pub mod ftp;
pub mod irc;
pub mod ping;
pub mod scan;
pub mod tcp;
pub mod tftp;
pub mod traceroute;
pub mod udp;

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;

use crate::host::{ConnId, Ending, Os, OsError, UdpId};
use crate::packet::{IcmpError, Quote};
use crate::time::seconds;

pub use content::Content;
pub use talk::{Act, Reading, Talk, Talked};
pub use tally::Tally;

/// Something that happens to an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It begins.
    Started,
    /// A time that it asked for has come, with its own number for it.
    Woken(u32),
    /// Somebody has opened a connection to it.
    Accepted(ConnId),
    /// The connection that it asked for is open.
    Connected(ConnId),
    /// Data has arrived.
    Readable(ConnId),
    /// There is room again, after there was none.
    Writable(ConnId),
    /// The other side sends no more. Data may still be there to be taken.
    PeerClosed(ConnId),
    /// It is over; of an [`Ending::Done`] connection data may still be there to be taken.
    Closed(ConnId, Ending),
    /// A datagram has come.
    Datagram {
        /// By this socket.
        socket: UdpId,
        /// From him.
        from: SocketAddr,
        /// To this address of the host.
        to: SocketAddr,
        /// The data.
        data: Vec<u8>,
    },
    /// An echo reply has come.
    Echo {
        /// Under its identifier.
        ident: u16,
        /// To its request with this number.
        seq: u16,
        /// From him.
        from: std::net::IpAddr,
        /// What came back.
        data: Vec<u8>,
    },
    /// An ICMP error about something that it sent. An open TCP connection goes on all the same.
    Error(About, Quote),
}

/// What an ICMP error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A TCP connection.
    Conn(ConnId),
    /// A UDP socket.
    Socket(UdpId),
    /// An echo request.
    Ping {
        /// Its identifier.
        ident: u16,
        /// Its number.
        seq: u16,
    },
}

/// An application.
pub trait App: Any {
    /// Something happens to it.
    fn handle(&mut self, os: &mut Os<'_>, event: Event);

    /// What it has come to so far.
    fn summary(&self) -> Summary;

    /// Whom it is going to talk to, for finding out before it starts whether it can.
    fn peers(&self) -> Vec<Peer> {
        Vec::new()
    }
}

/// Somebody whom an application talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// His address and port. Port zero is none in particular.
    pub to: SocketAddr,
    /// The transport protocol by which.
    pub protocol: u8,
}

/// What an application has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// It has nothing more to do. A server never has.
    pub is_done: bool,
    /// What went wrong, where something did.
    pub trouble: Option<Trouble>,
    /// What it sent.
    pub sent: Tally,
    /// What it received.
    pub received: Tally,
    /// When it began, in nanoseconds.
    pub began: Option<u64>,
    /// When it was done.
    pub ended: Option<u64>,
}

impl Summary {
    /// How long it took, in nanoseconds, once it is done.
    pub fn took(&self) -> Option<u64> {
        Some(self.ended?.saturating_sub(self.began?))
    }
}

/// What can go wrong for an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Its host would not.
    Os(OsError),
    /// A connection ended otherwise than well.
    Ended(Ending),
    /// The network reported an error.
    Icmp(IcmpError),
    /// No answer came in time.
    Unanswered,
    /// The other side closed before everything was said.
    CutShort {
        /// So many bytes had come.
        have: u64,
        /// So many were expected.
        wanted: u64,
    },
    /// The other side answered with an error, in its own words.
    Answer(String),
    /// The other side said what makes no sense.
    Nonsense(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Os(error) => error.fmt(f),
            Trouble::Ended(ending) => ending.fmt(f),
            Trouble::Icmp(error) => write!(f, "ICMP: {error}"),
            Trouble::Unanswered => write!(f, "no answer"),
            Trouble::CutShort { have, wanted } => write!(f, "closed after {have} of {wanted} bytes"),
            Trouble::Answer(text) => write!(f, "refused: {text}"),
            Trouble::Nonsense(text) => write!(f, "not understood: {text}"),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.trouble {
            Some(trouble) => write!(f, "{trouble}")?,
            None if self.is_done => write!(f, "done")?,
            None => write!(f, "at it")?,
        }
        if let Some(took) = self.took() {
            write!(f, " in {}", seconds(took))?;
        }
        write!(f, ", {} bytes sent, {} received", self.sent.bytes(), self.received.bytes())
    }
}
