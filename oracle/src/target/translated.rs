//! Answers to translated packets: who answers one answers what has come to him, and so does who sends an error about it.
//!
//! What a story's hosts send is built before it is known as whose packets theirs left. A packet that follows others - in
//! a flow, again, or quoting one - is given the ends that it would have had, once the others have left.

use std::net::IpAddr;

use conntruth_engine::{Class, Tuple, Verdict, protocol, readdress, readdress_quoted};

use super::host::{self, Reached};
use super::whose;
use super::{Arrival, Fate, Observation, Path, Release};

/// The ends with which packets came, as their story has them, and those with which they left.
#[derive(Clone, Debug, Default)]
pub(crate) struct Translated {
    ends: Vec<(Tuple, Tuple)>,
    /// Hosts that live elsewhere than their network.
    strays: Vec<(IpAddr, String)>,
    /// Packets that were to wait, in order: as their story has them, and as they came.
    waiting: Vec<(Arrival, Arrival)>,
}

/// What was seen of a packet.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) class: Class,
    pub(crate) verdict: Verdict,
    /// As it left, where that is not as it came.
    pub(crate) left: Option<&'a [u8]>,
}

impl Translated {
    /// Nothing has left yet.
    pub(crate) fn new(strays: &[(IpAddr, String)]) -> Translated {
        Translated { ends: Vec::new(), strays: strays.to_vec(), waiting: Vec::new() }
    }

    /// A packet left so.
    pub(crate) fn learn(&mut self, story: &Arrival, came: &Arrival, seen: Seen<'_>) {
        // What has no connection is nobody's answer and needs none.
        let counts = matches!(seen.class, Class::Tracked(_)) && seen.verdict == Verdict::Accept;
        if !counts || whose::quotes(&story.bytes) {
            return;
        }
        let tuples = (whose::tuple(&story.bytes), whose::tuple(seen.left.unwrap_or(&came.bytes)));
        if let (Some(story), Some(left)) = tuples {
            self.ends.retain(|(other, _)| *other != story);
            self.ends.push((story, left));
        }
    }

    /// What is known of an observation. A packet that waits has not left.
    pub(crate) fn saw(&mut self, story: &Arrival, came: &Arrival, seen: &Observation) {
        if story.fate == Fate::Waits {
            self.waiting.push((story.clone(), came.clone()));
        } else {
            self.left(story, came, seen);
        }
    }

    /// What is known of one that has waited.
    pub(crate) fn saw_going_on(&mut self, release: &Release, seen: &Observation) {
        if let Some((story, came)) = self.waiting.get(release.waiting).cloned() {
            self.left(&story, &came, seen);
        }
    }

    /// One that has waited, as it came.
    pub(crate) fn came(&self, release: &Release) -> Option<&Arrival> {
        self.waiting.get(release.waiting).map(|(_, came)| came)
    }

    fn left(&mut self, story: &Arrival, came: &Arrival, seen: &Observation) {
        let Observation { class, verdict, left, .. } = seen;
        self.learn(story, came, Seen { class: *class, verdict: *verdict, left: left.as_deref() });
    }

    /// The packet as its sender would send it, where that is another.
    pub(crate) fn turned(&self, arrival: &Arrival) -> Option<Arrival> {
        if !arrival.follows || self.ends.is_empty() {
            return None;
        }
        let tuple = whose::tuple(&arrival.bytes)?;
        let known =
            |wanted: Tuple| self.ends.iter().find(|(story, _)| *story == wanted).map(|(_, left)| *left);
        let mut bytes = arrival.bytes.clone();
        let is_turned = if whose::quotes(&bytes) {
            // The tuple of an error is that of what it quotes, turned round.
            let quoted = tuple.invert()?;
            let left = known(quoted).filter(|left| *left != quoted)?;
            readdress_quoted(&mut bytes, whose::header(&arrival.bytes)?, &left)
        } else {
            let ends = known(answered(&tuple)?)?.invert()?;
            (ends != tuple && ends.protocol == tuple.protocol) && readdress(&mut bytes, &ends)
        };
        is_turned.then(|| self.sent(Arrival { bytes, ..arrival.clone() }))
    }

    /// The same packet, by the way that its ends say.
    fn sent(&self, arrival: Arrival) -> Arrival {
        let Some(ends) = whose::addresses(&arrival.bytes) else { return arrival };
        let [from, to] = ends.map(|(family, address)| host::reach(address.ip(family), &self.strays));
        let name = |reached: &Reached| match reached {
            Reached::By(name) => Some(name.clone()),
            Reached::Here | Reached::Not => None,
        };
        let path = match (&from, &to) {
            (Reached::Here, Reached::Here) => Path::Loopback,
            (Reached::Here, _) => Path::Output,
            (_, Reached::Here) => Path::Input,
            _ => Path::Forward,
        };
        Arrival { path, iif: name(&from), oif: name(&to), ..arrival }
    }
}

/// What a packet of this tuple answers. A query of ICMP answers nothing.
fn answered(tuple: &Tuple) -> Option<Tuple> {
    let is_query = match tuple.protocol {
        protocol::ICMP => matches!(tuple.icmp_type(), 8 | 13 | 15 | 17),
        protocol::ICMPV6 => matches!(tuple.icmp_type(), 128 | 139),
        _ => false,
    };
    if is_query { None } else { tuple.invert() }
}
