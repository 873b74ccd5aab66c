//! Whole TCP sessions through hosts, cables and our tracker, and what a connection weighs in such a world.
//!
//! `cargo bench -p conntruth --bench world`

use conntruth::middlebox::Tracked;
use conntruth_engine::{Engine, Knob, LINUX_6_18};
use conntruth_sim::app::Act;
use conntruth_sim::app::tcp::{Client, Server};
use conntruth_sim::time::{DAY, SECOND};
use divan::Bencher;
use divan::counter::ItemsCount;

#[path = "../../sim/benches/support/load.rs"]
mod load;

fn main() {
    let chosen = std::env::args().skip(1).any(|argument| argument != "--bench");
    if !chosen {
        weigh();
    }
    divan::main();
}

fn tracked() -> Box<Tracked> {
    let mut engine = Engine::new(&LINUX_6_18);
    engine.set(Knob::Max, 0).expect("0 is no limit");
    Box::new(Tracked::with_engine(engine))
}

/// What a world with 100,000 open connections weighs, hosts, applications and tracker together; and what sessions cost
/// in time of the processor, which a busy machine changes less than time of the day.
#[allow(clippy::print_stdout)]
fn weigh() {
    const COUNT: u64 = 100_000;
    let before = resident();
    let mut world = load::world(tracked());
    load::open(&mut world, COUNT, load::small());
    let bytes = resident().saturating_sub(before);
    let buffers = 2 * (load::small().receive_buffer + load::small().send_buffer);
    println!(
        "one of {COUNT} connections: {} bytes, {buffers} of them buffers of its two sockets",
        bytes / COUNT
    );
    drop(world);
    for open in [0, 10_000] {
        let (mut world, crowd) = load::prepare(tracked(), open);
        let (began, before) = (world.now(), busy());
        load::run(&mut world, crowd);
        world.run_for(130 * SECOND).expect("it ends");
        let seconds = (busy() - before) as f64 / 1e9;
        let (rate, simulated) = (load::SESSIONS as f64 / seconds, (world.now() - began) as f64 / 1e9);
        println!(
            "beside {open} others: {rate:.0} sessions and {:.0} simulated seconds a second of the processor",
            simulated / seconds
        );
    }
}

/// Nanoseconds that the processor has spent on this process.
fn busy() -> u64 {
    let status = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    status.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or(0)
}

/// Bytes of memory this process has.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}

/// Two hosts, one open connection, five days in which nobody says anything; the entry dies on the last tick.
#[divan::bench]
fn five_idle_days(bencher: Bencher<'_, '_>) {
    bencher
        .with_inputs(|| {
            let mut world = load::world(tracked());
            world.start("server", Server::echo(7)).expect("there is a server");
            let plan = vec![Act::Send(100), Act::Receive(100)];
            world.start("client", Client::new(load::server(7), plan)).expect("there is a client");
            world.run_until(SECOND).expect("it ends");
            world
        })
        .bench_local_values(|mut world| {
            world.run_until(SECOND + 5 * DAY).expect("it ends");
            world
        });
}

/// Sessions: connect, a kibibyte both ways, close, and the entry's end.
#[divan::bench(args = [0, 10_000], sample_count = 5)]
fn sessions(bencher: Bencher<'_, '_>, open: u64) {
    bencher
        .counter(ItemsCount::new(load::SESSIONS))
        .with_inputs(|| load::prepare(tracked(), open))
        .bench_local_values(|(mut world, crowd)| {
            load::run(&mut world, crowd);
            world.run_for(130 * SECOND).expect("it ends");
            let node = world.node("box").expect("there is a box");
            let left = world.middlebox::<Tracked>(node).expect("it is tracked").engine().len();
            assert_eq!(left as u64, open, "TIME_WAIT is over");
            world
        });
}
