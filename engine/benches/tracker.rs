//! What a packet, a connection and an expiry cost, and what a connection weighs.
//!
//! `cargo bench -p conntruth-engine` prints, for each, the time of one item. `random_read` beside the large tables is a
//! dependent read of random memory as large as the table: the floor under anything that looks up one entry at a time.

use std::hint::black_box;

use conntruth_engine::{
    Addr, Engine, Family, Firewall, Helper, Hook, Interface, Journey, Knob, LINUX_6_18, Packet, Route,
    RuleSet, Time, Tuple,
};
use divan::Bencher;
use divan::counter::ItemsCount;

#[path = "support/traffic.rs"]
mod traffic;
use traffic::{Tcp, order, udp};

fn main() {
    let chosen = std::env::args().skip(1).any(|argument| argument != "--bench");
    if !chosen {
        weigh();
    }
    divan::main();
}

const MILLION: u32 = 1_000_000;

/// What a table of a million connections weighs, a connection.
#[allow(clippy::print_stdout)]
fn weigh() {
    let engine = filled(MILLION);
    let bytes = engine.table_bytes() / engine.len();
    println!("one of {MILLION} connections: {bytes} bytes, index and timer included");
}

/// A tracker that takes as many connections as there are.
fn boundless() -> Engine {
    let mut engine = Engine::new(&LINUX_6_18);
    engine.set(Knob::Max, 0).expect("0 is no limit");
    engine
}

fn filled(flows: u32) -> Engine {
    let mut engine = boundless();
    for flow in 0..flows {
        engine.forward(Time(u64::from(flow)), &Packet::new(&udp(flow)));
    }
    assert_eq!(engine.len(), flows as usize);
    engine
}

/// One UDP flow, 64 bytes a packet: parse, checksum, track, confirm.
#[divan::bench]
fn udp_one_flow(bencher: Bencher<'_, '_>) {
    let mut engine = filled(1);
    let packet = udp(0);
    let mut now = 0;
    bencher.counter(ItemsCount::new(1000_u32)).bench_local(|| {
        for _ in 0..1000 {
            now += 1000;
            black_box(engine.forward(Time(now), &Packet::new(&packet)));
        }
    });
}

/// One TCP flow, 64 bytes a packet, data one way and acknowledgements the other.
#[divan::bench]
fn tcp_one_flow(bencher: Bencher<'_, '_>) {
    let Tcp { opening, transfer } = Tcp::session();
    let mut engine = Engine::new(&LINUX_6_18);
    let mut now = 0;
    for packet in &opening {
        engine.forward(Time(now), &Packet::new(packet));
    }
    bencher.counter(ItemsCount::new(transfer.len())).bench_local(|| {
        for packet in &transfer {
            now += 1000;
            let outcome = black_box(engine.forward(Time(now), &Packet::new(packet)));
            debug_assert_eq!(outcome.reason.slug(), "tcp-in-window");
        }
    });
}

/// Lines of FTP's control connection, each with its acknowledgement: through the helper, where they announce nothing or a
/// data connection, which takes the place of the last; and the same lines without a helper.
#[divan::bench(args = ["NOOP", "PORT", "without a helper"])]
fn ftp_lines(bencher: Bencher<'_, '_>, kind: &str) {
    let line = if kind == "PORT" { "PORT 10,0,0,1,16,146\r\n" } else { "NOOP please, if you can.\r\n" };
    let Tcp { opening, transfer } = Tcp::lines(line);
    let mut engine = Engine::new(&LINUX_6_18);
    let mut now = 0;
    for packet in &opening {
        let mut passage = engine.handle(Time(now), Hook::Prerouting, &Packet::new(packet));
        if kind != "without a helper" {
            engine.assist(&mut passage, &Packet::new(packet), Helper::Ftp);
        }
        engine.confirm(Time(now), passage);
    }
    bencher.counter(ItemsCount::new(transfer.len() / 2)).bench_local(|| {
        for packet in &transfer {
            now += 1000;
            black_box(engine.forward(Time(now), &Packet::new(packet)));
        }
        assert_eq!(engine.expectations().count(), usize::from(kind == "PORT"));
    });
}

/// A host between `inside` and `outside` that lets through what was begun inside.
fn host(more: &[&str]) -> Firewall {
    let rules =
        ["filter forward ct state established,related accept", "filter forward iifname != inside drop"];
    let side = |name: &str, net: u8, length| Interface {
        name: name.to_owned(),
        addresses: vec![(Family::Ipv4, Addr::v4([10, 0, net, 254]))],
        networks: vec![(Family::Ipv4, Addr::v4([10, 0, net, 0]), length)],
    };
    let rules = RuleSet::read(rules.iter().chain(more)).expect("rules of the subset");
    Firewall::new(&rules, vec![side("inside", 0, 24), side("outside", 1, 24)])
}

/// One UDP flow through the hooks of a host with rules, question and answer in turn: as it is, and masqueraded.
#[divan::bench(args = ["plain", "masqueraded"])]
fn udp_flow_through_rules(bencher: Bencher<'_, '_>, kind: &str) {
    let masquerade: &[&str] = match kind {
        "plain" => &[],
        _ => &["nat postrouting oifname outside masquerade"],
    };
    let (mut engine, mut firewall) = (Engine::new(&LINUX_6_18), host(masquerade));
    let question = udp(0);
    let ends = |bytes: &[u8]| Tuple {
        src: Addr::v4([bytes[12], bytes[13], bytes[14], bytes[15]]),
        dst: Addr::v4([bytes[16], bytes[17], bytes[18], bytes[19]]),
        src_id: u16::from_be_bytes([bytes[20], bytes[21]]),
        dst_id: u16::from_be_bytes([bytes[22], bytes[23]]),
        protocol: 17,
        family: Family::Ipv4,
    };
    let mut now = 0;
    let mut pass = |bytes: &[u8], route, iif, oif| {
        now += 1000;
        let journey = Journey { packet: Packet::new(bytes), route, iif, oif, lost: false, waits: false };
        engine.walk(Time(now), &mut firewall, &journey)
    };
    let first = pass(&question, Route::Forward, "inside", "outside");
    assert_eq!(first.left.is_some(), kind != "plain");
    let mut answer = question;
    let inverse = ends(first.left.as_deref().unwrap_or(&question)).invert().expect("ports are inverted");
    assert!(conntruth_engine::readdress(&mut answer, &inverse));
    let (way_back, oif) = if kind == "plain" { (Route::Forward, "inside") } else { (Route::Input, "") };
    bencher.counter(ItemsCount::new(1000_u32)).bench_local(|| {
        for _ in 0..500 {
            black_box(pass(&question, Route::Forward, "inside", "outside"));
            black_box(pass(&answer, way_back, "outside", oif));
        }
    });
}

/// A million flows in random order, 32 packets at a time.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn million_flows_in_batches(bencher: Bencher<'_, '_>) {
    let mut engine = filled(MILLION);
    let packets: Vec<_> = order(MILLION, MILLION as usize / 4).map(udp).collect();
    let mut outcomes = Vec::new();
    bencher.counter(ItemsCount::new(packets.len())).bench_local(|| {
        for packets in packets.chunks(32) {
            let batch: [_; 32] =
                std::array::from_fn(|at| (Time(1), Packet::new(&packets[at % packets.len()])));
            outcomes.clear();
            engine.forward_batch(&batch[..packets.len()], &mut outcomes);
            black_box(&outcomes);
        }
    });
}

/// A million flows in random order, one packet at a time.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn million_flows_one_by_one(bencher: Bencher<'_, '_>) {
    let mut engine = filled(MILLION);
    let packets: Vec<_> = order(MILLION, MILLION as usize / 4).map(udp).collect();
    bencher.counter(ItemsCount::new(packets.len())).bench_local(|| {
        for packet in &packets {
            black_box(engine.forward(Time(1), &Packet::new(packet)));
        }
    });
}

/// The floor: each read says where the next one is.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn random_read(bencher: Bencher<'_, '_>) {
    let size = filled(MILLION).table_bytes() / 4;
    let mut next: Vec<u32> = (0..size as u32).collect();
    // Sattolo's shuffle: one cycle through all of it.
    for (at, random) in (1..size).rev().zip(order(u32::MAX, size)) {
        next.swap(at, random as usize % at);
    }
    let mut at = 0;
    bencher.counter(ItemsCount::new(MILLION)).bench_local(|| {
        for _ in 0..MILLION {
            at = next[at as usize];
        }
        black_box(at)
    });
}

/// New connections while 64 Ki live: each second, as many die as are made.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn new_connections_recycled(bencher: Bencher<'_, '_>) {
    const LIVE: u32 = 65_536;
    let step = 30 * 1_000_000_000 / u64::from(LIVE);
    let mut engine = Engine::new(&LINUX_6_18);
    let mut flow = 0_u32;
    let packets: Vec<_> = (0..4 * LIVE).map(udp).collect();
    let mut make = move |count: u32| {
        for _ in 0..count {
            let packet = &packets[flow as usize % packets.len()];
            black_box(engine.forward(Time(u64::from(flow) * step), &Packet::new(packet)));
            flow += 1;
        }
        engine.len()
    };
    make(2 * LIVE);
    bencher.counter(ItemsCount::new(LIVE)).bench_local(|| {
        assert!(make(LIVE).abs_diff(LIVE as usize) < 256);
    });
}

/// New connections from an empty table to a million.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn new_connections_growing(bencher: Bencher<'_, '_>) {
    let packets: Vec<_> = (0..MILLION).map(udp).collect();
    bencher.counter(ItemsCount::new(MILLION)).bench_local(|| {
        let mut engine = boundless();
        for packet in &packets {
            engine.forward(Time(0), &Packet::new(packet));
        }
        engine
    });
}

/// The death of a million entries, all within a second.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn expiry_of_a_million(bencher: Bencher<'_, '_>) {
    bencher.counter(ItemsCount::new(MILLION)).with_inputs(|| filled(MILLION)).bench_local_refs(|engine| {
        engine.handle_timeouts(Time::from_secs(40));
        assert!(engine.is_empty());
    });
}

/// Five idle days with one connection alive: the clock jumps.
#[divan::bench]
fn five_idle_days(bencher: Bencher<'_, '_>) {
    let Tcp { opening, .. } = Tcp::session();
    bencher
        .with_inputs(|| {
            let mut engine = Engine::new(&LINUX_6_18);
            for packet in &opening {
                engine.forward(Time(0), &Packet::new(packet));
            }
            engine
        })
        .bench_local_refs(|engine| {
            engine.handle_timeouts(Time::from_secs(432_000));
            assert!(engine.is_empty());
        });
}
