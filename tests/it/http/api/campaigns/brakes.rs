//! Campaigns of which too much comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Map, Value, json};
use volley::config::pools::{PoolConfig, ServerConfig, SmtpConfig};
use volley::domain::channel::ChannelKind;
use volley::domain::dispatch::delivery::DeliveryId;
use volley::domain::events::EventSource;
use volley::domain::ids::{CampaignId, ContactId};
use volley::domain::reports::ReportKind;
use volley::store::events::EventKey;
use volley::store::reports::{self, Line};

use super::{LONG, ask};
use crate::support::api::{Api, Campaign};
use crate::support::scripted_smtp::{Act, ScriptedSmtp, Stage};
use crate::support::server::{Server, sandbox};
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

const PEOPLE: usize = 150;

/// A relay that knows nobody of the first so many recipients.
fn forgetful(of_the_first: usize) -> ScriptedSmtp {
    let asked = Arc::new(AtomicUsize::new(0));
    ScriptedSmtp::start(move |moment| {
        let is_unknown = moment.stage == Stage::Rcpt && asked.fetch_add(1, Ordering::SeqCst) < of_the_first;
        is_unknown.then_some(Act::Say("550 5.1.1 no such user"))
    })
}

fn relay(server: &ScriptedSmtp) -> PoolConfig {
    let smtp = SmtpConfig { server: ServerConfig::at(server.url()), ..SmtpConfig::default() };
    PoolConfig {
        name: "main".to_owned(),
        from: Some("Shop <shop@example.com>".to_owned()),
        concurrency: 2,
        // So that it is looked at while it is sent.
        rate_per_second: 40.0,
        burst: Some(1),
        ..PoolConfig::bare(smtp)
    }
}

#[track_caller]
fn wait_braked(api: &Api, campaign: i64, code: &str) -> Campaign {
    let quiet = |seen: &Campaign| seen.status == "paused" && seen.stats.sending == 0;
    let paused = api.wait(campaign, "it pauses itself", LONG, quiet);
    assert_eq!(paused.attention.as_deref(), Some(code), "{}", paused.body);
    paused
}

fn bounced(api: &Api) -> usize {
    api.get("/v1/suppressions?channel=email&reason=bounced&page_size=200")["data"].as_array().map_or(0, Vec::len)
}

/// Reports complaints of the campaign's first so many recipients, as a callback does.
fn complain(db: &Database, campaign: i64, contacts: &[i64]) {
    let line = |contact: &i64| Line {
        key: EventKey::of(&EventSource::of_pool("main"), &format!("complaint-{contact}")),
        delivery: DeliveryId { campaign: CampaignId(campaign), contact: ContactId(*contact) },
        kind: ReportKind::Complained,
        occurred_at: None,
        details: Map::new(),
    };
    let lines: Vec<Line> = contacts.iter().map(line).collect();
    let applied = db.connect().write(|conn| reports::apply(conn, &lines)).unwrap();
    assert!(applied.fates.iter().all(|fate| *fate == reports::Fate::Counted), "{:?}", applied.fates);
}

both_backends! {
    fn a_campaign_of_which_too_much_bounces_is_paused_and_the_addresses_are_suppressed(db: &Database) {
        let unknown = forgetful(80);
        let server = Server::with_pools(db, vec![relay(&unknown)]);
        let api = server.api();
        let list = api.a_list_of(PEOPLE);
        let campaign = api.create_campaign("email", "main", list, &json!({}));
        api.send(campaign);
        let paused = wait_braked(&api, campaign, "bounces_high");
        let failed = paused.stats.failed;
        assert!((51..=80).contains(&failed), "{}", paused.body);
        let detail = paused.body["attention"]["detail"].as_str().unwrap();
        assert!(detail.contains("messages bounced"), "{detail}");
        let decided = api.get(&format!("/v1/campaigns/{campaign}/decisions"))["data"][0].clone();
        let by = (&decided["action"], &decided["door"], &decided["actor"], &decided["after"]["reason"]);
        assert_eq!(by, (&json!("paused"), &json!("engine"), &json!("engine"), &json!("bounces")), "{decided}");
        assert_eq!(u64::try_from(bounced(&api)).unwrap(), failed);
        let by_provider = |line: &&Value| line["source"] == "pool: main" && line["after"] == "bounced";
        // A line shows when no older one can come any more.
        wait_until("the consent log says so", LONG, || {
            let log = api.get("/v1/consent?page_size=500");
            let lines = log["data"].as_array().unwrap().iter().filter(by_provider).count();
            u64::try_from(lines).unwrap() == failed
        });

        // Who resumes it has seen it: it goes on to the end.
        api.resume(campaign);
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!((ended.status.as_str(), ended.stats.failed, ended.stats.sent), ("sent", 80, 70), "{}", ended.body);
        // Another campaign does not try them.
        let second = api.create_campaign("email", "main", list, &json!({}));
        api.send(second);
        let ended = api.wait_ended(second, LONG);
        assert_eq!((ended.stats.sent, ended.stats.skipped), (70, 80), "{}", ended.body);

        // It was the relay's fault: all that it made is taken back, and what failed is sent.
        let undo = |body: &Value| ask(&server, "POST", "/v1/suppressions/undo", body);
        let hour = |pool: &str, domain: &str| {
            json!({ "pool": pool, "domain": domain, "from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z" })
        };
        let too_long = undo(&hour("main", "example.com"));
        assert_eq!((too_long.status, &too_long.body["errors"][0]["field"]), (422, &json!("/to")), "{too_long:?}");
        let since = api.campaign(campaign).body["launched_at"].clone();
        let asked = |pool: &str, domain: Option<&str>| json!({ "pool": pool, "domain": domain, "from": since });
        for (pool, domain) in [("other", None), ("main", Some("example.org"))] {
            assert_eq!(undo(&asked(pool, domain)).body["lifted"], 0);
        }
        let undone = undo(&asked("main", Some("example.com")));
        assert_eq!((undone.status, &undone.body["lifted"]), (200, &json!(80)), "{undone:?}");
        assert_eq!(bounced(&api), 0);
        assert_eq!(undo(&asked("main", None)).body["lifted"], 0);
        let retried = ask(&server, "POST", &format!("/v1/campaigns/{campaign}/retry-failed"), &json!({ "answer_class": "address" }));
        assert_eq!(retried.status, 202, "{retried:?}");
        api.wait(campaign, "everybody is reached", LONG, |seen| seen.status == "sent" && seen.stats.sent == 150);
    }

    fn a_campaign_that_many_call_spam_is_paused(db: &Database) {
        let slow = PoolConfig { rate_per_second: 5.0, burst: Some(1), ..sandbox("main", ChannelKind::Email, 0.0) };
        let server = Server::with_pools(db, vec![slow]);
        let api = server.api();
        let list = api.a_list_of(PEOPLE);
        let campaign = api.create_campaign("email", "main", list, &json!({}));
        api.send(campaign);
        api.wait(campaign, "some are sent", LONG, |seen| seen.stats.sent >= 1);
        complain(db, campaign, &[1, 2, 3]);
        wait_until("three are shown", LONG, || api.campaign(campaign).body["reports"]["complained"]["recipients"] == 3);
        assert_eq!(api.campaign(campaign).status, "sending");
        complain(db, campaign, &[4]);
        let paused = wait_braked(&api, campaign, "complaints_high");
        assert!(paused.body["attention"]["detail"].as_str().unwrap().starts_with("4 of "), "{}", paused.body);
    }
}
