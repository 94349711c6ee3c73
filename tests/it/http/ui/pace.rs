//! The page of a campaign's pace.

use super::system::with_scope;
use super::{assert_page, site, text};
use crate::support::both_backends;

both_backends! {
    fn the_page_of_the_pace_has_every_limit_and_says_which_one_binds(db: &Database) {
        let (server, campaign) = site(db);
        let reader = with_scope(&server, "read");
        let page = reader.get(&format!("/ui/campaigns/{campaign}/pace"));
        assert_page(&page, 200);
        for part in [
            "Spring &#60;b&#62;",
            "Bound by the campaign&#39;s own rate, 5/s.",
            "<li class=\"binds\"><span class=\"what\">Campaign",
            "nothing was found that the provider would not take",
            "How long a call takes is kept only while something holds the pool back",
            "Of the 50 newest campaigns that are being sent, no other goes through the pool",
            &format!("GET /v1/campaigns/{campaign}/pace"),
            &format!("volley campaign pace {campaign}"),
            "aria-current=\"page\">Pace</a>",
        ] {
            assert!(text(&page).contains(part), "{part}: {page:?}");
        }
        assert_page(&reader.get("/ui/campaigns/4711/pace"), 404);
    }
}
