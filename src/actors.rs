//! What moves: each actor owns one thing, and answers `GetState` with what it holds and waits for. The database is the
//! truth; a message between actors is a hint, and losing one costs a tick.

pub mod callback_reader;
pub mod dispatch;
pub mod guardian;
pub mod import;
pub mod replicas;
