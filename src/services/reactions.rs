//! What is to be done after transitions of segments, and after events of campaigns: done, called, listed and tried again.
//!
//! A row waits for each. Tags, lists and events are changed in the transaction that removes the row, so that each happens once. A call is made
//! at least once: its row is removed when the target has taken it.

pub mod call_desk;
pub mod change_desk;
mod changes;
mod notices;
pub mod prune_reactions;
pub mod retry_reactions;
pub mod targets;

/// How long a target counts as known after the last instance that had it in its settings, in milliseconds. Settings change one instance after
/// the other.
const KNOWN_FOR_MS: i64 = 10 * 60_000;
