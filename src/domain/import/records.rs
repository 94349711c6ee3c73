//! Cuts a CSV file (RFC 4180, any delimiter) into records.
//!
//! Written here because an import has to say three things that a general reader does not: at which byte a record ends,
//! so that it can go on from there; on which line a record or an unclosed quote began; and that a cell grows too long,
//! before it fills the memory.

use std::io::{self, BufRead};

/// The longest cell, in bytes.
pub(super) const MAX_CELL_BYTES: usize = 1024 * 1024;

/// The longest record that is kept, in bytes without quotes and delimiters.
pub(super) const MAX_RECORD_BYTES: usize = 4 * 1024 * 1024;

/// One record. Reused from row to row.
#[derive(Debug, Default)]
pub(super) struct Record {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// How many cells there were, kept or not.
    pub(super) count: usize,
    /// The line on which it begins, from 1.
    pub(super) line: u64,
    /// What was too long to keep.
    pub(super) overflow: Option<Overflow>,
}

/// What of a record was too long. The rest of the record was read, but not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overflow {
    /// The cell of that index.
    Cell(usize),
    /// All cells together.
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
        (self.count, self.line, self.overflow) = (0, line, None);
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.overflow.is_some() || self.count > self.ends.len() {
            return;
        }
        let cell = self.bytes.len() - self.ends.last().copied().unwrap_or(0);
        if cell + bytes.len() > MAX_CELL_BYTES {
            self.overflow = Some(Overflow::Cell(self.count));
        } else if self.bytes.len() + bytes.len() > MAX_RECORD_BYTES {
            self.overflow = Some(Overflow::Record);
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn end_cell(&mut self, most_cells: usize) {
        if self.ends.len() < most_cells && self.count == self.ends.len() {
            self.ends.push(self.bytes.len());
        }
        self.count += 1;
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a cell.
    Start,
    /// In a cell without quotes, or behind the closing quote of one that had them.
    Bare,
    /// Between quotes.
    Quoted,
    /// Behind a quote that closes the cell or is the first of two.
    Quote,
}

/// Reads records one by one, and knows where it is.
#[derive(Debug)]
pub(super) struct Records<R> {
    reader: R,
    delimiter: u8,
    /// How many cells of a record are kept; further ones are counted.
    most_cells: usize,
    /// Where the next record begins.
    pub(super) byte: u64,
    /// The line there, from 1.
    pub(super) line: u64,
}

impl<R: BufRead> Records<R> {
    /// Reads on from `reader`, which stands at that byte and line.
    pub(super) fn new(reader: R, delimiter: u8, most_cells: usize, byte: u64, line: u64) -> Self {
        Self { reader, delimiter, most_cells, byte, line }
    }

    /// The reader, at the end of the last record (or behind it, if it buffers).
    pub(super) fn into_reader(self) -> R {
        self.reader
    }

    /// Reads the next record that is not an empty line. `false` at the end of the file.
    pub(super) fn read(&mut self, record: &mut Record) -> Result<bool, RecordError> {
        record.clear(self.line);
        let mut state = State::Start;
        let mut quote_line = self.line;
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(RecordError::Io(error)),
            };
            let Some(&first) = buffer.first() else {
                if state == State::Quoted {
                    return Err(RecordError::UnclosedQuote { line: quote_line });
                }
                if state == State::Start && record.count == 0 {
                    return Ok(false);
                }
                record.end_cell(self.most_cells);
                return Ok(true);
            };
            // Runs of ordinary bytes are taken at once; the others one by one.
            let run = match state {
                State::Quoted => buffer.iter().take_while(|b| **b != b'"').count(),
                State::Start | State::Bare | State::Quote => {
                    let is_plain = |b: &&u8| **b != self.delimiter && !matches!(**b, b'\n' | b'\r' | b'"');
                    buffer.iter().take_while(is_plain).count()
                }
            };
            if run > 0 {
                let bytes = buffer.get(..run).unwrap_or_default();
                if state == State::Quoted {
                    self.line += newlines(bytes);
                } else {
                    state = State::Bare;
                }
                record.push(bytes);
                self.consume(run);
                if state == State::Quoted && matches!(record.overflow, Some(Overflow::Cell(_))) {
                    return Err(RecordError::UnclosedQuote { line: quote_line });
                }
                continue;
            }
            self.consume(1);
            state = match (state, first) {
                (State::Start, b'"') => {
                    quote_line = self.line;
                    State::Quoted
                }
                (State::Quoted, _) => State::Quote,
                (State::Quote, b'"') => {
                    record.push(b"\"");
                    State::Quoted
                }
                (State::Bare, b'"') => {
                    record.push(b"\"");
                    State::Bare
                }
                (State::Start | State::Bare | State::Quote, byte) if byte == self.delimiter => {
                    record.end_cell(self.most_cells);
                    State::Start
                }
                (State::Start | State::Bare | State::Quote, byte) => {
                    self.end_line(byte)?;
                    if state == State::Start && record.count == 0 {
                        record.clear(self.line);
                        continue;
                    }
                    record.end_cell(self.most_cells);
                    return Ok(true);
                }
            };
        }
    }

    /// Behind a line break's first byte: takes the second of CR LF too.
    fn end_line(&mut self, first: u8) -> Result<(), RecordError> {
        self.line += 1;
        if first == b'\r' && self.reader.fill_buf().map_err(RecordError::Io)?.first() == Some(&b'\n') {
            self.consume(1);
        }
        Ok(())
    }

    fn consume(&mut self, count: usize) {
        self.reader.consume(count);
        self.byte += u64::try_from(count).unwrap_or(u64::MAX);
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.iter().filter(|b| **b == b'\n').count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
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
