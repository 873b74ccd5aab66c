//! Small captures: raw IP unless said otherwise, one packet a millisecond.

use etherparse::{Ipv4Header, Ipv6Header, PacketBuilder};

/// A pcap file under construction, with nanosecond time stamps.
pub struct Build {
    bytes: Vec<u8>,
    now: u64,
}

impl Build {
    pub fn raw() -> Build {
        Build::link(101)
    }

    pub fn link(link: u32) -> Build {
        let header = [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, link];
        Build {
            bytes: header.into_iter().flat_map(u32::to_le_bytes).collect(),
            now: 1_700_000_000_000_000_000,
        }
    }

    /// Moves the clock, backwards too.
    pub fn wait(mut self, millis: i64) -> Build {
        self.now = self.now.saturating_add_signed(millis * 1_000_000);
        self
    }

    pub fn packet(self, bytes: &[u8]) -> Build {
        let length = bytes.len();
        self.cut(bytes, length)
    }

    /// A packet of which the capture holds the first bytes.
    pub fn cut(mut self, bytes: &[u8], captured: usize) -> Build {
        let (secs, nanos) = (self.now / 1_000_000_000, self.now % 1_000_000_000);
        for field in [secs as u32, nanos as u32, captured as u32, bytes.len() as u32] {
            self.bytes.extend(field.to_le_bytes());
        }
        self.bytes.extend(&bytes[..captured]);
        self.wait(1)
    }

    pub fn bytes(self) -> Vec<u8> {
        self.bytes
    }
}

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [10, 0, 1, 1];

/// From the client (`>`) or the server (`<`), with tcpdump's flags.
pub fn tcp(direction: char, flags: &str, seq: u32, ack: u32, data: &[u8]) -> Vec<u8> {
    let (src, dst, ports) =
        if direction == '>' { (CLIENT, SERVER, (40_000, 80)) } else { (SERVER, CLIENT, (80, 40_000)) };
    let mut packet = PacketBuilder::ipv4(src, dst, 64).tcp(ports.0, ports.1, seq, 64_000);
    for flag in flags.chars() {
        packet = match flag {
            'S' => packet.syn(),
            'F' => packet.fin(),
            'R' => packet.rst(),
            'P' => packet.psh(),
            '.' => packet.ack(ack),
            other => panic!("no flag {other}"),
        };
    }
    let mut bytes = Vec::new();
    packet.write(&mut bytes, data).expect("a Vec takes it");
    bytes
}

pub fn udp(direction: char, port: u16, data: &[u8]) -> Vec<u8> {
    let (src, dst, ports) =
        if direction == '>' { (CLIENT, SERVER, (port, 53)) } else { (SERVER, CLIENT, (53, port)) };
    let mut bytes = Vec::new();
    PacketBuilder::ipv4(src, dst, 64).udp(ports.0, ports.1).write(&mut bytes, data).expect("a Vec takes it");
    bytes
}

pub fn ping(id: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let packet = PacketBuilder::ipv4(CLIENT, SERVER, 64).icmpv4_echo_request(id, 1);
    packet.write(&mut bytes, &[]).expect("a Vec takes it");
    bytes
}

/// Any protocol over IPv6.
pub fn ipv6(protocol: u8, data: &[u8]) -> Vec<u8> {
    let mut src = [0; 16];
    (src[0], src[15]) = (0xfd, 1);
    let mut dst = src;
    dst[15] = 2;
    let header = Ipv6Header {
        payload_length: data.len() as u16,
        next_header: protocol.into(),
        hop_limit: 64,
        source: src,
        destination: dst,
        ..Ipv6Header::default()
    };
    [&header.to_bytes()[..], data].concat()
}

/// Any protocol over IPv4.
pub fn ipv4(protocol: u8, data: &[u8]) -> Vec<u8> {
    let header =
        Ipv4Header::new(data.len() as u16, 64, protocol.into(), CLIENT, SERVER).expect("it is short");
    let mut bytes = Vec::new();
    header.write(&mut bytes).expect("a Vec takes it");
    bytes.extend_from_slice(data);
    bytes
}
