//! `/v1/lists`: lists and who is on them.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::contacts::Contact;
use crate::domain::ids::{ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Json, Params, Query, path_id};
use crate::http::web::paging::{ListParams, Listing, PARAMETERS, Paging};
use crate::http::web::problem::{ApiError, Problem};
use crate::http::web::text;
use crate::services::By;
use crate::services::people::change_list::change_list;
use crate::services::people::change_members::{MemberChange, Members, change_members};
use crate::services::people::create_list::create_list;
use crate::services::people::delete_list::delete_list;
use crate::store::Lane;
use crate::store::people::lists::{self, CountedList, ListChange};

/// Longest name, in characters.
const MAX_NAME: usize = 200;

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 2_000;

/// Most contacts per request.
const MAX_MEMBERS: usize = 10_000;

/// A list.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct List {
    id: ListId,
    name: String,
    description: String,
    /// Its live members.
    member_count: i64,
    created_at: UtcInstant,
    updated_at: UtcInstant,
}

impl From<CountedList> for List {
    fn from(counted: CountedList) -> Self {
        let CountedList { list, members } = counted;
        Self {
            id: list.id,
            name: list.name,
            description: list.description,
            member_count: members,
            created_at: list.created_at,
            updated_at: list.updated_at,
        }
    }
}

/// A list to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ListInput {
    /// Unique.
    name: String,
    #[serde(default)]
    description: String,
}

/// What is to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ListPatch {
    name: Option<String>,
    description: Option<String>,
}

/// Who is meant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct MembersInput {
    /// 1 to 10,000.
    contact_ids: Vec<ContactId>,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct MembersChanged {
    /// Contacts that were added or removed; the others had been so before.
    changed: usize,
    /// Members now.
    member_count: i64,
}

impl From<Members> for MembersChanged {
    fn from(Members { changed, count }: Members) -> Self {
        Self { changed, member_count: count }
    }
}

#[derive(Debug)]
pub(in crate::http) struct ListFilter(Paging);

impl FromQuery for ListFilter {
    const NAMES: &'static [&'static str] = &PARAMETERS;

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Paging::read(params, "lists", &[]).map(Self)
    }
}

#[derive(Debug)]
pub(in crate::http) struct MemberFilter(Paging);

impl FromQuery for MemberFilter {
    const NAMES: &'static [&'static str] = &PARAMETERS;

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Paging::read(params, "members", &[]).map(Self)
    }
}

/// Creates a list.
#[utoipa::path(post, path = "/v1/lists", tag = "lists", request_body = ListInput,
    responses((status = 201, body = List), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn create(
    state: web::Data<AppState>,
    _: Query<()>,
    by: By,
    Json(body): Json<ListInput>,
) -> Result<HttpResponse, ApiError> {
    let name = text::name("/name", &body.name, MAX_NAME)?;
    let description = text::prose("/description", &body.description, MAX_DESCRIPTION)?;
    let list = List::from(create_list(&state.services, name, description, &by).await?);
    Ok(HttpResponse::Created().insert_header(("Location", format!("/v1/lists/{}", list.id))).json(list))
}

/// Lists the lists, newest first.
#[utoipa::path(get, path = "/v1/lists", tag = "lists", params(ListParams),
    responses((status = 200, body = Listing<List>), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Query(ListFilter(paging)): Query<ListFilter>,
) -> Result<web::Json<Listing<List>>, ApiError> {
    let window = paging.window();
    let slice = state.store.run(Lane::Read, "list lists", move |conn| lists::list(conn, window)).await?;
    Ok(web::Json(paging.answer(slice.map(List::from), |list| list.id.0)))
}

/// Shows a list.
#[utoipa::path(get, path = "/v1/lists/{id}", tag = "lists", params(("id" = i64, Path)),
    responses((status = 200, body = List), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    Id(id): Id<ListId>,
    _: Query<()>,
) -> Result<web::Json<List>, ApiError> {
    let list = state.store.run(Lane::Read, "read a list", move |conn| lists::find(conn, id)).await?;
    list.map(|list| web::Json(list.into())).ok_or(ApiError::not_found("list", id.0))
}

/// Changes a list's name or description.
#[utoipa::path(patch, path = "/v1/lists/{id}", tag = "lists", params(("id" = i64, Path)), request_body = ListPatch,
    responses((status = 200, body = List), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn change(
    state: web::Data<AppState>,
    Id(id): Id<ListId>,
    _: Query<()>,
    by: By,
    Json(body): Json<ListPatch>,
) -> Result<web::Json<List>, ApiError> {
    let change = ListChange {
        name: body.name.map(|name| text::name("/name", &name, MAX_NAME)).transpose()?,
        description: body
            .description
            .map(|description| text::prose("/description", &description, MAX_DESCRIPTION))
            .transpose()?,
    };
    Ok(web::Json(change_list(&state.services, id, change, &by).await?.into()))
}

/// Deletes a list; its members stay contacts. Refused while a campaign is sending to it.
#[utoipa::path(delete, path = "/v1/lists/{id}", tag = "lists", params(("id" = i64, Path)),
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn delete(
    state: web::Data<AppState>,
    Id(id): Id<ListId>,
    _: Query<()>,
    by: By,
) -> Result<HttpResponse, ApiError> {
    delete_list(&state.services, id, &by).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn checked(body: MembersInput) -> Result<Vec<ContactId>, ApiError> {
    let MembersInput { contact_ids } = body;
    if contact_ids.is_empty() || contact_ids.len() > MAX_MEMBERS {
        let reason = format!("give 1 to {MAX_MEMBERS} ids");
        return Err(ApiError::field("/contact_ids", "out_of_range", reason));
    }
    Ok(contact_ids)
}

/// Adds contacts to a list: all of them, or none if one of them does not exist.
#[utoipa::path(post, path = "/v1/lists/{id}/members", tag = "lists", params(("id" = i64, Path)),
    request_body = MembersInput, responses((status = 200, body = MembersChanged), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn add_members(
    state: web::Data<AppState>,
    Id(id): Id<ListId>,
    _: Query<()>,
    by: By,
    Json(body): Json<MembersInput>,
) -> Result<web::Json<MembersChanged>, ApiError> {
    let changed = change_members(&state.services, id, MemberChange::Add, checked(body)?, &by).await?;
    Ok(web::Json(changed.into()))
}

/// Removes contacts from a list; contacts that are not on it are ignored.
#[utoipa::path(delete, path = "/v1/lists/{id}/members", tag = "lists", params(("id" = i64, Path)),
    request_body = MembersInput, responses((status = 200, body = MembersChanged), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn remove_members(
    state: web::Data<AppState>,
    Id(id): Id<ListId>,
    _: Query<()>,
    by: By,
    Json(body): Json<MembersInput>,
) -> Result<web::Json<MembersChanged>, ApiError> {
    let changed = change_members(&state.services, id, MemberChange::Remove, checked(body)?, &by).await?;
    Ok(web::Json(changed.into()))
}

/// Removes one contact from a list.
#[utoipa::path(delete, path = "/v1/lists/{id}/members/{contact_id}", tag = "lists",
    params(("id" = i64, Path), ("contact_id" = i64, Path)),
    responses((status = 200, body = MembersChanged), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn remove_member(
    state: web::Data<AppState>,
    Id(id): Id<ListId>,
    request: HttpRequest,
    _: Query<()>,
    by: By,
) -> Result<web::Json<MembersChanged>, ApiError> {
    let contact = path_id(&request, "contact_id")?;
    let changed = change_members(&state.services, id, MemberChange::Remove, vec![contact], &by).await?;
    Ok(web::Json(changed.into()))
}

/// Lists the members of a list, newest contact first.
#[utoipa::path(get, path = "/v1/lists/{id}/members", tag = "lists", params(("id" = i64, Path), ListParams),
    responses((status = 200, body = Listing<Contact>), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn members(
    state: web::Data<AppState>,
    Id(id): Id<ListId>,
    Query(MemberFilter(paging)): Query<MemberFilter>,
) -> Result<web::Json<Listing<Contact>>, ApiError> {
    let window = paging.window();
    let slice = state
        .store
        .run(Lane::Read, "list members", move |conn| {
            lists::members(conn, id, window)?.map(|slice| slice.try_map(Contact::try_from)).transpose()
        })
        .await?;
    let slice = slice.ok_or(ApiError::not_found("list", id.0))?;
    Ok(web::Json(paging.answer(slice, |contact| contact.id.0)))
}
