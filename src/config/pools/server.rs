//! What the pools of all providers with a server have: its address, who it must prove to be, and what its answers mean.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use url::Url;

use super::answers::AnswerConfig;
use crate::config::secret::Secret;
use crate::domain::certificate::CertificateFingerprint;
use crate::domain::dispatch::answers::{Book, Way, provider_of};

/// A provider's server.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct ServerConfig {
    /// `smtp://host:port` (STARTTLS required except on loopback; `?tls=required|opportunistic|none`), `smtps://…`, or the
    /// HTTP address. User and password may stand in it.
    pub url: Option<Secret>,
    /// A PEM file with the certificates of authorities that are trusted beside Mozilla's. A server may also show one of
    /// these certificates as its own.
    pub tls_ca_file: Option<PathBuf>,
    /// The SHA-256 fingerprint of the one certificate that the provider must show; its signature and its names do not matter
    /// then. 64 hexadecimal digits, with or without colons.
    pub tls_fingerprint: Option<String>,
    /// Whose answers these are, as docs/provider-answers.md names providers. Unset: as the host name says.
    pub answers_of: Option<String>,
    /// Rows before those of the table of answers.
    pub answers: Vec<AnswerConfig>,
}

impl ServerConfig {
    /// The server at `url`, every other setting at its default.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: Some(Secret::new(url)), ..Self::default() }
    }

    /// `url`, where it is set and an address.
    pub(super) fn address(&self) -> Option<Url> {
        self.url.as_ref().and_then(|url| Url::parse(url.expose()).ok())
    }

    /// `tls_ca_file`, where it names one.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.tls_ca_file.as_deref().filter(|file| !file.as_os_str().is_empty())
    }

    /// The certificates in `tls_ca_file`; none where it is not set.
    ///
    /// # Errors
    /// One line: the file cannot be read, or does not hold what it should.
    pub fn authorities(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let Some(file) = self.ca_file() else { return Ok(Vec::new()) };
        let shown = file.display();
        let pem = std::fs::read(file).map_err(|error| format!("cannot read {shown}: {error}"))?;
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("{shown} is not PEM: {error}"))?;
        if certificates.is_empty() {
            return Err(format!("{shown} holds no certificate (-----BEGIN CERTIFICATE-----)"));
        }
        for certificate in &certificates {
            RootCertStore::empty()
                .add(certificate.clone())
                .map_err(|error| format!("{shown} holds a certificate that cannot be used: {error}"))?;
        }
        Ok(certificates)
    }

    /// `tls_fingerprint`, where one is set.
    ///
    /// # Errors
    /// One line: it is no fingerprint.
    pub fn pinned_certificate(&self) -> Result<Option<CertificateFingerprint>, String> {
        let text = self.tls_fingerprint.as_deref().unwrap_or_default();
        if text.is_empty() {
            return Ok(None);
        }
        let refused = || format!("{text:?} is not 64 hexadecimal digits (SHA-256), with or without colons");
        CertificateFingerprint::parse(text).map(Some).ok_or_else(refused)
    }

    /// What the provider means by its answers: the pool's own rows, and the table as it counts for the provider.
    ///
    /// # Errors
    /// One line: the row that cannot work, by its index, and why.
    pub fn book(&self, way: Way) -> Result<Book, String> {
        let mut own = Vec::with_capacity(self.answers.len());
        for (index, answer) in self.answers.iter().enumerate() {
            own.push(answer.row(way).map_err(|bad| format!("answers[{index}].{bad}"))?);
        }
        let url = self.address();
        let by_host = url.as_ref().and_then(Url::host_str).and_then(provider_of);
        Ok(Book::new(way, self.answers_of.as_deref().or(by_host), own))
    }
}
