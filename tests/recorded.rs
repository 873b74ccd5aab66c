//! What a running kernel answered, packet by packet, against the reference: classes, entries, timeouts to the second,
//! both sides' window scales and flags, verification tags, events. One test for each case in `fixtures/kernel`, whose
//! `README.md` says how they were recorded and what the fields mean.

use std::path::{Path, PathBuf};

use conntruth::Paint;
use conntruth::replay::{Record, Replayer, json};
use conntruth::scenario::{Plan, Verdict, diagnose};
use conntruth::suite::{self, Suite};
use conntruth::target::Reference;
use conntruth_engine::{EventKind, LINUX_6_18};
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
    let trials = captures.into_iter().map(trial).chain(waiting(&folder));
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

/// Replays a capture and compares each packet's answer with the kernel's.
fn check(path: &Path) -> Result<(), Failed> {
    let recorded = std::fs::read_to_string(path.with_extension("kernel.jsonl"))?;
    let mut lines = recorded.lines();
    let head: Value = serde_json::from_str(lines.next().unwrap_or_default())?;
    let mut replayer = Replayer::new(&LINUX_6_18);
    for (name, setting) in head["sysctls"].as_object().into_iter().flatten() {
        replayer.set(name, setting.as_i64().ok_or("a sysctl is a number")?)?;
    }
    let mut capture = Capture::open(path)?;
    for line in lines {
        let expected: Value = serde_json::from_str(line)?;
        let captured = capture.next_packet()?.ok_or("the capture is shorter than the record")?;
        let record = replayer.handle(&captured).ok_or("every recorded packet is IP")?;
        let answer = serde_json::to_value(json::PacketObject::new(&record))?;
        let is_gone = |answer: &Value| answer["connection"]["destroyed"] == true;
        let ours = shown(answer, &record);
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
    answer
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
