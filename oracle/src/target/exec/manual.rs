//! The parts of `PROTOCOL.md` that are made, not written: the list of messages, and conversations.

use std::fmt::Write;
use std::sync::Arc;

use conntruth_engine::LINUX_6_18;
use serde_json::Value;

use super::wire::{self, Request};
use super::worlds::Manner;
use super::{Style, schema, serve, worlds};
use crate::scenario::Plan;
use crate::target::{Ask, Reference, Rules, Shows, Target};

/// All messages with their fields, made from the schema.
pub fn messages() -> String {
    let schema = schema();
    let defs = &schema["$defs"];
    let mut text = String::new();
    for (title, side) in [("From Conntruth", "request"), ("From the adapter", "answer")] {
        let _ = writeln!(text, "### {title}\n");
        for reference in defs[side]["oneOf"].as_array().into_iter().flatten() {
            let name = reference["$ref"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
            let kind = name.split_once('-').map_or(name, |(_, kind)| kind);
            let _ = writeln!(text, "#### `{kind}`\n\n{}\n", about(&defs[name]));
            fields(&defs[name], &mut text);
        }
    }
    let _ = writeln!(text, "### Parts\n");
    for (name, part) in defs.as_object().into_iter().flatten() {
        let is_message = name.contains('-') || matches!(name.as_str(), "request" | "answer");
        if !is_message {
            let _ = writeln!(text, "#### {name}\n\n{}\n", about(part));
            fields(part, &mut text);
            words(part, &mut text);
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn about(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn fields(schema: &Value, text: &mut String) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let is_needed = |name: &str| {
        schema["required"]
            .as_array()
            .is_some_and(|list| list.iter().any(|needed| needed.as_str() == Some(name)))
    };
    let rows: Vec<_> = properties
        .iter()
        .filter(|(name, _)| *name != "type" || !properties["type"]["const"].is_string())
        .collect();
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(text, "| field | type | |\n|---|---|---|");
    for (name, field) in rows {
        let optional = if is_needed(name) { "" } else { ", may be left out" };
        let _ = writeln!(text, "| `{name}` | {}{optional} | {} |", kind(field), about(field));
    }
    text.push('\n');
}

/// The words that a part may be.
fn words(schema: &Value, text: &mut String) {
    let mut all: Vec<(String, String)> = Vec::new();
    for word in schema["enum"].as_array().into_iter().flatten() {
        all.push((word.as_str().unwrap_or_default().to_owned(), String::new()));
    }
    for one in schema["oneOf"].as_array().into_iter().flatten() {
        let word = one["const"].as_str().map(str::to_owned);
        all.extend(word.map(|word| (word, about(one))));
        for word in one["enum"].as_array().into_iter().flatten() {
            all.push((word.as_str().unwrap_or_default().to_owned(), String::new()));
        }
    }
    for (word, about) in &all {
        let _ = writeln!(text, "- `{word}`{}{about}", if about.is_empty() { "" } else { ": " });
    }
    if !all.is_empty() {
        text.push('\n');
    }
}

fn kind(field: &Value) -> String {
    if let Some(reference) = field["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return name.rsplit('-').next().unwrap_or(name).to_owned();
    }
    if let Some(all) = field["anyOf"].as_array().or(field["allOf"].as_array()) {
        return all.iter().map(kind).filter(|kind| kind != "null").collect::<Vec<_>>().join(" or ");
    }
    let name = match &field["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .filter(|name| *name != "null")
            .collect::<Vec<_>>()
            .join(" or "),
        _ => field["const"].to_string(),
    };
    match (name.as_str(), field["format"].as_str()) {
        ("array", _) => format!("list of {}", kind(&field["items"])),
        ("string", Some("ip")) => "address".to_owned(),
        ("string", _) => "text".to_owned(),
        ("integer", _) => "number".to_owned(),
        ("boolean", _) => "true or false".to_owned(),
        _ => name,
    }
}

/// A scenario, and what is said when it runs: in steps, and as a world.
pub fn conversations() -> String {
    let text = "\
# An answer, and a minute of silence.
flow udp client:1000 > server:53

+0      > (12)   = new 30s [UNREPLIED]
+10ms   < (40)   = established reply 30s []
+1min
table   (empty)
";
    let mut out = format!("```text\n{text}```\n\nIn steps:\n\n");
    let script = crate::language::read("example.ct", text).map(Arc::new);
    let plan = script.and_then(|script| Plan::all("example", &script, LINUX_6_18.hz));
    let Some(plan) = plan.ok().and_then(|plans| plans.into_iter().next()) else { return out };
    let mut reference = Reference::new(&LINUX_6_18);
    let play = plan.play();
    let manner = Manner { profile: &LINUX_6_18, passes: true, shows: Shows::ALL, rules: Rules::Own };
    let Ok((message, _)) = worlds::message(&play, &manner, |_| None) else { return out };
    let Request::World(world) = &message else { return out };
    let hello = Request::Hello(wire::Greeting {
        protocol: wire::PROTOCOL,
        conntruth: env!("CARGO_PKG_VERSION").to_owned(),
        profile: LINUX_6_18.name.to_owned(),
    });
    let begin = Request::Begin(world.begin.clone());
    let steps = std::iter::once(hello).chain([begin]).chain(world.steps.clone());
    let steps: Vec<Request> = steps.chain([Request::End(wire::Bare {})]).collect();
    conversation(&steps, wire::Takes::Steps, &mut reference, &mut out);
    let _ =
        writeln!(out, "\nThe same world in one message, for an adapter that said `\"takes\":\"worlds\"`:\n");
    conversation(&[message], wire::Takes::Worlds, &mut reference, &mut out);
    debug_assert!(play.asks.contains(&Ask::Table));
    out
}

fn conversation(requests: &[Request], takes: wire::Takes, target: &mut dyn Target, out: &mut String) {
    let lines: Vec<String> =
        requests.iter().filter_map(|request| serde_json::to_string(request).ok()).collect();
    let mut said = Vec::new();
    let heard = lines.join("\n");
    if serve(target, Style { takes, rules: true }, heard.as_bytes(), &mut said).is_err() {
        return;
    }
    out.push_str("```text\n");
    for (request, answer) in lines.iter().zip(String::from_utf8_lossy(&said).lines()) {
        let _ = writeln!(out, "> {request}\n< {answer}");
    }
    out.push_str("```\n");
}
