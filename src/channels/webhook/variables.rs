//! What the templates of a body may use.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr, Serde};

use crate::domain::content::message::{Details, Envelope, Message};
use crate::domain::people::contact::Attributes;

/// Those that are about the contact, the template and the campaign, beside the message.
pub(super) const DETAILS: &[&str] =
    &["external_id", "email", "phone", "first_name", "last_name", "attributes", "template_name", "props"];

/// The attributes of a contact, or the values of a campaign. One that is not there is null: contacts and campaigns differ.
struct Known(BTreeMap<Arc<str>, Value>);

impl Known {
    fn of(attributes: &Attributes) -> Self {
        Self(attributes.iter().map(|(name, value)| (name.as_str().into(), Value::from(Serde(value)))).collect())
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Personal data.
        f.write_str("attributes")
    }
}

impl Object for Known {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let found = key.as_str().and_then(|name| self.0.get(name)).cloned();
        Some(found.unwrap_or_else(|| Value::from(())))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.keys().map(|name| Value::from(Arc::clone(name))).collect())
    }
}

/// The headers of the campaign or its template that have a value.
pub(super) fn headers(message: &Message) -> impl Iterator<Item = (&str, &str)> {
    let all = message.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    all.filter(|(_, value)| !value.is_empty())
}

/// All variables of one delivery. What is not known is null.
pub(super) fn of(envelope: &Envelope) -> Value {
    let message = &envelope.message;
    let given = |text: Option<&str>| text.map_or_else(|| Value::from(()), Value::from);
    let none = Details::default();
    let Details { profile, template_name, props } = envelope.details.as_deref().unwrap_or(&none);
    let fields = &profile.fields;
    let written_at = message.written_at.map(|at| at.to_string());
    Value::from_pairs([
        ("campaign_id", Value::from(envelope.campaign_id.0)),
        ("contact_id", Value::from(envelope.contact_id.0)),
        ("key", Value::from(envelope.key.as_str())),
        ("attempt", Value::from(envelope.attempt)),
        ("written_at", given(written_at.as_deref())),
        ("to", Value::from(envelope.to.as_str())),
        ("to_name", given(envelope.to_name.as_deref())),
        ("subject", Value::from(message.subject.as_str())),
        ("text", Value::from(message.text.as_str())),
        ("html", given(message.html.as_deref())),
        ("unsubscribe_url", given(message.list.as_ref().map(|list| list.unsubscribe.as_str()))),
        ("list_id", given(message.list.as_ref().and_then(|list| list.id.as_deref()))),
        ("reply_to", given(message.reply_to.as_deref())),
        ("headers", Value::from_pairs(headers(message).map(|(name, value)| (name, Value::from(value))))),
        ("external_id", given(fields.external_id.as_deref())),
        ("email", given(fields.email.as_deref())),
        ("phone", given(fields.phone.as_deref())),
        ("first_name", given(fields.first_name.as_deref())),
        ("last_name", given(fields.last_name.as_deref())),
        ("attributes", Value::from_object(Known::of(&profile.attributes))),
        ("template_name", given(template_name.as_deref())),
        ("props", Value::from_object(Known::of(props.values()))),
    ])
}
