//! What Volley and the campaign bring to a message, beside the contact's data.

use crate::domain::content::props::Props;

/// The name of a value that Volley brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProvidedName {
    /// Where the recipient says no to the campaign's topics.
    UnsubscribeUrl,
    /// Where the recipient sees and changes what they agreed to.
    PreferencesUrl,
    /// The sender's postal address.
    PostalAddress,
}

impl ProvidedName {
    /// Every name.
    pub const ALL: &[Self] = &[Self::UnsubscribeUrl, Self::PreferencesUrl, Self::PostalAddress];

    /// As templates spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnsubscribeUrl => "unsubscribe_url",
            Self::PreferencesUrl => "preferences_url",
            Self::PostalAddress => "postal_address",
        }
    }

    /// The value that templates call `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.as_str() == name)
    }
}

/// The values, for one recipient. What is missing prints nothing, unless the contact has an attribute of that name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provided {
    /// Where the recipient says no to the campaign's topics.
    pub unsubscribe_url: Option<String>,
    /// Where the recipient sees and changes what they agreed to.
    pub preferences_url: Option<String>,
    /// The sender's postal address.
    pub postal_address: Option<String>,
    /// The campaign's own values.
    pub props: Props,
}

impl Provided {
    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: ProvidedName) -> Option<&str> {
        match name {
            ProvidedName::UnsubscribeUrl => self.unsubscribe_url.as_deref(),
            ProvidedName::PreferencesUrl => self.preferences_url.as_deref(),
            ProvidedName::PostalAddress => self.postal_address.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::domain::content::template::{Compiled, Content, Part, TemplateError};
    use crate::domain::people::contact::Profile;

    fn provided() -> Provided {
        Provided {
            unsubscribe_url: Some("https://mail.example.com/u/abc".to_owned()),
            preferences_url: Some("https://mail.example.com/preferences/abc".to_owned()),
            postal_address: Some("A & B Ltd, 1 High Street".to_owned()),
            props: Props::default(),
        }
    }

    fn ann() -> Profile {
        Profile { attributes: [("postal_address".to_owned(), json!("Ann's home"))].into(), ..Profile::default() }
    }

    fn compile(text: &str, html: Option<&str>) -> Result<Compiled, TemplateError> {
        let content = Content { text: text.to_owned(), html: html.map(str::to_owned), ..Content::default() };
        Compiled::compile(&content, &BTreeSet::from(["postal_address".to_owned()]))
    }

    #[test]
    fn what_volley_brings_is_printed_in_every_spelling() {
        for source in [
            "{unsubscribe_url}",
            "{{ unsubscribe_url }}",
            "{unsubscribe_url|none}",
            "{% if true %}{{ unsubscribe_url }}{% endif %}",
        ] {
            let message = compile(source, None).unwrap().render_for(&ann(), &provided(), None).unwrap();
            assert_eq!(message.text, "https://mail.example.com/u/abc", "{source}");
        }
        let html = compile("", Some("{{ preferences_url }} {{ postal_address }}")).unwrap();
        let html = html.render_for(&ann(), &provided(), None).unwrap().html.unwrap();
        assert_eq!(html, "https://mail.example.com/preferences/abc A &amp; B Ltd, 1 High Street");
    }

    #[test]
    fn an_attribute_of_the_same_name_stands_after_contact() {
        for source in [
            "{postal_address}, {contact.postal_address}",
            "{% if true %}{{ postal_address }}, {{ contact.postal_address }}{% endif %}",
        ] {
            let compiled = compile(source, None).unwrap();
            let with = compiled.render_for(&ann(), &provided(), None).unwrap().text;
            assert_eq!(with, "A & B Ltd, 1 High Street, Ann's home", "{source}");
            // Where Volley has none, an older template goes on printing the attribute.
            assert_eq!(compiled.render(&ann()).unwrap().text, "Ann's home, Ann's home", "{source}");
            let names: Vec<&str> = compiled.placeholders().collect();
            assert_eq!(names, ["contact.postal_address", "postal_address"], "{source}");
            assert_eq!(compiled.missing(&Profile::default(), &provided()), ["contact.postal_address"]);
        }
    }

    #[test]
    fn there_is_nothing_inside_a_value_that_volley_brings() {
        for source in ["{unsubscribe_url.host}", "{postal_address.city}", "{contact.unsubscribe_url}"] {
            let refused = compile(source, None).err();
            assert!(matches!(refused, Some(TemplateError::UnknownNames { .. })), "{source}: {refused:?}");
        }
    }

    #[test]
    fn every_body_that_says_something_must_use_a_value_that_everybody_is_to_see() {
        let link = "{{ unsubscribe_url }}";
        for (text, html, lacks) in [
            (link, None, None),
            ("Hello", None, Some(Part::Text)),
            ("Hello", Some(link), Some(Part::Text)),
            (link, Some("<p>Hello</p>"), Some(Part::Html)),
            (link, Some(link), None),
            ("", Some(link), None),
            (" \n", Some(link), None),
            (link, Some(" "), None),
            ("{# {{ unsubscribe_url }} #}Hello", None, Some(Part::Text)),
            ("{% raw %}{{ unsubscribe_url }}{% endraw %}", None, Some(Part::Text)),
            ("{{ preferences_url }}", None, Some(Part::Text)),
            ("{% if true %}{{ unsubscribe_url }}{% endif %}", None, None),
        ] {
            let compiled = compile(text, html).unwrap();
            assert_eq!(compiled.lacks(ProvidedName::UnsubscribeUrl), lacks, "{text:?} {html:?}");
        }
    }
}
