//! The rule of a segment, checked against the lists and segments that there are.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::ids::{CampaignId, SegmentId};
use crate::domain::people::contact::FieldError;
use crate::domain::segments::Criteria;
use crate::domain::segments::dependencies::{Circle, ordered};
use crate::domain::segments::reaction::Reaction;
use crate::domain::segments::stay::Rules;
use crate::store::segments::{self, SegmentRow, StoredCriteria};
use crate::store::{Conn, MayBeStoreError, StoreError};

/// The most segments there may be: each of them is looked at whenever a contact has changed.
pub const MAX_SEGMENTS: usize = 1_000;

/// What a segment is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Unique.
    pub name: String,
    /// Stands wherever the id may; unique. `None`: made of the name.
    pub slug: Option<String>,
    /// For operators.
    pub description: String,
    /// Its rule.
    pub criteria: Criteria,
    /// What it says of stays.
    pub rules: Rules,
    /// What is done when a contact enters, leaves or is still there.
    pub reactions: Vec<Reaction>,
    /// Whether it is kept up to date.
    pub enabled: bool,
}

/// Why a segment is not created, changed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// There is no such segment.
    #[error("there is no segment {0}")]
    NotFound(SegmentId),
    /// Its rule is wrong: by the JSON pointer inside the criteria.
    #[error("{0}")]
    Criteria(FieldError),
    /// What it says of stays is wrong.
    #[error("{0}")]
    Rules(FieldError),
    /// One of its reactions is wrong.
    #[error("{0}")]
    Reactions(FieldError),
    /// It would ask for itself.
    #[error("{0}")]
    Circle(Circle),
    /// Other segments ask for it.
    #[error("other segments ask for this segment")]
    InUse(Vec<SegmentId>),
    /// Campaigns that are under way are for its members, or leave them out.
    #[error("campaigns that are under way ask who is a member of this segment")]
    InCampaigns(Vec<CampaignId>),
    /// There are as many segments as there may be.
    #[error("there are {MAX_SEGMENTS} segments, which is the most there may be")]
    TooMany,
    /// The database failed, or another segment has the name or the slug ([`StoreError::Taken`]).
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MayBeStoreError for SegmentError {
    fn into_store_error(self) -> Result<StoreError, Self> {
        if let Self::Store(error) = self { Ok(error) } else { Err(self) }
    }
}

/// Checks a rule against the segments that there are: those that it asks for, and that none asks for itself. `own` is the segment's id,
/// where it exists. The definitions are held.
///
/// # Errors
/// [`SegmentError::Criteria`] or [`SegmentError::Circle`], or a query failed.
pub(super) fn check(conn: &mut Conn, criteria: &Criteria, own: Option<SegmentId>) -> Result<(), SegmentError> {
    let all = segments::all(conn)?;
    if let Some(missing) = criteria.segments().iter().find(|id| all.iter().all(|row| row.id != **id)) {
        let reason = format!("there is no segment {missing}");
        return Err(SegmentError::Criteria(FieldError::new("", "criteria_invalid", reason)));
    }
    let mut asks = asks(conn, &all)?;
    // One that does not exist yet is asked for by none.
    asks.insert(own.unwrap_or(SegmentId(0)), criteria.segments());
    ordered(&asks).map(drop).map_err(SegmentError::Circle)
}

/// Which segments each of these asks for. One whose rule cannot be read asks for none.
pub(super) fn asks(
    conn: &mut Conn,
    all: &[SegmentRow],
) -> Result<BTreeMap<SegmentId, BTreeSet<SegmentId>>, StoreError> {
    let ids: Vec<SegmentId> = all.iter().map(|row| row.id).collect();
    let stored = segments::criteria_of(conn, &ids)?;
    let criteria = |stored: &StoredCriteria| stored.given().ok().and_then(|given| Criteria::read(given).ok());
    let asked = |stored| criteria(stored).map(|criteria| criteria.segments()).unwrap_or_default();
    Ok(stored.iter().map(|(id, stored)| (*id, asked(stored))).collect())
}
