//! The list of campaigns: which it shows, and in which order.

use diesel::prelude::*;
use diesel::sql_types::Text;

use super::CampaignRow;
use crate::domain::campaigns::CampaignStatus;
use crate::domain::campaigns::order::{Direction, SortKey};
use crate::domain::channel::ChannelKind;
use crate::domain::ids::{CampaignId, ListId, TemplateId};
use crate::store::engine::dialect::conn::MultiBackend;
use crate::store::engine::like::escape_like;
use crate::store::engine::listing::{Slice, Window};
use crate::store::engine::schema::{audience_lists, campaigns};
use crate::store::{Conn, StoreError};

/// Which campaigns a list shows, and in which order.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only these; none: every status.
    pub statuses: Vec<CampaignStatus>,
    /// Only these; none: every channel.
    pub channels: Vec<ChannelKind>,
    /// Only those with this in their name; upper and lower case of ASCII are the same.
    pub search: Option<String>,
    /// Only those that use this template.
    pub template: Option<TemplateId>,
    /// Only those that were launched to this list: it was named in the audience, and not to be left out.
    pub list: Option<ListId>,
    /// Newest first unless given. In another order a walk goes by pages: [`Window::before`] means nothing.
    pub order: Option<(SortKey, Direction)>,
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// Lower case; of ASCII letters at least.
    fn lower(text: Text) -> Text;
}

/// A part of the list of campaigns, newest first unless the filter says otherwise.
///
/// # Errors
/// The query failed.
pub fn list(conn: &mut Conn, filter: &Filter, window: Window) -> Result<Slice<CampaignRow>, StoreError> {
    let newest: Option<CampaignId> = campaigns::table
        .select(diesel::dsl::max(campaigns::id))
        .first(conn)
        .map_err(StoreError::query("find the newest campaign"))?;
    let anchor = window.anchor.unwrap_or(newest.map_or(0, |id| id.0));
    let matching = || {
        let mut query = campaigns::table
            .filter(campaigns::deleted_at.is_null().and(campaigns::id.le(CampaignId(anchor))))
            .into_boxed();
        if !filter.statuses.is_empty() {
            query = query.filter(campaigns::status.eq_any(filter.statuses.clone()));
        }
        if !filter.channels.is_empty() {
            query = query.filter(campaigns::channel.eq_any(filter.channels.clone()));
        }
        if let Some(template) = filter.template {
            query = query.filter(campaigns::template_id.eq(template));
        }
        if let Some(list) = filter.list {
            let launched = audience_lists::table
                .filter(audience_lists::list_id.eq(list).and(audience_lists::excluded.eq(false)))
                .select(audience_lists::campaign_id);
            query = query.filter(campaigns::id.eq_any(launched));
        }
        if let Some(search) = &filter.search {
            let pattern = format!("%{}%", escape_like(&search.to_ascii_lowercase()));
            query = query.filter(lower(campaigns::name).like(pattern).escape('\\'));
        }
        query
    };
    let total = matching().count().get_result(conn).map_err(StoreError::query("count campaigns"))?;
    let newest_first = || {
        let before = CampaignId(window.before.unwrap_or(i64::MAX));
        matching().filter(campaigns::id.lt(before)).order(campaigns::id.desc())
    };
    let sorted = match filter.order {
        None => newest_first(),
        Some((key, direction)) => in_order(matching(), key, direction),
    };
    let rows = sorted
        .offset(window.offset)
        .limit(window.fetch())
        .select(CampaignRow::as_select())
        .load(conn)
        .map_err(StoreError::query("list campaigns"))?;
    Ok(window.slice(rows, total, anchor))
}

/// Campaigns in an order that is the same at every request: of two that are alike the newer one is first.
fn in_order(
    query: campaigns::BoxedQuery<'static, MultiBackend>,
    key: SortKey,
    direction: Direction,
) -> campaigns::BoxedQuery<'static, MultiBackend> {
    // The two databases disagree on where a row without a value stands.
    macro_rules! by {
        ($column:expr) => {
            match direction {
                Direction::Asc => query.order(($column.is_null(), $column.asc(), campaigns::id.desc())),
                Direction::Desc => query.order(($column.is_null(), $column.desc(), campaigns::id.desc())),
            }
        };
    }
    match key {
        SortKey::CreatedAt => by!(campaigns::created_at),
        SortKey::UpdatedAt => by!(campaigns::updated_at),
        SortKey::ScheduledAt => by!(campaigns::scheduled_at),
        SortKey::LaunchedAt => by!(campaigns::launched_at),
        SortKey::EndedAt => by!(campaigns::ended_at),
        SortKey::Name => by!(lower(campaigns::name)),
    }
}

/// Whether a campaign that is not deleted has this name.
///
/// # Errors
/// The query failed.
pub fn is_named(conn: &mut Conn, name: &str) -> Result<bool, StoreError> {
    let named = campaigns::table.filter(campaigns::deleted_at.is_null().and(campaigns::name.eq(name.to_owned())));
    diesel::select(diesel::dsl::exists(named)).get_result(conn).map_err(StoreError::query("look for a campaign's name"))
}
