//! Saying no.

use reqwest::Method;
use serde_json::json;
use volley::verify::ports::free_port;

use super::{Site, assert_page, books, standing, text};
use crate::support::api::{Api, id};
use crate::support::{Database, both_backends};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const MULTIPART: (&str, &str) = ("Content-Type", "multipart/form-data; boundary=b");
const ONE_CLICK: &str =
    "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n";

both_backends! {
    fn one_request_of_a_mailbox_provider_refuses_in_every_form_and_may_be_repeated(db: &Database) {
        for (headers, body) in [
            (&[FORM][..], "List-Unsubscribe=One-Click"),
            (&[MULTIPART], ONE_CLICK),
            (&[], ""),
            (&[FORM], "something=else"),
            (&[("Content-Type", "application/json"), ("Cookie", "a=b")], "{\"broken\": "),
        ] {
            let site = Site::on(&Database::sqlite());
            assert_page(&site.visit("POST", &site.no(), headers, body), 200);
        }
        let site = Site::on(db);
        for (headers, body) in [(&[FORM][..], "List-Unsubscribe=One-Click"), (&[MULTIPART], ONE_CLICK), (&[], "")] {
            assert_page(&site.visit("POST", &site.no(), headers, body), 200);
            assert_eq!(standing(db, site.spring, site.ann), "unsubscribed");
        }
        assert_eq!(db.number("SELECT count(*) AS n FROM consent_log WHERE after = 'unsubscribed'"), 1, "it is noted once");
        let one_click = "SELECT count(*) AS n FROM consent_log WHERE source = 'one_click' AND ip = '127.0.0.1'";
        assert_eq!(db.number(one_click), 1);
    }

    fn a_scanner_that_opens_every_link_changes_nothing(db: &Database) {
        let site = Site::on(db);
        let before = books(db);
        for path in [site.no(), site.preferences(), site.confirm(site.autumn)] {
            for _ in 0..3 {
                assert_page(&site.get(&path), 200);
                let head = site.visit("HEAD", &path, &[], "");
                assert_eq!((head.status, text(&head)), (200, ""), "{head:?}");
            }
            for method in ["PUT", "DELETE", "OPTIONS"] {
                assert!(site.visit(method, &path, &[], "").status >= 400, "{method}");
            }
        }
        assert_eq!(books(db), before);
        let page = site.get(&site.no());
        assert_eq!(text(&page).matches("<button").count(), 1, "{page:?}");
        assert!(text(&page).contains("Spring news") && text(&page).contains("a…@example.com"), "{page:?}");
        assert!(!text(&page).contains("ann.miller"), "{page:?}");
    }

    fn the_button_refuses_and_says_what(db: &Database) {
        let site = Site::on(db);
        let done = site.press(&site.no(), "do=unsubscribe");
        assert_page(&done, 200);
        assert!(text(&done).contains("no more messages about “Spring news”"), "{done:?}");
        assert_eq!(standing(db, site.spring, site.ann), "unsubscribed");
        assert_eq!(db.number("SELECT count(*) AS n FROM consent_log WHERE source = 'page'"), 1);
    }

    fn a_deleted_contact_refuses_for_its_address(db: &Database) {
        let site = Site::on(db);
        let path = format!("/v1/contacts/{}", site.ann);
        assert_eq!(site.server.send("DELETE", &path, &[], b"").status, 204);
        for _ in 0..2 {
            assert_page(&site.press(&site.no(), ""), 200);
        }
        let refused = "SELECT count(*) AS n FROM suppressions WHERE address = 'ann.miller@example.com' \
                       AND channel = 'email' AND unsubscribed_at IS NOT NULL";
        assert!(db.number(refused) >= 1);
        let again = json!({ "email": "ann.miller@example.com", "locale": "en" });
        let again = id(&site.api.post("/v1/contacts", &again));
        site.api.post(&format!("/v1/lists/{}/members", site.spring), &json!({ "contact_ids": [again] }));
        assert_eq!(standing(db, site.spring, again), "unsubscribed", "who comes back has refused");
    }

    fn a_request_that_stalls_in_its_body_is_a_refusal_all_the_same(db: &Database) {
        let site = Site::on(db);
        let stalled = |path: &str| {
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                 Content-Length: 200\r\nConnection: close\r\n\r\nshown={}&was={}&do=save&topic=",
                site.spring, site.spring
            );
            site.server.raw(head.as_bytes())
        };
        let began = std::time::Instant::now();
        let late = stalled(&site.preferences());
        assert_page(&late, 408);
        assert!(text(&late).contains("Only a part of it arrived in time"), "{late:?}");
        assert_eq!(standing(db, site.spring, site.ann), "subscribed", "half a choice is none");
        assert_page(&stalled(&site.no()), 200);
        assert!(began.elapsed() < std::time::Duration::from_secs(30), "{:?}", began.elapsed());
        assert_eq!(standing(db, site.spring, site.ann), "unsubscribed");
        assert_eq!(db.number("SELECT count(*) AS n FROM consent_log WHERE source = 'one_click'"), 1);
    }
}

#[test]
fn an_address_that_guesses_tokens_is_limited_and_a_valid_one_never_is() {
    let db = Database::sqlite();
    let site = Site::with(&db, |settings| settings.limits.without_key_per_minute = 3);
    let statuses: Vec<u16> = (0..6).map(|_| site.get("/u/preview").status).collect();
    assert_eq!(statuses, [404, 404, 404, 429, 429, 429]);
    let refused = site.get("/u/preview");
    assert_page(&refused, 429);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    for _ in 0..10 {
        assert_page(&site.get(&site.no()), 200);
        assert_page(&site.press(&site.no(), ""), 200);
    }
}

#[test]
fn a_forged_cut_or_swapped_token_is_a_plain_404() {
    let db = Database::sqlite();
    let site = Site::on(&db);
    let (no, preferences, confirm) = (site.no(), site.preferences(), site.confirm(site.autumn));
    let token = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let mut bad = vec![
        no[..no.len() - 1].to_owned(),
        format!("{no}A"),
        format!("{no}%00"),
        "/u/".to_owned() + &"A".repeat(4_000),
        "/u/preview".to_owned(),
        "/u/%C3%BC%C3%BC".to_owned(),
        format!("/u/zzzz{}", &token(&no)[4..]),
        format!("/u/{}", token(&preferences)),
        format!("/preferences/{}", token(&no)),
        format!("/confirm/{}", token(&preferences)),
        format!("/u/{}", token(&confirm)),
    ];
    bad.extend((4..token(&no).len()).map(|at| {
        let mut forged = token(&no);
        forged.replace_range(at..=at, if &forged[at..=at] == "A" { "B" } else { "A" });
        format!("/u/{forged}")
    }));
    let before = books(&db);
    let expected = site.get("/u/preview");
    for path in &bad {
        for (method, form) in
            [("GET", ""), ("POST", ""), ("POST", "do=confirm"), ("POST", "do=nothing"), ("POST", "do=save")]
        {
            let answer = site.visit(method, path, &[FORM], form);
            assert_page(&answer, 404);
            assert_eq!(text(&answer), text(&expected), "nobody learns what was wrong: {path}");
        }
    }
    assert_eq!(books(&db), before);
}

#[test]
fn a_refusal_never_expires_and_survives_a_rotation() {
    let db = Database::sqlite();
    let site = Site::on(&db);
    db.execute("INSERT INTO link_keys (kid, secret, created_at) VALUES ('zzzz', 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 9000000000000)");
    db.execute("UPDATE campaigns SET launched_at = 1");
    assert_page(&site.press(&site.no(), ""), 200);
    assert_eq!(standing(&db, site.spring, site.ann), "unsubscribed");
}

#[test]
fn a_campaign_without_a_topic_is_refused_with_everything() {
    let db = Database::sqlite();
    let site = Site::on(&db);
    db.execute("DELETE FROM audience_lists");
    let done = site.press(&site.no(), "do=unsubscribe");
    assert!(text(&done).contains("no more messages from us"), "{done:?}");
    assert_eq!(standing(&db, site.spring, site.ann), "unsubscribed");
    let refused =
        "SELECT count(*) AS n FROM suppressions WHERE topic = 0 AND channel = 'email' AND unsubscribed_at IS NOT NULL";
    assert_eq!(db.number(refused), 1);
}

#[test]
fn pages_speak_the_contacts_language_and_else_the_browsers() {
    let db = Database::sqlite();
    let site = Site::on(&db);
    let english = site.visit("GET", &site.no(), &[("Accept-Language", "de")], "");
    assert!(text(&english).contains("<html lang=\"en\">"), "the contact's own comes first: {english:?}");
    let path = format!("/v1/contacts/{}", site.ann);
    site.server.send("PATCH", &path, &[("Content-Type", "application/json")], br#"{"locale":"de-AT"}"#);
    let german = site.get(&site.no());
    assert_page(&german, 200);
    assert!(text(&german).contains("<html lang=\"de\">") && text(&german).contains("Abmelden"), "{german:?}");
    site.server.send("PATCH", &path, &[("Content-Type", "application/json")], br#"{"locale":null}"#);
    let browsers = site.visit("GET", &site.no(), &[("Accept-Language", "fr, de-CH;q=0.8, en;q=0.5")], "");
    assert!(text(&browsers).contains("<html lang=\"de\">"), "{browsers:?}");
    let missing = site.visit("GET", "/u/preview", &[("Accept-Language", "de")], "");
    assert!(text(&missing).contains("Diese Seite gibt es nicht"), "{missing:?}");
}

#[test]
fn only_a_trusted_proxy_says_who_refused() {
    let db = Database::sqlite();
    let site = Site::with(&db, |settings| {
        settings.http.trusted_proxies = serde_json::from_value(json!(["127.0.0.1"])).unwrap();
    });
    let headers = [("X-Forwarded-For", "203.0.113.9, 198.51.100.7"), ("User-Agent", "Example Mail/1.0")];
    assert_page(&site.visit("POST", &site.no(), &headers, ""), 200);
    let noted = "SELECT count(*) AS n FROM consent_log WHERE ip = '198.51.100.7' AND user_agent = 'Example Mail/1.0'";
    assert_eq!(db.number(noted), 1);
}

#[test]
fn the_host_of_a_request_is_in_no_page() {
    let db = Database::sqlite();
    let site = Site::on(&db);
    for headers in [[("X-Forwarded-Host", "evil.example.org")], [("Forwarded", "host=evil.example.org")]] {
        for path in [site.no(), site.preferences(), site.confirm(site.autumn)] {
            let page = site.visit("GET", &path, &headers, "");
            assert!(!text(&page).contains("evil"), "{page:?}");
        }
    }
}

#[test]
fn the_second_listener_serves_the_pages_and_nothing_else() {
    let db = Database::sqlite();
    let port = free_port();
    let site = Site::with(&db, |settings| settings.http.public_addr = Some(format!("127.0.0.1:{port}")));
    let public = Api::new(&format!("http://127.0.0.1:{port}"), "");
    let status = |method, path: &str| public.request(method, path, "", None, &[]).unwrap().status;
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/lists", "/v1/contacts/1", "/", "/u", "/v1"] {
        assert_eq!(status(Method::GET, path), 404, "{path}");
    }
    for path in [&site.no(), &site.preferences(), "/assets/public.css"] {
        assert_eq!(status(Method::GET, path), 200, "{path}");
    }
    assert_eq!(status(Method::POST, &site.no()), 200);
    assert_eq!(standing(&db, site.spring, site.ann), "unsubscribed");
}

#[test]
fn the_style_sheet_names_nothing_of_elsewhere() {
    let db = Database::sqlite();
    let site = Site::on(&db);
    let sheet = site.get("/assets/public.css");
    assert_eq!((sheet.status, sheet.header("content-type")), (200, Some("text/css; charset=utf-8")));
    assert!(!text(&sheet).contains("url(") && !text(&sheet).contains("@import"), "{sheet:?}");
    let page = site.get(&site.no());
    assert!(text(&page).contains("href=\"../assets/public.css\""), "{page:?}");
}
