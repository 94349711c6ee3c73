//! After the database went back in time: campaigns are paused, and what this instance's journal knows of the lost commits is
//! written down again, so that none of their recipients is handed over a second time.
//!
//! The journal has a line for every hand-over that began. The database may lack the outcome of one, its claim, or even the
//! row: the page was packed in the lost time.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;

use super::side_rows::SideRows;
use super::{outcomes, pages, reasons, reported, sweeps};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::dispatch::abandoned::RECORD_LOST;
use crate::domain::dispatch::claim::ClaimKey;
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use crate::domain::dispatch::evidence::{Begun, Known};
use crate::domain::dispatch::lease::LeaseToken;
use crate::domain::dispatch::settlement::{Settlement, Verdict};
use crate::domain::ids::{CampaignId, ContactId, PageId};
use crate::domain::instant::UtcInstant;
use crate::domain::reactions::PauseReason;
use crate::store::campaigns::told::pause_itself;
use crate::store::campaigns::{self, TransitionError};
use crate::store::dispatch::dialect;
use crate::store::engine::history::Lineage;
use crate::store::engine::schema::{campaigns as campaign, database_history as history, deliveries};
use crate::store::engine::{self, CampaignLock};
use crate::store::{Conn, StoreError, deliverability};

/// By how much the version of a paused campaign's status rises: above every version that it had in the lost time, of which
/// caches may still know.
const VERSIONS_LOST: i64 = 1_000;

/// Pauses every campaign that is `sending`, unless an instance has done so for this history before. The first history that a
/// database is used in is only noted. Returns the paused ones.
///
/// # Errors
/// A query failed; nothing was changed.
pub fn pause_all(conn: &mut Conn, found: Lineage) -> Result<Vec<CampaignId>, StoreError> {
    conn.write(|conn| {
        let now = engine::now(conn)?;
        let note =
            (history::system_id.eq(found.system), history::timeline.eq(found.timeline), history::noted_at.eq(now));
        let changed = diesel::update(history::table.find(1_i64))
            .filter(history::system_id.ne(found.system).or(history::timeline.ne(found.timeline)))
            .set(note)
            .execute(conn)
            .map_err(StoreError::query("note the database's history"))?;
        if changed == 0 {
            let known: i64 =
                history::table.count().get_result(conn).map_err(StoreError::query("read the database's history"))?;
            if known == 0 {
                diesel::insert_into(history::table)
                    .values((history::id.eq(1_i64), note))
                    .execute(conn)
                    .map_err(StoreError::query("note the database's history"))?;
            }
            return Ok(Vec::new());
        }
        let sending: Vec<CampaignId> = campaign::table
            .filter(campaign::status.eq(CampaignStatus::Sending))
            .order(campaign::id)
            .select(campaign::id)
            .load(conn)
            .map_err(StoreError::query("find campaigns that are sending"))?;
        let mut paused = Vec::new();
        for id in sending {
            match pause(conn, id, now) {
                Ok(true) => paused.push(id),
                // Gone, or no longer sending, when its lock was won.
                Ok(false) | Err(TransitionError::NotFound(_) | TransitionError::Illegal(_)) => {}
                Err(TransitionError::SweepUnderWay(_) | TransitionError::Archived(_)) => {}
                Err(TransitionError::Store(error)) => return Err(error),
            }
        }
        Ok(paused)
    })
}

fn pause(conn: &mut Conn, id: CampaignId, now: UtcInstant) -> Result<bool, TransitionError> {
    if campaigns::locked(conn, id)?.status != CampaignStatus::Sending {
        return Ok(false);
    }
    diesel::update(campaign::table.find(id))
        .set((campaign::status_version.eq(campaign::status_version + VERSIONS_LOST), campaign::rewound_at.eq(now)))
        .execute(conn)
        .map_err(StoreError::query("pause a campaign"))?;
    let row = campaigns::locked(conn, id)?;
    pause_itself(conn, &row, PauseReason::DatabaseSetBack)?;
    Ok(true)
}

/// What a comparison came to.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Rows that were changed.
    pub restored: usize,
    /// Contacts that have no row: their page is lost.
    pub missing: Vec<ContactId>,
}

/// Compares what a journal knows with the rows of a campaign, and writes down what the rows lack. Repeating it changes
/// nothing.
///
/// # Errors
/// A query failed; safe to repeat.
pub fn replay(conn: &mut Conn, id: CampaignId, known: &Known) -> Result<Replayed, StoreError> {
    let rows = read(conn, id, known.keys().copied().collect())?;
    let missing = known.keys().filter(|contact| !rows.contains_key(contact)).copied().collect();
    // Nearly everything that is kept is on the books: no lock is taken for that.
    let lacking: BTreeMap<ContactId, PageId> = rows
        .iter()
        .filter(|(contact, row)| known.get(contact).is_some_and(|claims| Fix::of(row, claims).is_some()))
        .map(|(contact, row)| (*contact, row.page))
        .collect();
    if lacking.is_empty() {
        return Ok(Replayed { restored: 0, missing });
    }
    let restored = conn.write_under(CampaignLock::Shared, id, |conn| {
        SideRows::collect(conn, |conn, rows| restore(conn, id, known, &lacking, rows))
    })?;
    Ok(Replayed { restored, missing })
}

#[derive(Debug, Clone, Queryable)]
struct Row {
    contact: ContactId,
    page: PageId,
    state: DeliveryState,
    claim_no: i32,
    token: Option<LeaseToken>,
    attempts: i32,
    ambiguous: bool,
    reason: Option<String>,
}

fn read(conn: &mut Conn, id: CampaignId, contacts: Vec<ContactId>) -> Result<BTreeMap<ContactId, Row>, StoreError> {
    let rows: Vec<Row> = deliveries::table
        .filter(deliveries::campaign_id.eq(id).and(deliveries::contact_id.eq_any(contacts)))
        .select((
            deliveries::contact_id,
            deliveries::page_id,
            deliveries::state,
            deliveries::claim_no,
            deliveries::token,
            deliveries::attempts,
            deliveries::ambiguous,
            deliveries::reason,
        ))
        .load(conn)
        .map_err(StoreError::query("compare deliveries with the journal"))?;
    Ok(rows.into_iter().map(|row| (row.contact, row)).collect())
}

/// What a row lacks.
#[derive(Debug, Clone, PartialEq)]
enum Fix {
    /// The outcome of the claim that it stands at.
    Record(ClaimKey, Verdict),
    /// That claim, and how it ended: the row does not go out again.
    End(ClaimKey, Verdict),
}

impl Fix {
    fn of(row: &Row, claims: &[Begun]) -> Option<Self> {
        let newest = claims.last()?;
        if newest.key.claim_no < row.claim_no || row.state == DeliveryState::Sent {
            return None;
        }
        let own = claims.iter().find(|begun| begun.key.claim_no == row.claim_no && row.token == Some(begun.key.token));
        let record = || {
            let open = matches!(row.state, DeliveryState::Sending | DeliveryState::Uncertain);
            let Begun { key, verdict } = own.filter(|_| open)?;
            // That it is uncertain is no news of an uncertain one.
            Some(Self::Record(*key, verdict.clone().filter(|verdict| verdict.state != row.state)?))
        };
        if own.is_some_and(|own| own.key == newest.key) && row.state != DeliveryState::Pending {
            return record();
        }
        if newest.key.claim_no == row.claim_no {
            // Put back since, or settled by an operator: then that stands. Who waits to be asked again under the key does.
            let taken = newest.verdict.as_ref().is_some_and(|verdict| verdict.state == DeliveryState::Sent);
            if row.state != DeliveryState::Pending || row.ambiguous && !taken {
                return None;
            }
        }
        let lost = || claims.iter().filter(|begun| begun.key.claim_no >= row.claim_no);
        let verdicts = || lost().filter_map(|begun| begun.verdict.as_ref());
        if let Some(sent) = verdicts().find(|verdict| verdict.state == DeliveryState::Sent) {
            return Some(Self::End(newest.key, sent.clone()));
        }
        let in_doubt = |begun: &Begun| {
            begun.verdict.as_ref().is_none_or(|verdict| verdict.ambiguous || verdict.state == DeliveryState::Uncertain)
        };
        if lost().any(in_doubt) {
            return Some(Self::End(newest.key, unknown()));
        }
        match &newest.verdict {
            Some(verdict)
                if verdict.state == DeliveryState::Failed
                    && matches!(row.state, DeliveryState::Pending | DeliveryState::Sending) =>
            {
                Some(Self::End(newest.key, verdict.clone()))
            }
            // The provider did not take it: it may be asked again.
            _ => record(),
        }
    }
}

fn unknown() -> Verdict {
    Verdict {
        state: DeliveryState::Uncertain,
        counted: true,
        ambiguous: true,
        reason: Some(RECORD_LOST.to_owned()),
        category: Some(ErrorCategory::Unexpected),
        ..Verdict::untouched()
    }
}

fn restore(
    conn: &mut Conn,
    id: CampaignId,
    known: &Known,
    lacking: &BTreeMap<ContactId, PageId>,
    rows: &mut SideRows,
) -> Result<usize, StoreError> {
    let ids: BTreeSet<PageId> = lacking.values().copied().collect();
    // Locked before anything is read that is decided on.
    dialect::lock_pages(conn, &ids)?;
    let found = read(conn, id, lacking.keys().copied().collect())?;
    let fixes = found.values().filter_map(|row| Some((row, Fix::of(row, known.get(&row.contact)?)?)));
    let (mut records, mut ends) = (Vec::new(), Vec::new());
    for (row, fix) in fixes {
        match fix {
            Fix::Record(key, verdict) => {
                records.push(Settlement { key, page: row.page, verdict, key_valid_ms: None, content: None });
            }
            Fix::End(key, verdict) => ends.push((row, key, verdict)),
        }
    }
    let recorded = outcomes::record_noting(conn, &records, rows)?.changed;
    let ended: Vec<ContactId> = ends.iter().map(|(row, ..)| row.contact).collect();
    for kind in reasons::of_contacts(conn, id, ended.clone())?.into_values() {
        rows.reasons.add(id, kind, -1);
    }
    let (pages, now) = dialect::lock_pages(conn, &ids)?;
    for page in pages {
        let mut counts = page.counts();
        let (mut in_doubt, mut sent) = (Vec::new(), Vec::new());
        for (row, key, verdict) in ends.iter().filter(|(row, ..)| row.page == page.id) {
            end(conn, row, *key, verdict, now)?;
            counts.shift(row.state, verdict.state, 1);
            if verdict.leaves_doubt() {
                in_doubt.push(row.contact);
            } else if verdict.state == DeliveryState::Sent {
                sent.push(row.contact);
            }
            if row.state == DeliveryState::Skipped
                && let Some(reason) = &row.reason
            {
                dialect::count_skips(conn, id, page.id, reason, -1)?;
            }
        }
        deliverability::note_sent(conn, id, &sent, now)?;
        // Reports of these hand-overs may have come since.
        for proven in reported::believe(conn, id, &in_doubt, now, &|locked| locked == page.id)? {
            counts.shift(proven.from, proven.to, 1);
        }
        sweeps::after_moving(conn, &page, counts, rows)?;
        pages::forget_contents(conn, &page)?;
    }
    for kind in reasons::of_contacts(conn, id, ended)?.into_values() {
        rows.reasons.add(id, kind, 1);
    }
    Ok(recorded + ends.len())
}

fn end(conn: &mut Conn, row: &Row, key: ClaimKey, verdict: &Verdict, now: UtcInstant) -> Result<(), StoreError> {
    diesel::update(deliveries::table.find((key.campaign, key.contact)))
        .set((
            deliveries::state.eq(verdict.state),
            // An outcome that is still to come is recorded by these two.
            deliveries::claim_no.eq(key.claim_no),
            deliveries::token.eq(key.token),
            deliveries::attempts.eq(row.attempts + i32::from(verdict.counted)),
            deliveries::ambiguous.eq(verdict.ambiguous),
            deliveries::reason.eq(verdict.reason.as_deref()),
            deliveries::category.eq(verdict.category.map(ErrorCategory::as_str)),
            deliveries::provider_id.eq(verdict.provider_id.as_deref()),
            deliveries::claimed_at.eq(now),
            deliveries::settled_at.eq(now),
        ))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("write down what the journal knows"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: DeliveryState, claim_no: i32, token: Option<i64>) -> Row {
        let token = token.map(LeaseToken);
        Row {
            contact: ContactId(1),
            page: PageId(1),
            state,
            claim_no,
            token,
            attempts: 0,
            ambiguous: false,
            reason: None,
        }
    }

    fn begun(claim_no: i32, token: i64, verdict: Option<Verdict>) -> Begun {
        let key = ClaimKey { campaign: CampaignId(1), contact: ContactId(1), claim_no, token: LeaseToken(token) };
        Begun { key, verdict }
    }

    fn verdict(state: DeliveryState, ambiguous: bool) -> Option<Verdict> {
        Some(Verdict { state, ambiguous, counted: true, ..Verdict::untouched() })
    }

    /// Where a row goes that the database has as the first and the journal as the second.
    fn goes(row: &Row, claims: &[Begun]) -> Option<(&'static str, DeliveryState, i32)> {
        Fix::of(row, claims).map(|fix| match fix {
            Fix::Record(key, verdict) => ("record", verdict.state, key.claim_no),
            Fix::End(key, verdict) => ("end", verdict.state, key.claim_no),
        })
    }

    use DeliveryState::{Failed, Pending, Sending, Sent, Skipped, Uncertain};

    #[test]
    fn who_was_handed_over_under_a_lost_claim_is_not_handed_over_again() {
        let fresh = row(Pending, 0, None);
        assert_eq!(goes(&fresh, &[begun(1, 9, verdict(Sent, false))]), Some(("end", Sent, 1)));
        assert_eq!(goes(&fresh, &[begun(1, 9, None)]), Some(("end", Uncertain, 1)));
        assert_eq!(goes(&fresh, &[begun(1, 9, verdict(Failed, false))]), Some(("end", Failed, 1)));
        assert_eq!(goes(&fresh, &[begun(1, 9, verdict(Pending, true))]), Some(("end", Uncertain, 1)));
        // An earlier one of the lost claims counts as much as the newest.
        let twice = [begun(1, 9, verdict(Pending, true)), begun(2, 9, verdict(Pending, false))];
        assert_eq!(goes(&fresh, &twice), Some(("end", Uncertain, 2)));
        assert_eq!(goes(&row(Failed, 1, Some(3)), &[begun(2, 9, verdict(Sent, false))]), Some(("end", Sent, 2)));
        assert_eq!(goes(&row(Skipped, 0, None), &[begun(1, 9, None)]), Some(("end", Uncertain, 1)));
    }

    #[test]
    fn who_was_refused_for_now_under_a_lost_claim_may_be_asked_again() {
        assert_eq!(goes(&row(Pending, 0, None), &[begun(1, 9, verdict(Pending, false))]), None);
    }

    #[test]
    fn a_lost_outcome_is_recorded_under_its_claim() {
        let claimed = row(Sending, 1, Some(9));
        assert_eq!(goes(&claimed, &[begun(1, 9, verdict(Sent, false))]), Some(("record", Sent, 1)));
        assert_eq!(goes(&claimed, &[begun(1, 9, verdict(Pending, false))]), Some(("record", Pending, 1)));
        assert_eq!(goes(&row(Uncertain, 1, Some(9)), &[begun(1, 9, verdict(Sent, false))]), Some(("record", Sent, 1)));
        let again = [begun(1, 9, verdict(Pending, false)), begun(2, 10, verdict(Pending, false))];
        assert_eq!(goes(&claimed, &again), Some(("record", Pending, 1)));
    }

    #[test]
    fn what_is_under_way_or_on_the_books_stays() {
        assert_eq!(goes(&row(Sending, 1, Some(9)), &[begun(1, 9, None)]), None);
        assert_eq!(goes(&row(Sent, 1, Some(9)), &[begun(1, 9, verdict(Sent, false))]), None);
        assert_eq!(goes(&row(Sending, 3, Some(9)), &[begun(2, 8, verdict(Pending, true))]), None);
        // Put back under its claim, before it was known that it had begun.
        assert_eq!(goes(&row(Pending, 1, Some(9)), &[begun(1, 9, None)]), Some(("end", Uncertain, 1)));
        assert_eq!(goes(&row(Pending, 1, Some(9)), &[begun(1, 9, verdict(Sent, false))]), Some(("end", Sent, 1)));
        assert_eq!(goes(&row(Pending, 1, Some(9)), &[begun(1, 9, verdict(Pending, false))]), None);
        // An operator has settled it since.
        assert_eq!(goes(&row(Failed, 1, None), &[begun(1, 9, verdict(Uncertain, true))]), None);
        let waiting = Row { ambiguous: true, ..row(Pending, 1, None) };
        assert_eq!(goes(&waiting, &[begun(1, 9, None)]), None);
        assert_eq!(goes(&waiting, &[begun(1, 9, verdict(Sent, false))]), Some(("end", Sent, 1)));
    }
}
