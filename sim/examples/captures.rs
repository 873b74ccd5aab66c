//! Two hosts, a router between them with a narrow link, and captures of all wires.
//!
//! `cargo run -p conntruth-sim --example captures -- FOLDER`, then `tshark -r FOLDER/client-eth0.pcap`.

use std::error::Error;
use std::path::PathBuf;

use conntruth_sim::app::ftp::{self, Mode, Order};
use conntruth_sim::app::ping::Ping;
use conntruth_sim::app::traceroute::Traceroute;
use conntruth_sim::app::{Content, dns, tftp, udp};
use conntruth_sim::capture::Recorder;
use conntruth_sim::link::{Fault, LinkSpec, When};
use conntruth_sim::packet::Cidr;
use conntruth_sim::time::{MILLISECOND, SECOND};
use conntruth_sim::{Chance, Seed, Topology, World};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("which folder?")?);
    let mut world = World::new(topology()?, Seed(1))?;
    world.watch(Recorder::in_folder(&world, &folder)?);
    let files = [("readme.txt".to_owned(), Content(1).bytes(20_000))].into();
    world.start("server", ftp::Server::new(21, files))?;
    world.start("server", dns::Server::new(&[("www.example", &["10.0.1.1".parse()?])]))?;
    world.start("server", udp::Server::new(5000, udp::Answer::Bytes(3000)))?;
    world.start("server", tftp::Server::new([("boot".to_owned(), Content(2).bytes(2000))].into()))?;
    let login = Order::Login { user: "anonymous".to_owned(), password: "me@example".to_owned() };
    let orders =
        vec![login, Order::List(Mode::Port), Order::Get(Mode::Pasv, "readme.txt".to_owned()), Order::Quit];
    let ftp = world.start("client", ftp::Client::new("10.0.1.1:21".parse()?, orders))?;
    let name = world.start("client", dns::Resolver::new("10.0.1.1:53".parse()?, &["www.example"]))?;
    let datagrams = world.start("client", udp::Client::new("[fd00:1::1]:5000".parse()?, 3))?;
    let boot = world.start("client", tftp::Client::get("10.0.1.1:69".parse()?, "boot"))?;
    let ping = world.start("client", Ping::new("fd00:1::1".parse()?, 3))?;
    let trace = world.start("client", Traceroute::new("10.0.1.1".parse()?))?;
    world.run_until_idle()?;
    for app in [ftp, name, datagrams, boot, ping, trace] {
        assert!(world.summary(app).is_done, "{}", world.summary(app));
    }
    world.unwatch::<Recorder>().into_iter().try_for_each(|recorder| recorder.finish().map(drop))?;
    assert!(world.now() > SECOND);
    Ok(())
}

fn topology() -> Result<Topology, Box<dyn Error>> {
    let cidr = |text: &str| text.parse::<Cidr>();
    let losing = Fault::lose(When::Chance(Chance::percent(2).ok_or("more than all")?));
    let link = LinkSpec { latency: 5 * MILLISECOND, mtu: 1400, faults: vec![losing], ..LinkSpec::default() };
    let mut topology = Topology::default();
    topology.network("inside").network("outside");
    topology
        .host("client")
        .interface("eth0", "inside", &[cidr("10.0.0.1/24")?, cidr("fd00::1/64")?])
        .default_route("10.0.0.254".parse()?)
        .default_route("fd00::fe".parse()?);
    topology
        .router("router")
        .interface("inside", "inside", &[cidr("10.0.0.254/24")?, cidr("fd00::fe/64")?])
        .interface_by("outside", "outside", &[cidr("10.0.1.254/24")?, cidr("fd00:1::fe/64")?], link);
    topology
        .host("server")
        .interface("eth0", "outside", &[cidr("10.0.1.1/24")?, cidr("fd00:1::1/64")?])
        .default_route("10.0.1.254".parse()?)
        .default_route("fd00:1::fe".parse()?);
    Ok(topology)
}
