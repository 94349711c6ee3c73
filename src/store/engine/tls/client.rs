//! The settings of one handshake, from the files that the parameters name. They are read for each connection, as libpq reads them, so
//! that a renewed certificate is used without a restart.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};

use super::asked::{Asked, Mode, Roots};
use super::refusal::Unusable;
use super::trust::{self, Anchors, Trust};

/// What the client says inside the handshake (ALPN), so that no server of another protocol takes the connection.
pub(super) const PROTOCOL: &[u8] = b"postgresql";

/// For a connection to `host`.
///
/// # Errors
/// A file cannot be used; its parameter is named.
pub(super) fn config(asked: &Asked, host: &str) -> Result<ClientConfig, Unusable> {
    let provider = Arc::new(ring::default_provider());
    let trust = Trust {
        anchors: anchors(&asked.roots)?,
        host: (asked.mode == Mode::VerifyFull).then(|| host.to_owned()),
        algorithms: provider.signature_verification_algorithms,
    };
    let versions: Vec<_> = [(asked.has_tls12, &TLS12), (asked.has_tls13, &TLS13)]
        .into_iter()
        .filter_map(|(spoken, version)| spoken.then_some(version))
        .collect();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| Unusable::of("ssl_min_protocol_version", &error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust));
    let mut config = match &asked.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(certificates("sslcert", certificate)?, private_key(key)?)
            .map_err(|error| Unusable::of("sslkey", &format!("does not fit sslcert: {error}")))?,
    };
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.enable_sni = asked.sni;
    // Each connection has a configuration of its own, which would remember its session for nothing.
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn anchors(roots: &Roots) -> Result<Anchors, Unusable> {
    let fault = |reason: String| Unusable::of("sslrootcert", &reason);
    let mut store = RootCertStore::empty();
    match roots {
        Roots::None => Ok(Anchors::Anybody),
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            store.add_parsable_certificates(found.certs);
            if store.is_empty() {
                let why = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
                return Err(fault(format!("this system has no certificates of authorities{why}")));
            }
            Ok(Anchors::These { roots: Arc::new(store), certificates: Vec::new() })
        }
        Roots::File(path) => {
            let certificates = certificates("sslrootcert", path)?;
            // A server's own certificate in the file stands for itself, and vouches for nobody else.
            let authorities = certificates.iter().filter(|certificate| trust::is_authority(certificate));
            let _unusable = store.add_parsable_certificates(authorities.cloned());
            Ok(Anchors::These { roots: Arc::new(store), certificates })
        }
    }
}

fn certificates(parameter: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let shown = path.display();
    let fault = |reason: String| Unusable::of(parameter, &reason);
    let pem = std::fs::read(path).map_err(|error| fault(format!("cannot read {shown}: {error}")))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| fault(format!("{shown} is not PEM: {error}")))?;
    if found.is_empty() {
        return Err(fault(format!("{shown} holds no certificate (-----BEGIN CERTIFICATE-----)")));
    }
    Ok(found)
}

/// Read only if nobody else can read it, as libpq does.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Unusable> {
    /// What nobody may do with a key: the group of a key of root's may read it.
    const OF_OTHERS: u32 = 0o077;
    const OF_OTHERS_BUT_ROOTS_GROUP: u32 = 0o037;
    let shown = path.display();
    let fault = |reason: String| Unusable::of("sslkey", &reason);
    let about = std::fs::metadata(path).map_err(|error| fault(format!("cannot read {shown}: {error}")))?;
    if !about.is_file() {
        return Err(fault(format!("{shown} is not a file")));
    }
    let open = about.mode() & if about.uid() == 0 { OF_OTHERS_BUT_ROOTS_GROUP } else { OF_OTHERS };
    if open != 0 {
        return Err(fault(format!("others have access to {shown}: set its mode to 0600, or to 0640 if root owns it")));
    }
    let pem = std::fs::read(path).map_err(|error| fault(format!("cannot read {shown}: {error}")))?;
    if pem.windows(9).any(|words| words == b"ENCRYPTED") {
        return Err(fault(format!("{shown} has a password, which is not supported: give a key without one")));
    }
    // libpq takes DER as well.
    let read = PrivateKeyDer::from_pem_slice(&pem);
    read.or_else(|error| match PrivateKeyDer::try_from(pem.clone()) {
        Ok(key) => Ok(key),
        Err(_) => Err(fault(format!("{shown} holds no private key in PEM: {error}"))),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_that_others_can_read_or_that_has_a_password_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let plain = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
        for (text, mode, complaint) in [
            (plain.as_str(), 0o600, None),
            (&plain, 0o644, Some("mode")),
            (locked, 0o600, Some("password")),
            ("nothing", 0o600, Some("no private key")),
        ] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let said = private_key(&path).err().map(|error| error.to_string());
            match complaint {
                None => assert_eq!(said, None),
                Some(part) => assert!(said.is_some_and(|said| said.contains(part)), "{part}"),
            }
        }
    }
}
