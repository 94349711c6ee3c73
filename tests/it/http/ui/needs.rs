//! What the operators' pages say of what needs attention, and of who is still to come.

use serde_json::{Value, json};
use volley::domain::channel::ChannelKind;

use super::{LONG, Visitor, assert_page, site, text};
use crate::support::api::id;
use crate::support::scripted_http::{Answer, ScriptedHttp};
use crate::support::server::{ROOT_KEY, Server, sandbox, webhook};
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

fn need<'o>(overview: &'o Value, code: &str) -> Option<&'o Value> {
    overview["needs"].as_array().unwrap().iter().find(|need| need["code"] == code)
}

#[test]
fn what_is_uncertain_is_found_however_old_it_is() {
    let db = Database::sqlite();
    let sink = ScriptedHttp::always(Answer::Cut);
    let pools = vec![webhook("gateway", &sink), sandbox("main", ChannelKind::Email, 0.0)];
    let server = Server::with_pools(&db, pools);
    let api = server.api();
    let list = api.a_list_of(2);
    let doubtful = api.create_campaign("http", "gateway", list, &json!({ "name": "Doubtful" }));
    api.send(doubtful);
    api.wait(doubtful, "it is uncertain", LONG, |seen| seen.stats.uncertain > 0);
    for n in 0..11 {
        let other = api.create_campaign("email", "main", list, &json!({ "name": format!("Other {n}") }));
        api.send(other);
        api.wait_ended(other, LONG);
    }
    let overview = api.get("/v1/overview");
    let need = need(&overview, "uncertain_deliveries").unwrap_or_else(|| panic!("{overview}"));
    assert_eq!(
        (&need["campaign_id"], &need["since"], &overview["needs_complete"]),
        (&json!(doubtful), &json!(null), &json!(true))
    );
}

both_backends! {
    fn a_segment_that_cannot_be_evaluated_needs_attention_until_it_is_switched_off(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let ann = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com" })));
        api.post("/v1/segments", &json!({ "name": "Torn", "criteria": { "tag": "torn" } }));
        wait_until("everybody is evaluated", LONG, || api.get("/v1/segments/torn")["state"] == "ready");
        assert_eq!(need(&api.get("/v1/overview"), "segment_not_evaluated"), None);
        // As a newer version may write.
        server.execute(r#"UPDATE segments SET criteria = '{"mood": 1}', version = version + 1"#.to_owned());
        api.post(&format!("/v1/contacts/{ann}/tags"), &json!({ "add": ["torn"] }));
        wait_until("it is noticed", LONG, || need(&api.get("/v1/overview"), "segment_not_evaluated").is_some());
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let now = visitor.get("/ui");
        assert_page(&now, 200);
        assert!(text(&now).contains("<a href=\"/ui/segments/1\" data-row>Segment Torn</a>"), "{now:?}");
        assert!(text(&now).contains("it cannot be evaluated, and its members stay as they were"), "{now:?}");
        api.post("/v1/segments/torn/disable", &json!({}));
        assert_eq!(need(&api.get("/v1/overview"), "segment_not_evaluated"), None, "nobody counts on it");
    }

    fn who_was_not_packed_when_a_campaign_was_stopped_is_not_to_come(db: &Database) {
        let (server, campaign) = site(db);
        let api = server.api();
        api.post(&format!("/v1/campaigns/{campaign}/pause"), &json!({}));
        // As it is while a large audience is being packed.
        server.execute(format!("UPDATE packings SET done = FALSE, expected = 5000 WHERE campaign_id = {campaign}"));
        let overview = api.get("/v1/overview");
        let sent = overview["active"][0]["stats"]["sent"].as_i64().unwrap();
        assert_eq!(overview["active"][0]["left"].as_i64().unwrap(), 5_000 - sent, "{overview}");
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let question = visitor.get(&format!("/ui/campaigns/{campaign}/stop"));
        assert!(text(&question).contains("who is packed by then is marked as skipped"), "{question:?}");
        api.stop(campaign);
        api.wait(campaign, "everyone is marked as skipped", LONG, |seen| seen.stats.pending + seen.stats.sending == 0);
        assert_eq!(api.get("/v1/overview")["ended"][0]["left"], 0);
        let page = visitor.get(&format!("/ui/campaigns/{campaign}"));
        assert_page(&page, 200);
        assert!(text(&page).contains("About 4,800 people of its audience were not packed yet"), "{page:?}");
        assert!(text(&page).contains("200 altogether") && !text(&page).contains("unpacked"), "{page:?}");
    }

    fn a_launch_that_failed_and_a_pool_of_others_that_is_suspended_need_attention(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let (list, now) = (api.a_list_of(1), api.get("/v1/overview"));
        let calm = "No campaign, pool or instance that this instance knows of needs attention.";
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        assert!(text(&visitor.get("/ui")).contains(calm));
        assert_eq!((now["needs"].as_array().unwrap().len(), &now["needs_complete"]), (0, &json!(true)));
        for (name, ago) in [("Today", 3_600_000), ("Yesterday", 2 * 86_400_000)] {
            let campaign = api.create_campaign("email", "main", list, &json!({ "name": name }));
            let at = jiff::Timestamp::now().as_millisecond() - ago;
            server.execute(format!(
                "UPDATE campaigns SET status = 'failed', outcome = 'launch_failed', launch_error_code = 'template_missing', \
                 launch_error_detail = 'the template is gone', ended_at = {at} WHERE id = {campaign}"
            ));
        }
        server.execute(
            "INSERT INTO pool_switches (pool, version, suspended, reason, changed_at) VALUES ('other', 1, TRUE, 'tests', 1)"
                .to_owned(),
        );
        let overview = api.get("/v1/overview");
        let failed = need(&overview, "launch_failed").unwrap_or_else(|| panic!("{overview}"));
        assert_eq!(failed["name"], "Today");
        assert!(failed["detail"].as_str().unwrap().contains("the template is gone"), "{failed}");
        let suspended = need(&overview, "pool_suspended").unwrap_or_else(|| panic!("{overview}"));
        assert_eq!((&suspended["name"], &suspended["detail"]), (&json!("other"), &json!("tests")));
        assert_eq!(overview["needs"].as_array().unwrap().len(), 2, "{overview}");
        let page = visitor.get("/ui");
        assert_page(&page, 200);
        assert!(text(&page).contains("the template is gone") && !text(&page).contains(calm), "{page:?}");
    }
}

#[test]
fn a_campaign_that_another_instance_sends_is_not_held() {
    let Some(db) = Database::postgres("a_campaign_that_another_instance_sends_is_not_held") else { return };
    let sends = Server::with_pools(&db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
    let looks = Server::on(&db);
    let api = sends.api();
    let campaign =
        api.create_campaign("email", "main", api.a_list_of(200), &json!({ "name": "Spring", "rate_per_second": 5.0 }));
    api.send(campaign);
    api.wait(campaign, "it is being sent", LONG, |seen| seen.stats.sent > 0);
    let overview = looks.api().get("/v1/overview");
    assert!(need(&overview, "pool_missing").is_none() && overview["active"][0]["attention"].is_null(), "{overview}");
    let page = Visitor::with_key(&looks, ROOT_KEY).get(&format!("/ui/campaigns/{campaign}"));
    assert_page(&page, 200);
    assert!(!text(&page).contains("pool_missing"), "{page:?}");
    // Nobody runs it any more: it is held.
    sends.execute("UPDATE instances SET pools = '[]'".to_owned());
    let overview = looks.api().get("/v1/overview");
    assert!(need(&overview, "pool_missing").is_some(), "{overview}");
}
