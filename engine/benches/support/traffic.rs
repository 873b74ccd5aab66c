//! Packets of 64 bytes for the benchmarks, sealed with right checksums.

/// A TCP connection: how it opens, and segments that fit its windows however often they are sent.
pub struct Tcp {
    pub opening: Vec<Vec<u8>>,
    pub transfer: Vec<Vec<u8>>,
}

const SYN: u8 = 2;
const PSH: u8 = 8;
const ACK: u8 = 16;
const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 40_000);
const SERVER: ([u8; 4], u16) = ([10, 0, 1, 1], 80);

impl Tcp {
    /// A client that says the same line over and over, each acknowledged.
    pub fn lines(line: &str) -> Tcp {
        let length = line.len() as u32;
        let transfer = (0..500).flat_map(|turn| {
            let seq = 1001 + turn * length;
            let mut said = tcp(CLIENT, SERVER, (seq, 5001), PSH | ACK, line.len());
            said[40..].copy_from_slice(line.as_bytes());
            said[36..38].fill(0);
            seal(&mut said, 36);
            [said, tcp(SERVER, CLIENT, (5001, seq + length), ACK, 0)]
        });
        Tcp { opening: Tcp::opening(), transfer: transfer.collect() }
    }

    fn opening() -> Vec<Vec<u8>> {
        vec![
            tcp(CLIENT, SERVER, (1000, 0), SYN, 0),
            tcp(SERVER, CLIENT, (5000, 1001), SYN | ACK, 0),
            tcp(CLIENT, SERVER, (1001, 5001), ACK, 0),
        ]
    }

    pub fn session() -> Tcp {
        const DATA: u32 = 24;
        let opening = Tcp::opening();
        let transfer = (0..500).flat_map(|turn| {
            let seq = 1001 + turn * DATA;
            let data = tcp(CLIENT, SERVER, (seq, 5001), PSH | ACK, DATA as usize);
            let answer = tcp(SERVER, CLIENT, (5001 + turn * DATA, seq + DATA), PSH | ACK, DATA as usize);
            [data, answer]
        });
        Tcp { opening, transfer: transfer.collect() }
    }
}

/// A UDP packet of flow number `flow`; up to 2^28 of them are different.
pub fn udp(flow: u32) -> [u8; 64] {
    let mut packet = [0; 64];
    let [a, b, c, _] = (flow << 4).to_be_bytes();
    ip(&mut packet, 17, [10, a, b, c], SERVER.0);
    packet[20..22].copy_from_slice(&(10_000 + (flow & 0xf) as u16).to_be_bytes());
    packet[22..24].copy_from_slice(&53_u16.to_be_bytes());
    packet[24..26].copy_from_slice(&44_u16.to_be_bytes());
    seal(&mut packet, 26);
    packet
}

/// Numbers below `below`, in an order that no cache can guess, the same each time.
pub fn order(below: u32, count: usize) -> impl Iterator<Item = u32> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((u128::from(state) * u128::from(below)) >> 64) as u32
    })
    .take(count)
}

fn tcp(
    (src, sport): ([u8; 4], u16),
    (dst, dport): ([u8; 4], u16),
    (seq, ack): (u32, u32),
    flags: u8,
    data: usize,
) -> Vec<u8> {
    let mut packet = vec![0; 40 + data];
    ip(&mut packet, 6, src, dst);
    packet[20..22].copy_from_slice(&sport.to_be_bytes());
    packet[22..24].copy_from_slice(&dport.to_be_bytes());
    packet[24..28].copy_from_slice(&seq.to_be_bytes());
    packet[28..32].copy_from_slice(&ack.to_be_bytes());
    packet[32..34].copy_from_slice(&[0x50, flags]);
    packet[34..36].copy_from_slice(&64_000_u16.to_be_bytes());
    seal(&mut packet, 36);
    packet
}

fn ip(packet: &mut [u8], protocol: u8, src: [u8; 4], dst: [u8; 4]) {
    let length = packet.len() as u16;
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet[8..10].copy_from_slice(&[64, protocol]);
    packet[12..16].copy_from_slice(&src);
    packet[16..20].copy_from_slice(&dst);
    let sum = sum(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Puts the transport checksum at `at`.
fn seal(packet: &mut [u8], at: usize) {
    let mut bytes = packet[12..].to_vec();
    bytes.extend([0, packet[9]]);
    bytes.extend(((packet.len() - 20) as u16).to_be_bytes());
    let sum = sum(&bytes);
    packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

fn sum(bytes: &[u8]) -> u16 {
    let total: u32 = bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (total & 0xffff) + (total >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}
