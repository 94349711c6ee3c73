//! HTTP APIs.

use super::End::{Everyone, Failed};
use super::{http, run};
use crate::support::both_backends;

both_backends! {
    fn gateways_of_the_field_come_out_right(db: &Database) {
        run(db, &[
            http("http-healthy", "", 20, Everyone),
            http("http-no-such-number", "request to=person3@: 422 no such number", 20, Failed(1, "no such number")),
            http("http-chunked", r"request: {raw} HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 20, Everyone),
        ]);
    }
}
