//! `limit`: a bucket of tokens that fills with time. A packet takes its price out of it, or finds too little there.
//!
//! Source: linux 6.18 net/netfilter/nft_limit.c `nft_limit_eval`, `nft_limit_init`, `nft_limit_pkts_eval`,
//! `nft_limit_bytes_eval`. Tokens are nanoseconds there and here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::{NANOS, Time};

/// `limit rate over 10/second burst 5 packets`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// It holds for what is over the rate, rather than for what is not.
    pub over: bool,
    /// Packets, or bytes, in a unit.
    pub rate: u64,
    /// The unit, in nanoseconds.
    pub unit: u64,
    /// So many more at once: packets, or bytes.
    pub burst: u64,
    /// It counts bytes.
    pub bytes: bool,
}

/// The units of a rate.
pub(super) const UNITS: &[(&str, u64)] = &[
    ("second", NANOS),
    ("minute", 60 * NANOS),
    ("hour", 3_600 * NANOS),
    ("day", 86_400 * NANOS),
    ("week", 604_800 * NANOS),
];

/// What counts of packets: as many as nftables gives where nothing is said.
pub(super) const USUAL_BURST: u64 = 5;

/// A limit at work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bucket {
    tokens: u64,
    last: u64,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ns at {} s", self.tokens, Time(self.last))
    }
}

impl Limit {
    /// A bucket of this limit, full.
    pub(super) fn bucket(&self) -> Bucket {
        Bucket { tokens: self.room(), last: 0 }
    }

    /// How many tokens there is room for.
    fn room(&self) -> u64 {
        let (unit, rate) = (u128::from(self.unit), u128::from(self.rate.max(1)));
        let room = match self.bytes {
            true => unit * (rate + u128::from(self.burst)) / rate,
            false => unit / rate * u128::from(self.burst),
        };
        u64::try_from(room).unwrap_or(u64::MAX)
    }

    /// What a packet of so many bytes costs.
    fn price(&self, length: usize) -> u64 {
        let (unit, rate) = (u128::from(self.unit), u128::from(self.rate.max(1)));
        let price = if self.bytes { unit * length as u128 / rate } else { unit / rate };
        u64::try_from(price).unwrap_or(u64::MAX)
    }

    /// Whether it holds for a packet that comes now.
    pub(super) fn holds(&self, bucket: &mut Bucket, now: Time, length: usize) -> bool {
        let passed = now.as_nanos().saturating_sub(bucket.last);
        let tokens = bucket.tokens.saturating_add(passed).min(self.room());
        let price = self.price(length);
        let is_over = tokens < price;
        *bucket = Bucket { tokens: if is_over { tokens } else { tokens - price }, last: now.as_nanos() };
        is_over == self.over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_fills_by_a_token_a_price_and_no_more_than_there_is_room_for() {
        let limit = Limit { over: false, rate: 2, unit: NANOS, burst: 3, bytes: false };
        let mut bucket = limit.bucket();
        let mut holds = |ms: u64| limit.holds(&mut bucket, Time(ms * 1_000_000), 100);
        let at_once: Vec<bool> = (0..5).map(|_| holds(0)).collect();
        assert_eq!(at_once, [true, true, true, false, false]);
        assert_eq!([499, 500, 500, 999, 1000].map(&mut holds), [false, true, false, false, true]);
        // An hour gives no more than the burst.
        let later: Vec<bool> = (0..4).map(|_| holds(3_600_000)).collect();
        assert_eq!(later, [true, true, true, false]);
    }

    #[test]
    fn bytes_cost_by_their_number_and_over_is_the_other_way() {
        let limit = Limit { over: true, rate: 1000, unit: NANOS, burst: 500, bytes: true };
        let mut bucket = limit.bucket();
        let lengths = [1000, 500, 1];
        assert_eq!(lengths.map(|length| limit.holds(&mut bucket, Time(0), length)), [false, false, true]);
        assert!(!limit.holds(&mut bucket, Time(1_000_000), 1));
    }
}
