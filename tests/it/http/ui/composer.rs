//! The composer without a browser: a draft is begun, saved, seen as a person, counted and checked by plain forms.

use std::time::Duration;

use serde_json::{Value, json};
use volley::domain::channel::ChannelKind;
use volley::domain::instant::UtcInstant;

use super::{Visitor, assert_page, text};
use crate::http::public::now;
use crate::support::api::Api;
use crate::support::server::{ROOT_KEY, Raw, Server, sandbox};
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

const LONG: Duration = Duration::from_secs(20);

fn site(db: &Database) -> (Server, i64) {
    let server =
        Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0), sandbox("texts", ChannelKind::Sms, 0.0)]);
    let list = server.api().a_list_of(20);
    (server, list)
}

fn key_with(api: &Api, scope: &str) -> String {
    let made: Value = api.post("/v1/keys", &json!({ "name": scope, "scope": scope }));
    made["secret"].as_str().unwrap().to_owned()
}

fn encoded(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// What the draft was when the page was made.
fn seen(page: &Raw) -> String {
    let after = text(page).split("data-seen=\"").nth(1).unwrap_or_else(|| panic!("{page:?}"));
    after.split('"').next().unwrap().to_owned()
}

/// A draft that was begun on its page: its id and its path.
fn begun(visitor: &Visitor<'_>, pool: &str, more: &[(&str, &str)]) -> (i64, String) {
    let key = visitor.form_key("/ui/campaigns/new");
    let fields = [&[("idempotency_key", key.as_str()), ("name", "Spring <b>"), ("pool", pool)], more].concat();
    let made = visitor.press("/ui/campaigns/new", &encoded(&fields));
    assert_eq!(made.status, 303, "{made:?}");
    let again = visitor.press("/ui/campaigns/new", &encoded(&fields));
    assert_eq!(again.header("location"), made.header("location"), "a second press makes no second draft");
    let path = made.header("location").unwrap().to_owned();
    (path.split('/').nth(3).unwrap().parse().unwrap(), path)
}

both_backends! {
    fn a_campaign_is_composed_by_plain_forms(db: &Database) {
        let (server, list) = site(db);
        let api = server.api();
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        assert_page(&visitor.get("/ui/campaigns/new"), 200);
        assert!(text(&visitor.get("/ui/campaigns")).contains("href=\"/ui/campaigns/new\""));
        let (campaign, path) = begun(&visitor, "main", &[]);
        assert!(text(&visitor.get(&format!("/ui/campaigns/{campaign}"))).contains(&format!("href=\"{path}\"")));
        let page = visitor.get(&path);
        assert_page(&page, 200);
        for said in ["20 people", "Nobody is named yet", "Spring &#60;b&#62;"] {
            assert!(text(&page).contains(said), "{said}: {page:?}");
        }
        let (seen_first, list) = (seen(&page), list.to_string());
        let save = |key: &str, seen: &str, more: &[(&str, &str)]| {
            let fields = [
                ("idempotency_key", key), ("seen", seen), ("name", "Spring"), ("pool", "main"), ("content", "own"),
                ("subject", "Hi {first_name|you}"), ("body_text", "Dear {first_name|friend}"), ("category", "marketing"),
                ("body_html", "<p>Dear {{ first_name }}</p><script>parent.x = 1</script>"), ("lists", &list),
                ("rate_per_second", "50"), ("on_uncertain", "resend"), ("tracking", "nothing"), ("not_tags", ""),
            ];
            visitor.press(&path, &encoded(&[fields.as_slice(), more].concat()))
        };
        let saved = save("one", &seen_first, &[("act", "count"), ("as_other", "person3@example.com")]);
        let stored = api.get(&format!("/v1/campaigns/{campaign}"));
        let third = api.get("/v1/contacts?email=person3@example.com")["data"][0]["id"].clone();
        let back = format!("{path}?as={third}&count=yes&{}", encoded(&[("saved", stored["updated_at"].as_str().unwrap())]));
        assert_eq!(saved.header("location"), Some(back.to_lowercase().as_str()), "an id, and no address: {saved:?}");
        for (name, value) in [
            ("name", json!("Spring")), ("subject", json!("Hi {first_name|you}")), ("audience", json!({ "lists": [list.parse::<i64>().unwrap()] })),
            ("rate_per_second", json!(50.0)), ("on_uncertain", json!("resend")), ("tracking", json!({ "clicks": false, "opens": false })),
        ] {
            assert_eq!(stored[name], value, "{name}: {stored}");
        }
        let page = visitor.get(saved.header("location").unwrap());
        assert_page(&page, 200);
        for said in ["<p class=\"hero\">20 people</p>", "reached by email</dt><dd>20</dd>", "person3@example.com", "Dear ", "sandbox"] {
            assert!(text(&page).contains(said), "{said}: {page:?}");
        }
        let mail = text(&page).split("src=\"/ui/campaigns/").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
        let mail = visitor.get(&format!("/ui/campaigns/{mail}"));
        assert_eq!((mail.status, text(&mail).contains("<p>Dear ")), (200, true), "{mail:?}");
        let policy = mail.header("content-security-policy").unwrap();
        assert!(policy.starts_with("sandbox; default-src 'none';") && !policy.contains("script") && !policy.contains("http"), "{policy}");

        // Who is asked for and is no contact is in no URL either, and an address in one is refused.
        let unknown = save("none", stored["updated_at"].as_str().unwrap(), &[("as_other", "nobody@example.com")]);
        let back = unknown.header("location").unwrap();
        assert!(back.contains("unknown=yes") && !back.contains("nobody"), "{back}");
        assert!(text(&visitor.get(back)).contains("No contact has exactly this"));
        assert_page(&visitor.get(&format!("{path}?as=person3%40example.com")), 400);

        // What is saved already is saved, whatever its form has seen.
        assert_eq!(save("same", &seen_first, &[]).status, 303);
        // Somebody else has it open as it was.
        let late = save("two", &seen_first, &[("retry_for", "2h")]);
        assert_page(&late, 409);
        assert!(text(&late).contains("changed_meanwhile") && text(&late).contains("value=\"Hi {first_name|you}\""), "{late:?}");
        // The page brings what the draft is now: to save again is to have read it.
        assert_eq!(save("three", &seen(&late), &[("act", "check")]).header("location"), Some(format!("/ui/campaigns/{campaign}/preflight").as_str()));
        // Somebody has set a time: half-typed words must not go out at it.
        api.post(&format!("/v1/campaigns/{campaign}/schedule"), &json!({ "scheduled_at": UtcInstant(now().0 + 86_400_000) }));
        let scheduled = api.get(&format!("/v1/campaigns/{campaign}"));
        let refused = save("five", scheduled["updated_at"].as_str().unwrap(), &[("subject", "Half")]);
        assert_page(&refused, 409);
        assert!(text(&refused).contains("campaign_not_editable"), "{refused:?}");
        assert_eq!(api.get(&format!("/v1/campaigns/{campaign}")), scheduled);
        api.post(&format!("/v1/campaigns/{campaign}/unschedule"), &json!({}));
        api.send(campaign);
        let launched = save("four", &seen(&late), &[]);
        assert_page(&launched, 409);
        assert!(text(&launched).contains("campaign_not_editable"), "{launched:?}");
        let closed = visitor.get(&path);
        assert_page(&closed, 200);
        assert!(text(&closed).contains("Only a draft can be edited"), "{closed:?}");
    }

    fn what_somebody_else_saved_after_ones_own_save_is_said(db: &Database) {
        let (server, list) = site(db);
        let api = server.api();
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let (campaign, path) = begun(&visitor, "main", &[("list", &list.to_string())]);
        let seen_first = seen(&visitor.get(&path));
        let fields = |more: &[(&str, &str)]| {
            let fields = [
                ("idempotency_key", "one"), ("seen", &seen_first), ("name", "Mine"), ("pool", "main"), ("content", "own"),
                ("lists", &list.to_string()), ("part", "yes"),
            ];
            encoded(&[fields.as_slice(), more].concat())
        };
        let saved = visitor.press(&path, &fields(&[]));
        let back = saved.header("location").unwrap().to_owned();
        assert!(!text(&visitor.get(&back)).contains("changed_meanwhile"));
        let json = [("Content-Type", "application/json")];
        let theirs = server.send("PATCH", &format!("/v1/campaigns/{campaign}"), &json, br#"{ "name": "Theirs" }"#);
        assert_eq!(theirs.status, 200, "{theirs:?}");
        // The answer was lost: the same form comes again, and leads back to what it has saved.
        let again = visitor.press(&path, &fields(&[]));
        assert_eq!(again.header("location"), Some(back.as_str()));
        let part = visitor.get(&back);
        assert!(text(&part).contains("data-code=\"changed_meanwhile\"") && text(&part).contains("Put mine in its place"), "{part:?}");
        // The whole page has what is saved now, and says why it is not what was typed.
        let page = visitor.get(&back.replace("part=yes&", ""));
        assert_page(&page, 200);
        assert!(text(&page).contains("was changed by somebody else after that") && text(&page).contains("value=\"Theirs\""), "{page:?}");
        assert_eq!(api.get(&format!("/v1/campaigns/{campaign}"))["name"], "Theirs");
    }

    fn a_count_by_itself_looks_at_the_first_people_and_its_parts_add_up(db: &Database) {
        let (server, list) = site(db);
        let api = server.api();
        let many = api.a_list_of(5_000);
        let first = api.get("/v1/contacts?email=person3@example.com")["data"][0]["id"].clone();
        let audience = json!({ "audience": { "lists": [list], "exclude": { "contact_ids": [first] } } });
        let few = api.create_campaign("email", "main", list, &audience);
        let many = api.create_campaign("email", "main", many, &json!({}));
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let count = |campaign: i64, how: &str| visitor.get(&format!("/ui/campaigns/{campaign}/edit?part=yes&count={how}"));
        for how in ["some", "yes"] {
            let page = count(few, how);
            for said in ["<p class=\"hero\">19 people</p>", "reached by email</dt><dd>19</dd>", "1 more person is named, and left out of the audience."] {
                assert!(text(&page).contains(said), "{how}: {said}: {page:?}");
            }
        }
        let page = count(many, "some");
        assert!(text(&page).contains("<p class=\"hero\">more than ") && text(&page).contains("Only these first people were looked at"), "{page:?}");
        let page = count(many, "yes");
        assert!(text(&page).contains("<p class=\"hero\">5,000 people</p>") && !text(&page).contains("Only these"), "{page:?}");
    }

    fn a_message_of_the_largest_size_is_saved_by_a_form(db: &Database) {
        let (server, list) = site(db);
        let api = server.api();
        let campaign = api.create_campaign("email", "main", list, &json!({}));
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let path = format!("/ui/campaigns/{campaign}/edit");
        // Six bytes of a form for each of these letters, which are two bytes of a message.
        let words = "ж".repeat(500_000);
        let fields = |key: &str, text: &str| {
            let seen = api.get(&format!("/v1/campaigns/{campaign}"))["updated_at"].as_str().unwrap().to_owned();
            encoded(&[
                ("idempotency_key", key), ("seen", &seen), ("name", "Large"), ("pool", "main"), ("content", "own"), ("lists", &list.to_string()),
                ("subject", "Hi"), ("body_text", text), ("body_html", &words), ("category", "marketing"),
            ])
        };
        let form = fields("one", &words);
        assert!(form.len() > 4 << 20, "more than a body of the API may have: {}", form.len());
        assert_eq!(visitor.press(&path, &form).status, 303);
        assert_eq!(api.get(&format!("/v1/campaigns/{campaign}"))["body_text"], words.as_str());
        let larger = visitor.press(&path, &fields("two", &"ж".repeat(600_000)));
        assert_page(&larger, 422);
        assert!(text(&larger).contains(&"ж".repeat(600_000)), "what was typed is still there");
    }

    fn a_draft_that_takes_a_template_keeps_no_text_of_its_own(db: &Database) {
        let (server, list) = site(db);
        let api = server.api();
        let template = api.create_template("email", "Theirs", "Theirs").to_string();
        let before = db.number("SELECT COUNT(*) AS n FROM template_versions");
        let campaign = api.create_campaign("email", "main", list, &json!({}));
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let path = format!("/ui/campaigns/{campaign}/edit");
        let page = visitor.get(&path);
        assert!(text(&page).contains("is removed from the campaign when a template is saved"), "{page:?}");
        let fields = encoded(&[
            ("idempotency_key", "one"), ("seen", &seen(&page)), ("name", "A campaign"), ("pool", "main"), ("content", "template"),
            ("template_id", &template), ("lists", &list.to_string()), ("subject", "Mine"), ("body_text", "Mine"),
        ]);
        assert_eq!(visitor.press(&path, &fields).status, 303);
        assert_eq!(db.number("SELECT COUNT(*) AS n FROM template_versions"), before);
        // What is named is what has changed, not every field of the form.
        let lines = api.get(&format!("/v1/audit-log?object=campaign&object_id={campaign}&action=updated"));
        assert_eq!(lines["data"][0]["after"]["fields"], json!(["template_id"]), "{lines}");
    }

    fn a_refusal_that_shows_a_message_as_somebody_is_a_read_of_a_contact(db: &Database) {
        let (server, list) = site(db);
        let api = server.api();
        let content = json!({ "subject": "Hi", "body_text": "Dear {email}" });
        let campaign = api.create_campaign("email", "main", list, &content);
        let key: Value = api.post("/v1/keys", &json!({ "name": "operate", "scope": "operate" }));
        let visitor = Visitor::with_key(&server, key["secret"].as_str().unwrap());
        let stale = encoded(&[("idempotency_key", "one"), ("seen", "2026-01-01T00:00:00Z"), ("name", "Mine"), ("lists", &list.to_string())]);
        let late = visitor.press(&format!("/ui/campaigns/{campaign}/edit"), &stale);
        assert_page(&late, 409);
        assert!(text(&late).contains("@example.com"), "{late:?}");
        wait_until("it is in the audit log", LONG, || {
            let lines = api.get(&format!("/v1/audit-log?key_id={}", key["id"]));
            lines["data"].as_array().unwrap().iter().any(|line| line["action"] == "read" && line["object"] == "contact")
        });
    }

    fn what_is_wrong_is_said_at_its_field_and_the_rest_is_saved(db: &Database) {
        let (server, list) = site(db);
        let api = server.api();
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let unnamed = format!("idempotency_key={}&name=+&pool=main", visitor.form_key("/ui/campaigns/new"));
        let unnamed = visitor.press("/ui/campaigns/new", &unnamed);
        assert_page(&unnamed, 422);
        let (campaign, path) = begun(&visitor, "main", &[("list", &list.to_string())]);
        assert_eq!(api.get(&format!("/v1/campaigns/{campaign}"))["audience"], json!({ "lists": [list] }));
        let wrong = encoded(&[
            ("idempotency_key", "one"), ("seen", &seen(&visitor.get(&path))), ("name", "Renamed"), ("pool", "main"), ("content", "own"),
            ("subject", "Hi"), ("body_text", "Dear {first_nam}"), ("rate_per_second", "fast"), ("contact_ids", "1 two"), ("retry_for", "1h"),
        ]);
        let page = visitor.press(&path, &wrong);
        assert_page(&page, 422);
        for field in ["body_text", "rate_per_second", "contact_ids"] {
            assert!(text(&page).contains(&format!("<p class=\"wrong\" id=\"{field}-wrong\">")), "{field}: {page:?}");
        }
        for kept in ["Dear {first_nam}", "value=\"fast\"", "1 two"] {
            assert!(text(&page).contains(kept), "{kept}: {page:?}");
        }
        let stored = api.get(&format!("/v1/campaigns/{campaign}"));
        assert_eq!((&stored["name"], &stored["retry_for"], &stored["subject"]), (&json!("Renamed"), &json!(3600.0), &json!(null)), "{stored}");
        // A script gets what stands beside the form, and nothing else.
        let parts = visitor.get(&format!("{path}?part=yes&count=yes"));
        assert!(parts.status == 200 && text(&parts).contains("id=\"saved\"") && !text(&parts).contains("<form"), "{parts:?}");
    }

    fn a_draft_gets_its_sender_and_its_values_where_it_is_written(db: &Database) {
        let (server, list) = site(db);
        let api = server.api();
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let (campaign, path) = begun(&visitor, "main", &[("list", &list.to_string())]);
        let save = |name: &str, props: &str| {
            let fields = [
                ("idempotency_key", name), ("seen", &seen(&visitor.get(&path))), ("name", name), ("pool", "main"), ("content", "own"),
                ("subject", "{campaign.props.code}"), ("body_text", "b"), ("category", "marketing"), ("lists", &list.to_string()),
                ("description", "One\r\ntwo"), ("from", "Spring <spring@example.com>"), ("props", props),
            ];
            visitor.press(&path, &encoded(&fields))
        };
        let saved = save("First", "{ \"code\": \"A&B\" }");
        assert_eq!(saved.status, 303, "{saved:?}");
        let stored = api.get(&format!("/v1/campaigns/{campaign}"));
        assert_eq!((&stored["description"], &stored["from"]), (&json!("One\ntwo"), &json!("Spring <spring@example.com>")));
        assert_eq!(stored["props"], json!({ "code": "A&B" }));
        let page = visitor.get(&path);
        assert_page(&page, 200);
        for said in ["value=\"Spring &#60;spring@example.com&#62;\"", "&#34;code&#34;: &#34;A&#38;B&#34;", "One\ntwo</textarea>"] {
            assert!(text(&page).contains(said), "{said}: {page:?}");
        }
        let of_campaign = visitor.get(&format!("/ui/campaigns/{campaign}"));
        assert_page(&of_campaign, 200);
        for said in ["Spring &#60;spring@example.com&#62;", "<dt>value code</dt><dd>A&#38;B</dd>", "<dd>One\ntwo</dd>"] {
            assert!(text(&of_campaign).contains(said), "{said}: {of_campaign:?}");
        }
        for (name, props) in [("Second", "{"), ("Third", "{ \"Code\": 1 }"), ("Fourth", "")] {
            let refused = save(name, props);
            assert_page(&refused, 422);
            let field = if props.is_empty() { "subject" } else { "props" };
            assert!(text(&refused).contains(&format!("id=\"{field}-wrong\"")), "{name}: {refused:?}");
            let stored = api.get(&format!("/v1/campaigns/{campaign}"));
            assert_eq!((&stored["name"], &stored["props"]), (&json!(name), &json!({ "code": "A&B" })));
        }
    }

    fn a_text_message_is_composed_scheduled_and_taken_back(db: &Database) {
        let (server, _) = site(db);
        let api = server.api();
        let list = api.create_list("Phones");
        let ann = json!({ "phone": "+442079460123", "first_name": "Ann" });
        let ann = crate::support::api::id(&api.post("/v1/contacts", &ann));
        api.post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": [ann] }));
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let (campaign, path) = begun(&visitor, "texts", &[("list", &list.to_string())]);
        assert!(!text(&visitor.get(&path)).contains("name=\"subject\""), "a text message has no subject");
        let list = list.to_string();
        let fields = |seen: &str, at: &str| {
            let text = "Привет {first_name}. ".repeat(8);
            encoded(&[
                ("idempotency_key", &format!("at {at}").replace(' ', "-")), ("seen", seen), ("name", "Texts"), ("pool", "texts"), ("content", "own"),
                ("body_text", &text), ("category", "marketing"), ("lists", &list), ("act", "schedule"), ("scheduled_at", at),
            ])
        };
        let without = visitor.press(&path, &fields(&seen(&visitor.get(&path)), ""));
        assert_page(&without, 422);
        assert!(text(&without).contains("id=\"scheduled_at-wrong\""), "{without:?}");
        let page = visitor.get(&path);
        assert!(text(&page).contains("2 parts, ") && text(&page).contains("Ann"), "{page:?}");
        let due = (jiff::Timestamp::now() + std::time::Duration::from_secs(86_400)).to_string();
        let scheduled = visitor.press(&path, &fields(&seen(&page), &due[..16]));
        assert_eq!(scheduled.header("location"), Some(format!("/ui/campaigns/{campaign}").as_str()), "{scheduled:?}");
        assert_eq!(api.campaign(campaign).status, "scheduled");
        let closed = visitor.get(&path);
        assert_page(&closed, 200);
        assert!(text(&closed).contains("Make it a draft again"), "{closed:?}");
        let back = format!("idempotency_key={}&act=unschedule", visitor.form_key(&path));
        assert_eq!(visitor.press(&path, &back).header("location"), Some(path.as_str()));
        assert_eq!(api.campaign(campaign).status, "draft");
    }

    fn who_may_only_read_composes_nothing(db: &Database) {
        let (server, list) = site(db);
        let api = server.api();
        let draft = api.create_campaign("email", "main", list, &json!({}));
        let reader = Visitor::with_key(&server, &key_with(&api, "read"));
        for path in ["/ui/campaigns/new".to_owned(), format!("/ui/campaigns/{draft}/edit")] {
            assert_page(&reader.get(&path), 403);
            assert_page(&reader.press(&path, "idempotency_key=one&name=Other"), 403);
        }
        for path in ["/ui".to_owned(), "/ui/campaigns".to_owned(), format!("/ui/campaigns/{draft}")] {
            let page = reader.get(&path);
            assert!(!text(&page).contains("/ui/campaigns/new") && !text(&page).contains("/edit\""), "{path}: {page:?}");
        }
        let missing = Visitor::with_key(&server, ROOT_KEY);
        assert_page(&missing.get("/ui/campaigns/4711/edit"), 404);
        assert_page(&missing.press("/ui/campaigns/4711/edit", "idempotency_key=one&name=Other&seen=2026-01-01T00:00:00Z"), 404);
    }
}
