//! Contacts that a body selects by a filter, in place of naming them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::Scope;
use crate::domain::ids::{ContactId, ListId};
use crate::domain::people::spelling::composed;
use crate::domain::people::standing::Standing;
use crate::domain::people::tag;
use crate::http::access::require_for;
use crate::http::state::AppState;
use crate::http::web::list_path::{ListName, NamedLists};
use crate::http::web::problem::ApiError;
use crate::services::By;
use crate::services::people::selection::{Place, Selection};
use crate::store::people::contact_filter::ContactFilter;

/// Most contacts that one request changes.
const MAX_SELECTED: usize = 10_000;

/// Longest search, in characters.
pub(super) const MAX_SEARCH: usize = 255;

/// Contacts that meet all of what is given; at least one thing is. As the parameters of `GET /v1/contacts`. Needs a key with the
/// scope `operate`, because it finds contacts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct FilterInput {
    /// Those who are subscribed to this list, or stand on it as `standing` says.
    #[schema(value_type = Option<ListName>)]
    list: Option<ListName>,
    /// `subscribed`, `unconfirmed` or `unsubscribed`. Needs a `list`.
    standing: Option<Standing>,
    /// Those who have this tag.
    tag: Option<String>,
    /// Those whose address is suppressed for everything, or is not.
    suppressed: Option<bool>,
    /// Those with this text in email, phone, external id or a name: at most 255 characters.
    search: Option<String>,
}

/// How a body selects contacts, where it does.
pub(super) struct Asked {
    pub(super) filter: Option<FilterInput>,
    pub(super) cursor: Option<String>,
    pub(super) limit: Option<usize>,
    /// Whether it names contacts as well.
    pub(super) names_contacts: bool,
}

/// Where to go on. Written as `after-7-until-90`.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(into = "String")]
pub(in crate::http) struct Cursor(Place);

impl From<Cursor> for String {
    fn from(Cursor(Place { after, until }): Cursor) -> Self {
        format!("after-{after}-until-{until}")
    }
}

impl Cursor {
    /// Where a selection goes on; none at its end.
    pub(super) fn of(selection: &Selection) -> Option<Self> {
        selection.rest().map(Self)
    }

    fn parse(text: &str) -> Option<Place> {
        let (after, until) = text.strip_prefix("after-")?.split_once("-until-")?;
        let id = |text: &str| text.parse().ok().filter(|id: &i64| *id >= 0).map(ContactId);
        Some(Place { after: id(after)?, until: id(until)? })
    }
}

impl Asked {
    /// The selection. None: the body names contacts.
    ///
    /// # Errors
    /// The key may not look for contacts, or the filter is wrong.
    pub(super) async fn read(self, state: &AppState, by: &By) -> Result<Option<Selection>, ApiError> {
        let Some(filter) = self.filter else {
            if self.cursor.is_some() || self.limit.is_some() {
                return Err(ApiError::field("/filter", "required", "cursor and limit go with a filter"));
            }
            return Ok(None);
        };
        require_for(by, Scope::Operate, "/filter")?;
        if self.names_contacts {
            let reason = "give a filter, or name contacts: not both";
            return Err(ApiError::field("/filter", "members_ambiguous", reason));
        }
        let limit = self.limit.unwrap_or(MAX_SELECTED);
        if limit == 0 || limit > MAX_SELECTED {
            return Err(ApiError::field("/limit", "out_of_range", format!("1 to {MAX_SELECTED}")));
        }
        let not_a_cursor = || ApiError::field("/cursor", "invalid", "not a cursor of an answer of this route");
        let place = self.cursor.map(|text| Cursor::parse(&text).ok_or_else(not_a_cursor)).transpose()?;
        Ok(Some(Selection::new(filter.read(state).await?, place, limit)))
    }
}

impl FilterInput {
    async fn read(self, state: &AppState) -> Result<ContactFilter, ApiError> {
        let Self { list, standing, tag, suppressed, search } = self;
        if list.is_none() && tag.is_none() && suppressed.is_none() && search.is_none() {
            let reason = "give at least one of list, tag, suppressed, search";
            return Err(ApiError::field("/filter", "required", reason));
        }
        if standing.is_some() && list.is_none() {
            return Err(ApiError::field("/filter/list", "required", "a standing is one on a list"));
        }
        if standing == Some(Standing::Moved) {
            return Err(ApiError::field("/filter/standing", "not_allowed", "subscribed, unconfirmed or unsubscribed"));
        }
        let search = search.as_deref().map(read_search).transpose()?;
        let tag = tag.as_deref().map(tag::parse).transpose();
        let tag = tag.map_err(|error| ApiError::field("/filter/tag", error.code, error.reason))?;
        let list = find_list(state, list).await?;
        let standing = list.map(|list| (list, standing.unwrap_or(Standing::Subscribed)));
        Ok(ContactFilter { search, standing, tag, suppressed, ..ContactFilter::default() })
    }
}

fn read_search(search: &str) -> Result<String, ApiError> {
    let search = composed(search.trim());
    match search.chars().count() {
        0 => Err(ApiError::field("/filter/search", "required", "give some text, or leave it out")),
        count if count > MAX_SEARCH => {
            Err(ApiError::field("/filter/search", "too_long", format!("at most {MAX_SEARCH} characters")))
        }
        _ => Ok(search.into_owned()),
    }
}

async fn find_list(state: &AppState, name: Option<ListName>) -> Result<Option<ListId>, ApiError> {
    let Some(name) = name else { return Ok(None) };
    let mut named = NamedLists::look_up(state, vec![name.0.clone()]).await?;
    let list = named.read("/filter/list", &name);
    named.finish()?;
    Ok(list)
}
