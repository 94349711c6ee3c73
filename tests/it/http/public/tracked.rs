//! Links that are followed and pixels that are loaded.

use serde_json::{Value, json};
use volley::domain::ids::{CampaignId, ContactId, LinkNumber};
use volley::domain::people::link::tracked::{Target, Tracker};

use super::{Site, assert_page, now};
use crate::support::api::Api;
use crate::support::reader::{BROWSER, ask, follow, location};
use crate::support::waiting::{stays, wait_until};
use crate::support::{Database, both_backends};

const LONG: std::time::Duration = std::time::Duration::from_secs(60);

/// An instance for which nobody clicks too soon.
fn site(db: &Database) -> Site {
    Site::with(db, |settings| settings.tracking.machine_within_ms = 0)
}

impl Site {
    fn tracker(&self) -> Tracker {
        Tracker::new("".into(), self.key.clone(), CampaignId(self.campaign), ContactId(self.ann))
    }

    fn click(&self, url: &str) -> String {
        self.tracker().click(LinkNumber(1), &Target::new(&url.parse().unwrap()).unwrap())
    }

    fn port(&self) -> u16 {
        self.server.addr.port()
    }

    fn reported(&self) -> Value {
        reported(&self.api, self.campaign)
    }
}

fn reported(api: &Api, campaign: i64) -> Value {
    api.get(&format!("/v1/campaigns/{campaign}"))["reports"].take()
}

/// For how many recipients, and how often.
fn figure(reports: &Value, kind: &str) -> (i64, i64) {
    let figure = reports.pointer(kind).cloned().unwrap_or_default();
    (figure["recipients"].as_i64().unwrap_or(0), figure["total"].as_i64().unwrap_or(0))
}

both_backends! {
    fn a_link_leads_to_its_target_and_counts_the_recipient_once(db: &Database) {
        let site = site(db);
        let link = site.click("https://shop.example/a?b=1&c=2#d");
        for _ in 0..3 {
            assert_eq!(follow(site.port(), &link), "https://shop.example/a?b=1&c=2#d");
        }
        wait_until("the clicks are counted", LONG, || figure(&site.reported(), "/clicked") == (1, 3));
        let links = site.api.get(&format!("/v1/campaigns/{}/links", site.campaign));
        assert_eq!(links["data"][0]["clicks"], json!({ "recipients": 1, "total": 3 }), "{links}");
        let events = site.api.get(&format!("/v1/events?contact_id={}&name=message.clicked", site.ann));
        let properties = &events["data"][0]["properties"];
        let expected = json!({ "campaign_id": site.campaign, "link": 1, "machine": false, "url": "https://shop.example/a?b=1&c=2#d" });
        assert_eq!((events["data"].as_array().unwrap().len(), properties), (3, &expected), "{events}");
        let folder = db.folder().join("data/tracking");
        wait_until("what is counted is removed", LONG, || std::fs::read_dir(&folder).unwrap().count() == 0);
    }

    fn the_pixel_is_a_picture_that_nobody_keeps(db: &Database) {
        let site = site(db);
        let pixel = site.tracker().open();
        for headers in [&[][..], &[("Range", "bytes=0-1")], &[("If-None-Match", "*")]] {
            let answer = ask(site.port(), "GET", &pixel, BROWSER, headers);
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.header("content-type"), Some("image/gif"), "{answer:?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
            assert!(answer.body.as_str().unwrap().starts_with("GIF89a"), "{answer:?}");
        }
        wait_until("the opens are counted", LONG, || figure(&site.reported(), "/opened") == (1, 3));
    }

    fn a_machine_does_not_take_the_place_of_the_persons_first_open(db: &Database) {
        let site = site(db);
        let (pixel, link) = (site.tracker().open(), site.click("https://shop.example/"));
        let port = site.port();
        assert_eq!(ask(port, "HEAD", &pixel, BROWSER, &[]).status, 200);
        assert_eq!(ask(port, "GET", &pixel, BROWSER, &[("Sec-Purpose", "prefetch;prerender")]).status, 200);
        assert_eq!(ask(port, "GET", &pixel, "Mozilla/5.0 (via ggpht.com GoogleImageProxy)", &[]).status, 200);
        assert_eq!(location(&ask(port, "HEAD", &link, BROWSER, &[])), "https://shop.example/");
        assert_eq!(location(&ask(port, "GET", &link, "curl/8.5.0", &[])), "https://shop.example/");
        wait_until("the machines are counted", LONG, || {
            let reports = site.reported();
            (figure(&reports, "/machine/opened"), figure(&reports, "/machine/clicked")) == ((1, 3), (1, 2))
        });
        let reports = site.reported();
        assert_eq!((figure(&reports, "/opened"), figure(&reports, "/clicked")), ((0, 0), (0, 0)), "{reports}");
        ask(port, "GET", &pixel, BROWSER, &[]);
        follow(port, &link);
        wait_until("the person is counted", LONG, || {
            let reports = site.reported();
            (figure(&reports, "/opened"), figure(&reports, "/clicked")) == ((1, 1), (1, 1))
        });
        let links = site.api.get(&format!("/v1/campaigns/{}/links", site.campaign));
        assert_eq!(links["data"][0]["machine_clicks"], json!({ "recipients": 1, "total": 2 }), "{links}");
    }

    fn what_is_clicked_right_after_the_hand_over_was_a_scanner(db: &Database) {
        let site = Site::with(db, |settings| settings.tracking.machine_within_ms = 3_600_000);
        follow(site.port(), &site.click("https://shop.example/"));
        wait_until("the scanner is counted", LONG, || figure(&site.reported(), "/machine/clicked") == (1, 1));
        assert_eq!(figure(&site.reported(), "/clicked"), (0, 0));
    }

    fn a_person_who_clicks_before_a_late_outcome_is_recorded_is_no_scanner(db: &Database) {
        let site = Site::on(db);
        let (before, later) = (now().0 - 60_000, now().0 + 600_000);
        db.execute(&format!("UPDATE deliveries SET claimed_at = {before}, settled_at = {later}"));
        follow(site.port(), &site.click("https://shop.example/"));
        wait_until("the person is counted", LONG, || figure(&site.reported(), "/clicked") == (1, 1));
        db.execute(&format!("UPDATE deliveries SET claimed_at = {later}, settled_at = {later}"));
        ask(site.port(), "GET", &site.tracker().open(), BROWSER, &[]);
        wait_until("one before the last hand-over, too", LONG, || figure(&site.reported(), "/opened") == (1, 1));
        assert_eq!(figure(&site.reported(), "/machine/clicked"), (0, 0));
    }

    fn who_has_switched_it_off_is_not_counted_by_older_messages_either(db: &Database) {
        let site = site(db);
        let version = || db.number(&format!("SELECT version AS n FROM contacts WHERE id = {}", site.ann));
        let before = version();
        assert_page(&site.press(&site.preferences(), "tracking_was=on&tracking=on&do=save"), 200);
        assert_eq!(version(), before, "nothing has changed");
        assert_page(&site.press(&site.preferences(), "tracking_was=on&do=save"), 200);
        assert_eq!(version(), before + 1, "the next message has another body");
        let (link, pixel) = (site.click("https://shop.example/"), site.tracker().open());
        assert_eq!(follow(site.port(), &link), "https://shop.example/");
        assert_eq!(ask(site.port(), "GET", &pixel, BROWSER, &[]).status, 200);
        assert_eq!(ask(site.port(), "HEAD", &pixel, BROWSER, &[]).status, 200);
        let folder = db.folder().join("data/tracking");
        wait_until("all that was noted is gone", LONG, || std::fs::read_dir(&folder).unwrap().count() == 0);
        assert!(site.reported().is_null(), "{}", site.reported());
        assert_eq!(db.number("SELECT count(*) AS n FROM events"), 0);
        assert_eq!(db.number("SELECT count(*) AS n FROM link_followers"), 0);
        assert_page(&site.press(&site.preferences(), "tracking_was=off&tracking=on&do=save"), 200);
        assert_eq!(version(), before + 2);
        follow(site.port(), &link);
        wait_until("it is counted again", LONG, || figure(&site.reported(), "/clicked") == (1, 1));
    }

    fn of_a_deleted_contact_no_address_is_kept(db: &Database) {
        let site = site(db);
        let link = site.click("https://shop.example/?email=ann.miller@example.com");
        assert_eq!(site.server.send("DELETE", &format!("/v1/contacts/{}", site.ann), &[], b"").status, 204);
        follow(site.port(), &link);
        wait_until("the click is counted", LONG, || figure(&site.reported(), "/clicked") == (1, 1));
        let clicks = |more: &str| {
            db.number(&format!("SELECT count(*) AS n FROM events WHERE name = 'message.clicked'{more}"))
        };
        assert_eq!((clicks(""), clicks(" AND properties LIKE '%url%'")), (1, 0));
    }

    fn a_forged_link_leads_nowhere(db: &Database) {
        let site = site(db);
        let (link, other) = (site.click("https://shop.example/"), site.click("https://evil.example/"));
        let (base, target) = link.rsplit_once('/').unwrap();
        let (_, other) = other.rsplit_once('/').unwrap();
        let pixel = site.tracker().open();
        let token = pixel.rsplit('/').next().unwrap();
        for forged in [
            format!("{base}/{other}"),
            format!("{base}/{}", &target[1..]),
            format!("{base}/"),
            base.to_owned(),
            format!("/t/c/{token}/{target}"),
            format!("/t/o/{}", base.rsplit('/').next().unwrap()),
            format!("/t/o/{}", &token[..token.len() - 1]),
            format!("/t/o/{token}A"),
            site.no().replace("/u/", "/t/o/"),
            site.preferences().replace("/preferences/", "/t/o/"),
            format!("{}/{target}", site.no().replace("/u/", "/t/c/")),
            pixel.replace("/t/o/", "/u/"),
            pixel.replace("/t/o/", "/preferences/"),
            "/t/c/https://evil.example/".to_owned(),
            format!("/t/c?url=https://evil.example/&token={token}"),
        ] {
            for method in ["GET", "HEAD"] {
                let answer = ask(site.port(), method, &forged, BROWSER, &[]);
                assert_eq!((answer.status, answer.header("location")), (404, None), "{method} {forged}: {answer:?}");
            }
        }
        assert_page(&ask(site.port(), "GET", &format!("{base}/{other}"), BROWSER, &[]), 404);
        stays("nothing is counted", std::time::Duration::from_millis(500), || site.reported().is_null());
    }

    fn a_link_of_a_deleted_campaign_still_leads_to_its_target(db: &Database) {
        let site = site(db);
        let (link, pixel) = (site.click("https://shop.example/"), site.tracker().open());
        assert_eq!(site.server.send("DELETE", &format!("/v1/campaigns/{}", site.campaign), &[], b"").status, 204);
        assert_eq!(follow(site.port(), &link), "https://shop.example/");
        assert_eq!(ask(site.port(), "GET", &pixel, BROWSER, &[]).status, 200);
        let links = site.server.send("GET", &format!("/v1/campaigns/{}/links", site.campaign), &[], b"");
        assert_eq!((links.status, links.code()), (404, "campaign_not_found"));
    }

    fn a_click_for_somebody_who_got_no_message_counts_nothing_and_keeps_nothing_back(db: &Database) {
        let site = site(db);
        let stranger = Tracker::new("".into(), site.key.clone(), CampaignId(site.campaign), ContactId(4_711));
        ask(site.port(), "GET", &stranger.open(), BROWSER, &[]);
        ask(site.port(), "GET", &site.tracker().open(), BROWSER, &[]);
        wait_until("the other one is counted", LONG, || figure(&site.reported(), "/opened") == (1, 1));
    }

    fn a_full_spool_still_answers(db: &Database) {
        let site = site(db);
        // A folder that cannot be written stands for a full disk.
        std::fs::remove_dir_all(db.folder().join("data/tracking")).unwrap();
        let before = not_noted(&site);
        assert_eq!(follow(site.port(), &site.click("https://shop.example/")), "https://shop.example/");
        assert_eq!(ask(site.port(), "GET", &site.tracker().open(), BROWSER, &[]).status, 200);
        // Other tests of this process may count, too.
        assert!(not_noted(&site) >= before + 2.0, "{before}");
    }
}

/// How many requests could not be noted.
fn not_noted(site: &Site) -> f64 {
    let metrics = site.server.send("GET", "/metrics", &[], b"").body;
    let value = |line: &str| line.strip_prefix("volley_tracked_requests_total{noted=\"no\"} ")?.trim().parse().ok();
    metrics.as_str().unwrap_or_default().lines().find_map(value).unwrap_or(0.0)
}
