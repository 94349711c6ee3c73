//! The beginning of a CSV file: where its text begins, what stands between its cells, and its header.

use std::io::{BufReader, Read, Seek, SeekFrom};

use super::records::{Record, RecordError, Records};
use super::{ImportError, MAX_COLUMNS};

/// How much of the file is read at a time, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// What may stand between cells, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// How much of the file is looked at for marks, in bytes: more than both of them together have.
const HEAD_BYTES: u64 = 32;

/// Where a file begins, and how.
pub(super) struct Opening<R> {
    pub(super) reader: BufReader<R>,
    /// What stands between its cells.
    pub(super) delimiter: u8,
    /// Where its header begins, in bytes.
    pub(super) start: u64,
    /// The line there, from 1.
    pub(super) line: u64,
}

/// Refuses UTF-16 and tells where the text begins.
fn skip_byte_order_mark(head: &[u8]) -> Result<usize, ImportError> {
    match head {
        [] | [0xef, 0xbb, 0xbf] => Err(ImportError::Empty),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Err(ImportError::Encoding { byte: 0 }),
        // UTF-16 without a mark: every other byte of its Latin letters is zero.
        [0, _, ..] => Err(ImportError::Encoding { byte: 0 }),
        [_, 0, ..] => Err(ImportError::Encoding { byte: 1 }),
        [0xef, 0xbb, 0xbf, ..] => Ok(3),
        _ => Ok(0),
    }
}

/// The delimiter that a first line such as `sep=;` names, which Excel writes and reads, and the length of that line in bytes.
fn named_delimiter(text: &[u8]) -> Option<(u8, usize)> {
    let quote = usize::from(text.first() == Some(&b'"'));
    let word = text.get(quote..quote + 4)?;
    let delimiter = *text.get(quote + 4)?;
    let end = quote * 2 + 5;
    let is_quoted = quote == 0 || text.get(quote + 5) == Some(&b'"');
    if !word.eq_ignore_ascii_case(b"sep=") || !is_quoted || !DELIMITERS.contains(&delimiter) {
        return None;
    }
    match text.get(end..).unwrap_or_default() {
        [b'\r', b'\n', ..] => Some((delimiter, end + 2)),
        [b'\r' | b'\n', ..] => Some((delimiter, end + 1)),
        [] => Some((delimiter, end)),
        _ => None,
    }
}

impl<R: Read + Seek> Opening<R> {
    /// Finds where the text begins and what stands between its cells: what a first line `sep=` names, else the delimiter that finds the most
    /// columns; where none finds two, there is one column.
    pub(super) fn find(reader: R, record: &mut Record) -> Result<Self, ImportError> {
        let mut reader = BufReader::with_capacity(BUFFER_BYTES, reader);
        let mut head = Vec::new();
        reader.by_ref().take(HEAD_BYTES).read_to_end(&mut head).map_err(ImportError::Io)?;
        let mark = skip_byte_order_mark(&head)?;
        let named = named_delimiter(head.get(mark..).unwrap_or_default());
        let start = u64::try_from(mark + named.map_or(0, |(_, length)| length)).unwrap_or(u64::MAX);
        let line = if named.is_some() { 2 } else { 1 };
        let mut best = (0, b',');
        for delimiter in DELIMITERS {
            if named.is_some_and(|(named, _)| named != delimiter) {
                continue;
            }
            reader.seek(SeekFrom::Start(start)).map_err(ImportError::Io)?;
            let mut records = Records::new(reader, delimiter, MAX_COLUMNS, start, line);
            let outcome = records.read(record);
            reader = records.into_reader();
            match outcome {
                Ok(false) => return Err(ImportError::Empty),
                Ok(true) if record.count > best.0 => best = (record.count, delimiter),
                Err(RecordError::Io(source)) => return Err(ImportError::Io(source)),
                Ok(true) | Err(RecordError::UnclosedQuote { .. }) => {}
            }
        }
        Ok(Self { reader, delimiter: best.1, start, line })
    }
}

/// The cells of a header.
pub(super) fn read_cells(record: &Record, start: u64) -> Result<Vec<&str>, ImportError> {
    if record.count > MAX_COLUMNS {
        return Err(ImportError::TooManyColumns { found: record.count });
    }
    if record.overflow.is_some() {
        return Err(ImportError::HeaderTooLong);
    }
    let mut cells = Vec::with_capacity(record.count);
    let mut before = start;
    for cell in record.cells() {
        let length = |count| u64::try_from(count).unwrap_or(u64::MAX);
        let text = std::str::from_utf8(cell)
            .map_err(|error| ImportError::Encoding { byte: before + length(error.valid_up_to()) })?;
        cells.push(text);
        before += length(cell.len()) + 1;
    }
    Ok(cells)
}
