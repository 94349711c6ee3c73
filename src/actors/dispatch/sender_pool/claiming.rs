//! What may begin now: slots, tokens, turns; claims, and what becomes of the hand-overs that they start.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::prelude::*;

use super::admission::{Begun, Hold};
use super::hand_over::{HandOver, ProviderSignal, Start, hand_over};
use super::run::Phase;
use super::threads::Share;
use super::{Freed, SenderPool};
use crate::actors::dispatch::recorder::Record;
use crate::domain::campaigns::CampaignStatus;
use crate::domain::dispatch::claim::ClaimKey;
use crate::domain::dispatch::eligibility::address_for;
use crate::domain::dispatch::outcome::NotBegun;
use crate::domain::dispatch::pace::{Seconds, bin_of};
use crate::domain::dispatch::settlement::{Settlement, Verdict};
use crate::domain::ids::{CampaignId, PageId};
use crate::runtime::clock::Boottime;
use crate::runtime::health::AttentionCode;
use crate::store::dispatch::claims::{self, Claim, ClaimOutcome, Claimed};
use crate::store::{Lane, StoreError};

impl SenderPool {
    /// The page to claim from next, and how many: what can begin at once, no more.
    pub(super) fn next_claim(&mut self, ctx: &mut Context<Self>) -> Option<(PageId, usize)> {
        let now = Instant::now();
        let has_refusals = self.deps.spool.has_lines();
        let admitted = self.admission.admit(now, has_refusals, || self.holdings.has_claimable());
        match admitted.and_then(|free| self.choose(now, free)) {
            Ok(chosen) => {
                self.admission.chosen();
                if !self.admission.is_careful() {
                    self.context.halted.store(false, Ordering::Release);
                }
                Some(chosen)
            }
            Err(hold) => {
                self.wait_for(hold, ctx);
                None
            }
        }
    }

    /// Campaigns take turns; one that waits for its own rate is passed over.
    fn choose(&mut self, now: Instant, free: usize) -> Result<(PageId, usize), Hold> {
        let Self { turns, holdings, admission, .. } = self;
        let mut shortest: Option<Duration> = None;
        let chosen = turns.give(|campaign| {
            let run = holdings.claimable(campaign)?;
            let most = if run.single { 1 } else { free };
            match admission.admit_of(campaign, most, now) {
                Ok(n) => Some((run.id, n)),
                Err(wait) => {
                    shortest = Some(shortest.map_or(wait, |known| known.min(wait)));
                    None
                }
            }
        });
        chosen.ok_or_else(|| shortest.map_or(Hold::Nobody, Hold::CampaignRates))
    }

    /// Looks again when what holds the pool back may be over. Where no time is known, the due tick does, or the end of what is waited for.
    fn wait_for(&mut self, hold: Hold, ctx: &mut Context<Self>) {
        match hold {
            Hold::Linger => self.start_linger(ctx),
            Hold::Provider(Some(wait)) | Hold::PoolRate(wait) | Hold::CampaignRates(wait) => self.wake_in(wait, ctx),
            Hold::Journal | Hold::Refusals | Hold::Places | Hold::Nobody | Hold::Provider(None) => {}
        }
    }

    fn start_linger(&mut self, ctx: &mut Context<Self>) {
        if self.linger.is_none() {
            self.linger = Some(ctx.run_later(self.deps.timing.claim_linger(), |pool, ctx| {
                pool.linger = None;
                pool.admission.lingered();
                pool.pump(ctx);
            }));
        }
    }

    fn wake_in(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        // The due tick comes anyway, and so does the end of a call that is waited for; only shorter waits need a timer, and
        // of several the shortest.
        let at = Instant::now() + wait;
        let is_sooner = self.wake_timer.as_ref().is_none_or(|(known, _)| at < *known);
        if wait.is_zero() || wait >= self.deps.timing.due_tick() || !is_sooner {
            return;
        }
        let timer = ctx.run_later(wait.max(Duration::from_millis(1)), |pool, ctx| {
            pool.wake_timer = None;
            pool.pump(ctx);
        });
        if let Some((_, later)) = self.wake_timer.replace((at, timer)) {
            ctx.cancel_future(later);
        }
    }

    pub(super) fn claim(&mut self, page: PageId, n: usize, ctx: &mut Context<Self>) {
        let Some(run) = self.holdings.get_mut(page) else { return };
        run.claiming = true;
        let begun = self.admission.claim(run.campaign, n);
        let claim = Claim {
            page,
            campaign: run.campaign,
            token: run.token,
            after: run.cursor,
            limit: i64::try_from(n).unwrap_or(i64::MAX),
            provider: self.provider,
        };
        // Read before the claim is asked for: whatever the claim waits for counts against the deadline.
        let start =
            Start { by: Boottime::now().plus(self.deps.timing.start_deadline()), spool: self.deps.spool.emptiness() };
        let asked_at = Instant::now();
        let store = self.deps.store.clone();
        let work =
            async move { store.run(Lane::Hot, "claim recipients", move |conn| claims::claim(conn, claim)).await };
        ctx.spawn(work.into_actor(self).map(move |result, pool, ctx| {
            pool.admission.claimed(n, asked_at.elapsed());
            let count = pool.claimed(claim, (n, begun), start, result, ctx);
            pool.context.meters.waited(begun.waited, claim.campaign, count);
            pool.pump(ctx);
        }));
    }

    /// Begins who was claimed. Returns how many these are.
    pub(super) fn claimed(
        &mut self,
        Claim { page, campaign, token, .. }: Claim,
        (asked, Begun { admitted, careful, .. }): (usize, Begun),
        start: Start,
        result: Result<ClaimOutcome, StoreError>,
        ctx: &mut Context<Self>,
    ) -> usize {
        // Given back meanwhile, perhaps leased again: what was claimed was resolved when the lease was ended.
        let Some(run) = self.holdings.under(page, token) else {
            self.admission.give_back(campaign, asked, admitted);
            return 0;
        };
        run.claiming = false;
        let mut begun = 0;
        match result {
            Ok(ClaimOutcome::Claimed { recipients, cursor, exhausted, status_version, now }) => {
                run.cursor = cursor;
                if exhausted && run.phase == Phase::Working {
                    run.phase = Phase::Exhausted;
                }
                run.unrecorded += recipients.len();
                let found = recipients.len();
                self.deps.status.set(campaign, CampaignStatus::Sending, status_version);
                if found > 0 && Boottime::now() > start.by {
                    // None of them may begin. Without a word, that would look like a campaign that stands still.
                    let detail =
                        "claims take longer than timing.start_deadline_ms: the database is too slow or too far";
                    if self
                        .deps
                        .health
                        .note_pool(&self.context.pool, Some((AttentionCode::DatabaseSlow, detail.to_owned())))
                    {
                        tracing::warn!(
                            event = "pool.claims_late",
                            pool = self.context.pool,
                            "claims take longer than timing.start_deadline_ms: the database is too slow or too far"
                        );
                    }
                }
                let mut hand_overs = Vec::with_capacity(recipients.len());
                for claimed in recipients {
                    let key_lives = claimed.key_until.is_none_or(|until| until > now);
                    let over = self.prepare(page, claimed, (key_lives, status_version), start, (admitted, careful));
                    hand_overs.extend(over.and_then(|over| self.unless_its_domain_waits(over)));
                }
                begun = hand_overs.len();
                self.admission.tempo.member.started(begun, self.admission.tempo.now());
                self.begin(hand_overs);
            }
            Ok(ClaimOutcome::NotSending { status, status_version }) => {
                run.close();
                self.deps.status.set(campaign, status, status_version);
            }
            Ok(ClaimOutcome::Suspended) => {
                // The decision follower has not said so yet; it also says when it is over.
                run.close();
                self.deps.suspended.store(true, Ordering::Release);
            }
            // The other pool takes the page once this lease has ended.
            Ok(ClaimOutcome::Moved) => run.close(),
            Ok(ClaimOutcome::Lost) => {
                tracing::warn!(
                    event = "page.lease_lost",
                    page.id = page.0,
                    campaign.id = campaign.0,
                    "the pool has lost the lease of a page and stops its work on it"
                );
                run.trust.end();
                run.close();
            }
            Err(error) => {
                // The COMMIT may have happened. Nothing of it is handed over; the settlement gives its rows back.
                run.close();
                self.store_failed(&error);
            }
        }
        self.admission.give_back(campaign, asked.saturating_sub(begun), admitted);
        self.settle_finished(ctx);
        begun
    }

    fn prepare(
        &mut self,
        page: PageId,
        claimed: Claimed,
        (key_lives, status_version): (bool, i64),
        start: Start,
        (admitted, careful): (Seconds, bool),
    ) -> Option<HandOver> {
        let jitter = self.rng.f64();
        let run = self.holdings.get(page)?;
        Some(HandOver {
            key: ClaimKey {
                campaign: run.campaign,
                contact: claimed.contact,
                claim_no: claimed.claim_no,
                token: run.token,
            },
            claimed,
            page,
            content: Arc::clone(&run.content),
            flow: Arc::clone(&run.flow),
            trust: run.trust.clone(),
            start,
            key_lives,
            status_version,
            jitter,
            admitted,
            careful,
        })
    }

    /// A domain that is throttled alone waits alone: its recipients go back without having been asked for.
    fn unless_its_domain_waits(&self, over: HandOver) -> Option<HandOver> {
        let shared = &self.admission.tempo.member.shared;
        if shared.domains.is_empty() {
            return Some(over);
        }
        let domain = address_for(over.content.channel, &over.claimed.profile).ok().and_then(bin_of);
        let Some(wait) = shared.domain_wait(domain, self.admission.tempo.now()) else { return Some(over) };
        let wait_ms = i64::try_from(Duration::try_from_secs_f64(wait).unwrap_or_default().as_millis()).unwrap_or(0);
        let verdict = Verdict { wait_ms, ambiguous: over.claimed.ambiguous, ..Verdict::untouched() };
        let settlement = Settlement { key: over.key, page: over.page, key_valid_ms: None, verdict, content: None };
        self.context.inbox.take(Record { settlement, begun: None, ack: Arc::clone(&self.acks) });
        None
    }

    /// Starts each hand-over in a task of its own, on the thread with the least to carry.
    fn begin(&mut self, hand_overs: Vec<HandOver>) {
        let mut tasks: Vec<Vec<_>> = self.shares.iter().map(|_| Vec::new()).collect();
        for over in hand_overs {
            // A probe goes through a connection that was kept, if there is one: a new one may be one too many.
            let probes = over.careful;
            let emptiest = self
                .shares
                .iter()
                .zip(tasks.iter_mut())
                .min_by_key(|(share, _)| (probes && share.channel.kept() == 0, share.excess()));
            let Some((share, tasks)) = emptiest else { return };
            share.enter();
            self.admission.in_flight.fetch_add(1, Ordering::AcqRel);
            tasks.push(self.task(share.clone(), over));
        }
        for (share, tasks) in self.shares.iter().zip(tasks).filter(|(_, tasks)| !tasks.is_empty()) {
            share.begin(tasks);
        }
    }

    /// Waits for a place, hands over, and leaves the outcome with the recorder. The task's future is some kilobytes large: it
    /// is made where it runs, so that what travels is the hand-over alone.
    fn task(&self, share: Share, over: HandOver) -> impl AsyncFnOnce() + Send + 'static {
        let context = Arc::clone(&self.context);
        let (freed, ack) = (Arc::clone(&self.freed), Arc::clone(&self.acks));
        let in_flight = Arc::clone(&self.admission.in_flight);
        async move || {
            let (campaign, channel, admitted) = (over.key.campaign, over.content.channel, over.admitted);
            // Recipients that wait behind calls that hang are given back in time, too.
            let patience = over.start.by.remaining(Boottime::now());
            let place =
                if over.careful { None } else { Some(tokio::time::timeout(patience, share.places.acquire()).await) };
            let in_time = place.as_ref().is_none_or(Result::is_ok);
            let began = Instant::now();
            let result = hand_over(&context, &*share.channel, over, in_time, &ack).await;
            drop(place);
            if let Some((settlement, begun)) = result.settled {
                context.meters.became(channel, settlement.verdict.state);
                // A recorder that died takes the process with it, and the next start reads the outcome from the journal.
                context.inbox.take(Record { settlement, begun, ack });
            }
            share.leave();
            in_flight.fetch_sub(1, Ordering::AcqRel);
            let (signal, domain) = (result.signal, result.domain);
            freed.leave(Freed { campaign, signal, held: began.elapsed(), admitted, domain });
        }
    }

    pub(super) fn freed(&mut self, freed: Freed) {
        let Freed { campaign, signal, held, admitted, domain } = freed;
        let now = self.admission.tempo.now();
        if !matches!(signal, ProviderSignal::Untried(_)) {
            self.admission.called(held);
        }
        // What was not begun is given back below.
        if !matches!(signal, ProviderSignal::Untried(Some(_))) {
            self.admission.tempo.member.ended(admitted);
        }
        match signal {
            ProviderSignal::Accepted => {
                (self.admission.tempo.trouble, self.admission.tempo.clears) = (None, true);
                self.admission.tempo.member.accepted(now - held.as_secs_f64(), domain, now);
            }
            ProviderSignal::Answered => self.admission.tempo.member.answered(now),
            ProviderSignal::Refused(undecided) => self.refused(*undecided, held, domain),
            ProviderSignal::Silence(detail) => self.admission.tempo.member.lost(&detail, now),
            ProviderSignal::Untried(reason) => self.not_begun(campaign, reason, admitted),
        }
    }

    fn not_begun(&mut self, campaign: CampaignId, reason: Option<NotBegun>, admitted: Seconds) {
        let Some(reason) = reason else { return };
        self.admission.give_back(campaign, 1, admitted);
        match reason {
            NotBegun::Paused | NotBegun::Stopped => {
                for run in self.holdings.of_mut(campaign) {
                    if run.phase == Phase::Working {
                        tracing::info!(
                            event = "page.aborted",
                            campaign.id = campaign.0,
                            correlation.id = run.content.correlation,
                            page.seq = run.seq,
                            %reason,
                            "aborted: the campaign is paused or stopped"
                        );
                    }
                    run.close();
                }
                // Not leased again before a look has found it sending.
                self.turns.remove(campaign);
            }
            NotBegun::JournalUnavailable => {
                let trouble = self.deps.journal.trouble();
                if self.deps.health.note_journal(trouble) {
                    tracing::error!(
                        event = "journal.unavailable",
                        "the journal cannot be written, so nothing is handed over"
                    );
                }
                self.admission.tempo.rests_until = Some(Instant::now() + self.deps.timing.circuit_first());
            }
            NotBegun::Fenced => {
                for run in self.holdings.of_mut(campaign) {
                    run.close();
                }
            }
            // What came too late is pending again and claimed in the next round; a draining pool closes by itself.
            NotBegun::Late | NotBegun::Halted | NotBegun::ShuttingDown => {}
        }
    }
}
