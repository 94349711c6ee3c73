//! An answer as it came, whatever version of HTTP carried it.

/// An answer up to its body, as far as anybody asks.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    pub(super) date: Option<String>,
    pub(super) location: Option<String>,
    /// Whether the body is packed (`Content-Encoding`), although nobody asked for that.
    pub(super) packed: bool,
    /// Whether the whole request had been given to the system before the answer came. If not, the server answered
    /// without having read it whole.
    pub(super) sent_whole: bool,
}

/// What came of an answer's body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    Whole(Vec<u8>),
    /// The beginning of a longer one.
    Capped(Vec<u8>),
    /// Cut, or not to be understood.
    Broken,
}

impl Head {
    /// An answer without headers.
    pub(super) fn new(status: u16) -> Self {
        Self { status, retry_after: None, date: None, location: None, packed: false, sent_whole: false }
    }

    /// Takes a header in.
    pub(super) fn note(&mut self, name: &str, value: &[u8]) {
        let value = || String::from_utf8_lossy(value).trim().to_owned();
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("content-encoding") {
            self.packed |= !value().split(',').all(|coding| matches!(coding.trim(), "" | "identity"));
        } else if is("retry-after") {
            self.retry_after = Some(value());
        } else if is("date") && self.status >= 300 {
            self.date = Some(value());
        } else if is("location") && (300..400).contains(&self.status) {
            self.location = Some(value());
        }
    }
}
