//! What names a segment in a path: its id, or its slug.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use crate::domain::ids::SegmentId;
use crate::domain::people::slug;
use crate::http::state::AppState;
use crate::http::web::extract::path_id;
use crate::http::web::problem::ApiError;
use crate::store::Lane;
use crate::store::segments::names;

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
