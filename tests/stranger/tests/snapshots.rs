//! Tables and transcripts as snapshots. What is not the test's business - when something dies, which number it has - is
//! redacted, so that a snapshot changes when the tracker does, and not when the story does.

use conntruth::Paint;
use conntruth::engine::{Engine, LINUX_6_18, Packet};
use conntruth::generate::Traffic;
use conntruth::scenario::{Detail, Plan, ladder};
use conntruth::target::Reference;

/// The table of an engine, as values: every field has a name that can be redacted.
#[test]
fn a_table() {
    let mut engine = Engine::new(&LINUX_6_18);
    for packet in Traffic::decode(&[]).packets() {
        engine.forward(packet.at, &Packet::new(&packet.bytes));
    }
    let table: Vec<_> = engine.conns().collect();
    insta::assert_yaml_snapshot!(table, {
        "[].deadline" => "[deadline]",
        "[].id" => "[id]",
        "[].**.sides" => "[windows]",
    });
    // In the words of /proc/net/nf_conntrack, with the time left filtered out.
    insta::with_settings!({ filters => [(r"(?m)^(\w+ +\d+ )\d+", "${1}[left]")] }, {
        let lines: Vec<String> = table.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!("table_in_words", lines.join("\n"));
    });
}

/// A transcript: who sent what, and what the tracker made of it, and why.
#[test]
fn a_transcript() {
    let text = include_str!("../scenarios/answered.ct");
    let script =
        conntruth::language::read("answered.ct", text).unwrap_or_else(|messages| panic!("{messages}"));
    let plans = Plan::all("answered", &std::sync::Arc::new(script), LINUX_6_18.hz);
    let plan = &plans.unwrap_or_else(|messages| panic!("{messages}"))[0];
    let record = plan.run(&mut Reference::new(&LINUX_6_18));
    insta::with_settings!({ filters => [(r"\b\d+s\b", "[left]")] }, {
        insta::assert_snapshot!(ladder(plan, &record, Detail::Why, Paint::PLAIN));
    });
}
