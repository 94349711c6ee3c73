//! Which pools are suspended, as hand-overs of this process see it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Which pools are suspended, as those who hand over see it.
#[derive(Clone, Default)]
pub struct Suspensions {
    pools: HashMap<String, Switch>,
}

/// The switch of one pool.
#[derive(Clone)]
struct Switch {
    is_off: Arc<AtomicBool>,
    /// The decision it stands by: a look that began before that decision was stored does not undo it.
    version: Arc<Mutex<i64>>,
}

impl Suspensions {
    /// Nobody knows yet: until the decision follower has looked, nothing is handed over.
    #[must_use]
    pub fn of<'a>(pools: impl Iterator<Item = &'a str>) -> Self {
        let off = || Switch { is_off: Arc::new(AtomicBool::new(true)), version: Arc::default() };
        Self { pools: pools.map(|pool| (pool.to_owned(), off())).collect() }
    }

    /// The switch of one pool: whether nothing is handed over through it.
    #[must_use]
    pub fn switch(&self, pool: &str) -> Arc<AtomicBool> {
        self.pools.get(pool).map(|switch| Arc::clone(&switch.is_off)).unwrap_or_default()
    }

    /// Suspends a pool at once, by a decision that is stored. Only the decision follower lets it go on again, when it has read
    /// this decision or a later one.
    pub fn suspend(&self, pool: &str, version: i64) {
        self.follow(pool, version, true);
    }

    /// The pools of this instance, by name.
    pub fn pools(&self) -> impl Iterator<Item = &str> {
        self.pools.keys().map(String::as_str)
    }

    /// The pools that are suspended now.
    #[must_use]
    pub fn suspended(&self) -> Vec<String> {
        let off = self.pools.iter().filter(|(_, switch)| switch.is_off.load(Ordering::Acquire));
        off.map(|(pool, _)| pool.clone()).collect()
    }

    /// Sets a pool's switch as the decision of that version wants it, unless a later one is known. Whether that changed
    /// anything.
    pub fn follow(&self, pool: &str, version: i64, is_off: bool) -> bool {
        self.pools.get(pool).is_some_and(|switch| switch.follow(version, is_off))
    }
}

impl Switch {
    /// Stands as the decision of that version wants it, unless a later one is known. Whether that changed anything.
    fn follow(&self, version: i64, is_off: bool) -> bool {
        let mut known = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        if version < *known {
            return false;
        }
        *known = version;
        self.is_off.swap(is_off, Ordering::AcqRel) != is_off
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_from_before_a_suspension_does_not_undo_it() {
        let suspensions = Suspensions::of(["main"].into_iter());
        let (switch, is_off) = (suspensions.pools.get("main").unwrap(), suspensions.switch("main"));
        assert!(switch.follow(3, false));
        assert!(!is_off.load(Ordering::Acquire));
        suspensions.suspend("main", 4);
        assert!(!switch.follow(3, false), "what was read before is out of date");
        assert!(is_off.load(Ordering::Acquire));
        assert!(switch.follow(4, false), "it ended by itself");
        assert!(!is_off.load(Ordering::Acquire));
        suspensions.suspend("main", 3);
        assert!(!is_off.load(Ordering::Acquire), "a later decision is known already");
    }
}
