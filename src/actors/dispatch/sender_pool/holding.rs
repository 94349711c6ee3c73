//! The pages that a pool holds: found, leased, renewed, settled.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;

use super::content::{CampaignContent, ContentError};
use super::run::{PageRun, Phase};
use super::{KEEP_WITHIN, SenderPool};
use crate::actors::dispatch::recorder::Acknowledged;
use crate::config::Settings;
use crate::domain::campaigns::CampaignStatus;
use crate::domain::dispatch::lease::{Lease, LeaseToken};
use crate::domain::dispatch::page::Counts;
use crate::domain::ids::{CampaignId, InstanceId, PageId};
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::decision::Subject;
use crate::domain::replicas::messages::Tracked;
use crate::runtime::clock::Boottime;
use crate::runtime::health::AttentionCode;
use crate::runtime::hints::PageSettled;
use crate::runtime::trust::Trust;
use crate::services::people::links::Links;
use crate::store::dispatch::pages::{self, PageRow, Settled, Wanted, WhichPage};
use crate::store::engine::fail_point::FailPoint;
use crate::store::{Conn, Lane, Store, StoreError, engine};

/// A lease that was won, and what goes with it.
type Won = (PageRow, LeaseToken, Trust, Arc<CampaignContent>);

impl SenderPool {
    pub(super) fn recorded(&mut self, Acknowledged { page, token }: Acknowledged) {
        if let Some(run) = self.holdings.under(page, token) {
            run.unrecorded = run.unrecorded.saturating_sub(1);
        }
    }

    pub(super) fn settle_finished(&mut self, ctx: &mut Context<Self>) {
        for page in self.holdings.finished() {
            self.settle(page, ctx);
        }
    }

    pub(super) fn settle(&mut self, page: PageId, ctx: &mut Context<Self>) {
        let keep = if self.draining() { Duration::ZERO } else { KEEP_WITHIN };
        let Some(run) = self.holdings.get_mut(page) else { return };
        let keep = if run.phase == Phase::Closing { Duration::ZERO } else { keep };
        run.phase = Phase::Settling;
        let token = run.token;
        let store = self.deps.store.clone();
        let work = async move {
            store
                .run(Lane::Hot, "settle a page", move |conn| {
                    let settled = conn.write(|conn| {
                        let settled = pages::settle(conn, page, token, keep)?;
                        FailPoint::Settle.pass();
                        Ok((settled, engine::now(conn)?))
                    });
                    FailPoint::Settled.pass();
                    settled
                })
                .await
        };
        ctx.spawn(work.into_actor(self).map(move |result, pool, ctx| {
            pool.settled(page, token, result, ctx);
            pool.pump(ctx);
        }));
    }

    pub(super) fn settled(
        &mut self,
        page: PageId,
        token: LeaseToken,
        result: Result<(Settled, UtcInstant), StoreError>,
        ctx: &mut Context<Self>,
    ) {
        // The page may have been leased again before this answer came: what it says is about the lease before.
        if self.holdings.under(page, token).is_none() {
            return;
        }
        match result {
            Ok((Settled::Kept(due), now)) => {
                // At least until others may have come due, too: a claim for each would cost more than the wait.
                let wait = Duration::from_millis(u64::try_from(due.0 - now.0).unwrap_or(0));
                let wait = wait.max(self.deps.timing.due_tick());
                if let Some(run) = self.holdings.get_mut(page) {
                    run.phase = Phase::Resting(Instant::now() + wait);
                }
                ctx.run_later(wait, |pool, ctx| pool.due(ctx));
            }
            Ok((Settled::Done(counts), _)) => {
                if let Some(run) = self.holdings.remove(page) {
                    self.deps.announcer.tracked(&Tracked::page(run.campaign, run.seq, counts));
                    self.report(&run, counts);
                    // A lost hint costs one tick of the campaign driver.
                    let _ = self.deps.settled.try_send(PageSettled { campaign: run.campaign });
                }
            }
            Ok((Settled::Ready(counts), _)) => {
                if let Some(run) = self.holdings.remove(page) {
                    self.report(&run, counts);
                }
            }
            Ok((Settled::Lost, _)) => {
                self.holdings.remove(page);
            }
            Err(error) => {
                self.store_failed(&error);
                if let Some(run) = self.holdings.get_mut(page) {
                    run.phase = Phase::Settling;
                }
                // The page stays leased and renewed; its settlement is tried again.
                ctx.run_later(self.deps.timing.due_tick(), move |pool, ctx| {
                    if let Some(run) = pool.holdings.under(page, token) {
                        run.phase = Phase::Closing;
                    }
                    pool.pump(ctx);
                });
            }
        }
        if self.holdings.is_empty() {
            self.follow_pace();
        }
        self.forget_idle();
    }

    /// Says how a page stands whose lease has ended in order. Who is pending waits for a retry, unless the campaign was
    /// paused or stopped or the process drains: those are `aborted`.
    fn report(&self, run: &PageRun, counts: Counts) {
        let halted = self.deps.status.get(run.campaign).is_some_and(|status| status != CampaignStatus::Sending);
        let aborted = if halted || self.draining() { counts.pending } else { 0 };
        tracing::info!(
            event = "campaign.batch.processed",
            campaign.id = run.campaign.0,
            correlation.id = run.content.correlation,
            page.seq = run.seq,
            dispatched = counts.sent,
            failed = counts.failed,
            skipped = counts.skipped,
            uncertain = counts.uncertain,
            retrying = counts.pending - aborted,
            aborted,
            "a pool has given a page back"
        );
    }

    /// Drops a page whose lease was ended elsewhere, which has resolved what was claimed under it. What is still
    /// under way reports to the recorder by the old token, and nobody here waits for it: a call that never ends must not
    /// keep the page from this pool.
    pub(super) fn let_go(&mut self, page: PageId, token: LeaseToken) {
        if let Some(run) = self.holdings.under(page, token) {
            run.trust.end();
            self.holdings.remove(page);
            // What was held of it goes back at once.
            self.look_at_held();
        }
    }

    /// Compiled content and rates of campaigns that hold no page go, so that memory follows the work.
    pub(super) fn forget_idle(&mut self) {
        let files = |content: &CampaignContent| content.attachments.iter().map(|file| file.base64.len()).sum();
        if self.holdings.forget_idle(files) {
            let held = self.holdings.campaigns();
            self.admission.forget_idle(&held, Instant::now());
            self.turns.forget_idle(&held);
        }
    }

    /// Rested pages whose retry has come due go round again.
    pub(super) fn due(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        for run in self.holdings.all_mut() {
            if matches!(run.phase, Phase::Resting(until) if until <= now) {
                run.restart();
            }
        }
        self.pump(ctx);
    }

    pub(super) fn close_paused(&mut self) {
        let suspended = self.suspended();
        for run in self.holdings.all_mut() {
            // A lease that the reaper has fenced and then not ended, because something had moved on the page, goes back in order.
            if suspended || run.trust.has_ended() {
                run.close();
            }
            let known = self.deps.status.get(run.campaign);
            if known.is_some_and(|status| status != CampaignStatus::Sending) {
                run.close();
            }
        }
    }

    /// Asks the database which campaigns have work for this pool.
    pub(super) fn look(&mut self, ctx: &mut Context<Self>) {
        self.looking = true;
        self.looked = Instant::now();
        let (store, pool) = (self.deps.store.clone(), self.context.pool.clone());
        let work = async move {
            store
                .run(Lane::Read, "look for ready pages", move |conn| pages::campaigns_with_ready_pages(conn, &pool))
                .await
        };
        ctx.spawn(work.into_actor(self).map(|result, pool, ctx| {
            pool.looking = false;
            match result {
                Ok(campaigns) => {
                    campaigns.into_iter().for_each(|campaign| pool.turns.found(campaign));
                    pool.lease(ctx);
                }
                Err(error) => pool.store_failed(&error),
            }
        }));
    }

    /// Leases one more page: one that the broker announced, else one for the campaign that holds the fewest.
    pub(super) fn lease(&mut self, ctx: &mut Context<Self>) {
        let idle =
            self.admission.tempo.member.shared.circuit.is_open() && !self.holdings.is_empty() || self.suspended();
        if self.holdings.leasing || self.draining() || idle {
            return;
        }
        if self.holdings.is_full() {
            return self.make_room(ctx);
        }
        let Some((campaign, which, offer)) = self.next_page() else { return };
        self.holdings.leasing = true;
        let (store, pool, owner) = (self.deps.store.clone(), self.context.pool.clone(), self.owner);
        let (lease, trust) = (self.deps.timing.lease(), self.deps.timing.lease_trust());
        let known = self.holdings.contents.get(&campaign).cloned();
        let held: Vec<PageId> = self.holdings.all().map(|run| run.id).collect();
        let trusts = self.deps.trusts.clone();
        let (links, settings) = (self.deps.links.clone(), Arc::clone(&self.deps.settings));
        let work = async move {
            let trust = Trust::until(Boottime::now().plus(trust));
            let content = match known {
                Some(content) => content,
                None => load_content(&store, links, settings, campaign).await?,
            };
            let token = fresh_token(owner.instance)?;
            trusts.enter(token, &trust);
            let row = store
                .run(Lane::Hot, "lease a page", move |conn| {
                    conn.write(|conn| {
                        pages::lease(conn, Wanted { campaign, pool: &pool, which, held: &held }, owner, token, lease)
                    })
                })
                .await?;
            Ok(row.map(|row| (row, token, trust, content)))
        };
        ctx.spawn(work.into_actor(self).map(move |result, pool, ctx| {
            pool.holdings.leasing = false;
            // The lease has committed, or there was none to be had: the broker need not keep the message.
            drop(offer);
            pool.leased(campaign, which, result);
            pool.pump(ctx);
        }));
    }

    pub(super) fn leased(&mut self, campaign: CampaignId, which: WhichPage, result: Result<Option<Won>, ContentError>) {
        match result {
            Ok(Some((row, token, trust, content))) => {
                self.deps.health.note_campaign(campaign, None);
                if !self.admission.rates.contains_key(&campaign) {
                    self.follow_rate(campaign, content.rate_per_second);
                }
                let flow = self.deps.in_flight.of(Subject::Campaign(campaign));
                self.deps.journal.leased(Lease { campaign, page: row.id, token });
                self.turns.leased(campaign);
                self.holdings.insert(PageRun::new(&row, token, trust, content, flow));
            }
            // Somebody was faster, or the message was old.
            Ok(None) if which != WhichPage::Oldest => self.turns.offer_failed(),
            // No page of this campaign is ready: the next look brings it back.
            Ok(None) => self.turns.exhausted(campaign, self.holdings.has(campaign)),
            Err(error) => self.not_leased(campaign, which, error),
        }
    }

    fn not_leased(&mut self, campaign: CampaignId, which: WhichPage, error: ContentError) {
        self.turns.not_leased();
        match error {
            ContentError::Store(error) => self.store_failed(&error),
            // A message may name what does not exist.
            error @ (ContentError::NotLaunched | ContentError::Template(_)) if which != WhichPage::Oldest => {
                tracing::debug!(
                    event = "page.announced_unusable",
                    campaign.id = campaign.0,
                    error = %error,
                    "an announced page cannot be leased"
                );
            }
            error @ (ContentError::NotLaunched | ContentError::Template(_)) => {
                tracing::error!(
                    event = "campaign.content_unusable",
                    campaign.id = campaign.0,
                    error = %error,
                    "the campaign cannot be rendered, so none of its pages is leased"
                );
                self.deps.health.note_campaign(campaign, Some((AttentionCode::ContentUnusable, error.to_string())));
                self.turns.remove(campaign);
            }
        }
    }

    pub(super) fn renew(&mut self, ctx: &mut Context<Self>) {
        let leases: Vec<(PageId, LeaseToken)> = self.holdings.all().map(|run| (run.id, run.token)).collect();
        if leases.is_empty() {
            return;
        }
        let trust = Boottime::now().plus(self.deps.timing.lease_trust());
        let (store, lease) = (self.deps.store.clone(), self.deps.timing.lease());
        let asked = leases.clone();
        let work = async move {
            store
                .run(Lane::Hot, "renew leases", move |conn| conn.write(|conn| pages::renew(conn, &leases, lease)))
                .await
        };
        ctx.spawn(work.into_actor(self).map(move |result, pool, ctx| match result {
            Ok(renewed) => {
                for (page, token) in asked {
                    let Some(run) = pool.holdings.under(page, token) else { continue };
                    if renewed.contains(&page) {
                        run.trust.extend(trust);
                    } else if run.phase != Phase::Settling {
                        pool.let_go(page, token);
                    }
                }
                pool.pump(ctx);
            }
            Err(error) => pool.store_failed(&error),
        }));
    }
}

async fn load_content(
    store: &Store,
    links: Links,
    settings: Arc<Settings>,
    campaign: CampaignId,
) -> Result<Arc<CampaignContent>, ContentError> {
    let load = move |conn: &mut Conn| match CampaignContent::load(conn, campaign, &links, &settings) {
        Err(ContentError::Store(error)) => Err(error),
        other => Ok(other),
    };
    let loaded = store.run(Lane::Read, "load a campaign's content", load).await?;
    loaded.map(Arc::new)
}

fn fresh_token(owner: InstanceId) -> Result<LeaseToken, StoreError> {
    let random = getrandom::u64().map_err(|source| StoreError::NoRandomness { detail: source.to_string() })?;
    Ok(LeaseToken::made_for(owner, random))
}
