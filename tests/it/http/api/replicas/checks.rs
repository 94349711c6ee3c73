//! Whether the provider of a pool answers.

use serde_json::json;
use volley::domain::channel::ChannelKind;

use crate::support::both_backends;
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::server::{Server, sandbox, webhook};

const JSON: (&str, &str) = ("Content-Type", "application/json");

both_backends! {
    fn a_check_says_whether_the_provider_answers_and_sends_nothing(db: &Database) {
        let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
        let server = Server::with_pools(db, vec![webhook("api", &sink), sandbox("main", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let check = |pool: &str| server.send("POST", &format!("/v1/pools/{pool}/check"), &[JSON], b"{}");
        let well = check("api").body;
        assert_eq!((&well["pool"], &well["healthy"], &well["findings"][0]["ok"]), (&json!("api"), &json!(true), &json!(true)), "{well}");
        assert!(well["took_ms"].is_number(), "{well}");
        assert_eq!(check("main").body["healthy"], true);
        sink.refuse_connections();
        let away = check("api");
        let finding = &away.body["findings"][0];
        assert_eq!((away.status, &away.body["healthy"], &finding["subject"]), (200, &json!(false), &json!("provider")), "{away:?}");
        assert!(finding["detail"].as_str().unwrap().contains("check url, user, password"), "{away:?}");
        assert_eq!(sink.ledger().begun(), 0, "no message was sent");
        let missing = check("other");
        assert_eq!((missing.status, missing.code()), (404, "pool_not_found"), "{missing:?}");
        let suspended = api.post("/v1/pools/main/suspend", &json!({ "reason": "tests" }));
        assert_eq!(suspended["suspended"], true);
        let lines = api.get("/v1/audit-log?action=checked")["data"].as_array().unwrap().len();
        assert_eq!(lines, 3, "each is in the audit log");
    }
}
