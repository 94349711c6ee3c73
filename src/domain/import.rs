//! Contacts from a file, row by row, with what is wrong with each: CSV, or a JSON object on each line (see `objects.rs`).
//!
//! The delimiter (`,`, `;`, tab or `|`) is found in the header, or a first line such as `sep=;` names it; a byte order mark is dropped. Known
//! columns fill fields (see `header.rs` and `spellings.rs` for the spellings, `presets.rs` for the exports of other tools), all others become attributes under their normalised names. Cells are trimmed; an
//! empty one sets nothing. Attribute cells stay text: `007` and `1.50` are not numbers to everybody, and a template prints both alike.
//!
//! Cells that a row lacks at its end are empty, and empty ones beyond the header say nothing. A key that cannot be read costs that cell, where
//! the row has a stronger one; else it costs the row.

mod consent_names;
pub mod encoding;
mod error;
mod filling;
mod header;
mod lines;
pub mod looking;
mod names;
mod near;
mod objects;
mod opening;
pub mod other_file;
pub mod own;
pub mod presets;
pub mod reading;
mod records;
mod refusals;
pub mod rejected;
mod spellings;
mod stands;
mod statuses;
pub mod suppressions;

use std::io::{BufReader, Read, Seek, SeekFrom};

pub use self::error::ImportError;
use self::filling::Told;
use self::header::{Column, Layout, Target};
use self::objects::Objects;
use self::opening::{Opening, read_cells};
use self::presets::Preset;
use self::reading::Reading;
use self::records::{MAX_CELL_BYTES, MAX_RECORD_BYTES, Overflow, Record, Records};
use self::rejected::Cells;
use self::statuses::Consent;
use super::channel::ChannelKind;
use super::export::Format;
use super::people::consent::{Said, keys_as_addresses};
use super::people::contact::{BuiltIn, ContactDraft, FieldError};
use super::people::spelling::trim;
use super::people::standing::Standing;
use super::spreadsheet::unprotected;

/// How many columns a file may have.
pub const MAX_COLUMNS: usize = 1000;

/// Where to go on: the end of the last row that was dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResumePoint {
    /// Bytes from the file's start.
    pub byte: u64,
    /// The line there, from 1.
    pub line: u64,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The line on which it begins, from 1; the header of a CSV file is line 1.
    pub line: u64,
    /// Its end: an import resumed here yields the rows that follow.
    pub end: ResumePoint,
    /// Its cells as the file has them, where it is wrong. Of a good row: none.
    pub cells: Cells,
    /// The contact, or what is wrong with it, by column.
    pub result: Result<ContactDraft, Vec<FieldError>>,
    /// What the row says of it besides its fields.
    pub said: Said,
    /// Cells of a good row that nothing is made of: weaker keys that cannot be read, and what stands below no column's name.
    pub dropped: Vec<FieldError>,
    /// Of a row that is wrong and says that the contact is unsubscribed, or not written to any more: the keys that could be read, as
    /// addresses. A refusal counts all the same.
    pub refused: Vec<(ChannelKind, String)>,
}

/// Where rows come from.
#[derive(Debug)]
enum Source<R> {
    Csv(Box<Records<BufReader<R>>>),
    Jsonl(Box<Objects<BufReader<R>>>),
}

/// Reads contacts from a file. Holds one row at a time.
#[derive(Debug)]
pub struct ImportReader<R> {
    source: Source<R>,
    layout: Layout,
    /// What stands between the cells of the file. None: it has no cells.
    delimiter: Option<u8>,
    /// Whether the contacts are to be on a list.
    on_list: bool,
    /// How exports of Volley name that list.
    list: Option<String>,
    record: Record,
    /// Whether the file has rejected rows of an earlier import, or is an export, whose cells may have a `'` before them.
    is_protected: bool,
    is_broken: bool,
}

impl<R: Read + Seek> ImportReader<R> {
    /// Reads the header from the file's start, then stands before the first row, or the first after `resume`. `reading`: what the columns
    /// are, as far as that was said.
    ///
    /// # Errors
    /// [`ImportError`]: nothing of the file can be imported.
    pub fn open(reader: R, resume: Option<ResumePoint>, reading: &Reading) -> Result<Self, ImportError> {
        let (reader, wrong) = Self::survey(reader, resume, reading)?;
        wrong.map_or(Ok(reader), Err)
    }

    /// Like [`ImportReader::open`], also where nothing can be imported by the columns of the file: why not is told besides.
    fn survey(
        reader: R,
        resume: Option<ResumePoint>,
        reading: &Reading,
    ) -> Result<(Self, Option<ImportError>), ImportError> {
        match reading.format {
            Format::Csv => {}
            Format::Jsonl => return Self::survey_lines(reader, resume, reading),
        }
        let mut record = Record::default();
        let Opening { mut reader, delimiter, start, line } = Opening::find(reader, &mut record)?;
        reader.seek(SeekFrom::Start(start)).map_err(ImportError::Io)?;
        let mut records = Records::new(reader, delimiter, MAX_COLUMNS, start, line);
        records.read(&mut record)?;
        let cells = read_cells(&record, start)?;
        other_file::check_header(cells.first().copied().unwrap_or_default())?;
        let (layout, wrong) = header::survey(cells.into_iter(), reading)?;
        let after = match resume {
            Some(point) if point.byte > records.byte => point,
            Some(_) | None => ResumePoint { byte: records.byte, line: records.line() },
        };
        let mut reader = records.into_reader();
        reader.seek(SeekFrom::Start(after.byte)).map_err(ImportError::Io)?;
        // More cells than the header has are kept, too: the row is shown as it was.
        let records = Records::new(reader, delimiter, MAX_COLUMNS, after.byte, after.line);
        let is_protected = layout.is_own || layout.columns.iter().any(|column| column.target == Target::Rejected);
        let (on_list, list) = (reading.on_list, reading.list.clone());
        let (source, delimiter) = (Source::Csv(Box::new(records)), Some(delimiter));
        Ok((Self { source, layout, delimiter, on_list, list, record, is_protected, is_broken: false }, wrong))
    }
}

impl<R: Read> ImportReader<R> {
    /// The tool whose export the file is taken for.
    pub const fn preset(&self) -> Option<Preset> {
        self.layout.preset
    }

    /// The attributes that the file's columns bring; those in a JSON object come with their rows.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.layout.columns.iter().filter_map(|column| match &column.target {
            Target::Attribute(name) => Some(name.as_str()),
            Target::BuiltIn(_)
            | Target::Name
            | Target::LastName
            | Target::Attributes
            | Target::Said(_)
            | Target::Consent(_)
            | Target::Rejected
            | Target::Ignored
            | Target::Nowhere => None,
        })
    }

    /// What the file calls the keys, the strongest first; where it has none, the field's own name.
    #[must_use]
    pub fn key_headers(&self) -> [String; 3] {
        [BuiltIn::ExternalId, BuiltIn::Email, BuiltIn::Phone].map(|key| {
            let column = self.layout.columns.iter().find(|column| column.target == Target::BuiltIn(key));
            column.map_or_else(|| key.as_str().to_owned(), |column| column.header.clone())
        })
    }

    /// The header of the file of its rejected rows; empty where that has none.
    #[must_use]
    pub fn rejected_header(&self) -> String {
        if matches!(self.source, Source::Jsonl(_)) {
            return String::new();
        }
        let own = self.layout.columns.iter().filter(|column| column.target != Target::Rejected);
        rejected::header(own.map(|column| column.header.as_str()))
    }

    /// The next row that is not blank; `None` at the end of the file. Rows of nothing but delimiters count as blank:
    /// spreadsheets leave them below their tables.
    ///
    /// # Errors
    /// [`ImportError::UnclosedQuote`] and [`ImportError::Io`], after which there is nothing more to read.
    pub fn next_row(&mut self) -> Result<Option<Row>, ImportError> {
        if self.is_broken {
            return Ok(None);
        }
        let row = match self.source {
            Source::Csv(_) => self.next_record(),
            Source::Jsonl(_) => self.next_object(),
        };
        self.is_broken = row.is_err();
        row
    }

    fn next_record(&mut self) -> Result<Option<Row>, ImportError> {
        let Source::Csv(records) = &mut self.source else { return Ok(None) };
        while records.read(&mut self.record)? {
            if self.record.overflow.is_some() || !self.record.cells().all(|cell| cell.trim_ascii().is_empty()) {
                let end = ResumePoint { byte: records.byte, line: records.line() };
                let mut told = Told::default();
                let errors = self.fill(&mut told);
                let cells = || Cells::of(&self.record, &self.layout.columns, self.is_protected);
                return Ok(Some(Row::of(told, errors, (self.record.line, end), cells)));
            }
        }
        Ok(None)
    }

    /// How far the file is read, in bytes.
    fn position(&self) -> u64 {
        match &self.source {
            Source::Csv(records) => records.byte,
            Source::Jsonl(objects) => objects.lines.byte,
        }
    }

    /// Reads the contact in the present record, and everything that is wrong with it; what can be read is there all the same.
    fn fill(&self, told: &mut Told) -> Vec<FieldError> {
        if let Err(error) = self.check_shape() {
            self.fill_refusal(told);
            return vec![error];
        }
        let Layout { columns, proof, .. } = &self.layout;
        let mut wrong: Vec<(&Column, FieldError)> = Vec::new();
        let mut is_proven = proof.is_empty();
        for (place, (column, cell)) in columns.iter().zip(self.record.cells()).enumerate() {
            let cell = if self.is_protected { unprotected(cell) } else { cell };
            let filled = if self.is_protected { rejected::check(column, cell) } else { Ok(()) };
            is_proven = is_proven || proof.contains(&place) && !is_blank(cell);
            match filled.and_then(|()| told.take(column, cell, self.on_list)) {
                Ok(()) if column.target == Target::Nowhere && !is_blank(cell) => told.dropped.push(nameless(place)),
                Ok(()) => {}
                Err(error) => wrong.push((column, FieldError { field: column.header.clone(), ..error })),
            }
        }
        close(told, &self.layout, wrong, is_proven, (self.on_list, self.list.as_deref()))
    }

    /// Reads the keys and what is said of consent in a record of the wrong shape: a refusal counts all the same.
    fn fill_refusal(&self, told: &mut Told) {
        for (column, cell) in self.layout.columns.iter().zip(self.record.cells()) {
            let is_said = matches!(column.target, Target::Consent(_) | Target::BuiltIn(_));
            let cell = if self.is_protected { unprotected(cell) } else { cell };
            if is_said {
                // The row is rejected for its shape already.
                let _wrong = told.take(column, cell, self.on_list);
            }
        }
        told.finish_refusal(self.list.as_deref());
    }

    fn check_shape(&self) -> Result<(), FieldError> {
        let (found, wanted) = (self.record.count, self.layout.columns.len());
        let (field, code, reason) = match self.record.overflow {
            Some(Overflow::Cell(index)) => (
                self.layout.columns.get(index).map_or(ROW, |column| &column.header),
                "cell_too_long",
                format!("is longer than {MAX_CELL_BYTES} bytes"),
            ),
            Some(Overflow::Record) => (ROW, "row_too_long", format!("is longer than {MAX_RECORD_BYTES} bytes")),
            None if found > wanted && self.has_more() => {
                (ROW, "too_many_cells", format!("has {found} cells, the header {wanted}: is a delimiter not quoted?"))
            }
            // Its cells may have moved, or be lost: nobody is written to because a `no` is not where it was.
            None if found != wanted && self.is_silent() => {
                let code = if found > wanted { "too_many_cells" } else { "too_few_cells" };
                (ROW, code, format!("has {found} cells, the header {wanted}, and none that says the status"))
            }
            None => return Ok(()),
        };
        Err(FieldError::new(field, code, reason))
    }

    /// Whether something stands in the present record beyond the header.
    fn has_more(&self) -> bool {
        let is_unknown = self.record.count > MAX_COLUMNS;
        is_unknown || self.record.cells().skip(self.layout.columns.len()).any(|cell| !is_blank(cell))
    }

    /// Whether the file has a column that must say whether contacts agree, and the present record nothing in it.
    fn is_silent(&self) -> bool {
        let mut consents = self.layout.columns.iter().enumerate();
        consents.any(|(place, column)| {
            matches!(
                column.target,
                Target::Consent(Consent::Word | Consent::Stands | Consent::Agreed | Consent::Reasons)
            ) && self.record.cells().nth(place).is_none_or(is_blank)
        })
    }
}

/// What is wrong with a row of which everything was read: `wrong` are its cells, `is_proven` whether it shows what the person has said, and the
/// rest says which list it is for.
fn close(
    told: &mut Told,
    Layout { columns, proof, .. }: &Layout,
    wrong: Vec<(&Column, FieldError)>,
    is_proven: bool,
    (on_list, list): (bool, Option<&str>),
) -> Vec<FieldError> {
    let unproven = proof.first().filter(|_| !is_proven).and_then(|place| columns.get(*place));
    let mut errors = told.finish(columns, unproven, on_list, list);
    if wrong.iter().all(|(column, error)| is_spare(&told.draft, column, error)) {
        told.dropped.extend(wrong.into_iter().map(|(_, error)| error));
    } else {
        errors.extend(wrong.into_iter().map(|(_, error)| error));
    }
    // A key that was given but is wrong has its own error already.
    if errors.is_empty()
        && let Err(error) = told.draft.check_key()
    {
        errors.push(FieldError { field: ROW.to_owned(), ..error });
    }
    errors
}

impl Row {
    /// A row that begins on a line and ends there: what was told, what is wrong with it, and how it is kept if anything is.
    fn of(told: Told, errors: Vec<FieldError>, (line, end): (u64, ResumePoint), cells: impl FnOnce() -> Cells) -> Self {
        let Told { draft, said, dropped, .. } = told;
        if errors.is_empty() {
            let (cells, refused) = Default::default();
            return Self { line, end, cells, result: Ok(draft), said, dropped, refused };
        }
        let says_no = said.standing == Some(Standing::Unsubscribed) || !said.suppressed.is_empty();
        let mut keys = draft.fields;
        if keys.email.is_some() {
            // Who shares it has said nothing.
            keys.phone = None;
        }
        let refused = if says_no { keys_as_addresses(&keys) } else { Vec::new() };
        Self { line, end, cells: cells(), result: Err(errors), said, dropped: Vec::new(), refused }
    }
}

fn is_blank(cell: &[u8]) -> bool {
    std::str::from_utf8(cell).is_ok_and(|text| trim(text).is_empty())
}

/// What is said of a cell below no column's name.
fn nameless(place: usize) -> FieldError {
    let why = "stands below no column's name, and is not kept: give the column a name in the first line";
    FieldError::new(format!("column {}", place + 1), "column_without_name", why)
}

/// Whether a draft can do without the cell that is wrong: a key beside a stronger one. Bytes that are no text may be a sign of more.
fn is_spare(draft: &ContactDraft, column: &Column, error: &FieldError) -> bool {
    let [external_id, email, _] = draft.fields.keys();
    let has_stronger = (column.target == Target::BuiltIn(BuiltIn::Email) && external_id.is_some())
        || (column.target == Target::BuiltIn(BuiltIn::Phone) && external_id.or(email).is_some());
    has_stronger && error.code != "encoding"
}

/// What an error is about that no column alone is to blame for.
const ROW: &str = "row";

#[cfg(test)]
mod tests;
