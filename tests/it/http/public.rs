//! The pages for recipients.

mod choosing;
mod refusing;
mod tracked;

use serde_json::json;
use volley::domain::channel::ChannelKind;
use volley::domain::ids::{CampaignId, ContactId, ListId};
use volley::domain::instant::UtcInstant;
use volley::domain::people::link::{Link, LinkKey};
use volley::store::people::link_keys;

use crate::support::Database;
use crate::support::api::{Api, Campaign, id};
use crate::support::server::{Raw, Server, sandbox};

const LONG: std::time::Duration = std::time::Duration::from_secs(60);

/// An instance with a campaign to the list `Spring news`, which Ann is on. `Private matters` is no public list.
pub(crate) struct Site {
    pub(crate) server: Server,
    api: Api,
    key: LinkKey,
    pub(crate) ann: i64,
    pub(crate) spring: i64,
    pub(crate) autumn: i64,
    private: i64,
    campaign: i64,
}

impl Site {
    pub(crate) fn on(db: &Database) -> Self {
        Self::with(db, |_| {})
    }

    fn with(db: &Database, change: impl FnOnce(&mut volley::config::Settings)) -> Self {
        let server = Server::with(db, |settings| {
            settings.pools = vec![sandbox("main", ChannelKind::Email, 0.0)];
            change(settings);
        });
        let api = server.api();
        let [spring, autumn, private] =
            ["Spring news", "Autumn news", "Private matters"].map(|name| api.create_list(name));
        db.execute(&format!("UPDATE lists SET public = (id <> {private})"));
        let ann = json!({ "email": "ann.miller@example.com", "first_name": "Ann", "locale": "en" });
        let ann = id(&api.post("/v1/contacts", &ann));
        api.post(&format!("/v1/lists/{spring}/members"), &json!({ "contact_ids": [ann] }));
        let campaign = api.create_campaign("email", "main", spring, &json!({ "subject": "s", "body_text": "x" }));
        api.send(campaign);
        api.wait(campaign, "it ends", LONG, Campaign::is_ended);
        let key = server.ask(|conn| Ok(link_keys::all(conn)?.remove(0)));
        Self { server, api, key, ann, spring, autumn, private, campaign }
    }

    pub(crate) fn no(&self) -> String {
        let link = Link::Unsubscribe { campaign: CampaignId(self.campaign), contact: ContactId(self.ann) };
        format!("/u/{}", self.key.sign(&link))
    }

    pub(crate) fn preferences_from(&self, launched_at: UtcInstant) -> String {
        let link = Link::preferences(CampaignId(self.campaign), ContactId(self.ann), launched_at);
        format!("/preferences/{}", self.key.sign(&link))
    }

    pub(crate) fn preferences(&self) -> String {
        self.preferences_from(now())
    }

    pub(crate) fn confirm_from(&self, list: i64, address: &str, asked_at: UtcInstant) -> String {
        let link = Link::confirm(ListId(list), ContactId(self.ann), self.key.mark(address), asked_at);
        format!("/confirm/{}", self.key.sign(&link))
    }

    pub(crate) fn confirm(&self, list: i64) -> String {
        self.confirm_from(list, "ann.miller@example.com", now())
    }

    fn visit(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Raw {
        let mut all = vec![("Authorization", "")];
        all.extend(headers);
        self.server.send(method, path, &all, body.as_bytes())
    }

    fn get(&self, path: &str) -> Raw {
        self.visit("GET", path, &[], "")
    }

    fn press(&self, path: &str, form: &str) -> Raw {
        self.visit("POST", path, &[("Content-Type", "application/x-www-form-urlencoded")], form)
    }
}

pub(crate) fn now() -> UtcInstant {
    UtcInstant(jiff::Timestamp::now().as_millisecond())
}

/// How the contact stands on a list.
pub(crate) fn standing(db: &Database, list: i64, contact: i64) -> String {
    let of = |standing: &str| {
        db.number(&format!(
            "SELECT count(*) AS n FROM list_members WHERE list_id = {list} AND contact_id = {contact} AND status = '{standing}'"
        ))
    };
    let all = ["subscribed", "unconfirmed", "unsubscribed", "moved"];
    all.into_iter().find(|standing| of(standing) == 1).unwrap_or("none").to_owned()
}

/// Everything that a refusal or a consent could change.
pub(crate) fn books(db: &Database) -> [i64; 4] {
    ["list_members", "suppressions", "consent_log", "list_members WHERE status = 'unsubscribed'"]
        .map(|table| db.number(&format!("SELECT count(*) AS n FROM {table}")))
}

fn text(answer: &Raw) -> &str {
    answer.body.as_str().unwrap_or_default()
}

/// A page: nobody keeps it, it leads nowhere else, and it has nothing of elsewhere in it.
#[track_caller]
fn assert_page(answer: &Raw, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-robots-tag", "noindex, nofollow"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{answer:?}");
    }
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!((answer.header("set-cookie"), answer.header("location")), (None, None), "{answer:?}");
    let page = text(answer);
    for foreign in ["<script", "style=", "<style", "http://", "https://", "onclick", "<img"] {
        assert!(!page.contains(foreign), "{foreign} in {page}");
    }
    assert!(page.contains("<html lang=\"") && page.contains("name=\"viewport\""), "{page}");
    assert_eq!(page.matches("<h1>").count(), 1, "{page}");
}
