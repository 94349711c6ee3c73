//! The operators' pages.

mod acting;
mod attaching;
mod composing;
mod files;
mod keeping;
mod pictures;
mod racing;
mod searching;
mod sights;
mod watching;
mod ways;

use serde_json::json;
use volley::domain::channel::ChannelKind;

use crate::support::Database;
use crate::support::browser::{Browser, Setup};
use crate::support::server::{Server, sandbox};
use crate::support::waiting::wait_until;

const LONG: std::time::Duration = std::time::Duration::from_secs(60);

/// An instance with a campaign that goes out slowly to 400 people.
struct Desk {
    server: Server,
    campaign: i64,
    /// A draft that was checked.
    draft: i64,
}

impl Desk {
    fn on(db: &Database) -> Self {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.1)]);
        let api = server.api();
        let list = api.a_list_of(400);
        let campaign = json!({ "name": "Spring greeting", "rate_per_second": 20.0 });
        let campaign = api.create_campaign("email", "main", list, &campaign);
        api.send(campaign);
        api.post("/v1/keys", &json!({ "name": "web shop", "scope": "ingest" }));
        api.post("/v1/suppressions", &json!({ "address": "person390@example.com", "reason": "complained" }));
        api.post("/v1/suppressions", &json!({ "domain": "example.net" }));
        let rule =
            json!({ "all": [{ "list": { "id": list, "standing": "subscribed" } }, { "not": { "tag": "vip" } }] });
        api.post("/v1/segments", &json!({ "name": "Not yet regulars", "criteria": rule }));
        import(&server, api.create_list("Guests"));
        write_template(&server);
        wait_until("some are sent", LONG, || api.campaign(campaign).stats.sent > 10);
        let draft = json!({ "name": "Autumn", "subject": "{first_name}", "rate_per_second": 20.0 });
        let draft = api.create_campaign("email", "main", list, &draft);
        api.post(&format!("/v1/campaigns/{draft}/preflight"), &json!({}));
        Self { server, campaign, draft }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.addr)
    }

    fn page(&self) -> String {
        self.url(&format!("/ui/campaigns/{}", self.campaign))
    }

    /// An instance, and a browser that is ended before it: a page that is open would complain that its server is gone.
    fn open(db: &Database, test: &str, setup: Setup) -> Option<(Self, Browser)> {
        let browser = Browser::open(test, setup)?;
        Some((Self::on(db), browser))
    }

    /// Signs in by the link that was printed.
    fn enter(&self, browser: &mut Browser) {
        browser.go(&self.url(&self.server.one_time_path), 200);
        wait_until("the link signs in", LONG, || path(browser) == "/ui");
    }

    fn status(&self) -> String {
        self.server.api().campaign(self.campaign).status
    }
}

/// Imports a file with a good row and a bad one.
fn import(server: &Server, list: i64) {
    let csv = "email,first_name,phone\nguest@example.com,Ann,\nguest@,Ben,\ncleo@example.com,Cleo,1.2E+11\n";
    let path = format!("/v1/contacts/import?list={list}");
    let taken = server.send("POST", &path, &[("Content-Type", "text/csv")], csv.as_bytes());
    assert_eq!(taken.status, 202, "{taken:?}");
    let import = format!("/v1/imports/{}", crate::support::api::id(&taken.body));
    wait_until("the import ends", LONG, || server.api().get(&import)["status"] == "completed");
}

/// Writes a template in two versions.
fn write_template(server: &Server) {
    let text = "Hello {first_name|you},\n\nspring is here, and so is our new collection.\n\nSee you soon";
    let html = "<h1 style=\"color: #2f6f4f\">Hello {{ first_name }}</h1><p>Spring is here, and so is our <b>new collection</b>.</p>";
    let body = json!({
        "name": "Spring greeting", "channel": "email", "subject": "{first_name|Hello}, spring is here", "body_text": text,
        "body_html": html,
    });
    let template = crate::support::api::id(&server.api().post("/v1/templates", &body));
    let change = json!({ "body_text": text.replace("new", "newest"), "body_html": html.replace("new", "newest") });
    let json = [("Content-Type", "application/json")];
    let path = format!("/v1/templates/{template}");
    let changed = server.send("PATCH", &path, &json, change.to_string().as_bytes());
    assert_eq!(changed.status, 200, "{changed:?}");
}

/// Where the browser is.
fn path(browser: &Browser) -> String {
    browser.script("return document.readyState === 'complete' ? location.pathname : ''").as_str().unwrap().to_owned()
}

/// Whether the page has become live: `connecting`, `live`, `paused`, `stale since …`.
fn dot(browser: &Browser) -> String {
    let script = "const dot = document.getElementById('live'); return dot && !dot.hidden ? dot.textContent : ''";
    browser.script(script).as_str().unwrap_or_default().to_owned()
}

#[track_caller]
fn wait_live(browser: &Browser) {
    wait_until("the page is live", LONG, || dot(browser) == "live");
}

/// The numbers below the bar: the six states in their order, and the recipients.
fn numbers(browser: &Browser) -> Vec<i64> {
    let script =
        "return [...document.querySelectorAll('.legend dd')].map((dd) => Number(dd.textContent.replaceAll(',', '')))";
    let found = browser.script(script);
    found.as_array().unwrap().iter().map(|number| number.as_i64().unwrap()).collect()
}
