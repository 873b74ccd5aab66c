//! Each fault does what it says and counts it, and what hosts make of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use conntruth_sim::app::ftp::{self, Mode, Order};
use conntruth_sim::app::ping::Ping;
use conntruth_sim::app::tcp::{Client, Server};
use conntruth_sim::app::{Act, Content, Trouble, dns, tftp, udp};
use conntruth_sim::host::Ending;
use conntruth_sim::link::{Fault, FaultError, Filter, LinkSpec, Way, What, When};
use conntruth_sim::packet::{TcpHead, protocol};
use conntruth_sim::time::{MICROSECOND, MILLISECOND, MINUTE, SECOND};
use conntruth_sim::world::{AppId, World};
use conntruth_sim::{Chance, Seed};

use crate::base::{ip, line, millisecond, server};
use crate::support::{lan, worlds_by};

fn percent(count: u32) -> Chance {
    Chance::percent(count).unwrap()
}

fn with(faults: Vec<Fault>) -> LinkSpec {
    LinkSpec { faults, ..millisecond() }
}

/// A world with faults on the client's cable, and so many pings a millisecond apart.
fn pings(faults: Vec<Fault>, count: u16) -> (World, AppId) {
    let mut world = World::new(lan(with(faults), LinkSpec::default()), Seed(3)).unwrap();
    let mut ping = Ping::new(server(false, 0).ip(), count);
    ping.interval = MILLISECOND;
    ping.patience = SECOND;
    let ping = world.start("client", ping).unwrap();
    world.run_until_idle().unwrap();
    (world, ping)
}

fn fired(world: &World) -> Vec<u64> {
    world.ports().flat_map(|port| world.faults(port).map(|fired| fired.times).collect::<Vec<_>>()).collect()
}

#[test]
fn named_packets_are_lost() {
    let (world, ping) = pings(vec![Fault::lose(When::Numbers(vec![3, 5])).on_the_way(Way::Up)], 6);
    let answered: Vec<bool> =
        world.app::<Ping>(ping).unwrap().probes().iter().map(|probe| probe.answered.is_some()).collect();
    assert_eq!(answered, [true, true, false, true, false, true]);
    assert_eq!(fired(&world), [2]);
}

#[test]
fn every_so_manieth_packet_is_lost() {
    let (world, ping) = pings(vec![Fault::lose(When::Every(4)).on_the_way(Way::Down)], 20);
    assert_eq!(world.app::<Ping>(ping).unwrap().answered(), 15);
    assert_eq!(fired(&world), [5]);
}

#[test]
fn about_as_many_are_lost_as_chance_has_it() {
    let (world, ping) = pings(vec![Fault::lose(When::Chance(percent(20))).on_the_way(Way::Up)], 1000);
    let lost = 1000 - world.app::<Ping>(ping).unwrap().answered();
    assert!((150..250).contains(&lost), "{lost}");
    assert_eq!(fired(&world), [lost as u64]);
}

#[test]
fn bursts_lose_neighbours() {
    let burst = When::Burst { begins: percent(2), ends: percent(20) };
    let (world, ping) = pings(vec![Fault::lose(burst).on_the_way(Way::Up)], 1000);
    let probes = world.app::<Ping>(ping).unwrap().probes().to_vec();
    let lost: Vec<bool> = probes.iter().map(|probe| probe.answered.is_none()).collect();
    let pairs = lost.windows(2).filter(|pair| pair[0] && pair[1]).count();
    let count = lost.iter().filter(|lost| **lost).count();
    assert!(count > 30 && pairs * 2 > count, "{pairs} of {count} losses follow another");
    assert_eq!(fired(&world), [count as u64]);
}

#[test]
fn a_window_of_time_is_lost() {
    let window = When::Between { from: 10 * MILLISECOND, until: 15 * MILLISECOND };
    let (world, ping) = pings(vec![Fault::lose(window).on_the_way(Way::Up)], 30);
    assert_eq!(world.app::<Ping>(ping).unwrap().answered(), 25);
    assert_eq!(fired(&world), [5]);
}

#[test]
fn copies_arrive_behind() {
    let fault = Fault::new(What::Duplicate { after: 300 * MICROSECOND }, When::Always).on_the_way(Way::Down);
    let (world, ping) = pings(vec![fault], 10);
    let probes = world.app::<Ping>(ping).unwrap().probes();
    // The copy of the last reply finds nobody.
    assert_eq!(probes.iter().map(|probe| probe.copies).sum::<u32>(), 9);
    assert_eq!(fired(&world), [10]);
}

#[test]
fn a_delayed_packet_is_overtaken() {
    let fault = Fault::new(What::Delay { by: 5 * MILLISECOND }, When::Numbers(vec![1])).on_the_way(Way::Up);
    let (world, ping) = pings(vec![fault], 3);
    let probes = world.app::<Ping>(ping).unwrap().probes();
    let answered: Vec<u64> = probes.iter().map(|probe| probe.answered.unwrap() / MILLISECOND).collect();
    assert_eq!(answered, [7, 3, 4]);
    assert_eq!(fired(&world), [1]);
}

#[test]
fn jitter_keeps_the_order() {
    let link = LinkSpec { jitter: 10 * MILLISECOND, ..millisecond() };
    let mut world = World::new(lan(link, LinkSpec::default()), Seed(3)).unwrap();
    let mut ping = Ping::new(server(false, 0).ip(), 200);
    ping.interval = MILLISECOND;
    let ping = world.start("client", ping).unwrap();
    world.run_until_idle().unwrap();
    let probes = world.app::<Ping>(ping).unwrap().probes();
    let answered: Vec<u64> = probes.iter().map(|probe| probe.answered.unwrap()).collect();
    assert!(answered.is_sorted());
    let mut times: Vec<u64> = world.app::<Ping>(ping).unwrap().round_trips().collect();
    times.sort_unstable();
    times.dedup();
    assert!(times.len() > 100 && times[0] >= 2 * MILLISECOND, "{times:?}");
}

#[test]
fn corruption_is_noticed_by_checksums() {
    for at in [None, Some(8), Some(12), Some(25), Some(60)] {
        let fault = Fault::new(What::Corrupt { at }, When::Always).on_the_way(Way::Up);
        let (world, ping) = pings(vec![fault], 20);
        assert_eq!(world.app::<Ping>(ping).unwrap().answered(), 0, "byte {at:?}");
        assert_eq!(fired(&world), [20]);
    }
}

#[test]
fn a_cut_short_packet_is_nobodys() {
    let fault = Fault::new(What::Truncate { length: 30 }, When::Always).on_the_way(Way::Up);
    let (world, ping) = pings(vec![fault], 3);
    assert_eq!(world.summary(ping).trouble, Some(Trouble::Unanswered));
    assert_eq!(world.count().dropped + world.host_count(world.node("server").unwrap()).malformed, 3);
    assert_eq!(fired(&world), [3]);
}

#[test]
fn a_filter_chooses() {
    let long = Fault::lose(When::Always).only(Filter { longer_than: Some(1000), ..Filter::default() });
    let udp = Fault::lose(When::Always).only(Filter::protocol(protocol::UDP));
    let (world, ping) = pings(vec![long, udp], 3);
    assert_eq!(world.app::<Ping>(ping).unwrap().answered(), 3);
    assert_eq!(fired(&world), [0, 0]);
    let silent: Vec<String> =
        world.silent_faults().map(|(port, fault)| format!("{}: {fault}", world.port_name(port))).collect();
    assert_eq!(
        silent,
        ["client eth0: lose every packet longer than 1000 bytes", "client eth0: lose every packet udp",]
    );
}

#[test]
fn a_lost_syn_is_sent_again() {
    let fault =
        Fault::lose(When::Numbers(vec![1, 2])).only(Filter::tcp_flags(TcpHead::SYN)).on_the_way(Way::Up);
    for (name, mut world) in worlds_by(with(vec![fault]), millisecond()) {
        world.start("server", Server::echo(7)).unwrap();
        let plan = vec![Act::Send(10), Act::Receive(10)];
        let client = world.start("client", Client::new(server(false, 7), plan)).unwrap();
        world.run_until(10 * SECOND).unwrap();
        let opened = world.app::<Client>(client).unwrap().report().unwrap().opened.unwrap();
        assert_eq!(opened / MILLISECOND, 3004, "{name}: after one and two more seconds");
    }
}

#[test]
fn bytes_arrive_intact_whatever_happens_on_the_way() {
    let faults = vec![
        Fault::lose(When::Chance(percent(3))),
        Fault::new(What::Duplicate { after: 100 * MICROSECOND }, When::Chance(percent(5))),
        Fault::new(What::Delay { by: 4 * MILLISECOND }, When::Chance(percent(5))),
        Fault::new(What::Corrupt { at: None }, When::Chance(percent(2))),
    ];
    for (name, mut world) in worlds_by(with(faults), millisecond()) {
        world.start("server", Server::echo(7)).unwrap();
        let plan = vec![Act::Send(200_000), Act::Receive(200_000), Act::Close];
        let mut client = Client::new(server(false, 7), plan);
        client.options.give_up = 60 * MINUTE;
        let client = world.start("client", client).unwrap();
        world.run_until_idle().unwrap();
        let summary = world.summary(client);
        assert_eq!(summary.trouble, None, "{name}");
        assert_eq!(summary.received.bytes(), 200_000, "{name}");
        assert_eq!(summary.sent, summary.received, "{name}");
        assert!(fired(&world).iter().all(|times| *times > 0), "{name}: {:?}", fired(&world));
        assert_eq!(world.silent_faults().count(), 0, "{name}");
    }
}

#[test]
fn bandwidth_is_kept_and_a_full_queue_drops() {
    // 100 kB at 1 Mbit/s take 0.8 s, headers apart.
    let slow = LinkSpec { bandwidth: Some(1_000_000), ..millisecond() };
    let mut world = World::new(lan(slow.clone(), LinkSpec::default()), Seed(3)).unwrap();
    world.start("server", Server::sink(9)).unwrap();
    let client = Client::new(server(false, 9), vec![Act::Send(100_000), Act::Close]);
    let client = world.start("client", client).unwrap();
    world.run_until_idle().unwrap();
    let took = world.app::<Client>(client).unwrap().report().unwrap().ended.unwrap();
    assert!((820 * MILLISECOND..900 * MILLISECOND).contains(&took), "{took}");
    // A burst of 20 datagrams of 1,028 bytes into a queue of 5,000.
    let full = LinkSpec { queue: Some(5_000), ..slow };
    let mut world = World::new(lan(full, LinkSpec::default()), Seed(3)).unwrap();
    let serving = world.start("server", udp::Server::new(9, udp::Answer::Nothing)).unwrap();
    let mut burst = udp::Client::new(server(false, 9), 20);
    (burst.interval, burst.size, burst.patience) = (0, 1000, 0);
    world.start("client", burst).unwrap();
    world.run_until_idle().unwrap();
    let count = world.link_count(world.port("client", None).unwrap(), Way::Up);
    assert_eq!((count.sent, count.delivered + count.queue_full), (20, 20));
    assert_eq!(world.app::<udp::Server>(serving).unwrap().datagrams(), count.delivered);
    assert!((4..=6).contains(&count.delivered), "{count:?}");
}

#[test]
fn a_cut_cable_mends() {
    for (name, mut world) in worlds_by(millisecond(), millisecond()) {
        world.start("server", Server::echo(7)).unwrap();
        let port = world.port("server", Some("eth0")).unwrap();
        world.cut_at(SECOND, port, true);
        world.cut_at(21 * SECOND, port, false);
        let plan =
            vec![Act::Send(10), Act::Receive(10), Act::Wait(2 * SECOND), Act::Send(10), Act::Receive(10)];
        let client = world.start("client", Client::new(server(false, 7), plan)).unwrap();
        world.run_until(20 * SECOND).unwrap();
        assert_eq!(world.summary(client).received.bytes(), 10, "{name}");
        world.run_until(60 * SECOND).unwrap();
        assert_eq!(world.summary(client).received.bytes(), 20, "{name}");
        assert!(world.link_count(port, Way::Down).cut >= 3, "{name}");
    }
}

#[test]
fn both_hosts_give_up_behind_a_cut_cable() {
    for (name, mut world) in worlds_by(millisecond(), millisecond()) {
        world.start("server", Server::echo(7)).unwrap();
        let plan =
            vec![Act::Send(10), Act::Receive(10), Act::Wait(2 * SECOND), Act::Send(10), Act::Receive(10)];
        let mut client = Client::new(server(false, 7), plan);
        client.options.give_up = 2 * MINUTE;
        let client = world.start("client", client).unwrap();
        world.cut_at(SECOND, world.port("server", None).unwrap(), true);
        world.run_until_idle().unwrap();
        let report = world.app::<Client>(client).unwrap().report().unwrap();
        assert_eq!(report.ending, Some(Ending::TimedOut), "{name}");
        assert_eq!(report.ended.unwrap() / SECOND, 122, "{name}: two minutes after it spoke");
        let (client, server) = (world.node("client").unwrap(), world.node("server").unwrap());
        assert_eq!(world.tcp_sockets(client).count(), 0, "{name}");
        assert_eq!(world.tcp_sockets(server).count(), 1, "{name}: the server waits for ever");
    }
}

#[test]
fn faults_out_of_range_are_named() {
    let always = |what| Fault::new(what, When::Always);
    for (fault, error) in [
        (Fault::lose(When::Numbers(vec![])), FaultError::NoNumbers),
        (Fault::lose(When::Numbers(vec![0])), FaultError::Number),
        (Fault::lose(When::Every(0)), FaultError::Number),
        (Fault::lose(When::Chance(Chance::NEVER)), FaultError::Never),
        (Fault::lose(When::Between { from: 5, until: 5 }), FaultError::Between { from: 5, until: 5 }),
        (always(What::Delay { by: 0 }), FaultError::NoTime),
    ] {
        let error_of = |topology| World::new(topology, Seed(1)).err().unwrap().to_string();
        let said = error_of(line(with(vec![fault]), millisecond()));
        assert_eq!(said, format!("the cable of client eth0: {error}"));
    }
    for (link, error) in [
        (LinkSpec { mtu: 10, ..LinkSpec::default() }, "an MTU is 68 to 65535 bytes, not 10"),
        (LinkSpec { bandwidth: Some(0), ..LinkSpec::default() }, "nothing moves at 0 bits a second"),
        (LinkSpec { queue: Some(0), ..LinkSpec::default() }, "nothing fits into a queue of 0 bytes"),
    ] {
        let said = World::new(line(millisecond(), link), Seed(1)).err().unwrap().to_string();
        assert_eq!(said, format!("the cable of server eth0: {error}"));
    }
    assert_eq!(Chance::percent(101), None);
    assert_eq!(Chance::in_a_million(1_000_001), None);
}

#[test]
fn applications_ask_again() {
    let names: [(&str, &[IpAddr]); 1] = [("www.example", &[ip("192.0.2.1")])];
    let first_lost =
        Fault::lose(When::Numbers(vec![1])).on_the_way(Way::Up).only(Filter::protocol(protocol::UDP));
    for (name, mut world) in worlds_by(with(vec![first_lost]), millisecond()) {
        world.start("server", dns::Server::new(&names)).unwrap();
        let resolver = dns::Resolver::new(server(false, 53), &["www.example"]);
        let resolver = world.start("client", resolver).unwrap();
        world.run_until_idle().unwrap();
        let answer = &world.app::<dns::Resolver>(resolver).unwrap().answers()[0];
        assert_eq!((answer.tries, answer.addresses.clone()), (2, Some(vec![ip("192.0.2.1")])), "{name}");
        assert_eq!(world.summary(resolver).took().unwrap() / SECOND, 5, "{name}");
        // Nobody answers at all.
        world.cut(world.port("server", None).unwrap(), true);
        world.with_app::<dns::Resolver, _>(resolver, |resolver, os| {
            resolver.ask(os, dns::Question { name: "www.example".to_owned(), is_v6: false });
        });
        world.run_until_idle().unwrap();
        assert_eq!(world.app::<dns::Resolver>(resolver).unwrap().answers()[1].addresses, None, "{name}");
        assert_eq!(world.summary(resolver).trouble, Some(Trouble::Unanswered), "{name}");
    }
}

#[test]
fn files_come_through_losses() {
    let lossy = with(vec![
        Fault::lose(When::Chance(percent(5))),
        Fault::new(What::Duplicate { after: MILLISECOND }, When::Chance(percent(5))),
    ]);
    let file = Content(4).bytes(20_000);
    let files: BTreeMap<String, Vec<u8>> = [("file".to_owned(), file.clone())].into();
    for (name, mut world) in worlds_by(lossy, millisecond()) {
        world.start("server", ftp::Server::new(21, files.clone())).unwrap();
        let trivial = world.start("server", tftp::Server::new(files.clone())).unwrap();
        let get = world.start("client", tftp::Client::get(server(false, 69), "file")).unwrap();
        let put = world.start("client", tftp::Client::put(server(false, 69), "new", file.clone())).unwrap();
        let mut orders = vec![Order::Login { user: "me".to_owned(), password: "x".to_owned() }];
        for mode in [Mode::Port, Mode::Pasv, Mode::Eprt, Mode::Epsv] {
            orders.push(Order::Get(mode, "file".to_owned()));
            orders.push(Order::Put(mode, format!("{mode:?}"), file.clone()));
        }
        orders.push(Order::Quit);
        let client = world.start("client", ftp::Client::new(server(false, 21), orders)).unwrap();
        world.run_until_idle().unwrap();
        for app in [get, put, client] {
            assert_eq!(world.summary(app).trouble, None, "{name}");
            assert!(world.summary(app).is_done, "{name}");
        }
        assert_eq!(world.app::<tftp::Client>(get).unwrap().bytes(), file, "{name}");
        assert_eq!(world.app::<tftp::Server>(trivial).unwrap().files()["new"], file, "{name}");
        let moved = world.app::<ftp::Client>(client).unwrap().transfers();
        assert_eq!(moved.len(), 8, "{name}");
        assert!(moved.iter().step_by(2).all(|moved| moved.bytes == file), "{name}");
        assert_eq!(world.silent_faults().count(), 0, "{name}");
    }
}
