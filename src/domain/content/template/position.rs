//! Where something stands in a source, for people.

/// Line and column, from 1, of a byte.
pub(in crate::domain::content) fn position(source: &str, at: usize) -> (usize, usize) {
    let before = source.get(..at).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    (line, before.get(line_start..).map_or(0, |text| text.chars().count()) + 1)
}
