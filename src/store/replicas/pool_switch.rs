//! A pool's switch as stored.

use diesel::prelude::*;

use crate::domain::instant::UtcInstant;
use crate::store::engine::schema::pool_switches;

/// A pool's switch, as it was last set.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = pool_switches)]
pub struct PoolSwitch {
    /// The pool.
    pub pool: String,
    /// Rises with every decision.
    pub version: i64,
    /// Whether it was suspended.
    pub suspended: bool,
    /// Why.
    pub reason: Option<String>,
    /// When the suspension ends by itself.
    pub expires_at: Option<UtcInstant>,
    /// When it was set.
    pub changed_at: UtcInstant,
}

impl PoolSwitch {
    /// Whether nothing may be handed over at `now`.
    #[must_use]
    pub fn holds(&self, now: UtcInstant) -> bool {
        self.suspended && self.expires_at.is_none_or(|until| until > now)
    }
}
