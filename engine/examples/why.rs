//! Why is this packet INVALID? Three segments open a connection, a fourth lies far outside its window.
//!
//! `cargo run -p conntruth-engine --example why`
#![allow(clippy::print_stdout)]

use conntruth_engine::{Engine, LINUX_6_18, Packet, Time};
use etherparse::PacketBuilder;

fn main() {
    let mut engine = Engine::new(&LINUX_6_18);
    engine.listen();
    let story = [
        (Time::from_millis(0), "SYN", segment(Side::Client, 1000, None)),
        (Time::from_millis(10), "SYN/ACK", segment(Side::Server, 5000, Some(1001))),
        (Time::from_millis(20), "ACK", segment(Side::Client, 1001, Some(5001))),
        (Time::from_secs(1), "ACK, a gigabyte ahead", segment(Side::Client, 1_000_001_001, Some(5001))),
    ];
    for (now, what, bytes) in &story {
        let outcome = engine.forward(*now, &Packet::new(bytes));
        println!("{now}  {what}: {:?}, because {}", outcome.class, outcome.reason);
        if let Some(conn) = outcome.conn.and_then(|id| engine.conn(id)) {
            println!("             {conn}");
        }
        while let Some(event) = engine.poll_event() {
            println!("             event {:?} {:?}", event.kind, event.changes);
        }
    }

    // Nothing happens for five days.
    engine.handle_timeouts(Time::from_secs(5 * 24 * 3600 + 1));
    println!("five days later the table holds {} entries", engine.len());
}

enum Side {
    Client,
    Server,
}

/// A segment without data; without `ack` it is the SYN, with the server's first it is the SYN/ACK.
fn segment(from: Side, seq: u32, ack: Option<u32>) -> Vec<u8> {
    let (client, server) = ([10, 0, 0, 1], [10, 0, 1, 1]);
    let builder = match from {
        Side::Client => PacketBuilder::ipv4(client, server, 64).tcp(40_000, 80, seq, 64_240),
        Side::Server => PacketBuilder::ipv4(server, client, 64).tcp(80, 40_000, seq, 65_160),
    };
    let builder = if matches!(seq, 1000 | 5000) { builder.syn() } else { builder };
    let builder = match ack {
        Some(ack) => builder.ack(ack),
        None => builder,
    };
    let mut bytes = Vec::new();
    builder.write(&mut bytes, &[]).expect("writing to memory does not fail");
    bytes
}
