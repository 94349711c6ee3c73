//! One hand-over, from a claimed recipient to a settlement: render, gate, deliver, journal, record.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use super::alike::Shared;
use super::content::CampaignContent;
use super::meters::Meters;
use super::refusals::{Tries, Undecided};
use crate::actors::dispatch::recorder::{Acknowledged, Inbox, Record};
use crate::channels::{Channel, Gate};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::content::message::{Details, Envelope, Kept, Message};
use crate::domain::dispatch::answer::Refusal;
use crate::domain::dispatch::claim::ClaimKey;
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use crate::domain::dispatch::eligibility::address_for;
use crate::domain::dispatch::fingerprint::relied_on_ms;
use crate::domain::dispatch::outcome::{NotBegun, Outcome};
use crate::domain::dispatch::pace::{Seconds, bin_of};
use crate::domain::dispatch::retries::Retries;
use crate::domain::dispatch::settlement::{Settlement, Verdict, settle};
use crate::domain::dispatch::trouble::Trouble;
use crate::domain::instant::UtcInstant;
use crate::journal::{Begun, Journal};
use crate::runtime::batcher::Batcher;
use crate::runtime::clock::Boottime;
use crate::runtime::in_flight::InFlightCount;
use crate::runtime::refusal_spool::{Emptiness, RefusalSpool};
use crate::runtime::status_cache::StatusCache;
use crate::runtime::trust::Trust;
use crate::store::dispatch::claims::Claimed;
use crate::store::engine::history::History;

/// What all hand-overs of a pool share.
pub(super) struct PoolContext {
    pub(super) pool: String,
    pub(super) journal: Arc<Journal>,
    pub(super) status: Arc<StatusCache>,
    pub(super) draining: Arc<AtomicBool>,
    /// The provider is out of order or wants quiet: what waits for a place does not begin.
    pub(super) halted: AtomicBool,
    pub(super) inbox: Inbox,
    pub(super) meters: Meters,
    /// What goes through this pool.
    pub(super) flow: Arc<InFlightCount>,
    /// An operator has suspended the pool.
    pub(super) suspended: Arc<AtomicBool>,
    /// Whether the database is the one that the claims were made in.
    pub(super) history: Arc<History>,
    /// Whether refusals wait for the database.
    pub(super) spool: Arc<RefusalSpool>,
    pub(super) retries: Retries,
    /// How all campaigns were answered.
    pub(super) alike: Shared,
    pub(super) idempotent_for: Option<Duration>,
}

/// One claimed recipient and the circumstances of its claim.
pub(super) struct HandOver {
    pub(super) claimed: Claimed,
    pub(super) key: ClaimKey,
    pub(super) page: crate::domain::ids::PageId,
    pub(super) content: Arc<CampaignContent>,
    /// What goes out for this campaign.
    pub(super) flow: Arc<InFlightCount>,
    pub(super) trust: Trust,
    /// When it may begin.
    pub(super) start: Start,
    /// The database's time at the claim, to compare with the key's end.
    pub(super) key_lives: bool,
    /// The version of the campaign's status that it was claimed under.
    pub(super) status_version: i64,
    pub(super) jitter: f64,
    /// When it was admitted, on the clock of the pool's pace.
    pub(super) admitted: Seconds,
    /// One of few: it begins although no place is free, because calls from before may hang in them all.
    pub(super) careful: bool,
}

/// What held when a claim was asked for, and must still hold when its hand-overs begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    /// Not after this.
    pub(super) by: Boottime,
    /// The spool of refusals was empty, and has been since: a refusal that was spooled meanwhile may be of somebody that the
    /// claim has looked at before.
    pub(super) spool: Option<Emptiness>,
}

/// What a hand-over came to.
pub(super) struct HandedOver {
    /// Its settlement, unless it was refused.
    pub(super) settled: Option<(Settlement, Option<Begun>)>,
    pub(super) signal: ProviderSignal,
    /// The recipient's domain.
    pub(super) domain: Option<u8>,
}

/// What a hand-over says of the provider as a whole.
pub(super) enum ProviderSignal {
    /// It took the message.
    Accepted,
    /// It answered.
    Answered,
    /// The call went out and was lost.
    Silence(String),
    /// It said no: the pool decides what becomes of the delivery.
    Refused(Box<Undecided>),
    /// Nothing was asked of it.
    Untried(Option<NotBegun>),
}

struct HandOverGate<'a> {
    context: &'a PoolContext,
    over: &'a HandOver,
    begun: std::sync::OnceLock<Begun>,
    /// Whether it is counted as under way.
    flows: AtomicBool,
}

impl HandOverGate<'_> {
    /// Whether it may begin at this moment, which is returned.
    fn is_open(&self) -> Result<Boottime, NotBegun> {
        let now = Boottime::now();
        if self.context.draining.load(Ordering::Acquire) {
            return Err(NotBegun::ShuttingDown);
        }
        if self.context.suspended.load(Ordering::Acquire) {
            return Err(NotBegun::Halted);
        }
        if self.context.history.is_unsettled() {
            return Err(NotBegun::Halted);
        }
        match self.context.status.get(self.over.key.campaign) {
            Some(CampaignStatus::Sending) => {}
            // Unknown: a claim set it moments ago, so something has taken it away.
            Some(CampaignStatus::Paused) | None => return Err(NotBegun::Paused),
            Some(
                CampaignStatus::Draft
                | CampaignStatus::Scheduled
                | CampaignStatus::Sent
                | CampaignStatus::Failed
                | CampaignStatus::Stopped,
            ) => return Err(NotBegun::Stopped),
        }
        // Nearly everybody is refused alike: those that are claimed already are held back before the pause is written.
        if self.over.content.answers.holds(self.over.status_version) {
            return Err(NotBegun::Paused);
        }
        if self.over.start.spool.is_none() || self.context.spool.emptiness() != self.over.start.spool {
            return Err(NotBegun::Halted);
        }
        if now > self.over.start.by {
            return Err(NotBegun::Late);
        }
        if !self.over.trust.holds(now) {
            return Err(NotBegun::Fenced);
        }
        Ok(now)
    }
}

impl Drop for HandOverGate<'_> {
    fn drop(&mut self) {
        if self.flows.load(Ordering::Relaxed) {
            self.context.flow.leave();
            self.over.flow.leave();
        }
    }
}

impl Gate for HandOverGate<'_> {
    fn begin(&self) -> Result<(), NotBegun> {
        self.is_open()?;
        // A channel that has to take another connection asks again; the line stands already.
        if self.begun.get().is_some() {
            return Ok(());
        }
        let begun =
            self.context.journal.begin(self.over.key).map_err(|_noted_by_the_journal| NotBegun::JournalUnavailable)?;
        let _ = self.begun.set(begun);
        self.flows.store(true, Ordering::Relaxed);
        self.context.flow.enter();
        self.over.flow.enter();
        // The journal may have waited for a slow disk, and a pause or the lease's end have been in the meantime.
        let now = self.is_open()?;
        self.context.flow.begin(now);
        self.over.flow.begin(now);
        Ok(())
    }
}

/// Hands one recipient over, if its turn came `in_time`. Never fails: every way it can end is a settlement.
pub(super) async fn hand_over(
    context: &PoolContext,
    channel: &dyn Channel,
    over: HandOver,
    in_time: bool,
    acks: &Arc<Batcher<Acknowledged>>,
) -> HandedOver {
    let gate = HandOverGate { context, over: &over, begun: std::sync::OnceLock::new(), flows: AtomicBool::new(false) };
    let mut spoken = None;
    let started = Instant::now();
    let outcome = if !in_time {
        Outcome::NotBegun(NotBegun::Late)
    } else if context.halted.load(Ordering::Acquire) && !over.careful {
        Outcome::NotBegun(NotBegun::Halted)
    } else {
        let attempt = AssertUnwindSafe(attempt(channel, &over, &gate, &mut spoken)).catch_unwind().await;
        attempt.unwrap_or_else(|_| panicked(gate.begun.get().is_some()))
    };
    let begun = gate.begun.get().copied();
    context.meters.called(&outcome, started.elapsed());
    over.content.answers.note(&outcome, over.status_version, &context.alike);
    let tries = Tries {
        attempts_before: u32::try_from(over.claimed.attempts).unwrap_or(0),
        retry_for: over.content.retry_for,
        was_ambiguous: over.claimed.ambiguous,
        key_honoured: context.idempotent_for.is_some() && over.key_lives,
        on_uncertain: over.content.on_uncertain,
        jitter: over.jitter,
    };
    let verdict = match &outcome {
        // Until the pool has decided. A process that dies before that tries again soon.
        Outcome::Refused(Refusal { class, trouble, .. }) => {
            Verdict { class: Some(*class), ..Verdict::put_off(UNDECIDED, trouble, tries.was_ambiguous) }
        }
        Outcome::Accepted { .. }
        | Outcome::Unsendable(_)
        | Outcome::Unknown(_)
        | Outcome::KeySeen { .. }
        | Outcome::NotBegun(_) => settle(&outcome, tries.attempt(&context.retries)),
    };
    if begun.is_some() {
        context.journal.outcome(over.key, &verdict);
    }
    let repeated = verdict.state == DeliveryState::Pending && begun.is_some();
    let content = match (repeated, spoken) {
        (true, Some(kept)) => serde_json::to_string(&kept).ok(),
        // Whatever was kept may go with the end of the delivery.
        (false, _) if over.claimed.content.is_some() && verdict.state != DeliveryState::Pending => Some(String::new()),
        _ => None,
    };
    let domain = address_for(over.content.channel, &over.claimed.profile).ok().and_then(bin_of);
    let settlement = Settlement {
        key: over.key,
        page: over.page,
        key_valid_ms: begun.and(context.idempotent_for.and_then(relied_on_ms)),
        verdict,
        content,
    };
    let signal = match outcome {
        Outcome::Refused(refusal) => {
            let undecided = Undecided {
                record: Some(Record { settlement, begun, ack: Arc::clone(acks) }),
                inbox: context.inbox.clone(),
                refusal,
                tries,
                channel: over.content.channel,
                put_offs: u32::try_from(over.claimed.put_offs).unwrap_or(0),
                first_try: over.claimed.put_offs == 0 && over.claimed.attempts == 0,
                has_content: over.claimed.content.is_some(),
            };
            return HandedOver { settled: None, signal: ProviderSignal::Refused(Box::new(undecided)), domain };
        }
        Outcome::Accepted { .. } => ProviderSignal::Accepted,
        // A key that was seen says when to come back for this one, and nothing about the others.
        Outcome::KeySeen { .. } => ProviderSignal::Answered,
        Outcome::Unknown(trouble) => ProviderSignal::Silence(trouble.detail),
        Outcome::Unsendable(_) => ProviderSignal::Untried(None),
        Outcome::NotBegun(reason) => ProviderSignal::Untried(Some(reason)),
    };
    HandedOver { settled: Some((settlement, begun)), signal, domain }
}

/// How long a refused delivery waits whose fate nobody decided.
const UNDECIDED: Duration = Duration::from_secs(1);

async fn attempt(
    channel: &dyn Channel,
    over: &HandOver,
    gate: &HandOverGate<'_>,
    spoken: &mut Option<Kept>,
) -> Outcome {
    let kept = over.claimed.content.as_deref();
    let mut message = match kept {
        Some(kept) => kept.message.clone(),
        None => match rendered(over).await {
            Ok(message) => message,
            Err(outcome) => return outcome,
        },
    };
    message.written_at.get_or_insert(UtcInstant(jiff::Timestamp::now().as_millisecond()));
    let Ok(to) = address_for(over.content.channel, &over.claimed.profile) else {
        return Outcome::Unsendable(Trouble::new(ErrorCategory::ContactNotFound, "the contact has no address"));
    };
    let envelope = Envelope {
        campaign_id: over.key.campaign,
        contact_id: over.key.contact,
        to: to.to_owned(),
        to_name: match kept {
            // The name goes into the message, too: the same address gets the same one.
            Some(kept) if kept.to.as_deref() == Some(to) => kept.to_name.clone(),
            _ => over.claimed.profile.full_name(),
        },
        message,
        key: over.content.delivery_key(over.key.contact),
        attempt: u32::try_from(over.claimed.attempts).unwrap_or(0).saturating_add(1),
        trace: over.content.trace,
        details: channel.wants_details().then(|| match kept.and_then(|kept| kept.details.clone()) {
            Some(details) => details,
            None => Box::new(Details {
                profile: over.claimed.profile.clone(),
                template_name: over.content.template_name.clone(),
                props: over.content.props.clone(),
            }),
        }),
        attachments: Arc::clone(&over.content.attachments),
    };
    let outcome = channel.deliver(&envelope, gate).await;
    let Envelope { to, to_name, message, details, .. } = envelope;
    *spoken = Some(Kept { message, to: Some(to), to_name, details });
    outcome
}

/// The message of one recipient. What runs in the template language may take a while: it runs on a thread of its own, so
/// that replies and timeouts of other pools do not wait for it.
async fn rendered(over: &HandOver) -> Result<Message, Outcome> {
    let (contact, is_new) = (over.key.contact, over.claimed.claim_no == 1);
    let rendered = if over.content.is_program() {
        let (content, profile) = (Arc::clone(&over.content), over.claimed.profile.clone());
        match tokio::task::spawn_blocking(move || content.render(contact, &profile, is_new)).await {
            Ok(rendered) => rendered,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cancelled) => return Err(Outcome::NotBegun(NotBegun::ShuttingDown)),
            },
        }
    } else {
        over.content.render(contact, &over.claimed.profile, is_new)
    };
    rendered.map_err(|error| Outcome::Unsendable(Trouble::new(ErrorCategory::Render, error.to_string())))
}

/// A panic says nothing about the provider. Before the first byte it is this recipient's own end; after it, nobody knows.
fn panicked(begun: bool) -> Outcome {
    let trouble = Trouble::new(ErrorCategory::Unexpected, "internal: the hand-over panicked");
    if begun { Outcome::Unknown(trouble) } else { Outcome::Unsendable(trouble) }
}
