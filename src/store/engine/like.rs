//! Patterns of LIKE.

/// Text that LIKE takes literally, with `\` as the escape character.
pub(in crate::store) fn escape_like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_taken_literally() {
        assert_eq!(escape_like(r"50%_\"), r"50\%\_\\");
    }
}
