//! The one way to TLS for all providers: rustls with ring, certificates verified against Mozilla's roots and the pool's
//! own authorities.

use std::io;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::BuildError;
use super::socket::Socket;
use crate::config::pools::PoolConfig;

/// What a pool's handshakes have in common; built once, so that sessions are resumed.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// For connections to `host`, which the certificate has to name. `protocol` is the only one to be spoken inside
    /// (ALPN), where there is a choice.
    ///
    /// # Errors
    /// [`BuildError`] when `tls_ca_file` cannot be used, or no certificate could name `host`.
    pub(super) fn new(pool: &PoolConfig, host: &str, protocol: Option<&str>) -> Result<Self, BuildError> {
        let fault = |reason: String| BuildError::new(pool, reason);
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for authority in pool.authorities().map_err(|reason| fault(format!("tls_ca_file: {reason}")))? {
            roots.add(authority).map_err(|error| fault(format!("tls_ca_file: {error}")))?;
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| fault(format!("tls: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocol.into_iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from(host.to_owned()).map_err(|error| fault(format!("url: {error}")))?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// Encrypts a connection.
    ///
    /// # Errors
    /// The peer is not who it should be, or the connection broke.
    pub(super) async fn shake_hands(&self, tcp: TcpStream) -> io::Result<Socket> {
        Ok(Socket::Encrypted(Box::new(self.connector.connect(self.name.clone(), tcp).await?)))
    }
}
