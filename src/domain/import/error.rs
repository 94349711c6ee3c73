//! Why a file cannot be imported.

use std::io;

use super::MAX_COLUMNS;
use super::records::{MAX_CELL_BYTES, RecordError};
use crate::domain::shown::listed;

/// Why a file cannot be imported, or no further.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// No header.
    #[error("the file is empty: its first line must name the columns")]
    Empty,
    /// It is no text at all.
    #[error("the file is {what}")]
    NotText {
        /// What it is, and what to do with it.
        what: &'static str,
    },
    /// It is JSON, but not a JSON object on each line.
    #[error("the file is {what}")]
    NotLines {
        /// What it is, and what to do with it.
        what: &'static str,
    },
    /// Bytes in the header that are no text.
    #[error(
        "the file's first line has bytes that are no text (byte {byte}): name its encoding, or export it as \"CSV UTF-8\""
    )]
    Encoding {
        /// The first byte that is not UTF-8, from 0.
        byte: u64,
    },
    /// More than [`MAX_COLUMNS`].
    #[error("the file has {found} columns, the most is {MAX_COLUMNS}")]
    TooManyColumns {
        /// How many.
        found: usize,
    },
    /// A header is longer than a cell may be.
    #[error("a column's name is longer than {MAX_CELL_BYTES} bytes")]
    HeaderTooLong,
    /// A column may say whether people agree, and its name does not say how.
    #[error(
        "column {header:?} may say whether people agree, and its name does not tell how it is to be read: map it to opt_in (yes: agrees), \
         opt_out (yes: has refused), status, attributes.NAME if it is about something else, or - to pass it over"
    )]
    ColumnUnclear {
        /// Its name.
        header: String,
    },
    /// Two columns mean the same.
    #[error(
        "columns {first:?} and {second:?} are both {name}: map one of them to another field, or to - to pass it over"
    )]
    DuplicateColumn {
        /// What they mean.
        name: String,
        /// The first one's header.
        first: String,
        /// The second one's header.
        second: String,
    },
    /// A header makes no attribute name.
    #[error(
        "column {header:?} cannot be an attribute: {reason}. Map it: map=HEADER:attributes.NAME, or --map 'HEADER=attributes.NAME'; to - it is passed over"
    )]
    ColumnName {
        /// The header.
        header: String,
        /// Why not.
        reason: String,
    },
    /// A mapping names a column that is not there.
    #[error("the file has no column {header:?}, which is mapped; it has: {found}")]
    NoMappedColumn {
        /// The column.
        header: String,
        /// The headers, as an error lists them.
        found: String,
    },
    /// A mapping is of use with a list only.
    #[error("column {header:?} cannot be {field}: that is about a list, and none is named")]
    MapNeedsList {
        /// The column.
        header: String,
        /// What it was to be.
        field: String,
    },
    /// Nothing to know people by.
    #[error(
        "the file needs a column email, phone or external_id; it has: {}. A mapping says which column is one of them: map=HEADER:email, or --map 'HEADER=email'",
        listed(found)
    )]
    NoKeyColumn {
        /// The headers.
        found: Vec<String>,
    },
    /// No column of addresses, in a file of suppressions.
    #[error(
        "the file needs a column address, email or phone; it has: {}. Name the column so in the file",
        listed(found)
    )]
    NoAddressColumn {
        /// The headers.
        found: Vec<String>,
    },
    /// No line of JSON lines could be read.
    #[error("the file has no JSON object in its first lines: line {line} {reason}")]
    NoObject {
        /// The first one that is wrong, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A quote that nothing closes: all that follows would be one cell.
    #[error("the quote that opens on line {line} is not closed")]
    UnclosedQuote {
        /// Where it opens, from 1.
        line: u64,
    },
    /// The file cannot be read.
    #[error("cannot read the file")]
    Io(#[source] io::Error),
}

impl ImportError {
    /// Stable, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "csv_empty",
            Self::NotText { .. } => "not_text",
            Self::NotLines { .. } => "not_lines",
            Self::Encoding { .. } => "encoding",
            Self::TooManyColumns { .. } => "too_many_columns",
            Self::HeaderTooLong => "header_too_long",
            Self::ColumnUnclear { .. } => "column_unclear",
            Self::DuplicateColumn { .. } => "duplicate_column",
            Self::ColumnName { .. } => "column_name",
            Self::NoMappedColumn { .. } => "map_no_column",
            Self::MapNeedsList { .. } => "map_needs_list",
            Self::NoKeyColumn { .. } => "no_key_column",
            Self::NoAddressColumn { .. } => "no_address_column",
            Self::NoObject { .. } => "jsonl_no_object",
            Self::UnclosedQuote { .. } => "unclosed_quote",
            Self::Io(_) => "read_failed",
        }
    }
}

impl From<RecordError> for ImportError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Io(source) => Self::Io(source),
            RecordError::UnclosedQuote { line } => Self::UnclosedQuote { line },
        }
    }
}
