//! Whatever a script sends, nobody breaks: hosts, routers and boxes take any bytes.

use std::cell::RefCell;
use std::rc::Rc;

use conntruth_sim::app::tcp::{Client, Server};
use conntruth_sim::app::{Act, udp};
use conntruth_sim::time::{MILLISECOND, MINUTE, SECOND};
use conntruth_sim::topology::Topology;
use conntruth_sim::world::{Moment, PortId, Watcher, World};
use conntruth_sim::{Dice, Seed};

use crate::base::{cidr, ip, line, millisecond, server};

/// Keeps every packet that anybody sends.
struct All(Rc<RefCell<Vec<Vec<u8>>>>);

impl Watcher for All {
    fn packet(&mut self, _: u64, _: PortId, moment: Moment, bytes: &[u8]) {
        if moment == Moment::Sent {
            self.0.borrow_mut().push(bytes.to_vec());
        }
    }
}

fn topology() -> Topology {
    let mut topology = line(millisecond(), millisecond());
    topology
        .script("player")
        .interface("eth0", "inside", &[cidr("10.0.0.66/24"), cidr("fd00::66/64")])
        .default_route(ip("10.0.0.254"))
        .default_route(ip("fd00::fe"));
    topology
}

/// Turns a packet into another, keeping its IPv4 header checksum and transport checksum right half of the time.
fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..=dice.below(4) {
        match dice.below(8) {
            0 => bytes.truncate(dice.below(bytes.len() as u64 + 1) as usize),
            1 => bytes.extend((0..dice.below(40)).map(|_| 0)),
            _ if bytes.is_empty() => {}
            // Mostly what matters: the transport header.
            2..=5 => {
                let at = (20 + dice.below(20) as usize).min(bytes.len() - 1);
                bytes[at] = dice.number() as u8;
            }
            _ => {
                let at = dice.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << dice.below(8);
            }
        }
    }
    if dice.below(4) > 0 {
        mend(bytes);
    }
}

/// Makes lengths and checksums right, as far as there is anything to make right.
fn mend(bytes: &mut [u8]) {
    use smoltcp_checksums::{ipv4, tcp};
    ipv4(bytes);
    tcp(bytes);
}

/// One's-complement sums, by hand: this test has no library for packets that are wrong.
mod smoltcp_checksums {
    fn sum(bytes: &[u8]) -> u32 {
        let words =
            bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])));
        words.sum()
    }

    fn fold(mut sum: u32) -> [u8; 2] {
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (!(sum as u16)).to_be_bytes()
    }

    pub fn ipv4(bytes: &mut [u8]) {
        if bytes.len() < 20 || bytes[0] != 0x45 {
            return;
        }
        let length = (bytes.len() as u16).to_be_bytes();
        bytes[2..4].copy_from_slice(&length);
        bytes[10..12].fill(0);
        let checksum = fold(sum(&bytes[..20]));
        bytes[10..12].copy_from_slice(&checksum);
    }

    pub fn tcp(bytes: &mut [u8]) {
        if bytes.len() < 40 || bytes[0] != 0x45 {
            return;
        }
        let at = match bytes[9] {
            6 => 36,
            17 => 26,
            1 => 22,
            _ => return,
        };
        bytes[at..at + 2].fill(0);
        let pseudo = if bytes[9] == 1 {
            0
        } else {
            sum(&bytes[12..20]) + u32::from(bytes[9]) + bytes.len() as u32 - 20
        };
        let checksum = fold(pseudo + sum(&bytes[20..]));
        bytes[at..at + 2].copy_from_slice(&checksum);
    }
}

/// Real conversations, and in between their own packets again, changed, at any time.
fn disturbed(seed: u64) {
    let mut world = World::new(topology(), Seed(seed)).unwrap();
    let all = Rc::new(RefCell::new(Vec::new()));
    world.watch(All(all.clone()));
    world.start("server", Server::echo(7)).unwrap();
    world.start("box", Server::echo(7)).unwrap();
    world.start("server", udp::Server::new(53, udp::Answer::Echo)).unwrap();
    let plan = || {
        vec![
            Act::Send(3000),
            Act::Receive(3000),
            Act::Wait(100 * MILLISECOND),
            Act::Send(3000),
            Act::Receive(6000),
            Act::Close,
        ]
    };
    world.start("client", Client::new(server(false, 7), plan())).unwrap();
    world.start("client", Client::new(server(true, 7), plan())).unwrap();
    world.start("client", Client::new("10.0.0.254:7".parse().unwrap(), plan())).unwrap();
    let mut large = udp::Client::new(server(false, 53), 20);
    (large.size, large.interval) = (4000, 20 * MILLISECOND);
    world.start("client", large).unwrap();
    let mut dice = Seed(seed).dice("mischief");
    let port = world.port("player", None).unwrap();
    for _ in 0..400 {
        let late = dice.below(3 * MILLISECOND);
        world.run_for(late).unwrap();
        let count = all.borrow().len() as u64;
        let mut bytes = all.borrow()[dice.below(count) as usize].clone();
        mutate(&mut dice, &mut bytes);
        world.play(port, bytes);
    }
    world.run_for(5 * MINUTE).unwrap();
    assert!(world.count().packets > 500 && world.now() > 5 * MINUTE - SECOND);
}

#[test]
fn nobody_breaks() {
    (0..60).for_each(disturbed);
}

#[test]
fn any_bytes_are_read_without_harm() {
    use conntruth_sim::packet::{Header, fragment, icmp_error, lower_hop_limit, read_icmp_error};
    let mut dice = Seed(1).dice("bytes");
    for round in 0..20_000_u32 {
        let length = dice.below(120) as usize;
        let mut bytes: Vec<u8> = (0..length).map(|_| dice.number() as u8).collect();
        if let Some(first) = bytes.first_mut() {
            *first = if round % 2 == 0 { 0x45 } else { 0x60 };
        }
        if round % 3 == 0 {
            mend(&mut bytes);
        }
        if round % 2 == 1 && length >= 40 {
            let payload = (length as u16 - 40).to_be_bytes();
            bytes[4..6].copy_from_slice(&payload);
            bytes[6] = [0, 6, 17, 43, 44, 58, 60][dice.below(7) as usize];
        }
        if let Some(header) = Header::read(&bytes) {
            assert!(header.end <= bytes.len() && header.transport <= header.end);
            let _ = (header.ports(&bytes), header.tcp(&bytes), read_icmp_error(&header, &bytes));
            let _ = icmp_error(conntruth_sim::packet::IcmpError::NoRoute, header.dst, &bytes);
            let _ = fragment(&bytes, 68, 1);
        }
        let _ = lower_hop_limit(&mut bytes);
    }
}
