//! Suppressions for people and for exports: in the order of their addresses, from where the last look stopped.

use diesel::prelude::*;

use super::{Key, SuppressionRow};
use crate::domain::channel::ChannelKind;
use crate::domain::ids::ListId;
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::Reason;
use crate::store::engine::dialect::conn::MultiBackend;
use crate::store::engine::schema::{blocked_domains, suppressions};
use crate::store::people::contacts::escape_like;
use crate::store::{Conn, StoreError};

/// Which suppressions. `None` takes all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Text within the address.
    pub search: Option<String>,
    /// The channel.
    pub channel: Option<ChannelKind>,
    /// A reason that it has.
    pub reason: Option<Reason>,
    /// The list that is refused, or everything.
    pub topic: Option<ListId>,
}

/// Up to `limit` suppressions behind `after`, in the order of address, channel and topic.
///
/// # Errors
/// The query failed.
pub fn list(
    conn: &mut Conn,
    filter: &Filter,
    after: Option<&Key>,
    limit: i64,
) -> Result<Vec<SuppressionRow>, StoreError> {
    let mut query = suppressions::table
        .order((suppressions::address, suppressions::channel, suppressions::topic))
        .limit(limit)
        .into_boxed::<MultiBackend>();
    if let Some(search) = &filter.search {
        let pattern = format!("%{}%", escape_like(&search.to_ascii_lowercase()));
        query = query.filter(suppressions::address.like(pattern).escape('\\'));
    }
    if let Some(channel) = filter.channel {
        query = query.filter(suppressions::channel.eq(channel));
    }
    if let Some(topic) = filter.topic {
        query = query.filter(suppressions::topic.eq(topic));
    }
    query = match filter.reason {
        None => query,
        Some(Reason::Unsubscribed) => query.filter(suppressions::unsubscribed_at.is_not_null()),
        Some(Reason::Complained) => query.filter(suppressions::complained_at.is_not_null()),
        Some(Reason::Bounced) => query.filter(suppressions::bounced_at.is_not_null()),
        Some(Reason::SoftBounced) => query.filter(suppressions::soft_until.is_not_null()),
        Some(Reason::Blocked) => query.filter(suppressions::blocked_at.is_not_null()),
    };
    if let Some((address, channel, topic)) = after {
        let later = suppressions::channel
            .gt(*channel)
            .or(suppressions::channel.eq(*channel).and(suppressions::topic.gt(*topic)));
        let behind = suppressions::address.gt(address.clone()).or(later);
        // The first condition alone finds the place in the index.
        query = query.filter(suppressions::address.ge(address.clone()).and(behind));
    }
    query.select(SuppressionRow::as_select()).load(conn).map_err(StoreError::query("list suppressions"))
}

/// Bounces that one source caused.
#[derive(Debug, Clone)]
pub struct MadeBy {
    /// The source, as it is stored.
    pub source: String,
    /// Only addresses at this domain.
    pub domain: Option<String>,
    /// Only rows that were last changed from then on.
    pub from: UtcInstant,
    /// Only rows that were last changed until then.
    pub to: UtcInstant,
}

/// Up to `limit` suppressions behind `after` that a source last changed, and that have a bounce among their reasons. Reads the table
/// along its key. Rows of channel `http` that belong to an address of another channel go with that one.
///
/// # Errors
/// The query failed.
pub fn made_by(conn: &mut Conn, made: &MadeBy, after: Option<&Key>, limit: i64) -> Result<Vec<Key>, StoreError> {
    let mut query = suppressions::table
        .filter(suppressions::source.eq(&made.source).and(suppressions::updated_at.between(made.from, made.to)))
        .filter(suppressions::bounced_at.is_not_null().or(suppressions::soft_until.is_not_null()))
        .order((suppressions::address, suppressions::channel, suppressions::topic))
        .limit(limit)
        .into_boxed::<MultiBackend>();
    if let Some(domain) = &made.domain {
        query = query.filter(suppressions::address.like(format!("%@{}", escape_like(domain))).escape('\\'));
    }
    if let Some((address, channel, topic)) = after {
        let later = suppressions::channel
            .gt(*channel)
            .or(suppressions::channel.eq(*channel).and(suppressions::topic.gt(*topic)));
        let behind = suppressions::address.gt(address.clone()).or(later);
        query = query.filter(suppressions::address.ge(address.clone()).and(behind));
    }
    query
        .select((suppressions::address, suppressions::channel, suppressions::topic))
        .load(conn)
        .map_err(StoreError::query("find the bounces of a provider"))
}

/// A domain that is not written to.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = blocked_domains)]
pub struct DomainRow {
    /// In lower case.
    pub domain: String,
    /// Since when.
    pub blocked_at: UtcInstant,
    /// Where that came from.
    pub source: Option<String>,
}

/// Up to `limit` blocked domains behind `after`, by name.
///
/// # Errors
/// The query failed.
pub fn domains(conn: &mut Conn, after: Option<&str>, limit: i64) -> Result<Vec<DomainRow>, StoreError> {
    blocked_domains::table
        .filter(blocked_domains::domain.gt(after.unwrap_or_default()))
        .order(blocked_domains::domain)
        .limit(limit)
        .select(DomainRow::as_select())
        .load(conn)
        .map_err(StoreError::query("list blocked domains"))
}
