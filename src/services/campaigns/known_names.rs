//! The names that a campaign's content may use, beside those that all content may.

use std::collections::BTreeSet;

use crate::domain::ids::CampaignId;
use crate::store::campaigns::about;
use crate::store::people::attributes;
use crate::store::{Conn, StoreError};

/// The attributes that contacts have, and the campaign's own values.
///
/// # Errors
/// A query failed, or the values are not readable.
pub(super) fn known_names(conn: &mut Conn, campaign: CampaignId) -> Result<BTreeSet<String>, StoreError> {
    let mut known = attributes::known(conn)?;
    known.extend(about::of(conn, campaign)?.props.names());
    Ok(known)
}
