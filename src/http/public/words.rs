//! The words of the public pages, by language.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

/// The languages that are built in.
const BUILT_IN: [(&str, &str); 2] =
    [("en", include_str!("../../../ui/words/en.toml")), ("de", include_str!("../../../ui/words/de.toml"))];

/// The language of who has named none that is known.
const FALLBACK: &str = "en";

macro_rules! words {
    ($($name:ident [$($hole:literal),*],)+) => {
        /// The words of one language. Names in braces are filled in.
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs, reason = "ui/words/en.toml says it better")]
        pub struct Words { $(pub $name: String,)+ }

        impl Words {
            /// Each text, with the names that it must have in braces.
            fn all(&self) -> Vec<(&'static str, &str, &'static [&'static str])> {
                vec![$((stringify!($name), self.$name.as_str(), &[$($hole),*])),+]
            }
        }
    };
}

words! {
    unsubscribe_title [],
    unsubscribe_topics ["{topics}"],
    unsubscribe_everything [],
    address ["{address}"],
    unsubscribe_button [],
    unsubscribed_title [],
    unsubscribed_topics ["{topics}"],
    unsubscribed_everything [],
    unsubscribed_soon [],
    preferences_title [],
    preferences_lead ["{address}"],
    preferences_topics [],
    preferences_none [],
    preferences_tracking [],
    preferences_tracked [],
    preferences_save [],
    preferences_saved [],
    preferences_refused [],
    everything_title [],
    everything_text [],
    everything_button [],
    confirm_title [],
    confirm_question ["{list}", "{address}"],
    confirm_button [],
    confirm_refuse [],
    confirmed_title [],
    confirmed_text ["{list}", "{address}"],
    refused_title [],
    refused_text ["{list}"],
    expired_title [],
    expired_text [],
    outdated_title [],
    outdated_text [],
    outdated_refused [],
    missing_title [],
    missing_text [],
    unread_title [],
    late_text [],
    large_text [],
    away_title [],
    away_text [],
}

impl Words {
    fn parse(text: &str) -> Result<Self, String> {
        let words: Self = toml::from_str(text).map_err(|error| error.message().replace('\n', "; "))?;
        for (name, text, holes) in words.all() {
            if text.trim().is_empty() || text.chars().any(char::is_control) {
                return Err(format!("{name} must be one line of text"));
            }
            if let Some(hole) = holes.iter().find(|hole| !text.contains(**hole)) {
                return Err(format!("{name} lacks {hole}"));
            }
        }
        Ok(words)
    }
}

/// A language, and its words.
#[derive(Debug, Clone)]
pub struct Language {
    /// As HTML names it.
    pub tag: String,
    /// Its words.
    pub words: Words,
}

/// Every language that is known.
#[derive(Debug, Clone)]
pub struct Languages {
    /// By their tags in lower case.
    known: BTreeMap<String, Arc<Language>>,
    fallback: Arc<Language>,
}

impl Languages {
    /// The languages that are built in, and those of the files in `folder`, which win.
    ///
    /// # Errors
    /// In one line, which file cannot be used and why.
    pub fn load(folder: Option<&Path>) -> Result<Self, String> {
        let mut known = BTreeMap::new();
        let mut take = |tag: &str, text: &str| {
            let words = Words::parse(text)?;
            known.insert(tag.to_ascii_lowercase(), Arc::new(Language { tag: tag.to_owned(), words }));
            Ok::<_, String>(())
        };
        for (tag, text) in BUILT_IN {
            take(tag, text).map_err(|reason| format!("{tag}.toml, compiled in: {reason}"))?;
        }
        for path in folder.map(files).transpose()?.into_iter().flatten() {
            let said = |reason: String| format!("{}: {reason}", path.display());
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let tag = crate::domain::people::locale::parse(stem)
                .map_err(|_unknown| said("its name is no language, such as fr.toml or pt-BR.toml".to_owned()))?;
            let text = std::fs::read_to_string(&path).map_err(|error| said(error.to_string()))?;
            take(&tag, &text).map_err(said)?;
        }
        let fallback = known.get(FALLBACK).cloned().ok_or_else(|| format!("there is no {FALLBACK}.toml"))?;
        Ok(Self { known, fallback })
    }

    /// The contact's language, else the first known one that the browser asks for (`Accept-Language`), else English.
    #[must_use]
    pub fn choose(&self, locale: Option<&str>, accepted: Option<&str>) -> Arc<Language> {
        let accepted = accepted.unwrap_or_default().split(',').filter_map(|part| part.split(';').next());
        let wanted = locale.into_iter().chain(accepted.take(20));
        wanted.map(str::trim).find_map(|tag| self.find(tag)).unwrap_or(&self.fallback).clone()
    }

    /// A language by its tag, or by the beginning of it: `de-AT` is served by `de`.
    fn find(&self, tag: &str) -> Option<&Arc<Language>> {
        let mut tag = tag.to_ascii_lowercase();
        loop {
            if let Some(found) = self.known.get(&tag) {
                return Some(found);
            }
            tag.truncate(tag.rfind('-')?);
        }
    }
}

/// The files of languages in a folder.
fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let said = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(said)? {
        let path = entry.map_err(said)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Fills a name in braces in.
#[must_use]
pub fn fill(text: &str, holes: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len() + 64);
    let mut rest = text;
    // Once through, so that what is filled in is never filled in again.
    while let Some(at) = rest.find('{') {
        let (before, after) = rest.split_at(at);
        filled.push_str(before);
        match holes.iter().find(|(hole, _)| after.starts_with(hole)) {
            Some((hole, value)) => {
                filled.push_str(value);
                rest = after.get(hole.len()..).unwrap_or_default();
            }
            None => {
                filled.push('{');
                rest = after.get(1..).unwrap_or_default();
            }
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(languages: &Languages, locale: Option<&str>, accepted: Option<&str>) -> String {
        languages.choose(locale, accepted).tag.clone()
    }

    #[test]
    fn a_contacts_language_comes_before_the_browsers() {
        let languages = Languages::load(None).unwrap();
        for (locale, accepted, expected) in [
            (Some("de-AT"), Some("en"), "de"),
            (Some("fr"), Some("fr-CH, de;q=0.8, en;q=0.5"), "de"),
            (None, Some("de-DE,de;q=0.9"), "de"),
            (None, Some("*"), "en"),
            (Some("DE"), None, "de"),
            (None, None, "en"),
        ] {
            assert_eq!(tag(&languages, locale, accepted), expected, "{locale:?} {accepted:?}");
        }
    }

    #[test]
    fn a_file_in_the_folder_is_another_language_and_a_damaged_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let german = BUILT_IN[1].1;
        std::fs::write(folder.path().join("pt-br.toml"), german.replace("Abmelden", "Cancelar")).unwrap();
        std::fs::write(folder.path().join("README.md"), "x").unwrap();
        let languages = Languages::load(Some(folder.path())).unwrap();
        assert_eq!(tag(&languages, Some("pt-BR"), None), "pt-BR");
        assert_eq!(tag(&languages, Some("pt"), None), "en");
        for (name, text, reason) in [
            ("fr.toml", german.replace("{topics}", "tout"), "unsubscribe_topics lacks {topics}"),
            ("fr.toml", german.replace("Speichern", " "), "preferences_save must be one line"),
            ("fr.toml", german.replace("confirm_title", "confirm_titel"), "confirm_titel"),
            ("fr.toml", String::new(), "missing field"),
            ("french language.toml", german.to_owned(), "its name is no language"),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let refused = Languages::load(Some(folder.path())).unwrap_err();
            assert!(refused.contains(name) && refused.contains(reason) && !refused.contains('\n'), "{refused}");
            std::fs::remove_file(path).unwrap();
        }
        assert!(Languages::load(Some(Path::new("/nonexistent"))).is_err());
    }

    #[test]
    fn what_is_filled_in_is_not_filled_in_again() {
        assert_eq!(fill("{a} and {b}, {c}", &[("{a}", "{b}"), ("{b}", "x")]), "{b} and x, {c}");
    }
}
