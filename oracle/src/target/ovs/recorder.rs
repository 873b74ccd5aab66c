//! The capture into which the rules copy packets, read while it grows.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The header of a pcap file, and of a record in it.
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
/// No packet is longer.
const LONGEST: usize = 1 << 17;

/// A capture that grows.
#[derive(Debug)]
pub(super) struct Recorder {
    file: File,
    path: PathBuf,
    number: u32,
    /// What was read, and is no whole record yet.
    rest: Vec<u8>,
    has_header: bool,
    size: u64,
}

impl Recorder {
    /// # Errors
    /// When there is no such file.
    pub(super) fn open(path: &Path) -> io::Result<Recorder> {
        let file = File::open(path)?;
        Ok(Recorder { file, path: path.to_owned(), number: 0, rest: Vec::new(), has_header: false, size: 0 })
    }

    /// Another file in the place of this one, which is removed.
    ///
    /// # Errors
    /// When there is no such file.
    pub(super) fn next(&self, path: &Path) -> io::Result<Recorder> {
        let next = Recorder { number: self.number + 1, ..Recorder::open(path)? };
        std::fs::remove_file(&self.path)?;
        Ok(next)
    }

    /// Which file it is.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// How much was read.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The frames that were recorded since the last time.
    ///
    /// # Errors
    /// When the file is no capture.
    pub(super) fn read(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        self.size += self.file.read_to_end(&mut self.rest)? as u64;
        let mut at = 0;
        if !self.has_header && self.rest.len() >= FILE_HEADER {
            (self.has_header, at) = (true, FILE_HEADER);
        }
        while let Some((header, body)) =
            self.rest[at..].split_first_chunk::<RECORD_HEADER>().filter(|_| self.has_header)
        {
            // The daemon writes its own byte order: both run on this machine.
            let length = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]) as usize;
            if length > LONGEST {
                return Err(io::Error::other(format!("a record of {length} bytes")));
            }
            let Some(frame) = body.get(..length) else { break };
            each(frame);
            at += RECORD_HEADER + length;
        }
        self.rest.drain(..at);
        Ok(())
    }
}
