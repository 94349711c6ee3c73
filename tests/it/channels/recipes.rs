//! docs/recipes.md: each recipe is read from the page, and its requests and answers are those of the provider's documentation.

use serde_json::{Value, json};
use volley::channels::build;
use volley::config::pools::PoolConfig;
use volley::domain::content::message::Details;
use volley::domain::dispatch::outcome::Outcome;

use super::{Turnstile, envelope, kind};
use crate::support::Database;
use crate::support::scripted_http::{Answer, Asked, ScriptedHttp};
use crate::support::stage::LONG;
use crate::support::volley::Volley;

/// The settings of one recipe, with the server's address in place of the provider's. Everything behind it stays.
fn recipe(name: &str, server: &ScriptedHttp) -> String {
    let page = crate::docs::page("docs/recipes.md");
    let blocks = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let found: Vec<&str> = blocks.filter(|block| block.contains(&format!("name = \"{name}\"\n"))).collect();
    let [block] = found.try_into().unwrap_or_else(|found: Vec<_>| panic!("{} recipes for {name}", found.len()));
    let url: toml::Table = toml::from_str(block).unwrap();
    let url: reqwest::Url = url["pools"][0]["url"].as_str().unwrap().parse().unwrap();
    assert_eq!(url.scheme(), "https", "{name}");
    let secret = format!("https://{}", &url.as_str()["https://".len()..url.as_str().len() - url.path().len()]);
    let user = secret["https://".len()..].split_once('@').map_or(String::new(), |(user, _)| format!("{user}@"));
    block.replace(&secret, &format!("http://{user}127.0.0.1:{}", server.port()))
}

/// What a campaign with a template asks a provider of this recipe, through the program itself.
fn asked(name: &str, channel: &str, accepted: &Answer, with_html: bool) -> (Asked, Value) {
    let db = Database::sqlite();
    let server = ScriptedHttp::always(accepted.clone());
    let volley = Volley::on(&db).settings(&recipe(name, &server)).start();
    let api = volley.api();
    let mut template = json!({ "name": "spring_offer", "channel": channel, "body_text": "Dear {first_name}, 5% & \"more\" – ünly now" });
    if channel == "email" {
        template["subject"] = json!("For {first_name}");
        template["category"] = json!("transactional");
    }
    if with_html {
        template["body_html"] = json!("<p>Dear {first_name}</p>");
    }
    let template = api.post("/v1/templates", &template)["id"].clone();
    let contact = json!({
        "external_id": "crm-42", "email": "ann@example.com", "phone": "+15005550009", "first_name": "Ann",
        "attributes": { "language": "pt_BR", "plan": "gold" },
    });
    let contact = api.post("/v1/contacts", &contact)["id"].clone();
    let campaign = json!({
        "name": "Spring", "channel": channel, "pool": name, "template_id": template,
        "props": { "code": "SPRING20" }, "audience": { "contact_ids": [contact] },
    });
    let campaign = api.post("/v1/campaigns", &campaign)["id"].as_i64().unwrap();
    api.send(campaign);
    let ended = api.wait_ended(campaign, LONG);
    assert_eq!((ended.status.as_str(), ended.stats.sent), ("sent", 1), "{name}: {}", ended.body);
    let deliveries = api.get(&format!("/v1/campaigns/{campaign}/deliveries"));
    let delivery = deliveries["data"][0].clone();
    volley.stop();
    let [asked] = server.asked().try_into().unwrap_or_else(|all: Vec<Asked>| panic!("{name}: {} requests", all.len()));
    (asked, json!({ "campaign": campaign, "delivery": delivery }))
}

fn header<'a>(asked: &'a Asked, name: &str) -> &'a str {
    asked.headers.get(name).map(String::as_str).unwrap_or_else(|| panic!("no {name} in {:?}", asked.headers))
}

fn body(asked: &Asked) -> Value {
    assert_eq!(header(asked, "content-type"), "application/json");
    serde_json::from_str(&asked.body).unwrap()
}

const TEXT: &str = "Dear Ann, 5% & \"more\" – ünly now";

#[test]
fn twilio_gets_a_form_with_the_account_and_the_numbers() {
    let (asked, seen) = asked("twilio", "sms", &Answer::json(201, r#"{"sid": "SM1", "status": "queued"}"#), false);
    assert_eq!(asked.line, "POST /2010-04-01/Accounts/ACCOUNT_SID/Messages.json HTTP/1.1");
    // ACCOUNT_SID:AUTH_TOKEN
    assert_eq!(header(&asked, "authorization"), "Basic QUNDT1VOVF9TSUQ6QVVUSF9UT0tFTg==");
    assert_eq!(header(&asked, "content-type"), "application/x-www-form-urlencoded");
    let fields: Vec<(String, String)> =
        url::form_urlencoded::parse(asked.body.as_bytes()).map(|(name, value)| (name.into(), value.into())).collect();
    let wanted = [("Body", TEXT), ("From", "+15005550006"), ("To", "+15005550009")];
    assert_eq!(fields, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(
        asked.body.starts_with("Body=Dear+Ann%2C+5%25+%26+%22more%22+%E2%80%93+%C3%BCnly+now&From=%2B1"),
        "{}",
        asked.body
    );
    assert_eq!(seen["delivery"]["provider_id"], "SM1", "{seen}");
}

#[test]
fn whatsapp_gets_a_template_with_its_parameters() {
    let answer = Answer::json(200, r#"{"messaging_product": "whatsapp", "messages": [{"id": "wamid.1"}]}"#);
    let (asked, seen) = asked("whatsapp", "whatsapp", &answer, false);
    assert_eq!(asked.line, "POST /v23.0/PHONE_NUMBER_ID/messages HTTP/1.1");
    assert_eq!(header(&asked, "authorization"), "Bearer ACCESS_TOKEN");
    let wanted = json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+15005550009",
        "type": "template",
        "template": {
            "name": "spring_offer",
            "language": { "code": "pt_BR" },
            "components": [{ "type": "body", "parameters": [
                { "type": "text", "text": "Ann" }, { "type": "text", "text": "SPRING20" },
            ] }],
        },
        "biz_opaque_callback_data": header(&asked, "idempotency-key"),
    });
    assert_eq!(body(&asked), wanted);
    assert_eq!(seen["delivery"]["provider_id"], "wamid.1", "{seen}");
}

#[test]
fn resend_gets_an_email_under_its_key() {
    let (asked, seen) = asked("resend", "email", &Answer::json(200, r#"{"id": "49a3999c"}"#), true);
    assert_eq!(asked.line, "POST /emails HTTP/1.1");
    assert_eq!(header(&asked, "authorization"), "Bearer re_SECRET");
    let key = header(&asked, "idempotency-key");
    assert!(key.len() <= 256, "{key}");
    let wanted = json!({
        "from": "Example Shop <news@example.com>",
        "to": ["ann@example.com"],
        "subject": "For Ann",
        "text": TEXT,
        "html": "<p>Dear Ann</p>",
        "tags": [{ "name": "volley_delivery", "value": key.replace(':', "-") }],
    });
    assert_eq!(body(&asked), wanted);
    assert_eq!(seen["delivery"]["provider_id"], "49a3999c", "{seen}");
}

#[test]
fn sendgrid_gets_an_email_with_its_parts() {
    let (asked, _) = asked("sendgrid", "email", &Answer::status(202), true);
    assert_eq!(asked.line, "POST /v3/mail/send HTTP/1.1");
    assert_eq!(header(&asked, "authorization"), "Bearer SG.SECRET");
    let wanted = json!({
        "personalizations": [{
            "to": [{ "email": "ann@example.com", "name": "Ann" }],
            "custom_args": { "volley_delivery": header(&asked, "idempotency-key") },
        }],
        "from": { "email": "news@example.com", "name": "Example Shop" },
        "subject": "For Ann",
        "content": [{ "type": "text/plain", "value": TEXT }, { "type": "text/html", "value": "<p>Dear Ann</p>" }],
    });
    assert_eq!(body(&asked), wanted);
}

#[test]
fn a_crm_gets_a_conversation_with_its_message() {
    let answer = Answer::json(200, r#"{"data": {"id": "c-7", "messages": [{"id": "m-1"}]}}"#);
    let (asked, seen) = asked("crm", "whatsapp", &answer, false);
    assert_eq!(asked.line, "POST /api/v1/conversations HTTP/1.1");
    assert_eq!(header(&asked, "x-service-token"), "SECRET");
    let mut said = body(&asked);
    let sent_at = said["message"]["content_attributes"]["sent_at"].take();
    assert!(sent_at.as_str().is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok()), "{sent_at}");
    let wanted = json!({
        "source_id": header(&asked, "idempotency-key"),
        "inbox_id": "INBOX_ID",
        "contact_id": "crm-42",
        "status": "open",
        "message": {
            "content": TEXT,
            "message_type": "outgoing",
            "private": false,
            "content_attributes": { "campaign_id": seen["campaign"], "sent_at": null },
            "template_params": {
                "name": "spring_offer",
                "category": "MARKETING",
                "language": "pt_BR",
                "processed_params": { "1": "Ann", "2": "gold" },
            },
        },
    });
    assert_eq!(said, wanted);
    assert_eq!(seen["delivery"]["provider_id"], "c-7", "{seen}");
}

#[actix::test]
async fn emails_of_marketing_have_the_headers_to_unsubscribe() {
    for name in ["resend", "sendgrid"] {
        let server = ScriptedHttp::always(Answer::json(200, "{}"));
        let mut envelope = envelope();
        let unsubscribe = "https://mail.example.com/u/abc?x=1&y=2".to_owned();
        envelope.message.list = Some(volley::domain::content::message::ListHeaders { unsubscribe, id: None });
        deliver(name, &server, &envelope).await;
        let said: Value = serde_json::from_str(&server.asked()[0].body).unwrap();
        let wanted = json!({
            "List-Unsubscribe": "<https://mail.example.com/u/abc?x=1&y=2>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        });
        assert_eq!(said["headers"], wanted, "{name}: {said}");
    }
}

async fn deliver(name: &str, server: &ScriptedHttp, envelope: &volley::domain::content::message::Envelope) -> Outcome {
    let settings: toml::Table = toml::from_str(&recipe(name, server)).unwrap();
    let channel = build(&PoolConfig::read(&settings["pools"][0]).unwrap()).unwrap();
    channel.deliver(envelope, &Turnstile::default()).await
}

/// Answers as the providers document them, and what they come to.
const ANSWERS: &[(&str, u16, &str, &str)] = &[
    ("twilio", 201, r#"{"sid": "SM1"}"#, "accepted"),
    ("twilio", 400, r#"{"code": 21211, "message": "Invalid 'To' Phone Number", "status": 400}"#, "rejected"),
    (
        "twilio",
        400,
        r#"{"code": 21610, "message": "Attempt to send to unsubscribed recipient", "status": 400}"#,
        "rejected",
    ),
    ("twilio", 429, r#"{"code": 20429, "message": "Too Many Requests", "status": 429}"#, "pool fault"),
    ("twilio", 401, r#"{"code": 20003, "message": "Authenticate", "status": 401}"#, "pool fault"),
    ("twilio", 500, "", "unknown"),
    ("whatsapp", 200, r#"{"messages": [{"id": "wamid.1"}]}"#, "accepted"),
    (
        "whatsapp",
        400,
        r#"{"error": {"code": 132001, "message": "Template name does not exist in the translation"}}"#,
        "rejected",
    ),
    (
        "whatsapp",
        400,
        r#"{"error": {"code": 131056, "message": "(Business Account, Consumer Account) pair rate limit hit"}}"#,
        "deferred",
    ),
    ("whatsapp", 400, r#"{"error": {"code": 130429, "message": "Rate limit hit"}}"#, "pool fault"),
    ("whatsapp", 401, r#"{"error": {"code": 190, "message": "Access token has expired"}}"#, "pool fault"),
    ("whatsapp", 500, r#"{"error": {"code": 131000, "message": "Something went wrong"}}"#, "unknown"),
    ("resend", 200, r#"{"id": "49a3999c"}"#, "accepted"),
    ("resend", 422, r#"{"statusCode": 422, "name": "validation_error", "message": "Invalid `to` field."}"#, "rejected"),
    (
        "resend",
        429,
        r#"{"statusCode": 429, "name": "rate_limit_exceeded", "message": "Too many requests."}"#,
        "pool fault",
    ),
    (
        "resend",
        429,
        r#"{"statusCode": 429, "name": "daily_quota_exceeded", "message": "You have reached your daily quota."}"#,
        "pool fault",
    ),
    ("resend", 401, r#"{"statusCode": 401, "name": "missing_api_key", "message": "Missing API key"}"#, "pool fault"),
    (
        "resend",
        409,
        r#"{"statusCode": 409, "name": "concurrent_idempotent_requests", "message": "in progress"}"#,
        "key seen",
    ),
    ("resend", 500, r#"{"statusCode": 500, "name": "application_error", "message": "unexpected"}"#, "unknown"),
    ("sendgrid", 202, "", "accepted"),
    (
        "sendgrid",
        400,
        r#"{"errors": [{"message": "Does not contain a valid address.", "field": "personalizations.0.to.0.email"}]}"#,
        "rejected",
    ),
    ("sendgrid", 401, r#"{"errors": [{"message": "Maximum credits exceeded"}]}"#, "pool fault"),
    ("sendgrid", 403, r#"{"errors": [{"message": "access forbidden"}]}"#, "pool fault"),
    ("sendgrid", 413, "", "rejected"),
    ("sendgrid", 429, r#"{"errors": [{"message": "too many requests"}]}"#, "pool fault"),
    ("sendgrid", 500, "", "unknown"),
    ("crm", 200, r#"{"data": {"id": "c-7"}}"#, "accepted"),
    ("crm", 422, r#"{"error": "contact is invalid"}"#, "rejected"),
    ("crm", 401, r#"{"error": "Invalid token"}"#, "pool fault"),
    ("crm", 429, "", "pool fault"),
    ("crm", 503, "", "pool fault"),
];

#[actix::test]
async fn each_recipe_reads_the_answers_of_its_provider() {
    let mut wrong = Vec::new();
    for (name, status, answer, wanted) in ANSWERS {
        let server = ScriptedHttp::always(Answer::json(*status, answer));
        let mut envelope = envelope();
        envelope.details = Some(Box::new(Details { template_name: Some("spring".to_owned()), ..Details::default() }));
        let outcome = deliver(name, &server, &envelope).await;
        if kind(&outcome) != *wanted {
            wrong.push(format!("{name} {status} {answer}: {} for {wanted}", kind(&outcome)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
