//! Prints what needs no template language.

use std::fmt::Write as _;

use super::marks;
use super::names::Found;
use super::provided::Provided;
use super::tracked::{Mark, TrackedHtml};
use super::{MAX_OUTPUT_BYTES, Part, Piece, RenderError, engine};
use crate::domain::people::contact::Profile;
use crate::domain::people::link::tracked::Tracker;

/// Prints a part for one contact.
pub(super) struct Printer<'a> {
    pub(super) part: Part,
    pub(super) profile: &'a Profile,
    pub(super) provided: &'a Provided,
    /// What is tracked of it, and who signs it.
    pub(super) tracked: Option<(&'a TrackedHtml, &'a Tracker)>,
}

impl Printer<'_> {
    /// Prints its pieces.
    ///
    /// # Errors
    /// [`RenderError::TooLong`].
    pub(super) fn print(&self, pieces: &[Piece]) -> Result<String, RenderError> {
        let size: usize = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.len(),
                Piece::Field(..) => 32,
                Piece::Mark(_) => 192,
            })
            .sum();
        let mut out = String::with_capacity(size);
        for piece in pieces {
            let written = self.write(&mut out, piece, self.part == Part::Html);
            if written.is_err() || out.len() > MAX_OUTPUT_BYTES {
                return Err(RenderError::TooLong { part: self.part });
            }
        }
        Ok(out)
    }

    fn write(&self, out: &mut String, piece: &Piece, is_html: bool) -> std::fmt::Result {
        match piece {
            Piece::Text(text) => out.write_str(text),
            Piece::Field(lookup, fallback) => match (lookup.find(self.profile, self.provided), fallback) {
                (Some(Found::Text(text)), _) => engine::write_text(out, &text, is_html),
                (Some(Found::Json(json)), _) => engine::write_text(out, &json.to_string(), is_html),
                (None, Some(fallback)) => engine::write_text(out, fallback, is_html),
                (None, None) => Ok(()),
            },
            Piece::Mark(mark) => self.write_mark(out, mark),
        }
    }

    fn write_mark(&self, out: &mut String, mark: &Mark) -> std::fmt::Result {
        let Some((tracked, tracker)) = self.tracked else { return Ok(()) };
        match mark {
            Mark::Pixel => out.write_str(&marks::pixel(tracker)),
            Mark::Link(place, pieces) => {
                let mut address = String::new();
                if !tracked.marks.is_fixed(*place) {
                    pieces.iter().try_for_each(|piece| self.write(&mut address, piece, false))?;
                }
                match tracked.marks.signed(*place, &address, tracker) {
                    Some(signed) => out.write_str(&signed),
                    None => engine::write_text(out, &address, true),
                }
            }
        }
    }
}
