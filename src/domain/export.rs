//! How people and deliveries are written into a file, and read from one.

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

#[expect(clippy::derivable_impls, reason = "a macro makes the enum")]
impl Default for Format {
    fn default() -> Self {
        Self::Csv
    }
}

impl Format {
    /// The format of a file by the end of its name, as far as that says it: `.jsonl`, `.ndjson`, `.csv`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let (_, end) = name.rsplit_once('.')?;
        match end.to_ascii_lowercase().as_str() {
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }

    /// What such a file is to HTTP.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Jsonl => "application/x-ndjson",
        }
    }
}
