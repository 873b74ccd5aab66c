//! A packet's way through the hooks of a host with rules: at each hook the chains in the order of their priorities, the
//! tracker between raw and mangle where the packet enters, confirmation at the last hook. What a `reject` sends takes its
//! own way, from OUTPUT on, before the packet that it answers is forgotten.
//!
//! Source: linux 6.18 include/uapi/linux/netfilter_ipv4.h `enum nf_ip_hook_priorities`,
//! net/netfilter/nf_conntrack_core.c `nf_conntrack_attach`, `nf_conntrack_set_closing`.

use serde::{Deserialize, Serialize};

use super::Engine;
use super::tracking::{Arrived, Way, is_verified, unattached};
use crate::event::EventKind;
use crate::outcome::{Class, CtInfo, Hook, Outcome, Verdict};
use crate::packet::{Checksum, Packet};
use crate::reason::Reason;
use crate::rules::{ChainVerdict, ConnView, Firewall, LOOPBACK, Passing, Sighted, Table, View, With, answer};
use crate::status::Status;
use crate::time::{NANOS, Time};
use crate::tuple::Direction;
use crate::wire::ip::{self, Datagram};

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

/// A packet on its way through a host.
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[derive(Clone, Copy, Debug)]
pub struct Journey<'a> {
    /// The packet; its `notrack` and `zone` count as rules that stand before all others.
    pub packet: Packet<'a>,
    /// The hooks it passes.
    pub route: Route,
    /// The interface it comes in by; empty where the host sends it.
    pub iif: &'a str,
    /// The interface it leaves by; empty where it is for the host.
    pub oif: &'a str,
    /// Something behind the rules drops it, before it is confirmed.
    pub lost: bool,
}

/// How a journey ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    /// What the tracker says.
    pub outcome: Outcome,
    /// Whether the packet went on to its end.
    pub verdict: Verdict,
    /// The rule that ended it, in its words.
    pub by: Option<String>,
    /// What the host sent in return.
    pub sent: Vec<Answer>,
}

/// A packet that a `reject` has sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// From the network header on.
    pub bytes: Vec<u8>,
    /// What `ct state` says of it.
    pub class: Class,
    /// Whether it went on to its end: rules may drop it, too.
    pub verdict: Verdict,
}

/// A packet between two hooks.
struct Travel<'a> {
    passing: Passing<'a>,
    route: Route,
    outcome: Option<Outcome>,
    /// What the tracker said when it looked first, where it has looked twice.
    said: Option<Outcome>,
    trusted: bool,
    /// A `reject` made it.
    is_answer: bool,
    lost: bool,
}

impl Engine {
    /// Takes a packet through all hooks of a host with rules.
    pub fn walk(&mut self, now: Time, firewall: &mut Firewall, journey: &Journey<'_>) -> Walk {
        self.handle_timeouts(now);
        let mut sent = Vec::new();
        let way = Way::Into(journey.route.hooks()[0]);
        let whole: Vec<u8>;
        let (datagram, trusted) = match self.arrive(way, &journey.packet) {
            Arrived::Datagram(datagram) => (datagram, !is_verified(way, &journey.packet)),
            Arrived::Reassembled { bytes, trusted } => {
                whole = bytes;
                let Some(datagram) = ip::reassembled(&whole) else {
                    unreachable!("reassembly keeps the network header")
                };
                (datagram, trusted || !is_verified(way, &journey.packet))
            }
            Arrived::Settled(outcome) => return Walk { verdict: outcome.verdict, outcome, by: None, sent },
        };
        let seen = match (journey.packet.notrack, journey.packet.zone) {
            (true, _) => Sighted::Untracked,
            (false, 0) => Sighted::Nothing,
            (false, zone) => Sighted::Zoned(zone),
        };
        let passing =
            Passing { view: View::new(datagram), iif: journey.iif, oif: journey.oif, mark: 0, seen };
        let travel = Travel {
            passing,
            route: journey.route,
            outcome: None,
            said: None,
            trusted,
            is_answer: false,
            lost: journey.lost,
        };
        let (outcome, verdict, by) = self.travel(firewall, travel, &mut sent);
        Walk { outcome, verdict, by, sent }
    }

    fn travel(
        &mut self,
        firewall: &mut Firewall,
        mut travel: Travel<'_>,
        sent: &mut Vec<Answer>,
    ) -> (Outcome, Verdict, Option<String>) {
        let (iif, oif) = (travel.passing.iif, travel.passing.oif);
        for &hook in travel.route.hooks() {
            (travel.passing.iif, travel.passing.oif) = match (hook, travel.route) {
                (Hook::Prerouting | Hook::Input, Route::Loopback) => (LOOPBACK, ""),
                (Hook::Output | Hook::Postrouting, Route::Loopback) => ("", LOOPBACK),
                (Hook::Prerouting | Hook::Input, _) => (iif, ""),
                (Hook::Output, _) | (Hook::Postrouting, Route::Output) => ("", oif),
                (Hook::Forward | Hook::Postrouting, _) => (iif, oif),
            };
            if hook == Hook::Forward {
                // Source: linux 6.18 net/ipv4/ip_forward.c `ip_forward`, net/ipv6/ip6_output.c `ip6_forward`.
                travel.passing.view.hops = travel.passing.view.hops.saturating_sub(1);
            }
            if let Some((outcome, by)) = self.visit(firewall, hook, &mut travel, sent) {
                return (travel.said.unwrap_or(outcome), Verdict::Drop, by);
            }
        }
        (travel.said.or(travel.outcome).unwrap_or(Outcome::NONE), Verdict::Accept, None)
    }

    /// One hook: its chains, and what the tracker does there. Says how the packet ended, if it did.
    fn visit(
        &mut self,
        firewall: &mut Firewall,
        hook: Hook,
        travel: &mut Travel<'_>,
        sent: &mut Vec<Answer>,
    ) -> Option<(Outcome, Option<String>)> {
        let enters = matches!(hook, Hook::Prerouting | Hook::Output);
        for table in [Table::Raw, Table::Mangle, Table::Filter] {
            if table == Table::Mangle && enters {
                let outcome = self.track_once(hook, travel);
                if outcome.verdict == Verdict::Drop {
                    return Some((outcome, None));
                }
            }
            let verdict = firewall.run(table, hook, &mut travel.passing);
            self.take_mark(travel);
            let by = match verdict {
                ChainVerdict::Accept => continue,
                ChainVerdict::Drop(by) => by,
                ChainVerdict::Reject(with, by) => {
                    self.send_answer(firewall, with, travel, sent);
                    by
                }
            };
            return Some((self.end(travel), Some(by)));
        }
        if travel.lost && matches!(hook, Hook::Input | Hook::Forward | Hook::Output) {
            return Some((self.end(travel), None));
        }
        if matches!(hook, Hook::Input | Hook::Postrouting) {
            let mut outcome = travel.outcome.unwrap_or(Outcome::NONE);
            // What answers a new connection does not confirm it.
            if !travel.is_answer
                || self.attached(&outcome).is_some_and(|slot| self.table.conn(slot).is_confirmed())
            {
                self.leave(&mut outcome);
            }
            travel.outcome = Some(outcome);
            travel.passing.seen = self.sighted(&outcome);
            if outcome.verdict == Verdict::Drop {
                return Some((outcome, None));
            }
        }
        None
    }

    /// The tracker's turn. A packet that has a connection, or is to have none, keeps it on its second way in.
    fn track_once(&mut self, hook: Hook, travel: &mut Travel<'_>) -> Outcome {
        let before = travel.outcome.filter(|outcome| outcome.attached || outcome.class == Class::Untracked);
        if let Some(outcome) = before {
            return outcome;
        }
        let view = travel.passing.view;
        let (notrack, zone) = match travel.passing.seen {
            Sighted::Untracked => (true, 0),
            Sighted::Zoned(zone) => (false, zone),
            Sighted::Nothing | Sighted::Conn(_) => (false, 0),
        };
        let packet =
            Packet { checksum: Checksum::Trusted, notrack, zone, ..Packet::new(view.datagram.bytes) };
        let mut outcome = Outcome::NONE;
        let verify = !travel.trusted && hook == Hook::Prerouting && travel.route != Route::Loopback;
        self.track(Way::Into(hook), &packet, view.datagram, verify, &mut outcome);
        travel.passing.seen = self.sighted(&outcome);
        // Of a packet that is looked at twice people see what was said first.
        travel.said = travel.said.or(travel.outcome);
        travel.outcome = Some(outcome);
        outcome
    }

    /// What rules see of an outcome.
    fn sighted(&self, outcome: &Outcome) -> Sighted {
        let (info, id) = match (outcome.class, outcome.conn.filter(|_| outcome.attached)) {
            (Class::Tracked(info), Some(id)) => (info, id),
            (Class::Untracked, _) => return Sighted::Untracked,
            _ => return Sighted::Nothing,
        };
        let state = match info {
            CtInfo::Established | CtInfo::EstablishedReply => 2,
            CtInfo::Related | CtInfo::RelatedReply => 4,
            CtInfo::New => 8,
        };
        let direction = info.direction();
        if let Some(slot) = self.attached(outcome) {
            let conn = self.table.conn(slot);
            let ticks = if conn.is_confirmed() { conn.ticks_left(self.rules.now) } else { 0 };
            let left_ms = self.rules.ticks.start(crate::time::Jiffies(ticks)).as_nanos() / (NANOS / 1000);
            let (status, mark, zone) = (conn.status.0, conn.mark, conn.zone);
            let is_marked = false;
            return Sighted::Conn(ConnView { state, direction, status, mark, is_marked, zone, left_ms });
        }
        // The packet has ended its connection, and still carries it: as it stood then.
        let ended = |event: &&crate::event::Event| event.kind == EventKind::Destroy && event.conn.id == id;
        let last = self.events.iter().rfind(ended).map(|event| &event.conn);
        let (mut status, mark, zone) =
            last.map_or_else(Default::default, |conn| (conn.status, conn.mark, conn.zone));
        if info == CtInfo::EstablishedReply {
            // It was an answer, too.
            status.insert(Status::SEEN_REPLY);
        }
        let status = status.0;
        Sighted::Conn(ConnView { state, direction, status, mark, is_marked: false, zone, left_ms: 0 })
    }

    /// A rule may have changed the connection's mark.
    fn take_mark(&mut self, travel: &mut Travel<'_>) {
        let (Sighted::Conn(seen), Some(outcome)) = (&mut travel.passing.seen, travel.outcome) else { return };
        if std::mem::take(&mut seen.is_marked)
            && let Some(slot) = self.attached(&outcome)
        {
            self.table.conn_mut(slot).set_mark(seen.mark);
        }
    }

    /// A rule ends the packet. Before the tracker has seen it nobody can say what it was.
    fn end(&mut self, travel: &Travel<'_>) -> Outcome {
        match travel.outcome {
            Some(outcome) if travel.is_answer => outcome,
            Some(outcome) => self.discard(super::Passage(outcome)),
            None => unattached(Class::Discarded, Verdict::Drop, Reason::RawDrop {}),
        }
    }

    /// Sends what a `reject` says, from this host.
    fn send_answer(
        &mut self,
        firewall: &mut Firewall,
        with: With,
        travel: &Travel<'_>,
        sent: &mut Vec<Answer>,
    ) {
        let view = &travel.passing.view;
        let Datagram { family, .. } = view.datagram;
        let (to, was_for) = view.datagram.addresses();
        let oif = firewall.way_to(family, to).to_owned();
        let is_home = oif == LOOPBACK;
        let from = match (firewall.is_own(family, was_for), is_home) {
            (true, _) => Some(was_for),
            (false, true) => Some(to),
            (false, false) => firewall.address_on(&oif, family),
        };
        let Some(bytes) = answer(with, view, from, false) else { return };
        let Some(datagram) = ip::reassembled(&bytes) else { return };
        // It belongs to the connection of what it answers, in the other direction.
        let attached = travel.outcome.filter(|outcome| outcome.attached).and_then(|outcome| {
            let Class::Tracked(info) = outcome.class else { return None };
            let class = Class::Tracked(match info.direction() {
                Direction::Original => CtInfo::RelatedReply,
                Direction::Reply => CtInfo::Related,
            });
            Some(Outcome { class, ..outcome })
        });
        if with == With::TcpReset
            && let Some(slot) = attached.and_then(|outcome| self.attached(&outcome))
            && self.table.conn_mut(slot).set_closing(&self.rules)
        {
            self.table.shortened(slot);
        }
        let seen = attached.map_or(Sighted::Nothing, |outcome| self.sighted(&outcome));
        let passing = Passing { view: View::new(datagram), iif: "", oif: &oif, mark: 0, seen };
        let travel = Travel {
            passing,
            route: if is_home { Route::Loopback } else { Route::Output },
            outcome: attached,
            said: None,
            trusted: true,
            is_answer: true,
            lost: false,
        };
        let place = sent.len();
        let (outcome, verdict, _) = self.travel(firewall, travel, sent);
        sent.insert(place, Answer { bytes: bytes.clone(), class: outcome.class, verdict });
    }
}
