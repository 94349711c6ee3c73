//! What packing reads of an audience.

use volley::domain::campaigns::audience::Audience;
use volley::domain::ids::{ContactId, ListId};
use volley::store::dispatch::packing;
use volley::store::{Conn, Lane};

use super::{check, with_history};
use crate::store::dispatch::packed::execute;
use crate::support::both_backends;

both_backends! {
    async fn packing_reads_a_page_and_not_the_audience(db: &Database) {
        let campaign = with_history(db).await;
        let lists = "
            INSERT INTO lists (id, name, created_at, updated_at) VALUES (1, 'a', 0, 0), (2, 'b', 0, 0), (3, 'c', 0, 0);
            INSERT INTO list_members (list_id, contact_id, created_at)
                SELECT 1 + id % 3, id, 0 FROM contacts WHERE id > 1000;
            INSERT INTO list_members (list_id, contact_id, created_at, status)
                SELECT 1 + (id + 1) % 3, id, 0, 'unsubscribed' FROM contacts WHERE id > 1000;";
        let fill = move |conn: &mut Conn| {
            execute(conn, lists);
            Ok(())
        };
        campaign.store.run(Lane::Write, "fill", fill).await.unwrap();
        let all = |ids: &[i64]| Audience::of_lists(ids.iter().copied().map(ListId).collect());
        let mut both = all(&[1, 2]);
        both.include.contact_ids = vec![ContactId(5), ContactId(100_500)];
        for audience in [all(&[1]), all(&[1, 2, 3]), both] {
            let packed = campaign.beside(audience).await.id;
            check(&campaign, Lane::Write, "pack", move |conn| packing::pack_page(conn, packed, 40).map(drop)).await;
        }
    }
}
