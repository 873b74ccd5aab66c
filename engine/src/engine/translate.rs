//! The translator's turn: at the hooks where packets come in their destination is translated, where they leave their
//! source. The first packet of a connection walks the chains of `nat` and decides; all others get what was decided.
//!
//! Source: linux 6.18 net/netfilter/nf_nat_core.c `nf_nat_inet_fn`, `nf_nat_setup_info`, `nf_nat_packet`,
//! net/netfilter/nf_nat_proto.c `nf_nat_ipv4_fn`, `nf_nat_ipv6_fn`.

use super::Engine;
use super::tracking::unattached;
use super::travel::Travel;
use super::walk::Ending;
use crate::nat::error::{self, ErrorWay};
use crate::nat::{self, Manip, Range, adjust, rewrite};
use crate::outcome::{Class, ConnId, CtInfo, Hook, Outcome, Verdict};
use crate::reason::Reason;
use crate::rules::{ChainVerdict, Firewall, LOOPBACK, Table, Translation, Translator};
use crate::status::Status;
use crate::tuple::{Addr, Direction, Family, Tuple, protocol};
use crate::wire::ip::{self, Datagram};

/// A connection that ended under a packet that still carries it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    id: ConnId,
    tuples: [Tuple; 2],
    status: Status,
}

/// What of a connection matters to a packet that was decided about.
#[derive(Clone, Copy)]
struct Mapping {
    tuples: [Tuple; 2],
    status: Status,
}

impl Engine {
    /// Keeps what a packet needs of the connection that it is about to end.
    #[cold]
    pub(super) fn keep_ended(&mut self, slot: u32) {
        let conn = self.table.conn(slot);
        self.ended = Some(Ended { id: conn.id(slot), tuples: conn.tuples, status: conn.status });
    }

    /// One hook. Says how the packet ended, if it did.
    pub(super) fn translate(
        &mut self,
        firewall: &mut Firewall,
        hook: Hook,
        travel: &mut Travel<'_>,
    ) -> Option<Ending> {
        let manip = Manip::at(hook).filter(|_| firewall.translates())?;
        let outcome = travel.outcome.filter(|outcome| outcome.attached)?;
        let Class::Tracked(info) = outcome.class else { return None };
        let is_about = matches!(info, CtInfo::Related | CtInfo::RelatedReply);
        if is_about && let Some(header) = icmp_header(&travel.datagram()) {
            return self.translate_error(header, manip, info.direction(), travel);
        }
        if let Some(slot) = self.attached(&outcome) {
            let is_first = is_about || info == CtInfo::New;
            if is_first && !self.table.conn(slot).status.has(manip.done()) {
                if let Some(ending) = self.decide(firewall, hook, manip, slot, travel) {
                    return Some(ending);
                }
            } else if hook == Hook::Postrouting
                && info.direction() == Direction::Original
                && self.is_elsewhere(slot, travel.oif())
            {
                self.destroy(slot, self.now);
                return Some(self.no_way(travel, Reason::NatInterface {}));
            }
        }
        let mapping = self.mapping(&outcome)?;
        let direction = info.direction();
        if !mapping.status.has(manip.bit_for(direction)) {
            return None;
        }
        // It is to look like the inverse of the other direction.
        let target = mapping.tuples[!direction as usize].invert()?;
        if rewrite::rewrite(travel.bytes_mut(), 0, &target, manip) {
            return None;
        }
        Some(self.no_way(travel, Reason::NatHeader {}))
    }

    /// What was decided about a packet's connection, which it may have ended.
    fn mapping(&self, outcome: &Outcome) -> Option<Mapping> {
        if let Some(slot) = self.attached(outcome) {
            let conn = self.table.conn(slot);
            return Some(Mapping { tuples: conn.tuples, status: conn.status });
        }
        let ended = self.ended.filter(|ended| Some(ended.id) == outcome.conn)?;
        Some(Mapping { tuples: ended.tuples, status: ended.status })
    }

    fn translate_error(
        &mut self,
        header: usize,
        manip: Manip,
        direction: Direction,
        travel: &mut Travel<'_>,
    ) -> Option<Ending> {
        let mapping = self.mapping(&travel.outcome?)?;
        let way = error::way(&travel.datagram(), header, mapping.status, manip, direction);
        let passes = match way {
            ErrorWay::Unchanged => true,
            ErrorWay::Ends => false,
            ErrorWay::Changes => {
                error::translate(travel.bytes_mut(), header, &mapping.tuples[!direction as usize], manip)
            }
        };
        if passes { None } else { Some(self.no_way(travel, Reason::NatError {})) }
    }

    /// The first packet at a hook: the chain decides, or nothing does, and then the ends stay as they are if they can.
    fn decide(
        &mut self,
        firewall: &mut Firewall,
        hook: Hook,
        manip: Manip,
        slot: u32,
        travel: &mut Travel<'_>,
    ) -> Option<Ending> {
        let verdict = travel.run(firewall, Table::Nat, hook);
        self.take_changes(travel);
        match verdict {
            ChainVerdict::Accept => {}
            ChainVerdict::Drop(by) | ChainVerdict::Reject(_, by) => {
                return Some((self.end(travel), Some(by)));
            }
            ChainVerdict::Translate(translation, by) => {
                let range = match self.range(firewall, hook, slot, &translation, travel) {
                    Ok(Some(range)) => range,
                    Ok(None) => return self.bind(slot, manip),
                    Err(reason) => return Some((self.no_way(travel, reason).0, Some(by))),
                };
                self.set_up(slot, &range, manip);
                return None;
            }
        }
        self.bind(slot, manip)
    }

    /// Nothing is to be translated. The port may have to change nevertheless, where another connection holds the answers.
    ///
    /// Source: linux 6.18 net/netfilter/nf_nat_core.c `nf_nat_alloc_null_binding`.
    fn bind(&mut self, slot: u32, manip: Manip) -> Option<Ending> {
        let reply = self.table.conn(slot).tuples[1];
        let address = if manip == Manip::Source { reply.dst } else { reply.src };
        self.set_up(slot, &Range::of(address), manip);
        None
    }

    /// The range that a rule names: of `masquerade` and `redirect` the address is the host's own. None: it lets the packet
    /// be.
    ///
    /// Source: linux 6.18 net/netfilter/nf_nat_masquerade.c, net/netfilter/nf_nat_redirect.c.
    fn range(
        &mut self,
        firewall: &Firewall,
        hook: Hook,
        slot: u32,
        translation: &Translation,
        travel: &Travel<'_>,
    ) -> Result<Option<Range>, Reason> {
        const LOCALHOST: Addr = Addr { hi: 0, lo: 0x7f00_0001 };
        const LOCALHOST_V6: Addr = Addr { hi: 0, lo: 1 };
        let family = travel.datagram().family;
        let address = match translation.by {
            Translator::Source | Translator::Destination => return Ok(Some(translation.range)),
            // Somebody who has no address yet.
            Translator::Masquerade
                if family == Family::Ipv4 && self.table.conn(slot).tuples[0].src == Addr::default() =>
            {
                return Ok(None);
            }
            // By the loopback: its own address is for the host alone, so one of the others has to do.
            // Source: linux 6.18 net/ipv4/devinet.c `inet_select_addr`, net/ipv6/addrconf.c `ipv6_dev_get_saddr`.
            Translator::Masquerade if travel.oif() == LOOPBACK => match family {
                Family::Ipv4 => firewall.first_address(family),
                Family::Ipv6 => Some(travel.datagram().addresses().1),
            },
            Translator::Masquerade => firewall.address_on(travel.oif(), family),
            Translator::Redirect if hook == Hook::Output || travel.iif() == LOOPBACK => match family {
                Family::Ipv4 => Some(LOCALHOST),
                Family::Ipv6 => Some(LOCALHOST_V6),
            },
            Translator::Redirect => firewall.address_on(travel.iif(), family),
        };
        let address = address.ok_or(Reason::NatNoAddress {})?;
        if translation.by == Translator::Masquerade {
            let extra = self.table.conn_mut(slot).extra.get_or_insert_default();
            extra.masquerade = Some(travel.oif().into());
        }
        Ok(Some(Range { addresses: Some((address, address)), ..translation.range }))
    }

    /// Decides one end of a new connection's translation.
    ///
    /// Source: linux 6.18 net/netfilter/nf_nat_core.c `nf_nat_setup_info`.
    pub(super) fn set_up(&mut self, slot: u32, range: &Range, manip: Manip) {
        let conn = self.table.conn(slot);
        if conn.is_confirmed() {
            return;
        }
        let Some(present) = conn.tuples[1].invert() else { return };
        let chosen = nat::choose(&self.table, slot, present, range, manip, &mut self.draws);
        if let Some(evicted) = chosen.evicts {
            self.destroy(evicted, self.now);
        }
        let conn = self.table.conn_mut(slot);
        if chosen.tuple != present
            && let Some(reply) = chosen.tuple.invert()
        {
            conn.tuples[1] = reply;
            conn.status.insert(manip.bit());
        }
        match manip {
            Manip::Source => self.table.enter_source(slot),
            Manip::Destination => conn.status.insert(Status::DST_NAT_DONE),
        }
    }

    /// A connection that another one has announced goes the way of its master: to where the master's other side is in
    /// truth, at the port that was announced there, and in the name that the master's sender has outside. `announced`: the
    /// direction of the master in which the announcement went; `port`: as it was before it was translated.
    ///
    /// Source: linux 6.18 net/netfilter/nf_nat_helper.c `nf_nat_follow_master`.
    pub(super) fn follow_master(&mut self, slot: u32, master: u32, announced: Direction, port: u16) {
        let sent = self.table.conn(master).tuples[announced as usize];
        self.set_up(slot, &Range::of(sent.dst), Manip::Source);
        let range = Range { ports: Some((port, port)), ..Range::of(sent.src) };
        self.set_up(slot, &range, Manip::Destination);
    }

    /// Whether a masqueraded connection leaves by another interface than that whose address it has.
    fn is_elsewhere(&self, slot: u32, oif: &str) -> bool {
        let extra = self.table.conn(slot).extra.as_deref();
        extra.and_then(|extra| extra.masquerade.as_deref()).is_some_and(|interface| interface != oif)
    }

    /// Moves the sequence numbers of a packet at the last hook. Says how it ended, if it did.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_proto.c `nf_confirm`.
    pub(super) fn adjust(&mut self, travel: &mut Travel<'_>) -> Option<Ending> {
        let outcome = travel.outcome?;
        let slot = self.attached(&outcome)?;
        let conn = self.table.conn(slot);
        let Class::Tracked(info) = outcome.class else { return None };
        if !conn.status.has(Status::SEQ_ADJUST) || info == CtInfo::RelatedReply || travel.is_loopback() {
            return None;
        }
        let both = conn.extra.as_deref().and_then(|extra| extra.adjust)?;
        let part = ip::transport(&travel.datagram()).ok()?;
        if adjust::adjust(travel.bytes_mut(), part.offset as usize, &both, info.direction()) {
            return None;
        }
        Some(self.no_way(travel, Reason::NatHeader {}))
    }

    /// The packet cannot go on, and why.
    fn no_way(&mut self, travel: &Travel<'_>, reason: Reason) -> Ending {
        let outcome = self.end(travel);
        (Outcome { verdict: Verdict::Drop, reason, ..outcome }, None)
    }

    /// Where a packet goes whose destination has changed: another interface, or the host itself. None: nowhere.
    ///
    /// Source: linux 6.18 net/netfilter/nf_nat_proto.c `nf_nat_ipv4_pre_routing`, `nf_nat_ipv4_local_fn`.
    pub(super) fn reroute(&mut self, firewall: &Firewall, travel: &mut Travel<'_>) -> Option<Ending> {
        let datagram = travel.datagram();
        let (family, (_, dst)) = (datagram.family, datagram.addresses());
        if travel.go_to(firewall, family, dst) {
            return None;
        }
        let outcome =
            travel.outcome.unwrap_or(unattached(Class::Discarded, Verdict::Drop, Reason::NatNoAddress {}));
        travel.outcome = Some(outcome);
        Some((self.end(travel), None))
    }
}

/// Where the header of an ICMP message of the datagram's family stands.
fn icmp_header(datagram: &Datagram<'_>) -> Option<usize> {
    match datagram.family {
        Family::Ipv4 => (datagram.protocol == protocol::ICMP).then_some(datagram.header_len as usize),
        Family::Ipv6 => {
            let part = ip::skip_extensions(datagram.bytes, datagram.protocol, 40).ok()?;
            (part.protocol == protocol::ICMPV6).then_some(part.offset as usize)
        }
    }
}
