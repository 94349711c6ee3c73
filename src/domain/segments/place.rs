//! Places in criteria, for errors, and objects that have known keys.

use serde_json::{Map, Value};

use crate::domain::people::contact::FieldError;
use crate::domain::shown::shown;

/// A place in the document, as a JSON pointer (RFC 6901).
#[derive(Debug, Clone)]
pub(super) struct Place(String);

impl Place {
    pub(super) fn root() -> Self {
        Self(String::new())
    }

    pub(super) fn inner(&self, key: &str) -> Self {
        Self(format!("{}/{}", self.0, shown(key).replace('~', "~0").replace('/', "~1")))
    }

    pub(super) fn pointer(&self) -> String {
        self.0.clone()
    }

    /// The error that something here is not as it must be.
    pub(super) fn wrong(&self, reason: impl Into<String>) -> FieldError {
        FieldError::new(self.pointer(), "criteria_invalid", reason)
    }
}

/// An object of the document, whose keys are known.
pub(super) struct Object<'a> {
    pub(super) place: &'a Place,
    entries: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    /// Reads an object that has no other keys than these.
    pub(super) fn read(given: &'a Value, place: &'a Place, keys: &[&str]) -> Result<Self, FieldError> {
        let Value::Object(entries) = given else {
            return Err(place.wrong(format!("must be an object with {}", keys.join(", "))));
        };
        if let Some(unknown) = entries.keys().find(|key| !keys.contains(&key.as_str())) {
            return Err(place.inner(unknown).wrong(format!("is not known here: allowed are {}", keys.join(", "))));
        }
        Ok(Self { place, entries })
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.entries.get(key)
    }

    pub(super) fn at(&self, key: &str) -> Place {
        self.place.inner(key)
    }

    /// A text that must be there.
    pub(super) fn text(&self, key: &str) -> Result<&'a str, FieldError> {
        match self.get(key) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(self.at(key).wrong("must be a text")),
        }
    }

    /// A whole number, where it is there.
    pub(super) fn whole(&self, key: &str) -> Result<Option<i64>, FieldError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| self.at(key).wrong("must be a whole number")),
        }
    }

    /// True, or not there. `false` is allowed where leaving it out means the same.
    pub(super) fn flag(&self, key: &str) -> Result<bool, FieldError> {
        match self.get(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.at(key).wrong("must be true or false")),
        }
    }
}
