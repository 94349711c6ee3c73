//! HTTP APIs.

use super::End::{Everyone, Failed, Paused, Unknown};
use super::{http, run};
use crate::support::{Database, both_backends};

const ID: &str = r#""/id""#;

#[test]
fn gateways_that_speak_their_own_http_come_out_right() {
    run(&Database::sqlite(), &[
        http("http-healthy", "", 10, Everyone),
        http("http-no-such-number", "request to=person3@: 422 no such number", 10, Failed(1, "no such number")),
        http("http-chunked", r"request: {raw} HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 10, Everyone),
        http("http-redirects", "request: 301 {Location: http://elsewhere.example/send} Moved", 5, Failed(5, "elsewhere.example")),
        http("http-redirects-302", "request: 302 {Location: /elsewhere}", 5, Failed(5, "/elsewhere")),
        http("http-redirects-308", "request: 308 {Location: http://elsewhere.example/send}", 5, Failed(5, "elsewhere.example")),
        // What they answer to a message is mostly that it was taken.
        http("http-redirects-303", "request: 303 {Location: http://elsewhere.example/receipt} See other", 5, Unknown),
        http("http-redirects-304", "request: 304 ", 5, Unknown),
        http("http-redirects-307", "request: 307 {Location: http://elsewhere.example/send}", 5, Failed(5, "elsewhere.example")),
        http(
            "http-gzip",
            r"request: 200 {Content-Encoding: gzip} \x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xabV\xcaLQ\xb2R\xca\xd55T\xaa\x05\x00",
            10,
            Everyone,
        )
        .set("provider_id_pointer", ID),
        http("http-json-bom", r#"request: 200 \xef\xbb\xbf{"id": "m-1"}"#, 10, Everyone).set("provider_id_pointer", ID),
        http("http-no-json", "request: 200 Message sent", 10, Everyone).set("provider_id_pointer", ID),
        http("http-keepalive-race", "request: 200 {cut}", 40, Everyone).set("keep_alive", "false"),
        http("http-200-error", r#"request to=person3@: {lose} 200 {"status": "error", "why": "blocked"}"#, 10, Failed(1, "blocked"))
            .set("failures", r#"[{ pointer = "/status", values = ["error"], class = "recipient", permanent = true }]"#),
    ]);
}

both_backends! {
    fn a_gateways_bad_moments_fail_nobody(db: &Database) {
        run(db, &[
            http("http-429-sustained-noheader", "request rate>5: 429 rate limit exceeded", 40, Everyone),
            http("http-429-retry-after", "request rate>5: 429 {Retry-After: 1} slow down", 40, Everyone),
            http("http-429-concurrent", "request busy>3: {wait 50ms} 429 too many concurrent requests ;; request: {wait 50ms}", 40, Everyone),
            http("http-outage-503", "request at<10s: 503 Service Unavailable", 40, Everyone),
            http("http-outage-cut", "connect at<10s: {cut}", 40, Everyone).set("idempotent", "true"),
        ]);
    }
}

#[test]
fn a_refusal_of_everybody_pauses_the_campaign_before_the_list_is_burnt() {
    run(
        &Database::sqlite(),
        &[
            http("http-404", "request: 404 no such path", 120, Paused("404")),
            http("http-405", "request: 405 Method Not Allowed", 120, Paused("405")),
            http("http-415", "request: 415 Unsupported Media Type", 120, Paused("415")),
            http(
                "http-301-all",
                "request: 301 {Location: http://elsewhere.example/send} Moved",
                120,
                Paused("elsewhere.example"),
            ),
        ],
    );
}
