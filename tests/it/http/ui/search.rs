//! The search as a page.

use serde_json::json;

use super::system::with_scope;
use super::{assert_page, text};
use crate::support::both_backends;
use crate::support::server::Server;

both_backends! {
    fn the_search_is_a_page_that_works_without_a_script(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = api.create_list("Club <b>");
        api.post("/v1/contacts", &json!({ "email": "ann@example.com" }));
        let reader = with_scope(&server, "read");
        let empty = reader.get("/ui/search");
        assert_page(&empty, 200);
        assert!(text(&empty).contains("Finds a campaign") && text(&empty).contains("name=\"q\""), "{empty:?}");
        let found = reader.get("/ui/search?q=club+%3C");
        assert_page(&found, 200);
        for part in [
            &format!("<a href=\"/ui/lists/{list}\" data-row><span class=\"title\">Club &#60;b&#62;</span>"),
            "GET /v1/search?q=club+%3C",
            "volley search &#39;club &#60;&#39;",
            "API keys (scope admin)",
        ] {
            assert!(text(&found).contains(part), "{part}: {found:?}");
        }
        assert!(text(&reader.get("/ui/search?q=ann%40example.com")).contains("href=\"/ui/contacts/1\""));
        assert!(text(&reader.get("/ui/search?q=nobody%40example.com")).contains("Nothing fits."));
        for page in ["/ui", "/ui/lists"] {
            assert!(text(&reader.get(page)).contains("href=\"/ui/search\" data-search"), "{page}");
        }
        let refused = reader.get("/ui/search?q=vly_0123");
        assert_page(&refused, 400);
        assert!(text(&refused).contains("key_in_query"), "{refused:?}");
    }
}
