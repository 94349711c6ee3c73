//! The one way to TLS for all providers: rustls with ring, certificates verified against Mozilla's roots, the pool's own
//! authorities, and what else the pool's settings trust.

mod trust;

use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, OtherError, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Unusable;
use super::socket::Socket;
use crate::config::pools::ServerConfig;
use trust::Trust;

/// What a pool's handshakes have in common; built once, so that sessions are resumed.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// For connections to `host`, which the certificate has to name. `protocols` are those that may be spoken
    /// inside (ALPN), the best one first; none where there is no choice.
    ///
    /// # Errors
    /// [`Unusable`] when `tls_ca_file` or `tls_fingerprint` cannot be used, or no certificate could name `host`.
    pub(super) fn new(server: &ServerConfig, host: &str, protocols: &[&str]) -> Result<Self, Unusable> {
        let fault = Unusable;
        let own = server.authorities().map_err(|reason| fault(format!("tls_ca_file: {reason}")))?;
        let pin = server.pinned_certificate().map_err(|reason| fault(format!("tls_fingerprint: {reason}")))?;
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for authority in &own {
            roots.add(authority.clone()).map_err(|error| fault(format!("tls_ca_file: {error}")))?;
        }
        let provider = Arc::new(ring::default_provider());
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| fault(format!("tls: {error}")))?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| fault(format!("tls: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Trust { webpki, own, pin }))
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from(host.to_owned()).map_err(|error| fault(format!("url: {error}")))?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// Encrypts a connection.
    ///
    /// # Errors
    /// The peer is not who it should be, or the connection broke.
    pub(super) async fn shake_hands(&self, tcp: TcpStream) -> io::Result<Socket> {
        let encrypted = self.connector.connect(self.name.clone(), tcp).await.map_err(in_words)?;
        Ok(Socket::Encrypted(Box::new(encrypted)))
    }
}

/// A refused certificate's reason in its own words: rustls shows reasons that it did not give itself as the code that
/// made them.
fn in_words(error: io::Error) -> io::Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(reason)))) = tls {
        return io::Error::new(error.kind(), format!("invalid peer certificate: {reason}"));
    }
    error
}
