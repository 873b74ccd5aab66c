//! The world around a tracker: a virtual [`Clock`] and, so far, the packets of a [`capture`].
//!
//! It knows nothing of the tracker itself: times are nanoseconds, packets are bytes.
#![forbid(unsafe_code)]

pub mod capture;
mod clock;

pub use clock::Clock;
