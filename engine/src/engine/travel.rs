//! A packet on its way through a host: which hooks it passes, how rules see it at each, and where it goes once it is for
//! somebody else. What happens at the hooks is not here.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::walk::Treatment;
use crate::outcome::{Hook, Outcome};
use crate::rules::{ChainVerdict, Firewall, LOOPBACK, Passing, Sighted, Table, View};
use crate::tuple::{Addr, Family};
use crate::wire::ip::{self, Datagram};

const LOOPBACK_V6: Addr = Addr { hi: 0, lo: 1 };

/// Which hooks a packet passes.
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// PREROUTING, FORWARD, POSTROUTING.
    Forward,
    /// PREROUTING, INPUT.
    Input,
    /// OUTPUT, POSTROUTING.
    Output,
    /// OUTPUT, POSTROUTING, PREROUTING, INPUT: from the host to itself.
    Loopback,
}

impl Route {
    /// The hooks, in order.
    pub const fn hooks(self) -> &'static [Hook] {
        match self {
            Route::Forward => &[Hook::Prerouting, Hook::Forward, Hook::Postrouting],
            Route::Input => &[Hook::Prerouting, Hook::Input],
            Route::Output => &[Hook::Output, Hook::Postrouting],
            Route::Loopback => &[Hook::Output, Hook::Postrouting, Hook::Prerouting, Hook::Input],
        }
    }
}

/// A packet between two hooks.
pub(super) struct Travel<'a> {
    /// What it is, as it came. The bytes lie in `bytes`.
    header: Datagram<'a>,
    /// Its bytes; owned from the first change on.
    pub(super) bytes: Cow<'a, [u8]>,
    /// How many hops it has left.
    pub(super) hops: u8,
    pub(super) mark: u32,
    pub(super) seen: Sighted,
    pub(super) route: Route,
    pub(super) hook: Hook,
    /// The interfaces that the whole way has; which of them rules see depends on the hook.
    iif: &'a str,
    pub(super) oif: Cow<'a, str>,
    pub(super) outcome: Option<Outcome>,
    /// What the tracker said when it looked first, where it has looked twice.
    pub(super) said: Option<Outcome>,
    pub(super) trusted: bool,
    /// A `reject` made it.
    pub(super) is_answer: bool,
    pub(super) lost: bool,
    pub(super) treatment: Treatment,
    /// How many hooks of its route it has been at.
    pub(super) passed: usize,
    /// It waits at the hook behind which its connection could be confirmed.
    pub(super) waits: bool,
}

impl<'a> Travel<'a> {
    /// A packet at the beginning of its way.
    pub(super) fn new(datagram: Datagram<'a>, route: Route, iif: &'a str, oif: &'a str) -> Travel<'a> {
        Travel {
            header: datagram,
            bytes: Cow::Borrowed(datagram.bytes),
            hops: datagram.hop_limit(),
            mark: 0,
            seen: Sighted::Nothing,
            route,
            hook: route.hooks()[0],
            iif,
            oif: Cow::Borrowed(oif),
            outcome: None,
            said: None,
            trusted: true,
            is_answer: false,
            lost: false,
            treatment: Treatment::default(),
            passed: 0,
            waits: false,
        }
    }

    /// It waits, and nothing else is kept for it.
    pub(super) fn queue(self) -> Queued {
        Queued {
            came: self.header.bytes.into(),
            bytes: match self.bytes {
                Cow::Owned(bytes) => Some(bytes),
                Cow::Borrowed(_) => None,
            },
            hops: self.hops,
            mark: self.mark,
            route: self.route,
            hook: self.hook,
            iif: self.iif.into(),
            oif: self.oif.into(),
            outcome: self.outcome,
            said: self.said,
            treatment: self.treatment,
            passed: self.passed,
        }
    }

    pub(super) fn datagram(&self) -> Datagram<'_> {
        Datagram { bytes: &self.bytes, ..self.header }
    }

    /// Its bytes, to be changed.
    pub(super) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        self.bytes.to_mut()
    }

    /// The interface that it came in by, as rules see it at this hook.
    pub(super) fn iif(&self) -> &str {
        match (self.hook, self.route) {
            (Hook::Prerouting | Hook::Input, Route::Loopback) => LOOPBACK,
            (_, Route::Loopback) | (Hook::Output, _) | (Hook::Postrouting, Route::Output) => "",
            _ => self.iif,
        }
    }

    /// The interface that it leaves by, as rules see it at this hook.
    pub(super) fn oif(&self) -> &str {
        match (self.hook, self.route) {
            (Hook::Prerouting | Hook::Input, _) => "",
            (_, Route::Loopback) => LOOPBACK,
            _ => &self.oif,
        }
    }

    /// Whether it came from outside for the loopback, which nobody reaches from there.
    ///
    /// Source: linux 6.18 net/ipv4/route.c `ip_route_input_slow`.
    pub(super) fn is_martian(&self) -> bool {
        let datagram = self.datagram();
        let (_, dst) = datagram.addresses();
        !self.is_loopback() && datagram.family == Family::Ipv4 && dst.lo >> 24 == 127
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.route == Route::Loopback
    }

    /// Its way from here on, now that it is for somebody else. False where there is none.
    pub(super) fn go_to(&mut self, firewall: &Firewall, family: Family, dst: Addr) -> bool {
        let is_loopback = match family {
            Family::Ipv4 => dst.lo >> 24 == 127,
            Family::Ipv6 => dst == LOOPBACK_V6,
        };
        let is_home = firewall.is_own(family, dst);
        match self.hook {
            // From outside nobody reaches the loopback.
            // Source: linux 6.18 net/ipv4/route.c `ip_route_input_slow`, net/ipv6/route.c `ip6_route_input_lookup`.
            Hook::Prerouting if is_loopback && self.route != Route::Loopback => return false,
            // Nor does the loopback's own address get any further than home.
            // Source: linux 6.18 net/ipv4/route.c `ip_route_input_slow`.
            Hook::Prerouting if self.route == Route::Loopback => {
                let (src, _) = self.datagram().addresses();
                return family != Family::Ipv4 || src.lo >> 24 != 127;
            }
            Hook::Prerouting => self.route = if is_home { Route::Input } else { Route::Forward },
            _ if is_home || is_loopback => self.route = Route::Loopback,
            _ => self.route = Route::Output,
        }
        if matches!(self.route, Route::Forward | Route::Output) {
            self.oif = Cow::Owned(firewall.way_to(family, dst).to_owned());
            return !self.oif.is_empty();
        }
        true
    }

    /// Runs the chain of a table, if there is one.
    pub(super) fn run(&mut self, firewall: &mut Firewall, table: Table, hook: Hook) -> ChainVerdict {
        if !firewall.has(table, hook) {
            return ChainVerdict::Accept;
        }
        let view = View::with_hops(self.datagram(), self.hops);
        let mut passing =
            Passing { view, iif: self.iif(), oif: self.oif(), mark: self.mark, seen: self.seen };
        let verdict = firewall.run(table, hook, &mut passing);
        (self.mark, self.seen) = (passing.mark, passing.seen);
        verdict
    }

    /// The bytes as they are now, where they are not those with which it began.
    pub(super) fn left(self) -> Option<Vec<u8>> {
        match self.bytes {
            Cow::Owned(bytes) => (bytes != self.header.bytes).then_some(bytes),
            Cow::Borrowed(_) => None,
        }
    }
}

/// A packet that waits between tracking and confirmation, as in a queue that a program reads. It must go on: with
/// [`Engine::walk_on`](super::Engine::walk_on) in the same engine, or in a clone of it made meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "a packet that waits goes on or is ended"]
pub struct Queued {
    /// As it came, and as it is now where that is something else.
    came: Box<[u8]>,
    bytes: Option<Vec<u8>>,
    hops: u8,
    mark: u32,
    route: Route,
    hook: Hook,
    iif: Box<str>,
    oif: Box<str>,
    pub(super) outcome: Option<Outcome>,
    said: Option<Outcome>,
    treatment: Treatment,
    passed: usize,
}

impl Queued {
    /// The packet goes on from where it waits. None where it is no datagram, as one that was read from outside may be.
    pub(super) fn travel(&self) -> Option<Travel<'_>> {
        let header = ip::reassembled(&self.came)?;
        let now = ip::reassembled(self.bytes.as_deref().unwrap_or(&self.came))?;
        if now.family != header.family || now.bytes.len() < header.header_len as usize {
            return None;
        }
        let begun = Travel::new(header, self.route, &self.iif, &self.oif);
        Some(Travel {
            bytes: self.bytes.as_deref().map_or(begun.bytes, |bytes| Cow::Owned(bytes.to_owned())),
            hops: self.hops,
            mark: self.mark,
            hook: self.hook,
            outcome: self.outcome,
            said: self.said,
            treatment: self.treatment,
            passed: self.passed,
            ..begun
        })
    }
}
