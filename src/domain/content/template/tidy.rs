//! What word processors leave in a text.

use super::Content;

/// The signs by which they end a line or a page: vertical tab, form feed, NEL, U+2028, U+2029.
const ENDS: [char; 5] = ['\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];

impl Content {
    /// The same with a line break for each of these in a body, and with a blank in a subject.
    #[must_use]
    pub fn tidied(mut self) -> Self {
        self.subject = self.subject.replace(ENDS, " ");
        self.text = self.text.replace(ENDS, "\n");
        self.html = self.html.map(|html| html.replace(ENDS, "\n"));
        self
    }
}
