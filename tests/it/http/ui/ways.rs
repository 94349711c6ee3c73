//! A campaign is copied, and its rate and pool are changed, without a browser.

use serde_json::json;
use volley::domain::channel::ChannelKind;

use super::system::with_scope;
use super::{LONG, ROOT_KEY, Visitor, assert_page, site, text};
use crate::support::both_backends;
use crate::support::people::csv;
use crate::support::server::{Server, sandbox};

both_backends! {
    fn a_campaign_is_copied_under_its_name_or_another(db: &Database) {
        let (server, campaign) = site(db);
        let (api, visitor) = (server.api(), Visitor::with_key(&server, ROOT_KEY));
        let path = format!("/ui/campaigns/{campaign}/copy");
        let page = visitor.get(&format!("/ui/campaigns/{campaign}"));
        assert!(text(&page).contains(&format!("href=\"{path}\"")), "{page:?}");
        assert_page(&visitor.get(&path), 200);
        for (typed, name) in [("", "Spring <b> (copy)"), ("Autumn", "Autumn")] {
            let form = format!("idempotency_key={}&name={typed}", visitor.form_key(&path));
            let made = visitor.press(&path, &form);
            assert_eq!(made.status, 303, "{made:?}");
            let place = made.header("location").unwrap().to_owned();
            let id = place.strip_prefix("/ui/campaigns/").and_then(|rest| rest.strip_suffix("/edit")).unwrap();
            let copy = api.get(&format!("/v1/campaigns/{id}"));
            assert_eq!((&copy["name"], &copy["status"]), (&json!(name), &json!("draft")));
            // The same form again makes nothing more.
            assert_eq!(visitor.press(&path, &form).header("location"), Some(place.as_str()));
        }
        let long = format!("idempotency_key={}&name={}", visitor.form_key(&path), "x".repeat(256));
        let refused = visitor.press(&path, &long);
        assert_page(&refused, 422);
        assert!(text(&refused).contains("aria-invalid"), "{refused:?}");
        assert_eq!(with_scope(&server, "read").get(&path).status, 403);
        assert_page(&visitor.get("/ui/campaigns/4711/copy"), 404);
    }

    fn the_rate_is_changed_while_a_campaign_is_sending_and_its_pool_while_it_is_paused(db: &Database) {
        let server = Server::with_pools(
            db,
            vec![
                sandbox("main", ChannelKind::Email, 0.0),
                sandbox("other", ChannelKind::Email, 0.0),
                sandbox("texts", ChannelKind::Sms, 0.0),
            ],
        );
        let api = server.api();
        let list = api.create_list("All");
        api.import_csv(list, &csv(40));
        let campaign = api.create_campaign("email", "main", list, &json!({ "rate_per_second": 1 }));
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let (path, of) = (format!("/ui/campaigns/{campaign}/way"), format!("/v1/campaigns/{campaign}"));
        let press = |fields: &str| {
            let key = visitor.form_key(&path);
            visitor.press(&path, &format!("idempotency_key={key}&{fields}"))
        };
        let early = visitor.get(&path);
        assert!(text(&early).contains("changed where the campaign is written"), "{early:?}");
        api.send(campaign);
        let form = visitor.get(&path);
        assert!(text(&form).contains("pause it first") && !text(&form).contains("name=\"pool\""), "{form:?}");
        let changed = press("rate_per_second=2");
        assert_eq!((changed.status, changed.header("location")), (303, Some(format!("/ui/campaigns/{campaign}").as_str())));
        assert_eq!(api.get(&of)["rate_per_second"], 2.0);
        for wrong in ["fast", "0", "nan", "inf"] {
            let refused = press(&format!("rate_per_second={wrong}"));
            assert_page(&refused, 422);
            assert!(text(&refused).contains(&format!("value=\"{wrong}\"")), "what was typed is there: {refused:?}");
        }
        assert_page(&press("rate_per_second=2&pool=other"), 409);
        api.pause(campaign);
        let form = visitor.get(&path);
        assert!(text(&form).contains("value=\"other\"") && !text(&form).contains("texts"), "{form:?}");
        assert_eq!(press("rate_per_second=&pool=other").status, 303);
        // The form of somebody who had opened it before, and changes the rate alone.
        assert_eq!(press("rate_per_second=3&rate_shown=2&pool=main&pool_shown=main").status, 303);
        assert_eq!((&api.get(&of)["rate_per_second"], &api.get(&of)["pool"]), (&json!(3.0), &json!("other")));
        assert_eq!(press("rate_per_second=&rate_shown=3").status, 303);
        let paused = api.get(&of);
        assert_eq!((&paused["rate_per_second"], &paused["pool"]), (&json!(null), &json!("other")));
        api.resume(campaign);
        assert_eq!(api.wait_ended(campaign, LONG).stats.sent, 40);
    }
}
