//! Scripts: what no honest stack sends, and what honest stacks say to it.

use conntruth_sim::Seed;
use conntruth_sim::app::tcp::{Client, Server};
use conntruth_sim::app::{Act, Trouble};
use conntruth_sim::host::{Ending, TcpState};
use conntruth_sim::packet::{Header, IcmpError, TcpHead, icmp_error};
use conntruth_sim::time::{MILLISECOND, SECOND};
use conntruth_sim::topology::Topology;
use conntruth_sim::world::World;

use crate::base::{cidr, ip, line, millisecond, server};

fn topology() -> Topology {
    let mut topology = line(millisecond(), millisecond());
    topology
        .script("player")
        .interface_by("eth0", "inside", &[cidr("10.0.0.9/24")], millisecond())
        .default_route(ip("10.0.0.254"));
    topology
}

/// A TCP segment from the script, 10.0.0.9:4000, to the server's port 7.
fn segment(flags: u8, seq: u32, ack: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 9, 10, 0, 1, 1];
    bytes.extend(4000_u16.to_be_bytes());
    bytes.extend(7_u16.to_be_bytes());
    bytes.extend(seq.to_be_bytes());
    bytes.extend(ack.to_be_bytes());
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(data);
    let length = (bytes.len() as u16).to_be_bytes();
    bytes[2..4].copy_from_slice(&length);
    let sum = |bytes: &[u8]| -> u32 {
        bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]))).sum()
    };
    let fold = |sum: u32| (!(((sum >> 16) + (sum & 0xffff)) as u16)).to_be_bytes();
    let head = fold(sum(&bytes[..20]));
    bytes[10..12].copy_from_slice(&head);
    let body = fold(sum(&bytes[12..20]) + 6 + bytes.len() as u32 - 20 + sum(&bytes[20..]));
    bytes[36..38].copy_from_slice(&body);
    bytes
}

fn heads(world: &World) -> Vec<(u64, TcpHead)> {
    let player = world.node("player").unwrap();
    let seen = world.seen(player).iter();
    seen.filter_map(|seen| Some((seen.at, Header::read(&seen.bytes)?.tcp(&seen.bytes)?))).collect()
}

#[test]
fn a_script_speaks_tcp_by_hand() {
    let mut world = World::new(topology(), Seed(1)).unwrap();
    world.start("server", Server::echo(7)).unwrap();
    let port = world.port("player", None).unwrap();
    world.play_at(SECOND, port, segment(TcpHead::SYN, 1000, 0, b""));
    world.run_until(SECOND + 10 * MILLISECOND).unwrap();
    let (at, answer) = heads(&world)[0];
    assert_eq!((at, answer.flags, answer.ack), (SECOND + 4 * MILLISECOND, TcpHead::SYN | TcpHead::ACK, 1001));
    // The handshake's end and data in one; the echo; a FIN that is never acknowledged by the script.
    world.play(port, segment(TcpHead::ACK, 1001, answer.end, b"hello"));
    world.run_for(SECOND).unwrap();
    let (_, echo) = heads(&world)[1];
    assert_eq!((echo.data, echo.ack, echo.seq), (5, 1006, answer.end));
    let server = world.node("server").unwrap();
    let states: Vec<TcpState> = world.tcp_sockets(server).map(|(_, socket)| socket.state).collect();
    assert_eq!(states, [TcpState::Established]);
    world.play(port, segment(TcpHead::RST, 1006, 0, b""));
    world.run_for(SECOND).unwrap();
    assert_eq!(world.tcp_sockets(server).count(), 0, "a RST in the window ends it");
}

#[test]
fn segments_of_no_connection_are_reset() {
    let mut world = World::new(topology(), Seed(1)).unwrap();
    let port = world.port("player", None).unwrap();
    world.play(port, segment(TcpHead::SYN, 1000, 0, b""));
    world.play(port, segment(TcpHead::ACK, 1000, 77, b"hi"));
    world.play(port, segment(TcpHead::RST, 1000, 0, b""));
    world.run_until_idle().unwrap();
    let said: Vec<(u8, u32, u32)> =
        heads(&world).iter().map(|(_, head)| (head.flags, head.seq, head.ack)).collect();
    // RFC 9293, section 3.10.7.1: by what the segment acknowledged, or else acknowledging it; a RST is not answered.
    assert_eq!(said, [(TcpHead::RST | TcpHead::ACK, 0, 1001), (TcpHead::RST, 77, 0)]);
}

#[test]
fn forged_errors_do_not_end_what_they_do_not_quote() {
    // The client connects to an address that the script answers for, late; meanwhile somebody forges errors.
    let mut world = World::new(topology(), Seed(1)).unwrap();
    let port = world.port("player", None).unwrap();
    let client =
        world.start("client", Client::new("10.0.0.9:80".parse().unwrap(), vec![Act::Send(1)])).unwrap();
    world.run_until(10 * MILLISECOND).unwrap();
    let syn = world.seen(world.node("player").unwrap())[0].bytes.clone();
    let mut forged = syn.clone();
    forged[27] ^= 1;
    world.play(port, icmp_error(IcmpError::HostUnreachable, ip("10.0.0.9"), &forged).unwrap());
    world.run_for(SECOND / 2).unwrap();
    assert!(!world.summary(client).is_done, "another sequence number");
    world.play(port, icmp_error(IcmpError::Prohibited, ip("10.0.0.9"), &syn).unwrap());
    world.run_for(SECOND).unwrap();
    let ending = Ending::Unreachable(IcmpError::Prohibited);
    assert_eq!(world.summary(client).trouble, Some(Trouble::Ended(ending)));
    // An open connection lives on, and is told.
    world.start("server", Server::echo(7)).unwrap();
    let plan = vec![Act::Send(10), Act::Receive(10), Act::Wait(SECOND), Act::Send(10), Act::Receive(20)];
    let open = world.start("client", Client::new(server(false, 7), plan)).unwrap();
    world.run_for(SECOND / 2).unwrap();
    let local = world.app::<Client>(open).unwrap().report().unwrap().local.unwrap();
    let mut about = segment(TcpHead::ACK, 1, 1, b"");
    about[12..16].copy_from_slice(&[10, 0, 0, 1]);
    about[20..22].copy_from_slice(&local.port().to_be_bytes());
    about[10..12].fill(0);
    let sum: u32 = about[..20].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let head = (!(((sum >> 16) + (sum & 0xffff)) as u16)).to_be_bytes();
    about[10..12].copy_from_slice(&head);
    world.play(port, icmp_error(IcmpError::HostUnreachable, ip("10.0.0.9"), &about).unwrap());
    world.run_for(2 * SECOND).unwrap();
    let report = world.app::<Client>(open).unwrap().report().unwrap();
    assert_eq!((report.errors, report.received.bytes()), (1, 20));
}
