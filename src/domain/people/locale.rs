//! Languages, as BCP 47 tags.

use icu_locale_core::Locale;

use super::spelling::trim;

/// The text has not the shape of a language tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a language tag, such as en, en-GB or zh-Hant-TW")]
pub struct LocaleError;

impl LocaleError {
    /// Stable, for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        "locale_invalid"
    }
}

/// The longest tag, in bytes (RFC 5646 4.4.1 asks for at least 35).
const MAX_TAG: usize = 35;

/// Reads a tag of RFC 5646: a language of two or three letters, then subtags, joined by `-` or `_`. Returns it in the recommended
/// capitals: `en_gb` is `en-GB`. Whether the language exists is not looked up.
///
/// # Errors
/// [`LocaleError`].
pub fn parse(raw: &str) -> Result<String, LocaleError> {
    let text = trim(raw);
    if text.len() > MAX_TAG {
        return Err(LocaleError);
    }
    let tag = Locale::try_from_str(&text.replace('_', "-")).map_err(|_shape| LocaleError)?;
    // `und` says itself that the language is not known; the text of no other tag is taken for it.
    let has_language = !tag.id.language.is_unknown() || text.to_ascii_lowercase().starts_with("und");
    if has_language { Ok(tag.to_string()) } else { Err(LocaleError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_gets_the_recommended_capitals() {
        for (raw, expected) in [
            ("EN", "en"),
            ("en_gb", "en-GB"),
            (" de-at ", "de-AT"),
            ("zh-hant-tw", "zh-Hant-TW"),
            ("es-419", "es-419"),
            ("gsw", "gsw"),
            ("UND", "und"),
            ("sl-rozaj-biske", "sl-biske-rozaj"),
            ("EN-us-u-CA-Buddhist", "en-US-u-ca-buddhist"),
        ] {
            assert_eq!(parse(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn words_and_broken_tags_are_refused() {
        for raw in ["", "English", "e", "en-", "en--GB", "en-toolongsubtag", "12", "dé", "en GB", "-en", "x-ours"] {
            assert_eq!(parse(raw), Err(LocaleError), "{raw}");
        }
        assert_eq!(parse(&format!("en{}", "-abcdefgh".repeat(4))), Err(LocaleError));
    }
}
