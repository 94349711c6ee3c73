//! A row of a file, cell by cell: what it says of a contact.

use serde_json::Value;

use super::header::{Column, Manner, SaidColumn, Target, Why};
use super::presets::cell;
use super::stands::{Stands, refusal_in, strictest};
use super::statuses::{Consent, hear, hear_nothing, never_agreed};
use super::suppressions::read_time;
use super::{names, own, refusals};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Said, said_source};
use crate::domain::people::contact::{
    BuiltIn, ContactDraft, FieldError, attribute_name, check_attribute, normalised_name,
};
use crate::domain::people::spelling::trim;
use crate::domain::people::standing::Standing;
use crate::domain::people::tag;

/// What a row has said so far.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) draft: ContactDraft,
    pub(super) said: Said,
    /// Cells that nothing is made of, though the row is good.
    pub(super) dropped: Vec<FieldError>,
    /// A whole name, or a last name that may have the first one in it.
    name: Option<(WholeName, String)>,
    /// A JSON object of attributes.
    attributes: Option<serde_json::Map<String, Value>>,
    /// Whether it was said that the person agrees, or does not.
    is_decided: bool,
    /// How the contact stands on lists, where the file is an export of Volley's own.
    stands: Stands,
    /// Whether reasons were heard that have a time of their own, which the row does not say.
    has_reasons: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WholeName {
    Both,
    LastBesideFirst,
}

impl Told {
    /// Takes a cell where its column belongs.
    ///
    /// # Errors
    /// [`FieldError`]; its field is not the column's header yet.
    pub(super) fn take(&mut self, column: &Column, cell: &[u8], on_list: bool) -> Result<(), FieldError> {
        let text = std::str::from_utf8(cell).map_err(|error| {
            let at = error.valid_up_to();
            let reason =
                format!("has bytes that are no text (byte {at} of the cell): export the file as \"CSV UTF-8\"");
            FieldError::new("row", "encoding", reason)
        })?;
        let text = trim(text);
        if text.is_empty() {
            return match column.target {
                Target::Consent(consent) => hear_nothing(consent),
                Target::BuiltIn(_)
                | Target::Name
                | Target::LastName
                | Target::Attribute(_)
                | Target::Attributes
                | Target::Said(_)
                | Target::Rejected
                | Target::Ignored
                | Target::Nowhere => Ok(()),
            };
        }
        let text = column.manner.of(text);
        match &column.target {
            Target::Nowhere => refusals::check(&text)?,
            Target::Rejected | Target::Ignored => {}
            Target::Said(said) => self.hear(*said, &text, column.manner)?,
            Target::Consent(Consent::Lists) => self.stands.lists = Some(text.into_owned()),
            Target::Consent(Consent::Stands) => self.stands.status = Some(text.into_owned()),
            Target::Consent(Consent::StandsOn) => self.stands.on = Some(text.into_owned()),
            Target::Consent(consent) => {
                self.has_reasons |= *consent == Consent::Reasons;
                hear(&mut self.said, *consent, &text, on_list)?;
                self.is_decided = true;
            }
            Target::BuiltIn(field) => match self.draft.set(*field, &text) {
                Err(_) if column.manner == Manner::Perhaps => {}
                set => set?,
            },
            Target::Name => self.name = Some((WholeName::Both, text.into_owned())),
            Target::LastName => self.name = Some((WholeName::LastBesideFirst, text.into_owned())),
            Target::Attribute(name) => {
                if matches!(column.why, Why::NoField | Why::Outdone) {
                    refusals::check(&text)?;
                }
                if column.manner == Manner::Detail {
                    refusals::check_detail(&text)?;
                }
                if column.manner == Manner::Near {
                    refusals::check_near(&text)?;
                }
                if column.manner == Manner::Doubtful {
                    refusals::check_doubtful(&text)?;
                }
                let value = Value::String(text.into_owned());
                check_attribute(name, &value)?;
                self.draft.attributes.insert(name.clone(), value);
            }
            Target::Attributes => self.take_object(object(&text)?, column.manner)?,
        }
        Ok(())
    }

    /// Takes a value of a JSON object where its column belongs. Attributes stay what they are; everything else is read as a cell would be.
    ///
    /// # Errors
    /// As [`Told::take`].
    pub(super) fn take_value(&mut self, column: &Column, value: &Value, on_list: bool) -> Result<(), FieldError> {
        match (value, &column.target) {
            (Value::Null, _) => self.take(column, b"", on_list),
            (Value::String(text), _) => self.take(column, text.as_bytes(), on_list),
            (_, Target::Rejected | Target::Ignored | Target::Nowhere) => Ok(()),
            (Value::Object(object), Target::Attributes) => self.take_object(object.clone(), column.manner),
            (_, Target::Attribute(name)) => {
                if matches!(column.why, Why::NoField | Why::Outdone) {
                    refusals::check_inside(name, value)?;
                }
                if column.manner == Manner::Detail && value.is_boolean() {
                    refusals::check_detail(&value.to_string())?;
                }
                if column.manner == Manner::Near && (value.is_boolean() || value.is_number()) {
                    refusals::check_near(&value.to_string())?;
                }
                if column.manner == Manner::Doubtful && (value.is_boolean() || value.is_number()) {
                    refusals::check_doubtful(&value.to_string())?;
                }
                check_attribute(name, value)?;
                self.draft.attributes.insert(name.clone(), value.clone());
                Ok(())
            }
            (Value::Array(all), Target::Said(SaidColumn::Tags)) => {
                let texts = all.iter().map(|one| one.as_str().ok_or_else(wrong_type));
                let tags = texts.map(|text| text.and_then(tag::parse)).collect::<Result<Vec<_>, _>>()?;
                tags.iter().try_for_each(|tag| refusals::check(tag))?;
                self.said.tags = tags;
                Ok(())
            }
            (Value::Array(all), Target::Consent(Consent::Reasons | Consent::Lists)) => {
                let words = all.iter().map(|one| one.as_str().ok_or_else(wrong_type));
                let words = words.collect::<Result<Vec<_>, _>>()?;
                self.take(column, words.join(own::BETWEEN).as_bytes(), on_list)
            }
            (Value::Bool(_) | Value::Number(_), _) => self.take(column, value.to_string().as_bytes(), on_list),
            (Value::Array(_) | Value::Object(_), _) => Err(wrong_type()),
        }
    }

    /// Reads what a cell says of a consent's time and source, or of tags.
    fn hear(&mut self, column: SaidColumn, text: &str, manner: Manner) -> Result<(), FieldError> {
        let said = &mut self.said;
        match column {
            SaidColumn::StandingAt if manner == Manner::Perhaps => said.at = said.at.or_else(|| read_time(text)),
            SaidColumn::StandingAt => {
                let at = UtcInstant::parse(text);
                said.at = Some(at.map_err(|error| FieldError::new("status_at", "time_invalid", error.to_string()))?);
            }
            SaidColumn::Source if manner == Manner::Exported => said.source = said_source(&own::source(text))?,
            SaidColumn::Source => said.source = said_source(text)?,
            SaidColumn::Tags if manner == Manner::Exported => said.tags = own::tags(text)?,
            SaidColumn::Tags => {
                said.tags = tag::parse_cell(text)?;
                said.tags.iter().try_for_each(|tag| refusals::check(tag))?;
            }
        }
        Ok(())
    }

    /// What can be said only when all cells have been read. `columns`: those of the row; `unproven`: one that must show what the person has
    /// said, and is empty; `list`: how exports of Volley name the list of the import.
    pub(super) fn finish(
        &mut self,
        columns: &[Column],
        unproven: Option<&Column>,
        on_list: bool,
        list: Option<&str>,
    ) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let mut keep = |column: Option<&Column>, result: Result<(), FieldError>| {
            if let Err(mut error) = result {
                error.field = column.map(|column| column.header.clone()).unwrap_or_default();
                errors.push(error);
            }
        };
        let placed = |target: &dyn Fn(&Target) -> bool| columns.iter().find(|column| target(&column.target));
        if let Some(object) = self.attributes.take() {
            let column = placed(&|target| *target == Target::Attributes);
            let header = column.map(|column| column.header.clone()).unwrap_or_default();
            keep(column, self.take_attributes(object, &header));
        }
        if let Some((whole, name)) = self.name.take() {
            let column = placed(&|target| matches!(target, Target::Name | Target::LastName));
            keep(column, self.take_name(whole, &name));
        }
        if self.has_reasons {
            self.said.at = None;
        }
        if on_list && let Err((consent, error)) = std::mem::take(&mut self.stands).tell(&mut self.said, list) {
            keep(placed(&|target| *target == Target::Consent(consent)), Err(error));
        }
        if let Some(refusal) = list.filter(|_| on_list).and_then(|list| self.refusal_in_lists(list)) {
            self.said.standing = Some(self.said.standing.map_or(refusal, |said| strictest(refusal, said)));
        }
        if unproven.is_some() && !self.is_decided {
            keep(unproven, Err(never_agreed("row")));
        }
        errors
    }

    /// What a row of the wrong shape says of a list: a refusal counts all the same.
    pub(super) fn finish_refusal(&mut self, list: Option<&str>) {
        self.stands.tell_refusal(&mut self.said, list);
    }

    /// What an attribute `lists` says against `list`.
    fn refusal_in_lists(&self, list: &str) -> Option<Standing> {
        match self.draft.attributes.get("lists")? {
            Value::String(words) => refusal_in(words, list),
            Value::Array(all) => all.iter().filter_map(|word| refusal_in(word.as_str()?, list)).reduce(strictest),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
        }
    }

    /// Keeps an object of attributes for later. What Volley has exported was looked at when it came in.
    fn take_object(&mut self, object: serde_json::Map<String, Value>, manner: Manner) -> Result<(), FieldError> {
        if manner != Manner::Exported {
            refusals::check_object(&object)?;
        }
        self.attributes = Some(object);
        Ok(())
    }

    /// Own fields and columns win over what is in a JSON object, which stands below this header.
    fn take_attributes(&mut self, object: serde_json::Map<String, Value>, header: &str) -> Result<(), FieldError> {
        let own: Vec<String> = self.draft.attributes.keys().cloned().collect();
        for (name, value) in object {
            let field = BuiltIn::from_name(&normalised_name(&name));
            match (field, value) {
                (_, Value::Null) => {}
                // Who is meant is said by columns: what other tools keep of a person must not make another one of it.
                (Some(BuiltIn::Email | BuiltIn::ExternalId), _) => {
                    let reason = format!("has a {name} in it, which is not kept: only a column can say who is meant");
                    self.dropped.push(FieldError::new(header, "key_in_json", reason));
                }
                (Some(field), value @ (Value::String(_) | Value::Number(_) | Value::Bool(_))) => {
                    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
                    self.take_field(field, &text, header)?;
                }
                (Some(_) | None, value) => {
                    if !own.contains(&attribute_name(&name)?) {
                        self.draft.set_attribute(&name, value)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A field out of a JSON object. A phone number that cannot be used must not cost the person.
    fn take_field(&mut self, field: BuiltIn, text: &str, header: &str) -> Result<(), FieldError> {
        if self.draft.fields.get(field).is_some() {
            return Ok(());
        }
        match (field, self.draft.set(field, text)) {
            (BuiltIn::Phone | BuiltIn::Timezone | BuiltIn::Locale, Err(error)) => {
                let reason = format!("its {} {}", error.field, error.reason);
                self.dropped.push(FieldError { field: header.to_owned(), reason, ..error });
                Ok(())
            }
            (_, set) => set,
        }
    }

    fn take_name(&mut self, whole: WholeName, name: &str) -> Result<(), FieldError> {
        let first = self.draft.fields.first_name.clone().unwrap_or_default();
        let (first, last) = match whole {
            WholeName::Both => {
                let split = names::split(name);
                (split.first, split.last)
            }
            WholeName::LastBesideFirst => (String::new(), names::last_beside(&first, name).to_owned()),
        };
        for (field, text) in [(BuiltIn::FirstName, first), (BuiltIn::LastName, last)] {
            if self.draft.fields.get(field).is_none() {
                self.draft.set(field, &text)?;
            }
        }
        Ok(())
    }
}

impl Manner {
    /// A cell as its column is written.
    fn of(self, text: &str) -> std::borrow::Cow<'_, str> {
        match self {
            Self::AsIs | Self::Perhaps | Self::Exported | Self::Detail | Self::Near | Self::Doubtful => text.into(),
            Self::First => cell::first(text).into(),
            Self::Digits => cell::with_plus(text).into(),
            Self::Quoted => cell::unquoted(text).into(),
            Self::Labels => cell::labels(text).into(),
        }
    }
}

fn wrong_type() -> FieldError {
    FieldError::new(
        "row",
        "wrong_type",
        "must be a text; tags may be a list of texts; map the column to attributes.NAME to keep a list or an object as it is",
    )
}

fn object(text: &str) -> Result<serde_json::Map<String, Value>, FieldError> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Null) => Ok(serde_json::Map::new()),
        Ok(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) | Err(_) => {
            let reason = "is no JSON object, such as {\"city\": \"Leeds\"}; map the column to attributes.NAME to keep it as text";
            Err(FieldError::new("attributes", "json_invalid", reason))
        }
    }
}
