//! The fields of the composer: a draft as a form, and a form as what the API takes.

use serde_json::{Map, Value, json};

use super::email_form::EmailTyped;
use super::form::Form;
use super::header_lines;
use super::literal_lines::literal_lines;
use crate::domain::campaigns::audience::{Audience, CampaignPart};
use crate::domain::content::props::Props;
use crate::http::api::campaigns::Campaign;
use crate::http::web::problem::{ApiError, FieldProblem};

/// The fields that a draft has so far.
pub(super) fn fields_of(campaign: &Campaign) -> Form {
    let mut fields = vec![
        ("name", campaign.name.clone()),
        ("description", campaign.description.clone()),
        ("props", written(&campaign.props)),
        ("pool", campaign.pool.clone().unwrap_or_default()),
        ("from", campaign.email.from.clone().unwrap_or_default()),
        ("content", if campaign.template_id.is_some() { "template" } else { "own" }.to_owned()),
        ("template_id", campaign.template_id.map(|id| id.to_string()).unwrap_or_default()),
        ("category", campaign.category.to_string()),
        ("topic_id", campaign.topic_id.map(|id| id.to_string()).unwrap_or_default()),
        ("rate_per_second", campaign.rate_per_second.map(|rate| rate.to_string()).unwrap_or_default()),
        ("retry_for", campaign.retry_for.map(|seconds| seconds.to_string()).unwrap_or_default()),
        ("on_uncertain", campaign.on_uncertain.to_string()),
    ];
    if let Some(own) = &campaign.content {
        fields.push(("subject", own.subject.clone()));
        fields.push(("body_text", own.body_text.clone()));
        fields.push(("body_html", own.body_html.clone().unwrap_or_default()));
        fields.push(("literal", own.literal.join("\n")));
        fields.push(("has_own", "yes".to_owned()));
    }
    fields.extend(EmailTyped::stored(&campaign.email).fields());
    if let Some(audience) = &campaign.audience {
        audience_fields(audience, &mut fields);
    }
    Form::of(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn audience_fields(audience: &Audience, fields: &mut Vec<(&'static str, String)>) {
    let Audience { include, exclude } = audience;
    let each = |name: &'static str, ids: Vec<String>| ids.into_iter().map(move |id| (name, id));
    fields.extend(each("lists", texts(&include.lists)));
    fields.extend(each("segments", texts(&include.segments)));
    fields.extend(each("not_lists", texts(&exclude.lists)));
    fields.extend(each("not_segments", texts(&exclude.segments)));
    let campaigns =
        |parts: &[CampaignPart]| parts.iter().map(|part| part.id.to_string()).collect::<Vec<_>>().join(", ");
    for (prefix, tags, ids, parts, filter) in [
        (
            ["tags", "contact_ids", "campaigns", "filter"],
            &include.tags,
            &include.contact_ids,
            &include.campaigns,
            &include.filter,
        ),
        (
            ["not_tags", "not_contact_ids", "not_campaigns", "not_filter"],
            &exclude.tags,
            &exclude.contact_ids,
            &exclude.campaigns,
            &exclude.filter,
        ),
    ] {
        let [of_tags, of_ids, of_campaigns, of_filter] = prefix;
        fields.push((of_tags, tags.join(", ")));
        fields.push((of_ids, texts(ids).join(" ")));
        fields.push((of_campaigns, campaigns(parts)));
        let filter = filter.as_ref().and_then(|filter| serde_json::to_string_pretty(filter).ok());
        fields.push((of_filter, filter.unwrap_or_default()));
    }
    if include.all {
        fields.push(("all", "yes".to_owned()));
    }
}

/// The values of a campaign as a form has them; nothing where there are none.
fn written(props: &Props) -> String {
    if props.is_empty() { String::new() } else { serde_json::to_string_pretty(props).unwrap_or_default() }
}

fn texts<T: ToString>(ids: &[T]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// A form as the body of an edit, and what of it can be no part of one.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) members: Map<String, Value>,
    pub(super) problems: Vec<FieldProblem>,
}

impl Body {
    /// What a form says of a draft.
    pub(super) fn of(form: &Form) -> Self {
        let mut body = Self::default();
        body.set("name", json!(form.value("name")));
        body.set("pool", text_or_null(form.value("pool")));
        body.own(form);
        body.content(form);
        body.email(form);
        body.set("topic_id", name_of(form.value("topic_id")).unwrap_or(Value::Null));
        if let Some(tracking) = tracking(form.value("tracking")) {
            body.set("tracking", tracking);
        }
        let audience = body.audience(form);
        body.set("audience", audience);
        let rate = body.number("/rate_per_second", form.value("rate_per_second"));
        body.set("rate_per_second", rate);
        let retry_for = form.value("retry_for").trim();
        let seconds: Option<f64> = retry_for.parse().ok();
        body.set("retry_for", seconds.map_or_else(|| text_or_null(retry_for), |seconds| json!(seconds)));
        if let Some(on_uncertain) = form.text("on_uncertain") {
            body.set("on_uncertain", json!(on_uncertain));
        }
        body
    }

    fn set(&mut self, name: &str, value: Value) {
        self.members.insert(name.to_owned(), value);
    }

    /// A template, or words of its own. A template brings its category with it.
    fn content(&mut self, form: &Form) {
        if form.value("content") == "template" {
            let template = self.id("/template_id", form.value("template_id").trim());
            return self.set("template_id", template);
        }
        let parts = ["subject", "body_text", "body_html"];
        let is_blank = parts.iter().all(|part| form.value(part).trim().is_empty());
        if is_blank && form.text("has_own").is_none() {
            self.set("template_id", Value::Null);
        } else {
            self.set("subject", json!(form.value("subject")));
            self.set("body_text", json!(lines(form.value("body_text"))));
            self.set("body_html", text_or_null(&lines(form.value("body_html"))));
            if let Some(literal) = form.text("literal") {
                self.set("literal", json!(literal_lines(literal)));
            }
        }
        if let Some(category) = form.text("category") {
            self.set("template_id", Value::Null);
            self.set("category", json!(category));
        }
    }

    /// What its emails have beside the words. What is in no field of the form stays as it is.
    fn email(&mut self, form: &Form) {
        let typed = EmailTyped::of(form);
        if form.text("reply_to").is_some() {
            self.set("reply_to", text_or_null(&typed.reply_to));
        }
        if form.text("headers").is_some() {
            self.take("headers", header_lines::read(&typed.headers).map(|headers| json!(headers)));
        }
        if form.text("has_files").is_some() {
            self.take("attachments", typed.attachments());
        }
    }

    fn take(&mut self, name: &str, value: Result<Value, ApiError>) {
        match value {
            Ok(value) => self.set(name, value),
            Err(error) => self.problems.extend(error.problem().errors),
        }
    }

    fn audience(&mut self, form: &Form) -> Value {
        let mut audience = self.part(form, "/audience", "");
        let left_out = self.part(form, "/audience/exclude", "not_");
        if form.text("all").is_some() {
            audience.insert("all".to_owned(), json!(true));
        }
        if !left_out.is_empty() {
            audience.insert("exclude".to_owned(), Value::Object(left_out));
        }
        if audience.is_empty() { Value::Null } else { Value::Object(audience) }
    }

    /// Who is named, or left out, as far as anybody is.
    fn part(&mut self, form: &Form, at: &str, prefix: &str) -> Map<String, Value> {
        let field = |name: &str| form.value(&format!("{prefix}{name}")).to_owned();
        let mut part = Map::new();
        for name in ["lists", "segments"] {
            let chosen = format!("{prefix}{name}");
            let more = field(&format!("more_{name}"));
            let named: Vec<Value> = form.all(&chosen).chain(words(&more)).filter_map(name_of).collect();
            insert(&mut part, name, named);
        }
        let tags = field("tags");
        insert(
            &mut part,
            "tags",
            tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(|tag| json!(tag)).collect(),
        );
        let ids = field("contact_ids");
        insert(&mut part, "contact_ids", words(&ids).map(|id| self.id(&format!("{at}/contact_ids"), id)).collect());
        let campaigns = field("campaigns");
        let campaigns = words(&campaigns).map(|id| json!({ "id": self.id(&format!("{at}/campaigns"), id) })).collect();
        insert(&mut part, "campaigns", campaigns);
        let filter = field("filter");
        if !filter.trim().is_empty() {
            match serde_json::from_str(&filter) {
                Ok(filter) => _ = part.insert("filter".to_owned(), filter),
                Err(error) => self.refuse(&format!("{at}/filter"), "json_malformed", &format!("is no JSON: {error}")),
            }
        }
        part
    }

    /// What it is about, who it is from, and the values of its own, where the form has them.
    fn own(&mut self, form: &Form) {
        if let Some(description) = form.text("description") {
            self.set("description", json!(lines(description)));
        }
        if let Some(from) = form.text("from") {
            self.set("from", text_or_null(from.trim()));
        }
        match form.text("props").map(str::trim) {
            None => {}
            Some("") => self.set("props", json!({})),
            Some(props) => match serde_json::from_str::<Map<String, Value>>(props) {
                Ok(props) => self.set("props", Value::Object(props)),
                Err(error) => self.refuse("/props", "json_malformed", &format!("is no JSON object: {error}")),
            },
        }
    }

    fn id(&mut self, at: &str, text: &str) -> Value {
        if text.is_empty() {
            return Value::Null;
        }
        match text.parse::<i64>() {
            Ok(id) if id > 0 => json!(id),
            Ok(_) | Err(_) => {
                self.refuse(
                    at,
                    "invalid",
                    &format!("“{}” is no id: ids are whole numbers from 1", crate::domain::shown::shown(text)),
                );
                Value::Null
            }
        }
    }

    fn number(&mut self, at: &str, text: &str) -> Value {
        let text = text.trim();
        match text.parse::<f64>() {
            _ if text.is_empty() => Value::Null,
            Ok(number) if number.is_finite() => json!(number),
            Ok(_) | Err(_) => {
                self.refuse(at, "invalid", "is no number: write 12 or 0.5");
                Value::Null
            }
        }
    }

    fn refuse(&mut self, at: &str, code: &'static str, reason: &str) {
        self.problems.push(FieldProblem::new(at, code, reason));
    }

    /// Takes out what problems are about, so that the rest can be saved; whether anything went.
    pub(super) fn leave_out(&mut self, problems: &[FieldProblem]) -> bool {
        let before = self.members.len();
        for problem in problems {
            let top = problem.field.trim_start_matches('/').split('/').next().unwrap_or_default();
            if CONTENT.contains(&top) {
                CONTENT.iter().for_each(|name| _ = self.members.remove(*name));
            } else {
                self.members.remove(top);
            }
        }
        if self.members.len() == before {
            // What is stored may be what does not fit: it uses a value that is to go, or is no sender of the pool that is to come.
            for problem in problems {
                match problem.field.trim_start_matches('/').split('/').next() {
                    Some("from") => self.members.remove("pool"),
                    Some("subject" | "body_text" | "body_html" | "headers") => self.members.remove("props"),
                    _ => None,
                };
            }
        }
        self.members.len() < before
    }
}

/// What is saved together or not at all.
const CONTENT: [&str; 6] = ["template_id", "subject", "body_text", "body_html", "literal", "category"];

fn insert(part: &mut Map<String, Value>, name: &str, named: Vec<Value>) {
    if !named.is_empty() {
        part.insert(name.to_owned(), Value::Array(named));
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty())
}

/// A list or a segment: a number is its id, anything else its slug.
fn name_of(text: &str) -> Option<Value> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.parse::<i64>().map_or_else(|_| json!(text), |id| json!(id)))
}

fn text_or_null(text: &str) -> Value {
    if text.trim().is_empty() { Value::Null } else { json!(text) }
}

/// A browser ends the lines of a field with two characters.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// What is tracked. `None`: as it is.
fn tracking(chosen: &str) -> Option<Value> {
    let both = |clicks: bool, opens: bool| Some(json!({ "clicks": clicks, "opens": opens }));
    match chosen {
        "default" => Some(Value::Null),
        "nothing" => both(false, false),
        "clicks" => both(true, false),
        "opens" => both(false, true),
        "clicks_and_opens" => both(true, true),
        _ => None,
    }
}

/// The field of the form that a pointer into the body means.
pub(super) fn field_at(pointer: &str) -> String {
    let mut steps = pointer.trim_start_matches('/').split('/');
    match (steps.next().unwrap_or_default(), steps.next(), steps.next()) {
        ("audience", Some("exclude"), Some(field)) => format!("not_{field}"),
        ("audience", Some("exclude") | None, None) => "audience".to_owned(),
        ("audience", Some(field), _) => field.to_owned(),
        (field, _, _) => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)]) -> Form {
        Form::of(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_form_says_what_the_api_takes() {
        let body = Body::of(&form(&[
            ("name", "Spring"),
            ("content", "own"),
            ("subject", "Hi"),
            ("body_text", "one\r\ntwo"),
            ("body_html", " "),
            ("category", "marketing"),
            ("lists", "3"),
            ("more_lists", "news, 4"),
            ("not_tags", "vip, old friends"),
            ("not_campaigns", "7"),
            ("rate_per_second", "2.5"),
            ("retry_for", "6h"),
            ("tracking", "nothing"),
        ]));
        assert!(body.problems.is_empty(), "{:?}", body.problems);
        assert_eq!(
            Value::Object(body.members),
            json!({
                "name": "Spring", "pool": null, "template_id": null, "subject": "Hi", "body_text": "one\ntwo",
                "body_html": null, "category": "marketing", "topic_id": null,
                "audience": {
                    "lists": [3, "news", 4], "exclude": { "tags": ["vip", "old friends"], "campaigns": [{ "id": 7 }] },
                },
                "rate_per_second": 2.5, "retry_for": "6h", "tracking": { "clicks": false, "opens": false },
            })
        );
    }

    #[test]
    fn what_is_refused_is_left_out_with_what_belongs_to_it() {
        let mut body = Body::of(&form(&[
            ("name", ""),
            ("content", "own"),
            ("subject", "Hi"),
            ("contact_ids", "1 two"),
            ("rate_per_second", "fast"),
        ]));
        let fields: Vec<String> = body.problems.iter().map(|problem| field_at(&problem.field)).collect();
        assert_eq!(fields, ["contact_ids", "rate_per_second"]);
        let problems = std::mem::take(&mut body.problems);
        assert!(body.leave_out(&problems));
        assert!(body.leave_out(&[FieldProblem::new("/body_text", "body_required", "needs a text")]));
        assert!(!body.leave_out(&[FieldProblem::new("/subject", "subject_required", "needs one")]));
        let left: Vec<&String> = body.members.keys().collect();
        assert_eq!(left, ["name", "pool", "retry_for", "topic_id"]);
    }

    #[test]
    fn what_emails_have_beside_their_words_is_changed_only_where_the_form_has_it() {
        let body = Body::of(&form(&[("name", "Spring")]));
        assert!(
            !["reply_to", "headers", "attachments", "from", "props", "description"]
                .iter()
                .any(|name| body.members.contains_key(*name))
        );
        let body = Body::of(&form(&[("reply_to", " "), ("headers", "X-A: 1"), ("has_files", "yes")]));
        let of = |name: &str| body.members[name].clone();
        assert_eq!((of("reply_to"), of("headers"), of("attachments")), (json!(null), json!({ "X-A": "1" }), json!([])));
        let mut body = Body::of(&form(&[("headers", "X-A"), ("has_files", "yes"), ("older_file", "x")]));
        let fields: Vec<String> = body.problems.iter().map(|problem| problem.field.clone()).collect();
        assert_eq!(fields, ["/headers", "/attachments"]);
        let problems = std::mem::take(&mut body.problems);
        body.leave_out(&problems);
        assert!(body.members.contains_key("name") && !body.members.contains_key("headers"));
    }

    #[test]
    fn what_a_campaign_brings_itself_is_json_and_stays_where_stored_content_uses_it() {
        let body = Body::of(&form(&[("description", "a\r\nb"), ("from", " a@example.com "), ("props", " ")]));
        let of = |name: &str| body.members[name].clone();
        assert_eq!((of("description"), of("from"), of("props")), (json!("a\nb"), json!("a@example.com"), json!({})));
        for wrong in ["{", "[1]", "7"] {
            let body = Body::of(&form(&[("props", wrong)]));
            assert_eq!(body.problems[0].field, "/props", "{wrong}");
        }
        let mut body = Body::of(&form(&[("pool", "other"), ("props", r#"{"code": 1}"#)]));
        assert_eq!(body.members["props"], json!({ "code": 1 }));
        let unknown = [FieldProblem::new("/body_text", "unknown_placeholder", "is not known")];
        assert!(body.leave_out(&unknown) && body.members.contains_key("props"), "what was typed is left out first");
        assert!(body.leave_out(&unknown) && !body.members.contains_key("props"));
        assert!(body.leave_out(&[FieldProblem::new("/from", "from_invalid", "is at another domain")]));
        assert!(!body.members.contains_key("pool"));
    }

    #[test]
    fn texts_that_are_sent_as_written_stand_one_on_a_line_with_their_blanks() {
        let written = |text: &str| Body::of(&form(&[("body_text", "x"), ("literal", text)])).members["literal"].clone();
        assert_eq!(written(" [City]\r\n\r\n{id} \r\n"), json!([" [City]", "{id} "]));
        assert_eq!(written(""), json!([]));
        assert!(!Body::of(&form(&[("body_text", "x")])).members.contains_key("literal"));
    }

    #[test]
    fn a_pointer_leads_to_its_field() {
        for (pointer, field) in [
            ("/audience/lists/3", "lists"),
            ("/audience/exclude/filter/any/0", "not_filter"),
            ("/audience", "audience"),
            ("/body_html", "body_html"),
        ] {
            assert_eq!(field_at(pointer), field, "{pointer}");
        }
    }
}
