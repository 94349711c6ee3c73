//! What the page of a contact reads.

use volley::domain::ids::{CampaignId, ContactId};
use volley::store::dispatch::of_contact::{Reach, of_contact};
use volley::store::{Conn, Lane};

use super::{check, with_history};
use crate::store::dispatch::packed::execute;
use crate::support::both_backends;

both_backends! {
    async fn what_was_sent_to_a_contact_is_found_without_a_look_at_what_was_sent_to_others(db: &Database) {
        let campaign = with_history(db).await;
        let launched = "
            INSERT INTO packings (campaign_id, cursor_contact_id, max_contact_id, next_page, expected, unreachable, done, sweep_page_id)
                SELECT id, 101000, 101000, 2501, 100000, 0, true, 0 FROM campaigns WHERE status = 'sent';
            ANALYZE;";
        let fill = move |conn: &mut Conn| {
            execute(conn, launched);
            Ok(())
        };
        campaign.store.run(Lane::Write, "fill", fill).await.unwrap();
        let reach = Reach { before: Some(CampaignId(1_000)), campaigns: 500, deliveries: 20 };
        let look = move |conn: &mut Conn| {
            let found = of_contact(conn, ContactId(50_000), reach)?;
            assert_eq!((found.deliveries.len(), found.next), (2, None), "{found:?}");
            Ok(())
        };
        check(&campaign, Lane::Read, "read the deliveries to a contact", look).await;
    }
}
