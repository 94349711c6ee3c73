//! `/v1/lists`: lists and who is on them.

use std::collections::{BTreeSet, HashMap};

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::contacts::{Contact, tagged};
use crate::domain::access::limit::Limit;
use crate::domain::ids::{ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::slug;
use crate::domain::people::standing::Standing;
use crate::http::access::Charge;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Json, Params, Query, path_id};
use crate::http::web::list_path::ListPath;
use crate::http::web::paging::{ListParams, Listing, PARAMETERS, Paging};
use crate::http::web::problem::{ApiError, Problem};
use crate::http::web::text;
use crate::services::By;
use crate::services::people::change_list::change_list;
use crate::services::people::change_members::{MemberChange, Members, change_members};
use crate::services::people::create_list::create_list;
use crate::services::people::delete_list::delete_list;
use crate::store::people::lists::{self, CountedList, ListChange, NewList};
use crate::store::people::topics;
use crate::store::{Conn, Lane};

/// Longest name, in characters.
const MAX_NAME: usize = 200;

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 2_000;

/// Most contacts per request.
const MAX_MEMBERS: usize = 10_000;

/// A list.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct List {
    pub(in crate::http) id: ListId,
    pub(in crate::http) name: String,
    pub(in crate::http) description: String,
    /// Stands wherever the id may.
    pub(in crate::http) slug: Option<String>,
    /// Whether it counts everybody who was introduced and has not refused.
    pub(in crate::http) default_opt_in: bool,
    /// Whether a subscription counts only when the person has confirmed it.
    pub(in crate::http) double_opt_in: bool,
    /// Whether public pages show it.
    pub(in crate::http) public: bool,
    /// Its title there.
    pub(in crate::http) public_title: String,
    /// Its description there.
    pub(in crate::http) public_description: String,
    /// Its live members: those who are subscribed.
    pub(in crate::http) member_count: i64,
    /// Contacts by standing.
    pub(in crate::http) counts: StandingCounts,
    pub(in crate::http) created_at: UtcInstant,
    pub(in crate::http) updated_at: UtcInstant,
}

/// How many contacts stand on a list, and how.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct StandingCounts {
    /// Agreed to what the list is about.
    pub(in crate::http) subscribed: i64,
    /// Have not confirmed it yet.
    pub(in crate::http) unconfirmed: i64,
    /// Refused it.
    pub(in crate::http) unsubscribed: i64,
}

impl From<CountedList> for List {
    fn from(counted: CountedList) -> Self {
        let CountedList { list, counts } = counted;
        Self {
            id: list.id,
            name: list.name,
            description: list.description,
            slug: list.slug,
            default_opt_in: list.default_opt_in,
            double_opt_in: list.double_opt_in,
            public: list.public,
            public_title: list.public_title,
            public_description: list.public_description,
            member_count: counts.subscribed,
            counts: StandingCounts {
                subscribed: counts.subscribed,
                unconfirmed: counts.unconfirmed,
                unsubscribed: counts.unsubscribed,
            },
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
    /// Stands wherever the id may; unique. 1 to 64 of a-z, 0-9, - and _, with a letter. Made of the name unless given.
    slug: Option<String>,
    /// Counts everybody who was introduced (by an import or by `POST /v1/contacts`) and has not refused.
    #[serde(default)]
    default_opt_in: bool,
    /// A subscription counts only when the person has confirmed it. Not together with `default_opt_in`.
    #[serde(default)]
    double_opt_in: bool,
    /// Public pages show it.
    #[serde(default)]
    public: bool,
    /// Its title there.
    #[serde(default)]
    public_title: String,
    /// Its description there.
    #[serde(default)]
    public_description: String,
}

impl ListInput {
    fn new_list(self) -> Result<NewList, ApiError> {
        Ok(NewList {
            name: text::name("/name", &self.name, MAX_NAME)?,
            description: text::prose("/description", &self.description, MAX_DESCRIPTION)?,
            slug: self.slug.map(checked_slug).transpose()?,
            default_opt_in: self.default_opt_in,
            double_opt_in: self.double_opt_in,
            public: self.public,
            public_title: public_title(&self.public_title)?,
            public_description: public_description(&self.public_description)?,
        })
    }
}

fn checked_slug(slug: String) -> Result<String, ApiError> {
    slug::check(&slug).map_err(|error| ApiError::field("/slug", "slug_invalid", error.to_string()))?;
    Ok(slug)
}

/// One line; may be empty.
fn public_title(raw: &str) -> Result<String, ApiError> {
    if raw.trim().is_empty() { Ok(String::new()) } else { text::name("/public_title", raw, MAX_NAME) }
}

fn public_description(raw: &str) -> Result<String, ApiError> {
    text::prose("/public_description", raw, MAX_DESCRIPTION)
}

/// What is to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ListPatch {
    name: Option<String>,
    description: Option<String>,
    slug: Option<String>,
    default_opt_in: Option<bool>,
    double_opt_in: Option<bool>,
    public: Option<bool>,
    public_title: Option<String>,
    public_description: Option<String>,
}

impl ListPatch {
    fn change(self) -> Result<ListChange, ApiError> {
        let prose = |text: String| text::prose("/description", &text, MAX_DESCRIPTION);
        Ok(ListChange {
            name: self.name.map(|name| text::name("/name", &name, MAX_NAME)).transpose()?,
            description: self.description.map(prose).transpose()?,
            slug: self.slug.map(checked_slug).transpose()?,
            default_opt_in: self.default_opt_in,
            double_opt_in: self.double_opt_in,
            public: self.public,
            public_title: self.public_title.as_deref().map(public_title).transpose()?,
            public_description: self.public_description.as_deref().map(public_description).transpose()?,
        })
    }
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

impl ListFilter {
    /// The newest ones, as many as one answer has at most.
    pub(in crate::http) fn newest() -> Self {
        Self(Paging::newest("lists"))
    }
}

impl FromQuery for ListFilter {
    const NAMES: &'static [&'static str] = &PARAMETERS;

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Paging::read(params, "lists", &[]).map(Self)
    }
}

#[derive(Debug)]
pub(in crate::http) struct MemberFilter {
    paging: Paging,
    standing: Standing,
}

impl FromQuery for MemberFilter {
    const NAMES: &'static [&'static str] = &["page", "page_size", "anchor", "cursor", "standing"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let shown = [Standing::Subscribed, Standing::Unconfirmed, Standing::Unsubscribed];
        Ok(Self {
            paging: Paging::read(params, "members", &["standing"])?,
            standing: params.choice("standing", &shown)?.unwrap_or(Standing::Subscribed),
        })
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
    let list = List::from(create_list(&state.services, body.new_list()?, &by).await?);
    Ok(HttpResponse::Created().insert_header(("Location", format!("/v1/lists/{}", list.id))).json(list))
}

/// Lists the lists, newest first.
#[utoipa::path(get, path = "/v1/lists", tag = "lists", params(ListParams),
    responses((status = 200, body = Listing<List>), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Query(filter): Query<ListFilter>,
) -> Result<web::Json<Listing<List>>, ApiError> {
    listed(&state, filter).await.map(web::Json)
}

/// A part of the lists.
pub(in crate::http) async fn listed(state: &AppState, filter: ListFilter) -> Result<Listing<List>, ApiError> {
    let ListFilter(paging) = filter;
    let window = paging.window();
    let slice = state.store.run(Lane::Read, "list lists", move |conn| lists::list(conn, window)).await?;
    Ok(paging.answer(slice.map(List::from), |list| list.id.0))
}

/// Shows a list.
#[utoipa::path(get, path = "/v1/lists/{id}", tag = "lists", params(("id" = String, Path)),
    responses((status = 200, body = List), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    ListPath(id): ListPath,
    _: Query<()>,
) -> Result<web::Json<List>, ApiError> {
    one(&state, id).await.map(web::Json)
}

/// A list.
pub(in crate::http) async fn one(state: &AppState, id: ListId) -> Result<List, ApiError> {
    let list = state.store.run(Lane::Read, "read a list", move |conn| lists::find(conn, id)).await?;
    list.map(List::from).ok_or(ApiError::not_found("list", id.0))
}

/// What lists are called. Those that are gone are not in it.
pub(in crate::http) async fn names(
    state: &AppState,
    ids: BTreeSet<ListId>,
) -> Result<HashMap<ListId, String>, ApiError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let read = move |conn: &mut Conn| topics::names(conn, &ids);
    let named = state.store.run(Lane::LookUp, "read the names of lists", read).await?;
    Ok(named.into_iter().map(|(id, named)| (id, named.name)).collect())
}

/// Changes a list.
#[utoipa::path(patch, path = "/v1/lists/{id}", tag = "lists", params(("id" = String, Path)), request_body = ListPatch,
    responses((status = 200, body = List), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn change(
    state: web::Data<AppState>,
    ListPath(id): ListPath,
    _: Query<()>,
    by: By,
    Json(body): Json<ListPatch>,
) -> Result<web::Json<List>, ApiError> {
    Ok(web::Json(change_list(&state.services, id, body.change()?, &by).await?.into()))
}

/// Deletes a list; its members stay contacts. Refused while a campaign is sending to it.
#[utoipa::path(delete, path = "/v1/lists/{id}", tag = "lists", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn delete(
    state: web::Data<AppState>,
    ListPath(id): ListPath,
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

/// Adds contacts to a list: all of them, or none if one of them does not exist. Contacts that have refused stay unsubscribed.
#[utoipa::path(post, path = "/v1/lists/{id}/members", tag = "lists", params(("id" = String, Path)),
    request_body = MembersInput, responses((status = 200, body = MembersChanged), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn add_members(
    state: web::Data<AppState>,
    ListPath(id): ListPath,
    _: Query<()>,
    by: By,
    charge: Charge,
    Json(body): Json<MembersInput>,
) -> Result<web::Json<MembersChanged>, ApiError> {
    let contacts = checked(body)?;
    charge.rest(Limit::Ingest, contacts.len())?;
    let changed = change_members(&state.services, id, MemberChange::Add, contacts, &by).await?;
    Ok(web::Json(changed.into()))
}

/// Removes contacts from a list; contacts that are not on it are ignored. Refusals stay.
#[utoipa::path(delete, path = "/v1/lists/{id}/members", tag = "lists", params(("id" = String, Path)),
    request_body = MembersInput, responses((status = 200, body = MembersChanged), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn remove_members(
    state: web::Data<AppState>,
    ListPath(id): ListPath,
    _: Query<()>,
    by: By,
    charge: Charge,
    Json(body): Json<MembersInput>,
) -> Result<web::Json<MembersChanged>, ApiError> {
    let contacts = checked(body)?;
    charge.rest(Limit::Ingest, contacts.len())?;
    let changed = change_members(&state.services, id, MemberChange::Remove, contacts, &by).await?;
    Ok(web::Json(changed.into()))
}

/// Removes one contact from a list.
#[utoipa::path(delete, path = "/v1/lists/{id}/members/{contact_id}", tag = "lists",
    params(("id" = String, Path), ("contact_id" = i64, Path)),
    responses((status = 200, body = MembersChanged), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn remove_member(
    state: web::Data<AppState>,
    ListPath(id): ListPath,
    request: HttpRequest,
    _: Query<()>,
    by: By,
) -> Result<web::Json<MembersChanged>, ApiError> {
    let contact = path_id(&request, "contact_id")?;
    let changed = change_members(&state.services, id, MemberChange::Remove, vec![contact], &by).await?;
    Ok(web::Json(changed.into()))
}

/// Lists the contacts that stand on a list, newest contact first: those who are subscribed, unless `standing` asks for others.
#[utoipa::path(get, path = "/v1/lists/{id}/members", tag = "lists",
    params(("id" = String, Path), ("standing" = Option<Standing>, Query), ListParams),
    responses((status = 200, body = Listing<Contact>), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn members(
    state: web::Data<AppState>,
    ListPath(id): ListPath,
    Query(MemberFilter { paging, standing }): Query<MemberFilter>,
) -> Result<web::Json<Listing<Contact>>, ApiError> {
    let window = paging.window();
    let slice = state
        .store
        .run(Lane::Read, "list members", move |conn| {
            lists::members(conn, id, standing, window)?.map(|slice| tagged(conn, slice)).transpose()
        })
        .await?;
    let slice = slice.ok_or(ApiError::not_found("list", id.0))?;
    Ok(web::Json(paging.answer(slice, |contact| contact.id.0)))
}
