//! Bulk changes of deliveries. PostgreSQL takes arrays, the campaign's id among them: written as a constant it would let
//! the planner, which knows nothing yet of a fresh table, walk the whole campaign for every batch. On SQLite a join on `json_each` was a hundred times slower than
//! prepared row-by-row updates in one transaction.

use std::collections::HashSet;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text};

use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use crate::domain::dispatch::fingerprint::ProviderFingerprint;
use crate::domain::dispatch::lease::LeaseToken;
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::instant::UtcInstant;
use crate::store::dispatch::dialect::LockedPage;
use crate::store::dispatch::outcomes::{Write, fence};
use crate::store::engine::schema::delivery_contents;
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

/// A recipient that a claim takes.
pub(in crate::store) struct Taken {
    pub(in crate::store) contact: ContactId,
    /// The version of the contact that is rendered.
    pub(in crate::store) version: i64,
    /// Until when this claim's provider honours the key of an earlier attempt.
    pub(in crate::store) key_until: Option<UtcInstant>,
}

/// Turns pending recipients of a page to `sending`, for a provider. Returns how many changed.
pub(in crate::store) fn mark_sending(
    conn: &mut Conn,
    page: &LockedPage,
    recipients: &[Taken],
    token: LeaseToken,
    provider: ProviderFingerprint,
    now: UtcInstant,
) -> Result<usize, StoreError> {
    if recipients.is_empty() {
        return Ok(0);
    }
    let campaign = page.campaign_id;
    match conn {
        Conn::Pg(conn) => {
            let contacts: Vec<i64> = recipients.iter().map(|taken| taken.contact.0).collect();
            let versions: Vec<i64> = recipients.iter().map(|taken| taken.version).collect();
            let keys: Vec<Option<i64>> = recipients.iter().map(|taken| taken.key_until.map(|until| until.0)).collect();
            sql(
                "UPDATE deliveries AS d SET state = 'sending', claim_no = d.claim_no + 1, contact_version = v.version, \
                 provider_key_until = v.key_until, provider_fingerprint = ",
            )
            .bind::<BigInt, _>(provider, ", token = ")
            .bind::<BigInt, _>(token, ", claimed_at = ")
            .bind::<BigInt, _>(now, " FROM unnest(")
            .bind::<Array<BigInt>, _>(vec![campaign.0; contacts.len()], ", ")
            .bind::<Array<BigInt>, _>(contacts, ", ")
            .bind::<Array<BigInt>, _>(versions, ", ")
            .bind::<Array<Nullable<BigInt>>, _>(
                keys,
                ") AS v (campaign_id, contact_id, version, key_until) WHERE d.campaign_id = v.campaign_id \
                     AND d.contact_id = v.contact_id AND d.state = 'pending'",
            )
            .execute(conn)
        }
        Conn::Sqlite(conn) => recipients.iter().try_fold(0, |changed, taken| {
            // Not by diesel's own `update`: it is never cached, and would be parsed anew for each row.
            sql("UPDATE deliveries SET state = 'sending', claim_no = claim_no + 1, contact_version = ")
                .bind::<BigInt, _>(taken.version, ", provider_key_until = ")
                .bind::<Nullable<BigInt>, _>(taken.key_until, ", provider_fingerprint = ")
                .bind::<BigInt, _>(provider, ", token = ")
                .bind::<BigInt, _>(token, ", claimed_at = ")
                .bind::<BigInt, _>(now, " WHERE campaign_id = ")
                .bind::<BigInt, _>(campaign, " AND contact_id = ")
                .bind::<BigInt, _>(taken.contact, " AND state = 'pending'")
                .execute(conn)
                .map(|one| changed + one)
        }),
    }
    .map_err(StoreError::query("claim recipients"))
}

/// A pending recipient who is not handed over.
pub(in crate::store) struct Ending {
    pub(in crate::store) contact: ContactId,
    pub(in crate::store) state: DeliveryState,
    pub(in crate::store) reason: Option<&'static str>,
    pub(in crate::store) category: Option<ErrorCategory>,
}

/// Ends pending recipients of a page. Returns how many changed.
pub(in crate::store) fn end_recipients(
    conn: &mut Conn,
    page: &LockedPage,
    endings: &[Ending],
    now: UtcInstant,
) -> Result<usize, StoreError> {
    if endings.is_empty() {
        return Ok(0);
    }
    let campaign = page.campaign_id;
    match conn {
        Conn::Pg(conn) => {
            let contacts: Vec<ContactId> = endings.iter().map(|ending| ending.contact).collect();
            let states: Vec<DeliveryState> = endings.iter().map(|ending| ending.state).collect();
            let reasons: Vec<Option<&str>> = endings.iter().map(|ending| ending.reason).collect();
            let categories: Vec<Option<&str>> =
                endings.iter().map(|ending| ending.category.map(ErrorCategory::as_str)).collect();
            sql("UPDATE deliveries AS d SET state = v.state, reason = v.reason, category = v.category, settled_at = ")
                .bind::<BigInt, _>(now, " FROM unnest(")
                .bind::<Array<BigInt>, _>(vec![campaign.0; endings.len()], ", ")
                .bind::<Array<BigInt>, _>(contacts, ", ")
                .bind::<Array<Text>, _>(states, ", ")
                .bind::<Array<Nullable<Text>>, _>(reasons, ", ")
                .bind::<Array<Nullable<Text>>, _>(
                    categories,
                    ") AS v (campaign_id, contact_id, state, reason, category) WHERE d.campaign_id = v.campaign_id \
                     AND d.contact_id = v.contact_id AND d.state = 'pending'",
                )
                .execute(conn)
        }
        Conn::Sqlite(conn) => endings.iter().try_fold(0, |changed, ending| {
            sql("UPDATE deliveries SET state = ")
                .bind::<Text, _>(ending.state, ", reason = ")
                .bind::<Nullable<Text>, _>(ending.reason, ", category = ")
                .bind::<Nullable<Text>, _>(ending.category.map(ErrorCategory::as_str), ", settled_at = ")
                .bind::<BigInt, _>(now, " WHERE campaign_id = ")
                .bind::<BigInt, _>(campaign, " AND contact_id = ")
                .bind::<BigInt, _>(ending.contact, " AND state = 'pending'")
                .execute(conn)
                .map(|one| changed + one)
        }),
    }
    .map_err(StoreError::query("end recipients"))
}

#[derive(QueryableByName)]
struct Changed {
    #[diesel(sql_type = BigInt)]
    contact_id: ContactId,
    #[diesel(sql_type = Integer)]
    claim_no: i32,
}

/// Writes outcomes to those rows of a locked page that are in `from` and still belong to the claim. Returns the claims
/// whose rows changed.
///
/// A verdict knows whether an *earlier* attempt is in doubt, so late evidence takes away the doubt about its own, and what
/// was in doubt was counted as an attempt when it became so. A key's
/// life is counted from the claim: an outcome may have waited for the database for longer than the key lives.
pub(in crate::store) fn write_outcomes(
    conn: &mut Conn,
    campaign: CampaignId,
    writes: &[&Write<'_>],
    from: DeliveryState,
    now: UtcInstant,
) -> Result<HashSet<(ContactId, i32)>, StoreError> {
    match conn {
        Conn::Pg(conn) => write_outcomes_pg(conn, campaign, writes, from, now),
        Conn::Sqlite(conn) => write_outcomes_sqlite(conn, campaign, writes, from, now),
    }
    .map_err(StoreError::query("record outcomes"))
}

fn write_outcomes_pg(
    conn: &mut PgConnection,
    campaign: CampaignId,
    writes: &[&Write<'_>],
    from: DeliveryState,
    now: UtcInstant,
) -> QueryResult<HashSet<(ContactId, i32)>> {
    let of = |pick: fn(&Write<'_>) -> i64| -> Vec<i64> { writes.iter().map(|write| pick(write)).collect() };
    let contacts = of(|write| fence(write).0.0);
    let claim_nos: Vec<i32> = writes.iter().map(|write| fence(write).1).collect();
    let tokens = of(|write| fence(write).2.0);
    let states: Vec<&str> = writes.iter().map(|write| write.state.as_str()).collect();
    let due: Vec<i64> = of(|write| write.due_at.0);
    let counted: Vec<i32> = writes.iter().map(|write| i32::from(write.settlement.verdict.counted)).collect();
    let put_off: Vec<i32> = writes.iter().map(|write| put_offs_more(write)).collect();
    let ambiguous: Vec<bool> = writes.iter().map(|write| write.settlement.verdict.ambiguous).collect();
    let reasons: Vec<Option<&str>> = writes.iter().map(|write| write.reason).collect();
    let categories: Vec<Option<&str>> =
        writes.iter().map(|write| write.settlement.verdict.category.map(|category| category.as_str())).collect();
    let classes: Vec<Option<&str>> =
        writes.iter().map(|write| write.settlement.verdict.class.map(|class| class.as_str())).collect();
    let provider_ids: Vec<Option<&str>> =
        writes.iter().map(|write| write.settlement.verdict.provider_id.as_deref()).collect();
    let key_valid_ms: Vec<Option<i64>> = writes.iter().map(|write| write.settlement.key_valid_ms).collect();
    let changed: Vec<Changed> = sql(
        "UPDATE deliveries AS d SET state = v.state, due_at = v.due_at, attempts = d.attempts + v.counted - \
         CASE WHEN d.state = 'uncertain' OR d.state = 'pending' AND d.ambiguous THEN 1 ELSE 0 END, \
         put_offs = greatest(0, d.put_offs + v.put_off), ambiguous = v.ambiguous OR d.ambiguous AND d.state = 'sending', reason = v.reason, category = v.category, answer_class = v.answer_class, \
         provider_id = coalesce(v.provider_id, d.provider_id), \
         provider_key_until = coalesce(d.provider_key_until, d.claimed_at + v.key_valid_ms), \
         token = CASE WHEN v.state = 'pending' THEN NULL ELSE d.token END, \
         settled_at = CASE WHEN v.state = 'pending' THEN NULL ELSE ",
    )
    .bind::<BigInt, _>(now, "::BIGINT END FROM unnest(")
    .bind::<Array<BigInt>, _>(vec![campaign.0; writes.len()], ", ")
    .bind::<Array<BigInt>, _>(contacts, ", ")
    .bind::<Array<Integer>, _>(claim_nos, ", ")
    .bind::<Array<BigInt>, _>(tokens, ", ")
    .bind::<Array<Text>, _>(states, ", ")
    .bind::<Array<BigInt>, _>(due, ", ")
    .bind::<Array<Integer>, _>(counted, ", ")
    .bind::<Array<Integer>, _>(put_off, ", ")
    .bind::<Array<Bool>, _>(ambiguous, ", ")
    .bind::<Array<Nullable<Text>>, _>(reasons, ", ")
    .bind::<Array<Nullable<Text>>, _>(categories, ", ")
    .bind::<Array<Nullable<Text>>, _>(classes, ", ")
    .bind::<Array<Nullable<Text>>, _>(provider_ids, ", ")
    .bind::<Array<Nullable<BigInt>>, _>(
        key_valid_ms,
        ") AS v (campaign_id, contact_id, claim_no, token, state, due_at, counted, put_off, ambiguous, reason, category, answer_class, \
         provider_id, key_valid_ms) \
         WHERE d.campaign_id = v.campaign_id AND d.contact_id = v.contact_id AND d.claim_no = v.claim_no AND d.token = v.token AND d.state = ",
    )
    .bind::<Text, _>(from, " RETURNING d.contact_id, d.claim_no")
    .load(conn)?;
    Ok(changed.into_iter().map(|row| (row.contact_id, row.claim_no)).collect())
}

fn write_outcomes_sqlite(
    conn: &mut SqliteConnection,
    campaign: CampaignId,
    writes: &[&Write<'_>],
    from: DeliveryState,
    now: UtcInstant,
) -> QueryResult<HashSet<(ContactId, i32)>> {
    let mut done = HashSet::with_capacity(writes.len());
    for write in writes {
        let (contact, claim_no, token) = fence(write);
        let verdict = &write.settlement.verdict;
        let pending = write.state == DeliveryState::Pending;
        let changed = sql("UPDATE deliveries SET state = ")
            .bind::<Text, _>(write.state, ", due_at = ")
            .bind::<BigInt, _>(write.due_at, ", attempts = attempts + ")
            .bind::<Integer, _>(
                i32::from(verdict.counted),
                " - CASE WHEN state = 'uncertain' OR state = 'pending' AND ambiguous THEN 1 ELSE 0 END, \
                 put_offs = max(0, put_offs + ",
            )
            .bind::<Integer, _>(put_offs_more(write), "), ambiguous = ")
            .bind::<Bool, _>(verdict.ambiguous, " OR ambiguous AND state = 'sending', reason = ")
            .bind::<Nullable<Text>, _>(write.reason, ", category = ")
            .bind::<Nullable<Text>, _>(verdict.category.map(|category| category.as_str()), ", answer_class = ")
            .bind::<Nullable<Text>, _>(verdict.class.map(|class| class.as_str()), ", provider_id = coalesce(")
            .bind::<Nullable<Text>, _>(
                verdict.provider_id.as_deref(),
                ", provider_id), provider_key_until = coalesce(provider_key_until, claimed_at + ",
            )
            .bind::<Nullable<BigInt>, _>(write.settlement.key_valid_ms, "), token = ")
            .bind::<Nullable<BigInt>, _>((!pending).then_some(token), ", settled_at = ")
            .bind::<Nullable<BigInt>, _>((!pending).then_some(now), " WHERE campaign_id = ")
            .bind::<BigInt, _>(campaign, " AND contact_id = ")
            .bind::<BigInt, _>(contact, " AND claim_no = ")
            .bind::<Integer, _>(claim_no, " AND token = ")
            .bind::<BigInt, _>(token, " AND state = ")
            .bind::<Text, _>(from, "")
            .execute(conn)?;
        if changed == 1 {
            done.insert((contact, claim_no));
        }
    }
    Ok(done)
}

/// By how much the count of put-offs in a row changes; below all that can be there, where it begins anew.
fn put_offs_more(write: &Write<'_>) -> i32 {
    let verdict = &write.settlement.verdict;
    if verdict.put_off {
        1
    } else if verdict.counted {
        -i32::MAX
    } else {
        0
    }
}

/// Keeps what an attempt said, in place of what an earlier one did: the words are the same, the address may not be.
pub(in crate::store) fn keep_content(
    conn: &mut Conn,
    campaign: CampaignId,
    contact: ContactId,
    content: &str,
) -> Result<(), StoreError> {
    let row = (
        delivery_contents::campaign_id.eq(campaign),
        delivery_contents::contact_id.eq(contact),
        delivery_contents::content.eq(content),
    );
    let (key, content) = ((delivery_contents::campaign_id, delivery_contents::contact_id), content.to_owned());
    let change = delivery_contents::content.eq(content);
    match conn {
        Conn::Pg(conn) => diesel::insert_into(delivery_contents::table)
            .values(row)
            .on_conflict(key)
            .do_update()
            .set(change)
            .execute(conn),
        Conn::Sqlite(conn) => diesel::insert_into(delivery_contents::table)
            .values(row)
            .on_conflict(key)
            .do_update()
            .set(change)
            .execute(conn),
    }
    .map(drop)
    .map_err(StoreError::query("keep what an attempt said"))
}
