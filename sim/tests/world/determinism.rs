//! The same seed, the same world; another host, nobody else's dice.

use conntruth_sim::app::ftp::{self, Mode, Order};
use conntruth_sim::app::ping::Ping;
use conntruth_sim::app::tcp::{Client, Crowd, Server};
use conntruth_sim::app::{Act, Content, Reading, udp};
use conntruth_sim::link::{Fault, LinkSpec, What, When};
use conntruth_sim::time::{DAY, MICROSECOND, MILLISECOND, SECOND};
use conntruth_sim::topology::Topology;
use conntruth_sim::world::{Limits, World};
use conntruth_sim::{Chance, Seed};
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

use crate::base::{cidr, client, ip, line, server};

fn rough(losses: u32) -> LinkSpec {
    let chance = |millionths| When::Chance(Chance::in_a_million(millionths).unwrap());
    LinkSpec {
        latency: 2 * MILLISECOND,
        jitter: MILLISECOND,
        bandwidth: Some(100_000_000),
        faults: vec![
            Fault::lose(chance(losses + 1)),
            Fault::new(What::Duplicate { after: 50 * MICROSECOND }, chance(30_000)),
            Fault::new(What::Delay { by: 3 * MILLISECOND }, chance(30_000)),
            Fault::new(What::Corrupt { at: None }, chance(10_000)),
        ],
        ..LinkSpec::default()
    }
}

fn topology(losses: u32) -> Topology {
    line(rough(losses), rough(losses))
}

/// Bits are turned over on one of the two cables only: two turned over in one packet can leave its checksum right, and
/// then no stack notices that the bytes are wrong.
fn checked(losses: u32) -> Topology {
    let mut far = rough(losses);
    far.faults.retain(|fault| !matches!(fault.what, What::Corrupt { .. }));
    line(rough(losses), far)
}

/// A busy world: a crowd, a file, datagrams and pings over rough cables.
fn busy(topology: Topology, seed: u64) -> World {
    let mut world = World::new(topology, Seed(seed)).unwrap();
    world.record();
    world.start("server", Server::echo(7)).unwrap();
    let files = [("file".to_owned(), Content(1).bytes(30_000))].into();
    world.start("server", ftp::Server::new(21, files)).unwrap();
    world.start("server", udp::Server::new(53, udp::Answer::Bytes(3000))).unwrap();
    let plan = vec![Act::Send(3000), Act::Receive(3000), Act::Close];
    world.start("client", Crowd::new(server(true, 7), 20, plan)).unwrap();
    let login = Order::Login { user: "me".to_owned(), password: "x".to_owned() };
    let orders = vec![login, Order::Get(Mode::Pasv, "file".to_owned()), Order::Quit];
    world.start("client", ftp::Client::new(server(false, 21), orders)).unwrap();
    world.start("client", udp::Client::new(server(false, 53), 20)).unwrap();
    world.start("server", Ping::new(client(true), 20)).unwrap();
    world.run_until_idle().unwrap();
    world
}

#[test]
fn the_same_seed_is_the_same_world() {
    let (one, other) = (busy(topology(20_000), 42), busy(topology(20_000), 42));
    assert!(one.chain().count() > 1000);
    assert_eq!(one.chain().value(), other.chain().value());
    assert_eq!(one.chain().first_difference(other.chain()), None);
    // This very number on every machine, in debug and in release.
    assert_eq!(format!("{:016x} {}", one.chain().value(), one.chain().count()), GOLDEN);
}

const GOLDEN: &str = "7f5460b7b05f62b8 1325";

#[test]
fn another_seed_is_another_world_and_the_first_difference_has_a_name() {
    let (one, other) = (busy(topology(20_000), 42), busy(topology(20_000), 43));
    assert_ne!(one.chain().value(), other.chain().value());
    let difference = one.chain().first_difference(other.chain()).unwrap();
    assert_ne!(difference.one, difference.other);
    let event = one.describe(&difference.one.unwrap());
    assert!(event.contains(" at "), "{event}");
    let (one, other) = (one.chain().records(), other.chain().records());
    assert_eq!(one[..difference.event as usize], other[..difference.event as usize]);
}

#[test]
fn an_end_is_a_difference_too() {
    let world = |count| {
        let mut world = World::new(topology(0), Seed(1)).unwrap();
        world.record();
        world.start("client", Ping::new(server(false, 0).ip(), count)).unwrap();
        world.run_until_idle().unwrap();
        world
    };
    let difference = world(1).chain().first_difference(world(2).chain()).unwrap();
    assert!(difference.other.is_some());
}

/// What the client and the server see of each other, and only that.
fn pings(topology: Topology) -> Vec<(u64, Option<u64>)> {
    let mut world = World::new(topology, Seed(9)).unwrap();
    let ping = world.start("client", Ping::new(server(false, 0).ip(), 300)).unwrap();
    if let Ok(app) = world.start("other", Ping::new(server(false, 0).ip(), 300)) {
        world.check(app).unwrap();
    }
    world.run_until_idle().unwrap();
    world.app::<Ping>(ping).unwrap().probes().iter().map(|probe| (probe.sent, probe.answered)).collect()
}

#[test]
fn another_host_throws_its_own_dice() {
    // No bandwidth: the server's cable is shared, and packets that wait for each other are another matter.
    let free = || LinkSpec { bandwidth: None, ..rough(100_000) };
    let alone = line(free(), LinkSpec::default());
    let mut two = line(free(), LinkSpec::default());
    two.host("other")
        .interface_by("eth0", "inside", &[cidr("10.0.0.2/24")], free())
        .default_route(ip("10.0.0.254"));
    let answers = pings(alone);
    assert_eq!(answers, pings(two));
    let lost = answers.iter().filter(|(_, answered)| answered.is_none()).count();
    assert!((30..150).contains(&lost), "{lost}");
}

#[test]
fn another_fault_throws_its_own_dice() {
    let link =
        LinkSpec { faults: rough(100_000).faults[..1].to_vec(), latency: MILLISECOND, ..LinkSpec::default() };
    let mut more = link.clone();
    more.faults.push(Fault::new(What::Duplicate { after: 0 }, When::Every(2)));
    let lost = |link| -> Vec<bool> {
        pings(line(link, LinkSpec::default())).iter().map(|(_, answered)| answered.is_none()).collect()
    };
    // Replies come twice, which changes which of them is lost; requests are lost alike. A request whose copy and itself
    // are both through has an answer at least as often.
    let (once, twice) = (lost(link), lost(more));
    assert!(twice.iter().filter(|lost| **lost).count() <= once.iter().filter(|lost| **lost).count());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_seed_twice_is_the_same_and_bytes_arrive(
        seed in any::<u64>(), losses in 0_u32..60_000, bytes in 0_u64..60_000,
        buffer in 2_000_usize..80_000, slow in any::<bool>(),
    ) {
        let run = || {
            let mut world = World::new(checked(losses), Seed(seed)).unwrap();
            world.record();
            world.set_limits(Limits { events: 300_000, ..Limits::default() });
            let mut echo = Server::echo(7);
            echo.options.receive_buffer = buffer;
            echo.options.give_up = DAY;
            world.start("server", echo).unwrap();
            let plan = vec![Act::Send(bytes), Act::Receive(bytes), Act::Close];
            let mut client = Client::new(server(false, 7), plan);
            client.options.give_up = DAY;
            if slow {
                client.options.receive_buffer = 5_000;
                client.reading = Reading::Slow { bytes: 500, every: 30 * MILLISECOND };
            }
            let client = world.start("client", client).unwrap();
            world.run_until_idle().unwrap();
            (world.summary(client), world)
        };
        let ((summary, one), (_, other)) = (run(), run());
        prop_assert_eq!(one.chain().first_difference(other.chain()), None);
        prop_assert_eq!(one.chain().value(), other.chain().value());
        // Only a SYN lost six times over would keep the connection from opening.
        prop_assert!(summary.trouble.is_none(), "{:?}", summary);
        prop_assert_eq!(summary.received.bytes(), bytes);
        prop_assert_eq!(summary.sent, summary.received);
    }
}

#[test]
fn two_sides_that_send_at_once_do_not_wait_for_each_other() {
    // Each side has what the other one sends again, and each acknowledgement must still count.
    let mut world = World::new(topology(22_470), Seed(401_763_819_563_217_957)).unwrap();
    world.start("server", Server::echo(7)).unwrap();
    let plan = vec![Act::Send(52_281), Act::Receive(52_281), Act::Close];
    let client = world.start("client", Client::new(server(false, 7), plan)).unwrap();
    world.run_until(30 * SECOND).unwrap();
    assert!(world.summary(client).is_done, "{}", world.summary(client));
}

#[test]
fn a_window_that_closes_over_lost_data_does_not_end_the_flow() {
    let mut world = World::new(topology(12_212), Seed(4_647_286_939_014_003_777)).unwrap();
    let mut echo = Server::echo(7);
    echo.options.receive_buffer = 5_841;
    world.start("server", echo).unwrap();
    let plan = vec![Act::Send(34_228), Act::Receive(34_228), Act::Close];
    let mut client = Client::new(server(false, 7), plan);
    client.options.receive_buffer = 5_000;
    client.reading = Reading::Slow { bytes: 500, every: 30 * MILLISECOND };
    let client = world.start("client", client).unwrap();
    world.run_until(30 * SECOND).unwrap();
    assert!(world.summary(client).is_done, "{}", world.summary(client));
}

#[test]
fn an_acknowledgement_counts_though_the_window_has_shrunk_below_what_was_sent() {
    let mut world = World::new(checked(50_140), Seed(8_168_105_526_720_896_677)).unwrap();
    let mut echo = Server::echo(7);
    echo.options.receive_buffer = 4121;
    world.start("server", echo).unwrap();
    let plan = vec![Act::Send(34_948), Act::Receive(34_948), Act::Close];
    let mut client = Client::new(server(false, 7), plan);
    client.options.receive_buffer = 5_000;
    client.reading = Reading::Slow { bytes: 500, every: 30 * MILLISECOND };
    let client = world.start("client", client).unwrap();
    world.run_until(60 * SECOND).unwrap();
    assert!(world.summary(client).is_done, "{}", world.summary(client));
}
