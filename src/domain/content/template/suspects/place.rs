//! Something in the delimiters of another product, and where it stands.

use super::meaning::meaning;
use super::{Names, Reader};

/// Something in delimiters of another product.
pub(super) struct Place<'p, 'r, 'k> {
    pub(super) inner: &'p str,
    pub(super) before: &'p str,
    pub(super) after: &'p str,
    pub(super) at: usize,
    pub(super) reader: &'p Reader<'r, 'k>,
    pub(super) names: &'p Names<'k>,
}

impl Place<'_, '_, '_> {
    pub(super) fn in_url(&self) -> bool {
        self.reader.in_url(self.at)
    }
}

/// Certainly the name of something.
pub(super) fn known(place: &Place<'_, '_, '_>) -> bool {
    meaning(place.inner, place.names).is_some()
}

/// Whether a text is what the name of a person is called.
pub(super) fn names_a_person(text: &str, names: &Names<'_>) -> bool {
    meaning(text, names).is_some_and(|name| matches!(name, "first_name" | "last_name" | "name"))
}

pub(super) fn is_word(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(char::is_alphabetic)
        && text.chars().all(|c| c.is_alphanumeric() || "_-.:".contains(c))
}
