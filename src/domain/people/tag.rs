//! Tags: words that operators and programs put on contacts.

use super::contact::FieldError;
use super::spelling::{composed, trim};

/// The longest tag, in characters.
pub const MAX_TAG: usize = 64;

/// The most tags that one request or one row names.
pub const MAX_TAGS: usize = 50;

/// Reads a tag: trimmed, in lower case, 1 to 64 characters, without commas, semicolons and control characters.
///
/// # Errors
/// [`FieldError`] with the code `tag_invalid`.
pub fn parse(raw: &str) -> Result<String, FieldError> {
    let tag = composed(trim(raw)).to_lowercase();
    let is_allowed = |c: char| !c.is_control() && !matches!(c, ',' | ';');
    if tag.is_empty() || tag.chars().count() > MAX_TAG || !tag.chars().all(is_allowed) {
        let reason = format!("must be 1 to {MAX_TAG} characters without commas, semicolons and control characters");
        return Err(FieldError::new("tags", "tag_invalid", reason));
    }
    Ok(tag)
}

/// Reads the tags in a cell of a file: between commas, semicolons or vertical bars.
///
/// # Errors
/// As [`parse`]; `too_many_tags`.
pub fn parse_cell(cell: &str) -> Result<Vec<String>, FieldError> {
    let parts = cell.split([',', ';', '|']).filter(|part| !trim(part).is_empty());
    let mut tags = parts.map(parse).collect::<Result<Vec<_>, _>>()?;
    tags.sort();
    tags.dedup();
    if tags.len() > MAX_TAGS {
        return Err(FieldError::new("tags", "too_many_tags", format!("names more than {MAX_TAGS} tags")));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_has_one_spelling() {
        assert_eq!(parse("  VIP Kunde ").unwrap(), "vip kunde");
        for raw in ["", " ", "a,b", "a;b", "a\nb", &"x".repeat(65)] {
            assert_eq!(parse(raw).unwrap_err().code, "tag_invalid", "{raw:?}");
        }
    }

    #[test]
    fn a_cell_may_hold_several() {
        assert_eq!(parse_cell("b, A;b | c;").unwrap(), ["a", "b", "c"]);
        assert!(parse_cell(" ").unwrap().is_empty());
        let many: Vec<String> = (0..51).map(|n| format!("t{n}")).collect();
        assert_eq!(parse_cell(&many.join(",")).unwrap_err().code, "too_many_tags");
    }
}
