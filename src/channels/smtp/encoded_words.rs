//! Text of a header that must not be read as it stands: RFC 2047.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The longest word that is left as it is, in bytes: a line with it stays below the 78 characters of RFC 5322 2.1.1.
const LONGEST_WORD: usize = 66;

/// The longest line with an encoded word (RFC 2047 2), and how much of that are the word's own signs.
const LINE: usize = 76;
const SIGNS: usize = "=?utf-8?B??=".len();

/// Bytes of text in a word that has so many characters of a line before it. Base64 makes four characters of three bytes.
fn piece(before: usize) -> usize {
    (LINE.saturating_sub(before + SIGNS) / 4 * 3).max(6)
}

/// Whether a text must be encoded although it is ASCII: a reader would decode what looks like an encoded word, and a line cannot be folded
/// within a word.
pub(super) fn must_encode(text: &str) -> bool {
    text.contains("=?") || text.split([' ', '\t']).any(|word| word.len() > LONGEST_WORD)
}

/// The text in encoded words, folded: `=?utf-8?B?…?=`, and CRLF and a blank between them. `before` is how many characters stand before it in
/// its first line.
pub(super) fn encode(text: &str, before: usize) -> String {
    let (mut words, mut rest, mut before) = (Vec::new(), text, before);
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.floor_char_boundary(piece(before)));
        words.push(format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
        (rest, before) = (after, " ".len());
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
        assert_eq!(encode("=?x", 4), "=?utf-8?B?PT94?=");
        let long = encode(&"ü€".repeat(50), 42);
        assert!(
            long.lines().next().is_some_and(|line| line.len() <= 34)
                && long.lines().count() > 4
                && long.lines().all(|line| line.len() <= 76 && line.ends_with("?=")),
            "{long}"
        );
    }
}
