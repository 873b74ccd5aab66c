//! Claims about what is expected: the lines of `expectations`, and of events about an expectation.

use conntruth_engine::ExpectFlags;

use crate::language::ast::claim::{Block, ExpectClaim, ExpectPart, Key, KeyValue};
use crate::language::ast::{Located, Name};
use crate::target::Expected;

use super::super::run::World;
use super::entry::{Value, facing};
use super::{Mismatch, story, words};

/// Compares all that is expected with the lines of a block, as a set.
pub(super) fn listing(block: &Block<ExpectClaim>, expected: &[Expected], world: &World<'_>) -> Vec<Mismatch> {
    let claims = &block.lines;
    let of_claim = |claim: &Located<ExpectClaim>| {
        expected.iter().map(|expected| fits(&claim.value, expected, world)).collect()
    };
    let table: Vec<Vec<bool>> = claims.iter().map(of_claim).collect();
    let pairs = story::pair(&table, expected.len());
    if claims.len() == expected.len() && pairs.iter().all(Option::is_some) {
        return Vec::new();
    }
    let text = &world.plan.script().text;
    let written =
        |claim: &Located<ExpectClaim>| story::squeezed(text.get(claim.span.range()).unwrap_or_default());
    let said: Vec<String> = claims.iter().map(written).collect();
    // A line that holds stays as it is written.
    let line = |(index, one): (usize, &Expected)| match pairs.iter().position(|pair| *pair == Some(index)) {
        Some(claim) => said[claim].clone(),
        None => brief(one, world),
    };
    let got: Vec<String> = expected.iter().enumerate().map(line).collect();
    let what = format!("these {} to be expected", claims.len());
    vec![story::block_mismatch(block, &said, &got, &what, "(empty)")]
}

/// Whether all that is claimed of an expectation holds.
pub(super) fn fits(claim: &ExpectClaim, expected: &Expected, world: &World<'_>) -> bool {
    let shows = &world.identity.abilities.shows;
    let timeout = claim.timeout.as_ref().filter(|_| shows.timeout).is_none_or(|timeout| {
        let tick = world.plan.tick;
        let nanos = timeout.value.left.nanos(tick);
        if timeout.value.exact {
            expected.left.may_be(conntruth_engine::Time(nanos / tick * tick))
        } else {
            expected.left.may_show(nanos / 1_000_000_000)
        }
    });
    timeout
        && claim.keys.iter().all(|(part, key)| holds(*part, key, expected, world))
        && claim.flags.as_ref().is_none_or(|flags| flags.value == ExpectFlags(expected.flags))
        && claim.master.as_ref().is_none_or(|master| is_master(master, expected, world))
}

/// Whether a flow's connection is the one that has announced it.
fn is_master(flow: &Name, expected: &Expected, world: &World<'_>) -> bool {
    let talk = world.plan.talks.find(Some(flow), flow.span);
    talk.is_ok_and(|talk| super::has_tuple(&expected.master, world.plan.talk(talk)))
}

fn holds(part: ExpectPart, key: &Key, expected: &Expected, world: &World<'_>) -> bool {
    let Some(got) = value(part, &key.name.value, expected) else { return false };
    match (&key.value.value, got) {
        (KeyValue::Any, _) => true,
        (KeyValue::Number(number), Value::Number(got)) => *number == got,
        (KeyValue::Address(address), Value::Address(got)) => *address == got,
        (KeyValue::Word(word), Value::Address(got)) => facing(word, got, world),
        (KeyValue::Word(word), Value::Word(got)) => *word == got,
        _ => false,
    }
}

fn value(part: ExpectPart, name: &str, expected: &Expected) -> Option<Value> {
    let number = |number: u64| Some(Value::Number(number));
    let tuple = match part {
        ExpectPart::Tuple => &expected.tuple,
        ExpectPart::Mask => &expected.mask,
        ExpectPart::Master => &expected.master,
        ExpectPart::Whole => {
            return match name {
                "zone" => number(expected.zone.into()),
                "class" => number(expected.class.into()),
                "helper" => Some(Value::Word(expected.helper.to_string())),
                _ => None,
            };
        }
    };
    match name {
        "proto" => number(tuple.protocol.into()),
        "src" | "mask-src" | "master-src" => Some(Value::Address(tuple.src_ip())),
        "dst" | "mask-dst" | "master-dst" => Some(Value::Address(tuple.dst_ip())),
        "sport" => number(tuple.src_id.into()),
        "dport" => number(tuple.dst_id.into()),
        _ => None,
    }
}

/// `300 proto=6 src=server dst=client sport=0 dport=4242 helper=ftp`
pub(super) fn brief(expected: &Expected, world: &World<'_>) -> String {
    let tuple = &expected.tuple;
    let host = |address: std::net::IpAddr| match world.plan.talks.places.name_of(address) {
        Some(name) => name.to_owned(),
        None => address.to_string(),
    };
    let flags: Vec<&str> = ExpectFlags(expected.flags).names().collect();
    let flags = if flags.is_empty() { String::new() } else { format!(" {}", flags.join(",")) };
    format!(
        "{} proto={} src={} dst={} sport={} dport={} helper={}{flags}",
        words::seconds(expected.left.most).trim_end_matches('s'),
        tuple.protocol,
        host(tuple.src_ip()),
        host(tuple.dst_ip()),
        tuple.src_id,
        tuple.dst_id,
        expected.helper
    )
}
