//! Which names a template may use, and what they mean for one contact.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value;

use super::provided::{Provided, ProvidedName};
use crate::domain::content::props;
use crate::domain::people::contact::{BuiltIn, Profile, STANDING_ATTRIBUTES, normalised_name};

/// The placeholder for first and last name together.
const FULL_NAME: &str = "name";

/// What `contact.` stands before.
const CONTACT: &str = "contact.";

/// All attributes by their names, in any spelling: `attributes["Loyalty tier"]`.
pub(super) const ATTRIBUTES: &str = "attributes";

/// The longest spelling of a name, in bytes.
const MAX_SPELLING: usize = 200;

/// The names that are valid in a template.
pub(super) struct Names<'k> {
    attributes: &'k BTreeSet<String>,
    /// Texts that are printed as they are.
    literal: &'k [String],
}

impl<'k> Names<'k> {
    /// The built-in names, the standing attributes and these.
    pub(super) fn new(attributes: &'k BTreeSet<String>) -> Self {
        Self { attributes, literal: &[] }
    }

    /// The same names in a content that has these texts printed as they are.
    pub(super) fn with_literal(self, literal: &'k [String]) -> Self {
        Self { literal, ..self }
    }

    /// Where in a source the texts stand that are printed as they are: in order, and of those that begin at one place the longest first.
    pub(super) fn literal_in(&self, source: &str) -> Vec<Range<usize>> {
        let texts = self.literal.iter().filter(|text| !text.is_empty());
        let places = texts.flat_map(|text| source.match_indices(text.as_str()));
        let mut ranges: Vec<Range<usize>> = places.map(|(at, text)| at..at + text.len()).collect();
        ranges.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
        ranges
    }

    /// The valid name that `text` is in another spelling: `First Name` is `first_name`, as in the header of an import.
    pub(super) fn spelled(&self, text: &str) -> Option<&'k str> {
        let is_spelling = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        if text.len() > MAX_SPELLING || !text.starts_with(char::is_alphabetic) || !text.chars().all(is_spelling) {
            return None;
        }
        self.by_name(&normalised_name(text))
    }

    /// The attribute of this name, in any spelling.
    pub(super) fn attribute(&self, text: &str) -> Option<Lookup> {
        let name = normalised_name(text);
        let source = self.is_attribute(&name).then_some(Source::Attribute(name))?;
        Some(Lookup { source, inner: Vec::new() })
    }

    /// The valid name that is spelled like this.
    pub(super) fn by_name(&self, name: &str) -> Option<&'k str> {
        let built_in = || BuiltIn::from_name(name).map(BuiltIn::as_str);
        let standing = || STANDING_ATTRIBUTES.iter().copied().find(|standing| *standing == name);
        let attribute = || self.attributes.get(name).map(String::as_str);
        let provided = || ProvidedName::from_name(name).map(ProvidedName::as_str);
        built_in().or_else(provided).or_else(standing).or_else(attribute).or((name == FULL_NAME).then_some(FULL_NAME))
    }

    /// Whether `attributes` means all of them, and not one that has this name.
    pub(super) fn has_attributes(&self) -> bool {
        !self.is_attribute(ATTRIBUTES)
    }

    /// Whether contacts have an attribute of this name, in any spelling.
    pub(super) fn has_attribute(&self, text: &str) -> bool {
        self.attributes.contains(&normalised_name(text))
    }

    fn is_attribute(&self, name: &str) -> bool {
        STANDING_ATTRIBUTES.contains(&name) || self.attributes.contains(name)
    }

    /// The value of the campaign's own that stands after `campaign.props.`.
    fn prop(&self, rest: &str) -> Option<Lookup> {
        let (name, inner) = match rest.split_once('.') {
            Some((name, inner)) => (name, inner.split('.').map(str::to_owned).collect()),
            None => (rest, Vec::new()),
        };
        let full = format!("{}{name}", props::PREFIX);
        let is_known =
            self.attributes.contains(&full) || (self.attributes.contains(props::ANY) && props::is_name(name));
        is_known.then_some(Lookup { source: Source::Prop(full), inner })
    }

    /// What `path` (`first_name`, `contact.first_name`, `address.city`) means, if it is valid.
    pub(super) fn resolve(&self, path: &str) -> Option<Lookup> {
        // Never an attribute that happens to be called `campaign`: a value that the campaign lacks would be empty for everybody else.
        if let Some(rest) = path.strip_prefix(props::PREFIX) {
            return self.prop(rest);
        }
        if path == props::PREFIX.trim_end_matches('.') {
            return None;
        }
        if let Some(name) = path.strip_prefix(ATTRIBUTES).and_then(|rest| rest.strip_prefix('.'))
            && self.has_attributes()
        {
            return self
                .resolve(&format!("{CONTACT}{name}"))
                .filter(|lookup| matches!(lookup.source, Source::Attribute(_)));
        }
        let (path, is_contacts) = match path.strip_prefix(CONTACT) {
            Some(path) => (path, true),
            // By itself it is the contact, whatever attribute may have the same name, and the contact cannot be printed.
            None if path == CONTACT.trim_end_matches('.') => return None,
            None => (path, false),
        };
        let (root, inner) = match path.split_once('.') {
            Some((root, inner)) => (root, inner.split('.').map(str::to_owned).collect()),
            None => (path, Vec::new()),
        };
        if !is_contacts && let Some(name) = ProvidedName::from_name(root) {
            // There is nothing inside a text.
            return inner.is_empty().then_some(Lookup { source: Source::Provided(name), inner });
        }
        let source = match BuiltIn::from_name(root) {
            Some(field) => Source::BuiltIn(field),
            None if root == FULL_NAME => Source::FullName,
            None if self.is_attribute(root) => Source::Attribute(root.to_owned()),
            None => return None,
        };
        // Built-in fields are text: there is nothing inside them.
        let has_inside = matches!(source, Source::Attribute(_));
        (has_inside || inner.is_empty()).then_some(Lookup { source, inner })
    }

    /// Every valid name, sorted.
    pub(super) fn all(&self) -> Vec<String> {
        let built_in = BuiltIn::ALL.iter().map(|field| field.as_str());
        let provided = ProvidedName::ALL.iter().map(|name| name.as_str());
        let fixed = built_in.chain(provided).chain(STANDING_ATTRIBUTES.iter().copied()).chain([FULL_NAME]);
        let all: BTreeSet<&str> = fixed.chain(self.attributes.iter().map(String::as_str)).collect();
        all.into_iter().map(str::to_owned).collect()
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    BuiltIn(BuiltIn),
    FullName,
    Attribute(String),
    Provided(ProvidedName),
    /// A value of the campaign's own, by its name in full.
    Prop(String),
}

/// A valid name, ready to be looked up in a contact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lookup {
    source: Source,
    /// The way into an attribute that is an object.
    inner: Vec<String>,
}

/// A value. Missing, null and empty ones are not found.
pub(super) enum Found<'p> {
    Text(Cow<'p, str>),
    Json(&'p Value),
}

impl Lookup {
    /// The value, unless it is missing or empty.
    pub(super) fn find<'p>(&self, profile: &'p Profile, provided: &'p Provided) -> Option<Found<'p>> {
        let text = match &self.source {
            Source::Provided(name) => match provided.get(*name) {
                // An import may have brought one of another tool.
                None => return found(profile.attributes.get(name.as_str())?),
                text => text.map(Cow::Borrowed),
            },
            Source::BuiltIn(field) => profile.fields.get(*field).map(Cow::Borrowed),
            Source::FullName => match full_name(profile) {
                // An import may have brought the name as a column of its own.
                None => return found(profile.attributes.get(FULL_NAME)?),
                name => name,
            },
            Source::Prop(_) => {
                let root = provided.props.get(self.prop()?)?;
                return found(self.inner.iter().try_fold(root, |value, key| value.get(key))?);
            }
            Source::Attribute(root) => {
                let root = profile.attributes.get(root)?;
                return found(self.inner.iter().try_fold(root, |value, key| value.get(key))?);
            }
        };
        text.filter(|text| !text.is_empty()).map(Found::Text)
    }

    /// The same name without the way into it.
    pub(super) fn root(&self) -> Self {
        Self { source: self.source.clone(), inner: Vec::new() }
    }

    /// The root's name.
    pub(super) fn root_name(&self) -> &str {
        match &self.source {
            Source::BuiltIn(field) => field.as_str(),
            Source::FullName => FULL_NAME,
            Source::Attribute(name) | Source::Prop(name) => name,
            Source::Provided(name) => name.as_str(),
        }
    }

    /// Which of Volley's own values it is, if it is one.
    pub(super) fn provided(&self) -> Option<ProvidedName> {
        match self.source {
            Source::Provided(name) => Some(name),
            Source::BuiltIn(_) | Source::FullName | Source::Attribute(_) | Source::Prop(_) => None,
        }
    }

    /// The name of the campaign's value that it is, if it is one.
    pub(super) fn prop(&self) -> Option<&str> {
        match &self.source {
            Source::Prop(name) => name.strip_prefix(props::PREFIX),
            Source::BuiltIn(_) | Source::FullName | Source::Attribute(_) | Source::Provided(_) => None,
        }
    }

    /// The name in full, without `contact.` where it means the same.
    pub(super) fn path(&self) -> String {
        let is_hidden = self.provided().is_none() && ProvidedName::from_name(self.root_name()).is_some();
        let mut path = format!("{}{}", if is_hidden { CONTACT } else { "" }, self.root_name());
        for key in &self.inner {
            path.push('.');
            path.push_str(key);
        }
        path
    }
}

fn found(value: &Value) -> Option<Found<'_>> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(Found::Text(Cow::Borrowed(text))),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(Found::Json(value)),
    }
}

fn full_name(profile: &Profile) -> Option<Cow<'_, str>> {
    let part = |field| profile.fields.get(field).filter(|text| !text.is_empty());
    match (part(BuiltIn::FirstName), part(BuiltIn::LastName)) {
        (Some(first), Some(last)) => Some(Cow::Owned(format!("{first} {last}"))),
        (Some(only), None) | (None, Some(only)) => Some(Cow::Borrowed(only)),
        (None, None) => None,
    }
}
