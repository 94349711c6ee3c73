//! Campaigns as clients write, send and follow them, on an instance with pools.

mod alike;
mod archives;
mod archives_racing;
mod at_once;
mod brakes;
mod carried;
mod decisions;
mod drafts;
mod filters;
mod links;
mod lists;
mod minutes;
mod own_values;
mod pace;
mod pool_changes;
mod preflights;
mod previews;
mod rates;
mod reach;
mod reasons;
mod recipients;
mod refusals;
mod reports;
mod schedules;
mod segments;
mod sending;
mod topics;
mod uncertain;
mod why;

use serde_json::{Value, json};
use volley::config::pools::PoolConfig;
use volley::domain::channel::ChannelKind;

use crate::support::api::{Api, id};
use crate::support::server::{Raw, Server, sandbox};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Longer than any campaign of these tests takes, on a slow machine too.
const LONG: std::time::Duration = std::time::Duration::from_secs(60);

/// `fast` takes every email at once, `slow` two a second, `texts` every text message.
fn pools() -> Vec<PoolConfig> {
    let slow = PoolConfig { rate_per_second: 2.0, burst: Some(1), ..sandbox("slow", ChannelKind::Email, 0.0) };
    vec![sandbox("fast", ChannelKind::Email, 0.0), slow, sandbox("texts", ChannelKind::Sms, 0.0)]
}

/// That many new contacts with an email address.
fn people(api: &Api, count: usize) -> Vec<i64> {
    (1..=count)
        .map(|n| {
            let body = json!({ "email": format!("person{n}@example.com"), "first_name": format!("First{n}") });
            id(&api.post("/v1/contacts", &body))
        })
        .collect()
}

/// The fields of a campaign through `fast`; `more` adds or replaces some.
fn fields(more: &Value) -> Value {
    let mut body = json!({
        "name": "Spring", "channel": "email", "pool": "fast",
        "subject": "Hi {first_name|you}", "body_text": "Dear {first_name|friend}",
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn draft(api: &Api, more: &Value) -> i64 {
    id(&api.post("/v1/campaigns", &fields(more)))
}

fn ask(server: &Server, method: &str, path: &str, body: &Value) -> Raw {
    server.send(method, path, &[JSON], body.to_string().as_bytes())
}

#[track_caller]
fn assert_refused(answer: &Raw, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{answer:?}");
}

/// Checks that an answer is a 409 that names the present status.
#[track_caller]
fn assert_illegal(answer: &Raw, present: &str) {
    assert_refused(answer, 409, "invalid_transition");
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.ends_with(&format!("is {present}")), "{detail}");
}
