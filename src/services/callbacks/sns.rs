//! Requests of Amazon SNS: proved by a certificate that is fetched from Amazon, and subscriptions confirmed. Nothing of it is in a
//! transaction.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::channels::fetch::{Fetch, NotFetched};
use crate::domain::callbacks::sns::{Claimed, Proved};
use crate::domain::callbacks::{Incoming, Unverified};

/// For how long a certificate is believed that has proved a request. After that it is fetched again.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 3_600);

/// For how long what came in place of a certificate is kept while it has proved nothing: it may be a page that only says so. Forged
/// requests do not make Volley ask for it more often than that.
const UNPROVED_FOR: Duration = Duration::from_secs(10);

/// For how long an address without a certificate is not asked again.
const MISSING_FOR: Duration = Duration::from_secs(60);

/// For how long a host that does not answer is not asked again.
const AWAY_FOR: Duration = Duration::from_secs(3);

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
    #[error("Amazon cannot be asked: {why}")]
    Unreachable {
        /// The topic that the request says it comes from.
        topic: String,
        /// Why.
        why: NotFetched,
    },
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
    certificates: HashMap<String, Certificate>,
    /// Where none is, and why.
    missing: HashMap<String, (Instant, NotFetched)>,
}

struct Certificate {
    since: Instant,
    pem: Arc<[u8]>,
    /// Whether a request was proved by it.
    has_proved: bool,
}

impl Certificate {
    fn is_kept(&self) -> bool {
        self.since.elapsed() < if self.has_proved { KNOWN_FOR } else { UNPROVED_FOR }
    }
}

/// For how long an address is not asked again after this.
const fn rest_after(why: &NotFetched) -> Duration {
    match why {
        NotFetched::Refused(_) | NotFetched::TooLarge => MISSING_FOR,
        NotFetched::Unreachable(_) => AWAY_FOR,
    }
}

impl Known {
    /// `None`: it has to be fetched.
    fn get(&mut self, url: &str) -> Option<Result<Arc<[u8]>, NotFetched>> {
        self.certificates.retain(|_, certificate| certificate.is_kept());
        self.missing.retain(|_, (since, why)| since.elapsed() < rest_after(why));
        // A request that waited in vain says nothing about a certificate that was fetched meanwhile.
        let known = self.certificates.get(url).map(|certificate| Ok(Arc::clone(&certificate.pem)));
        known.or_else(|| self.missing.get(url).map(|(_, why)| Err(why.clone())))
    }

    fn miss(&mut self, url: &str, why: NotFetched) {
        if self.missing.len() < MOST_KNOWN {
            self.missing.insert(url.to_owned(), (Instant::now(), why));
        }
    }

    fn take_in(&mut self, url: &str, pem: &Arc<[u8]>) {
        if self.certificates.len() < MOST_KNOWN {
            let certificate = Certificate { since: Instant::now(), pem: Arc::clone(pem), has_proved: false };
            self.certificates.insert(url.to_owned(), certificate);
        }
    }

    /// A request was proved by what is at this address.
    fn has_proved(&mut self, url: &str) {
        if let Some(certificate) = self.certificates.get_mut(url) {
            certificate.has_proved = true;
        }
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
        let url = claimed.certificate_url().to_owned();
        let fetched = tokio::time::timeout(PATIENCE, self.certificate(&url)).await;
        let fetched = fetched.unwrap_or_else(|_elapsed| {
            let late = NotFetched::Unreachable("it did not answer in time".to_owned());
            self.known().miss(&url, late.clone());
            Err(late)
        });
        let unreachable = |why| NotProved::Unreachable { topic: claimed.topic().to_owned(), why };
        let certificate = fetched.map_err(unreachable)?;
        let proved = claimed.prove(&certificate)?;
        self.known().has_proved(&url);
        Ok(proved)
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

    async fn certificate(&self, url: &str) -> Result<Arc<[u8]>, NotFetched> {
        if let Some(known) = self.known().get(url) {
            return known;
        }
        let _fetching = self.inner.fetching.lock().await;
        // Another request may have fetched it meanwhile.
        if let Some(known) = self.known().get(url) {
            return known;
        }
        let fetched = self.inner.fetch.fetch(url).await;
        match fetched {
            Ok(certificate) => {
                let certificate: Arc<[u8]> = certificate.into();
                self.known().take_in(url, &certificate);
                Ok(certificate)
            }
            Err(error) => {
                self.known().miss(url, error.clone());
                Err(error)
            }
        }
    }
}
