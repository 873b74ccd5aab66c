//! What the records of a capture mean: which link layer and which clock they were taken with, and where in a record
//! the packet lies. For pcap that is said once for the file, for pcapng once for each interface of each section.

use pcap_parser::pcapng::{EnhancedPacketBlock, InterfaceDescriptionBlock, OptionCode, SimplePacketBlock};

use super::{Block, Frame, LARGEST_RECORD, LinkType, MOST_INTERFACES, PcapBlockOwned, Problem};

const NANOS: u128 = 1_000_000_000;

/// pcap's file header takes so many bytes.
pub(super) const FILE_HEADER: usize = 24;
/// The type of the block that begins a pcapng section; it reads the same in both byte orders.
pub(super) const BLOCK_TYPE: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const LITTLE_ENDIAN_MAGIC: [u8; 4] = [0x4d, 0x3c, 0x2b, 0x1a];
/// pcapng's old packet block, which no tool has written for long; libraries leave it to us.
const OLD_PACKET_BLOCK: u32 = 2;

/// The length of the section header that a pcapng file begins with; `None` if it does not.
pub(super) fn first_block_len(head: &[u8]) -> Option<usize> {
    let (kind, rest) = head.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let little = rest.starts_with(&LITTLE_ENDIAN_MAGIC);
    let length = if little { u32::from_le_bytes(*length) } else { u32::from_be_bytes(*length) };
    (*kind == BLOCK_TYPE).then_some(length as usize)
}

/// The part of a capture whose records are to be understood in the same way.
#[derive(Default)]
pub(super) struct Section {
    big_endian: bool,
    /// pcap's records are the same for all of the file; in pcapng this stays `None`.
    records: Option<Records>,
    interfaces: Vec<Interface>,
}

/// How pcap's records look.
struct Records {
    header_len: usize,
    nanos_per_unit: u64,
    link: LinkType,
}

/// One interface of a pcapng section.
pub(super) struct Interface {
    link: LinkType,
    snap_len: u32,
    units_per_second: u128,
    offset_secs: i64,
}

impl Section {
    /// Takes in what a block says; where it is a packet's, says where the packet lies.
    pub(super) fn take(&mut self, block: PcapBlockOwned<'_>) -> Result<Option<Frame>, Problem> {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                self.big_endian = header.is_bigendian();
                self.records = Some(Records {
                    header_len: if header.is_modified_format() { 24 } else { 16 },
                    nanos_per_unit: if header.is_nanosecond_precision() { 1 } else { 1000 },
                    // The bits above are about checksums of frames.
                    link: LinkType(header.network.0 & 0x03ff_ffff),
                });
                Ok(None)
            }
            PcapBlockOwned::Legacy(record) => {
                let Some(records) = &self.records else { return Err(Problem::Malformed) };
                let fraction = u64::from(record.ts_usec) * records.nanos_per_unit;
                Ok(Some(Frame {
                    start: records.header_len,
                    captured: record.data.len(),
                    original: record.origlen,
                    time: Some(u64::from(record.ts_sec) * NANOS as u64 + fraction),
                    link: records.link,
                }))
            }
            PcapBlockOwned::NG(block) => self.take_block(&block),
        }
    }

    fn take_block(&mut self, block: &Block<'_>) -> Result<Option<Frame>, Problem> {
        match block {
            Block::SectionHeader(header) => {
                self.big_endian = header.big_endian();
                self.interfaces.clear();
                Ok(None)
            }
            Block::InterfaceDescription(description) => {
                if self.interfaces.len() == MOST_INTERFACES {
                    return Err(Problem::Interfaces);
                }
                self.interfaces.push(Interface::new(description, self.big_endian));
                Ok(None)
            }
            Block::EnhancedPacket(packet) => self.enhanced(packet).map(Some),
            Block::SimplePacket(packet) => self.simple(packet).map(Some),
            Block::Unknown(unknown) if self.word(unknown.block_type.to_le_bytes()) == OLD_PACKET_BLOCK => {
                self.old(unknown.data).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn enhanced(&self, packet: &EnhancedPacketBlock<'_>) -> Result<Frame, Problem> {
        let interface = self.interface(packet.if_id)?;
        if packet.caplen as usize > packet.data.len() {
            return Err(Problem::Malformed);
        }
        Ok(Frame {
            start: 28,
            captured: packet.caplen as usize,
            original: packet.origlen,
            time: Some(interface.nanos(packet.ts_high, packet.ts_low)),
            link: interface.link,
        })
    }

    /// A simple packet says neither when it was captured nor how much of it: that is the snap length's to say.
    fn simple(&self, packet: &SimplePacketBlock<'_>) -> Result<Frame, Problem> {
        let interface = self.interface(0)?;
        let snap_len = if interface.snap_len == 0 { u32::MAX } else { interface.snap_len };
        let captured = packet.data.len().min(packet.origlen.min(snap_len) as usize);
        Ok(Frame { start: 12, captured, original: packet.origlen, time: None, link: interface.link })
    }

    fn old(&self, data: &[u8]) -> Result<Frame, Problem> {
        let (header, packet) = data.split_first_chunk::<20>().ok_or(Problem::Malformed)?;
        let field = |at: usize| self.word([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        // Interface and drop count are two halves of one word, in the file's order.
        let interface = if self.big_endian { field(0) >> 16 } else { field(0) & 0xffff };
        let interface = self.interface(interface)?;
        let captured = field(12) as usize;
        if captured > packet.len() {
            return Err(Problem::Malformed);
        }
        let time = Some(interface.nanos(field(4), field(8)));
        Ok(Frame { start: 28, captured, original: field(16), time, link: interface.link })
    }

    fn interface(&self, index: u32) -> Result<&Interface, Problem> {
        let known = self.interfaces.len();
        self.interfaces.get(index as usize).ok_or(Problem::Interface { index, known })
    }

    /// Whether the record at the front, of which something is missing, may become whole by reading on.
    pub(super) fn expect_more(&self, data: &[u8]) -> Result<(), Problem> {
        match self.claimed(data) {
            // All of it is there: it is the inside that asks for more.
            Some(claimed) if claimed <= data.len() as u64 => Err(Problem::Malformed),
            Some(claimed) if claimed > LARGEST_RECORD as u64 => Err(Problem::TooLarge { claimed }),
            _ => Ok(()),
        }
    }

    /// What to say of a file that ends inside a record.
    pub(super) fn cut_short(&self, data: &[u8]) -> Problem {
        let have = data.len() as u64;
        match self.expect_more(data) {
            Err(problem) => problem,
            Ok(()) => Problem::CutShort { have, claimed: self.claimed(data) },
        }
    }

    /// How long the record at the front says it is.
    fn claimed(&self, data: &[u8]) -> Option<u64> {
        let word = |at: usize| data.get(at..at + 4)?.try_into().ok().map(|bytes| u64::from(self.word(bytes)));
        match &self.records {
            Some(records) => Some(word(8)? + records.header_len as u64),
            None => word(4),
        }
    }

    fn word(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

impl Interface {
    fn new(description: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> Interface {
        let option = |code| description.options.iter().find(|option| option.code == code)?.as_bytes().ok();
        let resolution = option(OptionCode::IfTsresol).and_then(|value| value.first().copied()).unwrap_or(6);
        // The library takes the offset for little endian, always.
        let offset = option(OptionCode::IfTsoffset).and_then(|value| value.first_chunk::<8>().copied());
        let offset_secs =
            offset.map_or(
                0,
                |value| if big_endian { i64::from_be_bytes(value) } else { i64::from_le_bytes(value) },
            );
        Interface {
            link: LinkType(description.linktype.0),
            snap_len: description.snaplen,
            units_per_second: units_per_second(resolution),
            offset_secs,
        }
    }

    /// A time stamp in nanoseconds since 1970; what lies before is 1970, what lies after the year 2554 is then.
    fn nanos(&self, high: u32, low: u32) -> u64 {
        let units = u128::from(high) << 32 | u128::from(low);
        let whole = units / self.units_per_second;
        // The remainder is below 2^64, and so are 64 bits of nanoseconds: their product fits.
        let fraction = (units % self.units_per_second) * NANOS / self.units_per_second;
        let nanos = (whole * NANOS + fraction) as i128 + i128::from(self.offset_secs) * NANOS as i128;
        nanos.clamp(0, u64::MAX.into()) as u64
    }
}

/// `if_tsresol`: a power of ten, or of two where the highest bit is set. Finer than 128 bits can count is as fine.
fn units_per_second(resolution: u8) -> u128 {
    let exponent = u32::from(resolution & 0x7f);
    if resolution & 0x80 == 0 { 10u128.saturating_pow(exponent) } else { 1 << exponent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(resolution: u8, offset_secs: i64, units: u64, nanos: u64) {
        let interface = Interface {
            link: LinkType(1),
            snap_len: 0,
            units_per_second: units_per_second(resolution),
            offset_secs,
        };
        assert_eq!(interface.nanos((units >> 32) as u32, units as u32), nanos);
    }

    #[test]
    fn time_stamps_of_every_resolution() {
        check(0, 0, 7, 7_000_000_000);
        check(6, 0, 1_500_000, 1_500_000_000);
        check(9, 0, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789);
        check(9, -1, 1_700_000_000_000_000_000, 1_699_999_999_000_000_000);
        check(6, 10, 0, 10_000_000_000);
        check(0x80 | 10, 0, 1536, 1_500_000_000);
        check(0x80 | 32, 0, (1 << 32) + (1 << 31), 1_500_000_000);
        check(127, 0, u64::MAX, 0);
        check(0x80 | 127, 0, u64::MAX, 0);
        check(0, 0, u64::MAX, u64::MAX);
        check(6, i64::MIN, 5, 0);
        check(6, i64::MAX, 5, u64::MAX);
    }
}
