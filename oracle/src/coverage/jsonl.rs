//! Coverage for scripts: an object for each cell, reason and sysctl, and one for the sums.

use conntruth_engine::{Direction, Next, SctpState, TcpState};
use serde::Serialize;

use super::{Cell, Coverage};

#[derive(Serialize)]
struct Place<'a> {
    direction: Direction,
    /// The kind of segment or chunk.
    kind: &'a str,
    state: &'a str,
    /// A state, `ignored` or `INVALID`.
    next: &'a str,
    reached: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreachable: Option<&'a str>,
}

#[derive(Serialize)]
struct Given<'a> {
    slug: &'a str,
    reached: u64,
    rule: &'a str,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreachable: Option<&'a str>,
}

#[derive(Serialize)]
struct Turned<'a> {
    name: &'a str,
    default: i32,
    values: Vec<Value>,
    source: &'a str,
}

#[derive(Serialize)]
struct Value {
    value: i64,
    times: u64,
}

impl Coverage {
    /// The report for scripts, an object a line.
    pub fn jsonl(&self) -> String {
        let mut out = String::new();
        for cell in self.tcp() {
            let place = place(&cell, cell.kind.word(), TcpState::word);
            push(&mut out, &serde_json::json!({ "tcp": place }));
        }
        for cell in self.sctp() {
            let place = place(&cell, cell.kind.word(), SctpState::word);
            push(&mut out, &serde_json::json!({ "sctp": place }));
        }
        for (info, reached, unreachable) in self.reasons() {
            let given = Given { slug: info.slug, reached, rule: info.rule, source: info.source, unreachable };
            push(&mut out, &serde_json::json!({ "reason": given }));
        }
        for (knob, values) in self.knobs() {
            let info = knob.info();
            let values = values.into_iter().map(|(value, times)| Value { value, times }).collect();
            let turned = Turned { name: info.name, default: info.default, values, source: info.source };
            push(&mut out, &serde_json::json!({ "sysctl": turned }));
        }
        let profile = self.profile().name;
        push(&mut out, &serde_json::json!({ "coverage": self.sums(), "profile": profile }));
        out
    }
}

fn place<'a, K: Copy, S: Copy>(cell: &Cell<K, S>, kind: &'a str, word: impl Fn(S) -> &'a str) -> Place<'a> {
    let next = match cell.next {
        Next::To(state) => word(state),
        Next::Ignore => "ignored",
        Next::Invalid => "INVALID",
    };
    let &Cell { direction, state, reached, unreachable, .. } = cell;
    Place { direction, kind, state: word(state), next, reached, unreachable }
}

fn push(out: &mut String, value: &serde_json::Value) {
    out.push_str(&value.to_string());
    out.push('\n');
}
