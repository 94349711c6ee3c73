//! Text of a header that must not be read as it stands: RFC 2047.

use crate::channels::base64::base64;

/// The longest word that is left as it is, in bytes: a line with it stays below the 78 characters of RFC 5322 2.1.1.
const LONGEST_WORD: usize = 66;

/// Bytes of text in one encoded word: with its signs and the longest name of a header it stays below 76 characters (RFC 2047 2).
const PIECE: usize = 39;

/// Whether a text must be encoded although it is ASCII: a reader would decode what looks like an encoded word, and a line cannot be folded
/// within a word.
pub(super) fn must_encode(text: &str) -> bool {
    text.contains("=?") || text.split([' ', '\t']).any(|word| word.len() > LONGEST_WORD)
}

/// The text in encoded words, folded: `=?utf-8?B?…?=`, and CRLF and a blank between them.
pub(super) fn encode(text: &str) -> String {
    let mut words = Vec::with_capacity(text.len() / PIECE + 1);
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
        words.push(format!("=?utf-8?B?{}?=", base64(piece)));
        rest = after;
    }
    words.join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_be_read_in_another_way_is_encoded() {
        for (text, must) in [
            ("Hello", false),
            ("A = B? Yes", false),
            ("=?utf-8?Q?Hi?=", true),
            (&"word ".repeat(100), false),
            (&"x".repeat(66), false),
            (&"x".repeat(67), true),
        ] {
            assert_eq!(must_encode(text), must, "{text}");
        }
    }

    #[test]
    fn words_are_short_and_hold_whole_characters() {
        assert_eq!(encode("=?x"), "=?utf-8?B?PT94?=");
        let long = encode(&"ü€".repeat(50));
        assert!(
            long.lines().count() > 5 && long.lines().all(|line| line.len() <= 65 && line.ends_with("?=")),
            "{long}"
        );
    }
}
