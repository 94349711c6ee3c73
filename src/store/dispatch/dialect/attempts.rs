//! What attempts came to, written for a batch at once.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text};

use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::ErrorCategory;
use crate::domain::ids::CampaignId;
use crate::domain::instant::UtcInstant;
use crate::store::dispatch::attempts::Tried;
use crate::store::engine::sql::sql;
use crate::store::{Conn, StoreError};

macro_rules! into {
    ($rows:literal) => {
        concat!(
            "INSERT INTO attempts (campaign_id, contact_id, claim_no, state, category, answer_class, reason, at) ",
            $rows
        )
    };
}

macro_rules! or_again {
    ($end:literal) => {
        concat!(
            $end,
            " ON CONFLICT (campaign_id, contact_id, claim_no) DO UPDATE SET state = excluded.state, \
             category = excluded.category, answer_class = excluded.answer_class, reason = excluded.reason, at = excluded.at"
        )
    };
}

/// Writes them down, in place of what was written of the same claim before.
pub(in crate::store) fn note_attempts(
    conn: &mut Conn,
    campaign: CampaignId,
    tried: &[&Tried<'_>],
    now: UtcInstant,
) -> Result<(), StoreError> {
    match conn {
        Conn::Pg(conn) => {
            let contacts: Vec<i64> = tried.iter().map(|one| one.contact.0).collect();
            let claims: Vec<i32> = tried.iter().map(|one| one.claim_no).collect();
            let states: Vec<&str> = tried.iter().map(|one| one.state.as_str()).collect();
            let categories: Vec<Option<&str>> =
                tried.iter().map(|one| one.category.map(ErrorCategory::as_str)).collect();
            let classes: Vec<Option<&str>> = tried.iter().map(|one| one.class.map(AnswerClass::as_str)).collect();
            let reasons: Vec<Option<&str>> = tried.iter().map(|one| one.reason).collect();
            sql(into!("SELECT "))
                .bind::<BigInt, _>(
                    campaign,
                    ", v.contact_id, v.claim_no, v.state, v.category, v.answer_class, v.reason, ",
                )
                .bind::<BigInt, _>(now, " FROM unnest(")
                .bind::<Array<BigInt>, _>(contacts, ", ")
                .bind::<Array<Integer>, _>(claims, ", ")
                .bind::<Array<Text>, _>(states, ", ")
                .bind::<Array<Nullable<Text>>, _>(categories, ", ")
                .bind::<Array<Nullable<Text>>, _>(classes, ", ")
                .bind::<Array<Nullable<Text>>, _>(
                    reasons,
                    or_again!(") AS v (contact_id, claim_no, state, category, answer_class, reason)"),
                )
                .execute(conn)
                .map(drop)
        }
        Conn::Sqlite(conn) => tried.iter().try_for_each(|one| {
            sql(into!("VALUES ("))
                .bind::<BigInt, _>(campaign, ", ")
                .bind::<BigInt, _>(one.contact, ", ")
                .bind::<Integer, _>(one.claim_no, ", ")
                .bind::<Text, _>(one.state, ", ")
                .bind::<Nullable<Text>, _>(one.category.map(ErrorCategory::as_str), ", ")
                .bind::<Nullable<Text>, _>(one.class.map(AnswerClass::as_str), ", ")
                .bind::<Nullable<Text>, _>(one.reason, ", ")
                .bind::<BigInt, _>(now, or_again!(")"))
                .execute(conn)
                .map(drop)
        }),
    }
    .map_err(StoreError::query("write down attempts"))
}
