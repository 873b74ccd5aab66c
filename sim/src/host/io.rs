//! What all parts of a host share: the moment, the way out, the messages, and what is known of paths.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use super::ConnId;
use crate::app::Event;
use crate::dice::Dice;
use crate::packet::{Header, IcmpError, Quote, fragment};
use crate::time::MINUTE;
use crate::topology::Site;

/// Later than any moment.
pub(crate) const NEVER: u64 = u64::MAX;

/// A wake-up that a host asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// For a TCP connection.
    Conn(ConnId),
    /// For an application, with its own number for it.
    App(u32, u32),
    /// For fragments that wait.
    Reassembly,
}

/// What a host has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostCount {
    /// Packets that came for it.
    pub received: u64,
    /// Packets that it sent, fragments counted one by one.
    pub sent: u64,
    /// Packets that made no sense: wrong lengths or checksums, fragments that contradict each other.
    pub malformed: u64,
    /// SYNs that found a listener's backlog full.
    pub backlog_full: u64,
    /// Packets that could not be sent: larger than the path takes, and not to be cut.
    pub unsendable: u64,
}

/// The shared parts.
pub(super) struct Io {
    pub(super) now: u64,
    pub(super) site: Site,
    pub(super) dice: Dice,
    pub(super) out: VecDeque<Vec<u8>>,
    pub(super) asked: Vec<(u64, Wake)>,
    pub(super) mailbox: VecDeque<(u32, Event)>,
    pub(super) count: HostCount,
    /// A box cuts what is too large.
    behind: bool,
    paths: BTreeMap<IpAddr, Path>,
    /// What fits on every link and path.
    smallest_mtu: usize,
    ident: u32,
    next_port: u16,
}

/// What is known of the way to an address.
#[derive(Clone, Copy, Debug)]
struct Path {
    mtu: usize,
    expires: u64,
}

/// Nothing smaller is believed of a path; what does not fit is then cut on the way (Linux's min_pmtu, and RFC 8200,
/// section 5).
const SMALLEST: [usize; 2] = [552, 1280];
/// How long a path's MTU is remembered: Linux's mtu_expires.
const PATH_LIFE: u64 = 10 * MINUTE;
/// Linux's ip_local_port_range.
const PORTS: std::ops::Range<u16> = 32_768..60_999;

impl Io {
    pub(super) fn new(site: Site, mut dice: Dice, behind: bool) -> Io {
        let smallest_mtu = site.interfaces.iter().map(|interface| interface.mtu).min().unwrap_or(1500);
        let next_port = PORTS.start + dice.below(PORTS.len() as u64) as u16;
        Io {
            now: 0,
            site,
            ident: dice.number() as u32,
            dice,
            out: VecDeque::new(),
            asked: Vec::new(),
            mailbox: VecDeque::new(),
            count: HostCount::default(),
            behind,
            paths: BTreeMap::new(),
            smallest_mtu,
            next_port,
        }
    }

    pub(super) fn tell(&mut self, app: u32, event: Event) {
        self.mailbox.push_back((app, event));
    }

    pub(super) fn wake_at(&mut self, at: u64, wake: Wake) {
        if at != NEVER {
            self.asked.push((at, wake));
        }
    }

    /// Sends a packet, in as many pieces as its path needs.
    pub(super) fn emit(&mut self, bytes: Vec<u8>) {
        if bytes.len() <= self.smallest_mtu {
            self.count.sent += 1;
            return self.out.push_back(bytes);
        }
        let Some(header) = Header::read(&bytes) else { return };
        let mtu = self.path_mtu(header.dst);
        if bytes.len() <= mtu {
            self.count.sent += 1;
            return self.out.push_back(bytes);
        }
        // The box behind which this host is sees the packet whole; it cuts it to the link, not to the path.
        if self.behind && !self.paths.contains_key(&header.dst) {
            self.count.sent += 1;
            return self.out.push_back(bytes);
        }
        self.ident = self.ident.wrapping_add(1);
        match fragment(&bytes, mtu, self.ident) {
            Some(pieces) => {
                self.count.sent += pieces.len() as u64;
                self.out.extend(pieces);
            }
            None => self.count.unsendable += 1,
        }
    }

    /// The largest packet that the way to an address is known to take.
    pub(super) fn path_mtu(&mut self, to: IpAddr) -> usize {
        if self.site.owns(to) {
            return 65_535;
        }
        let link = self.site.route(to).map_or(1500, |hop| self.site.interfaces[hop.interface].mtu);
        if self.paths.get(&to).is_some_and(|path| path.expires <= self.now) {
            self.paths.remove(&to);
        }
        self.paths.get(&to).map_or(link, |path| path.mtu.min(link))
    }

    /// What an ICMP error tells of a path.
    pub(super) fn learn(&mut self, quote: &Quote) {
        let IcmpError::TooBig { mtu } = quote.error else { return };
        if !self.site.owns(quote.src.ip()) {
            return;
        }
        let to = quote.dst.ip();
        let mtu = (mtu as usize).max(SMALLEST[usize::from(to.is_ipv6())]);
        if mtu < self.path_mtu(to) {
            self.paths.insert(to, Path { mtu, expires: self.now + PATH_LIFE });
            self.smallest_mtu = self.smallest_mtu.min(mtu);
        }
    }

    /// A port that `is_free` for the host's own use; they are given out one after the other.
    pub(super) fn pick_port(&mut self, is_free: impl Fn(u16) -> bool) -> Option<u16> {
        for _ in PORTS {
            let port = self.next_port;
            self.next_port = if port + 1 < PORTS.end { port + 1 } else { PORTS.start };
            if is_free(port) {
                return Some(port);
            }
        }
        None
    }
}
