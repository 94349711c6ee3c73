//! Criteria as people write them.

use serde_json::{Value, json};

use crate::filling::LIST;

const DAY_MS: i64 = 86_400_000;

/// The event that nobody has before it is told.
pub(crate) const PROBE: &str = "probe_seen";

/// Criteria, and whom they take in SQL.
pub(crate) struct Typical {
    pub(crate) what: &'static str,
    pub(crate) criteria: Value,
    /// A statement that selects the ids of contacts.
    pub(crate) by_hand: String,
}

/// Five typical ones. `json` is what turns a text into JSON in this database, `now` the database's clock in milliseconds.
pub(crate) fn typical(json: &str, now: i64) -> [Typical; 5] {
    let ago = |days: i64| now - days * DAY_MS;
    let living = "SELECT c.id FROM contacts AS c WHERE c.deleted_at IS NULL AND";
    [
        Typical {
            what: "attributes",
            criteria: json!({ "all": [
                { "attribute": { "name": "plan", "op": "eq", "value": "pro" } },
                { "attribute": { "name": "city", "op": "in", "value": ["Town 1", "Town 2", "Town 3"] } }
            ] }),
            by_hand: format!(
                "{living} c.attributes{json} ->> 'plan' = 'pro' AND c.attributes{json} ->> 'city' IN ('Town 1', 'Town 2', 'Town 3')"
            ),
        },
        Typical {
            what: "list and tag",
            criteria: json!({ "all": [{ "list": { "id": LIST } }, { "tag": "lead" }] }),
            by_hand: format!(
                "{living} EXISTS (SELECT 1 FROM list_members AS m WHERE m.list_id = {LIST} AND m.contact_id = c.id \
                 AND m.status = 'subscribed') AND EXISTS (SELECT 1 FROM contact_tags AS t JOIN tags AS n ON n.id = t.tag_id \
                 WHERE n.name = 'lead' AND t.contact_id = c.id)"
            ),
        },
        Typical {
            what: "an event in 30 days",
            criteria: json!({ "event": { "name": "order_placed", "within": "30d" } }),
            by_hand: format!(
                "{living} EXISTS (SELECT 1 FROM events AS e WHERE e.contact_id = c.id AND e.name = 'order_placed' \
                 AND e.occurred_at > {})",
                ago(30)
            ),
        },
        Typical {
            what: "two large orders in 90 days",
            criteria: json!({ "event": {
                "name": "order_placed", "where": [{ "property": "total", "op": "gte", "value": 100 }],
                "count": { "op": "gte", "n": 2 }, "within": "90d"
            } }),
            by_hand: format!(
                "{living} 2 <= (SELECT count(*) FROM events AS e WHERE e.contact_id = c.id AND e.name = 'order_placed' \
                 AND e.occurred_at > {} AND CAST(e.properties{json} ->> 'total' AS REAL) >= 100)",
                ago(90)
            ),
        },
        Typical {
            what: "orders, and no login in 30 days",
            criteria: json!({ "all": [
                { "event": { "name": "order_placed" } }, { "event": { "name": "login", "not_exists": true, "within": "30d" } }
            ] }),
            by_hand: format!(
                "{living} EXISTS (SELECT 1 FROM events AS e WHERE e.contact_id = c.id AND e.name = 'order_placed') \
                 AND NOT EXISTS (SELECT 1 FROM events AS e WHERE e.contact_id = c.id AND e.name = 'login' AND e.occurred_at > {})",
                ago(30)
            ),
        },
    ]
}

/// Those that are there beside the five, so that there are twenty; the last one asks for [`PROBE`].
pub(crate) fn others() -> [Value; 15] {
    [
        json!({ "attribute": { "name": "plan", "op": "eq", "value": "team" } }),
        json!({ "all": [
            { "attribute": { "name": "spent", "op": "gte", "value": 900 } }, { "attribute": { "name": "language", "op": "eq", "value": "en" } }
        ] }),
        json!({ "any": [{ "tag": "vip" }, { "attribute": { "name": "spent", "op": "gte", "value": 990 } }] }),
        json!({ "all": [{ "tag": "vip" }, { "field": { "name": "locale", "op": "eq", "value": "en" } }] }),
        json!({ "event": { "name": "login", "within": "7d" } }),
        json!({ "all": [{ "list": { "id": LIST } }, { "event": { "name": "login", "count": { "op": "gte", "n": 3 }, "within": "60d" } }] }),
        json!({ "event": { "name": "order_placed", "count": { "op": "eq", "n": 1 } } }),
        json!({ "all": [
            { "event": { "name": "cart_left", "within": "7d" } },
            { "event": { "name": "order_placed", "not_exists": true, "within": "7d" } }
        ] }),
        json!({ "event": { "name": "page_viewed", "where": [{ "property": "total", "op": "lt", "value": 20 }], "within": "14d" } }),
        json!({ "message": { "event": "opened", "within": "90d" } }),
        json!({ "all": [{ "list": { "id": LIST } }, { "message": { "event": "opened", "not_exists": true, "within": "90d" } }] }),
        json!({ "all": [{ "event": { "name": "order_placed" } }, { "random": { "salt": "a", "percent": 10 } }] }),
        json!({ "all": [{ "attribute": { "name": "plan", "op": "eq", "value": "free" } }, { "event": { "name": "login", "count": { "op": "gte", "n": 5 }, "within": "90d" } }] }),
        json!({ "any": [
            { "event": { "name": "cart_left", "count": { "op": "gte", "n": 2 } } },
            { "event": { "name": "page_viewed", "count": { "op": "gte", "n": 4 }, "within": "30d" } }
        ] }),
        json!({ "event": { "name": PROBE } }),
    ]
}
