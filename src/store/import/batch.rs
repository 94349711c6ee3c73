//! Rows of a file that are stored together, and why some of them are not.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::import::ResumePoint;
use crate::domain::people::consent::Said;
use crate::domain::people::contact::{ContactDraft, FieldError};

/// How many rejected rows are kept with their reasons, and how many dropped cells.
pub const KEPT_REJECTIONS: usize = 100;

/// Why a row was refused, or a cell of a row dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rejection {
    /// The line on which the row begins; the file's first line is 1.
    pub line: u64,
    /// The column's header, or `row`.
    pub column: String,
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub reason: String,
}

impl Rejection {
    /// An error of the row on this line.
    #[must_use]
    pub fn of(line: u64, error: FieldError) -> Self {
        Self { line, column: error.field, code: error.code.into_owned(), reason: error.reason }
    }
}

/// Rows that are stored together.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Where the import must stand for this batch to be the next.
    pub from: Option<ResumePoint>,
    /// Where it stands afterwards.
    pub to: ResumePoint,
    /// The lines of the drafts.
    pub lines: Vec<u64>,
    /// The good rows.
    pub drafts: Vec<ContactDraft>,
    /// What they say besides the contacts' fields.
    pub said: Vec<Said>,
    /// How many rows were refused.
    pub rejected_rows: usize,
    /// Why, for the first of them.
    pub rejections: Vec<Rejection>,
    /// All that were refused, as lines of a file like that of the import.
    pub rejected: String,
    /// How many rows, good or not, say that an address is not written to any more.
    pub suppressed_rows: usize,
    /// How many cells of the good rows were dropped.
    pub dropped_cells: usize,
    /// Why, for the first of them.
    pub dropped: Vec<Rejection>,
    /// What the file calls the keys, the strongest first.
    pub key_headers: Arc<[String; 3]>,
}
