//! Files that are neither CSV nor JSON lines, known by the bytes that they begin with: what people upload by mistake.

use super::ImportError;

/// Each kind: how it begins, and what to do with it.
const KINDS: &[(&[u8], &str)] = &[
    (b"PK\x03\x04", "a workbook (.xlsx, .ods) or another ZIP archive: open it and save the sheet as \"CSV UTF-8\""),
    (b"\xd0\xcf\x11\xe0", "a workbook of an older Excel (.xls): open it and save the sheet as \"CSV UTF-8\""),
    (b"\x1f\x8b", "compressed by gzip: unpack it and upload what is in it"),
    (b"BZh91AY&SY", "compressed by bzip2: unpack it and upload what is in it"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd: unpack it and upload what is in it"),
    (b"%PDF-", "a PDF: export the list as CSV where it comes from"),
    (b"{\\rtf", "a document of a word processor: save the table as CSV"),
    (b"SQLite format 3\0", "a database: export the table as CSV"),
];

/// How many of the first bytes tell.
pub const START_BYTES: usize = 32;

/// What to do with all objects in one list.
const ARRAY: &str = "one JSON list: write each of its objects on a line of its own, without brackets and commas around them, and name the file \
                     .jsonl (`jq -c '.[]'` does that)";

/// What to do with JSON lines that are taken for CSV.
const OBJECT: &str = "JSON and no CSV: with one object on each line, name the file .jsonl, or say format=jsonl";

/// Refuses a file whose first bytes say that it is no text, or all in one JSON list.
///
/// # Errors
/// [`ImportError::NotText`] or [`ImportError::NotLines`], with what to do.
pub fn check(start: &[u8]) -> Result<(), ImportError> {
    if let Some((_, what)) = KINDS.iter().find(|(begins, _)| start.starts_with(begins)) {
        return Err(ImportError::NotText { what });
    }
    let is_list = text(start).strip_prefix(b"[").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"{"));
    if is_list { Err(ImportError::NotLines { what: ARRAY }) } else { Ok(()) }
}

/// Refuses a CSV file whose header is a JSON object.
///
/// # Errors
/// [`ImportError::NotLines`], with what to do.
pub(super) fn check_header(first: &str) -> Result<(), ImportError> {
    if first.trim_start().starts_with('{') { Err(ImportError::NotLines { what: OBJECT }) } else { Ok(()) }
}

/// What follows a byte order mark and white space.
fn text(start: &[u8]) -> &[u8] {
    start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_that_is_no_lines_is_known() {
        for list in ["[{\"email\":", "\u{feff}[\n  {\n    \"email\"", " [ {}]"] {
            let start = &list.as_bytes()[..list.len().min(START_BYTES)];
            assert!(check(start).unwrap_err().to_string().contains("jq -c"), "{list}");
        }
        for table in ["[email],name\n", "[\"email\"]", "[1"] {
            assert!(check(table.as_bytes()).is_ok(), "{table}");
        }
        assert!(check_header("{\"email\": \"a@b.example\"").unwrap_err().to_string().contains("format=jsonl"));
        assert!(check_header("email").is_ok());
    }

    #[test]
    fn a_workbook_is_known_and_a_table_is_none() {
        let said = |start: &[u8]| check(start).unwrap_err().to_string();
        assert!(said(b"PK\x03\x04\x14\0").ends_with("open it and save the sheet as \"CSV UTF-8\""));
        assert!(said(b"\xd0\xcf\x11\xe0\xa1\xb1").contains("(.xls)"));
        for table in [&b"PK,email\n"[..], b"email\n", b"{\"email\":", b"\xef\xbb\xbfemail", b"", b"PK"] {
            assert!(check(table).is_ok(), "{table:?}");
        }
    }
}
