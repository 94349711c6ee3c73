//! Where a pool's pace is kept: in the database where several instances may share it, else here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::domain::dispatch::pace::{Exchange, Limits, Report, Seconds, Shared, seconds};
use crate::domain::instant::UtcInstant;
use crate::store::replicas::paces;
use crate::store::{Lane, Store, StoreError};

/// The paces of all pools. With one writer there is one instance, and its memory is enough: what was found out is found
/// out again after a restart.
#[derive(Clone)]
pub struct Paces {
    store: Store,
    here: Arc<Mutex<BTreeMap<String, Shared>>>,
    began: (Seconds, Instant),
}

/// A pool's pace, what an exchange granted, and the time on the row's clock.
pub type Heard = (Shared, Exchange, Seconds);

impl Paces {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let now = UtcInstant(jiff::Timestamp::now().as_millisecond());
        Self { store, here: Arc::default(), began: (seconds(now), Instant::now()) }
    }

    /// The time here. It never steps; where the database keeps the paces, each exchange brings the time there.
    #[must_use]
    pub fn now(&self) -> Seconds {
        self.began.0 + self.began.1.elapsed().as_secs_f64()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Shared>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether instances share the paces.
    #[must_use]
    pub fn are_shared(&self) -> bool {
        !self.store.has_one_writer()
    }

    /// Tells what an instance saw where nobody else has to be asked.
    pub fn exchange_here(&self, pool: &str, report: &Report, limits: &Limits) -> Heard {
        let now = self.now();
        let mut here = self.lock();
        let shared = here.entry(pool.to_owned()).or_default();
        let exchange = shared.exchange(report, limits, now);
        shared.version += 1;
        (shared.clone(), exchange, now)
    }

    /// A pool's pace where nobody else has to be asked, and the time on its clock.
    pub fn read_here(&self, pool: &str) -> (Option<Shared>, Seconds) {
        (self.lock().get(pool).cloned(), self.now())
    }

    /// Tells the row what an instance saw.
    ///
    /// # Errors
    /// The database does not answer: the same report may be told again.
    pub async fn exchange(&self, pool: String, report: Report, limits: Limits) -> Result<Heard, StoreError> {
        self.store
            .run(Lane::Hot, "find a pool's pace", move |conn| {
                conn.write(|conn| paces::exchange(conn, &pool, &report, &limits))
            })
            .await
    }

    /// A pool's pace, and the time on its clock. `None`: nobody has held the pool back yet.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn read(&self, pool: String) -> Result<(Option<Shared>, Seconds), StoreError> {
        if !self.are_shared() {
            return Ok(self.read_here(&pool));
        }
        self.store.run(Lane::Read, "read a pool's pace", move |conn| paces::read(conn, &pool)).await
    }

    /// Changes a pool's pace, as an operator wants it. Instances follow within a second.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn change(
        &self,
        pool: String,
        work: impl FnOnce(&mut Shared, Seconds) + Send + 'static,
    ) -> Result<(Shared, Seconds), StoreError> {
        if !self.are_shared() {
            let now = self.now();
            let mut here = self.lock();
            let shared = here.entry(pool).or_default();
            work(shared, now);
            shared.version += 1;
            return Ok((shared.clone(), now));
        }
        let change = move |conn: &mut crate::store::Conn| conn.write(|conn| paces::change(conn, &pool, work));
        self.store.run(Lane::Control, "change a pool's pace", change).await.map(|(shared, (), now)| (shared, now))
    }
}
