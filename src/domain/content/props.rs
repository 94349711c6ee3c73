//! The values of its own that a campaign brings to its content: `{{ campaign.props.code }}`.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::domain::people::contact::{Attributes, FieldError};
use crate::domain::shown::shown;

/// What stands before the name of a value in a template.
pub const PREFIX: &str = "campaign.props.";

/// Stands among the valid names for a value of any name: a template does not know which campaigns it will have.
pub const ANY: &str = "campaign.props.*";

/// The most values of one campaign.
const MOST: usize = 50;

/// The longest name of a value, in characters.
const MAX_NAME: usize = 64;

/// The most that all values of a campaign come to as JSON, in bytes.
const MAX_BYTES: usize = 16 * 1024;

/// The values of a campaign by their names. Clones share them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Props(Arc<Attributes>);

impl Props {
    /// Checks values from outside.
    ///
    /// # Errors
    /// What is wrong; each field is a JSON pointer.
    pub fn new(values: Attributes) -> Result<Self, Vec<FieldError>> {
        let refused = |field: String, reason: String| FieldError::new(field, "props_invalid", reason);
        let mut errors: Vec<FieldError> = values
            .keys()
            .filter(|name| !is_name(name))
            .map(|name| {
                let reason = format!(
                    "{} is no name of a value: a to z, digits and _, at most {MAX_NAME}, with a letter first",
                    shown(name)
                );
                refused(format!("/props/{}", name.replace('~', "~0").replace('/', "~1")), reason)
            })
            .collect();
        if values.len() > MOST {
            errors.push(refused("/props".to_owned(), format!("has {} values, the most is {MOST}", values.len())));
        }
        let bytes = serde_json::to_string(&values).map_or(0, |json| json.len());
        if bytes > MAX_BYTES {
            errors.push(refused("/props".to_owned(), format!("has {bytes} bytes as JSON, the most is {MAX_BYTES}")));
        }
        if errors.is_empty() { Ok(Self(Arc::new(values))) } else { Err(errors) }
    }

    /// Values as they are stored.
    ///
    /// # Errors
    /// They are not readable.
    pub fn read(stored: Option<&str>) -> Result<Self, serde_json::Error> {
        stored.map_or(Ok(Self::default()), |stored| serde_json::from_str(stored).map(|values| Self(Arc::new(values))))
    }

    /// As they are stored; none where there are none.
    ///
    /// # Errors
    /// They cannot be written as JSON.
    pub fn stored(&self) -> Result<Option<String>, serde_json::Error> {
        if self.is_empty() { Ok(None) } else { serde_json::to_string(self).map(Some) }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values.
    #[must_use]
    pub fn values(&self) -> &Attributes {
        &self.0
    }

    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The names that a template may use, in full.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        self.0.keys().map(|name| format!("{PREFIX}{name}")).collect()
    }
}

impl Serialize for Props {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Props {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Attributes::deserialize(deserializer).map(|values| Self(Arc::new(values)))
    }
}

/// The name that allows all values: for templates.
#[must_use]
pub fn any() -> BTreeSet<String> {
    BTreeSet::from([ANY.to_owned()])
}

/// Whether a value may be called so.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.len() <= MAX_NAME && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::content::template::{Compiled, Content, Provided, TemplateError};
    use crate::domain::people::contact::Profile;

    fn props(values: Value) -> Result<Props, Vec<FieldError>> {
        Props::new(serde_json::from_value(values).unwrap())
    }

    fn compile(text: &str, known: &BTreeSet<String>) -> Result<Compiled, TemplateError> {
        let content = Content { text: text.to_owned(), html: Some(text.to_owned()), ..Content::default() };
        content.check_placeholders(known)?;
        Compiled::compile(&content, known)
    }

    #[test]
    fn a_campaigns_values_are_printed_by_placeholders_and_by_programs() {
        let props =
            props(json!({ "code": "A&B", "sale": { "until": "May" }, "items": ["x", "y"], "off": 20, "none": null }))
                .unwrap();
        let known = &props.names() | &BTreeSet::from(["campaign".to_owned(), "city".to_owned()]);
        let provided = Provided { props, ..Provided::default() };
        let profile =
            Profile { attributes: [("campaign".to_owned(), json!({ "name": "theirs" }))].into(), ..Profile::default() };
        for (text, printed) in [
            ("{campaign.props.code}", "A&B"),
            ("{{ campaign.props.code }}", "A&B"),
            ("{campaign.props.sale.until}", "May"),
            ("{campaign.props.off} %", "20 %"),
            ("{campaign.props.none|nothing}", "nothing"),
            ("{% if campaign.props.off > 10 %}{{ campaign.props.code }}{% endif %}", "A&B"),
            ("{% for item in campaign.props.items %}{{ item }};{% endfor %}", "x;y;"),
            ("{% if true %}{campaign.props.sale.until}{% endif %}", "May"),
            // An attribute of that name goes on.
            ("{campaign.name}", "theirs"),
            ("{% if true %}{{ contact.campaign.name }}{% endif %}", "theirs"),
        ] {
            let message = compile(text, &known).unwrap().render_for(&profile, &provided, None).unwrap();
            assert_eq!(message.text, printed, "{text}");
        }
        let html = compile("<p>{campaign.props.code}</p>", &known).unwrap();
        let html = html.render_for(&profile, &provided, None).unwrap().html.unwrap();
        assert_eq!(html, "<p>A&amp;B</p>");
    }

    #[test]
    fn a_value_that_the_campaign_has_not_is_refused_with_its_place() {
        let known = props(json!({ "code": "x" })).unwrap().names();
        for text in
            ["Hi\n {campaign.props.cod}", "Hi\n {% if campaign.props.cod %}x{% endif %}", "a\n {campaign.props}"]
        {
            let Err(TemplateError::UnknownNames { unknown, valid }) = compile(text, &known) else { panic!("{text}") };
            assert_eq!(unknown[0].line, 2, "{text}");
            assert!(valid.contains(&"campaign.props.code".to_owned()));
        }
        // Nor is it the attribute of a contact.
        let theirs = &known | &BTreeSet::from(["campaign".to_owned()]);
        for text in ["{campaign.props.cod}", "{% if campaign.props.cod %}x{% endif %}", "{campaign.props}"] {
            assert!(compile(text, &theirs).is_err(), "{text}");
        }
        assert!(compile("{contact.campaign.props.cod}", &theirs).is_ok());
        // A template is for any campaign.
        assert!(compile("{campaign.props.cod} {{ campaign.props.other.x }}", &any()).is_ok());
        assert!(compile("{contact.campaign.props.cod}", &any()).is_err());
    }

    #[test]
    fn what_cannot_be_a_value_is_refused_at_its_place() {
        let field = |values: Value| props(values).err().map(|errors| errors[0].field.clone());
        assert_eq!(field(json!({ "a_1": [1, { "b": null }] })), None);
        assert_eq!(field(json!({ "A": 1 })).as_deref(), Some("/props/A"));
        assert_eq!(field(json!({ "a/b": 1 })).as_deref(), Some("/props/a~1b"));
        assert_eq!(field(json!({ "": 1 })).as_deref(), Some("/props/"));
        assert_eq!(field(json!({ "a": "x".repeat(17_000) })).as_deref(), Some("/props"));
        let many: Attributes = (0..51).map(|n| (format!("a{n}"), json!(n))).collect();
        assert_eq!(Props::new(many).unwrap_err()[0].field, "/props");
    }
}
