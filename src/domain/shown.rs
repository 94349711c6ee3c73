//! Received text in errors.

/// The most characters of received text that an error shows.
const SHOWN_CHARS: usize = 80;

/// Received text as an error may show it: control characters escaped, at most 80 characters.
#[must_use]
pub fn shown(received: &str) -> String {
    let mut shown: String = received.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
    if received.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}
