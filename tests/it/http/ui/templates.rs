//! Templates, as operators write and read them.

use serde_json::json;

use super::system::with_scope;
use super::{Visitor, assert_page, text};
use crate::support::api::id;
use crate::support::both_backends;
use crate::support::server::{Raw, Server};

/// A form, its fields encoded as a browser does it.
fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// What the form of a template starts from: the version, and when the template was changed last.
fn base(visitor: &Visitor<'_>, path: &str) -> (String, String) {
    let form = visitor.get(&format!("{path}/edit"));
    let field = |name: &str| {
        let after =
            text(&form).split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_else(|| panic!("{form:?}"));
        after.split('"').next().unwrap().to_owned()
    };
    (field("based_on"), field("seen"))
}

/// Saves what a template is to say, from what a form has started from.
fn save(visitor: &Visitor<'_>, path: &str, (based_on, seen): &(String, String), body: &str) -> Raw {
    let key = visitor.form_key(&format!("{path}/edit"));
    let fields = [
        ("idempotency_key", key.as_str()),
        ("based_on", based_on.as_str()),
        ("seen", seen.as_str()),
        ("name", "Spring <b>"),
        ("channel", "email"),
        ("category", "marketing"),
        ("clicks", "true"),
        ("subject", "Hi {first_name|you}"),
        ("body_text", body),
        ("body_html", ""),
    ];
    visitor.press(&format!("{path}/edit"), &form(&fields))
}

#[track_caller]
fn assert_framed(answer: &Raw, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    let policy = answer.header("content-security-policy").unwrap_or_else(|| panic!("{answer:?}"));
    assert!(policy.contains("default-src 'none'") && policy.contains("img-src data:;"), "{policy}");
    assert!(
        !policy.contains("script-src") && !policy.contains("http"),
        "no script, and nothing from elsewhere: {policy}"
    );
}

both_backends! {
    fn a_template_is_written_edited_and_compared_and_what_another_has_written_is_not_overwritten_unseen(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let operator = with_scope(&server, "operate");
        assert!(text(&operator.get("/ui/templates")).contains("There is no template yet."));
        let new = "/ui/templates/new";
        let fields = |key: &str, subject: &str| form(&[
            ("idempotency_key", key), ("name", "Spring <b>"), ("channel", "email"), ("category", "marketing"), ("clicks", "true"),
            ("subject", subject), ("body_text", "one\r\ntwo\r\nthree"), ("body_html", ""),
        ]);
        let key = operator.form_key(new);
        let refused = operator.press(new, &fields(&key, " "));
        assert_page(&refused, 422);
        let page = text(&refused);
        assert!(page.contains("id=\"subject-wrong\">an email needs a subject") && page.contains("one\ntwo\nthree</textarea>"), "{page}");
        let made = operator.press(new, &fields(&key, "Hi {first_name|you}"));
        let path = made.header("location").unwrap_or_else(|| panic!("{made:?}")).to_owned();
        assert_eq!(operator.press(new, &fields(&key, "Hi {first_name|you}")).header("location"), Some(path.as_str()), "made once");
        let stored = api.get(&path.replace("/ui", "/v1"));
        assert_eq!((&stored["body_text"], &stored["body_html"]), (&json!("one\ntwo\nthree"), &json!(null)));
        assert_eq!(stored["tracking"], json!({ "clicks": true, "opens": false }));
        assert_eq!(save(&operator, &path, &base(&operator, &path), "one\r\ntwo\r\nthree").status, 303);
        assert_eq!(api.get(&path.replace("/ui", "/v1"))["version"], 1, "the same content is no new version");
        let first = base(&operator, &path);
        assert_eq!(save(&operator, &path, &first, "one\r\n2\r\nthree").status, 303);
        let compared = operator.get(&format!("{path}/compare?from=1&to=2"));
        assert_page(&compared, 200);
        let page = text(&compared);
        assert!(page.contains("<td class=\"sign\">−</td><td><code>two</code>") && page.contains("<td class=\"sign\">+</td><td><code>2</code>"), "{page}");
        assert!(!page.contains("<h2 id=\"part-2\""), "the subject has not changed: {page}");
        let overtaken = save(&operator, &path, &first, "mine");
        assert_page(&overtaken, 409);
        let page = text(&overtaken);
        assert!(page.contains("Version 2 was written while you wrote on version 1") && page.contains("mine</textarea>"), "{page}");
        assert!(page.contains("Now it is called “Spring") && page.contains("its category is"), "also what no version holds: {page}");
        assert!(page.contains("name=\"based_on\" value=\"2\"") && page.contains("changed_meanwhile"), "{page}");
        assert_eq!(api.get(&path.replace("/ui", "/v1"))["body_text"], "one\n2\nthree", "nothing was saved");
        assert_eq!(save(&operator, &path, &base(&operator, &path), "mine").status, 303);
        let list = operator.get("/ui/templates?channel=email");
        assert!(text(&list).contains("Spring &#60;b&#62;") && text(&list).contains("<td class=\"number\">3</td>"), "{list:?}");
        assert!(text(&operator.get("/ui/templates?channel=sms")).contains("no template for this channel"));
        let admin = with_scope(&server, "admin");
        let page = admin.get(&path);
        assert_page(&page, 200);
        assert_eq!(text(&page).matches("<td>operate</td>").count(), 3, "who wrote each version: {page:?}");
        let old = operator.get(&format!("{path}?version=1"));
        assert!(text(&old).contains("This is an older version.") && text(&old).contains("one\ntwo\nthree"), "{old:?}");
        assert_page(&operator.get(&format!("{path}?version=9")), 404);
        assert_page(&operator.get(&format!("{path}/compare?from=1")), 400);
        assert_page(&operator.get("/ui/templates/4711/edit"), 404);
    }

    fn what_is_no_content_of_a_template_is_not_overwritten_unseen_either(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let operator = with_scope(&server, "operate");
        let template = id(&api.post("/v1/templates", &json!({ "name": "Spring", "channel": "email", "subject": "s", "body_text": "b" })));
        let path = format!("/ui/templates/{template}");
        let first = base(&operator, &path);
        let change = |body: serde_json::Value| {
            let json = [("Content-Type", "application/json")];
            server.send("PATCH", &format!("/v1/templates/{template}"), &json, body.to_string().as_bytes())
        };
        let changed = change(json!({ "category": "transactional", "name": "Receipts", "if_updated_at": first.1 }));
        assert_eq!((changed.status, &changed.body["version"]), (200, &json!(1)), "{changed:?}");
        let late = change(json!({ "category": "marketing", "if_updated_at": first.1 }));
        assert_eq!((late.status, &late.body["code"]), (409, &json!("changed_meanwhile")), "{late:?}");
        let overtaken = save(&operator, &path, &first, "mine");
        assert_page(&overtaken, 409);
        let page = text(&overtaken);
        assert!(page.contains("Now it is called “Receipts”, its category is transactional, and it tracks clicks"), "{page}");
        assert!(page.contains("mine</textarea>") && page.contains("value=\"Spring &#60;b&#62;\""), "{page}");
        assert_eq!(api.get(&format!("/v1/templates/{template}"))["name"], "Receipts", "nothing was saved");
        assert_eq!(save(&operator, &path, &base(&operator, &path), "mine").status, 303);
        assert_eq!(change(json!({ "name": "Without" })).status, 200, "nobody has to say what was seen");
    }

    fn a_template_is_previewed_for_a_contact_and_with_example_values_before_it_is_saved(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let contact = id(&api.post("/v1/contacts", &json!({
            "email": "ann@example.com", "first_name": "<Ann>", "attributes": { "tier": "gold" },
        })));
        let template = id(&api.post("/v1/templates", &json!({
            "name": "t", "channel": "email", "subject": "Hi {first_name}", "body_text": "{tier}, {last_name|friend}",
            "body_html": "<p title=\"color:red\">{{ first_name }}</p>",
        })));
        let reader = with_scope(&server, "read");
        let preview = format!("/ui/templates/{template}/preview");
        let of_ann = reader.get(&format!("{preview}?contact_id={contact}"));
        assert_framed(&of_ann, 200);
        let page = text(&of_ann);
        assert!(page.contains("Hi &#60;Ann&#62;") && page.contains("gold, friend"), "{page}");
        let mail = "sandbox srcdoc=\"&#60;p title=&#34;color:red&#34;&#62;&#38;lt;Ann&#38;gt;&#60;/p&#62;\"";
        assert!(page.contains(mail) && !page.contains("<p title"), "its HTML is in a frame of its own: {page}");
        assert!(page.contains("No value for: <code>last_name</code>"), "{page}");
        let example = reader.get(&preview);
        assert_framed(&example, 200);
        assert!(text(&example).contains("Hi Ann") && text(&example).contains("‹tier›, Lee"), "{example:?}");
        let unknown = reader.get(&format!("{preview}?contact_id=4711"));
        assert_framed(&unknown, 404);
        assert!(text(&unknown).contains("contact_not_found"), "{unknown:?}");
        assert_framed(&reader.get(&format!("{preview}?contact_id=ann")), 422);
        let contact = contact.to_string();
        let typed = |body: &str| form(&[
            ("idempotency_key", "k"), ("name", "t"), ("channel", "email"), ("subject", "S"), ("body_text", body), ("body_html", ""),
            ("contact_id", &contact),
        ]);
        let shown = reader.press("/ui/templates/preview", &typed("new for {first_name}, {nickname}"));
        assert_framed(&shown, 200);
        assert!(text(&shown).contains("new for &#60;Ann&#62;") && text(&shown).contains("<code>nickname</code>"), "{shown:?}");
        let broken = reader.press("/ui/templates/preview", &typed("{{ first_name"));
        assert_framed(&broken, 422);
        assert_eq!(api.get(&format!("/v1/templates/{template}"))["version"], 1, "nothing is stored");
        let page = reader.get(&format!("/ui/templates/{template}"));
        assert_page(&page, 200);
        assert!(text(&page).contains("scope <code>operate") && !text(&page).contains("/edit"), "{page:?}");
        assert_page(&reader.get(&format!("/ui/templates/{template}/edit")), 403);
        assert_page(&reader.get("/ui/templates/new"), 403);
        let campaign = json!({ "name": "Summer", "channel": "email", "template_id": template, "audience": { "all": true } });
        let campaign = id(&api.post("/v1/campaigns", &campaign));
        let used = format!("<a href=\"/ui/campaigns/{campaign}\">Summer</a>");
        assert!(text(&reader.get(&format!("/ui/templates/{template}"))).contains(&used));
    }
}
