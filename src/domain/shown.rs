//! Received text, and lists of things, in errors.

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

/// How many things an error names.
const LISTED: usize = 20;

/// Things as an error may list them: at most the first 20, and how many more there are.
#[must_use]
pub fn listed(all: &[impl ToString]) -> String {
    let mut text = all.iter().take(LISTED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if all.len() > LISTED {
        text.push_str(&format!(" and {} more", all.len() - LISTED));
    }
    text
}
