//! What is large is compressed where the client takes it, and the description is sent again only when it has changed.

use std::io::Read;

use reqwest::header::{CONTENT_ENCODING, ETAG, HeaderMap, VARY};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use crate::support::Database;
use crate::support::server::{ROOT_KEY, Server};

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn unpacked(&self) -> Vec<u8> {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(self.body.as_slice()).read_to_end(&mut plain).unwrap();
        plain
    }
}

/// One request. The client unpacks nothing by itself.
fn ask(server: &Server, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = Client::builder().no_proxy().build().unwrap();
    let request = client.request(method, format!("http://{}{path}", server.addr)).bearer_auth(ROOT_KEY);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    runtime.block_on(async {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
    })
}

const GZIP: (&str, &str) = ("Accept-Encoding", "br, gzip;q=0.9");

#[test]
fn large_answers_are_compressed_where_the_client_takes_it_and_all_others_stay_as_they_are() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    server.api().a_list_of(2_000);
    let exports = ["/v1/contacts/export", "/v1/contacts/export?format=jsonl"];
    for path in ["/v1/contacts?page_size=100", "/openapi.json"].into_iter().chain(exports) {
        let plain = ask(&server, Method::GET, path, &[]);
        assert_eq!((plain.status, plain.header(CONTENT_ENCODING)), (StatusCode::OK, None), "{path}");
        let packed = ask(&server, Method::GET, path, &[GZIP]);
        assert_eq!((packed.status, packed.header(CONTENT_ENCODING)), (StatusCode::OK, Some("gzip")), "{path}");
        assert!(packed.body.len() * 3 < plain.body.len(), "{path}: {} of {}", packed.body.len(), plain.body.len());
        assert!(packed.unpacked() == plain.body, "{path} is another document when it is compressed");
        for answer in [&plain, &packed] {
            assert_eq!(answer.header(VARY), Some("accept-encoding"), "{path}");
        }
        if exports.contains(&path) {
            // Its length is not known before its end: it is written as it is read.
            assert_eq!(packed.header("transfer-encoding"), Some("chunked"), "{path}");
        }
        let head = ask(&server, Method::HEAD, path, &[GZIP]);
        assert_eq!((head.status, head.header(CONTENT_ENCODING), head.body.len()), (StatusCode::OK, None, 0), "{path}");
        // A cache that keeps it must know what it depends on, as of the answer to GET.
        assert_eq!(head.header(VARY), Some("accept-encoding"), "{path}");
        let other = ask(&server, Method::GET, path, &[("Accept-Encoding", "br")]);
        assert!(other.header(CONTENT_ENCODING).is_none() && other.body == plain.body, "{path}");
    }
    for (path, status) in
        [("/healthz", StatusCode::OK), ("/v1/me", StatusCode::OK), ("/v1/lists/77", StatusCode::NOT_FOUND)]
    {
        let small = ask(&server, Method::GET, path, &[GZIP]);
        assert_eq!((small.status, small.header(CONTENT_ENCODING), small.header(VARY)), (status, None, None), "{path}");
        serde_json::from_slice::<Value>(&small.body).unwrap();
        let head = ask(&server, Method::HEAD, path, &[GZIP]);
        assert_eq!((head.status, head.header(VARY), head.body.len()), (status, None, 0), "{path}");
    }
}

#[test]
fn whoever_takes_no_coding_that_there_is_gets_the_answer_without_one() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let plain = ask(&server, Method::GET, "/openapi.json", &[]).body;
    for nothing_fits in ["identity;q=0", "br, identity;q=0", "*;q=0"] {
        let answer = ask(&server, Method::GET, "/openapi.json", &[("Accept-Encoding", nothing_fits)]);
        assert_eq!((answer.status, answer.header(CONTENT_ENCODING)), (StatusCode::OK, None), "{nothing_fits}");
        assert!(answer.body == plain, "{nothing_fits}");
        let missing = ask(&server, Method::GET, "/v1/lists/77", &[("Accept-Encoding", nothing_fits)]);
        assert_eq!(missing.status, StatusCode::NOT_FOUND, "{nothing_fits}");
    }
    let packed = ask(&server, Method::GET, "/openapi.json", &[("Accept-Encoding", "gzip, identity;q=0")]);
    assert_eq!(packed.header(CONTENT_ENCODING), Some("gzip"));
    assert!(packed.unpacked() == plain);
}

#[test]
fn the_description_is_sent_again_only_when_it_has_changed() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let first = ask(&server, Method::GET, "/openapi.json", &[]);
    let tag = first.header(ETAG).unwrap().to_owned();
    let known = |tag: &str, more: &[(&str, &str)]| {
        let headers: Vec<_> = more.iter().copied().chain([("If-None-Match", tag)]).collect();
        ask(&server, Method::GET, "/openapi.json", &headers)
    };
    let strong = tag.trim_start_matches("W/").to_owned();
    for same in [tag.clone(), format!("\"other\", {tag}"), strong, "*".to_owned()] {
        for more in [&[][..], &[GZIP]] {
            let again = known(&same, more);
            assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0), "{same}");
            assert_eq!(again.header(ETAG), Some(tag.as_str()), "{same}");
            assert_eq!(again.header(VARY), Some("accept-encoding"), "{same}");
        }
    }
    for other in ["W/\"other\"", "nonsense"] {
        let again = known(other, &[]);
        assert!(again.status == StatusCode::OK && again.body == first.body, "{other}");
    }
    assert_eq!(known("W/\"other\"", &[GZIP]).header(ETAG), Some(tag.as_str()));
}
