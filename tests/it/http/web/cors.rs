//! Which pages of other origins may call the API from a browser.

use volley::config::Settings;

use crate::support::Database;
use crate::support::server::{Raw, Server};

const OURS: &str = "https://app.example.com";

fn allowing(db: &Database, origins: &[&str]) -> Server {
    let origins: Vec<String> = origins.iter().map(|one| (*one).to_owned()).collect();
    Server::with(db, |settings| settings.http.cors_origins = origins.into())
}

/// What a browser asks before a page may send a request with these headers: without a key.
fn preflight(server: &Server, path: &str, origin: &str, method: &str, headers: &str) -> Raw {
    server.raw(
        format!(
            "OPTIONS {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nOrigin: {origin}\r\n\
             Access-Control-Request-Method: {method}\r\nAccess-Control-Request-Headers: {headers}\r\n\r\n"
        )
        .as_bytes(),
    )
}

fn allowed(answer: &Raw) -> Option<&str> {
    // Nothing of the browser's own is ever sent along.
    assert_eq!(answer.header("access-control-allow-credentials"), None, "{answer:?}");
    answer.header("access-control-allow-origin")
}

#[test]
fn pages_of_the_origins_that_are_named_may_call_the_api_and_no_others() {
    let db = Database::sqlite();
    let server = allowing(&db, &[OURS, "http://localhost:3000"]);
    for origin in [OURS, "http://localhost:3000"] {
        for (path, method) in [("/v1/campaigns", "POST"), ("/v1/contacts/7", "PATCH"), ("/openapi.json", "GET")] {
            let asked = preflight(&server, path, origin, method, "authorization,content-type,idempotency-key");
            assert_eq!((asked.status, allowed(&asked)), (200, Some(origin)), "{path}: {asked:?}");
            let takes = asked.header("access-control-allow-headers").unwrap();
            assert!(
                ["authorization", "idempotency-key", "content-type"].iter().all(|name| takes.contains(name)),
                "{takes}"
            );
            assert!(
                asked.header("access-control-allow-methods").unwrap().contains(&method.to_lowercase()),
                "{asked:?}"
            );
            assert_eq!(asked.header("access-control-max-age"), Some("3600"));
        }
        let listed = server.send("GET", "/v1/campaigns", &[("Origin", origin)], b"");
        assert_eq!((listed.status, allowed(&listed)), (200, Some(origin)));
        let shown = listed.header("access-control-expose-headers").unwrap();
        assert!(shown.contains("x-request-id") && shown.contains("retry-after"), "{shown}");
        assert!(listed.header("vary").unwrap().contains("origin"), "{listed:?}");
        // The page can read why it was refused.
        let refused =
            server.send("GET", "/v1/campaigns", &[("Origin", origin), ("Authorization", "Bearer wrong")], b"");
        assert_eq!((refused.status, refused.code(), allowed(&refused)), (401, "unauthorized", Some(origin)));
        let long = "x".repeat(16 * 1024);
        for path in ["/v1/campaigns", "/openapi.json"] {
            let refused = server.send("GET", &format!("{path}?search={long}"), &[("Origin", origin)], b"");
            assert_eq!((refused.status, refused.code(), allowed(&refused)), (414, "target_too_long", Some(origin)));
        }
        let headers = [("Origin", origin), ("X-A", &"x".repeat(40 * 1024))];
        let refused = server.send("GET", "/v1/campaigns", &headers, b"");
        assert_eq!((refused.status, refused.code(), allowed(&refused)), (431, "headers_too_large", Some(origin)));
    }
    for other in ["https://app.example.com.evil.example", "https://APP.example.com", "http://app.example.com", "null"] {
        let asked = preflight(&server, "/v1/campaigns", other, "GET", "authorization");
        assert_eq!((asked.status, allowed(&asked)), (400, None), "{other}: {asked:?}");
        // A program that sends the header is served. A browser keeps the answer from the page.
        let listed = server.send("GET", "/v1/campaigns", &[("Origin", other)], b"");
        assert_eq!((listed.status, allowed(&listed)), (200, None), "{other}");
    }
    let asked = preflight(&server, "/v1/campaigns", OURS, "GET", "cookie");
    assert_eq!((asked.status, allowed(&asked)), (400, None), "{asked:?}");
    for path in ["/ui", "/ui/enter", "/u/token"] {
        let page = server.send("GET", path, &[("Origin", OURS)], b"");
        assert_eq!(allowed(&page), None, "{path}");
    }
}

#[test]
fn no_page_of_another_origin_may_call_unless_a_setting_says_so() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let listed = server.send("GET", "/v1/campaigns", &[("Origin", OURS)], b"");
    assert_eq!((listed.status, allowed(&listed), listed.header("vary")), (200, None, None));
    let asked = preflight(&server, "/v1/campaigns", OURS, "GET", "authorization");
    assert_eq!((asked.status, allowed(&asked)), (401, None), "{asked:?}");
}

#[test]
fn an_origin_that_no_browser_would_send_is_refused_at_the_start() {
    for wrong in ["*", "https://app.example.com/", "app.example.com"] {
        let mut settings = Settings::default();
        settings.http.cors_origins = vec![wrong.to_owned()].into();
        let refused = settings.check().unwrap_err().to_string();
        assert!(refused.contains("http.cors_origins") && refused.contains("https://app.example.com"), "{refused}");
    }
}
