//! Captures of every wire: what was sent and received there, and nothing else.

use conntruth_sim::Seed;
use conntruth_sim::app::Act;
use conntruth_sim::app::tcp::{Client, Server};
use conntruth_sim::capture::{Capture, Family, Recorder};
use conntruth_sim::link::{Fault, LinkSpec, Way, When};
use conntruth_sim::time::MILLISECOND;
use conntruth_sim::world::World;

use crate::base::{line, millisecond, server};

fn world() -> World {
    let lost = Fault::lose(When::Numbers(vec![4])).on_the_way(Way::Up);
    let link = LinkSpec { faults: vec![lost], ..millisecond() };
    World::new(line(link, millisecond()), Seed(2)).unwrap()
}

fn talk(world: &mut World) {
    world.start("server", Server::echo(7)).unwrap();
    let plan = vec![Act::Send(5000), Act::Receive(5000), Act::Close];
    world.start("client", Client::new(server(false, 7), plan)).unwrap();
    world.run_until_idle().unwrap();
}

/// Times and lengths of a capture's packets.
fn packets(bytes: &[u8]) -> Vec<(u64, u64)> {
    let mut capture = Capture::new(bytes).unwrap();
    let mut packets = Vec::new();
    while let Some(packet) = capture.next_packet().unwrap() {
        assert!(!packet.is_cut());
        assert!(matches!(packet.family, None | Some(Family::Ipv4)));
        packets.push((packet.time.unwrap(), packet.original_len));
    }
    packets
}

#[test]
fn every_wire_is_kept() {
    let mut world = world();
    world.watch(Recorder::in_memory(&world).unwrap());
    talk(&mut world);
    let captures = world.unwatch::<Recorder>().pop().unwrap().finish().unwrap();
    let names: Vec<&str> = captures.iter().map(|(name, _)| &name[..]).collect();
    assert_eq!(names, ["client eth0", "box inside", "box outside", "server eth0"]);
    let all: Vec<_> = captures.iter().map(|(_, bytes)| packets(bytes)).collect();
    assert_eq!(all[0].len(), all[1].len() + 1, "the lost one was sent and did not arrive");
    assert_eq!((all[1].len(), all[2].len()), (all[2].len(), all[3].len()));
    assert_eq!((all[0][0].0, all[1][0].0, all[3][0].0), (0, MILLISECOND, 2 * MILLISECOND), "SYN");
    assert!(all.iter().all(|packets| packets.is_sorted_by_key(|packet| packet.0)));
}

#[test]
fn files_are_named_for_interfaces() {
    let folder = std::env::temp_dir().join(format!("conntruth-captures-{}", std::process::id()));
    let mut world = world();
    world.watch(Recorder::in_folder(&world, &folder).unwrap());
    talk(&mut world);
    world.unwatch::<Recorder>().pop().unwrap().finish().unwrap();
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["box-inside.pcap", "box-outside.pcap", "client-eth0.pcap", "server-eth0.pcap"]);
    let bytes = std::fs::read(folder.join("box-inside.pcap")).unwrap();
    assert!(packets(&bytes).len() > 10);
    std::fs::remove_dir_all(&folder).unwrap();
}
