//! What packing reads of an audience.

use volley::domain::campaigns::audience::{Audience, AudienceForm, Exclusion};
use volley::domain::ids::{ContactId, ListId, SegmentId};
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

    async fn packing_reads_the_members_of_a_page_and_not_those_of_a_segment(db: &Database) {
        let campaign = with_history(db).await;
        // A third of all contacts is in each of three segments, and another third has left it.
        let members = "
            INSERT INTO segment_members (segment_id, contact_id, epoch, entered_at, dwell_from, left_at, closed_at, dwell_done, dwell_n)
                SELECT 1 + id % 3, id, 1, 0, 0, NULL, NULL, 0, 0 FROM contacts WHERE id > 1000;
            INSERT INTO segment_members (segment_id, contact_id, epoch, entered_at, dwell_from, left_at, closed_at, dwell_done, dwell_n)
                SELECT 1 + (id + 1) % 3, id, 1, 0, 0, 5, 5, 0, 0 FROM contacts WHERE id > 1000;
            ANALYZE;";
        let fill = move |conn: &mut Conn| {
            execute(conn, members);
            Ok(())
        };
        campaign.store.run(Lane::Write, "fill", fill).await.unwrap();
        let segments = |ids: &[i64]| ids.iter().copied().map(SegmentId).collect::<Vec<_>>();
        let none = AudienceForm::default;
        let left_out = |ids: &[i64]| Exclusion { segments: segments(ids), ..Exclusion::default() };
        for form in [
            AudienceForm { segments: segments(&[1]), ..none() },
            AudienceForm { segments: segments(&[1, 2, 3]), ..none() },
            AudienceForm { segments: segments(&[2]), contact_ids: vec![ContactId(5), ContactId(100_500)], ..none() },
            AudienceForm { segments: segments(&[1, 2]), exclude: left_out(&[2, 3]), ..none() },
            AudienceForm { all: true, exclude: left_out(&[1]), ..none() },
        ] {
            let audience = Audience::try_from(form).unwrap();
            let packed = campaign.beside(audience).await.id;
            check(&campaign, Lane::Write, "pack", move |conn| packing::pack_page(conn, packed, 40).map(drop)).await;
        }
    }
}
