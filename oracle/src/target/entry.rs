//! An entry of a tracker's table as any implementation may show it: what it does not show is left out.

use std::borrow::Cow;
use std::fmt;

use conntruth_engine::{
    ConnSnapshot, Counter, Direction, ExpectFlags, ExpectSnapshot, ProtoInfo, Status, TcpSide, Time, Tuple,
};
use serde::{Deserialize, Serialize};

/// An entry at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// A name for it that no other entry of this world has.
    pub id: u64,
    /// The key of packets that travel as the first one did.
    pub original: Tuple,
    /// The key of answers.
    pub reply: Tuple,
    /// The state's word, for protocols that have states.
    pub state: Option<Cow<'static, str>>,
    /// Time left.
    pub left: Left,
    /// The status bits.
    pub status: Status,
    /// The connection mark.
    pub mark: u32,
    /// The zone.
    pub zone: u16,
    /// The helper's name.
    pub helper: Option<Cow<'static, str>>,
    /// The entry that announced this one.
    pub master: Option<u64>,
    /// That one's tuple in original direction, where it is shown.
    #[serde(default)]
    pub master_tuple: Option<Tuple>,
    /// Packets and bytes of both directions, where they are counted.
    pub counters: Option<[Counter; 2]>,
    /// Whole seconds since it was confirmed, where that is noted: `delta-time` in listings.
    #[serde(default)]
    pub lived: Option<u64>,
    /// What the protocol's tracker keeps beside the state, where it is shown.
    pub peers: Peers,
}

/// What a protocol's tracker keeps of the two senders, as far as a target shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Peers {
    /// TCP's windows.
    Tcp([TcpSide; 2]),
    /// SCTP's verification tags.
    Sctp([u32; 2]),
    /// GRE's two timeouts, in seconds: unanswered, answered.
    Gre([u32; 2]),
    /// Nothing, or nothing that is shown.
    None,
}

/// A connection that a helper expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// What its first packet will have for a tuple, as far as `mask` has bits.
    pub tuple: Tuple,
    /// The bits that must be equal.
    pub mask: Tuple,
    /// The original tuple of the connection whose helper expects it.
    pub master: Tuple,
    /// Time left.
    pub left: Left,
    /// The helper's name.
    pub helper: Cow<'static, str>,
    /// The helper's class of expectations.
    pub class: u32,
    /// The kernel's `NF_CT_EXPECT_*` bits.
    pub flags: u32,
    /// The zone.
    pub zone: u16,
}

impl Expected {
    /// An expectation as the engine shows it at `now`, on a clock of `hz` ticks.
    pub fn seen(expected: &ExpectSnapshot, now: Time, hz: u32) -> Expected {
        let tick = 1_000_000_000 / u64::from(hz);
        let now = Time(now.as_nanos() / tick * tick);
        Expected {
            tuple: expected.tuple,
            mask: expected.mask,
            master: expected.master_tuple,
            left: Left::exactly(expected.deadline.since(now)),
            helper: Cow::Borrowed(expected.helper.name()),
            class: expected.class.into(),
            flags: expected.flags.0,
            zone: expected.zone,
        }
    }
}

/// A line of `conntrack -L expect`.
impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tuple, mask, master) = (&self.tuple, &self.mask, &self.master);
        write!(f, "{} proto={} {tuple}", self.left, tuple.protocol)?;
        write!(f, " mask-src={} mask-dst={}", mask.src_ip(), mask.dst_ip())?;
        write!(f, " sport={} dport={}", mask.src_id, mask.dst_id)?;
        write!(f, " master-src={} master-dst={}", master.src_ip(), master.dst_ip())?;
        write!(f, " sport={} dport={}", master.src_id, master.dst_id)?;
        if self.zone != 0 {
            write!(f, " zone={}", self.zone)?;
        }
        let flags: Vec<&str> = ExpectFlags(self.flags).names().collect();
        if !flags.is_empty() {
            write!(f, " {}", flags.join(","))?;
        }
        write!(f, " class={} helper={}", self.class, self.helper)
    }
}

/// Time left until death: at least and at most, since reading takes time on a clock that runs, and listings round down
/// to seconds. The reference knows the one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The least it may have been.
    pub least: Time,
    /// The most it may have been.
    pub most: Time,
}

impl Left {
    /// Known exactly.
    pub const fn exactly(time: Time) -> Left {
        Left { least: time, most: time }
    }

    /// Whether a listing may have shown so many seconds.
    pub const fn may_show(self, seconds: u64) -> bool {
        self.least.as_secs() <= seconds && seconds <= self.most.as_secs()
    }

    /// Whether it may have been exactly this.
    pub fn may_be(self, time: Time) -> bool {
        self.least <= time && time <= self.most
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (self.least.as_secs(), self.most.as_secs());
        if least == most { most.fmt(f) } else { write!(f, "{least}..{most}") }
    }
}

impl Entry {
    /// An entry as the engine shows it at `now`, on a clock of `hz` ticks.
    pub fn seen(conn: &ConnSnapshot, now: Time, hz: u32) -> Entry {
        let tick = 1_000_000_000 / u64::from(hz);
        let now = Time(now.as_nanos() / tick * tick);
        let left = if conn.status.has(Status::CONFIRMED) { conn.deadline.since(now) } else { conn.deadline };
        Entry {
            id: conn.id.number(),
            original: conn.original,
            reply: conn.reply,
            state: conn.state().map(Cow::Borrowed),
            left: Left::exactly(left),
            status: conn.status,
            mark: conn.mark,
            zone: conn.zone,
            helper: conn.helper.map(|helper| Cow::Borrowed(helper.name())),
            master: conn.master.map(|master| master.number()),
            master_tuple: conn.master_tuple,
            counters: conn.counters,
            lived: conn.delta_secs,
            peers: match conn.info {
                ProtoInfo::Tcp { sides, .. } => Peers::Tcp(sides),
                ProtoInfo::Sctp { tags, .. } => Peers::Sctp(tags),
                ProtoInfo::Gre { timeout, stream_timeout } => Peers::Gre([timeout, stream_timeout]),
                ProtoInfo::Stateless => Peers::None,
            },
        }
    }

    /// One of the two tuples.
    pub fn tuple(&self, direction: Direction) -> &Tuple {
        match direction {
            Direction::Original => &self.original,
            Direction::Reply => &self.reply,
        }
    }

    /// Whether nothing has answered.
    pub fn is_unreplied(&self) -> bool {
        !self.status.has(Status::SEEN_REPLY)
    }

    /// Whether a full table may not drop it.
    pub fn is_assured(&self) -> bool {
        self.status.has(Status::ASSURED)
    }

    /// The protocol's name as the kernel lists it, `unknown` for those without a tracker.
    pub fn protocol_name(&self) -> &'static str {
        self.original.protocol_name()
    }
}

/// A line of `conntrack -L`: a mark or zone of zero is not shown.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.protocol_name(), self.original.protocol, self.left)?;
        if let Some(state) = &self.state {
            write!(f, " {state}")?;
        }
        for direction in [Direction::Original, Direction::Reply] {
            write!(f, " {}", self.tuple(direction))?;
            if let Some(counters) = self.counters {
                let Counter { packets, bytes } = counters[direction as usize];
                write!(f, " packets={packets} bytes={bytes}")?;
            }
            if direction == Direction::Original && self.is_unreplied() {
                write!(f, " [UNREPLIED]")?;
            }
        }
        if self.is_assured() {
            write!(f, " [ASSURED]")?;
        }
        if self.mark != 0 {
            write!(f, " mark={}", self.mark)?;
        }
        if self.zone != 0 {
            write!(f, " zone={}", self.zone)?;
        }
        if let Some(seconds) = self.lived {
            write!(f, " delta-time={seconds}")?;
        }
        Ok(())
    }
}
