//! What moves: each actor owns one thing, and answers `GetState` with what it holds and waits for. The database is the
//! truth; a message between actors is a hint, and losing one costs a tick.

pub mod broker_link;
pub mod clock;
pub mod guardian;
pub mod health;
pub mod importer;
pub mod journal;
pub mod launcher;
pub mod open_work;
pub mod paces;
pub mod paginator;
pub mod reaper;
pub mod recorder;
pub mod rewind;
pub mod scheduler;
pub mod sender_pool;
pub mod status_cache;
pub mod supervisor;
pub mod switchboard;
pub mod traffic;
mod tray;
