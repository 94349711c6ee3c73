//! What the words of inbound messages may be.

use super::{Check, bad, ensure};
use crate::config::inbound::Inbound;
use crate::domain::callbacks::words::{Ask, Words};
use crate::domain::people::locale;

impl Inbound {
    pub(super) fn check(&self) -> Check {
        let mut words = Words::default();
        // English first: it has default words, and the other list is the one to change.
        for is_english in [true, false] {
            for ask in Ask::ALL {
                let lists = self.of(*ask).iter().filter(|(language, _)| (*language == "en") == is_english);
                lists.into_iter().try_for_each(|(language, list)| add(&mut words, *ask, language, list))?;
            }
        }
        let has_stop = self.stop.values().any(|all| !all.is_empty());
        let language = self.stop.keys().next().map_or("en", String::as_str);
        ensure(has_stop, &format!("inbound.stop.{language}"), "needs a word: without one, nobody could say no")
    }
}

fn add(words: &mut Words, ask: Ask, language: &str, list: &[String]) -> Check {
    let key = format!("inbound.{ask}.{language}");
    locale::parse(language).map_err(|error| bad(&key, format!("{language:?} {error}")))?;
    list.iter().try_for_each(|word| words.add(ask, word).map_err(|error| bad(&key, format!("{word:?} {error}"))))
}
