//! Which packets a fault is about.

use std::fmt;

use crate::packet::{Header, TcpHead, protocol};

/// Packets like this: whatever is left out may be anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The transport protocol.
    pub protocol: Option<u8>,
    /// One of both ports.
    pub port: Option<u16>,
    /// TCP flags that are set, as in [`TcpHead::flags`].
    pub flags_set: u8,
    /// TCP flags that are not.
    pub flags_clear: u8,
    /// Whether a TCP segment has data.
    pub data: Option<bool>,
    /// More bytes than this, network header included.
    pub longer_than: Option<usize>,
}

impl Filter {
    /// Packets of a transport protocol.
    pub fn protocol(protocol: u8) -> Filter {
        Filter { protocol: Some(protocol), ..Filter::default() }
    }

    /// TCP segments with data.
    pub fn tcp_data() -> Filter {
        Filter { protocol: Some(protocol::TCP), data: Some(true), ..Filter::default() }
    }

    /// TCP segments with these flags.
    pub fn tcp_flags(set: u8) -> Filter {
        Filter { protocol: Some(protocol::TCP), flags_set: set, ..Filter::default() }
    }

    /// Whether a packet is like this. One that cannot be read is like no filter that asks what is in it.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        if self.longer_than.is_some_and(|length| bytes.len() <= length) {
            return false;
        }
        if *self == (Filter { longer_than: self.longer_than, ..Filter::default() }) {
            return true;
        }
        let Some(header) = Header::read(bytes) else { return false };
        if self.protocol.is_some_and(|protocol| protocol != header.protocol) {
            return false;
        }
        if let Some(port) = self.port
            && !header.ports(bytes).is_some_and(|ports| ports.src == port || ports.dst == port)
        {
            return false;
        }
        if self.flags_set == 0 && self.flags_clear == 0 && self.data.is_none() {
            return true;
        }
        header.tcp(bytes).is_some_and(|head| self.matches_tcp(&head))
    }

    fn matches_tcp(&self, head: &TcpHead) -> bool {
        head.flags & self.flags_set == self.flags_set
            && head.flags & self.flags_clear == 0
            && self.data.is_none_or(|data| data == (head.data > 0))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            None => {}
            Some(protocol::TCP) => write!(f, " tcp")?,
            Some(protocol::UDP) => write!(f, " udp")?,
            Some(protocol::ICMP) => write!(f, " icmp")?,
            Some(protocol::ICMPV6) => write!(f, " icmpv6")?,
            Some(other) => write!(f, " protocol {other}")?,
        }
        if let Some(port) = self.port {
            write!(f, " port {port}")?;
        }
        if self.flags_set != 0 {
            write!(f, " flags 0x{:02x}", self.flags_set)?;
        }
        if self.flags_clear != 0 {
            write!(f, " without flags 0x{:02x}", self.flags_clear)?;
        }
        match self.data {
            Some(true) => write!(f, " with data")?,
            Some(false) => write!(f, " without data")?,
            None => {}
        }
        if let Some(length) = self.longer_than {
            write!(f, " longer than {length} bytes")?;
        }
        Ok(())
    }
}
