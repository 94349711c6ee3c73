//! The pause of a campaign for what is not its recipients' fault.

use diesel::prelude::*;

use super::told::pause_itself;
use super::{CampaignRow, LockedCampaign, TransitionError, locked};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::campaigns::content_doubt::ContentDoubt;
use crate::domain::ids::CampaignId;
use crate::domain::reactions::PauseReason;
use crate::store::engine::schema::campaigns;
use crate::store::{Conn, StoreError};

/// Why a campaign should not go on as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// Too many of its recipients could not be rendered. Raised once only: an operator who resumes the campaign has seen it.
    Content,
    /// Nearly all of its recipients are refused alike. Raised again after a resume that changed nothing.
    Refusals {
        /// The answer.
        quote: String,
        /// The version of the campaign's status under which it was given.
        version: i64,
    },
}

impl Doubt {
    /// Whether the campaign that was read after the doubt was raised needs nothing more for it.
    #[must_use]
    pub fn is_noted(&self, row: &CampaignRow) -> bool {
        match self {
            Self::Content => row.content_doubt.is_some(),
            Self::Refusals { version, .. } => row.refusal_doubt.is_some() || row.status_version > *version,
        }
    }
}

/// Pauses a campaign for a doubt, and notes it. Returns the campaign as it is then.
///
/// # Errors
/// The campaign is missing, or the query failed.
pub fn doubt(conn: &mut Conn, id: CampaignId, doubt: &Doubt) -> Result<CampaignRow, TransitionError> {
    let row = locked(conn, id)?;
    if row.status != CampaignStatus::Sending || doubt.is_noted(&row) {
        return Ok(row.into_row());
    }
    let reason = match doubt {
        Doubt::Content => PauseReason::Content,
        Doubt::Refusals { .. } => PauseReason::Refusals,
    };
    match doubt {
        Doubt::Content => diesel::update(campaigns::table.find(id))
            .set(campaigns::content_doubt.eq(ContentDoubt::Raised))
            .execute(conn),
        Doubt::Refusals { quote, .. } => {
            diesel::update(campaigns::table.find(id)).set(campaigns::refusal_doubt.eq(quote)).execute(conn)
        }
    }
    .map_err(StoreError::query("doubt a campaign"))?;
    pause_itself(conn, &row, reason)
}

/// Notes that a doubt was overruled.
pub(super) fn waive(conn: &mut Conn, row: &LockedCampaign) -> Result<(), StoreError> {
    let id = row.id;
    diesel::update(campaigns::table.find(id).filter(campaigns::content_doubt.eq(ContentDoubt::Raised)))
        .set(campaigns::content_doubt.eq(ContentDoubt::Waived))
        .execute(conn)
        .map_err(StoreError::query("waive a doubt in a campaign's content"))?;
    diesel::update(campaigns::table.find(id).filter(campaigns::refusal_doubt.is_not_null()))
        .set(campaigns::refusal_doubt.eq(None::<String>))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("waive a doubt in a campaign's answers"))
}
