//! What went over a world's wires, as pcap: a file for each interface, as if `tcpdump` ran there.
//!
//! Time stamps are virtual, in nanoseconds, and begin in 1970. The link type is raw IP: there are no Ethernet headers in
//! a world.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, PcapError, TsResolution};

use crate::world::{Moment, PortId, Watcher, World};

/// Writes captures while a world runs.
///
/// ```
/// # use conntruth_sim::capture::{Capture, Recorder};
/// # use conntruth_sim::{Seed, Topology, World};
/// # use conntruth_sim::app::ping::Ping;
/// # let mut topology = Topology::default();
/// # topology.network("lan");
/// # topology.host("a").interface("eth0", "lan", &["10.0.0.1/24".parse()?]);
/// # topology.host("b").interface("eth0", "lan", &["10.0.0.2/24".parse()?]);
/// let mut world = World::new(topology, Seed(1))?;
/// world.watch(Recorder::in_memory(&world)?);
/// world.start("a", Ping::new("10.0.0.2".parse()?, 1))?;
/// world.run_until_idle()?;
/// for recorder in world.unwatch::<Recorder>() {
///     for (interface, bytes) in recorder.finish()? {
///         let mut capture = Capture::new(&bytes[..])?;
///         assert!(capture.next_packet()?.is_some(), "{interface} has seen the request");
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Recorder {
    wires: BTreeMap<PortId, Wire>,
    /// The first thing that went wrong; nothing is written after it.
    error: Option<io::Error>,
}

struct Wire {
    name: String,
    writer: PcapWriter<Sink>,
}

/// Where a capture goes.
enum Sink {
    Memory(Vec<u8>),
    File(BufWriter<File>),
}

impl Recorder {
    /// Keeps the captures of all interfaces in memory.
    ///
    /// # Errors
    /// Never, in practice.
    pub fn in_memory(world: &World) -> io::Result<Recorder> {
        Recorder::new(world, |_| Ok(Sink::Memory(Vec::new())))
    }

    /// Writes the captures of all interfaces into a folder, which is made where it is missing: `client-eth0.pcap`.
    ///
    /// # Errors
    /// When the folder or a file cannot be made.
    pub fn in_folder(world: &World, folder: &Path) -> io::Result<Recorder> {
        std::fs::create_dir_all(folder)?;
        Recorder::new(world, |name| {
            Ok(Sink::File(BufWriter::new(File::create(folder.join(file_name(name)))?)))
        })
    }

    fn new(world: &World, mut open: impl FnMut(&str) -> io::Result<Sink>) -> io::Result<Recorder> {
        let mut wires = BTreeMap::new();
        for port in world.ports() {
            let name = world.port_name(port);
            let header = PcapHeader {
                datalink: DataLink::RAW,
                ts_resolution: TsResolution::NanoSecond,
                endianness: pcap_file::Endianness::Little,
                ..PcapHeader::default()
            };
            let writer = PcapWriter::with_header(open(&name)?, header).map_err(failed)?;
            wires.insert(port, Wire { name, writer });
        }
        Ok(Recorder { wires, error: None })
    }

    /// Ends the captures: their interfaces' names and, of those in memory, their bytes.
    ///
    /// # Errors
    /// When something could not be written, now or before.
    pub fn finish(self) -> io::Result<Vec<(String, Vec<u8>)>> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut captures = Vec::new();
        for wire in self.wires.into_values() {
            let bytes = match wire.writer.into_writer() {
                Sink::Memory(bytes) => bytes,
                Sink::File(mut file) => {
                    file.flush()?;
                    Vec::new()
                }
            };
            captures.push((wire.name, bytes));
        }
        Ok(captures)
    }
}

impl Watcher for Recorder {
    fn packet(&mut self, at: u64, port: PortId, _moment: Moment, bytes: &[u8]) {
        let Some(wire) = self.wires.get_mut(&port).filter(|_| self.error.is_none()) else { return };
        let packet = PcapPacket::new(Duration::from_nanos(at), bytes.len() as u32, bytes);
        if let Err(error) = wire.writer.write_packet(&packet) {
            self.error = Some(failed(error));
        }
    }
}

/// A file's name for an interface: what names of hosts may have and names of files should not is replaced.
fn file_name(interface: &str) -> PathBuf {
    let plain = |letter: char| if letter.is_alphanumeric() || "._".contains(letter) { letter } else { '-' };
    let name: String = interface.chars().map(plain).collect();
    PathBuf::from(format!("{name}.pcap"))
}

fn failed(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Memory(memory) => memory.write(bytes),
            Sink::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::Memory(_) => Ok(()),
            Sink::File(file) => file.flush(),
        }
    }
}
