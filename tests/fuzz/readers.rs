//! What reads something: scenarios, captures, messages. Whatever the bytes, there is an answer,
//! in bounded memory, and what was understood is understood the same when it is printed and read again.

use std::sync::Arc;

use conntruth::language::{self, format};
use conntruth::replay::{Replayer, json};
use conntruth::scenario::Plan;
use conntruth::target::exec::{Exec, Limits, Style, serve, wire};
use conntruth::target::{Reference, Target};
use conntruth_engine::LINUX_6_18;
use conntruth_sim::capture::Capture;

/// So much of what could be read is run: the rest is only checked.
const MOST_PACKETS: usize = 200;

/// A text as a scenario: mistakes have places in it; what could be read prints, formats and runs.
pub fn scenario(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let script = match language::read("fuzz", &text) {
        Ok(script) => script,
        Err(messages) => return assert!(!messages.to_string().is_empty()),
    };
    let once = format("fuzz", &text).unwrap_or_else(|messages| panic!("{messages}"));
    assert_eq!(format("fuzz", &once).as_ref(), Ok(&once));
    let again = language::read("fuzz", &once).unwrap_or_else(|messages| panic!("{messages}\n{once}"));
    assert_eq!(again.stories, script.stories, "{once}");
    // Hosts act as long as they like.
    let acts =
        |text: &str| ["run", "connect", "cable", "link", "each"].iter().any(|word| text.contains(word));
    if acts(&text) {
        return;
    }
    let Ok(plans) = Plan::all("fuzz", &Arc::new(script), LINUX_6_18.hz) else { return };
    for plan in plans.iter().take(4).filter(|plan| plan.packets() <= MOST_PACKETS) {
        let record = plan.run(&mut Reference::new(&LINUX_6_18));
        let _ = plan.verdict(&record);
    }
}

/// A capture, replayed and printed.
pub fn capture(bytes: &[u8]) {
    let Ok(mut capture) = Capture::new(bytes) else { return };
    let mut replayer = Replayer::new(&LINUX_6_18);
    let mut out = Vec::new();
    let mut packets = 0;
    while let Ok(Some(captured)) = capture.next_packet() {
        packets += 1;
        assert_eq!(captured.number, packets);
        if let Some(record) = replayer.handle(&captured) {
            out.clear();
            json::write_packet(&mut out, &record).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(out.last(), Some(&b'\n'));
        }
    }
    assert_eq!(replayer.tally().packets + replayer.tally().skipped, packets);
}

/// What an adapter must be asked so that everything that it can answer is looked at.
const ASKED: &str = "flow tcp client:40000 > server:80\n\n> S\n= new SYN_SENT 120s [UNREPLIED]\n< S.\n+1s > . = * * *\n\
                     count 1\ntable (empty)\n+5d > R\n";

/// An adapter's answers: they are understood, or the adapter is ended in a sentence.
pub fn adapter(bytes: &[u8]) {
    // The right beginning is worth half of all inputs.
    let hello =
        r#"{"type":"hello","protocol":1,"name":"a","version":"1","time":"virtual","confirms":"at-hook","#;
    let answers = match bytes.split_first() {
        Some((first, rest)) if first & 1 == 0 => [hello.as_bytes(), rest].concat(),
        _ => bytes.to_vec(),
    };
    let Ok(mut exec) = Exec::recorded(&answers, &LINUX_6_18, Limits::default()) else { return };
    let script = language::read("asked", ASKED).unwrap_or_else(|messages| panic!("{messages}"));
    let plans = Plan::all("asked", &Arc::new(script), exec.identity().hz);
    for plan in &plans.unwrap_or_else(|messages| panic!("{messages}")) {
        let record = plan.run(&mut exec);
        let _ = plan.verdict(&record);
    }
}

/// Requests to an adapter: each line has one answer.
pub fn requests(bytes: &[u8]) {
    let mut out = Vec::new();
    let mut reference = Reference::new(&LINUX_6_18);
    let served = serve(&mut reference, Style { takes: wire::Takes::Steps, rules: true }, bytes, &mut out);
    assert!(served.is_ok());
    let asked =
        bytes.split(|byte| *byte == b'\n').count() - usize::from(bytes.is_empty() || bytes.ends_with(b"\n"));
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), asked);
}
