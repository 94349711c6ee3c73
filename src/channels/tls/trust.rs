//! Which certificates are trusted: those of Mozilla's authorities, those of the pool's own, and single ones that the
//! pool's settings name.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use crate::domain::certificate::CertificateFingerprint;

/// Verifies certificates. That the other side holds the certificate's key is proved by the handshake's signature, which
/// is checked in every case.
#[derive(Debug)]
pub(super) struct Trust {
    pub(super) webpki: Arc<WebPkiServerVerifier>,
    /// `tls_ca_file`. A server may show one of these itself: one's own relay often has a self-signed certificate, which
    /// openssl makes an authority's, and webpki takes no authority's for a server's. The same bytes are the same server,
    /// whatever names and dates stand in them.
    pub(super) own: Vec<CertificateDer<'static>>,
    /// `tls_fingerprint`: the one certificate that is taken, then, whatever its names and dates, and no other.
    pub(super) pin: Option<CertificateFingerprint>,
}

/// Why a certificate is not trusted, in words that say what to do about it.
#[derive(Debug)]
pub(super) struct Distrust(String);

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Distrust {}

impl Distrust {
    fn error(words: String) -> Error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Self(words)))))
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = CertificateFingerprint::of(end_entity);
        if let Some(pin) = self.pin {
            return if shown == pin {
                Ok(ServerCertVerified::assertion())
            } else {
                Err(Distrust::error(format!("its SHA-256 fingerprint is {shown}, which is not tls_fingerprint")))
            };
        }
        match self.webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Ok(verified) => Ok(verified),
            Err(_) if self.own.iter().any(|own| own == end_entity) => Ok(ServerCertVerified::assertion()),
            Err(refused) if is_unknown(&refused) => Err(Distrust::error(format!(
                "self-signed or from an unknown authority, SHA-256 fingerprint {shown}; if it is your own, put it into \
                 tls_ca_file or set tls_fingerprint"
            ))),
            Err(refused) => Err(refused),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Whether nobody who is trusted has signed the certificate. Its own key may have.
fn is_unknown(refused: &Error) -> bool {
    let Error::InvalidCertificate(reason) = refused else { return false };
    if let CertificateError::Other(OtherError(inner)) = reason {
        // webpki's name for an authority's certificate that a server shows; rustls has none of its own for it.
        return format!("{inner:?}").starts_with("CaUsedAsEndEntity");
    }
    *reason == CertificateError::UnknownIssuer
}
