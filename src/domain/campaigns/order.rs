//! In which order a list of campaigns is.

use crate::domain::text_enum::text_enum;

text_enum! {
    /// What campaigns are sorted by.
    SortKey {
        /// When they were made.
        CreatedAt = "created_at",
        /// When they last changed.
        UpdatedAt = "updated_at",
        /// When they launch, or were to launch, by themselves. Those that never were to are last.
        ScheduledAt = "scheduled_at",
        /// When they were launched. Those that were not are last.
        LaunchedAt = "launched_at",
        /// When they ended. Those that have not are last.
        EndedAt = "ended_at",
        /// Their name, in lower case.
        Name = "name",
    }
}

text_enum! {
    /// Which end of an order comes first.
    Direction {
        /// The smallest.
        Asc = "asc",
        /// The largest.
        Desc = "desc",
    }
}
