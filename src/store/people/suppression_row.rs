//! A suppression as stored.

use diesel::prelude::*;

use crate::domain::channel::ChannelKind;
use crate::domain::ids::ListId;
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::Reason;
use crate::store::engine::schema::suppressions;

/// A suppression as stored. Holds personal data: never logged, hence no `Debug`.
#[derive(Clone, PartialEq, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = suppressions)]
pub struct SuppressionRow {
    /// In the form that contacts hold it in.
    pub address: String,
    /// The channel.
    pub channel: ChannelKind,
    /// The list that was refused; 0 is everything.
    pub topic: ListId,
    /// Since when the person refuses.
    pub unsubscribed_at: Option<UtcInstant>,
    /// When the person last said that it wants nothing more on this channel.
    pub stopped_at: Option<UtcInstant>,
    /// Since when there is a complaint.
    pub complained_at: Option<UtcInstant>,
    /// Since when the address does not exist.
    pub bounced_at: Option<UtcInstant>,
    /// Until when a soft bounce keeps messages back.
    pub soft_until: Option<UtcInstant>,
    /// Since when an operator blocks it.
    pub blocked_at: Option<UtcInstant>,
    /// Where the last change came from.
    pub source: Option<String>,
    /// When the row was made.
    pub created_at: UtcInstant,
    /// When it changed last.
    pub updated_at: UtcInstant,
}

impl SuppressionRow {
    /// The instant of a reason.
    #[must_use]
    pub const fn get(&self, reason: Reason) -> Option<UtcInstant> {
        match reason {
            Reason::Unsubscribed => self.unsubscribed_at,
            Reason::Stopped => self.stopped_at,
            Reason::Complained => self.complained_at,
            Reason::Bounced => self.bounced_at,
            Reason::SoftBounced => self.soft_until,
            Reason::Blocked => self.blocked_at,
        }
    }

    pub(super) fn set(&mut self, reason: Reason, at: Option<UtcInstant>) {
        *match reason {
            Reason::Unsubscribed => &mut self.unsubscribed_at,
            Reason::Stopped => &mut self.stopped_at,
            Reason::Complained => &mut self.complained_at,
            Reason::Bounced => &mut self.bounced_at,
            Reason::SoftBounced => &mut self.soft_until,
            Reason::Blocked => &mut self.blocked_at,
        } = at;
    }

    /// The reasons that it has.
    #[must_use]
    pub fn reasons(&self) -> Vec<Reason> {
        Reason::ALL.iter().copied().filter(|reason| self.get(*reason).is_some()).collect()
    }
}
