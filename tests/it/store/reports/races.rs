//! Reports beside what moves deliveries at the same moment.

use futures_util::future::join_all;
use volley::domain::reports::ReportKind;
use volley::store::Conn;
use volley::store::reports::{Fate, Line};

use super::{OPENED, apply, figures, line, statistics_equal_the_bits, try_apply};
use crate::store::dispatch::packed::{Campaign, execute, record};
use crate::support::both_backends;

/// Applies lines until none of them is left for later, as a source does.
async fn apply_all(campaign: &Campaign, mut lines: Vec<Line>) {
    while !lines.is_empty() {
        let applied = match try_apply(campaign, lines.clone()).await {
            Err(error) if error.is_contention() => continue,
            applied => applied.unwrap(),
        };
        let mut fates = applied.fates.into_iter();
        lines.retain(|_| fates.next() == Some(Fate::Later));
    }
}

both_backends! {
    async fn what_another_transaction_is_moving_is_left_for_later(db: &Database) {
        let campaign = Campaign::packed(db, 3, 10).await;
        let lines = || vec![line(&campaign, 1, OPENED, "a"), line(&campaign, 2, OPENED, "b"), line(&campaign, 2, OPENED, "b")];
        let mut other = db.connect();
        // SQLite has one writer: nobody else moves anything while reports are applied.
        let moves = matches!(other, Conn::Pg(_));
        if moves {
            execute(&mut other, "BEGIN; UPDATE deliveries SET due_at = 0 WHERE contact_id = 2");
            assert_eq!(apply(&campaign, lines()).await.fates, [Fate::Counted, Fate::Later, Fate::Later]);
            assert_eq!(db.number("SELECT count(*) AS n FROM event_keys"), 1, "its key is not used up");
            execute(&mut other, "COMMIT");
        }
        let first = if moves { Fate::Repeated } else { Fate::Counted };
        assert_eq!(apply(&campaign, lines()).await.fates, [first, Fate::Counted, Fate::Repeated]);
        assert_eq!(figures(&campaign).await.get(&OPENED).map(|figure| figure.recipients), Some(2));
    }

    async fn a_locked_page_keeps_no_report_waiting(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let mut other = db.connect();
        if let Conn::Pg(_) = other {
            execute(&mut other, "BEGIN; SELECT 1 FROM pages FOR UPDATE");
        }
        let applied = apply(&campaign, vec![line(&campaign, 1, ReportKind::Delivered, "a")]).await;
        assert_eq!(applied.fates, [Fate::Counted]);
    }

    async fn reports_that_come_while_everybody_is_sent_to_are_counted_once(db: &Database) {
        const PEOPLE: i64 = 400;
        let campaign = Campaign::packed(db, PEOPLE, 100).await;
        let send = async {
            while let Some(leased) = campaign.lease().await {
                for _ in 0..4 {
                    let claimed = leased.claim(25).await;
                    let recorded = record(&campaign.store, leased.accepted(&claimed)).await.unwrap();
                    assert_eq!(recorded.changed, 25);
                }
            }
        };
        // Four sources: each tells everything in an order of its own, so that each report comes four times.
        let sources = (0..4).map(|source| {
            let mut people: Vec<i64> = (1..=PEOPLE).collect();
            people.rotate_left(source * 70);
            let campaign = &campaign;
            async move {
                for part in people.chunks(50) {
                    let lines = part.iter().flat_map(|contact| {
                        [OPENED, ReportKind::Delivered].map(|kind| line(campaign, *contact, kind, &format!("{contact}:{kind:?}")))
                    });
                    apply_all(campaign, lines.collect()).await;
                }
            }
        });
        futures_util::join!(send, join_all(sources));
        assert_eq!(campaign.books().await.sent, PEOPLE);
        let figures = figures(&campaign).await;
        for kind in [OPENED, ReportKind::Delivered] {
            let figure = figures.get(&kind).copied().unwrap_or_default();
            assert_eq!((figure.recipients, figure.total), (PEOPLE, PEOPLE), "{kind:?}");
        }
        statistics_equal_the_bits(db, &campaign).await;
        assert_eq!(db.number("SELECT count(*) AS n FROM events WHERE name = 'message.opened'"), PEOPLE);
    }
}
