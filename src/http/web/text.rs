//! Names and other short texts in bodies.

use super::problem::{ApiError, FieldProblem};
use crate::domain::people::spelling::composed;

/// A name: trimmed, in its composed spelling, not empty, at most `max` characters, no control characters.
///
/// # Errors
/// 422, naming `field`.
pub(in crate::http) fn name(field: &str, text: &str, max: usize) -> Result<String, ApiError> {
    check(field, &composed(text.trim()), 1, max).map_err(|problem| ApiError::Invalid(vec![problem]))
}

/// A text that may be empty and may have several lines: at most `max` characters, no other control characters.
///
/// # Errors
/// 422, naming `field`.
pub(in crate::http) fn prose(field: &str, text: &str, max: usize) -> Result<String, ApiError> {
    check(field, &text.replace(['\n', '\t'], " "), 0, max).map_err(|problem| ApiError::Invalid(vec![problem]))?;
    Ok(text.to_owned())
}

fn check(field: &str, text: &str, min: usize, max: usize) -> Result<String, FieldProblem> {
    let chars = text.chars().count();
    if chars < min {
        return Err(FieldProblem::new(field, "required", "must not be empty"));
    }
    if chars > max {
        return Err(FieldProblem::new(field, "too_long", format!("has {chars} characters; at most {max} are allowed")));
    }
    if text.chars().any(is_unsafe) {
        return Err(FieldProblem::new(field, "control_character", "contains control or direction characters"));
    }
    Ok(text.to_owned())
}

/// Control characters, and those that change the direction of what follows them on a screen.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_must_say_something() {
        assert_eq!(name("/name", "  Spring ", 10).unwrap(), "Spring");
        for (text, code) in
            [("", "required"), ("  ", "required"), ("a\nb", "control_character"), ("12345678901", "too_long")]
        {
            assert_eq!(name("/name", text, 10).unwrap_err().code(), code, "{text:?}");
        }
    }
}
