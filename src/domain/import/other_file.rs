//! Files that are no text at all, known by the bytes that they begin with: what people upload by mistake.

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
pub const START_BYTES: usize = 16;

/// Refuses a file whose first bytes say that it is no text.
///
/// # Errors
/// [`ImportError::NotText`], with what to do.
pub fn check(start: &[u8]) -> Result<(), ImportError> {
    match KINDS.iter().find(|(begins, _)| start.starts_with(begins)) {
        Some((_, what)) => Err(ImportError::NotText { what }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
