//! Pictures of the pages, for people to look at: `scripts/look`.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use volley::domain::channel::ChannelKind;

use super::{LONG, path};
use crate::support::Database;
use crate::support::api::id;
use crate::support::browser::{Browser, Setup};
use crate::support::scripted_http::{Answer, ScriptedHttp};
use crate::support::server::{Server, sandbox, webhook};
use crate::support::waiting::wait_until;

/// Campaigns in every state, one of which is just being sent.
fn stage(db: &Database, sink: &ScriptedHttp) -> (Server, i64, i64) {
    let pools = vec![sandbox("newsletter", ChannelKind::Email, 0.03), webhook("gateway", sink)];
    let server = Server::with_pools(db, pools);
    let api = server.api();
    let (all, some) = (api.a_list_of(3_000), api.a_list_of(400));
    let campaign = |pool: &str, list: i64, name: &str, rate: Option<f64>| {
        let channel = if pool == "gateway" { "http" } else { "email" };
        api.create_campaign(channel, pool, list, &json!({ "name": name, "rate_per_second": rate }))
    };
    let winter = campaign("newsletter", all, "Winter sale", None);
    api.send(winter);
    api.wait_ended(winter, LONG);
    let stopped = campaign("newsletter", all, "Members’ survey", Some(200.0));
    api.send(stopped);
    wait_until("some are sent", LONG, || api.campaign(stopped).stats.sent > 60);
    api.stop(stopped);
    let paused = campaign("gateway", some, "Order updates", Some(100.0));
    api.send(paused);
    wait_until("some are sent", LONG, || api.campaign(paused).stats.sent > 90);
    api.post(&format!("/v1/campaigns/{paused}/pause"), &json!({}));
    let autumn = campaign("newsletter", all, "Autumn collection", None);
    api.post(&format!("/v1/campaigns/{autumn}/schedule"), &json!({ "scheduled_at": "2027-09-01T08:00:00Z" }));
    let draft = campaign("newsletter", all, "A draft", Some(50.0));
    checked(&server, all, some, draft);
    let spring = campaign("newsletter", all, "Spring greeting", Some(25.0));
    api.send(spring);
    wait_until("some are sent", LONG, || api.campaign(spring).stats.sent > 300);
    for act in ["pause", "resume"] {
        api.post(&format!("/v1/campaigns/{spring}/{act}"), &json!({}));
    }
    for (name, scope) in [("web shop", "ingest"), ("dashboard", "read"), ("night shift", "operate")] {
        api.post("/v1/keys", &json!({ "name": name, "scope": scope, "expires_at": "2027-09-01T08:00:00Z" }));
    }
    super::import(&server, some);
    super::write_template(&server);
    let literal = json!({ "literal": ["[Email]", "{id}"] });
    let written = server.send(
        "PATCH",
        "/v1/templates/1",
        &[("Content-Type", "application/json")],
        literal.to_string().as_bytes(),
    );
    assert_eq!(written.status, 200, "{written:?}");
    let rule = json!({ "all": [
        { "list": { "id": all, "standing": "subscribed" } }, { "not": { "tag": "vip" } },
        { "any": [{ "attribute": { "name": "city", "op": "eq", "value": "Town 7" } }, { "event": { "name": "paid", "within": "30d" } }] },
    ] });
    api.post(
        "/v1/segments",
        &json!({ "name": "Not yet regulars", "description": "For the welcome.", "criteria": rule }),
    );
    api.post("/v1/segments", &json!({ "name": "VIPs", "criteria": { "tag": "vip" }, "enabled": false }));
    api.post("/v1/suppressions", &json!({ "address": "person7@example.com", "reason": "complained" }));
    api.post("/v1/suppressions", &json!({ "address": "person9@example.com", "list": all.to_string() }));
    api.post("/v1/suppressions", &json!({ "domain": "example.net" }));
    api.post("/v1/pools/gateway/suspend", &json!({ "reason": "the provider works on its machines" }));
    (server, spring, draft)
}

/// A draft about which its preflight has something to say.
fn checked(server: &Server, all: i64, some: i64, draft: i64) {
    let api = server.api();
    let strangers: Vec<i64> =
        (0..120).map(|n| id(&api.post("/v1/contacts", &json!({ "external_id": format!("c-{n}") })))).collect();
    let blank = id(&api.post("/v1/contacts", &json!({ "email": "blank@example.com" })));
    api.post(&format!("/v1/lists/{all}/members"), &json!({ "contact_ids": strangers }));
    api.post(&format!("/v1/lists/{all}/members"), &json!({ "contact_ids": [blank] }));
    let html = "<body style=\"margin:0;font:16px/24px Georgia,serif;color:#222\"><div style=\"background:#1f4d3a;color:#fff;padding:24px\">\
                <h1 style=\"margin:0;font-size:26px\">The spring catalogue</h1></div><div style=\"padding:24px\"><p>Dear {{ first_name }},</p>\
                <p>our new plants are in. Come and see them in {{ city }}, or order from your chair.</p></div>";
    let file = |name: &str, kind: &str, size: usize| {
        let stored =
            server.send("POST", &format!("/v1/files?name={name}"), &[("Content-Type", kind)], &vec![b'x'; size]);
        assert_eq!(stored.status, 201, "{stored:?}");
        id(&stored.body)
    };
    let (catalogue, logo) =
        (file("Spring-catalogue.pdf", "application/pdf", 184_220), file("logo.png", "image/png", 2_840));
    let about = json!({
        "description": "Everybody who has ordered from the garden catalogue, without the regulars.",
        "from": "Garden news <news@example.com>",
        "props": { "code": "SPRING20", "off": 20, "sale": { "until": "31 May" }, "gifts": ["Tea", "Cup"] },
    });
    let json = [("Content-Type", "application/json")];
    let described = server.send("PATCH", &format!("/v1/campaigns/{draft}"), &json, about.to_string().as_bytes());
    assert_eq!(described.status, 200, "{described:?}");
    let change = json!({
        "reply_to": "Garden help <help@example.com>", "headers": { "X-Campaign": "spring" },
        "attachments": [{ "file_id": catalogue }, { "file_id": logo, "content_id": "logo" }], "audience": { "lists": [all, some], "exclude": { "lists": [some] } }, "subject": "{first_name}", "body_html": html,
    });
    let changed = server.send("PATCH", &format!("/v1/campaigns/{draft}"), &json, change.to_string().as_bytes());
    assert_eq!(changed.status, 200, "{changed:?}");
    api.post(&format!("/v1/campaigns/{draft}/preflight"), &json!({}));
}

/// Files that are looked at before they are imported: one whose columns are mapped, and one with a column that is not understood.
const LOOKS: [(&str, &str, &str); 2] = [
    ("imports-look", "E-Mail;Vorname;Kunde;Ort", "ann@example.com;Ann;7;Bonn"),
    ("imports-unclear", "E-Mail;Vorname;Communication preferences", "ann@example.com;Ann;2024-01-02"),
];

fn look_at_a_file(browser: &mut Browser, header: &str, cells: &str) {
    browser.expect(422);
    browser.script(&format!(
        "const rows = ['{header}', '{cells}', '{cells}'.replace('ann@', 'ben@'), '{cells}'.replace('ann@example.com', 'na@')];
         const chosen = new DataTransfer();
         chosen.items.add(new File([rows.join('\\r\\n')], 'customers.csv', {{ type: 'text/csv' }}));
         const field = document.getElementById('file');
         field.files = chosen.files;
         field.dispatchEvent(new Event('change', {{ bubbles: true }}));
         document.getElementById('look')?.replaceChildren();
         [...document.querySelectorAll('button')].find((button) => button.textContent === 'Look first').click();"
    ));
    wait_until("the file was looked at", LONG, || {
        browser.script("return document.querySelector('.look')?.childElementCount > 0") == true
    });
}

#[test]
fn write_pictures_of_all_pages() {
    let Some(folder) = std::env::var_os("VOLLEY_LOOK").map(std::path::PathBuf::from) else { return };
    let only = std::env::var_os("VOLLEY_LOOK_ONLY").and_then(|name| name.into_string().ok()).unwrap_or_default();
    let db = Database::sqlite();
    let count = AtomicUsize::new(0);
    let is_cut = move || count.fetch_add(1, Ordering::Relaxed) % 17 == 16;
    let sink = ScriptedHttp::start(move |_| if is_cut() { Answer::Cut } else { Answer::status(200) });
    let (server, campaign, draft) = stage(&db, &sink);
    let url = |path: &str| format!("http://{}{path}", server.addr);
    let of_campaign = |act: &str| format!("/ui/campaigns/{campaign}{act}");
    let found = server.api().get("/v1/uncertain")["data"][0]["id"].clone();
    let of_incident = |act: &str| format!("/ui/uncertain/{}{act}", found.as_str().unwrap());
    let one = |campaign: i64, status: &str| server.api().deliveries(campaign, status)[0]["contact"]["id"].clone();
    let failed = one(campaign, "failed");
    let doubted = campaign - 3;
    let doubtful = one(doubted, "uncertain");
    let pages = [
        ("enter", "/ui/enter".to_owned(), 200),
        ("now", "/ui".to_owned(), 200),
        ("search", "/ui/search?q=s".to_owned(), 200),
        ("search-none", "/ui/search?q=nobody".to_owned(), 200),
        ("campaigns", "/ui/campaigns".to_owned(), 200),
        ("campaigns-of-a-list", "/ui/campaigns?list_id=1".to_owned(), 200),
        ("compose-new", "/ui/campaigns/new?list=1".to_owned(), 200),
        ("compose-draft", format!("/ui/campaigns/{draft}/edit?count=yes"), 200),
        ("compose-closed", format!("/ui/campaigns/{}/edit", draft - 1), 200),
        ("campaigns-none", "/ui/campaigns?status=failed".to_owned(), 200),
        ("campaign", of_campaign(""), 200),
        ("campaign-people", of_campaign("/people?status=failed"), 200),
        ("campaign-decisions", of_campaign("/decisions"), 200),
        ("campaign-why", of_campaign("/people/2999"), 200),
        ("campaign-why-failed", of_campaign(&format!("/people/{failed}")), 200),
        ("campaign-why-uncertain", format!("/ui/campaigns/{doubted}/people/{doubtful}"), 200),
        ("campaign-why-left-out", format!("/ui/campaigns/{doubted}/people/2999"), 200),
        ("campaign-pace", of_campaign("/pace"), 200),
        ("campaign-pace-paused", format!("/ui/campaigns/{doubted}/pace"), 200),
        ("campaign-books", of_campaign("/books"), 200),
        ("campaign-pages", of_campaign("/pages"), 200),
        ("campaign-preflight", format!("/ui/campaigns/{draft}/preflight"), 200),
        ("campaign-preflight-none", of_campaign("/preflight"), 200),
        ("campaign-pause", of_campaign("/pause"), 200),
        ("campaign-stop", of_campaign("/stop"), 200),
        ("campaign-copy", of_campaign("/copy"), 200),
        ("campaign-way", of_campaign("/way"), 200),
        ("campaign-draft", format!("/ui/campaigns/{draft}"), 200),
        ("campaign-closed", format!("/ui/campaigns/{}", campaign - 5), 200),
        ("contacts", "/ui/contacts?search=ann".to_owned(), 200),
        ("contacts-one", "/ui/contacts/7".to_owned(), 200),
        ("lists", "/ui/lists".to_owned(), 200),
        ("lists-one", "/ui/lists/1".to_owned(), 200),
        ("imports", "/ui/imports".to_owned(), 200),
        ("imports-one", "/ui/imports/3".to_owned(), 200),
        ("segments", "/ui/segments".to_owned(), 200),
        ("segments-one", "/ui/segments/1".to_owned(), 200),
        ("segments-why", "/ui/segments/1/explain?contact_id=7".to_owned(), 200),
        ("segments-disable", "/ui/segments/1/disable".to_owned(), 200),
        ("suppressions", "/ui/suppressions".to_owned(), 200),
        (
            "suppressions-lift",
            "/ui/suppressions/lift?address=person7@example.com&channel=email&reason=complained".to_owned(),
            200,
        ),
        ("templates", "/ui/templates".to_owned(), 200),
        ("templates-one", "/ui/templates/1".to_owned(), 200),
        ("templates-edit", "/ui/templates/1/edit".to_owned(), 200),
        ("templates-versions", "/ui/templates/1/versions".to_owned(), 200),
        ("templates-compare", "/ui/templates/1/compare?from=1&to=2".to_owned(), 200),
        ("pools", "/ui/pools".to_owned(), 200),
        ("pools-one", "/ui/pools/gateway".to_owned(), 200),
        ("pools-suspend", "/ui/pools/newsletter/suspend".to_owned(), 200),
        ("pools-check", "/ui/pools/newsletter/check".to_owned(), 200),
        ("uncertain", "/ui/uncertain".to_owned(), 200),
        ("uncertain-one", of_incident(""), 200),
        ("uncertain-resolve", of_incident("/resolve?as=pending"), 200),
        ("settings", "/ui/settings".to_owned(), 200),
        ("instances", "/ui/instances".to_owned(), 200),
        ("api-keys", "/ui/api-keys".to_owned(), 200),
        ("api-keys-revoke", "/ui/api-keys/2/revoke".to_owned(), 200),
        ("audit", "/ui/audit".to_owned(), 200),
        ("keys", "/ui/keys".to_owned(), 200),
        ("error", "/ui/nowhere".to_owned(), 404),
    ];
    let mut link = Some(server.one_time_path.clone());
    let pages: Vec<_> = pages.into_iter().filter(|(name, ..)| name.contains(&only)).collect();
    // A session has few open pages at once, and the instance notices late that one was left.
    for (width, pages) in [1_440, 390].into_iter().flat_map(|width| pages.chunks(8).map(move |some| (width, some))) {
        let Some(mut browser) = Browser::open("write_pictures_of_all_pages", Setup { width, ..Setup::default() })
        else {
            return;
        };
        browser.hide_scrollbars();
        match link.take() {
            Some(link) => {
                browser.go(&url(&link), 200);
                wait_until("the link signs in", LONG, || path(&browser) == "/ui");
            }
            None => {
                browser.go(&url("/ui/enter"), 200);
                browser
                    .script(&format!("document.getElementById('key').value = '{}'", crate::support::server::ROOT_KEY));
                browser.choose("Sign in", 200);
            }
        }
        for (name, path, status) in pages {
            for theme in ["light", "dark"] {
                browser.prefer(theme);
                browser.go(&url(path), *status);
                let is_still =
                    "return !document.getElementById('live') || document.documentElement.dataset.live === 'live'";
                wait_until("the page is live", LONG, || browser.script(is_still) == true);
                browser.picture(&folder.join(format!("{name}-{theme}-{width}.png")));
            }
        }
        for (name, header, cells) in LOOKS.iter().filter(|(name, ..)| name.contains(&only)) {
            browser.go(&url("/ui/imports"), 200);
            for theme in ["light", "dark"] {
                browser.prefer(theme);
                look_at_a_file(&mut browser, header, cells);
                browser.picture(&folder.join(format!("{name}-{theme}-{width}.png")));
            }
        }
    }
}
