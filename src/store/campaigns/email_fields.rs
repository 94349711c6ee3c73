//! What the emails of a campaign have beside their words (`campaign_email`). A campaign's row goes when it says nothing any more;
//! campaigns themselves stay.

use std::collections::HashMap;

use diesel::prelude::*;

use super::{CampaignRow, content};
use crate::domain::content::email_fields::EmailFields;
use crate::domain::ids::CampaignId;
use crate::store::content::email_fields::{StoredEmailFields, as_json};
use crate::store::engine::schema::campaign_email;
use crate::store::{Conn, StoreError};

/// What these campaigns say themselves. One that says nothing is not among them.
///
/// # Errors
/// The query failed, or a row cannot be read.
pub fn own(conn: &mut Conn, ids: &[CampaignId]) -> Result<HashMap<CampaignId, EmailFields>, StoreError> {
    let rows: Vec<(CampaignId, StoredEmailFields)> = campaign_email::table
        .filter(campaign_email::campaign_id.eq_any(ids.to_vec()))
        .select((campaign_email::campaign_id, campaign_email::email))
        .load(conn)
        .map_err(StoreError::query("read the email fields of campaigns"))?;
    Ok(rows.into_iter().map(|(id, fields)| (id, fields.0)).collect())
}

/// What the emails of a campaign have: what it says itself before what its template says.
///
/// # Errors
/// A query failed, or a row cannot be read.
pub fn of(conn: &mut Conn, campaign: &CampaignRow) -> Result<EmailFields, StoreError> {
    let own = own(conn, &[campaign.id])?.remove(&campaign.id).unwrap_or_default();
    let version = content(conn, campaign)?;
    Ok(own.over(version.map(|version| version.email.0).unwrap_or_default()))
}

/// Stores what a campaign says itself, in the caller's transaction, under the campaign's lock.
///
/// # Errors
/// The query failed.
pub fn set(conn: &mut Conn, id: CampaignId, fields: &EmailFields) -> Result<(), StoreError> {
    diesel::delete(campaign_email::table.find(id))
        .execute(conn)
        .map_err(StoreError::query("replace the email fields of a campaign"))?;
    if fields.is_empty() {
        return Ok(());
    }
    diesel::insert_into(campaign_email::table)
        .values((campaign_email::campaign_id.eq(id), campaign_email::email.eq(as_json(fields)?)))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("store the email fields of a campaign"))
}
