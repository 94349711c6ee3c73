//! Percent-encoding (RFC 3986 2.1), as users and passwords in an address have it, and names of files in mail (RFC 2231).

/// `text` decoded; nothing if it is not percent-encoded UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (code, rest) = piece.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// `text` encoded: all bytes but letters and digits of ASCII, `.`, `-`, `_` and `~`.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b".-_~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_percent_decoded() {
        assert_eq!(decode("p%40ss%C3%BC+"), Some("p@ssü+".to_owned()));
        for broken in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        assert_eq!(encoded("Preise für 5%.pdf"), "Preise%20f%C3%BCr%205%25.pdf");
        assert_eq!(decode(&encoded("a\"ü%'* ~")).as_deref(), Some("a\"ü%'* ~"));
    }
}
