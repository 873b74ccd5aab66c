//! Vectors that fit their schema, and captures that say what happened.

use conntruth_engine::LINUX_6_18;
use conntruth_sim::capture::Capture;

use super::{NotInACapture, Vectors, What, capture, schema, vectors};
use crate::scenario::Plan;
use crate::suite::{Suite, embedded};
use crate::target::Reference;

const PUBLISHED: &str = include_str!("../../vectors.schema.json");

fn plans() -> Vec<Plan> {
    let files = embedded().unwrap_or_else(|error| panic!("{error}"));
    Suite::plans(&files, LINUX_6_18.hz).unwrap_or_else(|error| panic!("{error}"))
}

/// `UPDATE_SCHEMA=1 cargo test -p conntruth schema` writes it.
#[test]
fn the_schema_is_the_published_one() {
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors.schema.json");
        std::fs::write(path, schema()).unwrap();
    } else {
        assert_eq!(schema(), PUBLISHED, "UPDATE_SCHEMA=1 writes it anew");
    }
}

#[test]
fn the_suite_fits_the_schema_and_reads_back() {
    let plans = plans();
    let (vectors, left_out) = vectors(&plans, &mut Reference::new(&LINUX_6_18));
    assert_eq!(vectors.worlds.len() + left_out, plans.len());
    let json = serde_json::to_value(&vectors).unwrap();
    let schema = serde_json::from_str(PUBLISHED).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    if let Some(error) = validator.iter_errors(&json).next() {
        panic!("{error} at {}", error.instance_path());
    }
    assert_eq!(serde_json::from_value::<Vectors>(json.clone()).unwrap(), vectors);
    // It would notice: a field that is missing, one that nobody knows.
    for wrong in ["hz", "worlds"] {
        let mut json = json.clone();
        json.as_object_mut().unwrap().remove(wrong);
        assert!(!validator.is_valid(&json), "{wrong}");
    }
    let mut more = json;
    more["worlds"][0]["more"] = 1.into();
    assert!(!validator.is_valid(&more));
}

/// Whoever replays the vectors' packets through the reference gets the vectors' answers.
#[test]
fn packets_and_tables_are_those_of_the_scenarios() {
    let (vectors, _) = vectors(&plans(), &mut Reference::new(&LINUX_6_18));
    let packets = vectors.worlds.iter().flat_map(|world| &world.steps).filter_map(|step| match &step.what {
        What::Packet { hex, expect, .. } => Some((hex, expect)),
        _ => None,
    });
    let (mut count, mut invalid) = (0, 0);
    for (hex, expect) in packets {
        assert!(hex.len().is_multiple_of(2) && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(!expect.reason.is_empty() && !expect.source.is_empty());
        count += 1;
        invalid += usize::from(expect.class.as_deref() == Some("INVALID"));
    }
    assert!(count > 1000 && invalid > 100, "{count} {invalid}");
}

/// An answer to a translated packet is sent to where that seemed to come from: 10.0.1.250, not the client behind it.
#[test]
fn answers_to_translated_packets_are_those_of_the_wire() {
    let mut plans = plans();
    plans.retain(|plan| plan.id.scenario == "nat/source/one-address");
    let (vectors, _) = vectors(&plans, &mut Reference::new(&LINUX_6_18));
    let ends = vectors.worlds[0].steps.iter().map(|step| match &step.what {
        What::Packet { hex, .. } => hex[24..40].to_owned(),
        _ => String::new(),
    });
    assert_eq!(ends.collect::<Vec<_>>(), ["0a0000010a000101", "0a0001010a0001fa"]);
}

#[test]
fn captures_hold_every_packet_at_its_time() {
    for plan in plans() {
        let (bytes, missing) = capture(&plan);
        let mut capture = Capture::new(&bytes[..]).unwrap();
        let mut packets = 0;
        let arrivals: Vec<_> = plan
            .happens()
            .filter_map(|happening| match happening.what {
                crate::scenario::Happens::Packet(arrival) => Some(arrival),
                _ => None,
            })
            .collect();
        while let Some(packet) = capture.next_packet().unwrap() {
            assert_eq!(packet.time, Some(arrivals[packets].at.as_nanos()));
            // What does not begin like IP is none to a reader of captures.
            if let Ok(bytes) = packet.bytes {
                assert_eq!(bytes, arrivals[packets].bytes);
            }
            packets += 1;
        }
        assert_eq!(packets, arrivals.len(), "{}", plan.id);
        assert_eq!(missing.is_nothing(), missing == NotInACapture::default());
    }
}
