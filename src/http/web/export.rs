//! How a request wants an export written.

use actix_web::HttpResponse;
use std::error::Error;

use super::csv::{Portion, document};
use super::extract::{Params, bad_parameter};
use super::problem::ApiError;
use crate::domain::export::Format;

/// How an export is written.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Written {
    /// CSV, unless it is asked for something else.
    pub(in crate::http) format: Format,
    /// Whether cells stand as they are, also those that a spreadsheet would take for formulas.
    pub(in crate::http) raw: bool,
}

impl Written {
    /// Reads the parameters `format` and `raw`.
    ///
    /// # Errors
    /// A value is not allowed, or `raw` is not for this format.
    pub(in crate::http) fn read(params: &Params) -> Result<Self, ApiError> {
        let format = params.choice("format", Format::ALL)?.unwrap_or(Format::Csv);
        let raw = params.choice("raw", &["true", "false"])?;
        if format != Format::Csv && raw.is_some() {
            return Err(bad_parameter("raw", "not_allowed", "is for format=csv: JSON is never protected".to_owned()));
        }
        Ok(Self { format, raw: raw == Some("true") })
    }

    /// The export as a file of this name, which gets its ending here. CSV has this header.
    pub(in crate::http) fn answer<K, F, E>(
        self,
        file: &str,
        header: &str,
        first: Portion<K>,
        read: impl Fn(K) -> F + 'static,
    ) -> HttpResponse
    where
        K: 'static,
        F: Future<Output = Result<Portion<K>, E>> + 'static,
        E: Into<Box<dyn Error>> + 'static,
    {
        let header = match self.format {
            Format::Csv => format!("{header}\r\n"),
            Format::Jsonl => String::new(),
        };
        document(&format!("{file}.{}", self.format), self.format, header, first, read)
    }
}
