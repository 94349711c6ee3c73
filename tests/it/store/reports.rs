//! Reports: what they count, what they prove, and what they leave alone.

mod evidence;
mod races;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Map;
use volley::domain::dispatch::delivery::DeliveryId;
use volley::domain::events::EventSource;
use volley::domain::ids::{CampaignId, ContactId};
use volley::domain::instant::UtcInstant;
use volley::domain::reports::{Reader, ReportFigure, ReportFigures, ReportKind};
use volley::store::events::EventKey;
use volley::store::reports::{self, Applied, Fate, Line};
use volley::store::{Conn, Lane, StoreError, campaigns};

use super::dispatch::packed::{Campaign, POOL, write};
use crate::support::database::number;
use crate::support::{Database, both_backends};

const OPENED: ReportKind = ReportKind::Opened(Reader::Person);
const SCANNED: ReportKind = ReportKind::Opened(Reader::Machine);

/// A report about a recipient of the campaign, under a key.
pub(super) fn line(campaign: &Campaign, contact: i64, kind: ReportKind, key: &str) -> Line {
    Line {
        key: EventKey::of(&EventSource::of_pool(POOL), key),
        delivery: DeliveryId { campaign: campaign.id, contact: ContactId(contact) },
        kind,
        occurred_at: None,
        details: Map::new(),
    }
}

async fn try_apply(campaign: &Campaign, lines: Vec<Line>) -> Result<Applied, StoreError> {
    write(&campaign.store, move |conn| reports::apply(conn, &lines)).await
}

async fn apply(campaign: &Campaign, lines: Vec<Line>) -> Applied {
    try_apply(campaign, lines).await.unwrap()
}

/// What the campaign's statistics say.
async fn figures(campaign: &Campaign) -> ReportFigures {
    let id = campaign.id;
    let read = move |conn: &mut Conn| {
        let row = campaigns::find(conn, id)?.expect("the campaign is there");
        Ok(campaigns::details(conn, &[row])?.remove(0).reports.unwrap_or_default())
    };
    campaign.store.run(Lane::Read, "test", read).await.unwrap()
}

/// The same as the rows of deliveries and the keys of reports say: bits are in the order of the kinds.
fn figures_of_rows(db: &Database, campaign: &Campaign) -> BTreeMap<ReportKind, i64> {
    let mut conn = db.connect();
    let with_bit = ReportKind::ALL.into_iter().enumerate().map(|(bit, kind)| {
        let rows = format!(
            "SELECT count(*) AS n FROM deliveries WHERE campaign_id = {} AND reported & {} <> 0",
            campaign.id,
            1 << bit
        );
        (kind, number(&mut conn, &rows))
    });
    with_bit.filter(|(_, n)| *n > 0).collect()
}

async fn statistics_equal_the_bits(db: &Database, campaign: &Campaign) {
    let recipients = figures(campaign).await.into_iter().map(|(kind, figure)| (kind, figure.recipients));
    assert_eq!(recipients.collect::<BTreeMap<_, _>>(), figures_of_rows(db, campaign));
}

both_backends! {
    async fn each_kind_counts_a_recipient_once_and_each_report_once(db: &Database) {
        let campaign = Campaign::packed(db, 5, 2).await;
        let of_all = |contact: i64, key: &str| -> Vec<Line> {
            let kinds = ReportKind::ALL.into_iter().enumerate();
            kinds.map(|(n, kind)| line(&campaign, contact, kind, &format!("{key}-{n}"))).collect()
        };
        let first = of_all(1, "a");
        assert_eq!(apply(&campaign, first.clone()).await.fates, [Fate::Counted; 11]);
        assert_eq!(apply(&campaign, first).await.fates, [Fate::Repeated; 11]);
        let once = ReportFigure { recipients: 1, total: 1 };
        assert_eq!(figures(&campaign).await, ReportKind::ALL.into_iter().map(|kind| (kind, once)).collect());
        // Other reports of the same recipient, and of one on another page.
        let again = |kind| if kind == ReportKind::Delivered { Fate::Repeated } else { Fate::Counted };
        assert_eq!(apply(&campaign, of_all(1, "b")).await.fates, ReportKind::ALL.map(again));
        assert_eq!(apply(&campaign, of_all(4, "c")).await.fates, [Fate::Counted; 11]);
        let sums = |kind| ReportFigure { recipients: 2, total: if kind == ReportKind::Delivered { 2 } else { 3 } };
        assert_eq!(figures(&campaign).await, ReportKind::ALL.into_iter().map(|kind| (kind, sums(kind))).collect());
        statistics_equal_the_bits(db, &campaign).await;
        assert_eq!(db.number("SELECT count(*) AS n FROM page_reports"), 2);
        assert_eq!(db.number("SELECT count(*) AS n FROM event_keys"), 30);
        assert_eq!(db.number("SELECT count(*) AS n FROM events WHERE name LIKE 'message.%' AND source = 'pool:main'"), 30);
        assert_eq!(db.number("SELECT count(*) AS n FROM events WHERE contact_id = 4 AND name = 'message.hard_bounced'"), 1);
        assert_eq!(campaign.books().await.pending, 5, "no report moves a delivery");
    }

    async fn a_machine_that_opens_does_not_take_the_place_of_the_person(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        for (kind, key) in [(SCANNED, "1"), (SCANNED, "2"), (OPENED, "3"), (SCANNED, "4")] {
            assert_eq!(apply(&campaign, vec![line(&campaign, 1, kind, key)]).await.fates, [Fate::Counted]);
        }
        let figures = figures(&campaign).await;
        assert_eq!(figures.get(&OPENED), Some(&ReportFigure { recipients: 1, total: 1 }));
        assert_eq!(figures.get(&SCANNED), Some(&ReportFigure { recipients: 1, total: 3 }));
        let opened = |machine: bool| {
            db.number(&format!(
                "SELECT count(*) AS n FROM events WHERE name = 'message.opened' AND properties LIKE '%\"machine\":{machine}%'"
            ))
        };
        assert_eq!((opened(true), opened(false)), (3, 1));
    }

    async fn of_lines_with_one_key_the_first_one_counts(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        let lines = vec![
            line(&campaign, 1, OPENED, "a"),
            line(&campaign, 1, OPENED, "a"),
            line(&campaign, 2, OPENED, "a"),
            line(&campaign, 2, OPENED, "b"),
        ];
        let other_source = Line {
            key: EventKey { source: EventSource::volley().as_str().to_owned(), key: "a".to_owned() },
            ..line(&campaign, 2, OPENED, "")
        };
        let lines = lines.into_iter().chain([other_source]).collect();
        let fates = [Fate::Counted, Fate::Repeated, Fate::Repeated, Fate::Counted, Fate::Counted];
        assert_eq!(apply(&campaign, lines).await.fates, fates);
        assert_eq!(figures(&campaign).await, ReportFigures::from([(OPENED, ReportFigure { recipients: 2, total: 3 })]));
    }

    async fn a_message_arrives_once_whatever_the_key_of_the_report(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        let arrived = |n: i64, key: &str| line(&campaign, n, ReportKind::Delivered, key);
        // The same key for two messages: a provider that numbers its reports carelessly loses none.
        let applied = apply(&campaign, vec![arrived(1, "a"), arrived(1, "b"), arrived(2, "a")]).await;
        assert_eq!(applied.fates, [Fate::Counted, Fate::Repeated, Fate::Counted]);
        assert_eq!(apply(&campaign, vec![arrived(1, "c")]).await.fates, [Fate::Repeated]);
        let both = ReportFigure { recipients: 2, total: 2 };
        assert_eq!(figures(&campaign).await, ReportFigures::from([(ReportKind::Delivered, both)]));
        assert_eq!(db.number("SELECT count(*) AS n FROM event_keys"), 0);
    }

    async fn an_unknown_delivery_changes_nothing_and_keeps_no_other_report_out(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let elsewhere = DeliveryId { campaign: CampaignId(999), contact: ContactId(1) };
        let unknown = vec![
            line(&campaign, 999, OPENED, "a"),
            Line { delivery: elsewhere, ..line(&campaign, 1, ReportKind::Delivered, "b") },
            line(&campaign, 999, OPENED, "a"),
        ];
        let applied = apply(&campaign, unknown.clone()).await;
        assert_eq!((applied.fates, applied.in_doubt), (vec![Fate::Unknown; 3], BTreeSet::new()));
        for table in ["event_keys", "events", "page_reports"] {
            assert_eq!(db.number(&format!("SELECT count(*) AS n FROM {table}")), 0, "{table}");
        }
        let mixed = unknown.into_iter().chain([line(&campaign, 1, OPENED, "c")]).collect();
        let fates = [Fate::Unknown, Fate::Unknown, Fate::Unknown, Fate::Counted];
        assert_eq!(apply(&campaign, mixed).await.fates, fates);
        assert_eq!(apply(&campaign, Vec::new()).await, Applied { fates: Vec::new(), in_doubt: BTreeSet::new() });
    }

    async fn the_event_of_a_report_occurs_when_its_source_says_and_never_in_the_future(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let at = |at: i64, key: &str| {
            Line { occurred_at: Some(UtcInstant(at)), ..line(&campaign, 1, ReportKind::Replied, key) }
        };
        apply(&campaign, vec![at(5, "past"), at(9_000_000_000_000, "future")]).await;
        assert_eq!(db.number("SELECT count(*) AS n FROM events WHERE occurred_at = 5"), 1);
        assert_eq!(db.number("SELECT count(*) AS n FROM events WHERE occurred_at = received_at"), 1);
    }

    async fn what_is_told_beside_a_report_is_kept_with_its_event(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let details = Map::from_iter([("link".to_owned(), 3.into())]);
        let clicked = ReportKind::Clicked(Reader::Person);
        apply(&campaign, vec![Line { details, ..line(&campaign, 1, clicked, "a") }]).await;
        let kept = format!(
            "SELECT count(*) AS n FROM events WHERE properties = '{{\"campaign_id\":{},\"link\":3,\"machine\":false}}'",
            campaign.id
        );
        assert_eq!(db.number(&kept), 1);
    }
}
