//! What instances tell each other through the database.

pub mod announcement;
pub mod announcements;
pub mod decisions;
pub(in crate::store) mod dialect;
pub mod instances;
pub mod kept_paces;
pub mod paces;
pub mod pool_switch;
pub mod pool_switches;
pub mod rates;
pub mod session_lock;
