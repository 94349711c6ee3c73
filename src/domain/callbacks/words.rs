//! Words by which somebody who answers says what to do: stop, start again, help.

use std::collections::HashMap;

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::domain::text_enum::text_enum;

/// The longest word, in characters.
pub const LONGEST_WORD: usize = 40;

/// The longest text that is compared with words, in bytes. A longer one is none of them.
const LONGEST_TEXT: usize = 1_024;

text_enum! {
    /// What a message asks for.
    Ask {
        /// Nothing more on this channel.
        Stop = "stop",
        /// To be written to again on this channel.
        Start = "start",
        /// To be told what this is.
        Help = "help",
    }
}

/// Why a text cannot be such a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// Nothing would be left of it.
    #[error("must have a letter or a digit")]
    Empty,
    /// It is too long.
    #[error("is longer than {LONGEST_WORD} characters")]
    TooLong,
    /// It stands elsewhere with another meaning.
    #[error("is also a word of {0}: a word has one meaning, in all languages")]
    Taken(Ask),
}

/// Words, and what each of them asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(HashMap<String, Ask>);

impl Words {
    /// Adds a word. To add it again with the same meaning changes nothing.
    ///
    /// # Errors
    /// [`WordError`]; nothing is added then.
    pub fn add(&mut self, ask: Ask, word: &str) -> Result<(), WordError> {
        let word = folded(word);
        if word.is_empty() {
            return Err(WordError::Empty);
        }
        if word.chars().count() > LONGEST_WORD {
            return Err(WordError::TooLong);
        }
        match self.0.get(&word) {
            Some(taken) if *taken != ask => Err(WordError::Taken(*taken)),
            Some(_) => Ok(()),
            None => {
                self.0.insert(word, ask);
                Ok(())
            }
        }
    }

    /// What a message asks for. `None`: its whole text is none of the words.
    #[must_use]
    pub fn asked(&self, text: &str) -> Option<Ask> {
        let text = text.trim();
        // A word with less than this around it is still found: nobody reads a long message as one word.
        if text.len() > LONGEST_TEXT { None } else { self.0.get(&folded(text)).copied() }
    }
}

/// One spelling for what is meant alike: compatible forms composed (NFKC), without case, without what is neither letter nor digit
/// around it, and with one blank where there is white space within.
fn folded(text: &str) -> String {
    const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();
    let text = NFKC.normalize(text);
    let text = text.trim_matches(|c: char| !c.is_alphanumeric());
    // First to upper case, so that ß and SS, and all forms of the Greek sigma, are alike. The dot is what is left of a Turkish İ.
    let text = text.to_uppercase().to_lowercase().replace('\u{307}', "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        let mut words = Words::default();
        for (ask, word) in [
            (Ask::Stop, "STOP"),
            (Ask::Stop, "Stop all"),
            (Ask::Stop, "ARRÊT"),
            (Ask::Stop, "ΔΙΑΓΡΑΦΗΣ"),
            (Ask::Stop, "Schluß"),
            (Ask::Stop, "iptal"),
            (Ask::Stop, "СТОП"),
            (Ask::Start, "START"),
            (Ask::Help, "HELP"),
        ] {
            words.add(ask, word).unwrap();
        }
        words
    }

    #[test]
    fn a_word_is_found_in_any_case_and_with_marks_and_blanks_around_it() {
        for text in [
            "STOP",
            "stop",
            "  Stop \r\n",
            "Stop!",
            "\"stop.\"",
            "«STOP»",
            "¡¡stop!!",
            "stop 🙏",
            "\u{200f}stop\u{200e}",
            "ＳＴＯＰ",
            "stop  ALL",
            "arrêt",
            "arre\u{302}t.",
            "διαγραφης",
            "διαγραφησ",
            "SCHLUSS",
            "İPTAL",
            "стоп",
        ] {
            assert_eq!(words().asked(text), Some(Ask::Stop), "{text:?}");
        }
        assert_eq!(words().asked("start?"), Some(Ask::Start));
        assert_eq!(words().asked("Help"), Some(Ask::Help));
    }

    #[test]
    fn only_the_whole_message_is_a_word() {
        for text in ["", " ", "!", "stop it", "please stop", "stopp", "stop-all", "stop start", "don't stop", "arret"] {
            assert_eq!(words().asked(text), None, "{text:?}");
        }
        assert_eq!(words().asked(&"stop ".repeat(1_000_000)), None);
        assert_eq!(words().asked(&format!("{}stop", " ".repeat(1_000_000))), Some(Ask::Stop));
    }

    #[test]
    fn a_word_has_one_meaning_and_a_length() {
        let mut words = words();
        assert_eq!(words.add(Ask::Stop, "stop!"), Ok(()), "it is there already");
        assert_eq!(words.add(Ask::Start, "ＳＴＯＰ"), Err(WordError::Taken(Ask::Stop)));
        for word in ["", " ", "!?", "\u{200b}"] {
            assert_eq!(words.add(Ask::Help, word), Err(WordError::Empty), "{word:?}");
        }
        assert_eq!(words.add(Ask::Help, &"x".repeat(40)), Ok(()));
        assert_eq!(words.add(Ask::Help, &"x".repeat(41)), Err(WordError::TooLong));
    }
}
