//! How a TCP connection is to behave, and how it stands.

use std::fmt;
use std::net::SocketAddr;

use crate::packet::IcmpError;
use crate::time::{MILLISECOND, SECOND};

/// How a connection is to behave. The defaults are those of a Linux host where smoltcp can do the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOptions {
    /// Bytes that may arrive before the application takes them: the largest window offered. More than 65,535 has a
    /// window scale.
    pub receive_buffer: usize,
    /// Bytes that the application may hand over before they are acknowledged.
    pub send_buffer: usize,
    /// Whether small segments wait for the acknowledgement of earlier ones.
    pub nagle: bool,
    /// How long an acknowledgement waits for data to travel with, in nanoseconds; none is not at all.
    pub ack_delay: Option<u64>,
    /// How often an idle connection is probed, in nanoseconds; none is never.
    pub keep_alive: Option<u64>,
    /// How long nothing may be heard while something is outstanding, or after the first probe, before the connection is
    /// given up, in nanoseconds. While it opens the lesser of this and Linux's limit counts.
    pub give_up: u64,
    /// How many routers its packets may pass.
    pub hop_limit: u8,
    /// Connections of a listener that are not open yet; more SYNs are not answered.
    pub backlog: usize,
}

impl Default for TcpOptions {
    fn default() -> TcpOptions {
        TcpOptions {
            receive_buffer: 65_535,
            send_buffer: 16_384,
            nagle: true,
            ack_delay: Some(10 * MILLISECOND),
            keep_alive: None,
            // 15 retransmissions (RFC 1122, section 4.2.3.5; Linux's tcp_retries2).
            give_up: 924_600 * MILLISECOND,
            hop_limit: 64,
            backlog: 128,
        }
    }
}

/// Six retransmissions of a SYN, as with Linux's tcp_syn_retries.
pub(super) const OPENING: u64 = 127 * SECOND;
/// When the sixth is sent, after the first.
pub(super) const LAST_SYN: u64 = 63 * SECOND;
/// Five retransmissions of a SYN-ACK, as with Linux's tcp_synack_retries.
pub(super) const ANSWERING: u64 = 63 * SECOND;
/// How long the other side may take to close, when the application has let go: Linux's tcp_fin_timeout.
pub(super) const CLOSING: u64 = 60 * SECOND;

/// How a connection ended, as its application is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Both sides have closed.
    Done,
    /// The other side would not open it.
    Refused,
    /// The other side has ended it with a RST.
    Reset,
    /// Nothing was heard for too long.
    TimedOut,
    /// The network cannot open it.
    Unreachable(IcmpError),
    /// The application has ended it with a RST.
    Aborted,
}

/// The states of a TCP socket (RFC 9293, section 3.3.2).
pub type TcpState = smoltcp::socket::tcp::State;

/// A socket, as `ss` would list it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSocket {
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// The state.
    pub state: TcpState,
    /// Bytes that have arrived and were not taken.
    pub receive_queue: usize,
    /// Bytes that are not acknowledged.
    pub send_queue: usize,
    /// The largest packet it sends, in bytes: what the path is known to take.
    pub mtu: usize,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Done => write!(f, "done"),
            Ending::Refused => write!(f, "connection refused"),
            Ending::Reset => write!(f, "connection reset"),
            Ending::TimedOut => write!(f, "timed out"),
            Ending::Unreachable(error) => error.fmt(f),
            Ending::Aborted => write!(f, "aborted"),
        }
    }
}
