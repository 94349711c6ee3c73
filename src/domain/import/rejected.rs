//! Rejected rows as a CSV file: what is wrong with each, and the row as it was, to be corrected and uploaded again.
//!
//! The columns that say what is wrong stand before those of the file. An import passes them over, and knows by them that a `'` before a
//! cell is not the cell's own.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::header::{Column, Layout, REJECTED as COLUMNS, Target};
use super::lines::{TEXT, as_text};
use super::records::Record;
use crate::domain::export::Format;
use crate::domain::people::contact::FieldError;
use crate::domain::people::spelling::trim;
use crate::domain::spreadsheet::{cell, unprotected};

/// Most errors of a row that are named. A row of a thousand bad cells must not become a book.
const MOST_ERRORS: usize = 10;

/// Longest name of a column in an error, in characters.
const MOST_NAME: usize = 100;

/// The cells of a row as the file has them. What is not UTF-8 is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cells {
    text: String,
    ends: Vec<usize>,
    /// The line, where the file has lines of JSON.
    line: Option<Line>,
}

/// A line of a file of JSON lines.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    /// An object.
    Object(String),
    /// What is none.
    Text(String),
    /// One that is too long to be kept.
    Lost,
}

impl Cells {
    /// The cells of a record, without those of rejected rows; none of a record that is too long, so that it cannot be taken for a row that
    /// was corrected. `is_protected`: a `'` before a cell is not its own.
    pub(super) fn of(record: &Record, columns: &[Column], is_protected: bool) -> Self {
        // Some of its cells are not there, and an empty `status` must not become that of somebody who is subscribed.
        if record.overflow.is_some() {
            return Self::default();
        }
        let length = record.cells().map(<[u8]>::len).sum();
        let mut cells =
            Self { text: String::with_capacity(length), ends: Vec::with_capacity(columns.len()), line: None };
        for (place, bytes) in record.cells().enumerate() {
            if columns.get(place).is_some_and(|column| column.target == Target::Rejected) {
                continue;
            }
            let text = String::from_utf8_lossy(if is_protected { unprotected(bytes) } else { bytes });
            // PostgreSQL keeps no text with a NUL.
            if text.contains('\0') {
                cells.text.push_str(&text.replace('\0', "\u{fffd}"));
            } else {
                cells.text.push_str(&text);
            }
            cells.ends.push(cells.text.len());
        }
        cells
    }

    /// A JSON object as it stood in its line, without what an earlier import said of it, and with `null` for each column that it has no value
    /// for: lines have no header, and what the file is known by must be there again. `values`: those of the columns.
    pub(super) fn of_object(members: &[(String, Value)], text: &str, values: &[&Value], layout: &Layout) -> Self {
        let is_own = |name: &str| {
            let is_rejected = |column: &Column| column.target == Target::Rejected && column.header == trim(name);
            !layout.columns.iter().any(is_rejected)
        };
        let named: HashSet<&str> = members.iter().map(|(name, _)| trim(name)).collect();
        let lacking = |column: &&Column| column.target != Target::Rejected && !named.contains(column.header.as_str());
        let lacking: Vec<&Column> = layout.columns.iter().filter(lacking).collect();
        let is_whole = lacking.is_empty() && members.iter().all(|(name, _)| is_own(name));
        let text = if is_whole {
            text.trim().to_owned()
        } else {
            let own = members.iter().filter(|(name, _)| is_own(name));
            let own = own.map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())));
            let lacking = lacking.into_iter().map(|column| format!("{}:null", Value::from(column.header.as_str())));
            format!("{{{}}}", own.chain(lacking).collect::<Vec<_>>().join(","))
        };
        let mut cells = Self { line: Some(Line::Object(text)), ..Self::default() };
        for (column, value) in layout.columns.iter().zip(values) {
            if column.target != Target::Rejected {
                cells.text.push_str(&as_text(value));
                cells.ends.push(cells.text.len());
            }
        }
        cells
    }

    /// A line that is no JSON object.
    pub(super) fn of_text(text: &str) -> Self {
        Self { text: text.to_owned(), ends: vec![text.len()], line: Some(Line::Text(text.to_owned())) }
    }

    /// A line that is too long.
    pub(super) fn lost() -> Self {
        Self { line: Some(Line::Lost), ..Self::default() }
    }

    /// The cells in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.text.get(start..*end).unwrap_or_default())
    }
}

/// Refuses what stands for bytes that could not be read: a second upload must not take it for text.
pub(super) fn check(column: &Column, cell: &[u8]) -> Result<(), FieldError> {
    let is_read = !matches!(column.target, Target::Rejected | Target::Ignored | Target::Nowhere);
    let is_lossy = std::str::from_utf8(cell).is_ok_and(|text| text.contains(char::REPLACEMENT_CHARACTER));
    if !is_read || !is_lossy {
        return Ok(());
    }
    let why = "has a character that could not be read (U+FFFD): put the right one in its place first";
    Err(FieldError::new(&column.header, "encoding", why))
}

/// The header of the file of rejected rows, by the headers of an import's file. No line break at its end.
pub fn header<'h>(headers: impl Iterator<Item = &'h str>) -> String {
    let own = headers.map(|header| cell(&header.replace('\0', "\u{fffd}"), false));
    COLUMNS.into_iter().map(ToOwned::to_owned).chain(own).collect::<Vec<_>>().join(",")
}

/// How many rows these lines hold, as [`line()`] makes them: a line break in a cell of CSV ends no row.
#[must_use]
pub fn count(format: Format, text: &str) -> i64 {
    if format == Format::Jsonl {
        return i64::try_from(text.lines().count()).unwrap_or(i64::MAX);
    }
    let (mut rows, mut is_quoted) = (0, false);
    for byte in text.bytes() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' if !is_quoted => rows += 1,
            _ => {}
        }
    }
    rows
}

/// The last line, where not all rejected rows are there.
#[must_use]
pub fn missing(format: Format, rows: i64) -> String {
    if format == Format::Jsonl {
        let why = format!("rows that were rejected and are not kept: {rows}");
        return format!("{}\n", json!({ "rejected_code": "not_kept", "rejected_reason": why }));
    }
    format!(",row,not_kept,rows that were rejected and are not kept: {rows}\r\n")
}

/// A rejected row as a line with its end, in the format of its file: where it stood, what is wrong with it, and how it was.
#[must_use]
pub fn line(line: u64, errors: &[FieldError], cells: &Cells) -> String {
    let named: Vec<&FieldError> = errors.iter().take(MOST_ERRORS).collect();
    let names: Vec<String> = named.iter().map(|error| error.field.chars().take(MOST_NAME).collect()).collect();
    let codes: Vec<&str> = named.iter().map(|error| error.code.as_ref()).collect();
    let mut reasons: Vec<String> = match named.as_slice() {
        [only] => vec![only.reason.clone()],
        _ => named.iter().zip(&names).map(|(error, name)| format!("{name}: {}", error.reason)).collect(),
    };
    if errors.len() > MOST_ERRORS {
        reasons.push(format!("and {} more", errors.len() - MOST_ERRORS));
    }
    let said = [names.join("; "), codes.join("; "), reasons.join("; ")].map(|text| text.replace('\0', "\u{fffd}"));
    if let Some(as_it_was) = &cells.line {
        return as_it_was.with(line, &said);
    }
    let said = [line.to_string()].into_iter().chain(said).collect::<Vec<_>>();
    let all = said.iter().map(String::as_str).chain(cells.iter()).map(|text| cell(text, false));
    let mut text = all.collect::<Vec<_>>().join(",");
    text.push_str("\r\n");
    text
}

impl Line {
    /// The line with what is wrong with it, before everything else.
    fn with(&self, line: u64, said: &[String; 3]) -> String {
        let [number, names @ ..] = COLUMNS;
        let said = names.iter().zip(said).map(|(name, text)| format!(",\"{name}\":{}", Value::from(text.as_str())));
        let said = format!("\"{number}\":{line}{}", said.collect::<String>());
        match self {
            Self::Object(text) => match text.strip_prefix('{').map(str::trim_start) {
                Some("}") | None => format!("{{{said}}}\n"),
                Some(rest) => format!("{{{said},{rest}\n"),
            },
            Self::Text(text) => format!("{{{said},\"{TEXT}\":{}}}\n", Value::from(text.as_str())),
            Self::Lost => format!("{{{said}}}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::domain::import::ImportReader;
    use crate::domain::import::reading::Reading;
    use crate::domain::import::records::MAX_CELL_BYTES;

    /// The file of the rejected rows of a file.
    fn rejected(source: &str) -> String {
        let mut reader =
            ImportReader::open(Cursor::new(source.as_bytes().to_vec()), None, &Reading::default()).unwrap();
        let mut file = format!("{}\r\n", reader.rejected_header());
        while let Some(row) = reader.next_row().unwrap() {
            if let Err(errors) = row.result {
                file.push_str(&line(row.line, &errors, &row.cells));
            }
        }
        file
    }

    #[test]
    fn of_a_row_that_is_too_long_only_the_reason_is_kept() {
        let long = "x".repeat(MAX_CELL_BYTES + 1);
        let file = rejected(&format!("email,note,status\na@b.cd,{long},unsubscribed\nbad,,subscribed\n"));
        assert!(file.contains(" bytes\r\n3,email,") && file.ends_with(",bad,,subscribed\r\n"), "{file}");
        let again = rejected(&file);
        assert!(again.contains("\r\n2,row,too_few_cells,"), "nobody joins by a row that was lost: {again}");
    }

    #[test]
    fn what_stands_for_unreadable_bytes_is_no_text_in_a_file_of_rejected_rows() {
        assert_eq!(
            count(Format::Csv, &rejected("email,note\na@b.cd,caf\u{fffd}\n")),
            1,
            "another file may have that character"
        );
        let file = format!("{},email,note\n2,note,encoding,\u{fffd},a@b.cd,caf\u{fffd}\n", COLUMNS.join(","));
        let again = rejected(&file);
        assert!(count(Format::Csv, &again) == 2 && again.contains("\r\n2,note,encoding,"), "{again}");
        assert_eq!(count(Format::Csv, &rejected(&file.replace("caf\u{fffd}", "café"))), 1);
    }

    #[test]
    fn only_a_file_with_all_columns_of_rejected_rows_is_one() {
        let file = rejected("rejected_code,email,note\n7,bad,'x\n");
        assert!(file.ends_with(",7,bad,''x\r\n"), "its own column and its own quote stay: {file}");
        assert_eq!(rejected(&file), file, "and once more");
    }

    #[test]
    fn rows_are_counted_whatever_is_in_their_cells() {
        let cells = Cells { text: "a\r\n\"b\"\nc".to_owned(), ends: vec![8], line: None };
        let text = line(7, &[FieldError::new("a", "b", "c, d")], &cells).repeat(3);
        assert_eq!(
            (count(Format::Csv, &text), count(Format::Csv, &missing(Format::Csv, 5)), count(Format::Csv, "")),
            (3, 1, 0)
        );
    }

    #[test]
    fn a_line_says_what_is_wrong_and_no_cell_is_a_formula() {
        let cells = Cells { text: "=1+1a,b".to_owned(), ends: vec![4, 4, 7], line: None };
        let one = [FieldError::new("email", "email_invalid", "not an address")];
        assert_eq!(line(7, &one, &cells), "7,email,email_invalid,not an address,'=1+1,,\"a,b\"\r\n");
        let many = vec![FieldError::new("a", "b", "c"); 12];
        let text = line(7, &many, &cells);
        assert!(text.contains("; a: c; and 2 more,'=1+1") && text.matches("a: c").count() == 10, "{text}");
        assert_eq!(header(["E-Mail", "+x"].into_iter()), format!("{},E-Mail,'+x", COLUMNS.join(",")));
    }
}
