//! Cells of CSV documents that a spreadsheet takes as they are meant.

/// What a cell must not begin with.
const SPECIAL: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\''];

/// A cell without the `'` that [`cell()`] puts before it. One that stands before anything else is the cell's own.
#[must_use]
pub fn unprotected(cell: &[u8]) -> &[u8] {
    let is_special = |byte: &u8| SPECIAL.contains(&char::from(*byte));
    cell.strip_prefix(b"'").filter(|rest| rest.first().is_some_and(is_special)).unwrap_or(cell)
}

/// A cell as RFC 4180 has it. One that a spreadsheet would take for a formula has a `'` before it, and so has one that begins with `'`;
/// not if it is to be `raw`.
#[must_use]
pub fn cell(text: &str, raw: bool) -> String {
    // An import takes one `'` away.
    let text = if text.starts_with(SPECIAL) && !raw { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula_and_no_two_cells() {
        assert_eq!(cell("+442079460123", false), "'+442079460123");
        assert_eq!(cell("+442079460123", true), "+442079460123");
        assert_eq!(cell("=cmd|' /C calc'!A0", false), "'=cmd|' /C calc'!A0");
        assert_eq!(cell("'c-17", false), "''c-17");
        assert_eq!(cell("a\"b,c", false), "\"a\"\"b,c\"");
        assert_eq!(cell("ann@example.com", false), "ann@example.com");
    }

    #[test]
    fn what_is_protected_comes_back() {
        for text in ["+44", "=1+1", "-", "@x", "'c-17", "''c", "c-17", "", "'", "\tx"] {
            assert_eq!(unprotected(cell(text, false).as_bytes()), text.as_bytes());
        }
        assert_eq!(unprotected(b"'c-17"), b"'c-17", "it was never protected");
    }
}
