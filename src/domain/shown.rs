//! Received text and lists of things in errors, and numbers for people.

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

/// `1234567` as `1,234,567`.
#[must_use]
pub fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        let left = digits.len().saturating_sub(index);
        if index > 0 && left.is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (-123_456, "-123,456"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
