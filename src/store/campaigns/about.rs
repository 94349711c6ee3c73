//! What a campaign is about, and the values of its own (`campaign_details`). A campaign that says neither has no row.

use std::collections::HashMap;

use diesel::prelude::*;

use crate::domain::content::props::Props;
use crate::domain::ids::CampaignId;
use crate::store::engine::schema::campaign_details;
use crate::store::{Conn, StoreError};

/// What a campaign is about, and what it brings to its content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// For people.
    pub description: String,
    /// The values that its content may use.
    pub props: Props,
}

impl About {
    /// The names of the fields that differ from what was said `before`.
    #[must_use]
    pub fn differing(&self, before: &Self) -> Vec<&'static str> {
        let fields = [("description", self.description != before.description), ("props", self.props != before.props)];
        fields.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}

/// What these campaigns say. One that says nothing is not among them.
///
/// # Errors
/// The query failed, or a row cannot be read.
pub fn all(conn: &mut Conn, ids: &[CampaignId]) -> Result<HashMap<CampaignId, About>, StoreError> {
    let rows: Vec<(CampaignId, String, Option<String>)> = campaign_details::table
        .filter(campaign_details::campaign_id.eq_any(ids.to_vec()))
        .select((campaign_details::campaign_id, campaign_details::description, campaign_details::props))
        .load(conn)
        .map_err(StoreError::query("read what campaigns are about"))?;
    let about = |(id, description, props): (CampaignId, String, Option<String>)| {
        let props = Props::read(props.as_deref())
            .map_err(|error| StoreError::Corrupt { what: "values of a campaign", detail: error.to_string() })?;
        Ok((id, About { description, props }))
    };
    rows.into_iter().map(about).collect()
}

/// What a campaign says.
///
/// # Errors
/// As [`all`].
pub fn of(conn: &mut Conn, id: CampaignId) -> Result<About, StoreError> {
    Ok(all(conn, &[id])?.remove(&id).unwrap_or_default())
}

/// Stores what a campaign says, in the caller's transaction, under the campaign's lock.
///
/// # Errors
/// The query failed.
pub fn set(conn: &mut Conn, id: CampaignId, about: &About) -> Result<(), StoreError> {
    diesel::delete(campaign_details::table.find(id))
        .execute(conn)
        .map_err(StoreError::query("replace what a campaign is about"))?;
    if *about == About::default() {
        return Ok(());
    }
    let props = about
        .props
        .stored()
        .map_err(|error| StoreError::Corrupt { what: "values of a campaign", detail: error.to_string() })?;
    diesel::insert_into(campaign_details::table)
        .values((
            campaign_details::campaign_id.eq(id),
            campaign_details::description.eq(&about.description),
            campaign_details::props.eq(props),
        ))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("store what a campaign is about"))
}
