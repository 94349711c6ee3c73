//! What is read to find what is uncertain.

use volley::domain::ids::{CampaignId, ContactId, PageId};
use volley::store::dispatch::uncertain;
use volley::store::{Conn, Lane};

use super::{check, with_history};
use crate::store::dispatch::packed::execute;
use crate::support::both_backends;

both_backends! {
    async fn what_is_uncertain_is_found_along_indexes(db: &Database) {
        let campaign = with_history(db).await;
        let doubt = "UPDATE deliveries SET state = 'uncertain' WHERE campaign_id = 2 AND contact_id IN (1001, 1002, 5001);
            UPDATE pages SET sent = sent - 2, uncertain = 2 WHERE campaign_id = 2 AND first_contact_id = 1001;
            UPDATE pages SET sent = sent - 1, uncertain = 1 WHERE campaign_id = 2 AND first_contact_id = 5001;
            ANALYZE;";
        let fill = move |conn: &mut Conn| {
            execute(conn, doubt);
            Ok(())
        };
        campaign.store.run(Lane::Write, "fill", fill).await.unwrap();
        for (what, campaign_id) in [("incidents", None), ("incidents of a campaign", Some(CampaignId(2)))] {
            check(&campaign, Lane::Read, what, move |conn| {
                let looked = uncertain::look(conn, campaign_id, None)?;
                assert_eq!((looked.rows.len(), looked.next), (3, None));
                Ok(())
            })
            .await;
        }
        check(&campaign, Lane::Read, "incidents, further on", move |conn| {
            let (_, last) = uncertain::pages(conn, None, None)?.split_last().map(|(last, all)| (all.len(), *last)).unwrap();
            let looked = uncertain::look(conn, None, Some(uncertain::Place { page: PageId(last.id.0 + 1), ..last.place() }))?;
            assert_eq!(looked.rows.len(), if last.first == ContactId(1_001) { 2 } else { 1 });
            Ok(())
        })
        .await;
    }
}
