//! An expectation as it stands at one moment, and how it is listed.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ExpectFlags;
use crate::helper::Helper;
use crate::outcome::ConnId;
use crate::snapshot::fmt_full;
use crate::time::Time;
use crate::tuple::{Family, Tuple};

/// A connection that is expected, copied out of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectSnapshot {
    /// Its number: 1, 2, 3, ... in the order in which they came.
    pub number: u64,
    /// What the first packet of the connection will have, as far as `mask` has bits.
    pub tuple: Tuple,
    /// The bits that must be equal.
    pub mask: Tuple,
    /// The connection that has announced it.
    pub master: ConnId,
    /// That one's tuple in original direction.
    pub master_tuple: Tuple,
    /// The helper that has read it.
    pub helper: Helper,
    /// The helper's class of expectations.
    pub class: u8,
    /// What holds for it.
    pub flags: ExpectFlags,
    /// The zone.
    pub zone: u16,
    /// Whole seconds left, rounded down.
    pub timeout: u64,
    /// The moment of its end.
    pub deadline: Time,
}

/// A line of `conntrack -L expect`.
impl fmt::Display for ExpectSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tuple, mask, master) = (&self.tuple, &self.mask, &self.master_tuple);
        write!(f, "{} proto={} {tuple}", self.timeout, tuple.protocol)?;
        write!(f, " mask-src={} mask-dst={}", mask.src_ip(), mask.dst_ip())?;
        mask.fmt_keys(f)?;
        write!(f, " master-src={} master-dst={}", master.src_ip(), master.dst_ip())?;
        master.fmt_keys(f)?;
        if self.zone != 0 {
            write!(f, " zone={}", self.zone)?;
        }
        for (index, name) in self.flags.names().enumerate() {
            write!(f, "{}{name}", if index == 0 { " " } else { "," })?;
        }
        write!(f, " class={} helper={}", self.class, self.helper.name())
    }
}

/// A line of `/proc/net/nf_conntrack_expect`.
#[derive(Clone, Copy, Debug)]
pub struct ExpectProcLine<'a>(pub &'a ExpectSnapshot);

impl fmt::Display for ExpectProcLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = self.0;
        let tuple = &expected.tuple;
        let family = match tuple.family {
            Family::Ipv4 => 2,
            Family::Ipv6 => 10,
        };
        write!(f, "{} l3proto = {family} proto={} ", expected.timeout, tuple.protocol)?;
        fmt_full(tuple, f)?;
        write!(f, " ")?;
        for (index, name) in expected.flags.names().enumerate() {
            write!(f, "{}{name}", if index == 0 { "" } else { "," })?;
        }
        let gap = if expected.flags == ExpectFlags::default() { "" } else { " " };
        write!(f, "{gap}{}", expected.helper.name())?;
        let class = expected.helper.info().classes.get(usize::from(expected.class));
        match class.filter(|class| !class.name.is_empty()) {
            Some(class) => write!(f, "/{}", class.name),
            None => Ok(()),
        }
    }
}
