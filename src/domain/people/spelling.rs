//! One spelling for text that looks the same.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

/// Brings text into Unicode's composed form (NFC, UAX #15): `é` and `e` with an accent put on it are the same name, and
/// a key that was written either way is the same key.
#[must_use]
pub fn composed(text: &str) -> Cow<'_, str> {
    const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();
    if text.is_ascii() { Cow::Borrowed(text) } else { NFC.normalize(text) }
}

/// Trims white space and the byte order marks that spreadsheets leave behind.
pub(in crate::domain) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}' || c == '\u{200b}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twins_are_spelled_alike() {
        for (decomposed, expected) in
            [("Zoe\u{308}", "Zo\u{eb}"), ("\u{1112}\u{1161}\u{11ab}", "\u{d55c}"), ("Zoe", "Zoe")]
        {
            assert_eq!(composed(decomposed), expected);
            assert_eq!(composed(expected), expected);
        }
    }
}
