//! Reports in bulk. PostgreSQL takes arrays and passes over rows that are locked; SQLite takes rows one by one, prepared once, inside
//! one transaction that no other one writes beside.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Untyped};

use super::{Locked, OnPage};
use crate::domain::dispatch::delivery::{DeliveryId, DeliveryState};
use crate::domain::dispatch::doubt::Standing;
use crate::domain::ids::{CampaignId, ContactId, PageId};
use crate::domain::instant::UtcInstant;
use crate::domain::reports::{Reader, ReportFigure, ReportFigures, ReportKind, Reported};
use crate::store::engine::schema::{archives, pages};
use crate::store::engine::sql::{Pieces, sql};
use crate::store::{Conn, StoreError};

fn campaigns<'a>(deliveries: impl IntoIterator<Item = &'a DeliveryId>) -> Vec<CampaignId> {
    deliveries.into_iter().map(|delivery| delivery.campaign).collect()
}

fn contacts<'a>(deliveries: impl IntoIterator<Item = &'a DeliveryId>) -> Vec<ContactId> {
    deliveries.into_iter().map(|delivery| delivery.contact).collect()
}

#[derive(QueryableByName)]
struct LockedRow {
    #[diesel(sql_type = BigInt)]
    campaign_id: CampaignId,
    #[diesel(sql_type = BigInt)]
    contact_id: ContactId,
    #[diesel(sql_type = BigInt)]
    page_id: PageId,
    #[diesel(sql_type = Text)]
    state: DeliveryState,
    #[diesel(sql_type = Bool)]
    ambiguous: bool,
    #[diesel(sql_type = Integer)]
    claim_no: i32,
    #[diesel(sql_type = Integer)]
    reported: Reported,
    #[diesel(sql_type = Nullable<BigInt>)]
    settled_at: Option<UtcInstant>,
}

const LOOK: &str = "SELECT d.campaign_id, d.contact_id, d.page_id, d.state, d.ambiguous, d.claim_no, \
                    d.reported, d.settled_at FROM ";

/// The keys on the left, so that their order is that of the locks. With an `ORDER BY`, PostgreSQL would rather walk the table's
/// whole index than sort.
const OF_KEYS: &str = ") AS k (campaign_id, contact_id) \
                       JOIN deliveries AS d ON d.campaign_id = k.campaign_id AND d.contact_id = k.contact_id";

/// Those of `deliveries` whose campaign was archived, or is just being archived, and that lie on one of its pages.
pub(super) fn archived(conn: &mut Conn, deliveries: &BTreeSet<DeliveryId>) -> Result<BTreeSet<DeliveryId>, StoreError> {
    let of: BTreeSet<CampaignId> = deliveries.iter().map(|delivery| delivery.campaign).collect();
    let archived: Vec<CampaignId> = archives::table
        .filter(archives::campaign_id.eq_any(of.into_iter().collect::<Vec<_>>()))
        .select(archives::campaign_id)
        .load(conn)
        .map_err(StoreError::query("look for archived campaigns"))?;
    let mut found = BTreeSet::new();
    for delivery in deliveries.iter().filter(|delivery| archived.contains(&delivery.campaign)) {
        let has_it = pages::first_contact_id.le(delivery.contact).and(pages::last_contact_id.ge(delivery.contact));
        let page = pages::table.filter(pages::campaign_id.eq(delivery.campaign).and(has_it));
        let is_on_page: bool = diesel::select(diesel::dsl::exists(page))
            .get_result(conn)
            .map_err(StoreError::query("look for the page of a delivery"))?;
        if is_on_page {
            found.insert(*delivery);
        }
    }
    Ok(found)
}

/// Locks those of `deliveries` that are there and that no other transaction is moving, in the order of their keys.
pub(super) fn lock(
    conn: &mut Conn,
    deliveries: &BTreeSet<DeliveryId>,
) -> Result<BTreeMap<DeliveryId, Locked>, StoreError> {
    if deliveries.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: QueryResult<Vec<LockedRow>> = match conn {
        Conn::Pg(conn) => sql(format!("{LOOK} unnest("))
            .bind::<Array<BigInt>, _>(campaigns(deliveries), ", ")
            .bind::<Array<BigInt>, _>(contacts(deliveries), format!("{OF_KEYS} FOR UPDATE OF d SKIP LOCKED"))
            .load(conn),
        Conn::Sqlite(conn) => deliveries
            .iter()
            .map(|delivery| {
                sql(format!("{LOOK} deliveries AS d WHERE d.campaign_id = "))
                    .bind::<BigInt, _>(delivery.campaign, " AND d.contact_id = ")
                    .bind::<BigInt, _>(delivery.contact, "")
                    .get_result(conn)
                    .optional()
            })
            .filter_map(QueryResult::transpose)
            .collect(),
    };
    let rows = rows.map_err(StoreError::query("lock deliveries that something is reported of"))?;
    let entries = rows.into_iter().map(|row| {
        let LockedRow { campaign_id: campaign, contact_id: contact, page_id: page, reported, settled_at, .. } = row;
        let standing = Standing { state: row.state, ambiguous: row.ambiguous, claim_no: row.claim_no };
        (DeliveryId { campaign, contact }, Locked { page, standing, reported, settled_at })
    });
    Ok(entries.collect())
}

#[derive(QueryableByName)]
struct Existing {
    #[diesel(sql_type = BigInt)]
    campaign_id: CampaignId,
    #[diesel(sql_type = BigInt)]
    contact_id: ContactId,
}

/// Those of `deliveries` that are there although they could not be locked. On SQLite there are none: nobody else writes.
pub(super) fn existing(conn: &mut Conn, deliveries: &BTreeSet<DeliveryId>) -> Result<BTreeSet<DeliveryId>, StoreError> {
    let Conn::Pg(conn) = conn else { return Ok(BTreeSet::new()) };
    if deliveries.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows: Vec<Existing> = sql("SELECT d.campaign_id, d.contact_id FROM unnest(")
        .bind::<Array<BigInt>, _>(campaigns(deliveries), ", ")
        .bind::<Array<BigInt>, _>(contacts(deliveries), OF_KEYS)
        .load(conn)
        .map_err(StoreError::query("look for deliveries"))?;
    Ok(rows.into_iter().map(|row| DeliveryId { campaign: row.campaign_id, contact: row.contact_id }).collect())
}

/// Writes the bits of deliveries that are locked.
pub(super) fn mark(conn: &mut Conn, marked: &BTreeMap<DeliveryId, Reported>) -> Result<(), StoreError> {
    if marked.is_empty() {
        return Ok(());
    }
    match conn {
        Conn::Pg(conn) => sql("UPDATE deliveries AS d SET reported = v.reported FROM unnest(")
            .bind::<Array<BigInt>, _>(campaigns(marked.keys()), ", ")
            .bind::<Array<BigInt>, _>(contacts(marked.keys()), ", ")
            .bind::<Array<Integer>, _>(
                marked.values().copied().collect::<Vec<_>>(),
                ") AS v (campaign_id, contact_id, reported) \
                 WHERE d.campaign_id = v.campaign_id AND d.contact_id = v.contact_id",
            )
            .execute(conn)
            .map(drop),
        Conn::Sqlite(conn) => marked.iter().try_for_each(|(delivery, reported)| {
            sql("UPDATE deliveries SET reported = ")
                .bind::<Integer, _>(*reported, " WHERE campaign_id = ")
                .bind::<BigInt, _>(delivery.campaign, " AND contact_id = ")
                .bind::<BigInt, _>(delivery.contact, "")
                .execute(conn)
                .map(drop)
        }),
    }
    .map_err(StoreError::query("note what is reported of deliveries"))
}

/// The columns of `page_reports`: of each kind, for how many recipients and how often in all.
macro_rules! columns {
    ($($kind:expr => $recipients:ident, $total:ident;)*) => {
        const COLUMNS: [(ReportKind, &str, &str); ReportKind::ALL.len()] =
            [$(($kind, stringify!($recipients), stringify!($total)),)*];

        #[derive(QueryableByName)]
        struct Sums {
            #[diesel(sql_type = BigInt)]
            campaign_id: CampaignId,
            $(
                #[diesel(sql_type = BigInt)]
                $recipients: i64,
                #[diesel(sql_type = BigInt)]
                $total: i64,
            )*
        }

        impl Sums {
            fn figures(&self) -> ReportFigures {
                let figures = [$(($kind, ReportFigure { recipients: self.$recipients, total: self.$total }),)*];
                figures.into_iter().filter(|(_, figure)| *figure != ReportFigure::default()).collect()
            }
        }
    };
}

columns! {
    ReportKind::Delivered => delivered, delivered_total;
    ReportKind::SoftBounced => soft_bounced, soft_bounced_total;
    ReportKind::HardBounced => hard_bounced, hard_bounced_total;
    ReportKind::Complained => complained, complained_total;
    ReportKind::Opened(Reader::Person) => opened, opened_total;
    ReportKind::Opened(Reader::Machine) => machine_opened, machine_opened_total;
    ReportKind::Clicked(Reader::Person) => clicked, clicked_total;
    ReportKind::Clicked(Reader::Machine) => machine_clicked, machine_clicked_total;
    ReportKind::Replied => replied, replied_total;
    ReportKind::Unsubscribed => unsubscribed, unsubscribed_total;
    ReportKind::RejectedLater => rejected_later, rejected_later_total;
}

/// The columns that count, in their order.
fn counters() -> impl Iterator<Item = &'static str> {
    COLUMNS.into_iter().flat_map(|(_, recipients, total)| [recipients, total])
}

/// Adds to the counts of pages, in the order of their ids.
pub(super) fn count(conn: &mut Conn, figures: &BTreeMap<OnPage, ReportFigures>) -> Result<(), StoreError> {
    if figures.is_empty() {
        return Ok(());
    }
    let of = |figures: &ReportFigures, kind| figures.get(&kind).copied().unwrap_or_default();
    match conn {
        Conn::Pg(conn) => {
            let mut columns: Vec<Vec<i64>> = vec![
                figures.keys().map(|place| place.campaign.0).collect(),
                figures.keys().map(|place| place.page.0).collect(),
            ];
            for (kind, ..) in COLUMNS {
                columns.push(figures.values().map(|figures| of(figures, kind).recipients).collect());
                columns.push(figures.values().map(|figures| of(figures, kind).total).collect());
            }
            added("SELECT * FROM unnest(", columns).query::<Array<BigInt>, Untyped>().execute(conn).map(drop)
        }
        Conn::Sqlite(conn) => figures.iter().try_for_each(|(place, figures)| {
            let mut values = vec![place.campaign.0, place.page.0];
            for (kind, ..) in COLUMNS {
                let ReportFigure { recipients, total } = of(figures, kind);
                values.extend([recipients, total]);
            }
            added("VALUES (", values).query::<BigInt, Untyped>().execute(conn).map(drop)
        }),
    }
    .map_err(StoreError::query("count reports"))
}

/// The statement that adds values, one for each column, to what stands there.
fn added<V: Default>(values_open: &str, values: Vec<V>) -> Pieces<V> {
    let columns: Vec<&str> = counters().collect();
    let sums: Vec<String> =
        columns.iter().map(|name| format!("{name} = page_reports.{name} + excluded.{name}")).collect();
    let mut added = Pieces::default();
    added.push(&format!("INSERT INTO page_reports (campaign_id, page_id, {}) {values_open}", columns.join(", ")));
    for (index, value) in values.into_iter().enumerate() {
        added.push(if index == 0 { "" } else { ", " }).bind(value);
    }
    added.push(&format!(") ON CONFLICT (campaign_id, page_id) DO UPDATE SET {}", sums.join(", ")));
    added
}

/// What was reported of each of these campaigns: the sums over their pages. One that nothing was reported of is left out.
pub(in crate::store) fn sums(
    conn: &mut Conn,
    campaigns: &[CampaignId],
) -> Result<HashMap<CampaignId, ReportFigures>, StoreError> {
    // PostgreSQL sums BIGINT as NUMERIC.
    let sums: Vec<String> = counters().map(|name| format!("CAST(sum({name}) AS BIGINT) AS {name}")).collect();
    let select = format!("SELECT campaign_id, {} FROM page_reports WHERE campaign_id ", sums.join(", "));
    let rows: QueryResult<Vec<Sums>> = match conn {
        Conn::Pg(conn) => {
            sql(format!("{select} = ANY(")).bind::<Array<BigInt>, _>(campaigns, ") GROUP BY campaign_id").load(conn)
        }
        Conn::Sqlite(conn) => sql(format!("{select} IN (SELECT value FROM json_each("))
            .bind::<Text, _>(serde_json::json!(campaigns).to_string(), ")) GROUP BY campaign_id")
            .load(conn),
    };
    let rows = rows.map_err(StoreError::query("sum reports up"))?;
    Ok(rows.into_iter().map(|row| (row.campaign_id, row.figures())).collect())
}

/// Adds deliveries that failed at the hand-over because their address does not exist, page by page, in the order of their ids.
pub(in crate::store) fn count_refused(
    conn: &mut Conn,
    refused: &BTreeMap<(PageId, CampaignId), i64>,
) -> Result<(), StoreError> {
    let zeros = counters().map(|_| "0").collect::<Vec<_>>().join(", ");
    let columns = counters().collect::<Vec<_>>().join(", ");
    for ((page, campaign), count) in refused {
        sql(format!("INSERT INTO page_reports (campaign_id, page_id, {columns}, refused) VALUES ("))
            .bind::<BigInt, _>(*campaign, ", ")
            .bind::<BigInt, _>(*page, format!(", {zeros}, "))
            .bind::<BigInt, _>(
                *count,
                ") ON CONFLICT (campaign_id, page_id) DO UPDATE SET refused = page_reports.refused + excluded.refused",
            )
            .execute(conn)
            .map_err(StoreError::query("count addresses that do not exist"))?;
    }
    Ok(())
}

/// What came back of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub(in crate::store) struct CameBack {
    /// The campaign.
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) campaign_id: CampaignId,
    /// Addresses that the provider refused at the hand-over because they do not exist.
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) refused: i64,
    /// Recipients whose messages came back for a reason that will not pass.
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) bounced: i64,
    /// Recipients who complained.
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) complained: i64,
}

/// What came back of those of these campaigns of which anything did.
pub(in crate::store) fn came_back(conn: &mut Conn, campaigns: &[CampaignId]) -> Result<Vec<CameBack>, StoreError> {
    const SELECT: &str = "SELECT campaign_id, CAST(sum(refused) AS BIGINT) AS refused, CAST(sum(hard_bounced) AS BIGINT) AS \
                          bounced, CAST(sum(complained) AS BIGINT) AS complained FROM page_reports WHERE campaign_id ";
    const GROUPS: &str = " GROUP BY campaign_id HAVING sum(refused + hard_bounced + complained) > 0";
    match conn {
        Conn::Pg(conn) => {
            sql(format!("{SELECT} = ANY(")).bind::<Array<BigInt>, _>(campaigns, format!("){GROUPS}")).load(conn)
        }
        Conn::Sqlite(conn) => sql(format!("{SELECT} IN (SELECT value FROM json_each("))
            .bind::<Text, _>(serde_json::json!(campaigns).to_string(), format!(")){GROUPS}"))
            .load(conn),
    }
    .map_err(StoreError::query("sum up what came back"))
}
