//! Lengths of virtual time, in nanoseconds, and their neighbours' coarser units.
//!
//! Moments and lengths are plain `u64` nanoseconds everywhere in this crate; a moment counts from the world's beginning.

/// Nanoseconds in a microsecond.
pub const MICROSECOND: u64 = 1_000;
/// Nanoseconds in a millisecond.
pub const MILLISECOND: u64 = 1_000_000;
/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;
/// Nanoseconds in a minute.
pub const MINUTE: u64 = 60 * SECOND;
/// Nanoseconds in an hour.
pub const HOUR: u64 = 60 * MINUTE;
/// Nanoseconds in a day.
pub const DAY: u64 = 24 * HOUR;

/// smoltcp counts microseconds: a moment is not reached there before it is reached here.
pub(crate) fn instant(now: u64) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(i64::try_from(now / MICROSECOND).unwrap_or(i64::MAX))
}

/// A length of time for smoltcp, rounded up.
pub(crate) fn duration(length: u64) -> smoltcp::time::Duration {
    smoltcp::time::Duration::from_micros(length.div_ceil(MICROSECOND))
}

/// A deadline of smoltcp's.
pub(crate) fn moment(instant: smoltcp::time::Instant) -> u64 {
    u64::try_from(instant.total_micros()).unwrap_or(0).saturating_mul(MICROSECOND)
}

/// Seconds with as many decimals as they need, for error messages.
pub(crate) fn seconds(nanoseconds: u64) -> String {
    let (whole, rest) = (nanoseconds / SECOND, nanoseconds % SECOND);
    if rest == 0 {
        return format!("{whole} s");
    }
    let decimals = format!("{rest:09}");
    format!("{whole}.{} s", decimals.trim_end_matches('0'))
}
