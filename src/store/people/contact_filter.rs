//! Contacts by what they are called, how they stand on a list, their tags, and whether they are written to.

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};

use super::contact_row::ContactRow;
use crate::domain::channel::ChannelKind;
use crate::domain::ids::{ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::EVERYTHING;
use crate::domain::people::contact::Fields;
use crate::domain::people::standing::Standing;
use crate::store::engine::dialect::conn::MultiBackend;
use crate::store::engine::like::escape_like;
use crate::store::engine::listing::{Slice, Window};
use crate::store::engine::schema::{contact_tags, contacts, list_members, suppressions, tags};
use crate::store::{Conn, StoreError, engine};

/// Which contacts. `None` takes all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContactFilter {
    /// Text in a key or a name.
    pub search: Option<String>,
    /// How it stands on a list.
    pub standing: Option<(ListId, Standing)>,
    /// A tag that it has, by name.
    pub tag: Option<String>,
    /// Whether its email address or its phone number is suppressed, for everything.
    pub suppressed: Option<bool>,
    /// The keys that it has, each exactly.
    pub keys: Fields,
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// Lower case; of ASCII letters at least.
    fn lower(text: Nullable<Text>) -> Nullable<Text>;
}

/// Living contacts that the filter takes, newest first.
///
/// # Errors
/// A query failed.
pub fn list(conn: &mut Conn, filter: &ContactFilter, window: Window) -> Result<Slice<ContactRow>, StoreError> {
    conn.snapshot(|conn| {
        let now = engine::now(conn)?;
        let anchor = match window.anchor {
            Some(anchor) => anchor,
            None => newest(conn)?.0,
        };
        let total =
            matching(filter, anchor, now).count().get_result(conn).map_err(StoreError::query("count contacts"))?;
        let mut page = matching(filter, anchor, now);
        if let Some(before) = window.before {
            page = page.filter(contacts::id.lt(before));
        }
        let rows = page
            .order(contacts::id.desc())
            .offset(window.offset)
            .limit(window.fetch())
            .select(ContactRow::as_select())
            .load(conn)
            .map_err(StoreError::query("list contacts"))?;
        Ok(window.slice(rows, total, anchor))
    })
}

/// The highest id that a contact has; 0 where there is none.
///
/// # Errors
/// The query failed.
pub fn newest(conn: &mut Conn) -> Result<ContactId, StoreError> {
    let newest: Option<i64> = contacts::table
        .select(diesel::dsl::max(contacts::id))
        .first(conn)
        .map_err(StoreError::query("find the newest contact"))?;
    Ok(ContactId(newest.unwrap_or_default()))
}

/// Living contacts that the filter takes, oldest first: `limit` of those above `after`, up to `until`.
///
/// # Errors
/// A query failed.
pub fn ids(
    conn: &mut Conn,
    filter: &ContactFilter,
    (after, until): (ContactId, ContactId),
    limit: i64,
) -> Result<Vec<ContactId>, StoreError> {
    let now = engine::now(conn)?;
    matching(filter, until.0, now)
        .filter(contacts::id.gt(after.0))
        .order(contacts::id)
        .limit(limit)
        .select(contacts::id)
        .load(conn)
        .map(|ids: Vec<i64>| ids.into_iter().map(ContactId).collect())
        .map_err(StoreError::query("find contacts by a filter"))
}

/// Living contacts that the filter takes, oldest first, whole: `limit` of those above `after`, up to `until`.
///
/// # Errors
/// A query failed.
pub fn rows(
    conn: &mut Conn,
    filter: &ContactFilter,
    (after, until): (ContactId, ContactId),
    limit: i64,
) -> Result<Vec<ContactRow>, StoreError> {
    let now = engine::now(conn)?;
    matching(filter, until.0, now)
        .filter(contacts::id.gt(after.0))
        .order(contacts::id)
        .limit(limit)
        .select(ContactRow::as_select())
        .load(conn)
        .map_err(StoreError::query("read contacts by a filter"))
}

fn matching(filter: &ContactFilter, anchor: i64, now: UtcInstant) -> contacts::BoxedQuery<'static, MultiBackend> {
    let mut query = contacts::table.filter(contacts::deleted_at.is_null().and(contacts::id.le(anchor))).into_boxed();
    if let Some(search) = &filter.search {
        let pattern = format!("%{}%", escape_like(&search.to_ascii_lowercase()));
        query = query.filter(
            (lower(contacts::email).like(pattern.clone()).escape('\\'))
                .or(lower(contacts::external_id).like(pattern.clone()).escape('\\'))
                .or(contacts::phone.like(pattern.clone()).escape('\\'))
                .or(lower(contacts::first_name).like(pattern.clone()).escape('\\'))
                .or(lower(contacts::last_name).like(pattern).escape('\\')),
        );
    }
    // Each is unique, and an index of its own finds it.
    let Fields { email, phone, external_id, .. } = &filter.keys;
    if let Some(email) = email {
        query = query.filter(contacts::email.eq(email.clone()));
    }
    if let Some(phone) = phone {
        query = query.filter(contacts::phone.eq(phone.clone()));
    }
    if let Some(external_id) = external_id {
        query = query.filter(contacts::external_id.eq(external_id.clone()));
    }
    if let Some((list, standing)) = filter.standing {
        let stands = list_members::list_id
            .eq(list)
            .and(list_members::contact_id.eq(contacts::id))
            .and(list_members::status.eq(standing));
        query = query.filter(exists(list_members::table.filter(stands)));
    }
    if let Some(tag) = &filter.tag {
        let these = tags::table.filter(tags::name.eq(tag.clone())).select(tags::id);
        let has = contact_tags::contact_id.eq(contacts::id).and(contact_tags::tag_id.eq_any(these));
        query = query.filter(exists(contact_tags::table.filter(has)));
    }
    if let Some(wanted) = filter.suppressed {
        let addresses = |channel: ChannelKind| {
            let holds = suppressions::unsubscribed_at
                .is_not_null()
                .or(suppressions::stopped_at.is_not_null())
                .or(suppressions::complained_at.is_not_null())
                .or(suppressions::bounced_at.is_not_null())
                .or(suppressions::blocked_at.is_not_null())
                .or(suppressions::soft_until.gt(now));
            suppressions::table
                .filter(suppressions::channel.eq(channel).and(suppressions::topic.eq(EVERYTHING)).and(holds))
                .select(suppressions::address.nullable())
        };
        let email = contacts::email.is_not_null().and(contacts::email.eq_any(addresses(ChannelKind::Email)));
        let phone = contacts::phone.is_not_null().and(contacts::phone.eq_any(addresses(ChannelKind::Sms)));
        let is_suppressed = email.or(phone);
        query = if wanted { query.filter(is_suppressed) } else { query.filter(diesel::dsl::not(is_suppressed)) };
    }
    query
}
