//! What operators see of several instances.

use std::time::Duration;

use crate::replicas::ground;
use crate::support::browser::{Browser, Setup};
use crate::support::fleet::{Fleet, number_of};
use crate::support::provider::Provider;
use crate::support::volley::ROOT_KEY;
use crate::support::waiting::wait_until;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_frozen_instance_is_missing_in_the_receipt_and_the_page_says_until_when_it_could_begin() {
    let Some((db, broker)) = ground("a_frozen_instance_is_missing_on_the_page") else { return };
    let fleet = Fleet::launched(&db, &broker.url(), (Provider::smtp((500, 1_000)), 10_000), 3);
    // Ended before the instances.
    let Some(mut browser) = Browser::open("a_frozen_instance_is_missing_on_the_page", Setup::default()) else { return };
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", fleet.stage.volley.port());
    browser.go(&url("/ui/enter"), 200);
    browser.script(&format!("document.getElementById('key').value = '{ROOT_KEY}'"));
    browser.choose("Sign in", 200);
    fleet.stage.wait_reached(300);
    let frozen = number_of(&fleet.others[1].api());
    fleet.others[1].freeze();
    browser.go(&url(&format!("/ui/campaigns/{}/pause", fleet.stage.campaign)), 200);
    browser.choose("Pause", 200);
    let shown = browser.text();
    assert!(shown.contains("1 instance has not acknowledged it. What was claimed there"), "{shown}");
    assert!(shown.contains("begin until") && shown.contains("and nothing after that"), "{shown}");
    fleet.others[1].thaw();
    wait_until("the open page hears of it", LONG, || browser.text().contains("3 instances acknowledged it within"));
    fleet.others[1].freeze();
    wait_until("the others miss it", LONG, || {
        let living = fleet.stage.api.get("/v1/instances");
        living["data"].as_array().unwrap().iter().all(|instance| instance["id"] != frozen)
    });
    browser.go(&url("/ui/instances"), 200);
    let shown = browser.text();
    assert!(shown.contains("silent") && shown.contains("It has not ended in order"), "{shown}");
    fleet.others[1].thaw();
}
