//! When an entry will end, for trackers that list whole seconds and whose clock can be read exactly.
//!
//! A listing rounds down. But every timeout that a tracker sets is in whole seconds, and the listing is read at the very
//! tick at which a packet may have set it. So what shows other seconds than the entry would have left by itself was set
//! just now, to exactly those.

use conntruth_engine::Time;

/// The earliest and the latest moment at which an entry will end.
pub(crate) type Ends = [Time; 2];

const ALMOST_A_SECOND: Time = Time(999_999_999);

/// What a listing says at `now` of an entry that was last known to end in `before`. `may_be_set`: a packet may just now
/// have set it to as many seconds as are listed.
pub(crate) fn seen(before: Option<Ends>, now: Time, seconds: u64, may_be_set: bool) -> Ends {
    let set = now.plus(Time::from_secs(seconds));
    match before.map(|[least, most]| [least.max(set), most.min(set.plus(ALMOST_A_SECOND))]) {
        Some([least, most]) if least <= most => [if may_be_set { set } else { least }, most],
        _ => [set, set],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Time {
        Time(milliseconds * 1_000_000)
    }

    #[track_caller]
    fn check(before: Option<u64>, now: u64, seconds: u64, may_be_set: bool, ends: [u64; 2]) {
        let before = before.map(|end| [ms(end), ms(end)]);
        assert_eq!(seen(before, ms(now), seconds, may_be_set), ends.map(ms));
    }

    #[test]
    fn rounding_is_undone() {
        // New.
        check(None, 500, 30, true, [30_500, 30_500]);
        // Left alone: it may show the same seconds for a while.
        check(Some(30_500), 1_200, 29, false, [30_500, 30_500]);
        // Set again.
        check(Some(30_500), 1_200, 30, true, [31_200, 31_200]);
        // Shortened.
        check(Some(432_000_000), 1_000, 120, true, [121_000, 121_000]);
        // Either: nobody can say.
        check(Some(120_500), 60_000, 60, true, [120_000, 120_500]);
        check(Some(120_500), 60_000, 60, false, [120_500, 120_500]);
    }
}
