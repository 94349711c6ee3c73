//! The beginning of a CSV file: where its text begins, what stands between its cells, and its header.

use std::io::{BufReader, Read, Seek, SeekFrom};

use super::records::{Record, RecordError, Records};
use super::{ImportError, MAX_COLUMNS};

/// How much of the file is read at a time, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// What may stand between cells, the likeliest first.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// Refuses UTF-16 and tells where the text begins.
fn skip_byte_order_mark(reader: &mut BufReader<impl Read + Seek>) -> Result<u64, ImportError> {
    let mut head = Vec::with_capacity(4);
    reader.by_ref().take(4).read_to_end(&mut head).map_err(ImportError::Io)?;
    match head.as_slice() {
        [] | [0xef, 0xbb, 0xbf] => Err(ImportError::Empty),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Err(ImportError::Encoding { byte: 0 }),
        // UTF-16 without a mark: every other byte of its Latin letters is zero.
        [0, _, ..] => Err(ImportError::Encoding { byte: 0 }),
        [_, 0, ..] => Err(ImportError::Encoding { byte: 1 }),
        [0xef, 0xbb, 0xbf, ..] => Ok(3),
        _ => Ok(0),
    }
}

/// Finds where the text begins and what stands between its cells: the delimiter that finds the most columns; where none finds two,
/// there is one column.
pub(super) fn find_delimiter<R: Read + Seek>(
    reader: R,
    record: &mut Record,
) -> Result<(BufReader<R>, u8, u64), ImportError> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, reader);
    let start = skip_byte_order_mark(&mut reader)?;
    let mut best = (0, b',');
    for delimiter in DELIMITERS {
        reader.seek(SeekFrom::Start(start)).map_err(ImportError::Io)?;
        let mut records = Records::new(reader, delimiter, MAX_COLUMNS, start, 1);
        let outcome = records.read(record);
        reader = records.into_reader();
        match outcome {
            Ok(false) => return Err(ImportError::Empty),
            Ok(true) if record.count > best.0 => best = (record.count, delimiter),
            Err(RecordError::Io(source)) => return Err(ImportError::Io(source)),
            Ok(true) | Err(RecordError::UnclosedQuote { .. }) => {}
        }
    }
    Ok((reader, best.1, start))
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
