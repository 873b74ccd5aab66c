//! An adapter: Conntruth on one side, a connection tracker on the other.
//!
//! ```sh
//! cargo build --release
//! conntruth run --target exec:target/release/adapter
//! conntruth run --target exec:target/release/adapter --validate      # every message is checked
//! conntruth run --target exec:target/release/adapter --filter 'udp/u*'
//! ```
//!
//! It runs as it stands. What is marked YOURS is to be replaced by calls of your implementation. Conntruth sends JSON, one
//! object a line, on stdin; each is answered by one line on stdout. Whatever else is printed belongs on stderr. The
//! messages are described in PROTOCOL.md.

use std::collections::HashMap;
use std::io::{BufRead, Write};

use serde_json::{json, Value};

/// YOURS: who you are, and what you show. Claims about anything that is not listed are not compared, so begin with little
/// and add a word whenever your answers contain it: verdict, class, state, timeout, status, table, events.
fn hello() -> Value {
    json!({
        "type": "hello",
        "protocol": 1,
        "name": "my-tracker",
        "version": "0.1",
        "takes": "worlds",
        "time": "virtual",
        "confirm": "at-hook",
        "shows": ["class"],
        "protocols": ["tcp", "udp"],
        "settings": [],
    })
}

type Key = (u8, Vec<u8>, Vec<u8>);

/// YOURS: a tracker with its table. This one knows only who has spoken to whom.
#[derive(Default)]
struct Tracker {
    answered: HashMap<Key, bool>,
}

impl Tracker {
    /// YOURS: a packet, from its IP header on. Where it is dropped, a rule does so after it was tracked, and no new entry
    /// may stay.
    fn packet(&mut self, data: &[u8], dropped: bool) -> Value {
        let Some((protocol, source, destination)) = key_of(data) else {
            return json!({ "type": "packet", "class": "INVALID" });
        };
        let back = (protocol, destination.clone(), source.clone());
        if let Some(answered) = self.answered.get_mut(&back) {
            *answered = true;
            return json!({ "type": "packet", "class": "ESTABLISHED_REPLY" });
        }
        let key = (protocol, source, destination);
        let class = if self.answered.get(&key) == Some(&true) { "ESTABLISHED" } else { "NEW" };
        if !dropped {
            self.answered.entry(key).or_default();
        }
        json!({ "type": "packet", "class": class })
    }

    /// YOURS: time passes, until so many nanoseconds since the world began.
    fn advance(&mut self, _to_ns: u64) -> Value {
        json!({ "type": "events", "events": [] })
    }
}

fn key_of(data: &[u8]) -> Option<Key> {
    let (protocol, header, address, from) = match data.first()? >> 4 {
        4 => (*data.get(9)?, usize::from(data[0] & 15) * 4, 4, 12),
        6 => (*data.get(6)?, 40, 16, 8),
        _ => return None,
    };
    if protocol != 6 && protocol != 17 {
        return None;
    }
    let end = |address: &[u8], port: &[u8]| [address, port].concat();
    let source = end(data.get(from..from + address)?, data.get(header..header + 2)?);
    let destination = end(data.get(from + address..from + 2 * address)?, data.get(header + 2..header + 4)?);
    Some((protocol, source, destination))
}

// From here on nothing needs to be changed, until you want to show more than classes.

fn answer(tracker: &mut Tracker, message: &Value) -> Value {
    let done = json!({ "type": "done" });
    match message["type"].as_str().unwrap_or_default() {
        "hello" => hello(),
        "begin" => {
            *tracker = Tracker::default();
            done
        }
        "end" => done,
        "world" => {
            *tracker = Tracker::default();
            let mut answers = Vec::new();
            for step in message["steps"].as_array().into_iter().flatten() {
                let given = answer(tracker, step);
                let is_over = given["type"] == "unsupported" || given["type"] == "error";
                answers.push(given);
                if is_over && step["type"] != "table" && step["type"] != "expectations" {
                    break;
                }
            }
            json!({ "type": "world", "answers": answers })
        }
        "packet" if message["fate"] == "waits" => unsupported("it keeps no packets"),
        "packet" if message["notrack"] == true => json!({ "type": "packet", "class": "UNTRACKED" }),
        "packet" => match bytes(message["bytes"].as_str().unwrap_or_default()) {
            Some(data) => tracker.packet(&data, message["fate"] == "dropped"),
            None => json!({ "type": "error", "reason": "these are no bytes" }),
        },
        "advance" => tracker.advance(message["to_ns"].as_u64().unwrap_or_default()),
        other => unsupported(&format!("it knows no {other}")),
    }
}

fn unsupported(reason: &str) -> Value {
    json!({ "type": "unsupported", "reason": reason })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn main() -> std::io::Result<()> {
    let mut tracker = Tracker::default();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let given = match serde_json::from_str(&line?) {
            Ok(message) => answer(&mut tracker, &message),
            Err(error) => json!({ "type": "error", "reason": error.to_string() }),
        };
        writeln!(out, "{given}")?;
        out.flush()?;
    }
    Ok(())
}
