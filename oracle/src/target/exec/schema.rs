//! The protocol's JSON Schema, made of the wire's types, and what is found by it.
//!
//! The published schema is one document. For checking, each kind of message has a schema of its own: "fits none of
//! these" would point nowhere.

use std::collections::BTreeMap;
use std::fmt::Write;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::wire;

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Conntruth,
    Adapter,
}

/// The document that is published as `adapter.schema.json`.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let requests = requests(&mut generator);
    let answers = answers(&mut generator);
    let mut defs = generator.take_definitions(true);
    let mut references = |messages: Vec<(&str, Value)>, side: &str| -> Vec<Value> {
        let names = messages.into_iter().map(|(kind, schema)| {
            let name = format!("{side}-{kind}");
            let reference = json!({ "$ref": format!("#/$defs/{name}") });
            defs.insert(name, schema);
            reference
        });
        names.collect()
    };
    let requests = references(requests, "request");
    let answers = references(answers, "answer");
    defs.insert("request".to_owned(), json!({ "oneOf": requests }));
    defs.insert("answer".to_owned(), json!({ "oneOf": answers }));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Conntruth's adapter protocol",
        "description": format!(
            "Version {}. A line from Conntruth is a `request`, a line from an adapter an `answer`.", wire::PROTOCOL
        ),
        "anyOf": [{ "$ref": "#/$defs/request" }, { "$ref": "#/$defs/answer" }],
        "$defs": defs,
    })
}

fn requests(generator: &mut SchemaGenerator) -> Vec<(&'static str, Value)> {
    vec![
        ("hello", message::<wire::Greeting>("hello", generator)),
        ("begin", message::<wire::Begin>("begin", generator)),
        ("set", message::<wire::Set>("set", generator)),
        ("packet", message::<wire::Packet>("packet", generator)),
        ("release", message::<wire::Release>("release", generator)),
        ("advance", message::<wire::Advance>("advance", generator)),
        ("table", bare("table", "All entries. Answer with `table`.")),
        ("expectations", bare("expectations", "All expected connections. Answer with `expectations`.")),
        (
            "counters",
            bare(
                "counters",
                "What named counters have counted, where the rules are the adapter's. Answer with `counters`.",
            ),
        ),
        ("end", bare("end", "The world is not needed any more. Answer with `done`.")),
        ("world", world(generator)),
    ]
}

fn answers(generator: &mut SchemaGenerator) -> Vec<(&'static str, Value)> {
    vec![
        ("hello", message::<wire::Hello>("hello", generator)),
        ("done", bare("done", "It was done.")),
        ("packet", message::<wire::Seen>("packet", generator)),
        ("events", message::<wire::Events>("events", generator)),
        ("table", message::<wire::Table>("table", generator)),
        ("expectations", message::<wire::Expectations>("expectations", generator)),
        ("counters", message::<wire::Counters>("counters", generator)),
        (
            "world",
            json!({
                "type": "object",
                "description": "The answers to the steps of a world, one for each, in order. They may end with an \
                                `unsupported` or an `error`.",
                "properties": {
                    "type": { "const": "world" },
                    "answers": { "type": "array", "items": { "$ref": "#/$defs/answer" } }
                },
                "required": ["type", "answers"],
                "additionalProperties": false
            }),
        ),
        ("unsupported", message::<wire::Unsupported>("unsupported", generator)),
        ("error", message::<wire::Failed>("error", generator)),
    ]
}

fn world(generator: &mut SchemaGenerator) -> Value {
    let begin = generator.subschema_for::<wire::Begin>();
    json!({
        "type": "object",
        "description": "A whole scenario, for adapters that take `worlds`. Answer with `world`.",
        "properties": {
            "type": { "const": "world" },
            "begin": begin,
            "steps": { "type": "array", "items": { "$ref": "#/$defs/request" } }
        },
        "required": ["type", "begin", "steps"],
        "additionalProperties": false
    })
}

fn bare(kind: &str, about: &str) -> Value {
    json!({
        "type": "object",
        "description": about,
        "properties": { "type": { "const": kind } },
        "required": ["type"],
        "additionalProperties": false
    })
}

/// The schema of a type with its `type` written out.
fn message<T: JsonSchema>(kind: &str, generator: &mut SchemaGenerator) -> Value {
    let mut schema = T::json_schema(generator).to_value();
    let Some(object) = schema.as_object_mut() else { return schema };
    let mut properties = Map::new();
    properties.insert("type".to_owned(), json!({ "const": kind }));
    if let Some(Value::Object(own)) = object.remove("properties") {
        properties.extend(own);
    }
    let mut required = vec![json!("type")];
    if let Some(Value::Array(own)) = object.remove("required") {
        required.extend(own);
    }
    object.insert("properties".to_owned(), Value::Object(properties));
    object.insert("required".to_owned(), Value::Array(required));
    schema
}

/// Of an error that says "fits none of these", the one that came furthest with one of them.
fn innermost<'e, 'a>(error: &'e ValidationError<'a>) -> &'e ValidationError<'a> {
    match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            let inner = context.iter().flatten().map(innermost);
            let deepest = inner.max_by_key(|error| error.instance_path().as_str().len());
            deepest.filter(|inner| inner.instance_path() != error.instance_path()).unwrap_or(error)
        }
        _ => error,
    }
}

/// Checks messages, kind by kind.
pub(super) struct Checker {
    of: BTreeMap<(bool, String), Validator>,
}

impl Checker {
    pub(super) fn new() -> Result<Checker, String> {
        let document = schema();
        let defs = document.get("$defs").cloned().unwrap_or_default();
        let mut of = BTreeMap::new();
        for name in defs.as_object().into_iter().flat_map(Map::keys) {
            let Some((side, kind)) = name.split_once('-') else { continue };
            let schema = json!({ "$ref": format!("#/$defs/{name}"), "$defs": defs });
            let validator = jsonschema::validator_for(&schema).map_err(|error| error.to_string())?;
            of.insert((side == "answer", kind.to_owned()), validator);
        }
        Ok(Checker { of })
    }

    /// What is wrong with a message, pointing at the field; none where nothing is.
    pub(super) fn wrong(&self, line: &[u8], says: Says) -> Option<String> {
        let value: Value = match serde_json::from_slice(line) {
            Ok(value) => value,
            Err(error) => return Some(format!("it is no JSON: {error}")),
        };
        self.wrong_value(&value, says, "")
    }

    fn wrong_value(&self, value: &Value, says: Says, place: &str) -> Option<String> {
        let Some(kind) = value.get("type").and_then(Value::as_str) else {
            return Some(format!("at {place}/type: every message is an object with a `type`"));
        };
        let kinds = || {
            let side = self.of.keys().filter(|(answer, _)| *answer == (says == Says::Adapter));
            side.map(|(_, kind)| format!("`{kind}`")).collect::<Vec<_>>().join(", ")
        };
        let Some(validator) = self.of.get(&(says == Says::Adapter, kind.to_owned())) else {
            let shown = super::process::shown(kind.as_bytes(), 40);
            return Some(format!("at {place}/type: there is no `{shown}`: it is one of {}", kinds()));
        };
        // The parts of a world are checked by what they are.
        let parts = ["answers", "steps"].iter().find_map(|list| Some((list, value.get(*list)?.as_array()?)));
        if let (Some((list, parts)), "world") = (parts, kind) {
            let place = |index: usize| format!("{place}/{list}/{index}");
            let mut wrong = parts
                .iter()
                .enumerate()
                .filter_map(|(index, part)| self.wrong_value(part, says, &place(index)));
            if let Some(wrong) = wrong.next() {
                return Some(wrong);
            }
        }
        let mut text = String::new();
        for error in validator.iter_errors(value).take(3) {
            let error = innermost(&error);
            let separator = if text.is_empty() { "" } else { "; " };
            let message = super::process::shown(error.to_string().as_bytes(), 300);
            let at = format!("{place}{}", error.instance_path());
            let at = if at.is_empty() { "its top" } else { &at };
            let _ = write!(text, "{separator}at {at}: {message}");
        }
        (!text.is_empty()).then(|| format!("`{kind}`: {text}"))
    }
}
