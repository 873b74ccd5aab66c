//! States that nobody has saved: one that was, with a few of its numbers made others and pieces of it twice or not at all.
//! Each is no state, is refused, or goes on through the rest of the story without a panic, and ends.

use conntruth::generate::Traffic;
use conntruth::target::{Kept, Reference, Target};
use conntruth_engine::{Engine, Hook, LINUX_6_18, Packet, State, Time};
use serde_json::Value;

use super::{raw, state};

/// So many bytes say what is made other: how many edits, where the story is cut, and three for each.
const EDITS: usize = 2 + 3 * MOST;
/// More edits are nearly always refused.
const MOST: usize = 3;

/// A reference half way through a story with rules, translation, expectations and packets that wait.
pub fn references(bytes: &[u8]) {
    let ([count, cut, edits @ ..], story) = &parted(bytes);
    let traffic = Traffic::decode(story);
    let mut reference = Reference::new(&LINUX_6_18);
    reference.begin(&traffic.config()).unwrap_or_else(|refusal| panic!("{refusal}\n{traffic}"));
    let (before, rest) = traffic.events().split_at(usize::from(*cut) % (traffic.events().len() + 1));
    for event in before {
        let _ = state::see(&mut reference, event);
    }
    let saved = reference.save();
    let Some(kept) = edited::<Kept>(&saved, *count, edits) else { return };
    let _ = kept.changes(&saved);
    let Ok(mut restored) = Reference::restore(&kept) else { return };
    for event in rest {
        // An event can be refused: what it goes on with may be what is not there.
        let _ = state::see(&mut restored, event);
    }
    goes_on_and_ends(restored.engine());
    let _ = restored.save().changes(&saved);
}

/// An engine whose table runs full, with packets that no hand would write.
pub fn engines(bytes: &[u8]) {
    let ([count, cut, edits @ ..], story) = &parted(bytes);
    let steps = raw::decode(story);
    let (before, rest) = steps.split_at(usize::from(*cut) % (steps.len() + 1));
    let mut engine = raw::engine();
    let mut now = Time::ZERO;
    for step in before {
        now = now.plus(Time(step.wait.as_nanos() % 3_000_000_000));
        engine.forward(now, &step.packet());
    }
    let saved = engine.save();
    let Some(state) = edited::<State>(&saved, *count, edits) else { return };
    let _ = state.changes(&saved);
    let Ok(mut restored) = Engine::restore(&state) else { return };
    for step in rest {
        now = now.plus(step.wait);
        restored.forward(now, &step.packet());
        let passage = restored.handle(now, Hook::Output, &Packet::new(&step.bytes));
        let _ = restored.discard(passage);
        while restored.poll_event().is_some() {}
    }
    goes_on_and_ends(&mut restored);
}

/// Its entries are found or not, but none holds it up: at the end of time it is empty.
fn goes_on_and_ends(engine: &mut Engine) {
    for conn in engine.conns().collect::<Vec<_>>() {
        let _ = (engine.find(&conn.original, conn.zone), engine.find(&conn.reply, conn.zone));
    }
    engine.handle_timeouts(Time(u64::MAX));
    assert!(engine.is_empty());
}

/// The bytes that say what is made other, zeroes where there are none, and the story's.
fn parted(bytes: &[u8]) -> ([u8; EDITS], &[u8]) {
    let (head, story) = bytes.split_at(bytes.len().min(EDITS));
    let mut edits = [0; EDITS];
    edits[..head.len()].copy_from_slice(head);
    (edits, story)
}

/// What is read from the text of a value with edits in it, if anything.
fn edited<T: serde::Serialize + serde::de::DeserializeOwned>(
    saved: &T,
    count: u8,
    edits: &[u8],
) -> Option<T> {
    let mut value = serde_json::to_value(saved).unwrap_or_else(|error| panic!("{error}"));
    for edit in edits.chunks_exact(3).take(1 + usize::from(count) % MOST) {
        let mut places = Vec::new();
        find(&value, &mut String::new(), &mut places);
        let place = &places[usize::from(u16::from_le_bytes([edit[0], edit[1]])) % places.len()];
        let others: Vec<Value> = places.iter().filter_map(|at| value.pointer(at).cloned()).collect();
        if let Some(found) = value.pointer_mut(place) {
            change(found, edit[2], &others);
        }
    }
    serde_json::from_str(&value.to_string()).ok()
}

/// Where numbers, lists and truths stand.
fn find(value: &Value, at: &mut String, places: &mut Vec<String>) {
    let length = at.len();
    let mut into = |step: &str, inner: &Value| {
        at.push('/');
        at.push_str(&step.replace('~', "~0").replace('/', "~1"));
        find(inner, at, places);
        at.truncate(length);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| into(name, inner)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, inner)| into(&index.to_string(), inner));
            places.push(at.clone());
        }
        Value::Number(_) | Value::Bool(_) => places.push(at.clone()),
        Value::Null | Value::String(_) => {}
    }
}

/// Where a type, a timer's range or a counter ends.
const ENDS: [u64; 12] = [
    0,
    1,
    2,
    0xff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    (1 << 42) - 1,
    1 << 42,
    1 << 61,
    u64::MAX >> 1,
    u64::MAX,
];

/// A number becomes its neighbour, the end of a range, or another number of this state; a list loses an item or has one twice.
fn change(value: &mut Value, how: u8, others: &[Value]) {
    let (kind, choice) = (how >> 6, usize::from(how & 0x3f));
    match value {
        Value::Bool(truth) => *truth = !*truth,
        Value::Array(items) if !items.is_empty() => {
            let at = choice % items.len();
            match kind {
                0 => drop(items.remove(at)),
                1 => items.push(items[at].clone()),
                2 => items.swap(0, at),
                _ => items.clear(),
            }
        }
        Value::Number(number) => {
            let number = number.as_u64().unwrap_or_default();
            *value = match kind {
                0 => number.wrapping_add(1).into(),
                1 => number.wrapping_sub(1).into(),
                2 => ENDS[choice % ENDS.len()].into(),
                _ => others[choice * 7 % others.len()].clone(),
            };
        }
        _ => {}
    }
}
