//! The pace of a pool, as operators see and correct it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use volley::domain::channel::ChannelKind;

use crate::support::api::Api;
use crate::support::database::Database;
use crate::support::server::{Raw, Server, sandbox};
use crate::support::waiting::wait_until;
use crate::support::{both_backends, people};

const LONG: Duration = Duration::from_secs(60);

fn server(db: &Database) -> Server {
    Server::with_pools(db, vec![sandbox("fast", ChannelKind::Email, 0.0)])
}

/// What the list of pools says of the pool's pace.
fn pace(api: &Api) -> Value {
    api.get("/v1/pools")["data"][0]["pace"].clone()
}

fn ask(server: &Server, action: &str, body: &Value) -> Raw {
    let json = [("Content-Type", "application/json")];
    server.send("POST", &format!("/v1/pools/fast/pace/{action}"), &json, body.to_string().as_bytes())
}

both_backends! {
    fn operators_pin_and_reset_a_pace_and_say_what_an_answer_is_about(db: &Database) {
        let server = server(db);
        let api = server.api();
        let act = |action: &str, body: Value| api.post(&format!("/v1/pools/fast/pace/{action}"), &body);
        assert_eq!(pace(&api), Value::Null, "nothing is known before anybody was refused");
        let pinned = act("pin", json!({ "rate_per_second": 20, "places": 3 }));
        assert_eq!((&pinned["rate_per_second"], &pinned["places"]), (&json!(20.0), &json!(3.0)), "{pinned}");
        assert_eq!((&pinned["pinned"], &pinned["state"]), (&json!(true), &json!("slowed_rate")), "{pinned}");
        let marked = act("mark", json!({ "signature": "451 4.7.1 try later", "scope": "recipient" }));
        let verdict = &marked["verdicts"][0];
        assert_eq!((&verdict["signature"], &verdict["scope"]), (&json!("451 4.7.1 try later"), &json!("recipient")));
        assert_eq!(verdict["marked"], true, "{marked}");
        assert_eq!(pace(&api)["verdicts"], marked["verdicts"], "it is kept");
        let reset = act("reset", json!({}));
        assert_eq!((&reset["state"], &reset["pinned"]), (&json!("full"), &json!(false)), "{reset}");
        assert_eq!(reset["rate_per_second"], Value::Null, "{reset}");
        assert_eq!(reset["verdicts"], marked["verdicts"], "what an operator said outlives a reset");
        let forgotten = act("mark", json!({ "signature": "451 4.7.1 try later", "scope": null }));
        assert_eq!(forgotten["verdicts"], json!([]));
        assert_eq!(act("probe", json!({}))["state"], "full");
    }

    fn a_pinned_rate_is_kept(db: &Database) {
        // The metrics are those of the process: a name of its own tells this pool from the pools of other tests.
        let name = format!("pinned-{}", uuid::Uuid::new_v4());
        let server = Server::with_pools(db, vec![sandbox(&name, ChannelKind::Email, 0.0)]);
        let api = server.api();
        api.post(&format!("/v1/pools/{name}/pace/pin"), &json!({ "rate_per_second": 10 }));
        let ceiling = format!("volley_rate_ceiling_per_second{{pool=\"{name}\"}} 10");
        wait_until("an idle pool follows it", LONG, || {
            server.send("GET", "/metrics", &[], b"").body.as_str().is_some_and(|text| text.contains(&ceiling))
        });
        let list = api.create_list("everyone");
        api.import_csv(list, &people::csv(30));
        let campaign = api.create_campaign("email", &name, list, &json!({}));
        let began = Instant::now();
        api.send(campaign);
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!(ended.stats.sent, 30, "{}", ended.body);
        // A block that was reserved before the first call may be gone at once.
        assert!(began.elapsed() >= Duration::from_millis(1_800), "30 at 10 a second took {:?}", began.elapsed());
    }

    fn a_pace_that_cannot_be_is_refused_and_the_field_is_named(db: &Database) {
        let server = server(db);
        for (action, body, field) in [
            ("pin", json!({ "rate_per_second": 0 }), "/rate_per_second"),
            ("pin", json!({ "places": 0 }), "/places"),
            ("mark", json!({ "signature": "", "scope": "relay" }), "/signature"),
        ] {
            let answer = ask(&server, action, &body);
            assert_eq!(answer.status, 422, "{action} {body}: {answer:?}");
            assert!(answer.body.to_string().contains(field), "{action} {body}: {answer:?}");
        }
        for (action, body) in [("mark", json!({ "signature": "451", "scope": "nobody" })), ("pin", json!({ "speed": 1 }))] {
            let answer = ask(&server, action, &body);
            assert!((400..500).contains(&answer.status), "{action} {body}: {answer:?}");
        }
        assert_eq!(pace(&server.api()), Value::Null, "nothing was stored");
        let json = [("Content-Type", "application/json")];
        assert_eq!(server.send("POST", "/v1/pools/other/pace/reset", &json, b"{}").status, 404);
    }
}
