//! Writes a capture to measure `replay` with: TCP connections from handshake to end, and UDP and ICMP exchanges, all
//! interleaved. The same seed gives the same bytes.
//!
//! ```text
//! cargo run --release --example make_capture -- million.pcap 1000000
//! time cargo run --release -- replay --format none million.pcap
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};

use etherparse::{PacketBuilder, PacketBuilderStep, ip_number};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// So many conversations go on at a time.
const LIVE: usize = 10_000;
const MICROS_APART: u64 = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: make_capture FILE [PACKETS] [SEED]")?;
    let packets: u64 = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let seed: u64 = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let mut out = BufWriter::new(File::create(path)?);
    // Microseconds, raw IP.
    for field in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101] {
        out.write_all(&field.to_le_bytes())?;
    }
    let mut next_flow = 0;
    let mut flows: Vec<Flow> = (0..LIVE).map(|_| Flow::new(&mut next_flow, &mut random)).collect();
    let mut bytes = Vec::new();
    for number in 0..packets {
        let chosen = random.next_u32() as usize % LIVE;
        bytes.clear();
        if !flows[chosen].write_next(&mut bytes)? {
            flows[chosen] = Flow::new(&mut next_flow, &mut random);
            flows[chosen].write_next(&mut bytes)?;
        }
        let micros = 1_700_000_000_000_000 + number * MICROS_APART;
        let length = bytes.len() as u32;
        for field in [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32, length, length] {
            out.write_all(&field.to_le_bytes())?;
        }
        out.write_all(&bytes)?;
    }
    out.flush()?;
    Ok(())
}

#[derive(Clone, Copy)]
enum Protocol {
    Tcp { seq: [u32; 2] },
    Udp,
    Icmp,
}

/// One conversation and how far it has come.
struct Flow {
    client: [u8; 4],
    server: [u8; 4],
    port: u16,
    protocol: Protocol,
    step: usize,
}

/// What TCP does: from the client or not, flags as in tcpdump, bytes of data.
const TCP_STEPS: [(bool, &str, u32); 12] = [
    (true, "S", 0),
    (false, "S.", 0),
    (true, ".", 0),
    (true, "P.", 120),
    (false, ".", 0),
    (false, ".", 600),
    (false, "P.", 200),
    (true, ".", 0),
    (true, "F.", 0),
    (false, ".", 0),
    (false, "F.", 0),
    (true, ".", 0),
];
const OTHER_STEPS: usize = 6;

impl Flow {
    fn new(next: &mut u32, random: &mut ChaCha12Rng) -> Flow {
        let [_, a, b, c] = next.to_be_bytes();
        *next += 1;
        let protocol = match random.next_u32() % 10 {
            0..7 => Protocol::Tcp { seq: [random.next_u32(), random.next_u32()] },
            7..9 => Protocol::Udp,
            _ => Protocol::Icmp,
        };
        let port = 1024 + (random.next_u32() % 60_000) as u16;
        Flow { client: [10, a, b, c], server: [192, 0, 2, 1 + c % 200], port, protocol, step: 0 }
    }

    /// Appends the next packet; not if the conversation is over.
    fn write_next(&mut self, bytes: &mut Vec<u8>) -> Result<bool, Box<dyn Error>> {
        let step = self.step;
        self.step += 1;
        let from_client = match self.protocol {
            Protocol::Tcp { .. } if step == TCP_STEPS.len() => return Ok(false),
            Protocol::Tcp { .. } => TCP_STEPS[step].0,
            Protocol::Udp | Protocol::Icmp if step == OTHER_STEPS => return Ok(false),
            Protocol::Udp | Protocol::Icmp => step.is_multiple_of(2),
        };
        let (src, dst) = if from_client { (self.client, self.server) } else { (self.server, self.client) };
        let ports = if from_client { (self.port, 443) } else { (443, self.port) };
        let packet = PacketBuilder::ipv4(src, dst, 64);
        match &mut self.protocol {
            Protocol::Tcp { seq } => write_tcp(packet, seq, ports, step, bytes)?,
            Protocol::Udp => packet.udp(ports.0, ports.1).write(bytes, &[7; 40])?,
            Protocol::Icmp if from_client => {
                packet.icmpv4_echo_request(self.port, step as u16).write(bytes, &[7; 40])?
            }
            Protocol::Icmp => packet.icmpv4_echo_reply(self.port, step as u16).write(bytes, &[7; 40])?,
        }
        debug_assert_eq!(bytes[9] == ip_number::TCP.0, matches!(self.protocol, Protocol::Tcp { .. }));
        Ok(true)
    }
}

fn write_tcp(
    packet: PacketBuilderStep<etherparse::IpHeaders>,
    seq: &mut [u32; 2],
    ports: (u16, u16),
    step: usize,
    bytes: &mut Vec<u8>,
) -> Result<(), Box<dyn Error>> {
    let (from_client, flags, length) = TCP_STEPS[step];
    let [client, server] = *seq;
    let (own, peer) = if from_client { (client, server) } else { (server, client) };
    let mut packet = packet.tcp(ports.0, ports.1, own, 64_000);
    for flag in flags.chars() {
        packet = match flag {
            'S' => packet.syn(),
            'F' => packet.fin(),
            'P' => packet.psh(),
            _ => packet.ack(peer),
        };
    }
    packet.write(bytes, &[7; 600][..length as usize])?;
    let taken = length + u32::from(flags.contains(['S', 'F']));
    let sender = usize::from(!from_client);
    seq[sender] = seq[sender].wrapping_add(taken);
    Ok(())
}
