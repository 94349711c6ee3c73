//! Heavy tests take turns: two at once on a small machine would measure each other.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static TURN: RwLock<()> = RwLock::new(());

/// Waits until no other heavy test runs; hold the answer for the length of the test.
pub(crate) fn my_turn() -> RwLockWriteGuard<'static, ()> {
    TURN.write().unwrap_or_else(PoisonError::into_inner)
}

/// The same for a test that mostly waits and measures no time: others of its kind may run beside it.
pub(crate) fn shared_turn() -> RwLockReadGuard<'static, ()> {
    TURN.read().unwrap_or_else(PoisonError::into_inner)
}
