//! HEAD is answered wherever GET is.

use volley::http::routes::{TABLE, Verb};

use crate::support::Database;
use crate::support::server::{ROOT_KEY, Server};

/// Routes whose answer to GET goes on as long as somebody listens.
const ENDLESS: &[&str] = &["/v1/stream", "/ui/stream"];

#[test]
fn api_head_every_route_that_is_read_answers_head_without_a_body() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let mut wrong = Vec::new();
    for entry in TABLE.iter().filter(|entry| entry.method == Verb::Get) {
        let path = entry.path.split('/').map(|part| if part.starts_with('{') { "1" } else { part });
        let path = path.collect::<Vec<_>>().join("/");
        let head = server.send("HEAD", &path, &[], b"");
        let is_alike = ENDLESS.contains(&entry.path) || head.status == server.send("GET", &path, &[], b"").status;
        if !is_alike || head.status == 405 || head.body != "" {
            wrong.push(format!("{path}: {head:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for path in ["/healthz", "/readyz"] {
        let (head, get) = (server.send("HEAD", path, &[], b""), server.send("GET", path, &[], b""));
        assert_eq!((head.status, head.header("content-type")), (200, get.header("content-type")));
    }
}

#[test]
fn a_connection_goes_on_after_the_head_of_an_endless_answer() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let one = |method: &str, path: &str, more: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {ROOT_KEY}\r\n{more}\r\n")
    };
    let both = one("HEAD", "/v1/stream", "") + &one("GET", "/healthz", "Connection: close\r\n");
    let answer = server.raw(both.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    let rest = answer.body.as_str().expect("the second answer is behind the first head");
    assert!(rest.starts_with("HTTP/1.1 200"), "{rest}");
}
