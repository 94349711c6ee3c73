//! Percent-encoding (RFC 3986 2.1), as users and passwords in an address have it, and names of files in mail (RFC 2231).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What needs no encoding anywhere (RFC 3986 2.3): letters, digits and these signs.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// `text` decoded; nothing if it is not percent-encoded UTF-8. The library lets a `%` stand that begins no code.
pub(super) fn decode(text: &str) -> Option<String> {
    let is_code = |piece: &str| piece.get(..2).is_some_and(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let is_whole = text.split('%').skip(1).all(is_code);
    let decoded = is_whole.then(|| percent_decode_str(text).decode_utf8())?;
    decoded.ok().map(|text| text.into_owned())
}

/// `text` encoded: all bytes but letters and digits of ASCII, `.`, `-`, `_` and `~`.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_percent_decoded() {
        assert_eq!(decode("p%40ss%C3%BC+"), Some("p@ssü+".to_owned()));
        for broken in ["%", "%4", "%zz", "%ff", "%+1", "a%2"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        assert_eq!(encoded("Preise für 5%.pdf"), "Preise%20f%C3%BCr%205%25.pdf");
        assert_eq!(decode(&encoded("a\"ü%'* ~")).as_deref(), Some("a\"ü%'* ~"));
    }
}
