//! The beginning of a file that is only looked at. The rest is read and dropped, so that memory does not grow with the file; what of it
//! decides its encoding is noted on the way, as for a file that is imported.

use std::io::Cursor;

use actix_web::web::Bytes;

use super::receiving::blocking;
use crate::domain::import::encoding::{Guesser, Sniffed, Sniffer, TextEncoding};
use crate::domain::import::looking::{Look, look};
use crate::domain::import::reading::Reading;
use crate::domain::import::{ImportError, other_file};
use crate::http::state::AppState;
use crate::http::web::problem::ApiError;

/// How much of a file is kept, in bytes, and of how much that is not ASCII alone its encoding is guessed: guessing costs much more than reading.
const KEPT_BYTES: usize = 1 << 20;
const GUESSED_BYTES: usize = 1 << 20;

/// A file of which a part has arrived.
pub(in crate::http) struct Head {
    kept: Vec<u8>,
    received: u64,
    limit: u64,
    sniffer: Sniffer,
    guesser: Guesser,
    /// How many bytes the guesser has seen.
    guessed: usize,
}

/// The beginning of a file that has arrived whole.
pub(in crate::http) struct Seen {
    kept: Vec<u8>,
    /// The length of the whole file.
    pub(super) bytes: u64,
    sniffed: Sniffed,
    guessed: TextEncoding,
}

impl Head {
    /// Begins to look at a file of at most as many bytes as the settings allow.
    pub(in crate::http) fn begin(state: &AppState) -> Self {
        let limit = state.settings.http.max_import_bytes;
        let (sniffer, guesser) = (Sniffer::default(), Guesser::default());
        Self { kept: Vec::new(), received: 0, limit, sniffer, guesser, guessed: 0 }
    }

    /// Takes the next piece.
    pub(in crate::http) fn take(&mut self, chunk: &Bytes) -> Result<(), ApiError> {
        self.received += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        if self.received > self.limit {
            return Err(ApiError::TooLarge { limit: self.limit });
        }
        self.sniffer.take(chunk);
        if self.guessed < GUESSED_BYTES && !chunk.is_ascii() {
            self.guessed += chunk.len();
            self.guesser.take(chunk);
        }
        let room = KEPT_BYTES.saturating_sub(self.kept.len());
        self.kept.extend(chunk.iter().take(room));
        Ok(())
    }

    /// What was seen of the whole file.
    pub(in crate::http) fn finish(self) -> Seen {
        let Self { kept, received, sniffer, guesser, .. } = self;
        Seen { kept, bytes: received, sniffed: sniffer.finish(), guessed: guesser.finish() }
    }
}

impl Seen {
    /// Reads up to `most` rows, in the encoding that is `given`, else in the one that is recognised.
    pub(super) async fn look(
        self,
        given: Option<TextEncoding>,
        most: usize,
        reading: Reading,
    ) -> Result<(Result<Look, ImportError>, TextEncoding), ApiError> {
        let encoding = match (given, self.sniffed) {
            (Some(encoding), _) | (None, Sniffed::Known(encoding)) => encoding,
            (None, Sniffed::Other) => self.guessed,
        };
        if let Err(error) = other_file::check(&self.kept) {
            return Ok((Err(error), encoding));
        }
        let is_cut = u64::try_from(self.kept.len()).unwrap_or(u64::MAX) < self.bytes;
        let read = move || {
            let text = if encoding == TextEncoding::UTF_8 {
                self.kept
            } else {
                let mut text = Vec::with_capacity(self.kept.len());
                encoding.transcode(self.kept.as_slice(), &mut text)?;
                text
            };
            let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
            Ok((look(Cursor::new(text), length, is_cut, most, &reading), encoding))
        };
        blocking(read).await
    }
}
