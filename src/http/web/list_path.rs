//! What names a list: its id, or its slug. In the path as `{id}`, and in bodies.

use std::collections::HashMap;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use serde::de::{Deserialize, Deserializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::domain::ids::ListId;
use crate::domain::people::slug;
use crate::http::state::AppState;
use crate::http::web::extract::path_id;
use crate::http::web::id_or_slug::{IdOrSlug, Missing};
use crate::http::web::problem::ApiError;
use crate::store::Lane;
use crate::store::people::lists::{self, ListKey};

/// The list that the path means.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct ListPath(pub(in crate::http) ListId);

impl FromRequest for ListPath {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let text = request.match_info().get("id").unwrap_or_default().to_owned();
        let state = AppState::of(request);
        if slug::check(&text).is_err() {
            let id = path_id(request, "id").map(Self);
            return Box::pin(std::future::ready(id));
        }
        Box::pin(async move {
            let state = state?;
            resolve(&state, ListKey::Slug(text)).await.map(Self)
        })
    }
}

/// The id of the list that goes by this.
///
/// # Errors
/// 404 when no list has the slug. An id is not looked up.
pub(in crate::http) async fn resolve(state: &AppState, key: ListKey) -> Result<ListId, ApiError> {
    let slug = match key {
        ListKey::Id(id) => return Ok(id),
        ListKey::Slug(slug) => slug,
    };
    let wanted = ListKey::Slug(slug.clone());
    let found = state.store.run(Lane::LookUp, "find a list", move |conn| lists::resolve(conn, &wanted)).await?;
    found.ok_or_else(|| ApiError::no_such("list", &slug))
}

/// What a text names a list by.
///
/// # Errors
/// It is neither an id nor a slug.
pub(in crate::http) fn parse(text: &str) -> Result<ListKey, String> {
    ListKey::parse(text).ok_or_else(|| "is neither an id nor a slug of a list".to_owned())
}

/// What names a list in a body: a number is its id, a text its slug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct ListName(pub(in crate::http) ListKey);

impl<'de> Deserialize<'de> for ListName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match IdOrSlug::read(deserializer, "list")? {
            IdOrSlug::Id(id) => ListKey::Id(ListId(id)),
            IdOrSlug::Slug(slug) => ListKey::Slug(slug),
        }))
    }
}

impl utoipa::PartialSchema for ListName {
    fn schema() -> RefOr<Schema> {
        IdOrSlug::schema("A list: its id, or its slug.")
    }
}

impl utoipa::ToSchema for ListName {}

/// Reads fields of a body that name lists.
pub(in crate::http) struct NamedLists {
    found: HashMap<ListKey, ListId>,
    missing: Missing,
}

impl NamedLists {
    /// Looks all of them up at once.
    ///
    /// # Errors
    /// The database failed.
    pub(in crate::http) async fn look_up(state: &AppState, keys: Vec<ListKey>) -> Result<Self, ApiError> {
        let found = match keys.is_empty() {
            true => HashMap::new(),
            false => state.store.run(Lane::LookUp, "look up lists", move |conn| lists::existing(conn, &keys)).await?,
        };
        Ok(Self { found, missing: Missing::of("list", "list_not_found") })
    }

    /// The list that the field at `pointer` names. None: there is no such list, and [`NamedLists::finish`] says so.
    pub(in crate::http) fn read(&mut self, pointer: impl Into<String>, ListName(key): &ListName) -> Option<ListId> {
        let found = self.found.get(key).copied();
        if found.is_none() {
            let name = match key {
                ListKey::Id(id) => IdOrSlug::Id(id.0),
                ListKey::Slug(slug) => IdOrSlug::Slug(slug.clone()),
            };
            self.missing.note(pointer, &name);
        }
        found
    }

    /// Nothing was missing.
    ///
    /// # Errors
    /// 404 that names every field whose list does not exist.
    pub(in crate::http) fn finish(self) -> Result<(), ApiError> {
        self.missing.finish()
    }
}
