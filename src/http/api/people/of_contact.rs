//! `/v1/contacts/{id}/lists` and `/v1/contacts/{id}/suppressions`: what one contact agreed to, and why it may get nothing.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::suppressions::{BlockedDomain, Suppression};
use crate::domain::ids::{ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::addresses_of;
use crate::domain::people::standing::Standing;
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::store::people::contact_row::ContactRow;
use crate::store::people::contacts;
use crate::store::people::suppressions::{self, listing};
use crate::store::people::topics::{self, ContactStanding};
use crate::store::{Conn, Lane, StoreError, engine};

/// How a contact stands on one list.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ListOfContact {
    pub(in crate::http) list_id: ListId,
    /// What the list is called.
    pub(in crate::http) name: String,
    pub(in crate::http) slug: Option<String>,
    pub(in crate::http) standing: Standing,
    /// Since when. `null`: from before this was kept.
    pub(in crate::http) since: Option<UtcInstant>,
    /// Where that came from.
    pub(in crate::http) source: Option<String>,
}

impl From<ContactStanding> for ListOfContact {
    fn from(row: ContactStanding) -> Self {
        let ContactStanding { list, name, slug, standing, since, source } = row;
        Self { list_id: list, name, slug, standing, since, source }
    }
}

/// How a contact stands on lists.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ListsOfContact {
    /// Every list that it has a standing on, by id.
    pub(in crate::http) data: Vec<ListOfContact>,
}

/// Why a contact's addresses are not written to.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct SuppressionsOfContact {
    /// The database's clock: a soft bounce holds until its `soft_until`.
    pub(in crate::http) at: UtcInstant,
    /// By address.
    pub(in crate::http) data: Vec<Suppression>,
    /// The domain of the email address, if it is blocked.
    pub(in crate::http) blocked_domain: Option<BlockedDomain>,
}

/// Reads something of a contact that is there.
async fn look<T: Send + 'static>(
    state: &AppState,
    id: ContactId,
    work: impl FnOnce(&mut Conn, ContactRow) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ApiError> {
    let read = move |conn: &mut Conn| match contacts::find(conn, id)? {
        Some(row) => work(conn, row).map(Some),
        None => Ok(None),
    };
    let found = state.store.run(Lane::Read, "read a contact", read).await?;
    found.ok_or(ApiError::not_found("contact", id.0))
}

/// Lists how a contact stands on lists.
#[utoipa::path(get, path = "/v1/contacts/{id}/lists", tag = "contacts", params(("id" = i64, Path)),
    responses((status = 200, body = ListsOfContact), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn lists(
    state: web::Data<AppState>,
    Id(id): Id<ContactId>,
    _: Query<()>,
) -> Result<web::Json<ListsOfContact>, ApiError> {
    lists_of(&state, id).await.map(web::Json)
}

/// How a contact stands on lists.
pub(in crate::http) async fn lists_of(state: &AppState, id: ContactId) -> Result<ListsOfContact, ApiError> {
    let rows = look(state, id, |conn, row| topics::standings_of(conn, row.id)).await?;
    Ok(ListsOfContact { data: rows.into_iter().map(ListOfContact::from).collect() })
}

/// Lists why a contact's addresses are not written to.
#[utoipa::path(get, path = "/v1/contacts/{id}/suppressions", tag = "contacts", params(("id" = i64, Path)),
    responses((status = 200, body = SuppressionsOfContact), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn suppressions(
    state: web::Data<AppState>,
    Id(id): Id<ContactId>,
    _: Query<()>,
) -> Result<web::Json<SuppressionsOfContact>, ApiError> {
    suppressions_of(&state, id).await.map(web::Json)
}

/// Why a contact's addresses are not written to.
pub(in crate::http) async fn suppressions_of(
    state: &AppState,
    id: ContactId,
) -> Result<SuppressionsOfContact, ApiError> {
    let read = |conn: &mut Conn, row: ContactRow| {
        let mut rows = suppressions::of_addresses(conn, &addresses_of(&row.fields))?;
        rows.sort_by(|one, other| (&one.address, one.topic).cmp(&(&other.address, other.topic)));
        let domain = row.fields.email.as_deref().and_then(|email| email.rsplit_once('@'));
        let blocked = match domain {
            Some((_, domain)) => listing::domain(conn, domain)?,
            None => None,
        };
        Ok(SuppressionsOfContact {
            at: engine::now(conn)?,
            data: rows.into_iter().map(Suppression::from).collect(),
            blocked_domain: blocked.map(BlockedDomain::from),
        })
    };
    look(state, id, read).await
}
