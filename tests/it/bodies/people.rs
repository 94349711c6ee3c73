//! Contacts, lists, imports, templates and keys.

use std::time::Duration;

use serde_json::json;

use super::{done, see};
use crate::support::Database;
use crate::support::api::id;
use crate::support::server::Server;
use crate::support::waiting::wait_for;

#[test]
fn contacts_and_lists() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let api = server.api();
    let contact = json!({
        "external_id": "c-1", "email": "ann@example.com", "phone": "+442079460123", "first_name": "Ann", "last_name": "Lee",
        "locale": "en-GB", "timezone": "Europe/London",
        "attributes": { "city": "Leeds", "loyalty_tier": "gold", "tags": ["a", 1] },
    });
    let ann = api.post("/v1/contacts", &contact);
    see("contact", &ann);
    let bob = id(&api.post("/v1/contacts", &json!({ "email": "bob@example.com" })));
    see("contact_list", &api.get("/v1/contacts?page_size=1"));
    let list = api.post("/v1/lists", &json!({ "name": "Customers" }));
    see("list", &list);
    let members = format!("/v1/lists/{}/members", id(&list));
    see("members_added", &api.post(&members, &json!({ "contact_ids": [id(&ann), bob] })));
    see("members", &api.get(&members));
    see("members_removed", &done(&server, "DELETE", &members, &json!({ "contact_ids": [bob] })));
    see("list_list", &api.get("/v1/lists"));
    api.post("/v1/suppressions", &json!({ "address": "ann@example.com", "reason": "complained" }));
    let of_ann = |what: &str| api.get(&format!("/v1/contacts/{}/{what}", id(&ann)));
    see("lists_of_a_contact", &of_ann("lists"));
    see("suppressions_of_a_contact", &of_ann("suppressions"));
    see("deliveries_to_a_contact", &of_ann("deliveries"));
}

#[test]
fn imports() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let api = server.api();
    let list = api.create_list("Customers");
    let csv = "E-Mail,First Name,Loyalty Tier\nann@example.com,Ann,gold\na@,Bad,\nann@example.com,Anna,\n";
    let path = format!("/v1/contacts/import?list={list}");
    let look = format!("{path}&dry_run=true");
    let dry_run = server.send("POST", &look, &[("Content-Type", "text/csv")], csv.as_bytes());
    assert_eq!(dry_run.status, 200, "{dry_run:?}");
    see("import_dry_run", &dry_run.body);
    let accepted = server.send("POST", &path, &[("Content-Type", "text/csv")], csv.as_bytes());
    assert_eq!(accepted.status, 202, "{accepted:?}");
    see("import_accepted", &accepted.body);
    let import = wait_for("the import ends", Duration::from_secs(60), || {
        let import = api.get(&format!("/v1/imports/{}", id(&accepted.body)));
        (import["status"] == "completed").then_some(import)
    });
    see("import_completed", &import);
    see("import_list", &api.get("/v1/imports"));
}

#[test]
fn templates() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let api = server.api();
    let contact = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com", "first_name": "Ann" })));
    let template = json!({
        "name": "Spring", "channel": "email", "subject": "Hi {first_name|you}", "body_text": "Dear {first_name}, {last_name}",
        "body_html": "<p>{first_name}</p>",
    });
    let template = api.post("/v1/templates", &template);
    see("template", &template);
    let path = format!("/v1/templates/{}", id(&template));
    done(&server, "PATCH", &path, &json!({ "body_text": "Dear {first_name}" }));
    see("template_versions", &api.get(&format!("{path}/versions")));
    see("template_list", &api.get("/v1/templates"));
    see("template_preview", &api.post(&format!("{path}/preview"), &json!({ "contact_id": contact })));
}

#[test]
fn keys() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let api = server.api();
    let key = api.post("/v1/keys", &json!({ "name": "nightly import", "scope": "ingest" }));
    see("key_created", &key);
    see("key_list", &api.get("/v1/keys"));
    see("key_revoked", &done(&server, "DELETE", &format!("/v1/keys/{}", id(&key)), &json!({})));
}
