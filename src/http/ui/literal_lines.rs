//! The texts that go out as they are written, as a form has them: one on each line.

/// The texts of the field. Blanks around one belong to it.
pub(super) fn literal_lines(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.trim().is_empty()).map(ToOwned::to_owned).collect()
}
