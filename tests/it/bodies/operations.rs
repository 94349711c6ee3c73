//! What operators see: health, pools, instances, the actors' state.

use serde_json::json;
use volley::domain::channel::ChannelKind;

use super::{done, see};
use crate::support::Database;
use crate::support::server::{Server, sandbox};

#[test]
fn health_pools_instances_and_the_actors_state() {
    let db = Database::sqlite();
    let server = Server::with_pools(&db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
    let api = server.api();
    see("health", &api.get("/healthz"));
    see("readiness", &api.get("/readyz"));
    see("instance_list", &api.get("/v1/instances"));
    see("search", &api.get("/v1/search?q=main"));
    let mut check = done(&server, "POST", "/v1/pools/main/check", &json!({}));
    check["took_ms"] = json!("[milliseconds]");
    see("pool_check", &check);
    let pin = json!({ "rate_per_second": 20, "places": 3 });
    see("pace_pinned", &done(&server, "POST", "/v1/pools/main/pace/pin", &pin));
    let mark = json!({ "signature": "451 4.7.1 try later", "scope": "recipient" });
    see("pace_marked", &done(&server, "POST", "/v1/pools/main/pace/mark", &mark));
    see("pool_list", &api.get("/v1/pools"));
    let mut state = api.get("/v1/admin/state");
    // What depends on the moment, and the name of a temporary folder.
    for (part, field) in [
        ("journal", "file"),
        ("journal", "bytes"),
        ("reaper", "busy"),
        ("scheduler", "looking"),
        ("decision_follower", "looking"),
        ("decision_follower", "acknowledged"),
    ] {
        assert!(!state[part][field].is_null(), "{part}.{field} is missing in {state}");
        state[part][field] = json!("[replaced]");
    }
    see("actor_states", &state);
}
