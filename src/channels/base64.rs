//! Base64 for logins.

/// `text` as RFC 4648 4 has it.
pub(super) fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::with_capacity(text.len().div_ceil(3) * 4);
    for group in text.as_bytes().chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, at| bits << 8 | usize::from(group.get(at).copied().unwrap_or(0)));
        for place in 0..4 {
            let digit = ALPHABET.get(bits >> (18 - 6 * place) & 63).filter(|_| place <= group.len());
            encoded.push(char::from(digit.copied().unwrap_or(b'=')));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("Aladdin:o?~", "QWxhZGRpbjpvP34="),
        ] {
            assert_eq!(base64(text), encoded, "{text}");
        }
    }
}
