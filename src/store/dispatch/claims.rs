//! Claims: the durable intent to hand a delivery over.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;

use super::outcomes::forget_content;
use super::pages;
use super::reasons;
use super::side_rows::SideRows;
use crate::domain::campaigns::{CampaignStatus, OnUncertain};
use crate::domain::content::message::Kept;
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory, SkipReason};
use crate::domain::dispatch::doubt::Standing;
use crate::domain::dispatch::eligibility::{Contactable, address_for, may_send};
use crate::domain::dispatch::fingerprint::ProviderFingerprint;
use crate::domain::dispatch::lease::LeaseToken;
use crate::domain::dispatch::page::PageState;
use crate::domain::ids::{CampaignId, ContactId, PageId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::Profile;
use crate::store::dispatch::dialect::{
    self, Candidate, ClaimGround, ContactColumns, Ending, LockedPage, Taken, due_recipients,
};
use crate::store::dispatch::eligibility::{Asked, Look};
use crate::store::engine::CampaignLock;
use crate::store::engine::fail_point::FailPoint;
use crate::store::engine::schema::delivery_contents;
use crate::store::{Conn, StoreError, deliverability};

/// How long after its end a key is surely forgotten by the provider, in milliseconds: a day, for what it may remember
/// beyond its promise.
const KEY_FORGOTTEN_MS: i64 = 86_400_000;

/// What is to be claimed.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// The page.
    pub page: PageId,
    /// The campaign it belongs to: its lock comes first.
    pub campaign: CampaignId,
    /// The lease.
    pub token: LeaseToken,
    /// Only contacts above this one.
    pub after: ContactId,
    /// At most so many.
    pub limit: i64,
    /// The provider that the pool hands over to.
    pub provider: ProviderFingerprint,
}

/// A recipient that may now be handed over, once.
pub struct Claimed {
    /// The contact.
    pub contact: ContactId,
    /// The fence: an outcome counts only for this claim.
    pub claim_no: i32,
    /// Attempts that counted so far.
    pub attempts: i32,
    /// How often in a row it was put off without an attempt.
    pub put_offs: i32,
    /// Whether an earlier attempt may have been accepted.
    pub ambiguous: bool,
    /// Until when the provider honours the key of an earlier attempt.
    pub key_until: Option<UtcInstant>,
    /// The contact's data.
    pub profile: Profile,
    /// What an earlier attempt said, word for word.
    pub content: Option<Box<Kept>>,
}

/// What a claim came to.
pub enum ClaimOutcome {
    /// These may begin.
    Claimed {
        /// The recipients, in contact order.
        recipients: Vec<Claimed>,
        /// Where the next claim goes on.
        cursor: ContactId,
        /// Nobody due is left beyond the cursor.
        exhausted: bool,
        /// The campaign's status version, for the cache.
        status_version: i64,
        /// The database's time.
        now: UtcInstant,
    },
    /// The campaign is not `sending`.
    NotSending {
        /// Its status.
        status: CampaignStatus,
        /// The version of it.
        status_version: i64,
    },
    /// An operator has suspended the pool.
    Suspended,
    /// The campaign got another pool while it was paused.
    Moved,
    /// The lease is over.
    Lost,
}

/// Claims due pending recipients, in a transaction of its own: shared campaign lock, *then* the status and the page under
/// its lease. No claim commits after a pause has.
///
/// # Errors
/// A query failed, or the COMMIT went unanswered: then nothing may be handed over, and the rows are given back by
/// [`pages::settle`].
pub fn claim(conn: &mut Conn, claim: Claim) -> Result<ClaimOutcome, StoreError> {
    let outcome = conn.write_under(CampaignLock::Shared, claim.campaign, |conn| {
        let outcome = claim_locked(conn, claim)?;
        FailPoint::Claim.pass();
        Ok(outcome)
    });
    FailPoint::Claimed.pass();
    outcome
}

fn claim_locked(conn: &mut Conn, claim: Claim) -> Result<ClaimOutcome, StoreError> {
    let Some(ground) = dialect::lock_claim_ground(conn, claim.page)? else { return Ok(ClaimOutcome::Lost) };
    let ClaimGround {
        status,
        status_version,
        channel,
        category,
        topics,
        on_uncertain,
        suspended,
        has_moved,
        now,
        page,
    } = ground;
    if status != CampaignStatus::Sending {
        return Ok(ClaimOutcome::NotSending { status, status_version });
    }
    let held = page.state == PageState::Leased
        && page.lease_token == Some(claim.token)
        && page.lease_until.is_some_and(|until| until > now);
    if !held {
        return Ok(ClaimOutcome::Lost);
    }
    if suspended {
        return Ok(ClaimOutcome::Suspended);
    }
    if has_moved {
        return Ok(ClaimOutcome::Moved);
    }
    let asked = Asked::new(channel, category, topics.as_deref())?;
    // A refusal that has committed by now is seen by this statement, and honoured.
    let candidates = due_recipients(conn, &page, &asked, claim.after, claim.limit, now)?;
    let exhausted = i64::try_from(candidates.len()).unwrap_or(i64::MAX) < claim.limit;
    let cursor = candidates.last().map_or(claim.after, |last| last.contact_id);
    let terms = Terms { asked: &asked, on_uncertain, provider: claim.provider, now };
    let recipients = SideRows::collect(conn, |conn, rows| {
        rows.happen_at(now);
        sort_out(conn, &page, claim.token, terms, candidates, rows)
    })?;
    Ok(ClaimOutcome::Claimed { recipients, cursor, exhausted, status_version, now })
}

/// What candidates are judged by.
#[derive(Clone, Copy)]
struct Terms<'a> {
    asked: &'a Asked,
    on_uncertain: OnUncertain,
    provider: ProviderFingerprint,
    now: UtcInstant,
}

/// Turns the reachable ones to `sending` and ends the others with a reason; moves the page's counts by what changed.
fn sort_out(
    conn: &mut Conn,
    page: &LockedPage,
    token: LeaseToken,
    terms: Terms<'_>,
    candidates: Vec<Candidate>,
    rows: &mut SideRows,
) -> Result<Vec<Claimed>, StoreError> {
    let now = terms.now;
    let mut counts = page.counts();
    let mut recipients = Vec::with_capacity(candidates.len());
    let mut taken = Vec::with_capacity(candidates.len());
    let mut endings = Vec::new();
    let mut contents = kept_contents(conn, page.campaign_id, &candidates)?;
    for mut candidate in candidates {
        let contact = candidate.contact_id;
        let content = contents.remove(&contact);
        match judge(&mut candidate, terms, content.as_deref()) {
            Fitness::Fit(version, profile) => {
                let key_until = candidate.key_until.filter(|until| candidate.is_relied_on(*until, terms));
                taken.push(Taken { contact, version, key_until });
                recipients.push(Claimed {
                    contact,
                    claim_no: candidate.claim_no + 1,
                    attempts: candidate.attempts,
                    put_offs: candidate.put_offs,
                    ambiguous: candidate.ambiguous,
                    key_until,
                    profile,
                    content,
                });
            }
            Fitness::Ends(state, reason) => {
                if content.is_some() {
                    forget_content(conn, page.campaign_id, contact)?;
                }
                let category = (state == DeliveryState::Failed).then_some(ErrorCategory::Render);
                endings.push(Ending { contact, state, reason, category });
            }
        }
    }
    end(conn, page, &endings, now, rows)?;
    for ending in &endings {
        counts.shift(DeliveryState::Pending, ending.state, 1);
    }
    let claimed = dialect::mark_sending(conn, page, &taken, token, terms.provider, now)?;
    if claimed != taken.len() {
        return Err(StoreError::Stale { what: "a delivery under a locked page" });
    }
    counts.shift(DeliveryState::Pending, DeliveryState::Sending, pages::count(claimed)?);
    pages::write_counts(conn, page, counts, rows)?;
    Ok(recipients)
}

/// Ends recipients who are not handed over, and counts who is skipped by the reason.
fn end(
    conn: &mut Conn,
    page: &LockedPage,
    endings: &[Ending],
    now: UtcInstant,
    rows: &mut SideRows,
) -> Result<(), StoreError> {
    if dialect::end_recipients(conn, page, endings, now)? != endings.len() {
        return Err(StoreError::Stale { what: "a delivery under a locked page" });
    }
    let sent = endings.iter().filter(|ending| ending.state == DeliveryState::Sent);
    let sent: Vec<ContactId> = sent.map(|ending| ending.contact).collect();
    deliverability::note_sent(conn, page.campaign_id, &sent, now)?;
    let mut skips = BTreeMap::<&str, i64>::new();
    let skipped = endings.iter().filter(|ending| ending.state == DeliveryState::Skipped);
    for reason in skipped.filter_map(|ending| ending.reason) {
        *skips.entry(reason).or_default() += 1;
    }
    for (reason, n) in skips {
        dialect::count_skips(conn, page.campaign_id, page.id, reason, n)?;
    }
    // Read again: the class of an earlier refusal stays.
    let troubled =
        endings.iter().filter(|ending| matches!(ending.state, DeliveryState::Failed | DeliveryState::Uncertain));
    let kinds = reasons::of_contacts(conn, page.campaign_id, troubled.map(|ending| ending.contact).collect())?;
    for kind in kinds.into_values() {
        rows.reasons.add(page.campaign_id, kind, 1);
    }
    Ok(())
}

enum Fitness {
    /// May be handed over, with the contact in this version.
    Fit(i64, Profile),
    /// Ends here.
    Ends(DeliveryState, Option<&'static str>),
}

impl Candidate {
    /// Whether the provider that knows the key, if any does, is this one.
    fn is_for(&self, provider: ProviderFingerprint) -> bool {
        self.provider.is_none_or(|earlier| earlier.is_same_provider(provider))
    }

    /// Whether the end of a key says something of this attempt: another provider's does not, and a delivery that is sent
    /// again after its key is surely forgotten, on an operator's word, begins with the key anew.
    fn is_relied_on(&self, until: UtcInstant, terms: Terms<'_>) -> bool {
        self.is_for(terms.provider) && until.plus_ms(KEY_FORGOTTEN_MS) >= terms.now
    }
}

/// The address that a message goes to.
///
/// # Errors
/// Why none goes to this contact.
pub(super) fn address_to_send<'a>(
    asked: &Asked,
    contact: &'a ContactColumns,
    look: &Look,
    now: UtcInstant,
) -> Result<&'a str, SkipReason> {
    let address = address_for(asked.channel, contact)?;
    may_send(asked.category, &look.consent(&asked.on_topics(look)), now)?;
    Ok(address)
}

/// What stands between a pending recipient and its hand-over. A delivery that was ever ambiguous cannot end as skipped.
fn judge(candidate: &mut Candidate, terms: Terms<'_>, kept: Option<&Kept>) -> Fitness {
    let ambiguous = candidate.ambiguous;
    let standing = Standing { state: DeliveryState::Pending, ambiguous, claim_no: candidate.claim_no };
    if let Some(state) = standing.settled_by(candidate.reported) {
        // It was reported as accepted, and that is not settled yet.
        return Fitness::Ends(state, None);
    }
    let ends = |reason: &'static str| {
        let state = if ambiguous { DeliveryState::Uncertain } else { DeliveryState::Skipped };
        Fitness::Ends(state, Some(reason))
    };
    // One that was erased is as good as deleted.
    let Some(contact) = candidate.contact.take() else {
        return ends(SkipReason::ContactDeleted.as_str());
    };
    let address = match address_to_send(terms.asked, &contact, &candidate.look, terms.now) {
        Ok(address) => address,
        Err(reason) => return ends(reason.as_str()),
    };
    if ambiguous && let Some(reason) = in_doubt(candidate, &contact, address, terms, kept) {
        return Fitness::Ends(DeliveryState::Uncertain, Some(reason));
    }
    let version = contact.version;
    match contact.into_profile() {
        Ok(profile) => Fitness::Fit(version, profile),
        // This one ends here; the others go on.
        Err(_) if ambiguous => Fitness::Ends(DeliveryState::Uncertain, Some(UNREADABLE)),
        Err(_) => Fitness::Ends(DeliveryState::Failed, Some(UNREADABLE)),
    }
}

/// Why an attempt that may have been accepted cannot be repeated: the key would be worth nothing, or carry a second body.
fn in_doubt(
    candidate: &Candidate,
    contact: &ContactColumns,
    address: &str,
    terms: Terms<'_>,
    kept: Option<&Kept>,
) -> Option<&'static str> {
    if candidate.key_until.is_some_and(|until| until <= terms.now) {
        return Some("the provider has forgotten the key");
    }
    match kept.and_then(|kept| kept.to.as_deref()) {
        Some(to) if to != address => {
            return Some("the contact's address changed after an attempt that went unanswered");
        }
        Some(_) => {}
        None if candidate.seen_version != Some(contact.version) => {
            return Some("the contact changed after an attempt that went unanswered");
        }
        None => {}
    }
    // Who agreed to messages that come twice asked for no key in the first place.
    if terms.on_uncertain == OnUncertain::Resend {
        return None;
    }
    if !candidate.is_for(terms.provider) {
        return Some("the pool has another provider than at an attempt that went unanswered");
    }
    if candidate.provider.is_some_and(|earlier| earlier != terms.provider) {
        return Some("the pool's settings change the message of an attempt that went unanswered");
    }
    None
}

/// Why a delivery ends whose contact cannot be read.
pub(super) const UNREADABLE: &str = "the contact's stored attributes are not readable";

impl<'a> From<&'a ContactColumns> for Contactable<'a> {
    fn from(contact: &'a ContactColumns) -> Self {
        Self {
            email: contact.fields.email.as_deref(),
            phone: contact.fields.phone.as_deref(),
            external_id: contact.fields.external_id.as_deref(),
            is_deleted: contact.deleted_at.is_some(),
        }
    }
}

impl ContactColumns {
    pub(super) fn into_profile(self) -> Result<Profile, serde_json::Error> {
        let attributes = match self.attributes.as_str() {
            "{}" => crate::domain::people::contact::Attributes::new(),
            text => serde_json::from_str(text)?,
        };
        Ok(Profile { fields: self.fields, attributes, untracked: self.untracked })
    }
}

/// What earlier attempts said. An attempt that did not count may have carried the key to the provider all the same, so
/// every recipient that was ever claimed is looked up, all in one query. What cannot be read any more was not kept.
fn kept_contents(
    conn: &mut Conn,
    campaign: CampaignId,
    candidates: &[Candidate],
) -> Result<HashMap<ContactId, Box<Kept>>, StoreError> {
    let again = candidates.iter().filter(|candidate| candidate.claim_no > 0);
    let again: Vec<ContactId> = again.map(|candidate| candidate.contact_id).collect();
    if again.is_empty() {
        return Ok(HashMap::new());
    }
    let kept: Vec<(ContactId, String)> = delivery_contents::table
        .filter(delivery_contents::campaign_id.eq(campaign).and(delivery_contents::contact_id.eq_any(again)))
        .select((delivery_contents::contact_id, delivery_contents::content))
        .load(conn)
        .map_err(StoreError::query("read what earlier attempts said"))?;
    Ok(kept.into_iter().filter_map(|(contact, text)| Some((contact, serde_json::from_str(&text).ok()?))).collect())
}
