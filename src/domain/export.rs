//! How people and deliveries are written into a file.

use super::text_enum::text_enum;

text_enum! {
    /// How a file is written.
    Format {
        /// Comma-separated values with a header, for spreadsheets and imports.
        Csv = "csv",
        /// A JSON object on each line, for programs.
        Jsonl = "jsonl",
    }
}

impl Format {
    /// What such a file is to HTTP.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Jsonl => "application/x-ndjson",
        }
    }
}
