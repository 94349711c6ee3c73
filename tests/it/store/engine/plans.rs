//! What the hot statements do in a database that has seen much: along an index to the rows they are about, and to no others.

mod audiences;
mod of_contact;
mod uncertain;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::connection::InstrumentationEvent;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use volley::domain::day::UtcDay;
use volley::domain::dispatch::delivery::{DeliveryId, DeliveryState};
use volley::domain::dispatch::lease::{LeaseToken, Owner};
use volley::domain::events::EventSource;
use volley::domain::ids::{CampaignId, ContactId, InstanceId, PageId};
use volley::domain::instant::UtcInstant;
use volley::domain::people::consent::Source;
use volley::domain::people::contact::{ContactDraft, Fields};
use volley::domain::reports::ReportKind;
use volley::store::dispatch::claims::{self, Claim};
use volley::store::dispatch::pages::{self, Wanted, WhichPage};
use volley::store::dispatch::{deliveries, open_work, outcomes, reported};
use volley::store::events::EventKey;
use volley::store::people::consent::{Ledger, Scribe};
use volley::store::people::contacts::{self, Joining};
use volley::store::replicas::{announcements, instances};
use volley::store::reports;
use volley::store::{Conn, Lane, StoreError, callbacks, campaigns, deliverability, engine};

use crate::store::dispatch::packed::{Campaign, Leased, POOL, execute, transact};
use crate::support::waiting::wait_for;
use crate::support::{Database, both_backends};

/// Two campaigns that have ended, with 100,000 recipients on 2,500 pages each.
const HISTORY: &str = "
    INSERT INTO contacts (id, email, created_at, updated_at)
        WITH RECURSIVE n (n) AS (SELECT 1001 UNION ALL SELECT n + 1 FROM n WHERE n < 101000)
        SELECT n, 'person' || n || '@example.com', 0, 0 FROM n;
    INSERT INTO campaigns (name, channel, status, pool, created_at, updated_at)
        VALUES ('a', 'email', 'sent', 'main', 0, 0), ('b', 'email', 'sent', 'main', 0, 0);
    INSERT INTO pages (campaign_id, seq, pool, first_contact_id, last_contact_id, size, state, due_at,
            pending, sending, sent, failed, skipped, uncertain)
        WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 2499)
        SELECT c.id, n + 1, 'main', 1001 + n * 40, 1040 + n * 40, 40, 'done', 0, 0, 0, 40, 0, 0, 0
        FROM campaigns AS c, n WHERE c.status = 'sent';
    INSERT INTO deliveries (campaign_id, contact_id, page_id, state, attempts, claim_no, token, claimed_at, settled_at)
        SELECT p.campaign_id, c.id, p.id, 'sent', 1, 1, p.id, 0, 0
        FROM pages AS p CROSS JOIN contacts AS c
        WHERE p.state = 'done' AND c.id BETWEEN p.first_contact_id AND p.last_contact_id;
    ANALYZE;";

/// More rows than eight runs of any statement here are about; fewer than a look at everything takes.
const FETCHED: u32 = 5_000;

/// How often each is run.
const RUNS: i64 = 8;

#[derive(diesel::QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    detail: String,
}

async fn with_history(db: &Database) -> Campaign {
    let campaign = Campaign::packed(db, 200, 100).await;
    let fill = |conn: &mut Conn| {
        execute(conn, HISTORY);
        Ok(())
    };
    campaign.store.run(Lane::Write, "test", fill).await.unwrap();
    campaign
}

/// Who opens the transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transaction {
    /// The test, one for all runs.
    Ours,
    /// What is run, one for each.
    Its,
}

/// Runs `work` as often as it takes PostgreSQL to settle for a plan without looking at the values, and fails on whatever
/// reads a large table from end to end.
#[track_caller]
fn goes_along_indexes(
    conn: &mut Conn,
    lane: Lane,
    transaction: Transaction,
    what: &str,
    mut work: impl FnMut(&mut Conn) -> Result<(), StoreError>,
) {
    let statements = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&statements);
    let listen = move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let text = query.to_string();
            heard.lock().unwrap().push(text.split(" -- binds").next().unwrap_or_default().to_owned());
        }
    };
    match conn {
        Conn::Pg(conn) => conn.set_instrumentation(listen),
        Conn::Sqlite(conn) => conn.set_instrumentation(listen),
    }
    let mut look = |conn: &mut Conn| {
        let before = reads(conn);
        for _ in 0..RUNS {
            work(conn)?;
        }
        let statements = std::mem::take(&mut *statements.lock().unwrap());
        let tables = ["pages", "deliveries", "contacts", "page_reports", "callbacks", "deliverability"];
        assert!(statements.iter().any(|text| tables.iter().any(|table| text.contains(table))), "{statements:?}");
        Ok::<_, StoreError>(match (conn, transaction) {
            (Conn::Pg(_), Transaction::Its) => Vec::new(),
            (Conn::Sqlite(conn), _) => planned(conn, statements),
            (conn, Transaction::Ours) => scanned(&before, &reads(conn)),
        })
    };
    let complaints = match (transaction, lane) {
        (Transaction::Its, _) => {
            let before = deliveries_read(conn);
            let mut complaints = look(conn).unwrap();
            complaints.extend(before.and_then(|before| scanned_since(conn, before)));
            complaints
        }
        (Transaction::Ours, Lane::Read | Lane::LookUp | Lane::Audit) => conn.snapshot(look).unwrap(),
        (Transaction::Ours, Lane::Hot | Lane::Control | Lane::Write | Lane::Segments) => conn.write(look).unwrap(),
    };
    assert!(complaints.is_empty(), "{what}: {complaints:#?}");
}

/// How often `deliveries` was read so far: from end to end, by index, and how many rows by index.
#[derive(diesel::QueryableByName, Debug, Clone, Copy)]
struct Reads {
    #[diesel(sql_type = BigInt)]
    scans: i64,
    #[diesel(sql_type = BigInt)]
    by_index: i64,
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

fn deliveries_read(conn: &mut Conn) -> Option<Reads> {
    let Conn::Pg(conn) = conn else { return None };
    let query = "SELECT seq_scan AS scans, coalesce(idx_scan, 0) AS by_index, coalesce(idx_tup_fetch, 0) AS rows \
                 FROM pg_stat_user_tables WHERE relname = 'deliveries'";
    Some(diesel::sql_query(query).get_result(conn).unwrap())
}

/// PostgreSQL: what has been read since then, once it has said so, which it does within a second or so.
fn scanned_since(conn: &mut Conn, before: Reads) -> Option<String> {
    let after = wait_for("the statistics are in", Duration::from_secs(30), || {
        deliveries_read(conn).filter(|now| now.by_index >= before.by_index + RUNS)
    });
    let (scans, rows) = (after.scans - before.scans, after.rows - before.rows);
    (scans > 0 || rows > i64::from(FETCHED)).then(|| format!("deliveries: {scans} scans, {rows} rows by index"))
}

/// What a connection has read of a large table.
#[derive(diesel::QueryableByName, Debug)]
struct TableReads {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    scans: i64,
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// PostgreSQL: what this connection has read and not yet reported, in the order of the tables' names. That counts whichever
/// plan was taken, for statements with arrays too. It holds the reads of earlier transactions, too, for up to a second: only the
/// difference within one transaction says what that transaction read.
fn reads(conn: &mut Conn) -> Vec<TableReads> {
    let Conn::Pg(conn) = conn else { return Vec::new() };
    let query = "SELECT relname::text AS name, coalesce(seq_scan, 0) AS scans, coalesce(idx_tup_fetch, 0) AS rows \
                 FROM pg_stat_xact_user_tables WHERE relname IN ('deliveries', 'contacts', 'pages', 'list_members', \
                 'page_reports', 'callbacks', 'deliverability', 'segment_members') \
                 ORDER BY relname";
    diesel::sql_query(query).load(conn).unwrap()
}

fn scanned(before: &[TableReads], after: &[TableReads]) -> Vec<String> {
    let read = before.iter().zip(after).map(|(before, after)| {
        assert_eq!(before.name, after.name);
        (&after.name, after.scans - before.scans, after.rows - before.rows)
    });
    read.filter(|(_, scans, rows)| *scans > 0 || *rows > i64::from(FETCHED))
        .map(|(name, scans, rows)| {
            format!("{name} was read {scans} times from end to end, and {rows} rows of it by index")
        })
        .collect()
}

/// Indexes over the few rows of one state, which may be walked from end to end.
const OF_FEW: [&str; 5] = ["pages_ready", "pages_leased", "pages_uncertain", "callbacks_pending", "callbacks_failed"];

/// What members of segments go by in statements.
const OF_SEGMENTS: [&str; 3] = ["segment_members", "s", "e"];

/// SQLite: what it plans for the statements that were run.
fn planned(conn: &mut SqliteConnection, mut statements: Vec<String>) -> Vec<String> {
    statements.sort();
    statements.dedup();
    let mut complaints = Vec::new();
    for statement in statements
        .iter()
        .filter(|text| ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].iter().any(|verb| text.starts_with(verb)))
    {
        let lines: Vec<Line> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load(conn).unwrap();
        let scans = lines.into_iter().map(|line| line.detail).filter(|detail| {
            let table = |verb: &str| detail.strip_prefix(verb).and_then(|rest| rest.split(' ').next());
            let scanned = table("SCAN ").unwrap_or_default();
            let is_scan = ["deliveries", "contacts", "pages", "page_reports", "callbacks", "deliverability", "d", "p"]
                .contains(&scanned)
                && !OF_FEW.iter().any(|index| detail.contains(index));
            // Not all members of a segment, but those of a stretch, or one.
            let of_segment = table("SEARCH ").unwrap_or(scanned);
            is_scan
                || statement.contains("segment_members")
                    && OF_SEGMENTS.contains(&of_segment)
                    && !detail.contains("contact_id")
        });
        complaints.extend(scans.map(|detail| format!("{detail}: {statement}")));
    }
    complaints
}

async fn check(
    campaign: &Campaign,
    lane: Lane,
    what: &'static str,
    work: impl FnMut(&mut Conn) -> Result<(), StoreError> + Send + 'static,
) {
    let run = move |conn: &mut Conn| {
        goes_along_indexes(conn, lane, Transaction::Ours, what, work);
        Ok(())
    };
    campaign.store.run(lane, what, run).await.unwrap();
}

fn claim_of(leased: &Leased) -> Claim {
    Claim {
        page: leased.id(),
        campaign: leased.campaign.id,
        token: leased.token,
        after: ContactId(0),
        limit: 5,
        provider: crate::store::dispatch::packed::PROVIDER,
    }
}

async fn engine_now(campaign: &Campaign) -> UtcInstant {
    campaign.store.run(Lane::Read, "test", engine::now).await.unwrap()
}

both_backends! {
    async fn what_is_run_for_every_message_goes_along_indexes(db: &Database) {
        let campaign = with_history(db).await;
        let id = campaign.id;
        let leased = campaign.lease().await.unwrap();
        let claim = claim_of(&leased);
        let claims = move |conn: &mut Conn| {
            let work = |conn: &mut Conn| claims::claim(conn, claim).map(drop);
            goes_along_indexes(conn, Lane::Hot, Transaction::Its, "claim", work);
            Ok(())
        };
        campaign.store.run(Lane::Hot, "claim", claims).await.unwrap();
        let claimed = leased.claim(30).await;
        let batch = leased.accepted(&claimed);
        check(&campaign, Lane::Hot, "record", move |conn| outcomes::record(conn, &batch).map(drop)).await;
        let (page, token) = (leased.id(), leased.token);
        check(&campaign, Lane::Hot, "settle", move |conn| {
            pages::settle(conn, page, token, Duration::from_secs(3_600)).map(drop)
        })
        .await;
        let owner = Owner { instance: InstanceId(1), generation: 1 };
        check(&campaign, Lane::Hot, "lease", move |conn| {
            let wanted = Wanted { campaign: id, pool: POOL, which: WhichPage::Oldest, held: &[] };
            pages::lease(conn, wanted, owner, LeaseToken(7), Duration::from_secs(60)).map(drop)
        })
        .await;
        check(&campaign, Lane::Hot, "renew", move |conn| {
            pages::renew(conn, &[(page, token)], Duration::from_secs(60)).map(drop)
        })
        .await;
    }

    async fn what_is_looked_at_every_second_goes_along_indexes(db: &Database) {
        let campaign = with_history(db).await;
        let id = campaign.id;
        check(&campaign, Lane::Read, "due pages", |conn| pages::campaigns_with_ready_pages(conn, POOL).map(drop)).await;
        check(&campaign, Lane::Read, "open pages", move |conn| campaigns::has_open_page(conn, id).map(drop)).await;
        check(&campaign, Lane::Read, "open work", |conn| open_work::count(conn).map(drop)).await;
        check(&campaign, Lane::Read, "ended leases", |conn| {
            instances::doubtful_leases(conn, InstanceId(1), PageId(0), Duration::from_secs(10)).map(drop)
        })
        .await;
        if matches!(db.connect(), Conn::Pg(_)) {
            check(&campaign, Lane::Write, "pages to announce", |conn| announcements::take(conn, POOL).map(drop)).await;
        }
        check(&campaign, Lane::Read, "former leases", |conn| {
            instances::former_leases(conn, "slot", InstanceId(1), PageId(0)).map(drop)
        })
        .await;
        check(&campaign, Lane::Read, "statistics", move |conn| campaigns::counts(conn, id).map(drop)).await;
        check(&campaign, Lane::Read, "doubts", |conn| campaigns::glance::uncertain(conn, 21).map(drop)).await;
        // That of an ended campaign: it would be opened by what it finds.
        check(&campaign, Lane::Read, "pages of an ended campaign", |conn| {
            campaigns::has_open_page(conn, CampaignId(2)).map(drop)
        })
        .await;
        assert!(transact(&campaign.store, move |conn| campaigns::complete(conn, id)).await.unwrap().is_none());
    }

    async fn reports_go_along_indexes(db: &Database) {
        let campaign = with_history(db).await;
        let counted = "INSERT INTO page_reports SELECT campaign_id, id, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
            FROM pages WHERE campaign_id > 1";
        let count = move |conn: &mut Conn| {
            execute(conn, counted);
            Ok(())
        };
        campaign.store.run(Lane::Write, "test", count).await.unwrap();
        // Of a campaign with 100,000 deliveries on 2,500 pages, of which twenty are counted, and twenty more in each run.
        let delivery = |n: i64| DeliveryId { campaign: CampaignId(2), contact: ContactId(1_001 + 40 * n) };
        let mut run = 0;
        let apply = move |conn: &mut Conn| {
            run += 1;
            let line = |n: i64| reports::Line {
                key: EventKey::of(&EventSource::of_pool(POOL), &format!("{run}-{n}")),
                delivery: delivery(20 * run + n),
                kind: ReportKind::Delivered,
                occurred_at: None,
                details: serde_json::Map::new(),
            };
            let applied = reports::apply(conn, &(0..20).map(line).collect::<Vec<_>>())?;
            assert_eq!(applied.fates, [reports::Fate::Counted; 20]);
            Ok(())
        };
        check(&campaign, Lane::Write, "apply reports", apply).await;
        let doubted = (0..20).map(delivery).collect();
        let doubt = "UPDATE deliveries SET state = 'uncertain', reported = 1 WHERE campaign_id = 2 AND contact_id IN (";
        let contacts = (0..20).map(|n| delivery(n).contact.to_string()).collect::<Vec<_>>().join(", ");
        let pages = "UPDATE pages SET sent = sent - 1, uncertain = uncertain + 1 WHERE campaign_id = 2 AND seq <= 20";
        let doubt = format!("{doubt}{contacts}); {pages}");
        let settle = move |conn: &mut Conn| {
            execute(conn, &doubt);
            assert_eq!(reported::settle(conn, &doubted)?.sent, 20);
            Ok(())
        };
        check(&campaign, Lane::Write, "settle by reports", settle).await;
        let id = campaign.id;
        check(&campaign, Lane::Read, "statistics with reports", move |conn| {
            let row = campaigns::find(conn, id)?.expect("the campaign is there");
            campaigns::details(conn, &[row]).map(drop)
        })
        .await;
    }

    async fn what_became_of_messages_is_read_along_indexes(db: &Database) {
        let campaign = with_history(db).await;
        let today = UtcDay::of(engine_now(&campaign).await).0;
        // 200 domains of two pools on each of 400 days.
        let filled = format!("
            INSERT INTO deliverability (day, pool, domain, sent, delivered, soft_bounced, hard_bounced, complained)
                WITH RECURSIVE d (d) AS (SELECT 0 UNION ALL SELECT d + 1 FROM d WHERE d < 399),
                    n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 200),
                    p (p) AS (SELECT 'main' UNION ALL SELECT 'other')
                SELECT {today} - d, p, 'd' || n || '.example', 1, 0, 0, 0, 0 FROM d, n, p GROUP BY d, n, p;
            ANALYZE;");
        let fill = move |conn: &mut Conn| {
            execute(conn, &filled);
            Ok(())
        };
        campaign.store.run(Lane::Write, "fill", fill).await.unwrap();
        let day = UtcDay(today);
        let of = |pool: Option<&str>, domain: Option<&str>, from: Option<UtcDay>| deliverability::Filter {
            pool: pool.map(ToOwned::to_owned),
            domain: domain.map(ToOwned::to_owned),
            from,
            to: None,
        };
        let after = (day.minus(7).0, "main".to_owned(), "d7.example".to_owned());
        for (what, filter, after, found) in [
            ("all", of(None, None, None), None, 100),
            ("all, further on", of(None, None, None), Some(after), 100),
            ("a pool", of(Some("main"), None, None), None, 100),
            ("a domain", of(None, Some("d7.example"), None), None, 60),
            ("a domain of a pool on some days", of(Some("main"), Some("d7.example"), Some(day.minus(3))), None, 4),
        ] {
            let list = move |conn: &mut Conn| {
                let rows = deliverability::list(conn, &filter, after.as_ref(), 100)?;
                assert_eq!(rows.len(), found, "{what}");
                Ok(())
            };
            check(&campaign, Lane::Read, what, list).await;
        }
        let news = (0..20).map(|n| reports::Line {
            key: EventKey::of(&EventSource::of_pool(POOL), &n.to_string()),
            delivery: DeliveryId { campaign: CampaignId(2), contact: ContactId(1_001 + 40 * n) },
            kind: ReportKind::Delivered,
            occurred_at: None,
            details: serde_json::Map::new(),
        });
        let news: Vec<reports::Line> = news.collect();
        transact(&campaign.store, move |conn| Ok(reports::apply(conn, &news)?)).await.unwrap();
        check(&campaign, Lane::Write, "fold", |conn| deliverability::fold(conn).map(drop)).await;
        check(&campaign, Lane::Write, "remove old days", |conn| deliverability::prune(conn).map(drop)).await;
    }

    async fn callbacks_that_failed_are_listed_along_an_index(db: &Database) {
        let campaign = with_history(db).await;
        // One of 100,000 could not be understood, and one is to be read.
        let filled = "
            INSERT INTO callbacks (pool, format, content_type, key, received_at, state, attempts, next_attempt_at)
                WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000)
                SELECT 'main', 'postmark', '', 'k' || n, 0, CASE n WHEN 5 THEN 'failed' WHEN 9 THEN 'pending' ELSE 'done' END, 1, 0
                FROM n;
            ANALYZE;";
        let fill = move |conn: &mut Conn| {
            execute(conn, filled);
            Ok(())
        };
        campaign.store.run(Lane::Write, "fill", fill).await.unwrap();
        for pool in [None, Some("main")] {
            check(&campaign, Lane::Read, "callbacks that failed", move |conn| {
                assert_eq!(callbacks::failed(conn, pool, None, 20)?.len(), 1);
                Ok(())
            })
            .await;
        }
        check(&campaign, Lane::Read, "callbacks to read", |conn| {
            assert_eq!(callbacks::pending(conn)?, (1, 1));
            Ok(())
        })
        .await;
    }

    async fn contacts_are_found_by_many_keys_along_indexes(db: &Database) {
        let campaign = with_history(db).await;
        let person = |n: i64| {
            let fields = Fields { email: Some(format!("person{}@example.com", 1_001 + 900 * n)), ..Fields::default() };
            ContactDraft { fields, ..ContactDraft::default() }
        };
        let drafts: Vec<ContactDraft> = (0..100).map(person).collect();
        check(&campaign, Lane::Write, "find", move |conn| {
            let scribe = Scribe::of(Source::API);
            let mut ledger = Ledger::new(&scribe);
            let now = engine::now(conn)?;
            contacts::apply(conn, &mut ledger, &drafts, &Joining::NOTHING, now)?;
            ledger.close(conn)
        })
        .await;
    }

    async fn a_list_of_deliveries_goes_along_indexes(db: &Database) {
        let campaign = with_history(db).await;
        let id = campaign.id;
        for state in [None, Some(DeliveryState::Pending), Some(DeliveryState::Uncertain)] {
            check(&campaign, Lane::Read, "list", move |conn| {
                deliveries::list(conn, id, state, ContactId(0), 20).map(drop)
            })
            .await;
        }
        // One among 100,000, on the last of 2,500 pages: that page is read, and no other.
        let fail_one = |conn: &mut Conn| {
            execute(conn, "UPDATE deliveries SET state = 'failed' WHERE campaign_id = 2 AND contact_id = 101000;
                UPDATE pages SET sent = sent - 1, failed = 1 WHERE campaign_id = 2 AND last_contact_id = 101000;");
            let list = |conn: &mut Conn| {
                let found = deliveries::list(conn, CampaignId(2), Some(DeliveryState::Failed), ContactId(0), 20)?;
                assert_eq!(found.iter().map(|(row, _)| row.contact_id).collect::<Vec<_>>(), [ContactId(101_000)]);
                Ok(())
            };
            goes_along_indexes(conn, Lane::Read, Transaction::Its, "list the one that failed", list);
            Ok(())
        };
        campaign.store.run(Lane::Write, "fail one", fail_one).await.unwrap();
        let old = CampaignId(2);
        check(&campaign, Lane::Read, "list of an old campaign", move |conn| {
            deliveries::list(conn, old, None, ContactId(50_000), 20).map(drop)
        })
        .await;
    }
}
