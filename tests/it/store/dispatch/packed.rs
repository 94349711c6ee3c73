//! A launched campaign, straight in the database: no process, no provider.

use std::time::Duration;

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use volley::domain::campaigns::audience::Audience;
use volley::domain::campaigns::{CampaignEvent, CampaignStatus, OnUncertain};
use volley::domain::channel::ChannelKind;
use volley::domain::content::category::Category;
use volley::domain::content::tracking::Tracking;
use volley::domain::dispatch::answer::{AnswerClass, Refusal};
use volley::domain::dispatch::claim::ClaimKey;
use volley::domain::dispatch::delivery::DeliveryState;
use volley::domain::dispatch::fingerprint::ProviderFingerprint;
use volley::domain::dispatch::lease::{Lease, LeaseToken, Owner};
use volley::domain::dispatch::outcome::Outcome;
use volley::domain::dispatch::page::Counts;
use volley::domain::dispatch::retries::Retries;
use volley::domain::dispatch::settlement::{Attempt, Settlement, Verdict, settle};
use volley::domain::dispatch::trouble::Trouble;
use volley::domain::ids::{CampaignId, ContactId, InstanceId, PageId, TemplateVersionId};
use volley::domain::instant::UtcInstant;
use volley::domain::people::link::Kid;
use volley::store::campaigns::launch::{self, Launch};
use volley::store::campaigns::{self, CampaignRow, NewCampaign, TransitionError};
use volley::store::dispatch::claims::{self, Claim, ClaimOutcome, Claimed};
use volley::store::dispatch::deliveries::{self, Audit};
use volley::store::dispatch::outcomes::{self, Recorded};
use volley::store::dispatch::packing::{self, Packed};
use volley::store::dispatch::pages::{self, PageRow, Wanted, WhichPage};
use volley::store::{Conn, Lane, Store, StoreError};

use crate::support::Database;

pub(in crate::store) const POOL: &str = "main";

/// The provider that the pool hands over to.
pub(in crate::store) const PROVIDER: ProviderFingerprint = ProviderFingerprint(1 << 32 | 1);

/// A campaign to `people` contacts, launched; packed by those who ask for it.
#[derive(Clone)]
pub(in crate::store) struct Campaign {
    pub(in crate::store) store: Store,
    pub(in crate::store) id: CampaignId,
}

impl Campaign {
    pub(in crate::store) async fn launched(db: &Database, people: i64) -> Self {
        Self::launched_to(db, people, Audience::everyone(), "SELECT 1").await
    }

    /// The same to an audience that `prepare`, an SQL script, may have made the lists for.
    pub(in crate::store) async fn launched_to(
        db: &Database,
        people: i64,
        audience: Audience,
        prepare: &'static str,
    ) -> Self {
        let settings = volley::config::Database {
            url: volley::config::secret::Secret::new(db.url()),
            hot_connections: 8,
            ..volley::config::Database::default()
        };
        let store = Store::open(&settings).unwrap();
        store.migrate().await.unwrap();
        let id = write(&store, move |conn| {
            execute(conn, &people_sql(people));
            execute(conn, prepare);
            execute(
                conn,
                "INSERT INTO template_versions (id, version, subject, body_text, created_at) VALUES (1, 1, '', '', 0)",
            );
            launch_to(conn, audience)
        })
        .await
        .unwrap();
        Self { store, id }
    }

    /// Another campaign in the same database, launched to this audience.
    pub(in crate::store) async fn beside(&self, audience: Audience) -> Self {
        let id = write(&self.store, move |conn| launch_to(conn, audience)).await.unwrap();
        Self { store: self.store.clone(), id }
    }

    /// The same, packed into pages of that size.
    pub(in crate::store) async fn packed(db: &Database, people: i64, page_size: i64) -> Self {
        let campaign = Self::launched(db, people).await;
        while campaign.pack_page(page_size).await.unwrap() != Packed::Done {}
        campaign
    }

    pub(in crate::store) async fn pack_page(&self, size: i64) -> Result<Packed, StoreError> {
        let id = self.id;
        write(&self.store, move |conn| packing::pack_page(conn, id, size)).await
    }

    /// Leases the next ready page, for an owner that nobody else is.
    pub(in crate::store) async fn lease(&self) -> Option<Leased> {
        self.lease_beside(Vec::new()).await
    }

    /// The same for another pool than [`POOL`].
    pub(in crate::store) async fn lease_for(&self, pool: &'static str) -> Option<Leased> {
        self.lease_as(pool, Vec::new()).await
    }

    /// The same for a pool that holds pages already.
    pub(in crate::store) async fn lease_beside(&self, held: Vec<PageId>) -> Option<Leased> {
        self.lease_as(POOL, held).await
    }

    async fn lease_as(&self, pool: &'static str, held: Vec<PageId>) -> Option<Leased> {
        let id = self.id;
        let token = LeaseToken(i64::try_from(uuid::Uuid::new_v4().as_u128() >> 66).unwrap());
        let owner = Owner { instance: InstanceId(1), generation: 1 };
        let lease = Duration::from_secs(60);
        let page = write(&self.store, move |conn| {
            let wanted = Wanted { campaign: id, pool, which: WhichPage::Oldest, held: &held };
            pages::lease(conn, wanted, owner, token, lease)
        });
        page.await.unwrap().map(|page| Leased { campaign: self.clone(), page, token })
    }

    pub(in crate::store) async fn event(&self, event: CampaignEvent) -> Result<CampaignRow, TransitionError> {
        let id = self.id;
        transact(&self.store, move |conn| campaigns::transition(conn, id, event)).await
    }

    /// Rows and page counts, which have to agree.
    pub(in crate::store) async fn books(&self) -> Counts {
        let Audit { rows, pages, total, page_sizes } = self.audit().await;
        assert_eq!(rows, pages, "rows and page counts differ");
        assert_eq!((total, rows.total()), (page_sizes, page_sizes));
        rows
    }

    async fn audit(&self) -> Audit {
        let id = self.id;
        let run = self.store.run(Lane::Read, "audit", move |conn| conn.snapshot(|conn| deliveries::audit(conn, id)));
        run.await.unwrap()
    }
}

/// A page under a lease.
#[derive(Clone)]
pub(in crate::store) struct Leased {
    pub(in crate::store) campaign: Campaign,
    pub(in crate::store) page: PageRow,
    pub(in crate::store) token: LeaseToken,
}

impl Leased {
    pub(in crate::store) fn id(&self) -> PageId {
        self.page.id
    }

    pub(in crate::store) fn lease(&self) -> Lease {
        Lease { campaign: self.campaign.id, page: self.page.id, token: self.token }
    }

    pub(in crate::store) async fn try_claim(&self, limit: i64) -> Result<ClaimOutcome, StoreError> {
        self.try_claim_for(PROVIDER, limit).await
    }

    /// The same for a pool with that provider.
    pub(in crate::store) async fn try_claim_for(
        &self,
        provider: ProviderFingerprint,
        limit: i64,
    ) -> Result<ClaimOutcome, StoreError> {
        let (page, campaign, token) = (self.page.id, self.campaign.id, self.token);
        let claim = Claim { page, campaign, token, after: ContactId(0), limit, provider };
        self.campaign.store.run(Lane::Hot, "claim", move |conn| claims::claim(conn, claim)).await
    }

    /// Claims that many, which are there.
    pub(in crate::store) async fn claim(&self, limit: i64) -> Vec<Claimed> {
        match self.try_claim(limit).await.unwrap() {
            ClaimOutcome::Claimed { recipients, .. } => recipients,
            ClaimOutcome::NotSending { status, .. } => panic!("the campaign is {status}"),
            ClaimOutcome::Suspended => panic!("the pool is suspended"),
            ClaimOutcome::Moved => panic!("the campaign has another pool"),
            ClaimOutcome::Lost => panic!("the lease is over"),
        }
    }

    /// The same for a pool with that provider.
    pub(in crate::store) async fn claim_for(&self, provider: ProviderFingerprint, limit: i64) -> Vec<Claimed> {
        match self.try_claim_for(provider, limit).await.unwrap() {
            ClaimOutcome::Claimed { recipients, .. } => recipients,
            ClaimOutcome::NotSending { .. } | ClaimOutcome::Suspended | ClaimOutcome::Moved | ClaimOutcome::Lost => {
                panic!("nothing is claimed")
            }
        }
    }

    /// An outcome of a claimed recipient, ready to be recorded.
    pub(in crate::store) fn settlement(&self, claimed: &Claimed, verdict: Verdict) -> Settlement {
        let key = ClaimKey {
            campaign: self.campaign.id,
            contact: claimed.contact,
            claim_no: claimed.claim_no,
            token: self.token,
        };
        Settlement { key, page: self.page.id, verdict, key_valid_ms: None, content: None }
    }

    /// Acceptances of claimed recipients.
    pub(in crate::store) fn accepted(&self, claimed: &[Claimed]) -> Vec<Settlement> {
        claimed.iter().map(|claimed| self.settlement(claimed, verdict(&accepted()))).collect()
    }
}

pub(in crate::store) async fn record(store: &Store, batch: Vec<Settlement>) -> Result<Recorded, StoreError> {
    write(store, move |conn| outcomes::record(conn, &batch)).await
}

pub(in crate::store) fn accepted() -> Outcome {
    Outcome::Accepted { provider_id: None }
}

/// A recipient's own refusal.
pub(in crate::store) fn refused(permanent: bool, trouble: Trouble) -> Outcome {
    let signature = trouble.detail.clone();
    Outcome::Refused(Refusal { class: AnswerClass::Recipient, permanent, wait: None, signature, trouble })
}

/// What an outcome does to a first attempt.
pub(in crate::store) fn verdict(outcome: &Outcome) -> Verdict {
    let first = Attempt {
        attempts_before: 0,
        retries: &Retries::new(vec![Duration::from_secs(1)], Duration::from_secs(900), 4),
        retry_for: None,
        was_ambiguous: false,
        key_honoured: false,
        on_uncertain: OnUncertain::Hold,
        jitter: 0.5,
    };
    let verdict = settle(outcome, first);
    assert_ne!(verdict.state, DeliveryState::Sending);
    verdict
}

pub(in crate::store) async fn write<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&mut Conn) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    store.run(Lane::Hot, "test", move |conn| conn.write(work)).await
}

/// A transaction that may be refused.
pub(in crate::store) async fn transact<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&mut Conn) -> Result<T, TransitionError> + Send + 'static,
) -> Result<T, TransitionError> {
    let done = store.run(Lane::Control, "test", move |conn| {
        conn.write(|conn| match work(conn) {
            Err(TransitionError::Store(error)) => Err(error),
            other => Ok(other),
        })
    });
    done.await?
}

pub(in crate::store) fn execute(conn: &mut Conn, sql: &str) {
    match conn {
        Conn::Pg(conn) => conn.batch_execute(sql),
        Conn::Sqlite(conn) => conn.batch_execute(sql),
    }
    .expect("the statement is right");
}

/// The only number, named `n`, that a query finds.
pub(in crate::store) fn number(conn: &mut Conn, query: &str) -> i64 {
    #[derive(diesel::QueryableByName)]
    struct Number {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        n: i64,
    }
    let found: Number = match conn {
        Conn::Pg(conn) => diesel::sql_query(query).get_result(conn),
        Conn::Sqlite(conn) => diesel::sql_query(query).get_result(conn),
    }
    .expect("the query finds a number");
    found.n
}

/// A new campaign with the first content, launched.
fn launch_to(conn: &mut Conn, audience: Audience) -> Result<CampaignId, StoreError> {
    let new = NewCampaign {
        name: "A campaign".to_owned(),
        channel: ChannelKind::Email,
        status: CampaignStatus::Draft,
        pool: Some(POOL.to_owned()),
        template_id: None,
        template_version_id: Some(TemplateVersionId(1)),
        audience: None,
        on_uncertain: OnUncertain::Hold,
        rate_per_second: None,
        retry_for_ms: None,
        scheduled_at: None,
        category: Category::Marketing,
        topic_id: None,
        tracking: None,
        created_at: UtcInstant(0),
        updated_at: UtcInstant(0),
    };
    let campaign = campaigns::insert(conn, &new)?.id;
    let order = Launch {
        campaign,
        audience,
        template_version: TemplateVersionId(1),
        category: Category::Marketing,
        tracking: Tracking::NOTHING,
        links: Vec::new(),
        pool: POOL.to_owned(),
        key: "key".to_owned(),
        correlation_id: "00000000-0000-4000-8000-000000000000".to_owned(),
        link_kid: Kid::from_random([0; 3]),
    };
    launch::launch(conn, &order).expect("a draft can be launched");
    Ok(campaign)
}

fn people_sql(people: i64) -> String {
    let rows: Vec<String> = (1..=people).map(|n| format!("({n}, 'person{n}@example.com', 'First{n}', 0, 0)")).collect();
    format!("INSERT INTO contacts (id, email, first_name, created_at, updated_at) VALUES {}", rows.join(", "))
}
