//! Topologies that make no sense are errors with names.

use conntruth_sim::app::ping::Ping;
use conntruth_sim::middlebox::{Edge, Middlebox, PassThrough};
use conntruth_sim::topology::{Site, Topology};
use conntruth_sim::world::{Limits, World};
use conntruth_sim::{Seed, time};

use crate::base::{cidr, ip, line, millisecond};

/// The line of a client, a box and a server, with one thing wrong.
fn wrong(change: impl FnOnce(&mut Topology)) -> String {
    let mut topology = line(millisecond(), millisecond());
    change(&mut topology);
    World::new(topology, Seed(1))
        .err()
        .map_or_else(|| "nothing is wrong".to_owned(), |error| error.to_string())
}

#[test]
fn what_is_wrong_is_named() {
    assert_eq!(wrong(|_| {}), "nothing is wrong");
    assert_eq!(
        wrong(|t| {
            t.network("inside");
        }),
        "there are two networks inside"
    );
    assert_eq!(
        wrong(|t| {
            t.host("client");
        }),
        "there are two hosts client"
    );
    assert_eq!(
        wrong(|t| {
            t.host("alone");
        }),
        "alone is wired to no network"
    );
    let third = |t: &mut Topology| {
        t.host("third").interface("eth0", "inside", &[cidr("10.0.0.1/24")]);
    };
    assert_eq!(wrong(third), "client and third have the same address 10.0.0.1");
    let lost = |t: &mut Topology| {
        t.host("third").interface("eth0", "insid", &[]);
    };
    assert_eq!(wrong(lost), "third is wired to insid, but there is no such network");
    let twice = |t: &mut Topology| {
        t.host("third").interface("a", "inside", &[]).interface("a", "outside", &[]);
    };
    assert_eq!(wrong(twice), "third has two interfaces a");
    for (address, shown) in [("224.0.0.1", "224.0.0.1/32"), ("0.0.0.0/0", "0.0.0.0/0"), ("::1", "::1/128")] {
        let nobody = |t: &mut Topology| {
            t.host("third").interface("a", "inside", &[cidr(address)]);
        };
        assert_eq!(wrong(nobody), format!("third cannot have the address {shown}"));
    }
    for via in ["10.0.0.77", "192.0.2.1"] {
        let far = |t: &mut Topology| {
            t.find("client").unwrap().route(cidr("10.2.0.0/16"), ip(via));
        };
        let said =
            format!("client routes 10.2.0.0/16 via {via}, but nobody on its networks has that address");
        assert_eq!(wrong(far), said);
    }
}

/// A box that is never where it should be.
struct Unwilling;

impl Middlebox for Unwilling {
    fn install(&mut self, site: &Site) -> Result<(), String> {
        Err(format!("{} interfaces are too many for me", site.interfaces.len()))
    }

    fn handle(&mut self, _: u64, _: Edge, _: Vec<u8>, _: &mut Vec<(Edge, Vec<u8>)>) {}
}

#[test]
fn names_that_nobody_has_are_errors() {
    let mut world = World::new(line(millisecond(), millisecond()), Seed(1)).unwrap();
    let said = |error: Option<conntruth_sim::topology::TopologyError>| error.unwrap().to_string();
    assert_eq!(said(world.start("cleint", Ping::new(ip("10.0.1.1"), 1)).err()), "there is no host cleint");
    assert_eq!(said(world.port("client", Some("eth9")).err()), "client has no interface eth9");
    assert_eq!(
        said(world.install("client", Box::new(PassThrough::default())).err()),
        "client is not a middlebox"
    );
    assert_eq!(
        said(world.install("box", Box::new(Unwilling)).err()),
        "box: 2 interfaces are too many for me"
    );
    for text in ["10.0.0.1/33", "10.0.0", "x/8", "fd00::/129", "/8", "10.0.0.1/"] {
        assert!(text.parse::<conntruth_sim::packet::Cidr>().is_err(), "{text}");
    }
}

#[test]
fn no_run_is_endless() {
    let world = || {
        let mut world = World::new(line(millisecond(), millisecond()), Seed(1)).unwrap();
        world.start("client", Ping::new(ip("10.0.1.1"), u16::MAX)).unwrap();
        world
    };
    let mut many = world();
    many.set_limits(Limits { events: 1000, ..Limits::default() });
    let said = many.run_until(time::DAY).unwrap_err().to_string();
    assert!(said.starts_with("it does not end: 1000 events have happened after "), "{said}");
    let mut late = world();
    late.set_limits(Limits { time: time::MINUTE, ..Limits::default() });
    let said = "it does not end before 60 s, the last moment";
    assert_eq!(late.run_until(time::HOUR).unwrap_err().to_string(), said);
    assert_eq!(late.run_until_idle().unwrap_err().to_string(), said);
    assert_eq!(late.now(), time::MINUTE);
}
