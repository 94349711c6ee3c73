//! A line of the consent log, as it is written.

use std::sync::Arc;

use crate::domain::ids::{ContactId, ListId};
use crate::domain::people::consent::{Act, Source};

/// A line of the log.
#[derive(Clone)]
pub(in crate::store) struct Line {
    pub(in crate::store) contact: Option<ContactId>,
    /// None: everything.
    pub(in crate::store) list: Option<ListId>,
    /// Of a suppression.
    pub(in crate::store) channel: Option<&'static str>,
    pub(in crate::store) before: Option<&'static str>,
    pub(in crate::store) after: Option<&'static str>,
    pub(in crate::store) act: Arc<Act>,
    /// In place of the act's.
    pub(in crate::store) source: Source,
    /// In place of the act's.
    pub(in crate::store) note: Option<String>,
    pub(in crate::store) refusal_id: Option<String>,
    /// Kept only for a person's own act.
    pub(in crate::store) address: Option<String>,
}
