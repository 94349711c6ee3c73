//! What a request says: Volley's own document, or one after the pool's template.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::domain::content::message::{Envelope, Message};
use crate::domain::dispatch::delivery::ErrorCategory;
use crate::domain::dispatch::trouble::Trouble;
use crate::domain::ids::{CampaignId, ContactId};

/// The name under which the template is kept; the extension makes every `{{ value }}` a JSON value.
const TEMPLATE: &str = "body.json";

/// Steps a template may take. One that needs more has lost its way.
const FUEL: u64 = 10_000;

/// How bodies are written.
pub(super) enum Body {
    /// [`Document`] as it is.
    Standard,
    /// By a template over the fields of [`Document`].
    Template(Box<Environment<'static>>),
}

/// The standard body, and the fields that a template may use.
#[derive(Serialize)]
struct Document<'a> {
    campaign_id: CampaignId,
    contact_id: ContactId,
    /// What a report about this message names it by.
    key: &'a str,
    to: &'a str,
    subject: &'a str,
    text: &'a str,
    html: Option<&'a str>,
    /// Where the recipient unsubscribes; in marketing only.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsubscribe_url: Option<&'a str>,
    /// The topic (RFC 2919); in marketing only.
    #[serde(skip_serializing_if = "Option::is_none")]
    list_id: Option<&'a str>,
    /// Where answers go, where the campaign or its template says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
    /// Headers of the campaign or its template, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<&'a str, &'a str>,
}

impl Document<'_> {
    fn for_template(&self) -> Value {
        Value::from_pairs([
            ("campaign_id", Value::from(self.campaign_id.0)),
            ("contact_id", Value::from(self.contact_id.0)),
            ("key", Value::from(self.key)),
            ("to", Value::from(self.to)),
            ("subject", Value::from(self.subject)),
            ("text", Value::from(self.text)),
            ("html", self.html.map_or_else(|| Value::from(()), Value::from)),
            ("unsubscribe_url", self.unsubscribe_url.map_or_else(|| Value::from(()), Value::from)),
            ("list_id", self.list_id.map_or_else(|| Value::from(()), Value::from)),
            ("reply_to", self.reply_to.map_or_else(|| Value::from(()), Value::from)),
            ("headers", Value::from_pairs(self.headers.iter().map(|(name, value)| (*name, Value::from(*value))))),
        ])
    }
}

impl Body {
    /// Compiles the template and tries it on two samples.
    ///
    /// # Errors
    /// One line: what is wrong with the template.
    pub(super) fn new(template: Option<&str>) -> Result<Self, String> {
        let Some(template) = template else { return Ok(Self::Standard) };
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_name| AutoEscape::Json);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.add_template_owned(TEMPLATE, template.to_owned()).map_err(|error| error.to_string())?;
        let body = Self::Template(Box::new(environment));
        for html in [None, Some("<p class=\"a\">\\ sample</p>".to_owned())] {
            let written = body.render(&sample(html)).map_err(|trouble| trouble.detail)?;
            serde_json::from_slice::<IgnoredAny>(&written)
                .map_err(|error| format!("does not give JSON: {error} (values bring their own quotes)"))?;
        }
        Ok(body)
    }

    /// The body for one delivery.
    pub(super) fn render(&self, envelope: &Envelope) -> Result<Vec<u8>, Trouble> {
        let message = &envelope.message;
        let document = Document {
            campaign_id: envelope.campaign_id,
            contact_id: envelope.contact_id,
            key: &envelope.key,
            to: &envelope.to,
            subject: &message.subject,
            text: &message.text,
            html: message.html.as_deref(),
            unsubscribe_url: message.list.as_ref().map(|list| list.unsubscribe.as_str()),
            list_id: message.list.as_ref().and_then(|list| list.id.as_deref()),
            reply_to: message.reply_to.as_deref(),
            headers: message
                .headers
                .iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
        };
        match self {
            Self::Standard => serde_json::to_vec(&document).map_err(|error| unrendered(&error)),
            Self::Template(environment) => environment
                .get_template(TEMPLATE)
                .and_then(|template| template.render(document.for_template()))
                .map(String::into_bytes)
                .map_err(|error| unrendered(&error)),
        }
    }
}

fn unrendered(error: &dyn std::fmt::Display) -> Trouble {
    Trouble::new(ErrorCategory::Render, format!("the body cannot be written: {error}"))
}

fn sample(html: Option<String>) -> Envelope {
    Envelope {
        campaign_id: CampaignId(1),
        contact_id: ContactId(1),
        to: "sample@example.com".to_owned(),
        to_name: None,
        message: Message {
            subject: "a \"sample\"".to_owned(),
            text: "one\ntwo\\".to_owned(),
            html,
            ..Message::default()
        },
        key: "sample:1".to_owned(),
        attempt: 1,
        attachments: Arc::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::content::message::ListHeaders;

    #[test]
    fn a_template_that_cannot_work_is_refused_with_the_reason() {
        for (template, reason) in [
            ("{\"to\": {{ to }", "syntax error"),
            ("{\"to\": {{ nobody }}}", "undefined"),
            ("{\"to\": \"{{ to }}\"}", "does not give JSON"),
            ("{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}{}", "fuel"),
        ] {
            let refused = Body::new(Some(template)).err().unwrap_or_default();
            assert!(refused.contains(reason), "{template}: {refused}");
        }
    }

    #[test]
    fn a_message_of_marketing_says_where_its_recipient_unsubscribes() {
        let mut envelope = sample(None);
        let plain: serde_json::Value = serde_json::from_slice(&Body::Standard.render(&envelope).unwrap()).unwrap();
        assert_eq!(plain.get("unsubscribe_url"), None, "{plain}");
        let unsubscribe = "https://mail.example.com/u/abc".to_owned();
        envelope.message.list = Some(ListHeaders { unsubscribe, id: Some("news.example.com".to_owned()) });
        let written: serde_json::Value = serde_json::from_slice(&Body::Standard.render(&envelope).unwrap()).unwrap();
        assert_eq!(written["unsubscribe_url"], "https://mail.example.com/u/abc");
        assert_eq!(written["list_id"], "news.example.com");
        let body = Body::new(Some("{\"a\": {{ unsubscribe_url }}, \"b\": {{ list_id }}}")).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&body.render(&envelope).unwrap()).unwrap();
        assert_eq!(written, serde_json::json!({"a": "https://mail.example.com/u/abc", "b": "news.example.com"}));
    }

    #[test]
    fn a_value_is_a_json_value_whatever_it_holds() {
        let body =
            Body::new(Some("{\"m\": [{{ subject }}, {{ text }}, {{ html }}, {{ contact_id }}, {{ key }}]}")).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&body.render(&sample(None)).unwrap()).unwrap();
        assert_eq!(written, serde_json::json!({"m": ["a \"sample\"", "one\ntwo\\", null, 1, "sample:1"]}));
    }
}
