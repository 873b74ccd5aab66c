//! What a world costs: idle days, whole TCP sessions, bytes, and the memory of a connection.
//!
//! `cargo bench -p conntruth-sim`. The same with the tracker in the middle: `cargo bench -p conntruth --bench world`.

use conntruth_sim::app::Act;
use conntruth_sim::app::tcp::{Client, Server};
use conntruth_sim::middlebox::PassThrough;
use conntruth_sim::time::{DAY, SECOND};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};

#[path = "support/load.rs"]
mod load;

fn main() {
    divan::main();
}

/// Two hosts, one open connection, five days in which nobody says anything.
#[divan::bench]
fn five_idle_days(bencher: Bencher<'_, '_>) {
    bencher
        .with_inputs(|| {
            let mut world = load::world(Box::new(PassThrough::default()));
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

/// Sessions: connect, a kibibyte both ways, close.
#[divan::bench(args = [0, 10_000], sample_count = 5)]
fn sessions(bencher: Bencher<'_, '_>, open: u64) {
    bencher
        .counter(ItemsCount::new(load::SESSIONS))
        .with_inputs(|| load::prepare(Box::new(PassThrough::default()), open))
        .bench_local_values(|(mut world, crowd)| {
            load::run(&mut world, crowd);
            world
        });
}

/// One connection that moves 64 MiB.
#[divan::bench(sample_count = 5)]
fn bulk(bencher: Bencher<'_, '_>) {
    const BYTES: u64 = 64 << 20;
    bencher.counter(BytesCount::new(BYTES)).bench_local(|| {
        let mut world = load::world(Box::new(PassThrough::default()));
        world.start("server", Server::sink(9)).expect("there is a server");
        let client = Client::new(load::server(9), vec![Act::Send(BYTES), Act::Close]);
        let client = world.start("client", client).expect("there is a client");
        world.run_until_idle().expect("it ends");
        assert!(world.summary(client).is_done);
        world
    });
}
