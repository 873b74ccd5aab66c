//! What a scenario costs: reading, planning, and running with its claims compared.
//!
//! `cargo bench -p conntruth --bench scenario`

use std::sync::Arc;

use conntruth::language;
use conntruth::scenario::{Plan, Verdict};
use conntruth::suite::{self, Suite};
use conntruth::target::Reference;
use conntruth_engine::LINUX_6_18;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// Twelve packets, each with a claim: a connection from its SYN to TIME_WAIT.
const TWELVE: &str = "\
flow tcp client:40000 > server:80
+0      > S  win 64240 <mss 1460,sackOK,wscale 7>   = new SYN_SENT 120s [UNREPLIED]
+10ms   < S. win 65160 <mss 1460,sackOK,wscale 7>   = established reply SYN_RECV 60s []
+10ms   > .                                         = established ESTABLISHED 5d [ASSURED]
+1s     > P. (300)                                  = established ESTABLISHED 300s [ASSURED]
+10ms   < .                                         = established reply ESTABLISHED 5d [ASSURED]
+10ms   < . (1460)                                  = established reply ESTABLISHED 300s [ASSURED]
+0      < P. (700)                                  = established reply ESTABLISHED 300s [ASSURED]
+10ms   > .                                         = established ESTABLISHED 5d [ASSURED]
+1s     > F.                                        = established FIN_WAIT 120s [ASSURED]
+10ms   < .                                         = established reply CLOSE_WAIT 60s [ASSURED]
+10ms   < F.                                        = established reply LAST_ACK 30s [ASSURED]
+10ms   > .                                         = established TIME_WAIT 120s [ASSURED]
";

fn script() -> Arc<language::ast::Script> {
    Arc::new(language::read("twelve", TWELVE).expect("it has no mistakes"))
}

#[divan::bench]
fn twelve_packets_read(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| language::read("twelve", black_box(TWELVE)));
}

#[divan::bench]
fn twelve_packets_planned(bencher: Bencher<'_, '_>) {
    let script = script();
    bencher.bench_local(|| Plan::all("twelve", black_box(&script), LINUX_6_18.hz));
}

#[divan::bench]
fn twelve_packets_run(bencher: Bencher<'_, '_>) {
    let plan = Plan::all("twelve", &script(), LINUX_6_18.hz).expect("it makes sense").remove(0);
    let mut target = Reference::new(&LINUX_6_18);
    bencher.bench_local(|| {
        let record = plan.run(&mut target);
        assert_eq!(plan.verdict(&record), Verdict::Passed);
        record
    });
}

/// All the program carries, from its files to the counts.
#[divan::bench]
fn whole_suite(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| {
        let files = suite::embedded().expect("the suite has no mistakes");
        let plans = Suite::plans(&files, LINUX_6_18.hz).expect("the suite makes sense");
        Suite::run(plans, &mut Reference::new(&LINUX_6_18), |_| {}).totals()
    });
}
