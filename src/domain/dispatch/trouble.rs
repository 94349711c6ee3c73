//! What went wrong with a hand-over.

use super::delivery::ErrorCategory;

/// What went wrong, in the provider's words as far as they are safe to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The kind of trouble.
    pub category: ErrorCategory,
    /// One line for people: status code and reply text, at most [`Trouble::MAX_DETAIL`] characters, no address.
    pub detail: String,
}

impl Trouble {
    /// The longest detail, in characters.
    pub const MAX_DETAIL: usize = 300;

    /// A trouble with its detail cut to length and freed of control characters.
    #[must_use]
    pub fn new(category: ErrorCategory, detail: impl AsRef<str>) -> Self {
        let detail =
            detail.as_ref().chars().map(|c| if c.is_control() { ' ' } else { c }).take(Self::MAX_DETAIL).collect();
        Self { category, detail }
    }
}
