//! The paginator of one campaign: audience → pages, a few per transaction, resumable at the cursor.

use std::time::Duration;

use actix::prelude::*;
use serde::Serialize;

use crate::actors::replicas::broker_link::outbox::Announcer;
use crate::domain::ids::{CampaignId, ContactId};
use crate::runtime::directory::PoolDirectory;
use crate::runtime::health::Health;
use crate::store::campaigns::Unfinished;
use crate::store::dispatch::packing::{self, Packed, Summary};
use crate::store::{Conn, Lane, Store, StoreError};

/// How long a paginator waits when the database does not answer.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Recipients per transaction, give or take a page: some 10 ms of work.
const ROWS_PER_STEP: i64 = 4_000;

/// So many refusals in a row are no accident.
const STUCK_AFTER: u32 = 3;

/// How long it is waited then, before it is tried again.
const RETRY_STUCK_AFTER: Duration = Duration::from_secs(5);

/// Pages per transaction at most: each takes some statements, however few it holds, and a pause waits for them.
const PAGES_PER_STEP: i64 = 50;

/// Packs one campaign, and stops when that is done or the campaign is paused; the campaign driver starts another on resume.
pub struct Paginator {
    store: Store,
    pools: PoolDirectory,
    announcer: Announcer,
    campaign: CampaignId,
    pool: String,
    correlation: Option<String>,
    page_size: i64,
    pages: u64,
    recipients: i64,
    cursor: Option<ContactId>,
    waits_for: Option<&'static str>,
    /// Whether the audience has filters. That is known when a step has packed nothing for want of a look.
    looks_ahead: bool,
    health: Health,
    /// What the database said when it refused the last step, although it answers, and how often in a row.
    refused: Option<(String, u32)>,
}

/// Packs nothing more; what is packed stays, and the cursor with it.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Quiesce;

/// Reports how far it is.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "PaginatorState")]
pub struct GetState;

/// The progress of a paginator.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PaginatorState {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// Pages made by this paginator.
    pub pages: u64,
    /// Recipients on them.
    pub recipients: i64,
    /// Everyone of the audience up to this contact is packed; `null` before its first page.
    pub cursor_contact_id: Option<ContactId>,
    /// `database` while that does not answer.
    pub waits_for: Option<&'static str>,
}

impl Paginator {
    /// A paginator for a launched campaign.
    #[must_use]
    pub fn new(
        store: Store,
        pools: PoolDirectory,
        announcer: Announcer,
        health: Health,
        campaign: &Unfinished,
        page_size: i64,
    ) -> Self {
        let (pool, correlation) = (campaign.pool.clone().unwrap_or_default(), campaign.correlation_id.clone());
        Self {
            store,
            pools,
            announcer,
            campaign: campaign.id,
            pool,
            correlation,
            page_size,
            pages: 0,
            recipients: 0,
            cursor: None,
            waits_for: None,
            looks_ahead: false,
            health,
            refused: None,
        }
    }

    fn step(&mut self, ctx: &mut Context<Self>) {
        let (store, campaign, page_size) = (self.store.clone(), self.campaign, self.page_size);
        let pages = usize::try_from((ROWS_PER_STEP / page_size.max(1)).clamp(1, PAGES_PER_STEP)).unwrap_or(1);
        let looks_ahead = self.looks_ahead;
        let work = async move {
            let look = move |conn: &mut Conn| packing::look_ahead(conn, campaign, page_size);
            let ahead = match looks_ahead {
                true => store.run(Lane::Read, "ask filters about the next page", look).await?,
                false => None,
            };
            store
                .run(Lane::Write, "pack pages", move |conn| {
                    let packed = conn.write(|conn| packing::pack_pages(conn, campaign, page_size, pages, ahead))?;
                    let is_done = packed.last() == Some(&Packed::Done);
                    let summary = if is_done { packing::summary(conn, campaign)? } else { None };
                    Ok((packed, summary))
                })
                .await
        };
        ctx.spawn(work.into_actor(self).map(|result, paginator, ctx| paginator.packed(result, ctx)));
    }

    fn packed(&mut self, result: Result<(Vec<Packed>, Option<Summary>), StoreError>, ctx: &mut Context<Self>) {
        self.waits_for = None;
        let (packed, summary) = match result {
            Ok(packed) => {
                self.refused = None;
                self.health.note_packing(self.campaign, None);
                packed
            }
            Err(error) => {
                self.waits_for = Some("database");
                let wait = self.failed(&error);
                ctx.run_later(wait, |paginator, ctx| paginator.step(ctx));
                return;
            }
        };
        let mut any_pending = false;
        let mut goes_on = true;
        for packed in packed {
            match packed {
                Packed::Page { size, pending, up_to, .. } => {
                    self.cursor = Some(up_to);
                    self.pages += 1;
                    self.recipients += size;
                    any_pending |= pending > 0;
                }
                Packed::Nobody => {}
                Packed::Done => {
                    self.report(summary.as_ref());
                    goes_on = false;
                }
                Packed::NotSending(status) => {
                    tracing::info!(
                        event = "campaign.pagination_aborted",
                        campaign.id = self.campaign.0,
                        correlation.id = self.correlation,
                        campaign.status = status.as_str(),
                        pages = self.pages,
                        "packing ended early: the campaign is no longer sending"
                    );
                    goes_on = false;
                }
                Packed::Overtaken => goes_on = false,
                Packed::LookAgain => self.looks_ahead = true,
            }
        }
        if any_pending {
            self.pools.wake(&self.pool);
            self.announcer.pages();
        }
        if goes_on { self.step(ctx) } else { ctx.stop() }
    }

    /// Says that a step has failed, and how long to wait for the next one. A database that is away comes back; one that answers, and
    /// refuses the same again and again, needs a person.
    fn failed(&mut self, error: &StoreError) -> Duration {
        let cause = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
        let told = format!("{error}{cause}");
        let is_away = error.is_outage() || self.health.vital().is_some();
        let before = self.refused.take().filter(|(known, _)| *known == told && !is_away).map_or(0, |(_, times)| times);
        let times = if is_away { 0 } else { before + 1 };
        self.refused = Some((told, times));
        if times < STUCK_AFTER {
            tracing::warn!(
                event = "campaign.packing_failed",
                campaign.id = self.campaign.0,
                error = %error,
                "the audience cannot be packed now; it is tried again"
            );
            return RETRY_AFTER;
        }
        let detail = format!("the audience cannot be packed, and it is tried again: {error}{cause}");
        if self.health.note_packing(self.campaign, Some(detail)) {
            tracing::error!(
                event = "campaign.packing_stuck",
                campaign.id = self.campaign.0,
                correlation.id = self.correlation,
                error = %error,
                causes = cause,
                "the audience cannot be packed: the database refuses it again and again"
            );
        }
        RETRY_STUCK_AFTER
    }

    fn report(&self, summary: Option<&Summary>) {
        let Some(summary) = summary else { return };
        if summary.contacts == 0 {
            tracing::warn!(
                event = "campaign.audience_empty",
                campaign.id = self.campaign.0,
                correlation.id = self.correlation,
                "the campaign has no contacts, so it ends without a message"
            );
        }
        tracing::info!(
            event = "campaign.packed",
            campaign.id = self.campaign.0,
            correlation.id = self.correlation,
            audienceSize = summary.expected,
            validContacts = summary.contacts - summary.unreachable,
            invalidContacts = summary.unreachable,
            strategy = summary.strategy,
            "the whole audience is packed"
        );
        tracing::info!(
            event = "campaign.paginated",
            campaign.id = self.campaign.0,
            correlation.id = self.correlation,
            pages = summary.pages,
            contacts = summary.contacts,
            "the audience is divided into pages"
        );
    }
}

impl Actor for Paginator {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.step(ctx);
    }
}

impl Handler<Quiesce> for Paginator {
    type Result = ();

    fn handle(&mut self, _: Quiesce, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Handler<GetState> for Paginator {
    type Result = MessageResult<GetState>;

    fn handle(&mut self, _: GetState, _: &mut Self::Context) -> Self::Result {
        MessageResult(PaginatorState {
            campaign_id: self.campaign,
            pages: self.pages,
            recipients: self.recipients,
            cursor_contact_id: self.cursor,
            waits_for: self.waits_for,
        })
    }
}
