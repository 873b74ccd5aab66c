//! A client, a box and a server, a millisecond from each other, and many sessions.

use conntruth_sim::app::Act;
use conntruth_sim::app::tcp::{Crowd, Server};
use conntruth_sim::host::{TcpOptions, TcpSocket, TcpState};
use conntruth_sim::link::LinkSpec;
use conntruth_sim::middlebox::Middlebox;
use conntruth_sim::time::{MICROSECOND, MILLISECOND, SECOND};
use conntruth_sim::world::AppId;
use conntruth_sim::{Seed, Topology, World};
use std::net::SocketAddr;

/// Sessions in a run.
pub const SESSIONS: u64 = 50_000;

/// A port of the server.
pub fn server(port: u16) -> SocketAddr {
    SocketAddr::new([10, 0, 1, 1].into(), port)
}

/// The client 10.0.0.1 and the server 10.0.1.1 with a box between.
pub fn world(middlebox: Box<dyn Middlebox>) -> World {
    let cidr = |text: &str| text.parse().expect("an address");
    let link = LinkSpec { latency: MILLISECOND, ..LinkSpec::default() };
    let mut topology = Topology::default();
    topology.network("inside").network("outside");
    topology
        .host("client")
        .interface_by("eth0", "inside", &[cidr("10.0.0.1/24")], link.clone())
        .default_route([10, 0, 0, 254].into());
    topology.middlebox("box").interface("inside", "inside", &[cidr("10.0.0.254/24")]).interface(
        "outside",
        "outside",
        &[cidr("10.0.1.254/24")],
    );
    topology
        .host("server")
        .interface_by("eth0", "outside", &[cidr("10.0.1.1/24")], link)
        .default_route([10, 0, 1, 254].into());
    let mut world = World::new(topology, Seed(1)).expect("it makes sense");
    world.install("box", middlebox).expect("it is a middlebox");
    world
}

/// Buffers for a kibibyte each way.
pub fn small() -> TcpOptions {
    TcpOptions { receive_buffer: 4096, send_buffer: 4096, backlog: usize::MAX, ..TcpOptions::default() }
}

/// Opens so many connections that stay, 20,000 to a port.
pub fn open(world: &mut World, count: u64, options: TcpOptions) {
    let mut left = count;
    let mut port = 1000;
    while left > 0 {
        let mut server_app = Server::new(port, vec![Act::ReceiveAll, Act::Close]);
        server_app.options = options;
        world.start("server", server_app).expect("there is a server");
        let part = left.min(20_000);
        let mut crowd = Crowd::new(server(port), part, vec![Act::Receive(1)]);
        crowd.options = options;
        crowd.interval = MICROSECOND;
        world.start("client", crowd).expect("there is a client");
        world.run_for(SECOND).expect("it ends");
        left -= part;
        port += 1;
    }
    for node in ["client", "server"] {
        let node = world.node(node).expect("there is such a host");
        let is_open = |socket: &TcpSocket| socket.state == TcpState::Established;
        assert_eq!(world.tcp_sockets(node).filter(|(_, socket)| is_open(socket)).count() as u64, count);
    }
}

/// A world with so many open connections, and a crowd that has not begun.
pub fn prepare(middlebox: Box<dyn Middlebox>, others: u64) -> (World, Crowd) {
    let mut world = world(middlebox);
    open(&mut world, others, small());
    let ports: Vec<u16> = (8000..8008).collect();
    for &port in &ports {
        let mut echo = Server::new(port, vec![Act::Receive(1024), Act::Send(1024), Act::Close]);
        echo.options = small();
        echo.memory = 0;
        world.start("server", echo).expect("there is a server");
    }
    let plan = vec![Act::Send(1024), Act::Receive(1024), Act::Close];
    let mut crowd = Crowd::new(server(8000), SESSIONS, plan);
    crowd.to = ports.into_iter().map(server).collect();
    crowd.options = small();
    crowd.memory = 0;
    crowd.interval = 100 * MICROSECOND;
    (world, crowd)
}

/// Runs the crowd to its end.
pub fn run(world: &mut World, crowd: Crowd) -> AppId {
    let crowd = world.start("client", crowd).expect("there is a client");
    let holds = |world: &World| world.app::<Crowd>(crowd).is_some_and(|crowd| crowd.over().0 == SESSIONS);
    assert!(world.run_until_true(holds).expect("it ends"));
    assert_eq!(world.app::<Crowd>(crowd).expect("a crowd").over(), (SESSIONS, 0));
    crowd
}
