//! What services tell the actors after a commit.

use super::By;
use crate::domain::ids::CampaignId;
use crate::domain::replicas::messages::Control;

/// Tells actors and other instances of what was stored. Only hints: each of them also looks by itself, so that a lost one
/// costs a tick. No call waits.
pub trait Hints: Send + Sync {
    /// A campaign was launched or opened again, or its status changed.
    fn campaign_changed(&self, campaign: CampaignId);

    /// An import was stored.
    fn import_stored(&self);

    /// A decision was stored that every instance follows and acknowledges.
    fn decision_stored(&self, decision: &Control, by: &By);
}
