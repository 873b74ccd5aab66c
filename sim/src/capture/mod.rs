//! Packets from pcap and pcapng files, one after the other; and files of what went over a world's wires ([`Recorder`]).
//!
//! The file formats are read by `pcap-parser`; here are the numbering, the time stamps as nanoseconds, the network
//! layer under each link layer, and errors that say where. Memory is bounded whatever a file claims: one buffer of
//! at most twice [`LARGEST_RECORD`] bytes.
//!
//! It does not look inside the network layer, and it does not repair: the first thing that cannot be read ends the
//! capture with an error, after the packets before it were handed out.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{Block, LegacyPcapReader, PcapBlockOwned, PcapError, PcapNGReader};

mod error;
mod link;
mod record;
mod section;
#[cfg(test)]
mod tests;

pub use error::{CaptureError, Problem};
pub use link::{Family, NotIp};
pub use record::Recorder;

use link::LinkType;
use section::Section;

/// The largest record or block that is read, in bytes. Real ones stay far below: the largest packet that an offloading
/// network card can be handed is half a megabyte.
pub const LARGEST_RECORD: usize = 16 << 20;

const FIRST_BUFFER: usize = 256 << 10;
/// More interfaces than this in a section are a mistake, or an attack on our memory.
const MOST_INTERFACES: usize = 65_536;

/// A packet of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captured<'a> {
    /// Its number in the capture, from 1, counted over all packets as Wireshark does.
    pub number: u64,
    /// When it was captured, in nanoseconds since 1970; `None` where the format keeps no time (pcapng's simple packets).
    pub time: Option<u64>,
    /// The captured bytes from the network header on, or why there are none.
    pub bytes: Result<&'a [u8], NotIp>,
    /// What the link layer says the network layer is, where it says so.
    pub family: Option<Family>,
    /// How long `bytes` was on the wire. It is more than was captured where the snap length cut the packet short.
    pub original_len: u64,
}

impl Captured<'_> {
    /// Whether the snap length cut the packet short.
    pub fn is_cut(&self) -> bool {
        self.bytes.is_ok_and(|bytes| (bytes.len() as u64) < self.original_len)
    }
}

/// A capture that is being read.
///
/// ```no_run
/// let mut capture = conntruth_sim::capture::Capture::open("some.pcap".as_ref())?;
/// while let Some(packet) = capture.next_packet()? {
///     println!("{} {:?}", packet.number, packet.bytes);
/// }
/// # Ok::<(), conntruth_sim::capture::CaptureError>(())
/// ```
pub struct Capture<'r> {
    reader: Box<dyn PcapReaderIterator + 'r>,
    /// How large the reader's buffer is.
    capacity: usize,
    /// What the reader still holds of the packet handed out last.
    handed_out: usize,
    /// Where in the file the reader's data begins.
    offset: u64,
    number: u64,
    section: Section,
    /// The error that ended the capture: nothing comes after it.
    ended: Option<CaptureError>,
}

impl Capture<'static> {
    /// Opens a file, pcap or pcapng by its first bytes.
    ///
    /// # Errors
    /// When the file cannot be read, or is no capture.
    pub fn open(path: &Path) -> Result<Capture<'static>, CaptureError> {
        let file = File::open(path).map_err(|error| CaptureError::at_start(Problem::Io(error.into())))?;
        Capture::new(file)
    }
}

impl<'r> Capture<'r> {
    /// Reads from anywhere, standard input for example.
    ///
    /// # Errors
    /// When the first bytes cannot be read, or are not those of a capture.
    pub fn new(mut input: impl Read + 'r) -> Result<Capture<'r>, CaptureError> {
        let head = read_head(&mut input).map_err(CaptureError::at_start)?;
        let is_pcapng = head.starts_with(&section::BLOCK_TYPE);
        let capacity = FIRST_BUFFER.max(head.len() * 2);
        let input = io::Cursor::new(head).chain(input);
        let reader: Result<Box<dyn PcapReaderIterator + 'r>, _> = if is_pcapng {
            PcapNGReader::new(capacity, input).map(|reader| Box::new(reader) as _)
        } else {
            LegacyPcapReader::new(capacity, input).map(|reader| Box::new(reader) as _)
        };
        let reader = reader.map_err(|_| CaptureError::at_start(Problem::Header))?;
        Ok(Capture {
            reader,
            capacity,
            handed_out: 0,
            offset: 0,
            number: 0,
            section: Section::default(),
            ended: None,
        })
    }

    /// The next packet, or `None` at the end.
    ///
    /// # Errors
    /// Where the file cannot be read further. Asked again, the answer is the same.
    pub fn next_packet(&mut self) -> Result<Option<Captured<'_>>, CaptureError> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        match self.next_frame() {
            Ok(None) => Ok(None),
            Ok(Some(frame)) => {
                let data = &self.reader.data()[frame.start..];
                let (bytes, family) = frame.link.network_layer(&data[..frame.captured]);
                let header = frame.captured - bytes.map_or(0, <[u8]>::len);
                let original_len = u64::from(frame.original).max(frame.captured as u64) - header as u64;
                Ok(Some(Captured { number: self.number, time: frame.time, bytes, family, original_len }))
            }
            Err(problem) => {
                let error = CaptureError { packet: Some(self.number + 1), offset: self.offset, problem };
                self.ended = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Steps over blocks until one holds a packet, which is left in the reader's buffer.
    fn next_frame(&mut self) -> Result<Option<Frame>, Problem> {
        loop {
            self.consume();
            let (length, frame) = match self.reader.next() {
                Ok((length, block)) => (length, self.section.take(block)),
                Err(PcapError::Eof) => return Ok(None),
                Err(PcapError::Incomplete(_)) => {
                    self.read_more(false)?;
                    continue;
                }
                Err(PcapError::BufferTooSmall) => {
                    self.read_more(true)?;
                    continue;
                }
                Err(PcapError::UnexpectedEof) => return Err(self.section.cut_short(self.reader.data())),
                Err(_) => return Err(Problem::Malformed),
            };
            self.handed_out = length;
            if let Some(frame) = frame? {
                self.number += 1;
                return Ok(Some(frame));
            }
        }
    }

    /// Reads more of a record that is not whole yet, unless it cannot become whole.
    fn read_more(&mut self, grow: bool) -> Result<(), Problem> {
        self.section.expect_more(self.reader.data())?;
        if grow {
            // Twice the largest record holds any record, wherever in the buffer it begins.
            self.capacity = (self.capacity * 2).min(2 * LARGEST_RECORD);
            if !self.reader.grow(self.capacity) {
                return Err(Problem::Malformed);
            }
        }
        self.reader.refill().map_err(|_| Problem::Read)
    }

    fn consume(&mut self) {
        if self.handed_out > 0 {
            self.offset += self.handed_out as u64;
            self.reader.consume(self.handed_out);
            self.handed_out = 0;
        }
    }
}

/// A packet of the file, link layer and all, by where it lies in the reader's data.
struct Frame {
    start: usize,
    captured: usize,
    original: u32,
    time: Option<u64>,
    link: LinkType,
}

/// Reads what the libraries want to see in one piece: pcap's file header, or pcapng's first block.
fn read_head(input: &mut impl Read) -> Result<Vec<u8>, Problem> {
    let mut head = Vec::new();
    read_up_to(input, &mut head, section::FILE_HEADER)?;
    if head.starts_with(&[0x1f, 0x8b]) || head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Err(Problem::Compressed);
    }
    if let Some(length) = section::first_block_len(&head) {
        if length > LARGEST_RECORD {
            return Err(Problem::TooLarge { claimed: length as u64 });
        }
        read_up_to(input, &mut head, length)?;
        if head.len() < length {
            return Err(Problem::CutShort { have: head.len() as u64, claimed: Some(length as u64) });
        }
    } else if head.len() < section::FILE_HEADER {
        return Err(if head.is_empty() { Problem::Empty } else { Problem::Header });
    }
    Ok(head)
}

fn read_up_to(input: &mut impl Read, head: &mut Vec<u8>, length: usize) -> Result<(), Problem> {
    let missing = length.saturating_sub(head.len()) as u64;
    input.by_ref().take(missing).read_to_end(head).map_err(|error| Problem::Io(error.into()))?;
    Ok(())
}
