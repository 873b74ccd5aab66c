//! Helpers at work: what a packet announces at the last hook becomes an expectation, what was expected begins as its
//! master's child, and expectations end.

use super::Engine;
use super::travel::Travel;
use super::walk::Ending;
use crate::conn::{Extra, Master};
use crate::event::{Changes, Event, EventKind};
use crate::expect::{ExpectSnapshot, Expectation, Follows, Refused, SourceMask};
use crate::helper::{self, Advice, Announcement, Help, Helper, Visit};
use crate::outcome::{Class, CtInfo, Outcome, Verdict};
use crate::reason::Reason;
use crate::status::Status;
use crate::sysctl::Knob;
use crate::time::{Jiffies, Time};
use crate::tuple::Tuple;
use crate::wire::ip::{self, Datagram};

impl Engine {
    /// The connections that are expected, in the order in which they were announced.
    pub fn expectations(&self) -> impl Iterator<Item = ExpectSnapshot> + '_ {
        self.expected.iter().map(|expected| expected.snapshot(self.rules.now, self.rules.ticks))
    }

    /// A rule assigns a helper: to a connection that is not confirmed yet, has none, and is one that the helper knows.
    ///
    /// Source: linux 6.18 net/netfilter/nft_ct.c `nft_ct_helper_obj_eval`.
    pub(super) fn assign(&mut self, slot: u32, helper: Helper) {
        let conn = self.table.conn_mut(slot);
        if !conn.is_confirmed() && !conn.status.has(Status::HELPER) && helper.suits(&conn.tuples[0]) {
            conn.status.insert(Status::HELPER);
            conn.extra.get_or_insert_default().help = Some(Help::new(helper));
        }
    }

    /// A new connection that was expected is its master's child: RELATED, with its mark, and the expectation is used up.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `init_conntrack`.
    #[cold]
    pub(super) fn welcome(&mut self, slot: u32, tuple: &Tuple, zone: u16, outcome: &mut Outcome) {
        let Some(expected) = self.expected.find(tuple, zone).cloned() else { return };
        // Before its master has left this host, nobody can know of it.
        let Some(master) = self.table.slot(expected.master) else { return };
        let conn = self.table.conn(master);
        if !conn.is_confirmed() {
            return;
        }
        let (mark, helper) = (conn.mark, conn.help().map(|help| help.helper));
        if !expected.flags.has(crate::expect::ExpectFlags::PERMANENT) {
            self.expected.remove(expected.number);
            self.tell_expected(EventKind::ExpectDestroy, &expected, self.now);
        }
        self.adopt(master);
        let child = self.table.conn_mut(slot);
        child.status.insert(Status::EXPECTED);
        child.mark = mark;
        let extra: &mut Extra = child.extra.get_or_insert_default();
        extra.master = Some(Master { id: expected.master, tuple: expected.master_tuple, helper });
        if let Some(helper) = expected.assigns {
            child.status.insert(Status::HELPER);
            extra.help = Some(Help::new(helper));
        }
        outcome.help = Some(Reason::Expected { master: expected.master.number() });
        if let Some(Follows { announced, port }) = expected.follows {
            self.follow_master(slot, master, announced, port);
        }
    }

    /// The last hook, for a connection with a helper: says whether the packet goes on to be confirmed.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_proto.c `nf_confirm`.
    #[cold]
    pub(super) fn help(&mut self, slot: u32, datagram: &Datagram<'_>, outcome: &mut Outcome) -> bool {
        match self.let_read(slot, datagram, outcome) {
            Advice::Nothing => true,
            Advice::Pass(reason) => {
                outcome.help = Some(reason);
                true
            }
            Advice::Drop(reason) => self.drop_read(slot, reason, outcome),
            Advice::Expect(announcement) => match self.expect(slot, &announcement, None) {
                Ok(()) => {
                    outcome.help = Some(announcement.reason);
                    true
                }
                Err(refused) => self.drop_read(slot, refusal(refused, announcement.port), outcome),
            },
        }
    }

    /// What a connection's helper makes of a packet.
    pub(super) fn let_read(&mut self, slot: u32, datagram: &Datagram<'_>, outcome: &Outcome) -> Advice {
        let Class::Tracked(info) = outcome.class else { return Advice::Nothing };
        let Ok(part) = ip::transport(datagram) else { return Advice::Nothing };
        let loose = self.rules.sysctls.is_on(Knob::FtpLoose);
        let conn = self.table.conn_mut(slot);
        let tuples = conn.tuples;
        let help = conn.extra.as_deref_mut().and_then(|extra| extra.help.as_mut());
        let Some(help) = help.filter(|_| info != CtInfo::RelatedReply) else { return Advice::Nothing };
        let visit = Visit { info, tuples: &tuples, bytes: datagram.from(part.offset), loose };
        helper::read(help, &visit)
    }

    /// A helper ends a packet; a connection that is new with it is forgotten.
    pub(super) fn drop_read(&mut self, slot: u32, reason: Reason, outcome: &mut Outcome) -> bool {
        outcome.help = Some(reason);
        outcome.verdict = Verdict::Drop;
        if !self.table.conn(slot).is_confirmed() {
            (outcome.conn, outcome.attached) = (None, false);
            self.forget(slot);
        }
        false
    }

    /// The same for a packet on its way through the hooks. Says how it ended, if it did.
    pub(super) fn be_read(&mut self, travel: &mut Travel<'_>) -> Option<Ending> {
        let mut outcome = travel.outcome?;
        let slot = self.attached(&outcome)?;
        if !self.table.conn(slot).status.has(Status::HELPER) {
            return None;
        }
        let goes_on = if self.table.conn(slot).is_translated() {
            self.help_translated(slot, travel, &mut outcome)
        } else {
            self.help(slot, &travel.datagram(), &mut outcome)
        };
        travel.outcome = Some(outcome);
        if goes_on { None } else { Some((outcome, None)) }
    }

    /// Expects what was announced.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_expect.c `nf_ct_expect_init`, `nf_ct_expect_related_report`.
    pub(super) fn expect(
        &mut self,
        slot: u32,
        announced: &Announcement,
        follows: Option<Follows>,
    ) -> Result<(), Refused> {
        let conn = self.table.conn(slot);
        let Some(helper) = conn.help().map(|help| help.helper) else { return Ok(()) };
        let classes = helper.info().classes;
        let Some(class) = classes.get(usize::from(announced.class)).copied() else { return Ok(()) };
        let lasts = self.rules.ticks.of_secs(class.timeout_secs);
        let new = Expectation {
            number: 0,
            tuple: Tuple {
                src: announced.from.unwrap_or_default(),
                dst: announced.to,
                src_id: 0,
                dst_id: announced.port,
                protocol: announced.protocol,
                family: announced.family,
            },
            mask: match announced.from {
                Some(_) => SourceMask::address(announced.family),
                None => SourceMask::default(),
            },
            class: announced.class,
            flags: Default::default(),
            master: conn.id(slot),
            master_tuple: conn.tuples[0],
            helper,
            zone: conn.zone,
            assigns: None,
            follows,
            expires: Jiffies(self.rules.now.0 + lasts),
            listened: conn.listened,
        };
        let max = self.rules.sysctls.get(Knob::ExpectMax) as u64;
        let related = self.expected.relate(new, class, max, false);
        for gone in &related.gone {
            self.tell_expected(EventKind::ExpectDestroy, gone, self.now);
        }
        if let Some(refused) = related.refused {
            return Err(refused);
        }
        if let Some(new) = self.expected.last().cloned() {
            self.tell_expected(EventKind::ExpectNew, &new, self.now);
        }
        Ok(())
    }

    /// A connection ends: nobody waits for what it has announced any more.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_expect.c `nf_ct_remove_expectations`.
    pub(super) fn forsake(&mut self, slot: u32, at: Time) {
        let id = self.table.conn(slot).id(slot);
        while let Some(gone) = self.expected.remove_of(id) {
            self.tell_expected(EventKind::ExpectDestroy, &gone, at);
        }
    }

    /// A connection that was never confirmed is forgotten, with what it has announced.
    pub(super) fn forget(&mut self, slot: u32) {
        if self.table.conn(slot).help().is_some() {
            self.forsake(slot, self.now);
        }
        self.let_go(slot);
        self.table.forget(slot);
    }

    /// Expectations whose time is up by this tick end.
    pub(super) fn expire_expected(&mut self, until: Jiffies) {
        while let Some(gone) = self.expected.next_due(until) {
            let at = self.rules.ticks.start(gone.expires);
            self.tell_expected(EventKind::ExpectDestroy, &gone, at);
        }
    }

    pub(super) fn tell_expected(&mut self, kind: EventKind, expected: &Expectation, at: Time) {
        if !expected.listened {
            return;
        }
        let Some(slot) = self.table.slot(expected.master) else { return };
        let tick = self.rules.ticks.at(at);
        let conn = self.table.conn(slot).snapshot(slot, tick, self.rules.ticks);
        let expected = Some(Box::new(expected.snapshot(tick, self.rules.ticks)));
        self.events.push_back(Event { at, kind, changes: Changes::default(), conn, expected });
    }
}

/// Why a packet that announces a connection is dropped.
pub(super) fn refusal(refused: Refused, port: u16) -> Reason {
    match refused {
        Refused::Already => Reason::ExpectAlready { port },
        Refused::Busy => Reason::ExpectBusy { port },
        Refused::Full { count, max } => Reason::ExpectFull { count, max },
    }
}
