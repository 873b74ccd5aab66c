//! The world around a tracker. It knows nothing of the tracker itself.
#![forbid(unsafe_code)]
