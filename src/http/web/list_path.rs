//! The `{id}` of a list in the path: its id, or its slug.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use crate::domain::ids::ListId;
use crate::domain::people::slug;
use crate::http::state::AppState;
use crate::http::web::extract::path_id;
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
    if slug::check(text).is_ok() {
        return Ok(ListKey::Slug(text.to_owned()));
    }
    let id = text.parse().ok().filter(|id: &i64| *id >= 1 && text.bytes().all(|b| b.is_ascii_digit()));
    id.map(|id| ListKey::Id(ListId(id))).ok_or_else(|| "is neither an id nor a slug of a list".to_owned())
}
