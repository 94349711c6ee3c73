//! Whatever goes wrong comes out as a problem document that names its request.

use crate::support::Database;
use crate::support::server::Server;

#[test]
fn an_unknown_route_and_a_wrong_method_are_problems() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let missing = server.send("GET", "/nothing/here", &[], b"");
    assert_eq!((missing.status, missing.code()), (404, "route_not_found"));
    let missing = server.send("GET", "/v1/nothing", &[], b"");
    assert_eq!((missing.status, missing.code()), (404, "route_not_found"));
    for method in ["PUT", "TRACE", "DELETE"] {
        let wrong = server.send(method, "/v1/contacts", &[], b"");
        assert_eq!((wrong.status, wrong.code()), (405, "method_not_allowed"), "{method}");
        let allow = wrong.header("allow").expect("an Allow header");
        assert!(allow.contains("get") && allow.contains("post"), "{allow}");
    }
}

#[test]
fn a_harmless_request_id_is_echoed_and_any_other_is_replaced() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let own = server.send("GET", "/v1/lists/7", &[("X-Request-Id", "trace-1:a.b_c")], b"");
    assert_eq!(own.header("x-request-id"), Some("trace-1:a.b_c"));
    assert_eq!(own.body["request_id"], "trace-1:a.b_c");
    for bad in ["a b", "\"x\"", &"x".repeat(129)] {
        let replaced = server.send("GET", "/v1/lists/7", &[("X-Request-Id", bad)], b"");
        let id = replaced.header("x-request-id").expect("an id");
        assert_ne!(id, bad);
        assert_eq!(replaced.body["request_id"], id);
    }
    let fine = server.send("GET", "/v1/lists", &[], b"");
    assert_eq!(fine.status, 200);
    assert!(fine.header("x-request-id").is_some());
}

#[test]
fn the_description_lists_every_route_and_needs_no_key() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let answer = server.raw(b"GET /openapi.json HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    assert_eq!(answer.status, 200);
    for path in
        ["/v1/contacts", "/v1/contacts/import", "/v1/lists/{id}/members", "/v1/templates/{id}/preview", "/v1/keys"]
    {
        assert!(answer.body["paths"][path].is_object(), "{path} is not described");
    }
}

#[test]
fn a_database_that_is_away_is_a_503_that_says_to_try_again() {
    let Some(db) = Database::own_postgres(module_path!()) else { return };
    let server = Server::on(&db);
    assert_eq!(server.send("GET", "/v1/lists", &[], b"").status, 200);
    db.server().stop_immediately();
    let away = server.send("GET", "/v1/lists", &[], b"");
    assert_eq!((away.status, away.code()), (503, "database_unavailable"));
    crate::bodies::see("problem_database_unavailable", &away.body);
    assert!(away.header("retry-after").is_some());
    let detail = away.body["detail"].as_str().unwrap();
    assert!(!detail.contains("connection to server"), "the driver's words belong in the log: {detail}");
}
