//! Routers: hop limits, path MTUs, fragments, routes that differ there and back, and boxes that are passed by.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;

use conntruth_sim::Seed;
use conntruth_sim::app::ping::Ping;
use conntruth_sim::app::tcp::{Client, Server};
use conntruth_sim::app::traceroute::Traceroute;
use conntruth_sim::app::{Act, Trouble, udp};
use conntruth_sim::host::{Ending, OsError};
use conntruth_sim::link::{Fault, Filter, LinkSpec, When};
use conntruth_sim::middlebox::{Edge, Middlebox, PassThrough};
use conntruth_sim::packet::{Datagram, Header, IcmpError, fragment};
use conntruth_sim::time::{MILLISECOND, MINUTE, SECOND};
use conntruth_sim::topology::{Site, Topology};
use conntruth_sim::world::World;

use crate::base::{cidr, ip, line, millisecond, server};

/// client - r1 - r2 - server; the link between the routers takes `mtu` bytes.
fn chain(mtu: usize) -> Topology {
    let mut topology = Topology::default();
    topology.network("a").network("b").network("c");
    let narrow = LinkSpec { mtu, ..LinkSpec::default() };
    topology
        .host("client")
        .interface_by("eth0", "a", &[cidr("10.0.0.1/24"), cidr("fd00::1/64")], millisecond())
        .default_route(ip("10.0.0.2"))
        .default_route(ip("fd00::2"));
    topology
        .router("r1")
        .interface("left", "a", &[cidr("10.0.0.2/24"), cidr("fd00::2/64")])
        .interface_by("right", "b", &[cidr("10.0.9.1/24"), cidr("fd00:9::1/64")], narrow.clone())
        .default_route(ip("10.0.9.2"))
        .default_route(ip("fd00:9::2"));
    topology
        .router("r2")
        .interface_by("left", "b", &[cidr("10.0.9.2/24"), cidr("fd00:9::2/64")], narrow)
        .interface("right", "c", &[cidr("10.0.1.2/24"), cidr("fd00:1::2/64")])
        .default_route(ip("10.0.9.1"))
        .default_route(ip("fd00:9::1"));
    topology
        .host("server")
        .interface_by("eth0", "c", &[cidr("10.0.1.1/24"), cidr("fd00:1::1/64")], millisecond())
        .default_route(ip("10.0.1.2"))
        .default_route(ip("fd00:1::2"));
    topology
}

fn world(topology: Topology) -> World {
    World::new(topology, Seed(5)).unwrap()
}

#[test]
fn a_traceroute_names_the_routers() {
    for (is_v6, way) in
        [(false, ["10.0.0.2", "10.0.9.2", "10.0.1.1"]), (true, ["fd00::2", "fd00:9::2", "fd00:1::1"])]
    {
        let mut world = world(chain(1500));
        let trace = world.start("client", Traceroute::new(server(is_v6, 0).ip())).unwrap();
        world.check(trace).unwrap();
        world.run_until_idle().unwrap();
        assert_eq!(world.summary(trace).trouble, None);
        let routers: Vec<IpAddr> =
            world.app::<Traceroute>(trace).unwrap().routers().into_iter().flatten().collect();
        assert_eq!(routers, way.map(ip));
        let last = world.app::<Traceroute>(trace).unwrap().hops()[2].answer.unwrap();
        assert_eq!(last.1, IcmpError::PortUnreachable);
    }
}

#[test]
fn a_hop_limit_ends_a_ping() {
    let mut world = world(chain(1500));
    let mut ping = Ping::new(server(false, 0).ip(), 1);
    ping.hop_limit = 2;
    let ping = world.start("client", ping).unwrap();
    world.run_until_idle().unwrap();
    assert_eq!(world.summary(ping).trouble, Some(Trouble::Icmp(IcmpError::TimeExceeded)));
    let error = world.app::<Ping>(ping).unwrap().probes()[0].error.unwrap();
    assert_eq!(error, (IcmpError::TimeExceeded, ip("10.0.9.2")));
}

#[test]
fn routers_answer_pings() {
    let mut world = world(chain(1500));
    let ping = world.start("client", Ping::new(ip("10.0.9.2"), 3)).unwrap();
    let back = world.start("r2", Ping::new(ip("fd00::1"), 3)).unwrap();
    world.run_until_idle().unwrap();
    assert_eq!((world.summary(ping).trouble, world.summary(back).trouble), (None, None));
}

#[test]
fn tcp_finds_a_narrow_path() {
    for (is_v6, mtu) in [(false, 1400), (false, 600), (true, 1280)] {
        let mut world = world(chain(mtu));
        world.start("server", Server::echo(7)).unwrap();
        let plan = vec![Act::Send(50_000), Act::Receive(50_000), Act::Wait(SECOND)];
        let client = world.start("client", Client::new(server(is_v6, 7), plan)).unwrap();
        assert!(world.run_until_true(|world| world.summary(client).received.bytes() == 50_000).unwrap());
        let summary = world.summary(client);
        assert_eq!(summary.sent, summary.received, "IPv6 {is_v6}, {mtu} bytes");
        for node in ["client", "server"] {
            let node = world.node(node).unwrap();
            let mtus: Vec<usize> = world.tcp_sockets(node).map(|(_, socket)| socket.mtu).collect();
            assert_eq!(mtus, [mtu], "IPv6 {is_v6}: both sides were told");
        }
        let report = world.app::<Client>(client).unwrap().report().unwrap();
        assert_eq!(report.errors, 1, "packet too big, once");
    }
}

#[test]
fn a_black_hole_swallows_large_packets() {
    let hole = Fault::lose(When::Always).only(Filter { longer_than: Some(1400), ..Filter::default() });
    let link = LinkSpec { faults: vec![hole], ..millisecond() };
    let mut world = world(line(link, millisecond()));
    world.start("server", Server::sink(9)).unwrap();
    let mut client = Client::new(server(false, 9), vec![Act::Send(10_000), Act::Close]);
    client.options.give_up = 2 * MINUTE;
    let client = world.start("client", client).unwrap();
    world.run_until_idle().unwrap();
    assert_eq!(world.summary(client).trouble, Some(Trouble::Ended(Ending::TimedOut)));
}

#[test]
fn datagrams_are_cut_to_a_known_path() {
    for (is_v6, mtu) in [(false, 1400), (false, 300), (true, 1300)] {
        let mut world = world(chain(mtu));
        world.start("server", udp::Server::new(53, udp::Answer::Echo)).unwrap();
        let mut asking = udp::Client::new(server(is_v6, 53), 6);
        (asking.size, asking.retries) = (1400, 3);
        let client = world.start("client", asking).unwrap();
        world.run_until_idle().unwrap();
        let asked = world.app::<udp::Client>(client).unwrap();
        assert_eq!(asked.answered(), 6, "IPv6 {is_v6}, {mtu}: {:?}", asked.requests());
        let tries: Vec<u32> = asked.requests().iter().map(|request| request.tries).collect();
        assert!(
            tries[0] > 1 && tries[2..].iter().all(|&tries| tries == 1),
            "{tries:?}: learned from the first"
        );
    }
}

#[test]
fn a_router_cuts_what_may_be_cut() {
    let mut topology = chain(500);
    topology.script("player").interface("eth0", "a", &[cidr("10.0.0.9/24")]).default_route(ip("10.0.0.2"));
    let mut world = world(topology);
    let serving = world.start("server", udp::Server::new(53, udp::Answer::Nothing)).unwrap();
    let data = [7; 4000];
    let src = "10.0.0.9:1000".parse().unwrap();
    let packet = Datagram { src, dst: server(false, 53), hop_limit: 64, data: &data }.write().unwrap();
    let port = world.port("player", None).unwrap();
    // In pieces that may be cut again, the last first.
    let pieces = fragment(&packet, 1500, 77).unwrap();
    assert_eq!(pieces.len(), 3);
    for piece in pieces.into_iter().rev() {
        world.play(port, piece);
    }
    world.run_until_idle().unwrap();
    assert_eq!(world.app::<udp::Server>(serving).unwrap().datagrams(), 1);
    assert_eq!(world.summary(serving).received.bytes(), 4000);
    assert!(world.host_count(world.node("server").unwrap()).received > 8);
}

#[test]
fn fragments_that_stay_alone_are_told_of() {
    for is_v6 in [false, true] {
        let mut topology = chain(1500);
        topology
            .script("player")
            .interface("eth0", "a", &[cidr("10.0.0.9/24"), cidr("fd00::9/64")])
            .default_route(ip("10.0.0.2"))
            .default_route(ip("fd00::2"));
        let mut world = world(topology);
        let src = if is_v6 { "[fd00::9]:1000" } else { "10.0.0.9:1000" }.parse().unwrap();
        let packet =
            Datagram { src, dst: server(is_v6, 53), hop_limit: 64, data: &[7; 4000] }.write().unwrap();
        let port = world.port("player", None).unwrap();
        for piece in fragment(&packet, 1400, 77).unwrap().into_iter().take(2) {
            world.play(port, piece);
        }
        world.run_until_idle().unwrap();
        let seen = world.seen(world.node("player").unwrap());
        assert_eq!(seen.len(), 1);
        let patience = if is_v6 { 60 } else { 30 };
        assert_eq!(seen[0].at / SECOND, patience);
        let header = Header::read(&seen[0].bytes).unwrap();
        let said = conntruth_sim::packet::read_icmp_error(&header, &seen[0].bytes).unwrap();
        assert_eq!((said.error, said.src), (IcmpError::ReassemblyTimeout, src));
    }
}

#[test]
fn what_has_no_route_is_told() {
    let mut topology = chain(1500);
    topology.find("r2").unwrap().routes.clear();
    topology.find("r2").unwrap().route(cidr("10.0.0.0/24"), ip("10.0.9.1"));
    topology.host("stranger").interface("eth0", "a", &[cidr("10.0.0.3/24")]);
    let mut world = world(topology);
    // The host itself has none; a router on the way has none; nobody has the address.
    let own = world.start("stranger", Client::new(server(false, 7), vec![])).unwrap();
    assert_eq!(world.check(own).unwrap_err().to_string(), "stranger has no route to 10.0.1.1");
    let mut ping = Ping::new(ip("192.0.2.1"), 1);
    ping.patience = SECOND;
    let far = world.start("client", ping).unwrap();
    assert_eq!(
        world.check(far).unwrap_err().to_string(),
        "client has no route to 192.0.2.1: the way ends at r2"
    );
    let nobody = world.start("client", Ping::new(ip("10.0.9.77"), 1)).unwrap();
    let near =
        world.start("client", Client::new("10.0.0.77:7".parse().unwrap(), vec![Act::Send(1)])).unwrap();
    world.run_until_idle().unwrap();
    assert_eq!(world.summary(own).trouble, Some(Trouble::Os(OsError::NoRoute { to: ip("10.0.1.1") })));
    assert_eq!(world.summary(far).trouble, Some(Trouble::Icmp(IcmpError::NoRoute)));
    assert_eq!(world.summary(nobody).trouble, Some(Trouble::Icmp(IcmpError::HostUnreachable)));
    let unreachable = Trouble::Ended(Ending::Unreachable(IcmpError::HostUnreachable));
    assert_eq!(world.summary(near).trouble, Some(unreachable));
}

#[test]
fn a_circle_of_routes_ends() {
    let mut topology = chain(1500);
    topology.find("r2").unwrap().routes.clear();
    topology.find("r2").unwrap().default_route(ip("10.0.9.1"));
    topology.find("r1").unwrap().default_route(ip("10.0.9.2"));
    let mut world = world(topology);
    let lost = world.start("client", Ping::new(ip("192.0.2.1"), 1)).unwrap();
    let said = world.check(lost).unwrap_err().to_string();
    assert_eq!(said, "the way from client to 192.0.2.1 leads in a circle: it comes by r1 twice");
    world.run_until_idle().unwrap();
    assert_eq!(world.summary(lost).trouble, Some(Trouble::Icmp(IcmpError::TimeExceeded)));
    assert!(world.count().packets < 100);
}

/// Counts what goes by, there and back.
#[derive(Default)]
struct Counting {
    pass: PassThrough,
    seen: Rc<Cell<(u32, u32)>>,
}

impl Middlebox for Counting {
    fn install(&mut self, site: &Site) -> Result<(), String> {
        self.pass.install(site)
    }

    fn handle(&mut self, now: u64, from: Edge, packet: Vec<u8>, out: &mut Vec<(Edge, Vec<u8>)>) {
        let (there, back) = self.seen.get();
        let is_there = from == Edge::Interface(0);
        self.seen.set(if is_there { (there + 1, back) } else { (there, back + 1) });
        self.pass.handle(now, from, packet, out);
    }
}

#[test]
fn the_way_back_may_be_another() {
    let mut topology = line(millisecond(), millisecond());
    topology.router("detour").interface("in", "inside", &[cidr("10.0.0.253/24")]).interface(
        "out",
        "outside",
        &[cidr("10.0.1.253/24")],
    );
    topology.find("server").unwrap().route(cidr("10.0.0.0/24"), ip("10.0.1.253"));
    let mut world = world(topology);
    let counting = Counting::default();
    let seen = counting.seen.clone();
    world.install("box", Box::new(counting)).unwrap();
    world.start("server", Server::echo(7)).unwrap();
    let plan = vec![Act::Send(1000), Act::Receive(1000), Act::Close];
    let client = world.start("client", Client::new(server(false, 7), plan)).unwrap();
    world.run_until_idle().unwrap();
    assert_eq!(world.summary(client).received.bytes(), 1000);
    assert!(seen.get().0 > 3);
    assert_eq!(seen.get().1, 0, "the box saw one way alone");
}

#[test]
fn a_box_can_be_passed_by() {
    let mut world = world(line(millisecond(), millisecond()));
    let counting = Counting::default();
    let seen = counting.seen.clone();
    world.install("box", Box::new(counting)).unwrap();
    // From the first second to the second one, TCP goes by.
    world.offload("box", |now, _| (SECOND..2 * SECOND).contains(&now)).unwrap();
    world.start("server", Server::echo(7)).unwrap();
    let part = [Act::Send(1000), Act::Receive(1000), Act::Wait(SECOND)];
    let plan = part.iter().chain(&part).chain(&part).cloned().collect();
    let client = world.start("client", Client::new(server(false, 7), plan)).unwrap();
    world.run_until(500 * MILLISECOND).unwrap();
    let first = seen.get();
    world.run_until(1900 * MILLISECOND).unwrap();
    assert_eq!((first, world.summary(client).received.bytes()), (seen.get(), 2000));
    world.run_until(5 * SECOND).unwrap();
    assert_eq!(world.summary(client).received.bytes(), 3000);
    assert!(seen.get().0 > first.0);
    world.end_offload("box").unwrap();
    assert!(world.offload("client", |_, _| true).is_err(), "a host is no box");
}

#[test]
fn the_box_has_a_host_of_its_own() {
    let mut world = world(line(millisecond(), millisecond()));
    world.start("box", Server::echo(7)).unwrap();
    world.start("server", Server::echo(7)).unwrap();
    let plan = || vec![Act::Send(3000), Act::Receive(3000), Act::Close];
    let mut large = udp::Client::new(server(false, 53), 2);
    large.size = 5000;
    world.start("server", udp::Server::new(53, udp::Answer::Echo)).unwrap();
    // To the box, from the box, and the box with itself, by its address and by loopback.
    let apps = [
        world.start("client", Client::new("10.0.0.254:7".parse().unwrap(), plan())),
        world.start("box", Client::new(server(false, 7), plan())),
        world.start("box", Client::new("10.0.0.254:7".parse().unwrap(), plan())),
        world.start("box", Client::new("127.0.0.1:7".parse().unwrap(), plan())),
        world.start("box", Client::new("[::1]:7".parse().unwrap(), plan())),
        world.start("box", large),
        world.start("box", Ping::new(ip("127.0.0.1"), 2)),
    ]
    .map(Result::unwrap);
    world.run_until_idle().unwrap();
    for (at, app) in apps.into_iter().enumerate() {
        let summary = world.summary(app);
        assert_eq!(summary.trouble, None, "application {at}");
        assert_eq!(summary.sent, summary.received, "application {at}");
    }
}

#[test]
fn a_host_with_two_interfaces_talks_by_the_nearer_one() {
    let mut topology = line(millisecond(), millisecond());
    topology.host("both").interface("one", "inside", &[cidr("10.0.0.50/24")]).interface(
        "two",
        "outside",
        &[cidr("10.0.1.50/24")],
    );
    let mut world = world(topology);
    world.start("server", Server::echo(7)).unwrap();
    world.start("client", Server::echo(7)).unwrap();
    let plan = || vec![Act::Send(10), Act::Receive(10), Act::Close];
    let out = world.start("both", Client::new(server(false, 7), plan())).unwrap();
    let inside = world.start("both", Client::new("10.0.0.1:7".parse().unwrap(), plan())).unwrap();
    world.run_until_idle().unwrap();
    let local = |app| world.app::<Client>(app).unwrap().report().unwrap().local.unwrap().ip();
    assert_eq!((local(out), local(inside)), (ip("10.0.1.50"), ip("10.0.0.50")));
    assert_eq!(world.link_count(world.port("box", None).unwrap(), conntruth_sim::link::Way::Up).sent, 0);
}
