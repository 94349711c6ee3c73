//! Languages, as BCP 47 tags.

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

/// Reads a tag of the shape of RFC 5646: a language of two or three letters, then subtags of one to eight letters or
/// digits, joined by `-` or `_`. Returns it in the recommended capitals: `en_gb` is `en-GB`. Whether the language
/// exists is not looked up.
///
/// # Errors
/// [`LocaleError`].
pub fn parse(raw: &str) -> Result<String, LocaleError> {
    let text = trim(raw);
    if text.len() > MAX_TAG {
        return Err(LocaleError);
    }
    let mut tag = String::with_capacity(text.len());
    for (place, part) in text.split(['-', '_']).enumerate() {
        let is_alphabetic = part.bytes().all(|b| b.is_ascii_alphabetic());
        if place == 0 {
            if !is_alphabetic || !(2..=3).contains(&part.len()) {
                return Err(LocaleError);
            }
            tag.push_str(&part.to_ascii_lowercase());
            continue;
        }
        if !(1..=8).contains(&part.len()) || !part.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(LocaleError);
        }
        tag.push('-');
        match part.split_at_checked(1) {
            Some((initial, rest)) if is_alphabetic && part.len() == 4 => {
                tag.push_str(&initial.to_ascii_uppercase());
                tag.push_str(&rest.to_ascii_lowercase());
            }
            _ if is_alphabetic && part.len() == 2 => tag.push_str(&part.to_ascii_uppercase()),
            _ => tag.push_str(&part.to_ascii_lowercase()),
        }
    }
    Ok(tag)
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
        ] {
            assert_eq!(parse(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn words_and_broken_tags_are_refused() {
        for raw in ["", "English", "e", "en-", "en--GB", "en-toolongsubtag", "12", "dé", "en GB", "-en"] {
            assert_eq!(parse(raw), Err(LocaleError), "{raw}");
        }
        assert_eq!(parse(&format!("en{}", "-abcdefgh".repeat(4))), Err(LocaleError));
    }
}
