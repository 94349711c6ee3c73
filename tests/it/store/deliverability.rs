//! What became of messages by day, pool and domain: each counted once, and nobody waits for it.

use volley::domain::campaigns::CampaignEvent;
use volley::domain::campaigns::audience::Audience;
use volley::domain::deliverability::{DomainFigures, MOST_DOMAINS, OTHER};
use volley::domain::dispatch::abandoned::{Evidence, Repeat};
use volley::domain::dispatch::claim::ClaimKey;
use volley::domain::dispatch::evidence::{Begun, Known};
use volley::domain::dispatch::settlement::Settlement;
use volley::domain::ids::ContactId;
use volley::domain::reports::{Reader, ReportKind};
use volley::store::deliverability::{self, Filter, Key, Row};
use volley::store::dispatch::deliveries::{self, Resolution};
use volley::store::dispatch::lost_leases::{self, OwnerFate};
use volley::store::dispatch::sweeps::{self, Swept};
use volley::store::dispatch::{reported, rewind};
use volley::store::reports::{self, Line};
use volley::store::{Conn, Lane};

use super::dispatch::packed::{Campaign, POOL, accepted, execute, record, verdict, write};
use super::reports::line;
use crate::support::both_backends;

/// Everything that was noted so far is in the figures.
async fn fold(campaign: &Campaign) {
    while write(&campaign.store, deliverability::fold).await.unwrap() {}
}

async fn rows(campaign: &Campaign) -> Vec<Row> {
    fold(campaign).await;
    let list = |conn: &mut Conn| deliverability::list(conn, &Filter::default(), None, 1_000);
    campaign.store.run(Lane::Read, "test", list).await.unwrap()
}

/// Domain, sent, delivered, soft and hard bounces, complaints.
async fn figures(campaign: &Campaign) -> Vec<(String, [i64; 5])> {
    let figure = |row: Row| {
        assert_eq!(row.pool, POOL);
        let DomainFigures { sent, delivered, soft_bounced, hard_bounced, complained } = row.figures;
        (row.domain, [sent, delivered, soft_bounced, hard_bounced, complained])
    };
    rows(campaign).await.into_iter().map(figure).collect()
}

async fn report(campaign: &Campaign, said: &[(i64, ReportKind)]) {
    let lines: Vec<Line> = said
        .iter()
        .enumerate()
        .map(|(n, (contact, kind))| line(campaign, *contact, *kind, &format!("{n}{kind:?}")))
        .collect();
    let apply = move |conn: &mut Conn| reports::apply(conn, &lines);
    let in_doubt = write(&campaign.store, apply).await.unwrap().in_doubt;
    write(&campaign.store, move |conn| reported::settle(conn, &in_doubt)).await.unwrap();
}

/// Sends to everybody who is pending.
async fn send(campaign: &Campaign) {
    while let Some(leased) = campaign.lease().await {
        let claimed = leased.claim(1_000).await;
        record(&campaign.store, leased.accepted(&claimed)).await.unwrap();
    }
}

const PEOPLE: &str = "UPDATE contacts SET email = 'person' || id || '@big.example' WHERE id <= 3";

both_backends! {
    async fn messages_count_for_the_domain_of_their_recipients_and_once(db: &Database) {
        let campaign = Campaign::launched_to(db, 5, Audience::everyone(), PEOPLE).await;
        campaign.pack_page(10).await.unwrap();
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(5).await;
        for _ in 0..2 {
            record(&campaign.store, leased.accepted(&claimed)).await.unwrap();
        }
        let said = [
            (1, ReportKind::Delivered), (2, ReportKind::Delivered), (3, ReportKind::HardBounced), (4, ReportKind::SoftBounced),
            (5, ReportKind::Complained), (1, ReportKind::Opened(Reader::Person)),
        ];
        for _ in 0..2 {
            report(&campaign, &said).await;
        }
        // The same said once more, under another key.
        report(&campaign, &[(2, ReportKind::Opened(Reader::Machine)), (1, ReportKind::Delivered)]).await;
        let expected = [("big.example".to_owned(), [3, 2, 0, 1, 0]), ("example.com".to_owned(), [2, 0, 1, 0, 1])];
        assert_eq!(figures(&campaign).await, expected);
        assert_eq!(figures(&campaign).await, expected, "folded once");
        assert_eq!(db.number("SELECT count(*) AS n FROM deliverability_news"), 0);
    }

    async fn a_report_counts_on_the_day_on_which_its_message_was_sent(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        send(&campaign).await;
        let day_before = "UPDATE deliveries SET settled_at = settled_at - 86400000 WHERE contact_id = 1";
        db.execute(day_before);
        report(&campaign, &[(1, ReportKind::Delivered), (2, ReportKind::Delivered)]).await;
        let rows = rows(&campaign).await;
        let delivered: Vec<_> = rows.iter().map(|row| (row.day, row.figures.sent, row.figures.delivered)).collect();
        let today = rows[0].day;
        assert_eq!(delivered, [(today, 2, 1), (today.minus(1), 0, 1)]);
    }

    async fn what_turns_out_to_be_sent_counts_as_well_whoever_says_so(db: &Database) {
        let campaign = Campaign::packed(db, 6, 10).await;
        let leased = campaign.lease().await.unwrap();
        leased.claim(5).await;
        let unkeyed = Repeat { key_valid_ms: None, on_the_wire_ms: 0, max_attempts: 4, provider: None };
        let lease = leased.lease();
        let end = move |conn: &mut Conn| {
            lost_leases::end_lease(conn, lease, OwnerFate::Died, None, unkeyed, &|_| Evidence::Ambiguous)
        };
        write(&campaign.store, end).await.unwrap().unwrap();
        assert!(figures(&campaign).await.is_empty(), "nobody knows");
        report(&campaign, &[(1, ReportKind::Delivered), (2, ReportKind::RejectedLater)]).await;
        assert_eq!(figures(&campaign).await, [("example.com".to_owned(), [1, 1, 0, 0, 0])]);
        let (page, of) = (leased.id(), [ContactId(3), ContactId(6)]);
        let resolve = move |conn: &mut Conn| deliveries::resolve_pages(conn, &[page], Some(&of), Resolution::Sent);
        assert_eq!(write(&campaign.store, resolve).await.unwrap(), 1, "the sixth waits for its turn");
        assert_eq!(figures(&campaign).await, [("example.com".to_owned(), [2, 1, 0, 0, 0])]);
        let resolve = move |conn: &mut Conn| deliveries::resolve_pages(conn, &[page], None, Resolution::Sent);
        assert_eq!(write(&campaign.store, resolve).await.unwrap(), 2);
        assert_eq!(figures(&campaign).await, [("example.com".to_owned(), [4, 1, 0, 0, 0])]);
    }

    async fn what_a_dead_owners_journal_or_a_report_knows_to_be_sent_counts_as_well(db: &Database) {
        let campaign = Campaign::packed(db, 3, 10).await;
        let leased = campaign.lease().await.unwrap();
        leased.claim(3).await;
        // The second one was reported while it was on its way, the journal knows of the first one, and of the third one nobody does.
        report(&campaign, &[(2, ReportKind::Delivered)]).await;
        let unkeyed = Repeat { key_valid_ms: None, on_the_wire_ms: 0, max_attempts: 4, provider: None };
        let lease = leased.lease();
        let evidence = |key: ClaimKey| match key.contact {
            ContactId(1) => Evidence::Ended(verdict(&accepted())),
            _ => Evidence::Ambiguous,
        };
        let end = move |conn: &mut Conn| lost_leases::end_lease(conn, lease, OwnerFate::Died, None, unkeyed, &evidence);
        write(&campaign.store, end).await.unwrap().unwrap();
        assert_eq!(campaign.books().await.sent, 2);
        assert_eq!(figures(&campaign).await, [("example.com".to_owned(), [2, 1, 0, 0, 0])]);
    }

    async fn a_report_that_settles_an_old_doubt_counts_on_the_day_on_which_it_does(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let leased = campaign.lease().await.unwrap();
        leased.claim(1).await;
        let unkeyed = Repeat { key_valid_ms: None, on_the_wire_ms: 0, max_attempts: 4, provider: None };
        let lease = leased.lease();
        let end = move |conn: &mut Conn| {
            lost_leases::end_lease(conn, lease, OwnerFate::Died, None, unkeyed, &|_| Evidence::Ambiguous)
        };
        write(&campaign.store, end).await.unwrap().unwrap();
        db.execute("UPDATE deliveries SET settled_at = settled_at - 3 * 86400000");
        report(&campaign, &[(1, ReportKind::Delivered)]).await;
        assert_eq!(figures(&campaign).await, [("example.com".to_owned(), [1, 1, 0, 0, 0])], "in one row");
    }

    async fn what_a_stop_finds_to_be_sent_counts_as_well(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        // It waits to be asked again, and was reported as accepted meanwhile.
        db.execute("UPDATE deliveries SET ambiguous = true, claim_no = 1, reported = 1 WHERE contact_id = 1");
        campaign.event(CampaignEvent::Stop).await.unwrap();
        let id = campaign.id;
        while !matches!(write(&campaign.store, move |conn| sweeps::sweep_page(conn, id)).await.unwrap(), Swept::Done) {}
        assert_eq!(campaign.books().await.sent, 1);
        assert_eq!(figures(&campaign).await, [("example.com".to_owned(), [1, 0, 0, 0, 0])]);
    }

    async fn of_many_domains_two_hundred_are_counted_by_themselves(db: &Database) {
        let domains = "UPDATE contacts SET email = 'ann@d' || id || '.example' WHERE id <= 300";
        let campaign = Campaign::launched_to(db, 350, Audience::everyone(), domains).await;
        while campaign.pack_page(1_000).await.unwrap() != volley::store::dispatch::packing::Packed::Done {}
        send(&campaign).await;
        let figures = figures(&campaign).await;
        assert_eq!(figures.len(), MOST_DOMAINS + 1);
        let of = |name: &str| figures.iter().find(|(domain, _)| domain == name).map(|(_, figures)| figures[0]);
        assert_eq!((of("example.com"), of(OTHER)), (Some(50), Some(101)), "the largest one has a row");
        // On the same day, small ones that have no row stay among the others, and those that have one keep it.
        let own = figures.iter().find(|(domain, _)| domain.starts_with('d')).map(|(domain, _)| domain.clone()).unwrap();
        let bounced: i64 = own.trim_start_matches('d').split('.').next().unwrap().parse().unwrap();
        report(&campaign, &[(bounced, ReportKind::HardBounced)]).await;
        let figures = self::figures(&campaign).await;
        assert_eq!(figures.len(), MOST_DOMAINS + 1);
        assert!(figures.contains(&(own, [1, 0, 0, 1, 0])), "{figures:?}");
    }

    async fn outcomes_and_reports_wait_for_no_figures_of_others(db: &Database) {
        let campaign = Campaign::packed(db, 4, 2).await;
        let mut other = db.connect();
        // SQLite has one writer: nobody else writes meanwhile.
        if !matches!(other, Conn::Pg(_)) {
            return;
        }
        send(&campaign).await;
        fold(&campaign).await;
        // Another instance folds, has changed every row of the figures and noted news of its own, and does not come to an end.
        execute(
            &mut other,
            "BEGIN; SELECT pg_advisory_xact_lock(1987013734, 0); UPDATE deliverability SET sent = sent;
             INSERT INTO deliverability_news (day, pool, domain, sent, delivered, soft_bounced, hard_bounced, complained)
                 SELECT day, pool, domain, 0, 0, 0, 0, 0 FROM deliverability",
        );
        let beside = campaign.beside(Audience::everyone()).await;
        beside.pack_page(10).await.unwrap();
        send(&beside).await;
        report(&beside, &[(1, ReportKind::Delivered)]).await;
        assert!(!write(&campaign.store, deliverability::fold).await.unwrap());
        assert!(db.number("SELECT count(*) AS n FROM deliverability_news") > 0, "the other one is at it");
        execute(&mut other, "ROLLBACK");
        assert_eq!(figures(&campaign).await, [("example.com".to_owned(), [8, 1, 0, 0, 0])]);
    }

    async fn days_are_listed_newest_first_and_go_when_they_are_old(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        send(&campaign).await;
        let today = rows(&campaign).await[0].day;
        let fill = move |conn: &mut Conn| {
            for (days, pool, domain) in [
                (0, "main", "gmail.com"), (0, "api", ""), (1, "main", "gmail.com"), (29, "main", OTHER),
                (30, "main", "gmail.com"), (400, "main", "gmail.com"), (401, "main", "gmail.com"),
            ] {
                let day = today.minus(days).0;
                execute(conn, &format!("INSERT INTO deliverability VALUES ({day}, '{pool}', '{domain}', 1, 0, 0, 0, 0)"));
            }
            Ok(())
        };
        write(&campaign.store, fill).await.unwrap();
        let list = |filter: Filter, after: Option<Key>, limit| {
            let read = move |conn: &mut Conn| deliverability::list(conn, &filter, after.as_ref(), limit);
            campaign.store.run(Lane::Read, "test", read)
        };
        let names = |rows: &[Row]| -> Vec<(i64, String, String)> {
            rows.iter().map(|row| (today.0 - row.day.0, row.pool.clone(), row.domain.clone())).collect()
        };
        let name = |days: i64, pool: &str, domain: &str| (days, pool.to_owned(), domain.to_owned());
        let all = [
            name(0, "api", ""), name(0, "main", "example.com"), name(0, "main", "gmail.com"), name(1, "main", "gmail.com"),
            name(29, "main", OTHER),
        ];
        assert_eq!(names(&list(Filter::default(), None, 100).await.unwrap()), all);
        // One by one, from where the last one stopped.
        let (mut seen, mut after) = (Vec::new(), None);
        while let Some(row) = list(Filter::default(), after, 1).await.unwrap().pop() {
            after = Some((row.day.0, row.pool.clone(), row.domain.clone()));
            seen.push(row);
        }
        assert_eq!(names(&seen), all);
        let gmail = Filter { domain: Some("gmail.com".to_owned()), from: Some(today.minus(30)), to: Some(today.minus(1)), pool: None };
        assert_eq!(names(&list(gmail, None, 100).await.unwrap()), [name(1, "main", "gmail.com"), name(30, "main", "gmail.com")]);
        let api = Filter { pool: Some("api".to_owned()), ..Filter::default() };
        assert_eq!(names(&list(api, None, 100).await.unwrap()), [name(0, "api", "")]);
        assert_eq!(write(&campaign.store, deliverability::prune).await.unwrap(), 1);
    }

    async fn a_hand_over_that_the_database_forgot_counts_when_the_journal_tells_of_it(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        let leased = campaign.lease().await.unwrap();
        let batch = leased.accepted(&leased.claim(2).await);
        // The database went back to before the claim.
        db.execute("UPDATE deliveries SET state = 'pending', claim_no = 0, token = NULL");
        db.execute("UPDATE pages SET state = 'ready', lease_token = NULL, pending = size, sending = 0");
        let begun = |settlement: Settlement| {
            (settlement.key.contact, vec![Begun { key: settlement.key, verdict: Some(settlement.verdict) }])
        };
        let known: Known = batch.into_iter().map(begun).collect();
        let id = campaign.id;
        let replay = move |conn: &mut Conn| rewind::replay(conn, id, &known);
        assert_eq!(campaign.store.run(Lane::Control, "test", replay).await.unwrap().restored, 2);
        assert_eq!(figures(&campaign).await, [("example.com".to_owned(), [2, 0, 0, 0, 0])]);
    }
}
