//! What a running kernel answered, packet by packet, against the reference: classes, entries, timeouts to the second,
//! both sides' window scales and flags, verification tags, events. One test for each case in `fixtures/kernel`, whose
//! `README.md` says how they were recorded and what the fields mean.

use std::path::{Path, PathBuf};

use conntruth::Paint;
use conntruth::replay::{Record, Replayer, json};
use conntruth::scenario::{Plan, Verdict, diagnose};
use conntruth::suite::{self, Suite};
use conntruth::target::Reference;
use conntruth_engine::{EventKind, ExpectSnapshot, LINUX_6_18, Tuple};
use conntruth_sim::capture::Capture;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json as value};

fn main() {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/kernel");
    let files = std::fs::read_dir(&folder).expect("the recorded cases");
    let mut captures: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    captures.retain(|path| path.extension().is_some_and(|extension| extension == "pcap"));
    captures.sort();
    assert!(!captures.is_empty(), "no recorded case in {}", folder.display());
    let trial = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        Trial::test(name, move || check(&path))
    };
    let trials = captures.into_iter().map(trial).chain(waiting(&folder)).chain(helped(&folder));
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// The recordings that are scenarios: packets that were held between the hooks.
fn waiting(folder: &Path) -> Vec<Trial> {
    let files = suite::from_paths(&[folder.join("waiting")]).unwrap_or_else(|error| panic!("{error}"));
    let plans = Suite::plans(&files, LINUX_6_18.hz).unwrap_or_else(|error| panic!("{error}"));
    assert!(!plans.is_empty(), "no recorded scenario in {}", folder.display());
    let trial = |plan: Plan| {
        let name = plan.id.to_string();
        let name = name.rsplit('/').next().unwrap_or_default();
        Trial::test(format!("waiting-{name}"), move || {
            let record = plan.run(&mut Reference::new(&LINUX_6_18));
            match plan.verdict(&record) {
                Verdict::Passed => Ok(()),
                _ => Err(diagnose(&plan, &record, Paint::PLAIN).into()),
            }
        })
    };
    plans.into_iter().map(trial).collect()
}

/// The captures once more, with helpers: what they announce is listed after each packet.
fn helped(folder: &Path) -> Vec<Trial> {
    let files = std::fs::read_dir(folder.join("helpers")).expect("the cases with helpers");
    let mut records: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    records.sort();
    assert!(!records.is_empty(), "no recorded case with helpers");
    let trial = |record: PathBuf| {
        let name = record.file_name().expect("a name").to_string_lossy().replace(".kernel.jsonl", "");
        let capture = folder.join(format!("capture-{name}.pcap"));
        Trial::test(format!("helpers-{name}"), move || compare(&capture, &record))
    };
    records.into_iter().map(trial).collect()
}

/// Replays a capture and compares each packet's answer with the kernel's.
fn check(path: &Path) -> Result<(), Failed> {
    compare(path, &path.with_extension("kernel.jsonl"))
}

fn compare(path: &Path, record: &Path) -> Result<(), Failed> {
    let recorded = std::fs::read_to_string(record)?;
    let mut lines = recorded.lines();
    let head: Value = serde_json::from_str(lines.next().unwrap_or_default())?;
    let mut replayer = Replayer::new(&LINUX_6_18);
    for (name, setting) in head["sysctls"].as_object().into_iter().flatten() {
        replayer.set(name, setting.as_i64().ok_or("a sysctl is a number")?)?;
    }
    for assigned in head["helpers"].as_array().into_iter().flatten() {
        let words: Vec<&str> = assigned.as_str().unwrap_or_default().split(' ').collect();
        let [helper, protocol, port] = words[..] else {
            return Err("a helper has a protocol and a port".into());
        };
        replayer.assign(helper, protocol, port.parse()?)?;
    }
    let mut capture = Capture::open(path)?;
    for line in lines {
        let expected: Value = serde_json::from_str(line)?;
        let captured = capture.next_packet()?.ok_or("the capture is shorter than the record")?;
        let record = replayer.handle(&captured).ok_or("every recorded packet is IP")?;
        let answer = serde_json::to_value(json::PacketObject::new(&record))?;
        let is_gone = |answer: &Value| answer["connection"]["destroyed"] == true;
        let mut ours = shown(answer, &record);
        ours["expectations"] = replayer.engine().expectations().map(|expected| listed(&expected)).collect();
        if expected.get("connection").is_some() && is_gone(&expected) != is_gone(&ours) {
            return Err(format!("packet {}: one of the two destroyed its entry", expected["packet"]).into());
        }
        if let Some(difference) = difference("", &expected, &ours) {
            return Err(format!("packet {}{difference}", expected["packet"]).into());
        }
    }
    match capture.next_packet()? {
        Some(_) => Err("the capture is longer than the record".into()),
        None => Ok(()),
    }
}

/// Our answer, with what a kernel shows at another time taken out: it notices late that an entry has aged.
fn shown(mut answer: Value, record: &Record<'_>) -> Value {
    let of_packet =
        record.events.iter().filter(|event| event.kind != EventKind::Destroy || event.conn.timeout > 0);
    answer["events"] = of_packet.map(|event| value!({ "type": event.kind })).collect();
    let master = record.connection.as_ref().and_then(|connection| connection.snapshot.master_tuple);
    if let Some(master) = master {
        answer["connection"]["master"] = keyed(&master);
    }
    answer
}

/// An expectation: what its first packet has, and who has announced it.
fn listed(expected: &ExpectSnapshot) -> Value {
    value!({ "tuple": keyed(&expected.tuple), "master": keyed(&expected.master_tuple) })
}

fn keyed(tuple: &Tuple) -> Value {
    let (src, dst) = (tuple.src_ip(), tuple.dst_ip());
    value!({ "src": src, "dst": dst, "sport": tuple.src_id, "dport": tuple.dst_id })
}

/// Where the first key is that the record has and our answer lacks, or has otherwise.
fn difference(at: &str, expected: &Value, ours: &Value) -> Option<String> {
    match (expected, ours) {
        (Value::Object(keys), Value::Object(_)) => {
            keys.iter().find_map(|(key, value)| difference(&format!("{at}.{key}"), value, &ours[key]))
        }
        _ if expected == ours => None,
        _ => Some(format!("{at}: the kernel has {expected}, we have {ours}")),
    }
}
