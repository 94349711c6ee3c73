//! What a person writes into the audit log: on what evidence something was decided.

use crate::domain::callbacks::delivery_key::DeliveryKey;

/// The longest note, in characters.
pub const MAX_NOTE: usize = 1_000;

/// From so many digits on, a number with a plus is taken for a telephone number.
const DIGITS_OF_A_PHONE: usize = 7;

/// A note for the audit log. It names nobody by an address: the log is kept longer than contacts are, and is read by others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note(String);

/// Why a text is no note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is empty.
    #[error("say on what evidence you decide, in 1 to {MAX_NOTE} characters")]
    Empty,
    /// It is too long.
    #[error("has more than {MAX_NOTE} characters")]
    TooLong,
    /// It has characters that are not written.
    #[error("has a control character")]
    Control,
    /// It names somebody.
    #[error(
        "names an address or a telephone number, and the audit log holds none: name people by contact id or Message-ID"
    )]
    NamesSomebody,
}

impl NoteError {
    /// Stable, for machines.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "required",
            Self::TooLong => "too_long",
            Self::Control => "control_character",
            Self::NamesSomebody => "names_somebody",
        }
    }
}

impl Note {
    /// Reads a note.
    ///
    /// # Errors
    /// It is empty, too long, or names an address.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NoteError::Empty);
        }
        if text.chars().count() > MAX_NOTE {
            return Err(NoteError::TooLong);
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(NoteError::Control);
        }
        if text.split_whitespace().any(is_address) || names_a_phone(text) {
            return Err(NoteError::NamesSomebody);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a word is an address. A `Message-ID` of Volley looks like one, and names a contact by id.
fn is_address(word: &str) -> bool {
    let is_ours = |part: &str| DeliveryKey::parse(part).is_some_and(|key| is_campaign_key(&key.campaign));
    word.split([',', ';', '=', '(', ')']).any(|part| part.contains('@') && !is_ours(part))
}

/// Whether a text is like the random key of a campaign.
fn is_campaign_key(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn names_a_phone(text: &str) -> bool {
    text.split('+').skip(1).any(|after| {
        let number = after.chars().take_while(|c| c.is_ascii_digit() || " -()./".contains(*c));
        number.filter(char::is_ascii_digit).count() >= DIGITS_OF_A_PHONE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_names_nobody_by_an_address() {
        for text in [
            "relay log of 09:14, nine lines",
            " ticket 4711 ",
            "<0123456789abcdef01234567-42@example.com> was queued",
            "message-id=0123456789abcdef01234567-42@example.com",
            "2 + 2, +5 others",
        ] {
            assert_eq!(Note::parse(text).map(|note| note.as_str().to_owned()), Ok(text.trim().to_owned()));
        }
        let long = "x".repeat(MAX_NOTE + 1);
        for (text, error) in [
            ("", NoteError::Empty),
            (" \n", NoteError::Empty),
            (&long, NoteError::TooLong),
            ("a\0b", NoteError::Control),
            ("ann@example.com says so", NoteError::NamesSomebody),
            ("(ann@example.com)", NoteError::NamesSomebody),
            ("ann-42@example.com", NoteError::NamesSomebody),
            ("to=<ann@example.com>,", NoteError::NamesSomebody),
            ("call +1 415 555-2671", NoteError::NamesSomebody),
        ] {
            assert_eq!(Note::parse(text), Err(error), "{text}");
        }
    }
}
