//! What all operations of the description have in common: an id of their own, the problems that they answer with, and the bounds of numbers.

use std::collections::{BTreeMap, BTreeSet};

use utoipa::Number;
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ArrayItems, KnownFormat, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Required, Server, Tag};

/// What the paths of operations for programs begin with.
const API: &str = "/v1";

/// The media type of most bodies.
const JSON: &str = "application/json";

/// The media type of a problem (RFC 9457).
const PROBLEM: &str = "application/problem+json";

/// What the groups of operations are about.
const TAGS: [(&str, &str); 11] = [
    ("callbacks", "Reports of providers: bounces, complaints, receipts."),
    ("campaigns", "Messages to an audience: written, checked, launched, paused, stopped, looked at."),
    ("contacts", "People, their attributes and tags, and imports and exports of them."),
    ("events", "What people did, put in by other systems."),
    ("files", "Files that emails have."),
    ("keys", "API keys, and the log of what was done with them."),
    ("lists", "Lists that people agree to, and who stands on them how."),
    ("operations", "Instances, pools, the broker, health and figures."),
    ("segments", "Rules over contacts whose members are kept up to date, and reactions to them."),
    ("suppressions", "Addresses that are not written to, and why."),
    ("templates", "Contents that campaigns share."),
];

/// Most rows of one answer, where they are not 100: path and number.
const MOST_ROWS: [(&str, isize); 7] = [
    ("/v1/campaigns/{id}/minutes", 2_000),
    ("/v1/consent", 1_000),
    ("/v1/deliverability", 1_000),
    ("/v1/segments/{id}/members", 1_000),
    ("/v1/segments/{id}/transitions", 1_000),
    ("/v1/suppressions", 1_000),
    ("/v1/suppressions/domains", 1_000),
];

/// Completes the description.
pub(super) struct Common;

impl utoipa::Modify for Common {
    fn modify(&self, description: &mut OpenApi) {
        description.servers = Some(vec![Server::new("/")]);
        let tag = |(name, about): (&str, &str)| Tag::builder().name(name).description(Some(about)).build();
        description.tags = Some(TAGS.map(tag).to_vec());
        let schemas = &mut description.components.get_or_insert_default().schemas;
        share_rows(schemas);
        let optional = without_required_fields(schemas);
        for (path, item) in &mut description.paths.paths {
            for (method, operation) in operations(item) {
                operation.operation_id = Some(id(method, path));
                answers(path, operation);
                bounds(path, operation);
                files(operation);
                if method == "post" {
                    allow_no_body(operation, &optional);
                }
            }
        }
    }
}

/// What the names of the schemas of lists begin with; the name of what they list follows.
const LISTING: &str = "Listing_";

/// A list refers to the schema of its rows, so that a client has one type for a row and for the thing itself.
fn share_rows(schemas: &mut BTreeMap<String, RefOr<Schema>>) {
    let mut rows = Vec::new();
    for (name, schema) in schemas.iter_mut() {
        let Some(of) = name.strip_prefix(LISTING) else { continue };
        let RefOr::T(Schema::Object(list)) = schema else { continue };
        let Some(RefOr::T(Schema::Array(data))) = list.properties.get_mut("data") else { continue };
        let shared = ArrayItems::RefOrSchema(Box::new(RefOr::Ref(Ref::from_schema_name(of))));
        if let ArrayItems::RefOrSchema(row) = std::mem::replace(&mut data.items, shared) {
            rows.push((of.to_owned(), *row));
        }
    }
    for (name, row) in rows {
        schemas.entry(name).or_insert(row);
    }
}

/// Where the schemas are to which `{}` is a valid object.
fn without_required_fields(schemas: &BTreeMap<String, RefOr<Schema>>) -> BTreeSet<String> {
    let takes_nothing = |(name, schema): (&String, &RefOr<Schema>)| {
        let RefOr::T(Schema::Object(object)) = schema else { return None };
        object.required.is_empty().then(|| Ref::from_schema_name(name).ref_location)
    };
    schemas.iter().filter_map(takes_nothing).collect()
}

/// A body that is no JSON is a file: generated clients send its bytes as they are.
fn files(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    for (_, content) in body.content.iter_mut().filter(|(kind, _)| *kind != JSON) {
        if let RefOr::T(Content { schema: Some(RefOr::T(Schema::Object(text))), .. }) = content {
            text.format = Some(SchemaFormat::KnownFormat(KnownFormat::Binary));
        }
    }
}

/// A POST without a body counts as one with `{}`.
fn allow_no_body(operation: &mut Operation, optional: &BTreeSet<String>) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    let Some(RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. })) = body.content.get(JSON) else { return };
    if optional.contains(&schema.ref_location) {
        body.required = Some(Required::False);
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("get", &mut item.get),
        ("post", &mut item.post),
        ("put", &mut item.put),
        ("patch", &mut item.patch),
        ("delete", &mut item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// The id of an operation, from which generators of clients name its function: `get_campaigns_by_id_links`.
fn id(method: &str, path: &str) -> String {
    let path = path.strip_prefix(API).unwrap_or(path);
    let part = |part: &str| match part.strip_prefix('{') {
        Some(name) => format!("_by_{}", name.trim_end_matches('}')),
        None => format!("_{}", part.replace(['-', '.'], "_")),
    };
    method.to_owned() + &path.split('/').filter(|part| !part.is_empty()).map(part).collect::<String>()
}

/// Every answer says what it is, and every refusal is a problem.
fn answers(path: &str, operation: &mut Operation) {
    let all = &mut operation.responses.responses;
    let refusals: &[&str] = if path.starts_with(API) { &["401", "4XX", "5XX"] } else { &["4XX", "5XX"] };
    for status in refusals {
        all.entry((*status).to_owned()).or_insert_with(|| RefOr::T(problem()));
    }
    for (status, answer) in all {
        let RefOr::T(answer) = answer else { continue };
        if answer.description.is_empty() {
            answer.description = meaning(status).to_owned();
        }
        let is_problem = |content: &RefOr<Content>| {
            let RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) = content else { return false };
            schema.ref_location == problem_schema().ref_location
        };
        let content = std::mem::take(&mut answer.content).into_iter();
        let named = content
            .map(|(kind, content)| if is_problem(&content) { (PROBLEM.to_owned(), content) } else { (kind, content) });
        answer.content = named.collect();
    }
}

fn problem_schema() -> Ref {
    Ref::from_schema_name("Problem")
}

fn problem() -> Response {
    ResponseBuilder::new().content(PROBLEM, Content::new(Some(problem_schema()))).build()
}

fn meaning(status: &str) -> &'static str {
    match status {
        "200" => "It is so.",
        "201" => "It was made.",
        "202" => "It is accepted, and goes on.",
        "204" => "It is done.",
        "401" => "A valid API key is missing.",
        "503" | "5XX" => "It could not be done; the problem says why.",
        _ => "It is refused; the problem says why.",
    }
}

/// What numbers in paths and queries may be.
fn bounds(path: &str, operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema else { continue };
        // A parameter that is left out is not there: it cannot be null.
        if schema.schema_type == SchemaType::from_iter([Type::Integer, Type::Null]) {
            schema.schema_type = SchemaType::new(Type::Integer);
        }
        if schema.schema_type != SchemaType::new(Type::Integer) {
            continue;
        }
        let most_rows = MOST_ROWS.iter().find(|(of, _)| *of == path).map_or(100, |(_, most)| *most);
        let (least, most) = match (&parameter.parameter_in, parameter.name.as_str()) {
            (ParameterIn::Path, _) => (1, None),
            (_, "page_size") => (1, Some(most_rows)),
            (_, "page") => (1, Some(1_000_000_000)),
            (_, "wait_ms") => (0, Some(30_000)),
            (_, "step") => (1, Some(1_440)),
            (_, "cells") => (1, Some(1_000)),
            (_, "anchor" | "after") => (0, None),
            (_, _) => (1, None),
        };
        schema.minimum = Some(Number::Int(least));
        schema.maximum = most.map(Number::Int);
    }
}
