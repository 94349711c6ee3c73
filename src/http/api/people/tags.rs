//! `/v1/tags`, and the tags of contacts.

use std::collections::BTreeSet;

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::selection::{Asked, Cursor, FilterInput};
use crate::domain::access::limit::Limit;
use crate::domain::ids::{ContactId, TagId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::tag::{self, MAX_TAGS};
use crate::http::access::Charge;
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Json, Query};
use crate::http::web::problem::{ApiError, FieldProblem, Problem};
use crate::services::By;
use crate::services::people::tag_contacts::{TagChange, Tagged, tag_contacts, tag_selected};
use crate::store::Lane;
use crate::store::people::tags::{self, CountedTag};

/// Most contacts per request.
const MAX_CONTACTS: usize = 10_000;

/// A tag.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Tag {
    id: TagId,
    /// In lower case.
    name: String,
    /// Living contacts that have it.
    contact_count: i64,
    created_at: UtcInstant,
}

impl From<CountedTag> for Tag {
    fn from(tag: CountedTag) -> Self {
        Self { id: tag.id, name: tag.name, contact_count: tag.contacts, created_at: tag.created_at }
    }
}

/// Every tag, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Tags {
    data: Vec<Tag>,
}

/// What a contact gets and loses.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct TagsInput {
    /// Tags to put on: up to 50, of 1 to 64 characters each. They are kept in lower case.
    #[serde(default)]
    add: Vec<String>,
    /// Tags to take off.
    #[serde(default)]
    remove: Vec<String>,
}

/// What several contacts get and lose.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct BulkTagsInput {
    /// 1 to 10,000.
    contact_ids: Option<Vec<ContactId>>,
    /// Contacts by what is known of them, in place of naming them.
    filter: Option<FilterInput>,
    /// With a filter: `next_cursor` of the answer before.
    cursor: Option<String>,
    /// With a filter: how many contacts at most, 1 to 10,000. Unless given, 10,000.
    limit: Option<usize>,
    /// Tags to put on: up to 50, of 1 to 64 characters each. They are kept in lower case.
    #[serde(default)]
    add: Vec<String>,
    /// Tags to take off.
    #[serde(default)]
    remove: Vec<String>,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TagsChanged {
    /// Tags that contacts got, counted for each contact.
    added: usize,
    /// Tags that contacts lost.
    removed: usize,
    /// By a filter: give it as `cursor` to go on, until it is null.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    next_cursor: Option<Option<Cursor>>,
}

impl From<Tagged> for TagsChanged {
    fn from(Tagged { added, removed }: Tagged) -> Self {
        Self { added, removed, next_cursor: None }
    }
}

fn read_tags(field: &str, raw: &[String], errors: &mut Vec<FieldProblem>) -> BTreeSet<String> {
    if raw.len() > MAX_TAGS {
        errors.push(FieldProblem::new(format!("/{field}"), "too_many_tags", format!("at most {MAX_TAGS} tags")));
    }
    let mut tags = BTreeSet::new();
    for (index, text) in raw.iter().enumerate().take(MAX_TAGS) {
        match tag::parse(text) {
            Ok(tag) => _ = tags.insert(tag),
            Err(error) => errors.push(FieldProblem::new(format!("/{field}/{index}"), error.code, error.reason)),
        }
    }
    tags
}

fn read_change(add: &[String], remove: &[String]) -> Result<TagChange, ApiError> {
    let mut errors = Vec::new();
    let change =
        TagChange { add: read_tags("add", add, &mut errors), remove: read_tags("remove", remove, &mut errors) };
    if errors.is_empty() { Ok(change) } else { Err(ApiError::Invalid(errors)) }
}

/// Lists the tags, by name.
#[utoipa::path(get, path = "/v1/tags", tag = "contacts",
    responses((status = 200, body = Tags), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(state: web::Data<AppState>, _: Query<()>) -> Result<web::Json<Tags>, ApiError> {
    let all = state.store.run(Lane::Read, "list tags", tags::list).await?;
    Ok(web::Json(Tags { data: all.into_iter().map(Tag::from).collect() }))
}

/// Puts tags on a contact, and takes others off.
#[utoipa::path(post, path = "/v1/contacts/{id}/tags", tag = "contacts", params(("id" = i64, Path)),
    request_body = TagsInput, responses((status = 200, body = TagsChanged), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn change(
    state: web::Data<AppState>,
    Id(id): Id<ContactId>,
    _: Query<()>,
    by: By,
    Json(body): Json<TagsInput>,
) -> Result<web::Json<TagsChanged>, ApiError> {
    let change = read_change(&body.add, &body.remove)?;
    Ok(web::Json(tag_contacts(&state.services, vec![id], change, &by).await?.into()))
}

/// Puts tags on contacts, and takes others off: on all of them, or on none if one of them does not exist. In place of `contact_ids`, a
/// `filter` takes up to 10,000 at a time; with the `next_cursor` of the answer, the same request goes on.
#[utoipa::path(post, path = "/v1/contacts/tags", tag = "contacts", request_body = BulkTagsInput,
    responses((status = 200, body = TagsChanged), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn change_many(
    state: web::Data<AppState>,
    _: Query<()>,
    charge: Charge,
    by: By,
    Json(body): Json<BulkTagsInput>,
) -> Result<web::Json<TagsChanged>, ApiError> {
    let change = read_change(&body.add, &body.remove)?;
    let BulkTagsInput { contact_ids, filter, cursor, limit, .. } = body;
    let asked = Asked { filter, cursor, limit, names_contacts: contact_ids.is_some() };
    if let Some(mut selection) = asked.read(&state, &by).await? {
        let tagged = tag_selected(&state.services, &mut selection, &change, &by).await?;
        return Ok(web::Json(TagsChanged { next_cursor: Some(Cursor::of(&selection)), ..tagged.into() }));
    }
    let Some(contacts) = contact_ids else {
        return Err(ApiError::field("/contact_ids", "required", "give contact_ids, or a filter"));
    };
    if contacts.is_empty() || contacts.len() > MAX_CONTACTS {
        return Err(ApiError::field("/contact_ids", "out_of_range", format!("give 1 to {MAX_CONTACTS} ids")));
    }
    charge.rest(Limit::Ingest, contacts.len())?;
    Ok(web::Json(tag_contacts(&state.services, contacts, change, &by).await?.into()))
}
