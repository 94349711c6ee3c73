//! The fingerprint by which a certificate is known.

use std::fmt;

use sha2::{Digest, Sha256};

/// SHA-256 over a certificate's DER bytes, as `openssl x509 -noout -fingerprint -sha256` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateFingerprint([u8; 32]);

impl CertificateFingerprint {
    /// Of a certificate's DER bytes.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// Reads 64 hexadecimal digits, in pairs with colons between them or not. Nothing if `text` is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Vec<u8> = if text.contains(':') {
            if !text.split(':').all(|pair| pair.len() == 2) {
                return None;
            }
            text.bytes().filter(|byte| *byte != b':').collect()
        } else {
            text.bytes().collect()
        };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes: Option<Vec<u8>> = digits
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
                _ => None,
            })
            .collect();
        bytes?.try_into().ok().map(Self)
    }
}

impl fmt::Display for CertificateFingerprint {
    /// 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_fingerprint_is_what_openssl_prints() {
        // echo -n certificate | sha256sum
        let fingerprint = CertificateFingerprint::of(b"certificate");
        let hex = fingerprint.to_string();
        assert_eq!(hex, "03d66dd08835c1ca3f128cceacd1f31ac94163096b20f445ae84285bc0832d72");
    }

    #[test]
    fn what_is_no_fingerprint_is_not_taken_for_one() {
        let whole = "ab".repeat(32);
        for text in [
            "",
            ":",
            "ab",
            &whole[1..],
            &format!("{whole}a"),
            &format!("{whole}ab"),
            &whole.replacen('a', "g", 1),
            &whole.replacen("ab", "ab:", 1),
            &whole.replacen("ab", "+a", 1),
            &format!("sha256:{whole}"),
            &whole.replacen("ab", "ä", 1),
        ] {
            assert_eq!(CertificateFingerprint::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_spelling_of_a_fingerprint_is_read(bytes: [u8; 32], upper: bool, colons: bool) {
            let pairs = bytes.map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
            let text = pairs.join(if colons { ":" } else { "" });
            prop_assert_eq!(CertificateFingerprint::parse(&text), Some(CertificateFingerprint(bytes)));
        }

        #[test]
        fn no_text_is_too_odd_to_look_at(text in "[0-9a-fg:äx ]{0,80}") {
            if let Some(fingerprint) = CertificateFingerprint::parse(&text) {
                prop_assert_eq!(fingerprint.to_string(), text.replace(':', ""));
            }
        }
    }
}
