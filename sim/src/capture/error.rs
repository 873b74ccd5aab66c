//! What can be wrong with a capture, and where.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::LARGEST_RECORD;

/// Why a capture could not be read, or not any further.
#[derive(Clone, Debug)]
pub struct CaptureError {
    /// The number of the packet that would have come next; `None` where the file's beginning is already wrong.
    pub packet: Option<u64>,
    /// The byte of the file at which the unreadable record begins.
    pub offset: u64,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a capture.
#[derive(Clone, Debug)]
pub enum Problem {
    /// The system could not read it.
    Io(Arc<io::Error>),
    /// The system stopped reading it half way.
    Read,
    /// There is nothing in it.
    Empty,
    /// It is compressed.
    Compressed,
    /// It does not begin as captures do.
    Header,
    /// It ends inside a record.
    CutShort {
        /// Bytes of the record that are there.
        have: u64,
        /// Bytes that it says it has, where so much is there.
        claimed: Option<u64>,
    },
    /// A record claims to be larger than any real one.
    TooLarge {
        /// Bytes that it says it has.
        claimed: u64,
    },
    /// The lengths or the layout of a block contradict each other.
    Malformed,
    /// A packet names an interface that the file does not describe.
    Interface {
        /// The interface's index.
        index: u32,
        /// How many are described.
        known: usize,
    },
    /// There are more interfaces than anybody has.
    Interfaces,
}

impl CaptureError {
    pub(super) fn at_start(problem: Problem) -> CaptureError {
        CaptureError { packet: None, offset: 0, problem }
    }
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(packet) = self.packet {
            write!(f, "packet {packet}, at byte {}: ", self.offset)?;
        }
        self.problem.fmt(f)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Io(error) => error.fmt(f),
            Problem::Read => write!(f, "the system stopped reading here"),
            Problem::Empty => write!(f, "the file is empty"),
            Problem::Compressed => write!(f, "the file is compressed: unpack it first"),
            Problem::Header => write!(f, "neither a pcap nor a pcapng file"),
            Problem::CutShort { have, claimed: Some(claimed) } => {
                write!(f, "the file is cut short: the record has {claimed} bytes, {have} of them are there")
            }
            Problem::CutShort { have, claimed: None } => {
                write!(f, "the file is cut short: it ends {have} bytes into a record")
            }
            Problem::TooLarge { claimed } => {
                write!(
                    f,
                    "the record claims {claimed} bytes, more than {LARGEST_RECORD}: the file is corrupt"
                )
            }
            Problem::Malformed => write!(f, "the block's lengths contradict each other: the file is corrupt"),
            Problem::Interface { index, known } => {
                write!(f, "it came by interface {index}, but the file describes {known}: the file is corrupt")
            }
            Problem::Interfaces => write!(f, "too many interfaces: the file is corrupt"),
        }
    }
}

impl std::error::Error for CaptureError {}
