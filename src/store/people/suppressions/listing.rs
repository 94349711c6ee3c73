//! Suppressions for people and for exports: in the order of their addresses, from where the last look stopped.

use diesel::prelude::*;

use super::{Key, SuppressionRow};
use crate::domain::channel::ChannelKind;
use crate::domain::ids::ListId;
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Reason, SOFT_FOR_MS};
use crate::store::engine::dialect::conn::MultiBackend;
use crate::store::engine::like::escape_like;
use crate::store::engine::schema::{blocked_domains, suppressions};
use crate::store::{Conn, StoreError};

/// Which suppressions. `None` takes all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Text within the address.
    pub search: Option<String>,
    /// The whole address, in any of these forms.
    pub addresses: Option<Vec<String>>,
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
    if let Some(addresses) = &filter.addresses {
        query = query.filter(suppressions::address.eq_any(addresses.clone()));
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
        Some(Reason::Stopped) => query.filter(suppressions::stopped_at.is_not_null()),
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
    /// Only bounces from then on.
    pub from: UtcInstant,
    /// Only bounces until then.
    pub to: UtcInstant,
}

impl MadeBy {
    /// The reasons of a row that are meant. Each reason has a time of its own: what the address had before, or from elsewhere, stays.
    #[must_use]
    pub fn reasons(&self, row: &SuppressionRow) -> Vec<Reason> {
        if row.source.as_deref() != Some(self.source.as_str()) {
            return Vec::new();
        }
        let within = |at: Option<UtcInstant>| at.is_some_and(|at| (self.from..=self.to).contains(&at));
        // Of a soft bounce, its end is stored.
        let soft_since = row.soft_until.map(|until| until.plus_ms(-SOFT_FOR_MS));
        let all = [(Reason::Bounced, row.bounced_at), (Reason::SoftBounced, soft_since)];
        all.into_iter().filter(|(_, at)| within(*at)).map(|(reason, _)| reason).collect()
    }
}

/// Up to `limit` suppressions behind `after` that a source last changed, and that have a bounce of this time among their reasons. Reads
/// the table along its key.
///
/// # Errors
/// The query failed.
pub fn made_by(
    conn: &mut Conn,
    made: &MadeBy,
    after: Option<&Key>,
    limit: i64,
) -> Result<Vec<SuppressionRow>, StoreError> {
    let (soft_from, soft_to) = (made.from.plus_ms(SOFT_FOR_MS), made.to.plus_ms(SOFT_FOR_MS));
    let hard = suppressions::bounced_at.between(made.from, made.to);
    let mut query = suppressions::table
        .filter(suppressions::source.eq(&made.source))
        .filter(hard.or(suppressions::soft_until.between(soft_from, soft_to)))
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
    query.select(SuppressionRow::as_select()).load(conn).map_err(StoreError::query("find the bounces of a provider"))
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

/// A domain, if it is blocked.
///
/// # Errors
/// The query failed.
pub fn domain(conn: &mut Conn, domain: &str) -> Result<Option<DomainRow>, StoreError> {
    blocked_domains::table
        .find(domain)
        .select(DomainRow::as_select())
        .first(conn)
        .optional()
        .map_err(StoreError::query("look a blocked domain up"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::people::consent::EVERYTHING;

    #[test]
    fn only_bounces_of_the_time_that_is_named_are_meant_and_only_those_of_the_source() {
        let made = MadeBy { source: "pool: main".to_owned(), domain: None, from: UtcInstant(100), to: UtcInstant(200) };
        let row = |source: &str, bounced_at: Option<i64>, soft_since: Option<i64>| SuppressionRow {
            address: "ann@example.com".to_owned(),
            channel: ChannelKind::Email,
            topic: EVERYTHING,
            unsubscribed_at: Some(UtcInstant(150)),
            stopped_at: None,
            complained_at: Some(UtcInstant(150)),
            bounced_at: bounced_at.map(UtcInstant),
            soft_until: soft_since.map(|at| UtcInstant(at).plus_ms(SOFT_FOR_MS)),
            blocked_at: None,
            source: Some(source.to_owned()),
            created_at: UtcInstant(1),
            updated_at: UtcInstant(150),
        };
        for (source, bounced_at, soft_since, meant) in [
            ("pool: main", Some(100), Some(200), vec![Reason::Bounced, Reason::SoftBounced]),
            // It had bounced before; what is new is a soft bounce.
            ("pool: main", Some(99), Some(150), vec![Reason::SoftBounced]),
            ("pool: main", Some(201), None, vec![]),
            ("pool: other", Some(150), Some(150), vec![]),
            ("pool: main", None, None, vec![]),
        ] {
            assert_eq!(
                made.reasons(&row(source, bounced_at, soft_since)),
                meant,
                "{source} {bounced_at:?} {soft_since:?}"
            );
        }
    }
}
