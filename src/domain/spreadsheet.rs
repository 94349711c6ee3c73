//! Cells of CSV documents that a spreadsheet takes as they are meant.

/// A cell as RFC 4180 has it. One that a spreadsheet would take for a formula has a `'` before it, and so has one that begins with `'`;
/// not if it is to be `raw`.
#[must_use]
pub fn cell(text: &str, raw: bool) -> String {
    // An import takes one `'` away.
    let is_protected = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\'']);
    let text = if is_protected && !raw { format!("'{text}") } else { text.to_owned() };
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
}
