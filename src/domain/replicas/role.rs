//! What one instance does of all that an installation does.

use crate::domain::text_enum::text_enum;

text_enum! {
    /// What an instance does. Work that is in the database alone (launching, packing, closing, segments, old rows) is shared by all
    /// instances, whatever their role.
    Role {
        /// It takes requests, and it sends.
        All = "all",
        /// It takes requests, and sends nothing: neither messages of campaigns nor calls of targets.
        Api = "api",
        /// It sends, and takes no requests but those about its health.
        Sender = "sender",
    }
}

impl Role {
    /// Whether messages of campaigns and calls of targets leave from it.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::All | Self::Sender)
    }

    /// Whether it serves the API and the pages.
    #[must_use]
    pub const fn serves(self) -> bool {
        matches!(self, Self::All | Self::Api)
    }
}

#[expect(clippy::derivable_impls, reason = "the macro derives the same for all enums, and most have no default")]
impl Default for Role {
    fn default() -> Self {
        Self::All
    }
}
