//! A packet's way through the hooks of a host with rules: at each hook the chains in the order of their priorities, the
//! tracker between raw and mangle where the packet enters, confirmation at the last hook. What a `reject` sends takes its
//! own way, from OUTPUT on, before the packet that it answers is forgotten.
//!
//! Source: linux 6.18 include/uapi/linux/netfilter_ipv4.h `enum nf_ip_hook_priorities`,
//! net/netfilter/nf_conntrack_core.c `nf_conntrack_attach`, `nf_conntrack_set_closing`.

use serde::{Deserialize, Serialize};

use super::Engine;
use super::tracking::{Arrived, Way, is_verified, unattached};
use super::travel::{Queued, Route, Travel};
use crate::event::EventKind;
use crate::helper::Helper;
use crate::outcome::{Class, CtInfo, Hook, Outcome, Verdict};
use crate::packet::{Checksum, Packet};
use crate::reason::Reason;
use crate::rules::{ChainVerdict, ConnView, Firewall, LOOPBACK, Sighted, Table, View, With, answer};
use crate::status::Status;
use crate::time::{NANOS, Time};
use crate::tuple::Direction;
use crate::wire::ip::{self, Datagram};

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
    /// Something behind the rules drops it, before it is confirmed; routing does where it leaves by no interface.
    pub lost: bool,
    /// It waits behind the rules, before it is confirmed, and goes on by [`Engine::walk_on`].
    pub waits: bool,
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
    /// The packet as it left, where translation has changed it; its hop limit is still the one with which it came.
    pub left: Option<Vec<u8>>,
    /// What its rules did to the packet.
    pub treatment: Treatment,
    /// The packet, where it waits; all else is then what was so up to there.
    pub queued: Option<Queued>,
}

/// The way of a packet that no rule concerned.
impl From<Outcome> for Walk {
    fn from(outcome: Outcome) -> Walk {
        let treatment = Treatment { seen: true, ..Treatment::default() };
        Walk {
            verdict: outcome.verdict,
            outcome,
            by: None,
            sent: Vec::new(),
            left: None,
            treatment,
            queued: None,
        }
    }
}

/// What rules do to a packet as far as a tracker is concerned: all that one without rules must be told to do the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Treatment {
    /// The tracker has seen it: no rule ended it before.
    pub seen: bool,
    /// The tracker was to leave it alone.
    pub notrack: bool,
    /// The zone in which the tracker was to look; 0 where nothing was said.
    pub zone: u16,
    /// The mark that its connection took.
    pub mark: Option<u32>,
    /// The helper that it was assigned.
    pub helper: Option<Helper>,
    /// It was ended by a rule, or behind the rules, before it could be confirmed.
    pub dropped: bool,
    /// What a rule sent in return has changed a connection: a TCP reset closes that of the packet it answers, and what
    /// answers a packet without one is tracked like any packet of the host.
    pub answered: bool,
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

/// How a packet ended on its way, and by which rule.
pub(super) type Ending = (Outcome, Option<String>);

impl Engine {
    /// Takes a packet through all hooks of a host with rules.
    pub fn walk(&mut self, now: Time, firewall: &mut Firewall, journey: &Journey<'_>) -> Walk {
        self.handle_timeouts(now);
        self.ended = None;
        firewall.set_now(now);
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
            Arrived::Settled(outcome) => return Walk::from(outcome),
        };
        let mut travel = Travel::new(datagram, journey.route, journey.iif, journey.oif);
        travel.seen = match (journey.packet.notrack, journey.packet.zone) {
            (true, _) => Sighted::Untracked,
            (false, 0) => Sighted::Nothing,
            (false, zone) => Sighted::Zoned(zone),
        };
        (travel.trusted, travel.lost, travel.waits) = (trusted, journey.lost, journey.waits);
        let ending = self.travel(firewall, &mut travel, &mut sent);
        self.ended_walk(travel, ending, sent)
    }

    /// A packet that waits goes on from there, with what rules and translation still do to it; or something ends it, where
    /// it does not pass.
    pub fn walk_on(&mut self, now: Time, firewall: &mut Firewall, queued: Queued, passes: bool) -> Walk {
        self.handle_timeouts(now);
        self.ended = None;
        firewall.set_now(now);
        let Some(mut travel) = queued.travel() else {
            return Walk::from(queued.outcome.unwrap_or(Outcome::NONE));
        };
        let mut sent = Vec::new();
        travel.seen = travel.outcome.map_or(Sighted::Nothing, |outcome| self.sighted(&outcome));
        let ending = if passes {
            let here = self.depart(travel.hook, &mut travel);
            here.or_else(|| self.travel(firewall, &mut travel, &mut sent))
        } else {
            travel.treatment.dropped = true;
            Some((self.end(&travel), None))
        };
        self.ended_walk(travel, ending, sent)
    }

    /// What became of a packet that has come to an end, or waits.
    fn ended_walk(&self, travel: Travel<'_>, ending: Option<Ending>, sent: Vec<Answer>) -> Walk {
        let (said, treatment) = (travel.said, travel.treatment);
        if let Some((outcome, by)) = ending {
            let outcome = said.unwrap_or(outcome);
            return Walk { outcome, verdict: Verdict::Drop, by, sent, left: None, treatment, queued: None };
        }
        let outcome = said.or(travel.outcome).unwrap_or(Outcome::NONE);
        let (left, queued) = if travel.waits { (None, Some(travel.queue())) } else { (travel.left(), None) };
        Walk { outcome, verdict: Verdict::Accept, by: None, sent, left, treatment, queued }
    }

    /// Hook after hook. Says how the packet ended, if it did not get through, or as far as where it waits.
    fn travel(
        &mut self,
        firewall: &mut Firewall,
        travel: &mut Travel<'_>,
        sent: &mut Vec<Answer>,
    ) -> Option<Ending> {
        // Translation may change the way that lies ahead, never that which lies behind.
        while let Some(&hook) = travel.route.hooks().get(travel.passed) {
            travel.passed += 1;
            travel.hook = hook;
            if hook == Hook::Forward {
                if travel.lost && travel.oif.is_empty() {
                    travel.treatment.dropped = true;
                    return Some((self.end(travel), None));
                }
                // Source: linux 6.18 net/ipv4/ip_forward.c `ip_forward`, net/ipv6/ip6_output.c `ip6_forward`.
                travel.hops = travel.hops.saturating_sub(1);
            }
            if let Some(ending) = self.visit(firewall, hook, travel, sent) {
                return Some(ending);
            }
            if travel.waits && is_where_packets_wait(hook) {
                return None;
            }
            if let Some(ending) = self.depart(hook, travel) {
                return Some(ending);
            }
            if hook == Hook::Prerouting && travel.is_martian() {
                travel.treatment.dropped = true;
                return Some((self.end(travel), None));
            }
        }
        None
    }

    /// One hook: its chains, and what the tracker does before them. Says how the packet ended, if it did.
    fn visit(
        &mut self,
        firewall: &mut Firewall,
        hook: Hook,
        travel: &mut Travel<'_>,
        sent: &mut Vec<Answer>,
    ) -> Option<Ending> {
        let enters = matches!(hook, Hook::Prerouting | Hook::Output);
        for table in Table::at(hook) {
            if table == Table::Mangle && enters {
                let outcome = self.track_once(hook, travel);
                if outcome.verdict == Verdict::Drop {
                    return Some((outcome, None));
                }
            }
            let ending = match table {
                Table::Nat => self.pass_translator(firewall, hook, travel),
                _ => self.pass_chain(firewall, table, hook, travel, sent),
            };
            if ending.is_some() {
                return ending;
            }
        }
        if travel.lost && is_where_packets_wait(hook) {
            travel.treatment.dropped = !has_left(travel.route, hook);
            return Some((self.end(travel), None));
        }
        None
    }

    /// Behind the chains of a hook: the last one confirms. Says how the packet ended, if it did.
    fn depart(&mut self, hook: Hook, travel: &mut Travel<'_>) -> Option<Ending> {
        if matches!(hook, Hook::Input | Hook::Postrouting) {
            if let Some(ending) = self.be_read(travel).or_else(|| self.adjust(travel)) {
                return Some(ending);
            }
            let mut outcome = travel.outcome.unwrap_or(Outcome::NONE);
            // What answers a new connection does not confirm it.
            if !travel.is_answer
                || self.attached(&outcome).is_some_and(|slot| self.table.conn(slot).is_confirmed())
            {
                self.leave(&mut outcome, None);
            }
            travel.outcome = Some(outcome);
            travel.seen = self.sighted(&outcome);
            if outcome.verdict == Verdict::Drop {
                return Some((outcome, None));
            }
        }
        None
    }

    /// A chain of a table's rules.
    fn pass_chain(
        &mut self,
        firewall: &mut Firewall,
        table: Table,
        hook: Hook,
        travel: &mut Travel<'_>,
        sent: &mut Vec<Answer>,
    ) -> Option<Ending> {
        let verdict = travel.run(firewall, table, hook);
        self.take_changes(travel);
        let by = match verdict {
            ChainVerdict::Accept | ChainVerdict::Translate(..) => return None,
            ChainVerdict::Drop(by) => by,
            ChainVerdict::Reject(with, by) => {
                self.send_answer(firewall, with, travel, sent);
                by
            }
        };
        travel.treatment.dropped = !has_left(travel.route, hook);
        Some((self.end(travel), Some(by)))
    }

    /// The translator's turn, and the way that follows from it.
    fn pass_translator(
        &mut self,
        firewall: &mut Firewall,
        hook: Hook,
        travel: &mut Travel<'_>,
    ) -> Option<Ending> {
        if !firewall.translates() {
            return None;
        }
        let enters = matches!(hook, Hook::Prerouting | Hook::Output);
        let before = enters.then(|| travel.datagram().addresses().1);
        let ending = self.translate(firewall, hook, travel);
        if let Some(outcome) = travel.outcome.filter(|_| ending.is_none()) {
            travel.seen = self.sighted_again(&outcome, travel.seen);
        }
        match before {
            Some(dst) if ending.is_none() && travel.datagram().addresses().1 != dst => {
                self.reroute(firewall, travel)
            }
            _ => ending,
        }
    }

    /// What rules see of a connection after translation was decided: its status has changed.
    fn sighted_again(&self, outcome: &Outcome, seen: Sighted) -> Sighted {
        match (seen, self.attached(outcome)) {
            (Sighted::Conn(view), Some(slot)) => {
                Sighted::Conn(ConnView { status: self.table.conn(slot).status.0, ..view })
            }
            _ => seen,
        }
    }

    /// The tracker's turn. A packet that has a connection, or is to have none, keeps it on its second way in.
    fn track_once(&mut self, hook: Hook, travel: &mut Travel<'_>) -> Outcome {
        let before = travel.outcome.filter(|outcome| outcome.attached || outcome.class == Class::Untracked);
        if let Some(outcome) = before {
            return outcome;
        }
        let (notrack, zone) = match travel.seen {
            Sighted::Untracked => (true, 0),
            Sighted::Zoned(zone) => (false, zone),
            Sighted::Nothing | Sighted::Conn(_) => (false, 0),
        };
        if !travel.treatment.seen {
            travel.treatment = Treatment { seen: true, notrack, zone, ..travel.treatment };
        }
        let packet = Packet { checksum: Checksum::Trusted, notrack, zone, ..Packet::new(&travel.bytes) };
        let mut outcome = Outcome::NONE;
        let verify = !travel.trusted && hook == Hook::Prerouting && travel.route != Route::Loopback;
        self.track(Way::Into(hook), &packet, travel.datagram(), verify, &mut outcome);
        travel.seen = self.sighted(&outcome);
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
        let mut view = ConnView {
            state,
            direction: info.direction(),
            status: 0,
            mark: 0,
            is_marked: false,
            zone: 0,
            left_ms: 0,
            tuple: None,
            helper: None,
            master: None,
        };
        if let Some(slot) = self.attached(outcome) {
            let conn = self.table.conn(slot);
            let ticks = if conn.is_confirmed() { conn.ticks_left(self.rules.now) } else { 0 };
            view.left_ms = self.rules.ticks.start(crate::time::Jiffies(ticks)).as_nanos() / (NANOS / 1000);
            (view.status, view.mark, view.zone) = (conn.status.0, conn.mark, conn.zone);
            view.tuple = Some(conn.tuples[0]);
            view.master = conn.master().and_then(|master| master.helper);
            return Sighted::Conn(view);
        }
        // The packet has ended its connection, and still carries it: as it stood then.
        let ended = |event: &&crate::event::Event| event.kind == EventKind::Destroy && event.conn.id == id;
        if let Some(conn) = self.events.iter().rfind(ended).map(|event| &event.conn) {
            (view.status, view.mark, view.zone) = (conn.status.0, conn.mark, conn.zone);
            view.tuple = Some(conn.original);
            view.master = conn.master_helper;
        }
        if info == CtInfo::EstablishedReply {
            // It was an answer, too.
            view.status |= Status::SEEN_REPLY.0;
        }
        Sighted::Conn(view)
    }

    /// A rule may have changed the connection's mark, or assigned a helper.
    pub(super) fn take_changes(&mut self, travel: &mut Travel<'_>) {
        let (Sighted::Conn(seen), Some(outcome)) = (&mut travel.seen, travel.outcome) else { return };
        if std::mem::take(&mut seen.is_marked)
            && let Some(slot) = self.attached(&outcome)
        {
            self.table.conn_mut(slot).set_mark(seen.mark);
            travel.treatment.mark = Some(seen.mark);
        }
        if let Some(helper) = seen.helper.take()
            && let Some(slot) = self.attached(&outcome)
        {
            self.assign(slot, helper);
            travel.treatment.helper = Some(helper);
        }
    }

    /// A rule ends the packet. Before the tracker has seen it nobody can say what it was.
    pub(super) fn end(&mut self, travel: &Travel<'_>) -> Outcome {
        match travel.outcome {
            Some(outcome) if travel.is_answer => outcome,
            Some(outcome) => self.discard(super::Passage { outcome, bytes: None }),
            None => unattached(Class::Discarded, Verdict::Drop, Reason::RawDrop {}),
        }
    }

    /// Sends what a `reject` says, from this host.
    fn send_answer(
        &mut self,
        firewall: &mut Firewall,
        with: With,
        travel: &mut Travel<'_>,
        sent: &mut Vec<Answer>,
    ) {
        let view = &View::with_hops(travel.datagram(), travel.hops);
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
        {
            travel.treatment.answered = self.table.conn(slot).is_confirmed();
            if self.table.conn_mut(slot).set_closing(&self.rules) {
                self.table.shortened(slot);
            }
        }
        let seen = attached.map_or(Sighted::Nothing, |outcome| self.sighted(&outcome));
        let route = if is_home { Route::Loopback } else { Route::Output };
        let mut answer = Travel::new(datagram, route, "", &oif);
        (answer.seen, answer.outcome, answer.is_answer) = (seen, attached, true);
        let place = sent.len();
        let ending = self.travel(firewall, &mut answer, sent);
        let (outcome, verdict) = match ending {
            Some((outcome, _)) => (answer.said.unwrap_or(outcome), Verdict::Drop),
            None => (answer.said.or(answer.outcome).unwrap_or(Outcome::NONE), Verdict::Accept),
        };
        let left = answer.left();
        travel.treatment.answered |= attached.is_none() && outcome.attached;
        sent.insert(place, Answer { bytes: left.unwrap_or(bytes), class: outcome.class, verdict });
    }
}

/// Whether a packet that is at this hook has been confirmed before: on its second way in.
fn has_left(route: Route, hook: Hook) -> bool {
    route == Route::Loopback && matches!(hook, Hook::Prerouting | Hook::Input)
}

/// The hooks behind whose chains a packet is confirmed, or goes to where it is.
fn is_where_packets_wait(hook: Hook) -> bool {
    matches!(hook, Hook::Input | Hook::Forward | Hook::Output)
}
