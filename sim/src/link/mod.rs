//! A cable between an interface and its network: both ways have latency, bandwidth and a queue of their own, and faults.
//!
//! A packet that is put in comes out at the other end at some time, or several times, or never. What the faults do to
//! it is decided when it is put in. Without faults a cable keeps the order: jitter alone never lets one packet overtake
//! another.

mod fault;
mod filter;

use crate::dice::{Dice, Seed};
use crate::time::{SECOND, seconds};

pub use fault::{Fault, FaultError, What, When};
pub use filter::Filter;

use fault::Rule;

/// What a cable is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSpec {
    /// How long a packet is under way, in nanoseconds.
    pub latency: u64,
    /// Up to so much is added to the latency, in nanoseconds.
    pub jitter: u64,
    /// Bits a second; none is no limit.
    pub bandwidth: Option<u64>,
    /// Bytes that may wait for their turn, each way; none is no limit. Without a bandwidth nothing waits.
    pub queue: Option<u64>,
    /// The largest packet that both ends put in, in bytes. A cable that loses larger ones silently is a fault.
    pub mtu: usize,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

impl Default for LinkSpec {
    /// A cable of no length and no limit, with Ethernet's MTU.
    fn default() -> LinkSpec {
        LinkSpec { latency: 0, jitter: 0, bandwidth: None, queue: None, mtu: 1500, faults: Vec::new() }
    }
}

/// A direction on a cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// From the interface to its network.
    Up,
    /// From the network to the interface.
    Down,
}

/// What became of the packets of one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCount {
    /// Packets put in.
    pub sent: u64,
    /// Bytes put in.
    pub sent_bytes: u64,
    /// Packets that come out, copies included.
    pub delivered: u64,
    /// Packets put into a cut cable.
    pub cut: u64,
    /// Packets that found the queue full.
    pub queue_full: u64,
}

/// A fault that stands on a cable, and how often it has fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fired<'a> {
    /// The fault.
    pub fault: &'a Fault,
    /// How many packets it has changed.
    pub times: u64,
}

/// A cable at work.
#[derive(Debug)]
pub(crate) struct Link {
    name: String,
    seed: Seed,
    spec: LinkSpec,
    is_cut: bool,
    rules: Vec<Rule>,
    lanes: [Lane; 2],
}

#[derive(Debug)]
struct Lane {
    dice: Dice,
    /// When everything that waits has been put on the wire.
    busy_until: u64,
    /// When the last packet in order arrives.
    last_arrival: u64,
    count: LinkCount,
}

/// A packet that comes out of a cable.
pub(crate) type Delivery = (u64, Vec<u8>);

impl Link {
    /// A cable named for its interface; the name is that of its dice.
    pub(crate) fn new(name: String, spec: LinkSpec, seed: Seed) -> Result<Link, FaultError> {
        let lane = |way: &str| Lane {
            dice: seed.dice(&format!("link {name} {way}")),
            busy_until: 0,
            last_arrival: 0,
            count: LinkCount::default(),
        };
        let lanes = [lane("up"), lane("down")];
        let faults = spec.faults.clone();
        let mut link = Link { name, seed, spec, is_cut: false, rules: Vec::new(), lanes };
        faults.into_iter().try_for_each(|fault| link.add(fault))?;
        Ok(link)
    }

    /// One more fault, from now on.
    pub(crate) fn add(&mut self, fault: Fault) -> Result<(), FaultError> {
        fault.check()?;
        let dice = self.seed.dice(&format!("link {} fault {}", self.name, self.rules.len()));
        self.rules.push(Rule::new(fault, dice));
        self.rules.sort_by_key(Rule::rank);
        Ok(())
    }

    pub(crate) fn mtu(&self) -> usize {
        self.spec.mtu
    }

    pub(crate) fn cut(&mut self, is_cut: bool) {
        self.is_cut = is_cut;
    }

    pub(crate) fn count(&self, way: Way) -> LinkCount {
        self.lanes[way as usize].count
    }

    pub(crate) fn fired(&self) -> impl Iterator<Item = Fired<'_>> {
        self.rules.iter().map(Rule::fired)
    }

    /// Whether packets come out the moment they are put in, unharmed.
    pub(crate) fn is_ideal(&self) -> bool {
        self.rules.is_empty()
            && !self.is_cut
            && self.spec.latency == 0
            && self.spec.jitter == 0
            && self.spec.bandwidth.is_none()
    }

    /// Puts a packet in at `now`; what comes out, and when, is added to `out`.
    pub(crate) fn pass(&mut self, now: u64, way: Way, bytes: Vec<u8>, out: &mut Vec<Delivery>) {
        let lane = &mut self.lanes[way as usize];
        lane.count.sent += 1;
        lane.count.sent_bytes += bytes.len() as u64;
        if self.is_cut {
            lane.count.cut += 1;
            return;
        }
        if self.rules.is_empty() {
            lane.send(now, &self.spec, bytes, 0, out);
            return;
        }
        self.pass_faults(now, way, bytes, out);
    }

    /// Each rule sees each packet that is put in, so that no fault changes what another one does.
    fn pass_faults(&mut self, now: u64, way: Way, mut bytes: Vec<u8>, out: &mut Vec<Delivery>) {
        let mut late = 0;
        let mut copies = Vec::new();
        let mut is_lost = false;
        let original = bytes.clone();
        for rule in &mut self.rules {
            if !rule.hits(now, way, &original) || is_lost {
                continue;
            }
            rule.count();
            match rule.what() {
                What::Lose => is_lost = true,
                What::Corrupt { at } => rule.corrupt(&mut bytes, at),
                What::Truncate { length } => bytes.truncate(length),
                What::Duplicate { after } => copies.push(after),
                What::Delay { by } => late += by,
            }
        }
        if is_lost {
            return;
        }
        let lane = &mut self.lanes[way as usize];
        let copied: Vec<_> = copies.into_iter().map(|after| (after, bytes.clone())).collect();
        lane.send(now, &self.spec, bytes, late, out);
        for (after, bytes) in copied {
            lane.send(now, &self.spec, bytes, late + after, out);
        }
    }
}

impl Lane {
    /// Through the queue, onto the wire, to the other end. One that a fault makes `late` may be overtaken.
    fn send(&mut self, now: u64, spec: &LinkSpec, bytes: Vec<u8>, late: u64, out: &mut Vec<Delivery>) {
        let mut leaves = now;
        if let Some(bandwidth) = spec.bandwidth {
            let start = self.busy_until.max(now);
            let waiting = bytes_in(start - now, bandwidth);
            if spec.queue.is_some_and(|limit| waiting + bytes.len() as u64 > limit) && start > now {
                self.count.queue_full += 1;
                return;
            }
            leaves = start + time_for(bytes.len() as u64, bandwidth);
            self.busy_until = leaves;
        }
        let jitter = if spec.jitter == 0 { 0 } else { self.dice.below(spec.jitter + 1) };
        let mut arrives = leaves + spec.latency + jitter;
        if late == 0 {
            arrives = arrives.max(self.last_arrival);
            self.last_arrival = arrives;
        } else {
            arrives += late;
        }
        self.count.delivered += 1;
        out.push((arrives, bytes));
    }
}

fn time_for(bytes: u64, bandwidth: u64) -> u64 {
    (u128::from(bytes) * 8 * u128::from(SECOND)).div_ceil(u128::from(bandwidth)) as u64
}

fn bytes_in(time: u64, bandwidth: u64) -> u64 {
    (u128::from(time) * u128::from(bandwidth) / (8 * u128::from(SECOND))) as u64
}

impl LinkSpec {
    /// What makes no sense, if anything does not.
    pub(crate) fn check(&self) -> Result<(), FaultError> {
        // RFC 791 wants 68 bytes of every link; 65,535 is what an IP header can say.
        if !(68..=65_535).contains(&self.mtu) {
            return Err(FaultError::Mtu { mtu: self.mtu });
        }
        if self.bandwidth == Some(0) {
            return Err(FaultError::Bandwidth);
        }
        if self.queue == Some(0) {
            return Err(FaultError::Queue);
        }
        self.faults.iter().try_for_each(Fault::check)
    }
}

impl std::fmt::Display for Fired<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} times", self.fault, self.times)
    }
}

/// A length of time, for people.
fn shown(nanoseconds: u64) -> String {
    seconds(nanoseconds)
}
