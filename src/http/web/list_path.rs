//! What names a list: its id, or its slug. In the path as `{id}`, and in bodies.

use std::collections::HashMap;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};

use crate::domain::ids::ListId;
use crate::domain::people::slug;
use crate::domain::shown::shown;
use crate::http::state::AppState;
use crate::http::web::extract::path_id;
use crate::http::web::problem::{ApiError, FieldProblem};
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
        deserializer.deserialize_any(ListNameVisitor)
    }
}

struct ListNameVisitor;

impl Visitor<'_> for ListNameVisitor {
    type Value = ListName;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the id of a list, a number, or its slug")
    }

    fn visit_i64<E: Error>(self, id: i64) -> Result<ListName, E> {
        Ok(ListName(ListKey::Id(ListId(id))))
    }

    fn visit_u64<E: Error>(self, id: u64) -> Result<ListName, E> {
        i64::try_from(id)
            .map_err(|_too_large| E::invalid_value(Unexpected::Unsigned(id), &self))
            .and_then(|id| self.visit_i64(id))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ListName, E> {
        match slug::check(text) {
            Ok(()) => Ok(ListName(ListKey::Slug(text.to_owned()))),
            Err(_no_slug) => Err(E::invalid_value(Unexpected::Str(&shown(text)), &self)),
        }
    }
}

impl utoipa::PartialSchema for ListName {
    fn schema() -> RefOr<Schema> {
        let id =
            ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
        let slug = ObjectBuilder::new().schema_type(Type::String);
        let either = OneOfBuilder::new().item(id).item(slug);
        either.description(Some("A list: its id, or its slug.")).into()
    }
}

impl utoipa::ToSchema for ListName {}

/// Reads fields of a body that name lists.
pub(in crate::http) struct NamedLists {
    found: HashMap<ListKey, ListId>,
    errors: Vec<FieldProblem>,
    ids: Vec<i64>,
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
        Ok(Self { found, errors: Vec::new(), ids: Vec::new() })
    }

    /// The list that the field at `pointer` names. None: there is no such list, and [`NamedLists::finish`] says so.
    pub(in crate::http) fn read(&mut self, pointer: impl Into<String>, ListName(key): &ListName) -> Option<ListId> {
        let found = self.found.get(key).copied();
        if found.is_none() {
            let reason = match key {
                ListKey::Id(id) => {
                    self.ids.push(id.0);
                    format!("there is no list {id}")
                }
                ListKey::Slug(slug) => format!("no list has the slug {slug}"),
            };
            self.errors.push(FieldProblem::new(pointer, "list_not_found", reason));
        }
        found
    }

    /// Nothing was missing.
    ///
    /// # Errors
    /// 404 that names every field whose list does not exist.
    pub(in crate::http) fn finish(self) -> Result<(), ApiError> {
        let Self { errors, ids, .. } = self;
        if errors.is_empty() { Ok(()) } else { Err(ApiError::Missing { what: "list", errors, ids }) }
    }
}
