//! Where an import stands.

use crate::domain::text_enum::text_enum;

text_enum! {
    /// Where an import stands.
    ImportStatus {
        /// Uploaded; nothing is stored yet.
        Pending = "pending",
        /// Rows are being stored.
        Running = "running",
        /// Every row was stored or refused.
        Completed = "completed",
        /// It cannot go on; what was stored stays.
        Failed = "failed",
    }
}
