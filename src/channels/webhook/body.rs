//! What a request says: Volley's own document, or one after the pool's template.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use serde::Serialize;
use serde::de::IgnoredAny;
use url::form_urlencoded::Serializer;

use super::variables::{self, DETAILS};
use crate::config::pools::WebhookConfig;
use crate::domain::content::message::{Details, Envelope, Message};
use crate::domain::dispatch::delivery::ErrorCategory;
use crate::domain::dispatch::trouble::Trouble;
use crate::domain::ids::{CampaignId, ContactId};

/// The name under which the template of a JSON body is kept; the extension makes every `{{ value }}` a JSON value.
const JSON: &str = "body.json";

/// The variable with what is kept of a contact besides its fields.
const ATTRIBUTES: &str = "attributes";

/// The variable with the campaign's own values.
const PROPS: &str = "props";

/// Steps a template may take. One that needs more has lost its way.
const FUEL: u64 = 10_000;

/// What the bodies of forms are.
pub(super) const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// How bodies are written.
pub(super) struct Body {
    form: Form,
    /// The variables that its templates use.
    uses: BTreeSet<String>,
}

enum Form {
    /// [`Document`] as it is.
    Standard,
    /// JSON by a template over [`variables`].
    Json(Box<Environment<'static>>),
    /// Fields of a form, in order, each by a template of its own, whose name is that of the field.
    Fields(Vec<String>, Box<Environment<'static>>),
}

/// The standard body.
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

impl<'a> Document<'a> {
    fn of(envelope: &'a Envelope) -> Self {
        let message = &envelope.message;
        Document {
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
            headers: variables::headers(message).collect(),
        }
    }
}

impl Body {
    /// Compiles the templates and tries them on samples.
    ///
    /// # Errors
    /// One line: which setting cannot work, and why.
    pub(super) fn new(config: &WebhookConfig) -> Result<Self, String> {
        let body = match (&config.body, config.form.is_empty()) {
            (None, true) => Self { form: Form::Standard, uses: BTreeSet::new() },
            (Some(template), true) => Self::json(template).map_err(|reason| format!("body: {reason}"))?,
            (None, false) => Self::fields(&config.form)?,
            (Some(_), false) => return Err("form: goes without body: a request has one or the other".to_owned()),
        };
        if config.idempotent && body.uses.contains("attempt") {
            let setting = if config.form.is_empty() { "body" } else { "form" };
            return Err(format!(
                "{setting}: attempt changes with each try, and with idempotent = true all tries under one key have the same \
                 body; the header X-Volley-Attempt has it"
            ));
        }
        Ok(body)
    }

    fn json(template: &str) -> Result<Self, String> {
        let mut environment = environment();
        environment.add_template_owned(JSON, template.to_owned()).map_err(|error| error.to_string())?;
        let uses = used(&environment, JSON)?;
        let body = Self { form: Form::Json(Box::new(environment)), uses };
        for envelope in samples() {
            let written = body.render(&envelope).map_err(|trouble| trouble.detail)?;
            check_json(&written)?;
        }
        Ok(body)
    }

    fn fields(templates: &BTreeMap<String, String>) -> Result<Self, String> {
        let (mut environment, mut uses) = (environment(), BTreeSet::new());
        // What is none comes to nothing, not to a word; what is no text is written as JSON would.
        environment.set_formatter(|out, state, value| {
            if value.is_none() {
                return Ok(());
            }
            if !matches!(value.kind(), ValueKind::Bool | ValueKind::Seq | ValueKind::Map) {
                return minijinja::escape_formatter(out, state, value);
            }
            let text = serde_json::to_string(value).map_err(|_unwritable| ErrorKind::BadSerialization)?;
            out.write_str(&text).map_err(Into::into)
        });
        for (name, template) in templates {
            let wrong = |reason: String| format!("form.{name}: {reason}");
            environment.add_template_owned(name.clone(), template.clone()).map_err(|error| wrong(error.to_string()))?;
            uses.extend(used(&environment, name).map_err(wrong)?);
        }
        let names = templates.keys().cloned().collect();
        let body = Self { form: Form::Fields(names, Box::new(environment)), uses };
        for envelope in samples() {
            body.render(&envelope).map_err(|trouble| format!("form: {}", trouble.detail))?;
        }
        Ok(body)
    }

    /// Whether it says more of a recipient than the message does.
    pub(super) fn wants_details(&self) -> bool {
        DETAILS.iter().any(|name| self.uses.contains(*name))
    }

    /// What it is, unless the settings say otherwise.
    pub(super) fn media_type(&self) -> &'static str {
        match self.form {
            Form::Standard | Form::Json(_) => "application/json",
            Form::Fields(..) => FORM_TYPE,
        }
    }

    /// The body for one delivery.
    pub(super) fn render(&self, envelope: &Envelope) -> Result<Vec<u8>, Trouble> {
        match &self.form {
            Form::Standard => serde_json::to_vec(&Document::of(envelope)).map_err(|error| unrendered(&error)),
            Form::Json(environment) => {
                let template = environment.get_template(JSON);
                let body = template.and_then(|template| template.render(variables::of(envelope)));
                let body = body.map_err(|error| unrendered(&error))?;
                // No sample has all that contacts and campaigns may have.
                if self.uses.contains(ATTRIBUTES) || self.uses.contains(PROPS) {
                    check_json(body.as_bytes()).map_err(|reason| unrendered(&reason))?;
                }
                Ok(body.into_bytes())
            }
            Form::Fields(names, environment) => {
                let variables = variables::of(envelope);
                let mut form = Serializer::new(String::new());
                for name in names {
                    let value = environment.get_template(name).and_then(|template| template.render(&variables));
                    let value = value.map_err(|error| unrendered(&format!("{name}: {error}")))?;
                    if !value.is_empty() {
                        form.append_pair(name, &value);
                    }
                }
                Ok(form.finish().into_bytes())
            }
        }
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|name| if name == JSON { AutoEscape::Json } else { AutoEscape::None });
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment
}

fn check_json(body: &[u8]) -> Result<(), String> {
    let read = serde_json::from_slice::<IgnoredAny>(body);
    read.map(|_| ()).map_err(|error| format!("does not give JSON: {error} (values bring their own quotes)"))
}

/// The names that a template takes from outside.
fn used(environment: &Environment<'_>, template: &str) -> Result<BTreeSet<String>, String> {
    let template = environment.get_template(template).map_err(|error| error.to_string())?;
    Ok(template.undeclared_variables(false).into_iter().collect())
}

fn unrendered(error: &dyn std::fmt::Display) -> Trouble {
    Trouble::new(ErrorCategory::Render, format!("the body cannot be written: {error}"))
}

/// With and without what not every message has.
fn samples() -> [Envelope; 2] {
    [sample(None), sample(Some("<p class=\"a\">\\ sample</p>".to_owned()))]
}

fn sample(html: Option<String>) -> Envelope {
    let mut details = Details::default();
    if html.is_some() {
        details.template_name = Some("a \"sample\"".to_owned());
        let fields = &mut details.profile.fields;
        for field in [
            &mut fields.external_id,
            &mut fields.first_name,
            &mut fields.last_name,
            &mut fields.phone,
            &mut fields.email,
            &mut fields.locale,
            &mut fields.timezone,
        ] {
            *field = Some("a \"sample\"".to_owned());
        }
    }
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
        trace: None,
        details: Some(Box::new(details)),
        attachments: Arc::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::content::message::ListHeaders;

    fn with(template: &str) -> WebhookConfig {
        WebhookConfig { body: Some(template.to_owned()), ..WebhookConfig::default() }
    }

    fn form(fields: &[(&str, &str)]) -> WebhookConfig {
        let fields = fields.iter().map(|(name, template)| ((*name).to_owned(), (*template).to_owned()));
        WebhookConfig { form: fields.collect(), ..WebhookConfig::default() }
    }

    #[test]
    fn a_value_within_quotes_is_refused_at_the_start_and_an_attribute_when_it_is_there() {
        for name in ["first_name", "external_id", "template_name"] {
            let wrong = Body::new(&with(&format!("{{\"a\": \"{{{{ {name} }}}}\"}}"))).err().unwrap();
            assert!(wrong.contains("values bring their own quotes"), "{name}: {wrong}");
        }
        let body = Body::new(&with("{\"a\": \"{{ attributes.city }}\"}")).unwrap();
        let mut envelope = sample(None);
        let attributes = [("city".to_owned(), serde_json::json!("Leeds"))].into();
        envelope.details.as_mut().unwrap().profile.attributes = attributes;
        let trouble = body.render(&envelope).unwrap_err();
        assert!(
            trouble.detail.contains("does not give JSON") && !trouble.detail.contains("Leeds"),
            "{}",
            trouble.detail
        );
    }

    #[test]
    fn what_is_known_of_a_contact_is_at_hand_and_what_is_not_is_null() {
        let mut envelope = sample(None);
        envelope.attempt = 3;
        let details = envelope.details.as_mut().unwrap();
        details.profile.fields.external_id = Some("crm \"7\"".to_owned());
        details.profile.attributes = [("plan".to_owned(), serde_json::json!({ "name": "gold" }))].into();
        details.template_name = Some("spring".to_owned());
        let template = "{\"a\": [{{ attempt }}, {{ external_id }}, {{ attributes.plan }}, \
                        {{ attributes.plan.name | default(none) }}, \
                        {{ attributes.size }}, {{ first_name }}, {{ template_name }}, \
                        {{ attributes.size | default(\"none\", true) }}]}";
        let body = Body::new(&with(template)).unwrap();
        assert!(body.wants_details());
        let written: serde_json::Value = serde_json::from_slice(&body.render(&envelope).unwrap()).unwrap();
        let plan = serde_json::json!({ "name": "gold" });
        assert_eq!(written["a"], serde_json::json!([3, "crm \"7\"", plan, "gold", null, null, "spring", "none"]));
        assert!(!Body::new(&with("{\"to\": {{ to }}}")).unwrap().wants_details());
    }

    #[test]
    fn the_fields_of_a_form_are_escaped_one_by_one_and_empty_ones_are_left_out() {
        let mut envelope = sample(None);
        envelope.message.text = "50% & mehr=ü\n+1 {{ to }}".to_owned();
        let body = Body::new(&form(&[("Body", "{{ text }}"), ("To", "{{ to }}"), ("X y", "a&b"), ("Z", "{{ html }}")]));
        let body = body.unwrap();
        assert_eq!(body.media_type(), FORM_TYPE);
        let written = String::from_utf8(body.render(&envelope).unwrap()).unwrap();
        let details = envelope.details.as_mut().unwrap();
        details.profile.attributes =
            [("vip".to_owned(), true.into()), ("plan".to_owned(), serde_json::json!({ "n": null }))].into();
        let fields = [("A", "{{ attributes.vip }}"), ("B", "{{ attributes.plan }}"), ("C", "{{ attributes.none }}")];
        let typed = Body::new(&form(&fields)).unwrap().render(&envelope).unwrap();
        assert_eq!(String::from_utf8(typed).unwrap(), "A=true&B=%7B%22n%22%3Anull%7D");
        assert_eq!(written, "Body=50%25+%26+mehr%3D%C3%BC%0A%2B1+%7B%7B+to+%7D%7D&To=sample%40example.com&X+y=a%26b");
    }

    #[test]
    fn a_body_that_changes_with_each_try_does_not_go_with_one_key() {
        let keyed = WebhookConfig { idempotent: true, ..with("{\"a\": {{ attempt }}}") };
        let refused = Body::new(&keyed).err().unwrap_or_default();
        assert!(refused.starts_with("body: attempt changes"), "{refused}");
        let both = WebhookConfig { body: Some("{}".to_owned()), ..form(&[("a", "b")]) };
        assert!(Body::new(&both).err().unwrap_or_default().starts_with("form: "));
        let unknown = Body::new(&form(&[("To", "{{ nobody }}")])).err().unwrap_or_default();
        assert!(unknown.starts_with("form: ") && unknown.contains("undefined"), "{unknown}");
    }

    #[test]
    fn a_template_that_cannot_work_is_refused_with_the_reason() {
        for (template, reason) in [
            ("{\"to\": {{ to }", "syntax error"),
            ("{\"to\": {{ nobody }}}", "undefined"),
            ("{\"to\": \"{{ to }}\"}", "does not give JSON"),
            ("{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}{}", "fuel"),
        ] {
            let refused = Body::new(&with(template)).err().unwrap_or_default();
            assert!(refused.contains(reason), "{template}: {refused}");
        }
    }

    #[test]
    fn a_message_of_marketing_says_where_its_recipient_unsubscribes() {
        let mut envelope = sample(None);
        let plain: serde_json::Value =
            serde_json::from_slice(&Body::new(&WebhookConfig::default()).unwrap().render(&envelope).unwrap()).unwrap();
        assert_eq!(plain.get("unsubscribe_url"), None, "{plain}");
        let unsubscribe = "https://mail.example.com/u/abc".to_owned();
        envelope.message.list = Some(ListHeaders { unsubscribe, id: Some("news.example.com".to_owned()) });
        let written: serde_json::Value =
            serde_json::from_slice(&Body::new(&WebhookConfig::default()).unwrap().render(&envelope).unwrap()).unwrap();
        assert_eq!(written["unsubscribe_url"], "https://mail.example.com/u/abc");
        assert_eq!(written["list_id"], "news.example.com");
        let body = Body::new(&with("{\"a\": {{ unsubscribe_url }}, \"b\": {{ list_id }}}")).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&body.render(&envelope).unwrap()).unwrap();
        assert_eq!(written, serde_json::json!({"a": "https://mail.example.com/u/abc", "b": "news.example.com"}));
    }

    #[test]
    fn a_value_is_a_json_value_whatever_it_holds() {
        let body =
            Body::new(&with("{\"m\": [{{ subject }}, {{ text }}, {{ html }}, {{ contact_id }}, {{ key }}]}")).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&body.render(&sample(None)).unwrap()).unwrap();
        assert_eq!(written, serde_json::json!({"m": ["a \"sample\"", "one\ntwo\\", null, 1, "sample:1"]}));
    }
}
