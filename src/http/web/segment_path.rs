//! What names a segment: its id, or its slug. In the path as `{id}`, and in bodies.

use std::collections::{BTreeSet, HashMap};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use serde::de::{Deserialize, Deserializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::domain::ids::SegmentId;
use crate::domain::people::slug;
use crate::http::state::AppState;
use crate::http::web::extract::path_id;
use crate::http::web::id_or_slug::{IdOrSlug, Missing};
use crate::http::web::problem::ApiError;
use crate::store::segments::names;
use crate::store::{Conn, Lane};

/// The segment that the path means by `{id}`. An id is not looked up.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct SegmentPath(pub(in crate::http) SegmentId);

impl FromRequest for SegmentPath {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let text = request.match_info().get("id").unwrap_or_default().to_owned();
        if slug::check(&text).is_err() {
            return Box::pin(std::future::ready(path_id(request, "id").map(Self)));
        }
        let state = AppState::of(request);
        Box::pin(async move {
            let wanted = vec![text.clone()];
            let find = move |conn: &mut _| names::ids_of_slugs(conn, &wanted);
            let found = state?.store.run(Lane::LookUp, "find a segment", find).await?;
            found.into_values().next().map(Self).ok_or_else(|| ApiError::no_such("segment", &text))
        })
    }
}

/// What names a segment in a body: a number is its id, a text its slug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct SegmentName(IdOrSlug);

impl<'de> Deserialize<'de> for SegmentName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IdOrSlug::read(deserializer, "segment").map(Self)
    }
}

impl utoipa::PartialSchema for SegmentName {
    fn schema() -> RefOr<Schema> {
        IdOrSlug::schema("A segment: its id, or its slug.")
    }
}

impl utoipa::ToSchema for SegmentName {}

/// The ids of the segments that fields of a body name: for each field, its pointer and what stands there.
///
/// # Errors
/// 404 that names every segment that does not exist; the database failed.
pub(in crate::http) async fn segments_named(
    state: &AppState,
    fields: &[(&str, &[SegmentName])],
) -> Result<Vec<Vec<SegmentId>>, ApiError> {
    let (mut ids, mut slugs) = (BTreeSet::new(), Vec::new());
    for SegmentName(name) in fields.iter().flat_map(|(_, names)| *names) {
        match name {
            IdOrSlug::Id(id) => _ = ids.insert(SegmentId(*id)),
            IdOrSlug::Slug(slug) => slugs.push(slug.clone()),
        }
    }
    let (ids, slugs): (BTreeSet<SegmentId>, HashMap<String, SegmentId>) = if ids.is_empty() && slugs.is_empty() {
        Default::default()
    } else {
        let find = move |conn: &mut Conn| Ok((names::existing(conn, &ids)?, names::ids_of_slugs(conn, &slugs)?));
        state.store.run(Lane::LookUp, "look up segments", find).await?
    };
    let mut missing = Missing::of("segment", "segment_not_found");
    let mut found = Vec::with_capacity(fields.len());
    for (field, names) in fields {
        let mut own = Vec::with_capacity(names.len());
        for (at, SegmentName(name)) in names.iter().enumerate() {
            let id = match name {
                IdOrSlug::Id(id) => ids.get(&SegmentId(*id)).copied(),
                IdOrSlug::Slug(slug) => slugs.get(slug).copied(),
            };
            match id {
                Some(id) => own.push(id),
                None => missing.note(format!("{field}/{at}"), name),
            }
        }
        found.push(own);
    }
    missing.finish()?;
    Ok(found)
}
