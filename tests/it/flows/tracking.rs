//! Emails whose links and pixel tell who followed and opened them.

use serde_json::{Value, json};

use crate::support::api::{Api, id};
use crate::support::both_backends;
use crate::support::people;
use crate::support::provider::{POOL, Provider};
use crate::support::reader::{BROWSER, ask, follow, html, tracked};
use crate::support::stage::LONG;
use crate::support::volley::Volley;
use crate::support::waiting::wait_until;

const SETTINGS: &str = "[tracking]\nmachine_within_ms = 0\nhosts = [\"named.example\"]\n";

const HTML: &str = "<body><a href=\"https://shop.example/?a=1&amp;b={{ first_name }}\">shop</a>\
                    <a href='https://blog.example/'>blog</a><a href=https://wiki.example/x>wiki</a>\
                    <a href=\"{{ location }}\">computed</a><a href='javascript:alert(1)'>js</a>\
                    <a href='{{ unsubscribe_url }}'>no</a></body>";

fn content(more: &Value) -> Value {
    let mut content =
        json!({ "subject": "s", "body_text": "https://shop.example/ {{ unsubscribe_url }}", "body_html": HTML });
    content.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    content
}

/// A list of one person, whose first name and location are these.
fn person(api: &Api, location: &str) -> (i64, i64) {
    let list = api.create_list("News");
    let contact =
        json!({ "email": people::address(1), "first_name": "Ann & Bob", "attributes": { "location": location } });
    let contact = id(&api.post("/v1/contacts", &contact));
    api.post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": [contact] }));
    (list, contact)
}

/// What the person got by the campaign.
fn sent(api: &Api, provider: &Provider, list: i64, content: &Value) -> (i64, String) {
    let campaign = api.create_campaign("email", POOL, list, content);
    api.send(campaign);
    api.wait_ended(campaign, LONG);
    (campaign, html(&provider.ledger().message_to(&people::address(1))))
}

both_backends! {
    fn a_mails_links_lead_where_they_led_and_tell_who_followed_them(db: &Database) {
        let provider = Provider::smtp((0, 2));
        let volley = Volley::on(db).settings(SETTINGS).pool(provider.pool()).start();
        let (api, port) = (volley.api(), volley.port());
        let (list, _) = person(&api, "https://evil.example/");
        let (campaign, html) = sent(&api, &provider, list, &content(&json!({ "tracking": { "clicks": true, "opens": true } })));
        let paths = tracked(&html);
        assert_eq!(paths.len(), 4, "three links and a pixel: {html}");
        for still in ["href=\"https://evil.example/\"", "href='javascript:alert(1)'", "/u/"] {
            assert!(html.contains(still), "{still} in {html}");
        }
        assert!(html.find("/t/o/").unwrap() < html.find("</body>").unwrap(), "{html}");
        assert_eq!(follow(port, &paths[0]), "https://shop.example/?a=1&b=ann%20&%20bob");
        assert_eq!(follow(port, &paths[1]), "https://blog.example/");
        assert_eq!(follow(port, &paths[1]), "https://blog.example/");
        assert_eq!(ask(port, "GET", &paths[3], BROWSER, &[]).status, 200);
        let links = || api.get(&format!("/v1/campaigns/{campaign}/links"))["data"].take();
        wait_until("the clicks are counted", LONG, || links()[1]["clicks"]["total"] == 2);
        let of = |n: i64, url: &str, recipients: i64, total: i64| {
            let none = json!({ "recipients": 0, "total": 0 });
            json!({ "link": n, "url": url, "clicks": { "recipients": recipients, "total": total }, "machine_clicks": none })
        };
        let expected = [
            of(1, "https://shop.example/?a=1&b={{ first_name }}", 1, 1),
            of(2, "https://blog.example/", 1, 2),
            of(3, "https://wiki.example/x", 0, 0),
            of(4, "{{ location }}", 0, 0),
        ];
        assert_eq!(links(), json!(expected));
        let reports = || api.get(&format!("/v1/campaigns/{campaign}"))["reports"].take();
        wait_until("the open is counted", LONG, || reports()["opened"]["total"] == 1);
        assert_eq!(reports()["clicked"], json!({ "recipients": 1, "total": 3 }));
        volley.stop();
    }

    fn a_computed_link_is_tracked_only_on_a_host_that_the_settings_name(db: &Database) {
        let provider = Provider::smtp((0, 2));
        let volley = Volley::on(db).settings(SETTINGS).pool(provider.pool()).start();
        let (list, _) = person(&volley.api(), "https://named.example/a b");
        let (_, html) = sent(&volley.api(), &provider, list, &content(&json!({})));
        let paths = tracked(&html);
        assert_eq!(paths.len(), 4, "four links and no pixel: {html}");
        assert_eq!(follow(volley.port(), &paths[3]), "https://named.example/a%20b");
        volley.stop();
    }

    fn a_template_and_a_campaign_say_what_is_tracked_and_the_launch_pins_it(db: &Database) {
        let provider = Provider::smtp((0, 2));
        let volley = Volley::on(db).settings(SETTINGS).pool(provider.pool()).start();
        let api = volley.api();
        let (list, _) = person(&api, "");
        let body = json!({ "name": "T", "channel": "email", "subject": "s", "body_html": HTML, "tracking": { "clicks": false, "opens": true } });
        let template = id(&api.post("/v1/templates", &body));
        let of_template = |name: &str, tracking: &Value| {
            let mut body = json!({ "name": name, "channel": "email", "pool": POOL, "template_id": template, "audience": { "lists": [list] } });
            body.as_object_mut().unwrap().extend(tracking.as_object().unwrap().clone());
            id(&api.post("/v1/campaigns", &body))
        };
        let campaign = of_template("first", &json!({}));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let html = html(&provider.ledger().message_to(&people::address(1)));
        assert!(html.contains("/t/o/") && !html.contains("/t/c/"), "{html}");
        let neither = json!({ "clicks": false, "opens": false });
        let patch = |path: &str, tracking: &Value| {
            let change = json!({ "tracking": tracking }).to_string().into_bytes();
            api.request(reqwest::Method::PATCH, path, "application/json", Some(change), &[]).unwrap()
        };
        assert_eq!(patch(&format!("/v1/templates/{template}"), &neither).body["tracking"], neither);
        let tracking = |campaign: i64| api.get(&format!("/v1/campaigns/{campaign}"))["tracking"].take();
        assert_eq!(tracking(campaign), json!({ "clicks": false, "opens": true }), "as at its launch");
        let own = of_template("own", &json!({ "tracking": { "clicks": true, "opens": false } }));
        assert_eq!(tracking(own), json!({ "clicks": true, "opens": false }));
        for path in [format!("/v1/campaigns/{own}"), format!("/v1/templates/{template}")] {
            let half = patch(&path, &json!({ "opens": true }));
            assert_eq!((half.status, &half.body["errors"][0]["field"]), (422, &json!("/tracking/clicks")), "{}", half.body);
        }
        assert_eq!(tracking(own), json!({ "clicks": true, "opens": false }), "nothing is switched on by silence");
        assert_eq!(patch(&format!("/v1/campaigns/{own}"), &neither).body["tracking"], neither);
        volley.stop();
    }

    fn a_person_who_does_not_want_to_be_tracked_is_not(db: &Database) {
        let provider = Provider::smtp((0, 2));
        let volley = Volley::on(db).settings(SETTINGS).pool(provider.pool()).start();
        let api = volley.api();
        let (list, contact) = person(&api, "");
        let both = json!({ "tracking": { "clicks": true, "opens": true } });
        let (campaign, html) = sent(&api, &provider, list, &content(&both));
        assert!(html.contains("/t/c/") && html.contains("/t/o/"), "{html}");
        let links = api.get(&format!("/v1/campaigns/{campaign}/deliveries/{contact}/links"));
        let preferences = links["preferences_url"].as_str().unwrap();
        let path = &preferences[preferences.find("/preferences/").unwrap()..];
        let form = |form: &str| {
            let kind = "application/x-www-form-urlencoded";
            let saved = api.request(reqwest::Method::POST, path, kind, Some(form.as_bytes().to_vec()), &[]).unwrap();
            assert_eq!(saved.status, 200);
            saved.body.as_str().unwrap().to_owned()
        };
        let page = form("tracking_was=on&do=save");
        assert!(page.contains("name=\"tracking_was\" value=\"off\""), "{page}");
        let (_, html) = sent(&api, &provider, list, &content(&both));
        assert!(!html.contains("/t/c/") && !html.contains("/t/o/") && html.contains("https://blog.example/"), "{html}");
        let page = form("tracking_was=off&tracking=on&do=save");
        assert!(page.contains("name=\"tracking_was\" value=\"on\""), "{page}");
        volley.stop();
    }
}
