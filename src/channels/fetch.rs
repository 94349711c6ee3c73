//! Documents at addresses that a provider names: over HTTPS, from where they are and from nowhere that an answer points to.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// The largest document, in bytes.
pub const MOST_OF_A_DOCUMENT: usize = 64 * 1024;

/// How long a document may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A future that brings a document.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, NotFetched>> + Send + 'a>>;

/// Why there is no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFetched {
    /// The server answers, and has no such document for us. A redirect is such an answer, too.
    #[error("the server answers with status {0}")]
    Refused(u16),
    /// It is larger than [`MOST_OF_A_DOCUMENT`].
    #[error("the document is larger than {MOST_OF_A_DOCUMENT} bytes")]
    TooLarge,
    /// No answer, or not all of it. A later try may bring it.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
}

/// HTTPS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("HTTPS cannot be set up: {0}")]
pub struct NoHttps(String);

/// Fetches documents.
pub trait Fetch: Send + Sync {
    /// The document at an address that begins with `https://`. Ends within seconds.
    ///
    /// # Errors
    /// [`NotFetched`].
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a>;
}

/// Fetches documents from the internet. Certificates are verified against Mozilla's roots.
pub struct Https(reqwest::Client);

impl Https {
    /// Opens no connection.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new() -> Result<Self, NoHttps> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| NoHttps(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .user_agent(concat!("volley/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| NoHttps(error.to_string()))?;
        Ok(Self(client))
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, NotFetched> {
        // What reqwest says of an error may repeat the address, which may hold a token.
        let unreachable = |error: reqwest::Error| NotFetched::Unreachable(error.without_url().to_string());
        let mut answer = self.0.get(url).send().await.map_err(unreachable)?;
        match answer.status().as_u16() {
            200 => {}
            status @ (429 | 500..) => return Err(NotFetched::Unreachable(format!("it answers with status {status}"))),
            status => return Err(NotFetched::Refused(status)),
        }
        let mut document = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if document.len() + chunk.len() > MOST_OF_A_DOCUMENT {
                return Err(NotFetched::TooLarge);
            }
            document.extend_from_slice(&chunk);
        }
        Ok(document)
    }
}

impl Fetch for Https {
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a> {
        Box::pin(self.get(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_fetched_in_the_clear() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let fetched =
            runtime.block_on(async { Https::new().unwrap().fetch("http://127.0.0.1:9/certificate.pem").await });
        assert!(matches!(fetched, Err(NotFetched::Unreachable(_))), "{fetched:?}");
    }
}
