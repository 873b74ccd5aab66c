//! A connection as the table holds it: two tuples, the bits, a deadline, and what its protocol's tracker remembers.
//! What few connections have lies in a boxed extension.

use serde::{Deserialize, Serialize};

use crate::event::Changes;
use crate::helper::{Help, Helper};
use crate::nat::adjust::Adjust;
use crate::outcome::ConnId;
use crate::proto::{ProtoState, Rules};
use crate::snapshot::{ConnSnapshot, Counter};
use crate::status::Status;
use crate::sysctl::Knob;
use crate::table::Link;
use crate::time::{Jiffies, Ticks, Time};
use crate::tuple::{Direction, Tuple};

/// See the module.
///
/// Three lines of the cache: what every packet looks at in the first two, what its protocol remembers in the third.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(C, align(64))]
pub(crate) struct Conn {
    /// Keys of both directions, by `Direction`.
    pub tuples: [Tuple; 2],
    /// Its [`ConnId`]'s; 0: the slot is free.
    pub number: u64,
    /// The tick of its death; until it is confirmed, the ticks it will live.
    pub expires: Jiffies,
    pub status: Status,
    /// What happened since events were last delivered.
    pub changes: Changes,
    pub zone: u16,
    pub extra: Option<Box<Extra>>,
    pub link: Link,
    pub mark: u32,
    /// Whether somebody listened when it was made: if not, it never makes events.
    pub listened: bool,
    pub proto: ProtoState,
}

const _: () = assert!(size_of::<Conn>() == 3 * 64);

/// What few connections have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Extra {
    pub counters: Option<[Counter; 2]>,
    pub timestamps: Option<Stamps>,
    pub master: Option<Master>,
    /// Connections that it has announced, and that are there: they hold it.
    #[serde(default)]
    pub children: u32,
    pub help: Option<Help>,
    /// The interface whose address a masqueraded connection has.
    pub masquerade: Option<Box<str>>,
    /// What the sequence numbers of both directions are moved by.
    pub adjust: Option<[Adjust; 2]>,
}

/// The connection that has announced another. It may be gone: what is said of it is as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Master {
    pub id: ConnId,
    /// Its tuple in original direction.
    pub tuple: Tuple,
    pub helper: Option<Helper>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamps {
    pub start: Option<Time>,
    pub stop: Option<Time>,
}

impl Conn {
    /// Its name, from the slot it lies in.
    pub fn id(&self, slot: u32) -> ConnId {
        ConnId::new(self.number, slot)
    }

    pub fn is_confirmed(&self) -> bool {
        self.status.has(Status::CONFIRMED)
    }

    /// Whether the last hook has nothing to do for it at `now`: most packets change nothing that anyone must be told of, and
    /// no helper is to read them.
    pub fn is_quiet(&self, now: Jiffies) -> bool {
        let busy = Status(Status::CONFIRMED.0 | Status::HELPER.0);
        self.status.0 & busy.0 == Status::CONFIRMED.0 && self.changes.is_empty() && self.expires > now
    }

    /// Whether one of its ends is translated.
    pub fn is_translated(&self) -> bool {
        self.status.0 & (Status::SRC_NAT.0 | Status::DST_NAT.0) != 0
    }

    /// What it has of a helper.
    pub fn help(&self) -> Option<&Help> {
        self.extra.as_deref().and_then(|extra| extra.help.as_ref())
    }

    /// The connection that has announced it.
    pub fn master(&self) -> Option<&Master> {
        self.extra.as_deref().and_then(|extra| extra.master.as_ref())
    }

    pub fn has_reply(&self) -> bool {
        self.status.has(Status::SEEN_REPLY)
    }

    /// Notes that something changed, for the next event.
    pub fn note(&mut self, changes: Changes) {
        if self.listened {
            self.changes.insert(changes);
        }
    }

    /// Sets a status bit; says so in the next event when it was not set before.
    pub fn set_status(&mut self, bit: Status, changes: Changes) {
        if !self.status.has(bit) {
            self.status.insert(bit);
            self.note(changes);
        }
    }

    /// Counts a packet that the tracker accepted.
    pub fn count(&mut self, direction: Direction, bytes: usize) {
        if let Some(counters) = self.extra.as_deref_mut().and_then(|extra| extra.counters.as_mut()) {
            let counter = &mut counters[direction as usize];
            counter.packets += 1;
            counter.bytes += bytes as u64;
        }
    }

    /// A packet in reply direction that the tracker took: from now on the connection is answered.
    pub fn answer(&mut self, direction: Direction) {
        if direction == Direction::Reply {
            self.set_status(Status::SEEN_REPLY, Changes::REPLY);
        }
    }

    /// So many ticks to live from `now` on, unless the timeout is fixed. Says whether a deadline that the table knows
    /// has come nearer.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `__nf_ct_refresh_acct`.
    pub fn renew(&mut self, now: Jiffies, timeout: u64) -> bool {
        if self.status.has(Status::FIXED_TIMEOUT) {
            return false;
        }
        let confirmed = self.is_confirmed();
        let expires = Jiffies(if confirmed { now.0 + timeout } else { timeout });
        let nearer = confirmed && expires < self.expires;
        self.expires = expires;
        nearer
    }

    /// A rule has set the mark to something else, be it for a moment: that is told in any case.
    ///
    /// Source: linux 6.18 net/netfilter/nft_ct.c `nft_ct_set_eval`.
    pub fn set_mark(&mut self, mark: u32) {
        self.mark = mark;
        self.note(Changes::MARK);
    }

    /// A rule has reset the connection by a segment of the host's own: TCP is in CLOSE from now on, and has that state's
    /// time. Says whether its deadline has come nearer.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_proto_tcp.c `nf_conntrack_tcp_set_closing`.
    pub fn set_closing(&mut self, rules: &Rules) -> bool {
        if !self.is_confirmed() || !self.proto.close() {
            return false;
        }
        self.note(Changes::PROTOINFO);
        self.renew(rules.now, rules.timeout(Knob::TcpClose))
    }

    /// A segment of a direction that begins at `seq` has grown or shrunk by so much: what follows is moved, and the
    /// tracker reckons with it.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_seqadj.c `nf_ct_seqadj_set`.
    pub fn moved(&mut self, direction: Direction, seq: u32, offset: i32) {
        if offset != 0 {
            let both = self.extra.get_or_insert_default().adjust.get_or_insert_default();
            both[direction as usize].note(seq, offset);
            self.status.insert(Status::SEQ_ADJUST);
        }
    }

    /// By how much the numbers of a direction's sender have been moved at `seq`.
    pub fn offset(&self, direction: Direction, seq: u32) -> i32 {
        let both = self.extra.as_deref().and_then(|extra| extra.adjust.as_ref());
        both.map_or(0, |both| both[direction as usize].offset(seq))
    }

    /// Ticks left at `now`.
    pub fn ticks_left(&self, now: Jiffies) -> u64 {
        self.expires.0.saturating_sub(if self.is_confirmed() { now.0 } else { 0 })
    }

    /// A copy for people, events and claims.
    pub fn snapshot(&self, slot: u32, now: Jiffies, ticks: Ticks) -> ConnSnapshot {
        let since = if self.is_confirmed() { now } else { Jiffies(0) };
        let extra = self.extra.as_deref();
        let stamps = extra.and_then(|extra| extra.timestamps).unwrap_or_default();
        ConnSnapshot {
            id: self.id(slot),
            original: self.tuples[0],
            reply: self.tuples[1],
            status: self.status,
            info: self.proto.info(ticks),
            timeout: ticks.seconds_left(self.expires, since),
            deadline: ticks.start(self.expires),
            mark: self.mark,
            zone: self.zone,
            helper: self.help().map(|help| help.helper),
            master: self.master().map(|master| master.id),
            master_tuple: self.master().map(|master| master.tuple),
            master_helper: self.master().and_then(|master| master.helper),
            counters: extra.and_then(|extra| extra.counters),
            started: stamps.start,
            stopped: stamps.stop,
            delta_secs: stamps.start.map(|start| {
                let end = stamps.stop.unwrap_or(ticks.start(now));
                end.as_secs().saturating_sub(start.as_secs())
            }),
        }
    }
}
