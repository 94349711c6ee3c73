//! Signing in to the operators' pages, without a browser: sessions, codes, and who is refused.

use serde_json::json;
use volley::config::secret::Secret;
use volley::http::routes::{Door, TABLE, Verb};
use volley::http::ui::UI;

use super::{FORM, LONG, OWN, Visitor, assert_page, cookie, site, text};
use crate::support::server::{ROOT_KEY, Server};
use crate::support::waiting::wait_for;
use crate::support::{Database, both_backends};

both_backends! {
    fn who_signs_in_with_a_key_has_a_session_until_the_key_is_revoked(db: &Database) {
        let server = Server::on(db);
        let made = server.api().post("/v1/keys", &json!({ "name": "operators", "scope": "operate" }));
        let visitor = Visitor::with_key(&server, made["secret"].as_str().unwrap());
        let named = format!("volley-session-{}=", server.addr.port());
        assert!(visitor.cookie.starts_with(&named), "{}", visitor.cookie);
        let page = visitor.get("/ui");
        assert_page(&page, 200);
        assert!(text(&page).contains("operators") && text(&page).contains("operate"), "{page:?}");
        let secret = visitor.cookie.split_once('=').unwrap().1;
        let stored = format!("SELECT count(*) AS n FROM sessions WHERE hash = '{secret}'");
        assert_eq!(db.number(&stored), 0, "only a hash is stored");
        // The API takes no cookie.
        assert_eq!(visitor.get("/v1/campaigns").status, 401);
        let revoked = server.send("DELETE", &format!("/v1/keys/{}", made["id"]), &[], b"");
        assert_eq!(revoked.status, 200, "{revoked:?}");
        let sent_away = visitor.get("/ui/campaigns?status=sent");
        let back = "/ui/enter?next=%2fui%2fcampaigns%3fstatus%3dsent";
        assert_eq!((sent_away.status, sent_away.header("location")), (303, Some(back)), "{sent_away:?}");
        let stream = visitor.get("/ui/live?page=now");
        assert!(text(&stream).starts_with("event: leave"), "{stream:?}");
    }

    fn a_session_ends_by_its_age_by_idleness_and_by_signing_out(db: &Database) {
        let server = Server::on(db);
        let hours = |n: i64| n * 3_600_000;
        let aged = |created: i64, seen: i64| {
            let visitor = Visitor::with_key(&server, ROOT_KEY);
            server.execute(format!("UPDATE sessions SET created_at = created_at - {created}, seen_at = seen_at - {seen}"));
            let status = visitor.get("/ui").status;
            server.execute("DELETE FROM sessions".to_owned());
            status
        };
        assert_eq!(aged(hours(12) - 60_000, hours(2) - 60_000), 200);
        assert_eq!(aged(hours(12) + 1, 0), 303, "too old");
        assert_eq!(aged(hours(3), hours(2) + 1), 303, "unused for too long");
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let left = visitor.press("/ui/leave", "");
        assert_eq!((left.status, left.header("location")), (303, Some("/ui/enter")), "{left:?}");
        assert!(left.header("set-cookie").unwrap().contains("max-age=0"), "{left:?}");
        assert_eq!(visitor.get("/ui").status, 303);
        let lines = server.api().get("/v1/audit-log?object=session");
        let done: Vec<_> = lines["data"].as_array().unwrap().iter().map(|line| line["action"].clone()).collect();
        assert_eq!(done, ["deleted", "created", "created", "created", "created"], "{lines}");
    }
}

#[test]
fn another_root_key_ends_the_sessions_of_the_former_one_whatever_the_cookie_is_made_of() {
    let db = Database::sqlite();
    let former = Server::with(&db, |settings| settings.auth.root_key = Some(Secret::new("former")));
    let cookie = Visitor::with_key(&former, "former").cookie;
    drop(former);
    let server = Server::on(&db);
    let (name, secret) = cookie.split_once('=').unwrap();
    let name = format!("{}-{}", name.rsplit_once('-').unwrap().0, server.addr.port());
    let known = volley::store::access::api_keys::hash("former");
    for made in [secret.to_owned(), format!("{known} {secret}")] {
        let visitor = Visitor { server: &server, cookie: format!("{name}={made}") };
        assert_eq!(visitor.get("/ui").status, 303, "{made}");
    }
    assert_eq!(db.number("SELECT count(*) AS n FROM sessions"), 1);
}

#[test]
fn made_up_cookies_count_towards_the_limit_of_their_address() {
    let db = Database::sqlite();
    // One for signing in with the root key, and one for a session that is new.
    let server = Server::with(&db, |settings| settings.limits.without_key_per_minute = 4);
    let visitor = Visitor::with_key(&server, ROOT_KEY);
    assert_eq!(visitor.get("/ui").status, 200);
    let name = visitor.cookie.split('=').next().unwrap().to_owned();
    let made_up = |n: u32| Visitor { server: &server, cookie: format!("{name}={n:064x}") }.get("/ui").status;
    let statuses: Vec<u16> = (0..5).map(made_up).collect();
    assert!(statuses[..2] == [303, 303] && statuses[3..] == [429, 429], "{statuses:?}");
    let nonsense = Visitor { server: &server, cookie: format!("{name}=x") };
    assert_eq!(nonsense.get("/ui").status, 303, "what is no secret is asked of nobody");
    assert_eq!(visitor.get("/ui").status, 200, "a session that is known goes on");
}

#[test]
fn a_link_that_was_printed_opens_one_session() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let code = server.one_time_path.split_once('#').expect("a code in the fragment").1.to_owned();
    let nobody = Visitor::nobody(&server);
    let page = nobody.send("GET", "/ui/enter", &[("Sec-Fetch-Site", "none")], "");
    assert_page(&page, 200);
    assert!(text(&page).contains("name=\"key\""), "{page:?}");
    // No browser of this machine asks like that: somebody's open wire may be in front of a proxy.
    let page = nobody.get("/ui/enter");
    assert_page(&page, 200);
    assert!(!text(&page).contains("name=\"key\""), "{page:?}");
    let entered = nobody.press("/ui/enter", &format!("code={code}&next=%2Fui%2Fcampaigns"));
    assert_eq!((entered.status, entered.header("location")), (303, Some("/ui/campaigns")), "{entered:?}");
    assert_eq!(Visitor { server: &server, cookie: cookie(&entered) }.get("/ui").status, 200);
    let again = nobody.press("/ui/enter", &format!("code={code}"));
    assert_page(&again, 403);
    assert!(text(&again).contains("code_unusable") && again.header("set-cookie").is_none(), "{again:?}");
}

#[test]
fn nobody_signs_in_from_elsewhere_or_over_an_open_wire_or_without_a_key_that_may_read() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let nobody = Visitor::nobody(&server);
    let form = format!("key={ROOT_KEY}");
    for foreign in [&[FORM, ("Sec-Fetch-Site", "cross-site")][..], &[FORM, ("Origin", "https://example.com")], &[FORM]]
    {
        let refused = nobody.send("POST", "/ui/enter", foreign, &form);
        assert_page(&refused, 403);
        assert!(text(&refused).contains("foreign_form"), "{refused:?}");
    }
    let own = format!("http://{}", server.addr);
    assert_eq!(nobody.send("POST", "/ui/enter", &[FORM, ("Origin", &own)], &form).status, 303);
    let hidden = nobody.send("POST", "/ui/enter", &[FORM, OWN, ("Origin", "null")], &form);
    assert!(hidden.status == 403 && text(&hidden).contains("sign_in_unencrypted"), "it may come through a proxy");
    let proxied = nobody.send("POST", "/ui/enter", &[FORM, OWN, ("X-Forwarded-For", "192.0.2.1")], &form);
    assert_page(&proxied, 403);
    assert!(text(&proxied).contains("sign_in_unencrypted"), "{proxied:?}");
    let asked = nobody.send("GET", "/ui/enter", &[("X-Forwarded-For", "192.0.2.1")], "");
    assert!(asked.status == 200 && !text(&asked).contains("name=\"key\""), "nobody types a key that others could read");
    let wrong = nobody.press("/ui/enter", "key=vly_wrong");
    assert_page(&wrong, 401);
    assert!(!text(&wrong).contains("vly_wrong"), "a key is not shown again");
    let shop = server.api().post("/v1/keys", &json!({ "name": "shop", "scope": "ingest" }));
    let refused = nobody.press("/ui/enter", &format!("key={}", shop["secret"].as_str().unwrap()));
    assert_page(&refused, 403);
    assert!(text(&refused).contains("insufficient_scope"), "{refused:?}");
    let lost = nobody.press("/ui/enter", &format!("{form}&next=%2F%2Fexample.com"));
    assert_eq!(lost.header("location"), Some("/ui"));
}

#[test]
fn a_link_of_another_site_leads_to_the_page_and_not_to_signing_in() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let nobody = Visitor::nobody(&server);
    // A browser sends no strict cookie with this one.
    let followed = nobody.send("GET", "/ui/campaigns?status=sent", &[("Sec-Fetch-Site", "cross-site")], "");
    let again = "<meta http-equiv=\"refresh\" content=\"0; url=/ui/campaigns?status=sent\">";
    assert!(followed.status == 200 && text(&followed).contains(again), "{followed:?}");
    let asked = nobody.send("GET", "/ui/campaigns?status=sent", &[OWN], "");
    assert_eq!(asked.status, 303, "{asked:?}");
}

#[test]
fn every_page_asks_who_somebody_is_and_what_their_key_allows() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let reader = server.api().post("/v1/keys", &json!({ "name": "board", "scope": "read" }));
    let (nobody, reader) = (Visitor::nobody(&server), Visitor::with_key(&server, reader["secret"].as_str().unwrap()));
    for entry in TABLE {
        let has_page = TABLE.iter().any(|other| other.path == entry.path && other.method == Verb::Get);
        let is_below = entry.path == UI || entry.path.starts_with("/ui/");
        // What goes wrong with a form leads to the page of its path. A preview stays in its frame.
        let alone = ["/ui/theme", "/ui/leave", "/ui/templates/preview"];
        assert_eq!(is_below && !has_page, alone.contains(&entry.path), "{entry:?}");
        let Door::Page(asked) = entry.door else { continue };
        let path = entry.path.replace("{id}", "4711");
        let ask = |visitor: &Visitor<'_>| match entry.method == Verb::Post {
            true => visitor.press(&path, ""),
            false => visitor.get(&path),
        };
        let (stranger, known) = (ask(&nobody), ask(&reader));
        let is_stream = path == "/ui/live";
        let expected = if entry.method == Verb::Post {
            401
        } else if is_stream {
            200
        } else {
            303
        };
        assert_eq!(stranger.status, expected, "{entry:?}: {stranger:?}");
        let is_refused = known.status == 403 && text(&known).contains("insufficient_scope");
        assert_eq!(is_refused, asked.as_str() != "read", "{entry:?}: {known:?}");
    }
}

#[test]
fn over_a_wire_that_is_said_to_be_safe_a_browser_without_fetch_metadata_signs_in() {
    let db = Database::sqlite();
    let server = Server::with(&db, |settings| settings.http.allow_plain_sign_in = true);
    let form = format!("key={ROOT_KEY}");
    let post = |origin: &str| {
        let head =
            format!("POST /ui/enter HTTP/1.1\r\nHost: volley.test:8080\r\nConnection: close\r\nOrigin: {origin}\r\n");
        let body = format!("Content-Type: {}\r\nContent-Length: {}\r\n\r\n{form}", FORM.1, form.len());
        server.raw(format!("{head}{body}").as_bytes())
    };
    let entered = post("http://volley.test:8080");
    assert_eq!((entered.status, entered.header("location")), (303, Some("/ui")), "{entered:?}");
    assert_eq!(post("http://volley.test").status, 403);
}

#[test]
fn two_people_with_one_key_are_told_apart_in_the_audit_log() {
    let db = Database::sqlite();
    let (server, campaign) = site(&db);
    let api = server.api();
    let press = |visitor: &Visitor<'_>, act: &str| {
        let path = format!("/ui/campaigns/{campaign}/{act}");
        let form = format!("idempotency_key={}", visitor.form_key(&path));
        assert_eq!(visitor.press(&path, &form).status, 303);
    };
    let (one, other) = (Visitor::with_key(&server, ROOT_KEY), Visitor::with_key(&server, ROOT_KEY));
    press(&one, "pause");
    press(&other, "resume");
    api.post(&format!("/v1/campaigns/{campaign}/pause"), &json!({}));
    let lines = api.get(&format!("/v1/audit-log?object=campaign&object_id={campaign}"));
    let of = |at: usize| (lines["data"][at]["action"].clone(), lines["data"][at]["session_id"].clone());
    let opened = api.get("/v1/audit-log?object=session&action=created");
    let session = |at: usize| json!(opened["data"][at]["object_id"].as_str().unwrap().parse::<i64>().unwrap());
    assert_eq!(of(0), (json!("paused"), json!(null)), "a program has no session: {lines}");
    assert_eq!((of(1), of(2)), ((json!("resumed"), session(0)), (json!("paused"), session(1))), "{lines}");
}

#[test]
fn a_code_that_opened_nothing_can_be_used_again() {
    let Some(db) = Database::own_postgres("a_code_that_opened_nothing_can_be_used_again") else { return };
    let server = Server::on(&db);
    let code = server.one_time_path.split_once('#').expect("a code in the fragment").1.to_owned();
    let nobody = Visitor::nobody(&server);
    let enter = || nobody.press("/ui/enter", &format!("code={code}"));
    db.server().stop_immediately();
    assert_page(&enter(), 503);
    db.server().start_again();
    let entered = wait_for("the code opens a session", LONG, || Some(enter()).filter(|answer| answer.status != 503));
    assert_eq!((entered.status, entered.header("location")), (303, Some("/ui")), "{entered:?}");
    assert_page(&enter(), 403);
}

#[test]
fn who_guesses_the_root_key_is_slowed_down_also_for_the_right_one() {
    let db = Database::sqlite();
    let server = Server::with(&db, |settings| settings.limits.without_key_per_minute = 3);
    let nobody = Visitor::nobody(&server);
    let statuses: Vec<u16> = (0..4).map(|n| nobody.press("/ui/enter", &format!("key=guess-{n}")).status).collect();
    assert_eq!(statuses, [401, 401, 401, 429]);
    assert_page(&nobody.press("/ui/enter", &format!("key={ROOT_KEY}")), 429);
}
