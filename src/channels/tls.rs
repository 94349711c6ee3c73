//! The one TLS configuration of all providers: rustls with ring, certificates verified against Mozilla's roots.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// The configuration. Also makes ring the process's default, once, for libraries that build their own.
///
/// # Errors
/// rustls refuses its own defaults; it never has.
pub(super) fn client_config() -> Result<ClientConfig, rustls::Error> {
    // `Err` says that a default is installed already, which is all that is wanted.
    let _ = ring::default_provider().install_default();
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
