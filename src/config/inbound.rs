//! `[inbound]`: what somebody who answers can say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::callbacks::words::{Ask, Words};

/// Words by language.
type ByLanguage = BTreeMap<String, Vec<String>>;

/// `[inbound]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inbound {
    /// Words by which somebody wants nothing more on the channel. `en`: STOP, STOPALL, UNSUBSCRIBE, CANCEL, END, QUIT.
    pub stop: ByLanguage,
    /// Words by which somebody wants to be written to again. `en`: START, UNSTOP.
    pub start: ByLanguage,
    /// Words by which somebody asks for help. `en`: HELP, INFO.
    pub help: ByLanguage,
}

impl Default for Inbound {
    fn default() -> Self {
        let english = |words: &[&str]| {
            ByLanguage::from([("en".to_owned(), words.iter().map(|word| (*word).to_owned()).collect())])
        };
        Self {
            stop: english(&["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"]),
            start: english(&["START", "UNSTOP"]),
            help: english(&["HELP", "INFO"]),
        }
    }
}

impl Inbound {
    /// The words of each meaning.
    #[must_use]
    pub const fn of(&self, ask: Ask) -> &ByLanguage {
        match ask {
            Ask::Stop => &self.stop,
            Ask::Start => &self.start,
            Ask::Help => &self.help,
        }
    }

    /// All words, of all languages.
    #[must_use]
    pub fn words(&self) -> Words {
        let mut words = Words::default();
        for ask in Ask::ALL {
            for word in self.of(*ask).values().flatten() {
                // A wrong one has stopped the start.
                let _ = words.add(*ask, word);
            }
        }
        words
    }
}
