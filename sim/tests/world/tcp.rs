//! What the host layer adds to smoltcp's TCP: time, backlogs, windows, and the states that people look at.

use conntruth_sim::Seed;
use conntruth_sim::app::tcp::{Client, Crowd, Server};
use conntruth_sim::app::{Act, Reading, Trouble};
use conntruth_sim::host::{Ending, TcpOptions, TcpState};
use conntruth_sim::link::{Fault, Filter, LinkSpec, Way, When};
use conntruth_sim::packet::{Header, TcpHead};
use conntruth_sim::time::{DAY, HOUR, MILLISECOND, MINUTE, SECOND};
use conntruth_sim::world::{Moment, PortId, Watcher, World};

use crate::base::{line, millisecond, server};

fn world() -> World {
    World::new(line(millisecond(), millisecond()), Seed(11)).unwrap()
}

fn states(world: &World, node: &str) -> Vec<TcpState> {
    world.tcp_sockets(world.node(node).unwrap()).map(|(_, socket)| socket.state).collect()
}

#[test]
fn nobody_answers_a_syn_for_two_minutes() {
    let lost = Fault::lose(When::Always).on_the_way(Way::Down);
    let deaf = LinkSpec { faults: vec![lost], ..millisecond() };
    let mut world = World::new(line(millisecond(), deaf), Seed(11)).unwrap();
    let client = world.start("client", Client::new(server(false, 7), vec![])).unwrap();
    world.run_until(2 * SECOND).unwrap();
    assert_eq!(states(&world, "client"), [TcpState::SynSent]);
    world.run_until_idle().unwrap();
    assert_eq!(world.summary(client).trouble, Some(Trouble::Ended(Ending::TimedOut)));
    assert_eq!(world.summary(client).took(), Some(127 * SECOND));
    assert_eq!(world.link_count(world.port("client", None).unwrap(), Way::Up).sent, 7, "six retransmissions");
    assert!(states(&world, "client").is_empty());
}

#[test]
fn a_half_open_connection_is_cleaned_up() {
    // The client's third segment and its resets never arrive.
    let lost = Fault::lose(When::Always).only(Filter { flags_clear: TcpHead::SYN, ..Filter::tcp_flags(0) });
    let link = LinkSpec { faults: vec![lost.on_the_way(Way::Up)], ..millisecond() };
    let mut world = World::new(line(link, millisecond()), Seed(11)).unwrap();
    let serving = world.start("server", Server::echo(7)).unwrap();
    let mut client = Client::new(server(false, 7), vec![Act::Send(10)]);
    client.options.give_up = 10 * SECOND;
    world.start("client", client).unwrap();
    world.run_until(5 * SECOND).unwrap();
    assert_eq!(states(&world, "server"), [TcpState::SynReceived]);
    world.run_until_idle().unwrap();
    assert!(states(&world, "server").is_empty());
    assert_eq!(world.app::<Server>(serving).unwrap().accepted(), 0);
}

#[test]
fn a_backlog_is_limited() {
    let lost = Fault::lose(When::Between { from: 0, until: 1500 * MILLISECOND })
        .only(Filter { flags_clear: TcpHead::SYN, ..Filter::tcp_flags(0) });
    let link = LinkSpec { faults: vec![lost.on_the_way(Way::Up)], ..millisecond() };
    let mut world = World::new(line(link, millisecond()), Seed(11)).unwrap();
    let mut serving = Server::sink(9);
    serving.options.backlog = 5;
    let serving = world.start("server", serving).unwrap();
    let mut crowd = Crowd::new(server(false, 9), 20, vec![Act::Send(10), Act::Close]);
    crowd.interval = 10 * MILLISECOND;
    let crowd = world.start("client", crowd).unwrap();
    world.run_until(SECOND).unwrap();
    assert_eq!(states(&world, "server").len(), 5);
    let full = world.host_count(world.node("server").unwrap()).backlog_full;
    assert!(full >= 15, "{full}");
    // They come again, and there is room then.
    world.run_until_idle().unwrap();
    assert_eq!(world.app::<Crowd>(crowd).unwrap().over(), (20, 0));
    assert_eq!(world.app::<Server>(serving).unwrap().over(), 20);
}

#[test]
fn keep_alive_notices_a_dead_peer_and_keeps_a_living_one() {
    for cut in [false, true] {
        let mut world = world();
        world.start("server", Server::echo(7)).unwrap();
        let mut client = Client::new(server(false, 7), vec![Act::Send(10), Act::Receive(10), Act::Wait(DAY)]);
        client.options.keep_alive = Some(MINUTE);
        client.options.give_up = 5 * MINUTE;
        let client = world.start("client", client).unwrap();
        if cut {
            world.cut_at(HOUR, world.port("client", None).unwrap(), true);
        }
        world.run_until(2 * HOUR).unwrap();
        let report = world.app::<Client>(client).unwrap().report().unwrap();
        assert_eq!(report.ending, cut.then_some(Ending::TimedOut));
        if cut {
            let ended = report.ended.unwrap();
            assert!((HOUR + 5 * MINUTE..=HOUR + 6 * MINUTE).contains(&ended), "{ended}");
        } else {
            let sent = world.link_count(world.port("client", None).unwrap(), Way::Up).sent;
            assert!((120..130).contains(&sent), "a probe a minute: {sent}");
        }
    }
}

#[test]
fn a_slow_reader_closes_its_window_and_opens_it_again() {
    let mut world = world();
    let mut sink = Server::sink(9);
    sink.reading = Reading::Slow { bytes: 1000, every: 100 * MILLISECOND };
    sink.options.receive_buffer = 8000;
    let sink = world.start("server", sink).unwrap();
    let client =
        world.start("client", Client::new(server(false, 9), vec![Act::Send(60_000), Act::Close])).unwrap();
    world.run_until(SECOND).unwrap();
    let node = world.node("client").unwrap();
    assert!(world.tcp_sockets(node).any(|(_, socket)| socket.send_queue > 10_000));
    world.run_until_idle().unwrap();
    let report = world.app::<Server>(sink).unwrap().reports().next().unwrap();
    assert_eq!(report.received, world.summary(client).sent);
    assert!(report.ended.unwrap() > 5 * SECOND);
}

#[test]
fn a_reader_who_never_reads_is_probed_for_ever() {
    let mut world = world();
    let mut sink = Server::sink(9);
    sink.reading = Reading::Never;
    sink.options.receive_buffer = 4000;
    world.start("server", sink).unwrap();
    let client =
        world.start("client", Client::new(server(false, 9), vec![Act::Send(60_000), Act::Close])).unwrap();
    world.run_until(DAY).unwrap();
    assert!(!world.summary(client).is_done);
    assert_eq!(states(&world, "client"), [TcpState::Established]);
    let sent = world.link_count(world.port("client", None).unwrap(), Way::Up).sent;
    assert!((1400..1600).contains(&sent), "a probe a minute: {sent}");
}

#[test]
fn the_one_who_closes_first_waits() {
    let mut world = world();
    world.start("server", Server::source(19, 1000)).unwrap();
    let plan = || vec![Act::ReceiveAll, Act::Close];
    let from_port = |port| {
        let mut client = Client::new(server(false, 19), plan());
        client.port = Some(port);
        client
    };
    let first = world.start("client", from_port(5000)).unwrap();
    world.run_until(SECOND).unwrap();
    assert_eq!((states(&world, "server"), states(&world, "client")), (vec![TcpState::TimeWait], vec![]));
    // The same ends again: TIME_WAIT gives way to numbers beyond its own, or the new client is told to come again.
    let second = world.start("client", from_port(5000)).unwrap();
    world.run_until(15 * SECOND).unwrap();
    for app in [first, second] {
        assert_eq!(world.summary(app).received.bytes(), 1000, "{:?}", world.summary(app));
    }
    world.run_until_idle().unwrap();
    assert!(states(&world, "server").is_empty());
}

#[test]
fn a_let_go_connection_is_not_waited_for() {
    let mut world = world();
    world.start("server", Server::new(9, vec![Act::Wait(HOUR)])).unwrap();
    let client =
        world.start("client", Client::new(server(false, 9), vec![Act::Send(10), Act::Close])).unwrap();
    world.run_until(SECOND).unwrap();
    assert_eq!(states(&world, "client"), [TcpState::FinWait2]);
    assert_eq!(states(&world, "server"), [TcpState::CloseWait]);
    world.run_until(2 * MINUTE).unwrap();
    assert!(states(&world, "client").is_empty(), "a minute in FIN_WAIT2 is enough");
    assert!(world.summary(client).is_done);
}

#[test]
fn ports_and_addresses_can_be_chosen_once() {
    let mut world = world();
    world.start("server", Server::echo(7)).unwrap();
    let again = world.start("server", Server::echo(7)).unwrap();
    assert_eq!(world.summary(again).trouble.unwrap().to_string(), "port 7 is in use");
    let chosen = |port| {
        let mut client =
            Client::new(server(false, 7), vec![Act::Send(10), Act::Receive(10), Act::Wait(SECOND)]);
        client.port = Some(port);
        client
    };
    let first = world.start("client", chosen(4000)).unwrap();
    let second = world.start("client", chosen(4000)).unwrap();
    world.run_until(SECOND).unwrap();
    assert_eq!(world.app::<Client>(first).unwrap().report().unwrap().local.unwrap().port(), 4000);
    assert_eq!(world.summary(second).trouble.unwrap().to_string(), "port 4000 is in use");
    let mut wrong = Client::new(server(false, 7), vec![]);
    wrong.address = Some("10.9.9.9".parse().unwrap());
    let wrong = world.start("client", wrong).unwrap();
    assert_eq!(world.summary(wrong).trouble.unwrap().to_string(), "10.9.9.9:0 is not an address to use here");
}

/// Keeps the TCP heads that an interface sends.
struct Heads(PortId, Vec<(u64, TcpHead, u16)>);

impl Watcher for Heads {
    fn packet(&mut self, at: u64, port: PortId, moment: Moment, bytes: &[u8]) {
        if port == self.0
            && moment == Moment::Sent
            && let Some(header) = Header::read(bytes)
            && let Some(head) = header.tcp(bytes)
        {
            let window = u16::from_be_bytes([bytes[header.transport + 14], bytes[header.transport + 15]]);
            self.1.push((at, head, window));
        }
    }
}

#[test]
fn options_show_on_the_wire() {
    let mut world = world();
    world.start("server", Server::echo(7)).unwrap();
    let port = world.port("client", None).unwrap();
    world.watch(Heads(port, Vec::new()));
    let mut client = Client::new(server(false, 7), vec![Act::Send(10), Act::Receive(10)]);
    client.options =
        TcpOptions { receive_buffer: 20_000, ack_delay: None, hop_limit: 9, ..TcpOptions::default() };
    world.start("client", client).unwrap();
    world.run_until(SECOND).unwrap();
    let heads: Heads = world.unwatch().pop().unwrap();
    let (at, head, window) = heads.1[0];
    assert_eq!((at, head.flags, window), (0, TcpHead::SYN, 20_000));
    // SYN, its data with the ACK's news or after it, and an ACK that does not wait.
    let last = heads.1.last().unwrap();
    assert_eq!((last.0 / MILLISECOND, last.1.data), (8, 0));
}
