//! Which server certificates are taken: as libpq takes them with OpenSSL, as far as webpki can tell.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

/// Verifies certificates of servers.
#[derive(Debug)]
pub(super) struct Trust {
    pub(super) anchors: Anchors,
    /// The name that the certificate has to have, with `verify-full`.
    pub(super) host: Option<String>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

/// Whose signature makes a certificate trusted.
#[derive(Debug)]
pub(super) enum Anchors {
    /// Nobody's is needed: the connection is encrypted, and the server may be any.
    Anybody,
    /// Those of these authorities. A server may show one of their certificates itself: what `openssl req -x509` makes is an
    /// authority's by its form, which webpki does not take for a server's.
    These { roots: Arc<RootCertStore>, certificates: Vec<CertificateDer<'static>> },
}

/// Why a certificate is not trusted, in words of our own.
#[derive(Debug)]
struct Distrust(String);

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Distrust {}

fn distrust(words: String) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Distrust(words)))))
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Anchors::These { roots, certificates } = &self.anchors else { return Ok(ServerCertVerified::assertion()) };
        let shown = ParsedCertificate::try_from(end_entity)?;
        if certificates.iter().any(|own| own == end_entity) {
            check_dates(end_entity, now)?;
        } else {
            verify_server_cert_signed_by_trust_anchor(&shown, roots, intermediates, now, self.algorithms.all)?;
        }
        match (&self.host, verify_server_name(&shown, server_name)) {
            (None, _) | (Some(_), Ok(())) => Ok(ServerCertVerified::assertion()),
            (Some(host), Err(_)) if has_common_name(end_entity, host) => Ok(ServerCertVerified::assertion()),
            (Some(_), Err(refused)) => Err(refused),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.anchors {
            // The certificate may be one of X.509 version 1, which webpki does not read; its key proves nothing here.
            Anchors::Anybody => Ok(HandshakeSignatureValid::assertion()),
            Anchors::These { .. } => verify_tls12_signature(message, cert, dss, &self.algorithms),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.anchors {
            Anchors::Anybody => Ok(HandshakeSignatureValid::assertion()),
            Anchors::These { .. } => verify_tls13_signature(message, cert, dss, &self.algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn read<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Error> {
    let read = X509Certificate::from_der(der);
    read.map(|(_, certificate)| certificate).map_err(|error| distrust(format!("it cannot be read: {error}")))
}

fn check_dates(der: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let now = i64::try_from(now.as_secs()).ok().and_then(|now| ASN1Time::from_timestamp(now).ok());
    let now = now.ok_or_else(|| distrust("this machine's clock is out of range".to_owned()))?;
    let certificate = read(der)?;
    let validity = certificate.validity();
    if now > validity.not_after {
        return Err(Error::InvalidCertificate(CertificateError::Expired));
    }
    if now < validity.not_before {
        return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
    }
    Ok(())
}

/// Whether a certificate is one of an authority, and valid now: webpki looks at neither of those that it trusts to begin with.
pub(super) fn is_authority(der: &CertificateDer<'_>) -> bool {
    let Ok(certificate) = read(der) else { return false };
    let is_one = match certificate.basic_constraints() {
        Ok(Some(constraints)) => constraints.value.ca,
        // One without such words may still be for signing certificates; version 1 has no place for them.
        Ok(None) => {
            let signs = || matches!(certificate.key_usage(), Ok(Some(usage)) if usage.value.key_cert_sign());
            certificate.version() == X509Version::V1 || signs()
        }
        Err(_) => false,
    };
    is_one && check_dates(der, UnixTime::now()).is_ok()
}

/// Whether a certificate without other names has `host` as its common name, which libpq then takes.
fn has_common_name(der: &CertificateDer<'_>, host: &str) -> bool {
    let Ok(certificate) = read(der) else { return false };
    let Ok(others) = certificate.subject_alternative_name() else { return false };
    let names_hosts = others.is_some_and(|others| {
        let is_host = |name: &GeneralName<'_>| matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_));
        others.value.general_names.iter().any(is_host)
    });
    let mut names = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    !names_hosts && names.next().is_some_and(|name| is_name_of(name, host))
}

/// A star at the beginning stands for one label.
fn is_name_of(name: &str, host: &str) -> bool {
    let by_star = || {
        let (label, domain) = host.split_once('.')?;
        Some(!label.is_empty() && name.strip_prefix("*.")?.eq_ignore_ascii_case(domain))
    };
    name.eq_ignore_ascii_case(host) || by_star() == Some(true)
}

/// What went wrong in a handshake, in words for an operator.
pub(super) fn in_words(error: &Error) -> String {
    let Error::InvalidCertificate(reason) = error else { return format!("the TLS handshake failed: {error}") };
    if matches!(reason, CertificateError::Expired | CertificateError::ExpiredContext { .. }) {
        return "the server's certificate has expired".to_owned();
    }
    if matches!(reason, CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) {
        return "the server's certificate is not valid yet".to_owned();
    }
    // The second is what an authority of the same name and with another key comes to.
    if [CertificateError::UnknownIssuer, CertificateError::BadSignature].contains(reason) {
        return "the server's certificate comes from none of the authorities of sslrootcert that are valid".to_owned();
    }
    if let CertificateError::NotValidForNameContext { expected, presented } = reason {
        let has = if presented.is_empty() { "none".to_owned() } else { presented.join(", ") };
        return format!(
            "the server's certificate is for another host: {} is wanted, and it has {has}",
            expected.to_str()
        );
    }
    if let CertificateError::Other(OtherError(inner)) = reason {
        // webpki's own reasons, such as UnsupportedCertVersion, which have no words.
        let inner = inner.downcast_ref::<Distrust>().map_or_else(|| format!("{inner:?}"), ToString::to_string);
        return format!("the server's certificate cannot be verified: {inner}");
    }
    format!("the server's certificate is refused: {reason}")
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

    use super::*;

    fn with(common_name: &str, others: &[&str]) -> CertificateDer<'static> {
        let others: Vec<String> = others.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(others).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn only_an_authority_that_is_valid_may_vouch_for_others() {
        let certificate = |is_ca: bool, until: i32| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = if is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
            params.not_after = rcgen::date_time_ymd(until, 1, 1);
            params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
        };
        assert!(is_authority(&certificate(true, 4000)));
        assert!(!is_authority(&certificate(false, 4000)));
        assert!(!is_authority(&certificate(true, 2020)));
    }

    #[test]
    fn a_common_name_counts_where_the_certificate_has_no_other_name() {
        for (name, others, host, expected) in [
            ("db.example.com", &[][..], "DB.example.com", true),
            ("db.example.com", &[], "example.com", false),
            ("*.example.com", &[], "db.example.com", true),
            ("*.example.com", &[], "a.db.example.com", false),
            ("*.example.com", &[], "example.com", false),
            ("db.example.com", &["other.example.com"], "db.example.com", false),
            ("db.example.com", &["10.0.0.1"], "db.example.com", false),
        ] {
            assert_eq!(has_common_name(&with(name, others), host), expected, "{name} {others:?} {host}");
        }
    }
}
