//! The way to a server: TCP, and TLS over it where the address asks for it.

use std::io;
use std::time::Duration;

use tokio::time::timeout;
use url::Url;

use crate::channels::BuildError;
use crate::channels::socket::{Address, Socket};
use crate::channels::tls::Tls;
use crate::config::pools::PoolConfig;
use crate::domain::delivery::ErrorCategory;
use crate::domain::dispatch::answer::Refusal;
use crate::domain::outcome::Trouble;

/// How connections to a server are opened.
pub(super) struct Route {
    address: Address,
    tls: Option<Tls>,
}

impl Route {
    /// # Errors
    /// [`BuildError`] when `tls_ca_file` cannot be used, or no certificate could name the host.
    pub(super) fn new(pool: &PoolConfig, url: &Url) -> Result<Self, BuildError> {
        let address = Address::new(url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        let tls = (url.scheme() == "https").then(|| Tls::new(pool, address.host(), Some("http/1.1"))).transpose()?;
        Ok(Self { address, tls })
    }

    /// A fresh connection, within `patience`.
    ///
    /// # Errors
    /// The server was not reached, or is not who it should be. No request has been sent.
    pub(super) async fn open(&self, patience: Duration) -> Result<Socket, Refusal> {
        let mut step = "connect";
        let why = match timeout(patience, self.steps(&mut step, patience)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => format!("no answer within {} s", patience.as_secs()),
        };
        Err(Refusal::unreachable(Trouble::new(ErrorCategory::Network, format!("{step}: {why}"))))
    }

    async fn steps(&self, step: &mut &'static str, patience: Duration) -> io::Result<Socket> {
        let tcp = self.address.reach(patience).await?;
        let Some(tls) = &self.tls else { return Ok(Socket::Plain(tcp)) };
        *step = "TLS handshake";
        tls.shake_hands(tcp).await
    }
}
