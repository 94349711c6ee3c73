//! Requests of Amazon SNS: proved by a certificate that is fetched from Amazon, and subscriptions confirmed. Nothing of it is in a
//! transaction.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::channels::fetch::{Fetch, NotFetched};
use crate::domain::callbacks::sns::{Claimed, Proved};
use crate::domain::callbacks::{Incoming, Unverified};

/// For how long a certificate is believed. After that it is fetched again.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 3_600);

/// For how long an address without a certificate is not asked again.
const MISSING_FOR: Duration = Duration::from_secs(60);

/// The most addresses that are remembered, of each kind. Amazon has a few certificates in each region.
const MOST_KNOWN: usize = 64;

/// How long a request waits for its certificate. Amazon gives up after 15 seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a request is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotProved {
    /// It does not come from a topic of the pool, or not now.
    #[error(transparent)]
    Unverified(#[from] Unverified),
    /// Amazon could not be asked, or has no such certificate: it may be new and on its way. Amazon repeats what is answered so.
    #[error("Amazon cannot be asked: {0}")]
    Unreachable(NotFetched),
}

/// What proves requests of Amazon. Cloning is cheap.
#[derive(Clone)]
pub struct Sns {
    inner: Arc<Inner>,
}

struct Inner {
    fetch: Arc<dyn Fetch>,
    known: Mutex<Known>,
    /// Held while a certificate is fetched: one at a time.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    certificates: HashMap<String, (Instant, Arc<[u8]>)>,
    /// Where none is, and why.
    missing: HashMap<String, (Instant, NotFetched)>,
}

impl Known {
    /// `None`: it has to be fetched.
    fn get(&mut self, url: &str) -> Option<Result<Arc<[u8]>, NotFetched>> {
        self.certificates.retain(|_, (since, _)| since.elapsed() < KNOWN_FOR);
        self.missing.retain(|_, (since, _)| since.elapsed() < MISSING_FOR);
        if let Some((_, why)) = self.missing.get(url) {
            return Some(Err(why.clone()));
        }
        self.certificates.get(url).map(|(_, certificate)| Ok(Arc::clone(certificate)))
    }
}

impl Sns {
    /// Certificates are fetched with this.
    #[must_use]
    pub fn new(fetch: Arc<dyn Fetch>) -> Self {
        Self { inner: Arc::new(Inner { fetch, known: Mutex::default(), fetching: tokio::sync::Mutex::default() }) }
    }

    /// What a request comes to, if it comes from one of these topics.
    ///
    /// # Errors
    /// [`NotProved`]: nothing of it may be believed.
    pub async fn prove(&self, incoming: &Incoming<'_>, topics: &[String]) -> Result<Proved, NotProved> {
        let claimed = Claimed::read(incoming, topics)?;
        let certificate = tokio::time::timeout(PATIENCE, self.certificate(claimed.certificate_url())).await;
        let late = |_| NotProved::Unreachable(NotFetched::Unreachable("it did not answer in time".to_owned()));
        Ok(claimed.prove(&certificate.map_err(late)??)?)
    }

    /// Tells Amazon that a topic may send here.
    ///
    /// # Errors
    /// Amazon did not take it.
    pub async fn confirm(&self, url: &str) -> Result<(), NotFetched> {
        self.inner.fetch.fetch(url).await.map(drop)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn certificate(&self, url: &str) -> Result<Arc<[u8]>, NotProved> {
        if let Some(known) = self.known().get(url) {
            return known.map_err(NotProved::Unreachable);
        }
        let _fetching = self.inner.fetching.lock().await;
        // Another request may have fetched it meanwhile.
        if let Some(known) = self.known().get(url) {
            return known.map_err(NotProved::Unreachable);
        }
        let fetched = self.inner.fetch.fetch(url).await;
        let mut known = self.known();
        match fetched {
            Ok(certificate) => {
                let certificate: Arc<[u8]> = certificate.into();
                if known.certificates.len() < MOST_KNOWN {
                    known.certificates.insert(url.to_owned(), (Instant::now(), Arc::clone(&certificate)));
                }
                Ok(certificate)
            }
            Err(error) => {
                let is_answered = matches!(error, NotFetched::Refused(_) | NotFetched::TooLarge);
                if is_answered && known.missing.len() < MOST_KNOWN {
                    known.missing.insert(url.to_owned(), (Instant::now(), error.clone()));
                }
                Err(NotProved::Unreachable(error))
            }
        }
    }
}
