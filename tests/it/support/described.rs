//! Holds every answer that a test sees against the API's own description: its status, its media type, and every field of it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

/// Where a description keeps its schemas.
const SCHEMAS: &str = "#/components/schemas/";

/// The media type of most bodies.
const JSON: &str = "application/json";

/// The media type of a problem (RFC 9457).
const PROBLEM_JSON: &str = "application/problem+json";

/// An answer, as far as the description speaks of it.
pub(crate) struct Seen<'a> {
    pub(crate) method: &'a str,
    /// The path, perhaps with a query.
    pub(crate) target: &'a str,
    pub(crate) status: u16,
    pub(crate) content_type: Option<&'a str>,
    /// Text where it is no JSON.
    pub(crate) body: &'a Value,
}

/// Fails the test when an answer is not as the description says. Pages and answers to HEAD are not described.
#[track_caller]
pub(crate) fn check(seen: &Seen<'_>) {
    if let Err(lie) = compare(seen) {
        let Seen { method, target, status, body, .. } = seen;
        panic!("/openapi.json is wrong about {method} {target}, {status}: {lie}\n{body}");
    }
}

/// # Errors
/// What the description says otherwise.
fn compare(seen: &Seen<'_>) -> Result<(), String> {
    let media_type = seen.content_type.and_then(|kind| kind.split(';').next()).map(str::trim);
    let Some((path, operation)) = operation(seen.method, seen.target) else {
        // There is no such route, or not with this method.
        let problem = json!({ "$ref": format!("{SCHEMAS}Problem") });
        return if media_type == Some(PROBLEM_JSON) { obeys("a problem", &problem, seen.body) } else { Ok(()) };
    };
    if (seen.status, media_type) == (404, Some("text/html")) {
        // A listener for recipients alone, which has their pages and no route of the description.
        return Ok(());
    }
    let (exact, range) = (seen.status.to_string(), format!("{}XX", seen.status / 100));
    let answers = &operation["responses"];
    let status = if answers.get(&exact).is_some() { exact } else { range };
    let Some(answer) = answers.get(&status) else { return Err("the status is not listed".to_owned()) };
    let contents = answer["content"].as_object();
    let Some(media_type) = media_type else {
        let is_empty = seen.body == "";
        return if is_empty { Ok(()) } else { Err("the answer has a body without a media type".to_owned()) };
    };
    let Some(content) = contents.and_then(|all| all.get(media_type)) else {
        let listed: Vec<_> = contents.into_iter().flat_map(Map::keys).collect();
        return Err(format!("the media type {media_type} is not listed, but {listed:?}"));
    };
    if ![JSON, PROBLEM_JSON].contains(&media_type) {
        return Ok(());
    }
    obeys(&format!("{} {path} {status} {media_type}", seen.method), &content["schema"], seen.body)
}

/// The path and the operation that a request is for. A path without parameters comes before one with some.
fn operation(method: &str, target: &str) -> Option<(&'static str, &'static Value)> {
    let target = target.split('?').next().unwrap_or_default();
    let fits = |path: &str| {
        let (mut parts, mut given) = (path.split('/'), target.split('/'));
        parts
            .by_ref()
            .all(|part| given.next().is_some_and(|given| part == given || part.starts_with('{') && !given.is_empty()))
            && given.next().is_none()
    };
    let paths = description()["paths"].as_object().expect("the description has paths").iter();
    let fitting = paths.filter(|(path, _)| fits(path));
    let with_method = fitting.filter_map(|(path, all)| Some((path.as_str(), all.get(method.to_ascii_lowercase())?)));
    with_method.min_by_key(|(path, _)| path.matches('{').count())
}

fn description() -> &'static Value {
    static DESCRIPTION: OnceLock<Value> = OnceLock::new();
    DESCRIPTION.get_or_init(|| serde_json::to_value(volley::http::openapi::document()).expect("it is JSON"))
}

/// Validates a body. `name` names the schema: it is compiled once.
fn obeys(name: &str, schema: &Value, body: &Value) -> Result<(), String> {
    static COMPILED: OnceLock<Mutex<HashMap<String, Arc<Validator>>>> = OnceLock::new();
    let compiled = COMPILED
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(name.to_owned())
        .or_insert_with(|| Arc::new(compile(schema)))
        .clone();
    let errors: Vec<_> =
        compiled.iter_errors(body).take(5).map(|error| format!("{}: {error}", error.instance_path())).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("; ").chars().take(1_500).collect()) }
}

/// A schema with those that it refers to, each of which takes no field that it does not name.
fn compile(schema: &Value) -> Validator {
    let all = description()["components"]["schemas"].as_object().expect("the description has schemas");
    let mut named = BTreeSet::new();
    references(schema, all, &mut named);
    let schemas: Map<_, _> = named.iter().map(|name| (name.clone(), strict(&all[name], all, false))).collect();
    let mut root = strict(schema, all, true);
    root["components"] = json!({ "schemas": schemas });
    let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
    options.build(&root).unwrap_or_else(|error| panic!("not a schema: {error}: {schema}"))
}

/// The names of all schemas that one refers to, directly or not.
fn references(schema: &Value, all: &Map<String, Value>, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(name) = fields.get("$ref").and_then(referred)
                && found.insert(name.to_owned())
            {
                references(&all[name], all, found);
            }
            fields.values().for_each(|field| references(field, all, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, all, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn referred(reference: &Value) -> Option<&str> {
    reference.as_str()?.strip_prefix(SCHEMAS)
}

/// The same schema, but no object in it may have a field that is not named. `whole`: all that a place takes. A part of a whole
/// (`allOf`, or what is referred to) knows nothing of the fields of the other parts, and stays open: the whole closes it.
fn strict(schema: &Value, all: &Map<String, Value>, whole: bool) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    let parts = |parts: &Value, whole| match parts {
        Value::Array(parts) => parts.iter().map(|part| strict(part, all, whole)).collect(),
        Value::Object(parts) => parts.iter().map(|(name, part)| (name.clone(), strict(part, all, whole))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => parts.clone(),
    };
    let mut closed: Map<_, _> = fields
        .iter()
        .map(|(keyword, value)| {
            let value = match keyword.as_str() {
                "properties" | "prefixItems" => parts(value, true),
                "items" | "additionalProperties" => strict(value, all, true),
                "allOf" | "oneOf" | "anyOf" => parts(value, false),
                _ => value.clone(),
            };
            (keyword.clone(), value)
        })
        .collect();
    if whole && !is_free(schema, all) {
        closed.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
    }
    Value::Object(closed)
}

/// Whether a schema takes objects of any fields on purpose: what people define themselves.
fn is_free(schema: &Value, all: &Map<String, Value>) -> bool {
    if let Some(name) = schema.get("$ref").and_then(referred) {
        return is_free(&all[name], all);
    }
    let mut parts = ["allOf", "oneOf", "anyOf"].iter().filter_map(|keyword| schema.get(keyword)?.as_array()).peekable();
    if parts.peek().is_some() {
        return parts.flatten().any(|part| is_free(part, all));
    }
    let takes_objects = match schema.get("type") {
        None => schema.get("enum").is_none(),
        Some(Value::Array(kinds)) => kinds.contains(&json!("object")),
        Some(kind) => kind == "object",
    };
    takes_objects && schema.get("properties").is_none() && schema.get("additionalProperties").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen<'a>(target: &'a str, status: u16, content_type: &'a str, body: &'a Value) -> Seen<'a> {
        Seen { method: "GET", target, status, content_type: Some(content_type), body }
    }

    #[test]
    fn an_answer_that_the_description_does_not_know_is_found() {
        let good = json!({ "status": "ok" });
        assert_eq!(compare(&seen("/healthz", 200, JSON, &good)), Ok(()));
        for (target, status, kind, body, word) in [
            ("/healthz", 202, JSON, json!({ "status": "ok" }), "status"),
            ("/healthz", 200, "text/plain", json!("ok"), "media type"),
            ("/healthz", 200, JSON, json!({ "status": "ok", "more": 1 }), "more"),
            ("/healthz", 200, JSON, json!({}), "required"),
            ("/v1/lists/1", 404, PROBLEM_JSON, json!({ "code": "list_not_found" }), "required"),
            ("/v1/no/such/route", 404, PROBLEM_JSON, json!({ "code": "not_found" }), "required"),
        ] {
            let lie = compare(&seen(target, status, kind, &body)).unwrap_err();
            assert!(lie.contains(word), "{target} {body}: {lie}");
        }
    }

    #[test]
    fn a_field_that_no_part_of_a_whole_names_is_found_at_any_depth() {
        let all = json!({
            "Part": { "type": "object", "properties": { "deep": { "$ref": "#/components/schemas/Deep" } } },
            "Deep": { "type": "object", "properties": { "n": { "type": "integer" } } },
            "Free": { "type": "object" },
        });
        let whole = json!({ "allOf": [
            { "$ref": "#/components/schemas/Part" },
            { "type": "object", "properties": { "own": {}, "free": { "$ref": "#/components/schemas/Free" } } },
        ] });
        let all = all.as_object().unwrap();
        let mut root = strict(&whole, all, true);
        let parts: Map<_, _> = all.iter().map(|(name, part)| (name.clone(), strict(part, all, false))).collect();
        root["components"] = json!({ "schemas": parts });
        let validator = jsonschema::options().with_draft(Draft::Draft202012).build(&root).unwrap();
        for good in [json!({ "deep": { "n": 1 }, "own": { "x": 1 }, "free": { "y": { "z": 1 } } }), json!({})] {
            assert!(validator.is_valid(&good), "{good}");
        }
        for bad in [json!({ "other": 1 }), json!({ "deep": { "m": 1 } })] {
            assert!(!validator.is_valid(&bad), "{bad}");
        }
    }
}
