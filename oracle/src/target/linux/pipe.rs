//! What the target and its child say to each other: the target's own types in frames, a length before each.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::target::{
    Arrival, Batch, Config, Entry, Expected, Happening, Observation, Refusal, Release, Setting, Sight,
};
use conntruth_engine::{Counter, Time};

/// What the child is asked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// A fresh world.
    Begin(Config),
    Set(Setting),
    Packet(Arrival),
    Release(Release),
    Advance(Time),
    Table,
    Expectations,
    Counters,
    Batch(Batch),
    /// The same packets and questions once more, with nobody reading the answers.
    Baseline(Batch),
}

/// What the child answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The namespace is made; these sysctls it has for itself.
    Ready {
        sysctls: Vec<String>,
    },
    Done,
    Observed(Box<Observation>),
    Happened(Vec<Happening>),
    Entries(Vec<Entry>),
    Expected(Vec<Expected>),
    Counters(Vec<(String, Counter)>),
    Sights(Vec<Vec<Sight>>),
    /// Nanoseconds.
    Took(u64),
    /// This namespace is not like a new one any more, and another is needed.
    UsedUp,
    Refused(Refusal),
}

/// A frame that nobody has asked for: whoever sends it is no child of ours.
const LARGEST: usize = 1 << 30;

/// Writes one frame, and sees to it that it arrives.
///
/// # Errors
/// When the other side has gone.
pub(super) fn write(to: &mut impl Write, what: &impl Serialize) -> io::Result<()> {
    put(to, what)?;
    to.flush()
}

/// Writes one frame.
///
/// # Errors
/// When the other side has gone.
pub(super) fn put(to: &mut impl Write, what: &impl Serialize) -> io::Result<()> {
    let bytes = postcard::to_stdvec(what).map_err(io::Error::other)?;
    to.write_all(&(bytes.len() as u32).to_le_bytes())?;
    to.write_all(&bytes)
}

/// Reads one frame; none when the other side has gone.
///
/// # Errors
/// When the frame is broken.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > LARGEST {
        return Err(io::Error::other(format!("a frame of {length} bytes")));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    postcard::from_bytes(&bytes).map(Some).map_err(io::Error::other)
}
