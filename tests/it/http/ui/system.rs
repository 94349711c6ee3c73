//! Pools, API keys, the audit log and instances, as operators see them.

use serde_json::json;
use volley::domain::channel::ChannelKind;

use super::{Visitor, assert_page, site, text};
use crate::support::server::{ROOT_KEY, Server, sandbox};
use crate::support::{Database, both_backends};

/// A visitor with a key of a scope.
pub(super) fn with_scope<'s>(server: &'s Server, scope: &str) -> Visitor<'s> {
    let key = server.api().post("/v1/keys", &json!({ "name": scope, "scope": scope }));
    Visitor::with_key(server, key["secret"].as_str().unwrap())
}

both_backends! {
    fn a_pool_is_suspended_with_a_reason_and_resumed_by_forms_with_receipts(db: &Database) {
        let (server, _) = site(db);
        let visitor = with_scope(&server, "admin");
        let list = visitor.get("/ui/pools");
        assert_page(&list, 200);
        let page = text(&list);
        assert!(page.contains("sandbox") && page.contains("As fast as the settings allow."), "{page}");
        assert!(page.contains("href=\"/ui/pools/main/suspend\""), "{page}");
        let path = "/ui/pools/main/suspend";
        let question = visitor.get(path);
        assert_page(&question, 200);
        assert!(text(&question).contains("“Spring &#60;b&#62;” is being sent through it."), "{question:?}");
        let form = |more: &str| format!("idempotency_key={}&{more}", visitor.form_key(path));
        let nothing = visitor.press(path, &form("reason=+&until=5m"));
        assert_page(&nothing, 422);
        let page = text(&nothing);
        assert!(page.contains("required") && page.contains("value=\"5m\" checked"), "{page}");
        let never = visitor.press(path, &form("reason=x&until=soon"));
        assert_page(&never, 422);
        let suspend = form("reason=machines+%3Cold%3E&until=5m");
        let done = visitor.press(path, &suspend);
        assert_eq!((done.status, done.header("location")), (303, Some("/ui/pools/main#receipt")), "{done:?}");
        let pool = server.api().get("/v1/pools")["data"][0].clone();
        assert_eq!((&pool["suspended"], &pool["settings"]["channel"]), (&json!(true), &json!("email")), "{pool}");
        assert!(pool["expires_at"].is_string(), "{pool}");
        let shown = visitor.get("/ui/pools/main");
        assert_page(&shown, 200);
        let page = text(&shown);
        assert!(page.contains("machines &#60;old&#62;") && page.contains("suspended by admin"), "{page}");
        assert!(page.contains("1 instance acknowledged it within"), "{page}");
        let resume = format!("idempotency_key={}", visitor.form_key("/ui/pools/main/resume"));
        assert_eq!(visitor.press("/ui/pools/main/resume", &resume).status, 303);
        assert_eq!(visitor.press(path, &suspend).status, 303, "the same form again");
        assert_eq!(server.api().get("/v1/pools")["data"][0]["suspended"], json!(false), "did it once");
        let refused = visitor.get("/ui/pools/main/resume");
        assert!(text(&refused).contains("The pool is not suspended"), "{refused:?}");
        assert_page(&visitor.get("/ui/pools/other"), 404);
        assert_page(&visitor.press("/ui/pools/other/suspend", "idempotency_key=o&reason=x&until=open"), 404);
    }

    fn the_secret_of_a_new_key_is_shown_once_and_stored_nowhere(db: &Database) {
        let server = Server::on(db);
        let visitor = with_scope(&server, "admin");
        let key = visitor.form_key("/ui/api-keys");
        let form = format!("idempotency_key={key}&name=Web+%3Cshop%3E&scope=ingest&expires=30d");
        let made = visitor.press("/ui/api-keys", &form);
        assert_page(&made, 201);
        let after = text(&made).split("id=\"secret\">").nth(1).unwrap_or_else(|| panic!("{made:?}"));
        let secret = after.split('<').next().unwrap().to_owned();
        assert!(secret.starts_with("vly_"), "{made:?}");
        let again = visitor.press("/ui/api-keys", &form);
        assert_eq!((again.status, again.header("location")), (303, Some("/ui/api-keys?again=2")), "{again:?}");
        assert!(!text(&again).contains(&secret), "{again:?}");
        let list = visitor.get("/ui/api-keys?again=2");
        assert_page(&list, 200);
        let page = text(&list);
        assert!(page.contains("Web &#60;shop&#62;") && page.contains("was sent twice") && page.contains("valid until"), "{page}");
        assert!(!page.contains(&secret) && page.contains("yours"), "{page}");
        let keys = server.api().get("/v1/keys");
        assert_eq!(keys["data"].as_array().unwrap().len(), 2, "{keys}");
        let wrong = visitor.press("/ui/api-keys", "idempotency_key=w&name=&scope=read&expires=never");
        assert_page(&wrong, 422);
        assert!(text(&wrong).contains("value=\"read\" selected"), "{wrong:?}");
        assert_page(&visitor.press("/ui/api-keys", "idempotency_key=v&name=x&scope=all&expires=never"), 422);
    }

    fn a_key_is_revoked_by_its_name_and_its_sessions_end(db: &Database) {
        let server = Server::on(db);
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let operator = with_scope(&server, "operate");
        assert_page(&operator.get("/ui/pools"), 200);
        let path = "/ui/api-keys/1/revoke";
        let question = visitor.get(path);
        assert_page(&question, 200);
        assert!(text(&question).contains("are signed out"), "{question:?}");
        let form = |name: &str| format!("idempotency_key={}&name={name}", visitor.form_key(path));
        let wrong = visitor.press(path, &form("operator"));
        assert_page(&wrong, 422);
        assert!(text(&wrong).contains("name_differs"), "{wrong:?}");
        let done = visitor.press(path, &form("operate"));
        assert_eq!((done.status, done.header("location")), (303, Some("/ui/api-keys#key-1")), "{done:?}");
        assert_eq!(operator.get("/ui/pools").status, 303, "signed out");
        assert!(text(&visitor.get("/ui/api-keys")).contains("revoked <time"), "it stays in the list");
        assert!(text(&visitor.get(path)).contains("It ends nothing"), "once is enough");
        assert_page(&visitor.get("/ui/api-keys/4711/revoke"), 404);
    }

    fn the_audit_log_is_read_in_sentences_page_by_page(db: &Database) {
        let (server, campaign) = site(db);
        let api = server.api();
        let visitor = with_scope(&server, "admin");
        for act in ["pause", "resume"] {
            api.post(&format!("/v1/campaigns/{campaign}/{act}"), &json!({}));
        }
        let page = visitor.get(&format!("/ui/audit?object=campaign&object_id={campaign}&key_id=&request_id="));
        assert_page(&page, 200);
        let shown = text(&page);
        let link = format!("<a href=\"/ui/campaigns/{campaign}\">campaign {campaign}</a>");
        assert!(shown.contains(&format!("paused {link}")) && shown.contains(&format!("resumed {link}")), "{shown}");
        assert!(shown.contains("root key") && !shown.contains("signed in:"), "{shown}");
        let entry = api.get("/v1/audit-log?action=paused")["data"][0].clone();
        assert!(shown.contains(entry["request_id"].as_str().unwrap()), "{entry}: {shown}");
        let all = api.get("/v1/audit-log?page_size=100")["data"].as_array().unwrap().len();
        let (mut seen, mut next) = (0, Some("/ui/audit?page_size=2".to_owned()));
        while let Some(path) = next {
            let page = visitor.get(&path);
            assert_page(&page, 200);
            seen += text(&page).matches("<tr><td class=\"since\">").count();
            let link = text(&page).split("\" rel=\"next\"").next().filter(|before| before.len() < text(&page).len());
            next = link.map(|before| before.rsplit("href=\"").next().unwrap().replace("&#38;", "&"));
        }
        assert_eq!(seen, all);
        assert_page(&visitor.get("/ui/audit?object=comet"), 400);
        assert!(text(&visitor.get("/ui/audit?object_id=nothing")).contains("Nothing matches."));
    }

    fn a_silent_instance_is_shown_as_such(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let visitor = with_scope(&server, "read");
        let now = jiff::Timestamp::now().as_millisecond() - 60_000;
        server.execute(format!(
            "INSERT INTO instances (slot, host, version, boot_id, started_at, last_seen_at, pools) \
             VALUES ('other', 'cellar', '0', 'b', {now}, {now}, '[]')"
        ));
        let page = visitor.get("/ui/instances");
        assert_page(&page, 200);
        let shown = text(&page);
        assert!(shown.contains("cellar") && shown.contains("<span class=\"held\">silent</span>"), "{shown}");
        assert!(shown.contains("answers") && shown.contains("/ui/pools/main"), "{shown}");
        assert!(shown.contains("its journal was not read since"), "{shown}");
    }

    fn a_pools_provider_is_asked_by_a_form_and_its_answer_is_shown_once(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let visitor = with_scope(&server, "operate");
        assert!(text(&visitor.get("/ui/pools/main")).contains("href=\"/ui/pools/main/check\""));
        let question = visitor.get("/ui/pools/main/check");
        assert_page(&question, 200);
        assert!(text(&question).contains("No message is sent."), "{question:?}");
        let form = format!("idempotency_key={}", visitor.form_key("/ui/pools/main/check"));
        let found = visitor.press("/ui/pools/main/check", &form);
        assert_page(&found, 200);
        assert!(text(&found).contains("the provider answers") && text(&found).contains("No message was sent."), "{found:?}");
        let again = visitor.press("/ui/pools/main/check", &form);
        assert_eq!((again.status, again.header("location")), (303, Some("/ui/pools/main")), "{again:?}");
        assert_page(&visitor.get("/ui/pools/other/check"), 404);
        let checks = server.api().get("/v1/audit-log?action=checked");
        assert_eq!(checks["data"].as_array().unwrap().len(), 1, "{checks}");
    }

    fn settings_are_shown_with_what_set_them_and_without_secrets(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let visitor = with_scope(&server, "admin");
        let page = visitor.get("/ui/settings");
        assert_page(&page, 200);
        let shown = text(&page);
        assert!(shown.contains("pools: main") && shown.contains("<code>root_key</code>"), "{shown}");
        assert!(shown.contains("the defaults") && !shown.contains(ROOT_KEY), "{shown}");
        assert!(text(&visitor.get("/ui/instances")).contains("href=\"/ui/settings\""));
        assert_page(&with_scope(&server, "operate").get("/ui/settings"), 403);
    }
}

#[test]
fn to_a_reader_the_pages_say_what_it_takes_and_show_no_button() {
    let db = Database::sqlite();
    let (server, _) = site(&db);
    server.api().post("/v1/pools/main/suspend", &json!({ "reason": "tests" }));
    let reader = with_scope(&server, "read");
    for path in ["/ui/pools", "/ui/pools/main", "/ui/instances"] {
        let page = reader.get(path);
        assert_page(&page, 200);
        let shown = text(&page);
        assert!(shown.contains("with the scope <code>admin</code>"), "{path}: {shown}");
        assert!(
            !shown.contains("/resume") && !shown.contains("/suspend") && !shown.contains("/ui/audit"),
            "{path}: {shown}"
        );
        assert!(!shown.contains("suspended by"), "who it was stands in the audit log: {shown}");
    }
}
