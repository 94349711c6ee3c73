//! Server-sent events, as all doors write them.

use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use actix_web::{HttpResponse, HttpResponseBuilder};

/// How long a stream is silent at most.
pub(in crate::http) const SILENT: Duration = Duration::from_secs(15);

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A line that means nothing, so that nobody takes the connection for dead.
pub(in crate::http) fn still_here() -> String {
    ": still here\n\n".to_owned()
}

/// An event, each line of its data on a line of its own. A carriage return ends a line, too.
pub(in crate::http) fn event(name: &str, data: &str) -> String {
    let mut text = format!("event: {name}\n");
    for line in data.split(['\n', '\r']) {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    text
}

/// The same with an id, which a client gives back when it comes again.
pub(in crate::http) fn event_with_id(id: &str, name: &str, data: &str) -> String {
    format!("id: {id}\n{}", event(name, data))
}

/// An answer that goes on. It is not compressed: a compressor would keep the beginning of one event until the next.
pub(in crate::http) fn streaming() -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CONTENT_ENCODING, "identity"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((X_ACCEL_BUFFERING, "no"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_an_event_is_marked_as_its_data() {
        assert_eq!(event("page", "<p>\n\na</p>"), "event: page\ndata: <p>\ndata: \ndata: a</p>\n\n");
        assert_eq!(event("page", "a\rb"), "event: page\ndata: a\ndata: b\n\n");
        assert_eq!(event("leave", ""), "event: leave\ndata: \n\n");
        assert_eq!(event_with_id("7", "a", "b"), "id: 7\nevent: a\ndata: b\n\n");
    }
}
