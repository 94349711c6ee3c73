//! Cuts a CSV file (RFC 4180, any delimiter) into records.
//!
//! `csv-core` knows what a cell is. What an import has to say besides is told here: at which byte a record ends, so that it can go on from
//! there; on which line a record or an unclosed quote began; and that a cell grows too long, before it fills the memory.

use std::io::{self, BufRead};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

/// The longest cell, in bytes.
pub(super) const MAX_CELL_BYTES: usize = 1024 * 1024;

/// The longest record that is kept, in bytes without quotes and delimiters.
pub(super) const MAX_RECORD_BYTES: usize = 4 * 1024 * 1024;

/// One record. Reused from row to row.
#[derive(Debug, Default)]
pub(super) struct Record {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// How many bytes of cells were read, kept or not.
    read: usize,
    /// How many cells there were, kept or not.
    pub(super) count: usize,
    /// The line on which it begins, from 1.
    pub(super) line: u64,
    /// What was too long to keep, first of all.
    pub(super) overflow: Option<Overflow>,
    /// Whether what comes is not kept: up to the end of a cell, or of the record.
    skips: bool,
}

/// What of a record was too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overflow {
    /// The cell of that index, in whose place an empty one is kept: the cells behind it may say that somebody has refused.
    Cell(usize),
    /// All cells together; those behind are not kept.
    Record,
}

impl Record {
    /// The cells, as far as they were kept.
    pub(super) fn cells(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.bytes.get(start..*end).unwrap_or_default())
    }

    fn clear(&mut self, line: u64) {
        self.bytes.clear();
        self.ends.clear();
        (self.count, self.line, self.overflow, self.skips, self.read) = (0, line, None, false, 0);
    }

    fn push(&mut self, bytes: &[u8]) {
        self.read += bytes.len();
        if self.skips || self.count > self.ends.len() {
            return;
        }
        let begin = self.ends.last().copied().unwrap_or(0);
        if self.bytes.len() - begin + bytes.len() > MAX_CELL_BYTES {
            self.overflow.get_or_insert(Overflow::Cell(self.count));
            self.bytes.truncate(begin);
            self.skips = true;
        } else if self.bytes.len() + bytes.len() > MAX_RECORD_BYTES {
            self.overflow = Some(Overflow::Record);
            self.skips = true;
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn end_cell(&mut self, most_cells: usize) {
        if self.ends.len() < most_cells && self.count == self.ends.len() {
            self.ends.push(self.bytes.len());
        }
        self.count += 1;
        self.skips = self.overflow == Some(Overflow::Record);
    }
}

/// Why no record could be read.
#[derive(Debug)]
pub(super) enum RecordError {
    Io(io::Error),
    /// A quote is open at the end of the file, or for longer than a cell may be.
    UnclosedQuote {
        line: u64,
    },
}

/// How much of a record is taken from the reader below at a time, in bytes, and in cells.
const STEP: (usize, usize) = (16 * 1024, 256);

/// Reads records one by one, and knows where it is.
#[derive(Debug)]
pub(super) struct Records<R> {
    reader: R,
    core: Reader,
    /// How many cells of a record are kept; further ones are counted.
    most_cells: usize,
    /// Where the next record begins.
    pub(super) byte: u64,
    /// The cells of one step, one behind the other.
    step: Box<[u8]>,
    /// Where they end, in bytes from the record's begin.
    ends: Box<[usize]>,
}

/// The cell at whose end the reading stands, as long as it may go on.
#[derive(Default)]
struct OpenCell {
    bytes: usize,
    /// Line breaks in it. Only a quoted cell has some.
    lines: u64,
}

impl OpenCell {
    fn grow(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.lines += newlines(bytes);
    }
}

impl<R: BufRead> Records<R> {
    /// Reads on from `reader`, which stands at that byte and line.
    pub(super) fn new(reader: R, delimiter: u8, most_cells: usize, byte: u64, line: u64) -> Self {
        let mut core = ReaderBuilder::new().delimiter(delimiter).build();
        let (mut step, mut ends) = (vec![0; STEP.0].into_boxed_slice(), vec![0; STEP.1].into_boxed_slice());
        // Its first bytes would be taken for a byte order mark: an empty line comes before them.
        core.read_record(b"\n", &mut step, &mut ends);
        core.set_line(line);
        Self { reader, core, most_cells, byte, step, ends }
    }

    /// The line on which the next record begins, from 1.
    pub(super) fn line(&self) -> u64 {
        self.core.line()
    }

    /// The reader, at the end of the last record (or behind it, if it buffers).
    pub(super) fn into_reader(self) -> R {
        self.reader
    }

    /// Reads the next record that is not an empty line. `false` at the end of the file.
    pub(super) fn read(&mut self, record: &mut Record) -> Result<bool, RecordError> {
        self.skip_empty_lines()?;
        record.clear(self.line());
        let begin = self.byte;
        let mut open = OpenCell::default();
        loop {
            let buffer = filled(&mut self.reader)?;
            if buffer.is_empty() {
                return if self.byte == begin { Ok(false) } else { self.end(record, open).map(|()| true) };
            }
            let (result, read, written, ended) = self.core.read_record(buffer, &mut self.step, &mut self.ends);
            let last = buffer.get(..read).and_then(<[u8]>::last).copied();
            self.consume(read);
            self.keep(record, written, ended, &mut open);
            if result == ReadRecordResult::Record {
                if last == Some(b'\r') {
                    self.end_line_after_return()?;
                }
                return Ok(true);
            }
            if open.bytes > MAX_CELL_BYTES && open.lines > 0 {
                return Err(self.unclosed(open));
            }
        }
    }

    /// Ends the record that the file ends in. A line break there ends a record, but is part of a cell where a quote is open.
    fn end(&mut self, record: &mut Record, mut open: OpenCell) -> Result<(), RecordError> {
        let line = self.line();
        let (result, _, written, ended) = self.core.read_record(b"\n", &mut self.step, &mut self.ends);
        self.core.set_line(line);
        if result != ReadRecordResult::Record {
            return Err(self.unclosed(open));
        }
        self.keep(record, written, ended, &mut open);
        Ok(())
    }

    fn unclosed(&self, open: OpenCell) -> RecordError {
        RecordError::UnclosedQuote { line: self.line() - open.lines }
    }

    /// Puts the cells of a step into the record.
    fn keep(&self, record: &mut Record, written: usize, ended: usize, open: &mut OpenCell) {
        let mut rest = self.step.get(..written).unwrap_or_default();
        for end in self.ends.get(..ended).unwrap_or_default() {
            let (cell, behind) = rest.split_at_checked(end - record.read).unwrap_or((rest, &[]));
            record.push(cell);
            record.end_cell(self.most_cells);
            (rest, *open) = (behind, OpenCell::default());
        }
        record.push(rest);
        open.grow(rest);
    }

    fn skip_empty_lines(&mut self) -> Result<(), RecordError> {
        loop {
            match filled(&mut self.reader)?.first() {
                Some(b'\n') => {
                    self.consume(1);
                    self.core.set_line(self.line() + 1);
                }
                Some(b'\r') => {
                    self.consume(1);
                    self.end_line_after_return()?;
                }
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// Behind the CR of a line break, which the reader below does not count: takes its LF too.
    fn end_line_after_return(&mut self) -> Result<(), RecordError> {
        self.core.set_line(self.line() + 1);
        if filled(&mut self.reader)?.first() == Some(&b'\n') {
            self.consume(1);
        }
        Ok(())
    }

    fn consume(&mut self, count: usize) {
        self.reader.consume(count);
        self.byte += u64::try_from(count).unwrap_or(u64::MAX);
    }
}

/// What lies ready, or comes next; nothing at the end of the file.
fn filled<R: BufRead>(reader: &mut R) -> Result<&[u8], RecordError> {
    while let Err(error) = reader.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(RecordError::Io(error));
        }
    }
    reader.fill_buf().map_err(RecordError::Io)
}

fn newlines(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.iter().filter(|b| **b == b'\n').count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(source: &str) -> Result<Vec<(u64, Vec<String>)>, RecordError> {
        // A buffer of one byte: nothing may depend on what lies together in the buffer.
        let mut records = Records::new(io::BufReader::with_capacity(1, source.as_bytes()), b',', 10, 0, 1);
        let (mut record, mut all) = (Record::default(), Vec::new());
        while records.read(&mut record)? {
            let cells = record.cells().map(|cell| String::from_utf8(cell.to_vec()).unwrap()).collect();
            all.push((record.line, cells));
        }
        assert_eq!(records.byte, u64::try_from(source.len()).unwrap());
        Ok(all)
    }

    #[test]
    fn cells_rows_and_quotes_are_those_of_rfc_4180() {
        for (source, expected) in [
            ("", vec![]),
            ("a,b", vec![(1, vec!["a", "b"])]),
            ("a,b\n", vec![(1, vec!["a", "b"])]),
            ("a,\r\n,b\r\n", vec![(1, vec!["a", ""]), (2, vec!["", "b"])]),
            ("a\rb", vec![(1, vec!["a"]), (2, vec!["b"])]),
            ("\n\r\na\n\n\nb\n", vec![(3, vec!["a"]), (6, vec!["b"])]),
            ("\"a,\"\"b\"\"\",c", vec![(1, vec!["a,\"b\"", "c"])]),
            ("\"a\r\nb\nc\",d\ne", vec![(1, vec!["a\r\nb\nc", "d"]), (4, vec!["e"])]),
            ("5\" pipe,\"\"", vec![(1, vec!["5\" pipe", ""])]),
            ("\"Bob\" Smith,x", vec![(1, vec!["Bob Smith", "x"])]),
            ("\"\"\n", vec![(1, vec![""])]),
        ] {
            let found = read_all(source).unwrap();
            let found: Vec<_> =
                found.iter().map(|(line, cells)| (*line, cells.iter().map(String::as_str).collect())).collect();
            assert_eq!(found, expected, "{source:?}");
        }
    }

    #[test]
    fn an_unclosed_quote_is_reported_with_its_own_line() {
        assert!(matches!(read_all("a\nb\nc,\"d\ne\nf\n"), Err(RecordError::UnclosedQuote { line: 3 })));
        let endless = format!("a\n\"{}", "x\n".repeat(MAX_CELL_BYTES));
        let mut records = Records::new(endless.as_bytes(), b',', 10, 0, 1);
        let mut record = Record::default();
        assert!(records.read(&mut record).unwrap());
        assert!(matches!(records.read(&mut record), Err(RecordError::UnclosedQuote { line: 2 })));
    }

    #[test]
    fn a_long_cell_is_no_unclosed_quote_where_it_is_closed_on_its_line() {
        let source = format!("a\n\"{}\",b\nc\n", "x".repeat(MAX_CELL_BYTES + 1));
        let mut records = Records::new(source.as_bytes(), b',', 10, 0, 1);
        let mut record = Record::default();
        for (overflow, cells) in
            [(None, vec![&b"a"[..]]), (Some(Overflow::Cell(0)), vec![b"", b"b"]), (None, vec![b"c"])]
        {
            assert!(records.read(&mut record).unwrap());
            assert_eq!((record.overflow, record.cells().collect::<Vec<_>>()), (overflow, cells));
        }
        assert_eq!(record.line, 3);
    }

    #[test]
    fn what_looks_like_a_byte_order_mark_inside_the_file_is_text() {
        let source = "\u{feff}a,b\n";
        assert_eq!(read_all(source).unwrap(), [(1, vec!["\u{feff}a".to_owned(), "b".to_owned()])]);
    }

    /// All records from a byte and line on, each with its line, its cells, and the byte and line behind it; then what the end is.
    fn from(source: &str, byte: u64, line: u64, capacity: usize) -> Vec<String> {
        let text = &source.as_bytes()[usize::try_from(byte).unwrap()..];
        let mut records = Records::new(io::BufReader::with_capacity(capacity, text), b',', 3, byte, line);
        let (mut record, mut all) = (Record::default(), Vec::new());
        loop {
            let outcome = records.read(&mut record);
            let is_read = matches!(outcome, Ok(true));
            let cells: Vec<_> = record.cells().map(String::from_utf8_lossy).collect();
            all.push(match outcome {
                Ok(true) => {
                    format!("{} {cells:?} of {} to {} {}", record.line, record.count, records.byte, records.line())
                }
                other => format!("{other:?}"),
            });
            if !is_read {
                return all;
            }
        }
    }

    proptest! {
        #[test]
        fn an_import_goes_on_behind_any_record_and_buffer(source in "[ab,\"\r\n ]{0,40}") {
            let whole = from(&source, 0, 1, 4096);
            prop_assert_eq!(&from(&source, 0, 1, 1), &whole);
            for (index, record) in whole.iter().enumerate().take(whole.len() - 1) {
                let mut behind = record.rsplit(' ').map(|number| number.parse().unwrap());
                let (line, byte) = (behind.next().unwrap(), behind.next().unwrap());
                prop_assert_eq!(&from(&source, byte, line, 4096), &whole[index + 1..]);
            }
        }
    }

    #[test]
    fn a_record_that_is_too_long_is_read_to_its_end_and_kept_in_part() {
        let cell = "x".repeat(MAX_CELL_BYTES);
        let source = format!("{}a\nb\n", format!("{cell},").repeat(5));
        let mut records = Records::new(source.as_bytes(), b',', 10, 0, 1);
        let mut record = Record::default();
        assert!(records.read(&mut record).unwrap());
        assert_eq!((record.overflow, record.count), (Some(Overflow::Record), 6));
        assert!(record.cells().map(<[u8]>::len).sum::<usize>() <= MAX_RECORD_BYTES);
        assert!(records.read(&mut record).unwrap());
        assert_eq!((record.overflow, record.cells().collect::<Vec<_>>()), (None, vec![&b"b"[..]]));
    }

    #[test]
    fn what_is_too_long_is_counted_but_not_kept() {
        let source = format!("{}\na{}\nb", "x".repeat(MAX_CELL_BYTES + 1), ",y".repeat(20));
        let mut records = Records::new(source.as_bytes(), b',', 10, 0, 1);
        let mut record = Record::default();
        assert!(records.read(&mut record).unwrap());
        assert_eq!(record.overflow, Some(Overflow::Cell(0)));
        assert!(records.read(&mut record).unwrap());
        assert_eq!((record.overflow, record.count, record.cells().count()), (None, 21, 10));
        assert!(records.read(&mut record).unwrap());
        assert_eq!(record.cells().collect::<Vec<_>>(), [b"b"]);
    }
}
