//! What the tracker believes of what hosts do.

use conntruth::middlebox::{Passed, Tracked};
use conntruth_engine::{Class, CtInfo, Direction, EventKind, Reason, Verdict};
use conntruth_sim::app::ftp::{self, Mode, Order};
use conntruth_sim::app::ping::Ping;
use conntruth_sim::app::tcp::{Client, Server};
use conntruth_sim::app::traceroute::Traceroute;
use conntruth_sim::app::{Act, Trouble, udp};
use conntruth_sim::host::TcpState;
use conntruth_sim::link::{Fault, LinkSpec, When};
use conntruth_sim::middlebox::Edge;
use conntruth_sim::time::{DAY, MILLISECOND, MINUTE, SECOND};
use conntruth_sim::world::World;

use crate::base::{ip, millisecond, server};
use crate::support::{world, world_by};

fn tracked(world: &mut World) -> &mut Tracked {
    let node = world.node("box").expect("there is a box");
    world.middlebox(node).expect("our tracker is in it")
}

/// The table in the words of `conntrack -L`, without what follows the state and status.
fn table(world: &mut World) -> Vec<String> {
    tracked(world).engine().conns().map(|conn| conn.to_string()).collect()
}

fn keep(world: &mut World) {
    tracked(world).keep();
    tracked(world).engine().listen();
}

fn passed(world: &mut World) -> Vec<Passed> {
    let tracked = tracked(world);
    std::iter::from_fn(|| tracked.poll_passed()).collect()
}

fn states(world: &mut World) -> Vec<String> {
    let engine = tracked(world).engine();
    let mut states: Vec<String> = std::iter::from_fn(|| engine.poll_event())
        .map(|event| match event.kind {
            EventKind::Destroy => "destroyed".to_owned(),
            _ => event.conn.to_string().split_whitespace().nth(3).unwrap_or_default().to_owned(),
        })
        .collect();
    states.dedup();
    states
}

#[test]
fn a_connection_from_its_first_packet_to_its_entrys_end() {
    let mut world = world();
    keep(&mut world);
    world.start("server", Server::echo(7)).unwrap();
    let plan = vec![Act::Send(1000), Act::Receive(1000), Act::Wait(SECOND), Act::Close];
    let client = world.start("client", Client::new(server(false, 7), plan)).unwrap();
    world.run_until(500 * MILLISECOND).unwrap();
    let entries = table(&mut world);
    assert_eq!(entries.len(), 1);
    let said = &entries[0];
    assert!(
        said.starts_with("tcp      6 43") && said.contains("ESTABLISHED") && said.contains("[ASSURED]"),
        "{said}"
    );
    world.run_until(5 * SECOND).unwrap();
    let said = table(&mut world).remove(0);
    assert!(said.contains("TIME_WAIT"), "{said}");
    world.run_until(200 * SECOND).unwrap();
    assert!(table(&mut world).is_empty());
    assert_eq!(world.summary(client).trouble, None);
    let went = states(&mut world);
    assert_eq!(
        went,
        [
            "SYN_SENT",
            "SYN_RECV",
            "ESTABLISHED",
            "FIN_WAIT",
            "CLOSE_WAIT",
            "LAST_ACK",
            "TIME_WAIT",
            "destroyed"
        ]
    );
    let passed = passed(&mut world);
    assert!(passed.iter().all(|packet| matches!(packet.outcome.class, Class::Tracked(_))));
    let directions = passed.iter().map(|packet| match packet.outcome.class {
        Class::Tracked(info) => (info.direction(), packet.from, packet.to),
        _ => unreachable!("all are tracked"),
    });
    for (direction, from, to) in directions {
        let (expected_from, expected_to) = match direction {
            Direction::Original => (0, 1),
            Direction::Reply => (1, 0),
        };
        assert_eq!((from, to), (Edge::Interface(expected_from), Some(Edge::Interface(expected_to))));
    }
}

#[test]
fn an_entry_dies_under_a_connection_that_both_hosts_believe_in() {
    let mut world = world();
    world.start("server", Server::echo(7)).unwrap();
    let plan = vec![Act::Send(10), Act::Receive(10), Act::Wait(6 * DAY), Act::Send(10), Act::Receive(10)];
    let client = world.start("client", Client::new(server(false, 7), plan)).unwrap();
    world.run_until(5 * DAY - SECOND).unwrap();
    assert_eq!(table(&mut world).len(), 1);
    world.run_until(5 * DAY + SECOND).unwrap();
    assert!(table(&mut world).is_empty());
    for node in ["client", "server"] {
        let node = world.node(node).unwrap();
        assert!(world.tcp_sockets(node).all(|(_, socket)| socket.state == TcpState::Established));
    }
    // Picked up again: `tcp_loose` is on.
    world.run_until(6 * DAY + 2 * SECOND).unwrap();
    assert_eq!(world.summary(client).received.bytes(), 20);
    assert_eq!(table(&mut world).len(), 1);
}

#[test]
fn keep_alive_keeps_the_entry_too() {
    let mut world = world();
    world.start("server", Server::echo(7)).unwrap();
    let mut client = Client::new(server(false, 7), vec![Act::Send(10), Act::Receive(10)]);
    client.options.keep_alive = Some(2 * 60 * MINUTE);
    world.start("client", client).unwrap();
    world.run_until(12 * DAY).unwrap();
    assert_eq!(table(&mut world).len(), 1);
}

#[test]
fn errors_are_related_to_what_they_are_about() {
    let mut world = world();
    keep(&mut world);
    let lost = world.start("client", udp::Client::new(server(false, 9), 1)).unwrap();
    world.run_until(SECOND).unwrap();
    assert!(matches!(world.summary(lost).trouble, Some(Trouble::Icmp(_))));
    let classes: Vec<Class> = passed(&mut world).iter().map(|packet| packet.outcome.class).collect();
    assert_eq!(classes, [Class::Tracked(CtInfo::New), Class::Tracked(CtInfo::RelatedReply)]);
    // What the box itself complains of is tracked where it leaves: at its own host.
    let trace = world.start("client", Traceroute::new(ip("10.0.1.1"))).unwrap();
    world.run_until(2 * SECOND).unwrap();
    let routers: Vec<_> = world.app::<Traceroute>(trace).unwrap().routers();
    assert_eq!(routers, [Some(ip("10.0.0.254")), Some(ip("10.0.1.1"))]);
    let passed = passed(&mut world);
    assert_eq!(passed[0].to, None, "its hop limit was used up");
    assert_eq!(passed[1].from, Edge::Local);
    // The probe was dropped before it was confirmed, so the error is about nothing that is known.
    assert_eq!(passed[1].outcome.class, Class::Invalid);
    assert_eq!(passed[1].outcome.reason, Reason::IcmpInnerUnknown {});
}

#[test]
fn fragments_are_held_and_go_on_as_they_came() {
    let mut world = world();
    keep(&mut world);
    world.start("server", udp::Server::new(53, udp::Answer::Nothing)).unwrap();
    let mut large = udp::Client::new(server(true, 53), 1);
    (large.size, large.patience) = (4000, 0);
    world.start("client", large).unwrap();
    world.run_until(SECOND).unwrap();
    let passed = passed(&mut world);
    let classes: Vec<Class> = passed.iter().map(|packet| packet.outcome.class).collect();
    assert_eq!(classes, [Class::Held, Class::Held, Class::Tracked(CtInfo::New)]);
    let server = world.node("server").unwrap();
    assert_eq!(world.host_count(server).received, 3);
    assert_eq!(table(&mut world).len(), 1);
}

#[test]
fn ftp_without_a_helper_is_connections_of_their_own() {
    let mut world = world();
    keep(&mut world);
    let files = [("file".to_owned(), vec![1; 5000])].into();
    world.start("server", ftp::Server::new(21, files)).unwrap();
    let login = Order::Login { user: "me".to_owned(), password: "x".to_owned() };
    let orders = vec![
        login,
        Order::Get(Mode::Port, "file".to_owned()),
        Order::Get(Mode::Pasv, "file".to_owned()),
        Order::Quit,
    ];
    let client = world.start("client", ftp::Client::new(server(false, 21), orders)).unwrap();
    world.run_until(5 * SECOND).unwrap();
    assert_eq!(world.summary(client).trouble, None);
    let entries = table(&mut world);
    assert_eq!(entries.len(), 3, "{entries:#?}");
    assert!(entries.iter().any(|entry| entry.contains("src=10.0.1.1 dst=10.0.0.1 sport=20")), "{entries:#?}");
    let news = passed(&mut world)
        .iter()
        .filter(|packet| packet.outcome.class == Class::Tracked(CtInfo::New))
        .count();
    assert_eq!(news, 3);
}

#[test]
fn the_boxs_own_host_is_tracked_at_output_and_input() {
    let mut world = world();
    keep(&mut world);
    world.start("box", Server::echo(7)).unwrap();
    let plan = || vec![Act::Send(10), Act::Receive(10), Act::Close];
    let inward = world.start("client", Client::new("10.0.0.254:7".parse().unwrap(), plan())).unwrap();
    let looped = world.start("box", Client::new("127.0.0.1:7".parse().unwrap(), plan())).unwrap();
    let outward = world.start("box", Ping::new(ip("10.0.1.1"), 1)).unwrap();
    world.run_until(5 * SECOND).unwrap();
    for app in [inward, looped, outward] {
        assert_eq!(world.summary(app).trouble, None);
    }
    assert_eq!(table(&mut world).len(), 3);
    let passed = passed(&mut world);
    let ways = |from, to| passed.iter().filter(|packet| (packet.from, packet.to) == (from, Some(to))).count();
    assert!(ways(Edge::Local, Edge::Local) > 5, "loopback");
    assert!(ways(Edge::Interface(0), Edge::Local) > 3 && ways(Edge::Local, Edge::Interface(0)) > 3);
    assert_eq!((ways(Edge::Local, Edge::Interface(1)), ways(Edge::Interface(1), Edge::Local)), (1, 1));
    assert!(passed.iter().all(|packet| packet.outcome.verdict == Verdict::Accept));
}

#[test]
fn nothing_honest_is_invalid_on_a_rough_way() {
    // Losses, copies and packets out of order, with a fast and a slow reader: honest hosts stay inside the windows.
    let percent = |count| When::Chance(conntruth_sim::Chance::percent(count).unwrap());
    let rough = LinkSpec {
        jitter: 3 * MILLISECOND,
        faults: vec![
            Fault::lose(percent(3)),
            Fault::new(conntruth_sim::link::What::Duplicate { after: MILLISECOND }, percent(3)),
            Fault::new(conntruth_sim::link::What::Delay { by: 9 * MILLISECOND }, percent(3)),
        ],
        ..millisecond()
    };
    let mut world = world_by(rough.clone(), rough);
    keep(&mut world);
    let mut echo = Server::echo(7);
    echo.options.receive_buffer = 8000;
    world.start("server", echo).unwrap();
    let plan = vec![Act::Send(200_000), Act::Receive(200_000), Act::Close];
    let client = world.start("client", Client::new(server(false, 7), plan)).unwrap();
    world.run_until(30 * MINUTE).unwrap();
    assert_eq!(world.summary(client).trouble, None);
    assert_eq!(world.summary(client).received, world.summary(client).sent);
    let passed = passed(&mut world);
    let invalid: Vec<&Passed> =
        passed.iter().filter(|packet| !matches!(packet.outcome.class, Class::Tracked(_))).collect();
    // A segment delayed or copied beyond its connection's end, or sent again when everything was acknowledged, is all
    // that a tracker may call invalid.
    assert!(passed.len() > 300, "{}", passed.len());
    assert!(
        invalid.len() * 50 < passed.len(),
        "{} of {}: {:#?}",
        invalid.len(),
        passed.len(),
        invalid.first()
    );
}

#[test]
fn a_world_with_a_tracker_is_the_same_each_time() {
    let run = || {
        let mut world = world();
        world.record();
        world.start("server", Server::echo(7)).unwrap();
        let plan = vec![Act::Send(30_000), Act::Receive(30_000), Act::Close];
        world.start("client", Client::new(server(true, 7), plan)).unwrap();
        world.start("client", Ping::new(ip("10.0.1.1"), 5)).unwrap();
        world.run_until(5 * MINUTE).unwrap();
        world
    };
    let (one, other) = (run(), run());
    assert_eq!(one.chain().first_difference(other.chain()), None);
    assert_eq!(one.chain().value(), other.chain().value());
}
