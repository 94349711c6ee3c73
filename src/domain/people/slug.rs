//! Slugs: the short names of lists, which stand wherever their ids may.

/// The longest slug, in characters.
pub const MAX_SLUG: usize = 64;

/// Why a text is no slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {MAX_SLUG} of a-z, 0-9, - and _, with at least one letter")]
pub struct SlugError;

/// Checks a slug. It has a letter, so that it never looks like an id.
///
/// # Errors
/// [`SlugError`], which says what is allowed.
pub fn check(text: &str) -> Result<(), SlugError> {
    let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let has_letter = text.bytes().any(|b| b.is_ascii_lowercase());
    if has_letter && text.len() <= MAX_SLUG && text.bytes().all(is_allowed) { Ok(()) } else { Err(SlugError) }
}

/// A slug made of a name, for a list that is given none: `Weekly News!` becomes `weekly-news`. Empty where nothing of the name
/// can be in a slug.
#[must_use]
pub fn of_name(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            'ä' => slug.push_str("ae"),
            'ö' => slug.push_str("oe"),
            'ü' => slug.push_str("ue"),
            'ß' => slug.push_str("ss"),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
        // Room for a number behind it.
        if slug.len() >= MAX_SLUG - 12 {
            break;
        }
    }
    let slug = slug.trim_matches('-');
    if check(slug).is_ok() { slug.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_never_looks_like_an_id() {
        for text in ["news", "weekly-news_2", "2fast", "a"] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in ["", "17", "News", "a b", "ä", "1-2", &"a".repeat(65)] {
            assert_eq!(check(text), Err(SlugError), "{text}");
        }
    }

    #[test]
    fn a_name_makes_a_slug() {
        for (name, slug) in
            [("Weekly  News!", "weekly-news"), ("Größen", "groessen"), ("2024", ""), ("Новости", ""), ("-a-", "a")]
        {
            assert_eq!(of_name(name), slug, "{name}");
        }
        assert!(of_name(&"x".repeat(300)).len() <= MAX_SLUG - 12);
    }
}
