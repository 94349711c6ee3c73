//! From the launch to the end: what happened to the delivery, and what holds it.

use super::answer::{Step, WhyState};
use super::facts::{Attempt, Delivery, Facts, Page};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory, SkipReason};
use crate::domain::shown::shown;

/// Whether and when the campaign was launched.
pub(super) fn launch(facts: &Facts, place: WhyState) -> Step {
    let campaign = &facts.campaign;
    let source = format!("campaign {}", campaign.id);
    let decides = place == WhyState::NotLaunched;
    match (campaign.status, campaign.launched_at) {
        (CampaignStatus::Draft, _) => Step::new("The campaign is a draft.", source),
        (CampaignStatus::Scheduled, _) => {
            let when = campaign.scheduled_at.map(|at| format!(" It launches by itself at {at}.")).unwrap_or_default();
            Step::new(format!("The campaign is scheduled.{when}"), source)
        }
        (_, Some(at)) => Step::new("The campaign was launched.", source).at(at),
        (_, None) => {
            let error = campaign.launch_error.as_deref().unwrap_or("it is not recorded why");
            Step::new(format!("The campaign could not be launched: {error}."), source).at(campaign.ended_at)
        }
    }
    .decisive(decides)
}

/// Where the packing of the audience stands, for somebody without a delivery.
pub(super) fn packing(facts: &Facts, place: WhyState) -> Option<Step> {
    let packing = facts.packing?;
    let fact = if packing.is_done {
        format!("The whole audience is packed, up to contact {}.", packing.last)
    } else {
        format!("The audience is packed up to contact {}, and goes up to contact {}.", packing.cursor, packing.last)
    };
    let decides = matches!(place, WhyState::NotPacked | WhyState::Missed);
    Some(Step::new(fact, format!("packing of campaign {}", facts.campaign.id)).decisive(decides))
}

/// What holds the whole campaign.
pub(super) fn holds(facts: &Facts, place: WhyState) -> Vec<Step> {
    let campaign = &facts.campaign;
    let waits = matches!(place, WhyState::Pending | WhyState::NotPacked);
    let mut steps = Vec::new();
    match campaign.status {
        CampaignStatus::Paused => {
            let cause = campaign.paused_for.as_ref().map(|cause| format!(" by Volley itself: {cause}"));
            let fact = format!("The campaign was paused{}.", cause.unwrap_or_default());
            steps.push(Step::new(fact, "campaign decision").at(campaign.decided_at).decisive(waits));
        }
        CampaignStatus::Stopped => {
            let decides = waits || place == WhyState::Skipped && is_skipped_for(facts, SkipReason::Stopped);
            let at = campaign.decided_at.or(campaign.ended_at);
            steps.push(Step::new("The campaign was stopped.", "campaign decision").at(at).decisive(decides));
        }
        CampaignStatus::Draft
        | CampaignStatus::Scheduled
        | CampaignStatus::Sending
        | CampaignStatus::Sent
        | CampaignStatus::Failed => {}
    }
    if let (Some(suspension), Some(pool), true) = (&campaign.suspension, &campaign.pool, waits) {
        let until = suspension.until.map(|until| format!(" until {until}")).unwrap_or_default();
        let reason = suspension.reason.as_ref().map(|reason| format!(": {}", shown(reason))).unwrap_or_default();
        let fact = format!("An operator has suspended the pool {pool}{until}{reason}.");
        steps.push(Step::new(fact, format!("pool {pool}")).at(suspension.at).decisive(true));
    }
    if let (Some(trouble), true) = (&campaign.trouble, waits) {
        let fact = format!("The campaign cannot go on: {}.", trouble.detail.trim_end_matches('.'));
        steps.push(Step::new(fact, "instance").at(trouble.at).decisive(true));
    }
    steps
}

/// Whether the delivery was skipped for this reason.
pub(super) fn is_skipped_for(facts: &Facts, reason: SkipReason) -> bool {
    let said = facts.delivery.as_ref().filter(|delivery| delivery.state == DeliveryState::Skipped);
    said.and_then(|delivery| delivery.reason.as_deref()).and_then(SkipReason::from_text) == Some(reason)
}

/// What happened to the delivery.
pub(super) fn delivery(facts: &Facts) -> Vec<Step> {
    let Some(delivery) = &facts.delivery else { return Vec::new() };
    let mut steps = Vec::new();
    steps.extend(
        facts.page.as_ref().map(|page| {
            Step::new(format!("Packed on page {} of the campaign.", page.seq), format!("page {}", page.id))
        }),
    );
    if delivery.claims > 0 {
        let times = if delivery.claims == 1 { "once".to_owned() } else { format!("{} times", delivery.claims) };
        let last = if delivery.claims == 1 { "" } else { ", the last time then" };
        steps.push(Step::new(format!("Claimed for a hand-over {times}{last}."), "delivery").at(delivery.claimed_at));
    }
    if delivery.state == DeliveryState::Sending {
        steps.push(held(facts, facts.page.as_ref()));
    }
    steps.extend(more_attempts(facts));
    steps.extend(facts.attempts.iter().map(attempt));
    steps.extend(attempts(delivery));
    steps.extend(words(delivery));
    if delivery.ambiguous && delivery.state != DeliveryState::Sent {
        let fact = "An attempt may have been accepted, and its answer is not known.";
        steps.push(Step::new(fact, "delivery").decisive(delivery.state == DeliveryState::Uncertain));
    }
    steps.push(end(facts, delivery));
    steps
}

/// Who is handing it over.
fn held(facts: &Facts, page: Option<&Page>) -> Step {
    let Some((page, (instance, host))) = page.and_then(|page| Some((page, page.owner.as_ref()?))) else {
        return Step::new("No instance holds its page: what became of the claim is about to be found out.", "delivery");
    };
    let source = format!("page {}", page.id);
    if page.lease_until.is_some_and(|until| until > facts.now) {
        Step::new(format!("Instance {instance} on {host} holds its page."), source)
    } else {
        let fact = format!("Instance {instance} on {host} held its page, and has not renewed that in time.");
        Step::new(fact, source).at(page.lease_until)
    }
}

/// What one attempt came to.
fn attempt(attempt: &Attempt) -> Step {
    let came_to = match attempt.state {
        DeliveryState::Pending => "did not succeed, and was to be repeated",
        DeliveryState::Sending => "is under way",
        DeliveryState::Sent => "turned out to be accepted",
        DeliveryState::Failed => "failed, and was not repeated by itself",
        DeliveryState::Skipped => "was not repeated, because the campaign was stopped",
        DeliveryState::Uncertain => "ended without a clear answer",
    };
    let said = attempt.reason.as_ref().filter(|_| attempt.state != DeliveryState::Skipped);
    let said = said.map(|reason| format!(": “{reason}”")).unwrap_or_default();
    let who = attempt.class.map(|class| format!(" It is about {}.", about(class))).unwrap_or_default();
    Step::new(format!("The attempt under claim {} {came_to}{said}.{who}", attempt.claim_no), "attempt").at(attempt.at)
}

/// That there are more attempts than are told.
fn more_attempts(facts: &Facts) -> Option<Step> {
    let told = i64::try_from(facts.attempts.len()).unwrap_or(i64::MAX);
    (facts.attempts_kept > told).then(|| {
        Step::new(format!("Of {} recorded attempts, the newest {told} are told here.", facts.attempts_kept), "attempt")
    })
}

/// How often it was tried.
fn attempts(delivery: &Delivery) -> Option<Step> {
    let counted = match delivery.attempts {
        0 => None,
        1 => Some("1 attempt has counted".to_owned()),
        count => Some(format!("{count} attempts have counted")),
    };
    let put_off = match delivery.put_offs {
        0 => None,
        1 => Some("it was put off once for a trouble that is not this recipient's".to_owned()),
        count => Some(format!("it was put off {count} times in a row for a trouble that is not this recipient's")),
    };
    let fact = match (counted, put_off) {
        (None, None) => return None,
        (Some(one), None) => one,
        (None, Some(one)) => format!("No attempt has counted; {one}"),
        (Some(one), Some(other)) => format!("{one}; {other}"),
    };
    Some(Step::new(format!("{fact}."), "delivery"))
}

/// The last words about it, where they are a provider's or a fault's.
fn words(delivery: &Delivery) -> Option<Step> {
    let reason = delivery.reason.as_deref()?;
    if SkipReason::from_text(reason).is_some() {
        return None;
    }
    let who = delivery.class.map(|class| format!(" It is about {}.", about(class))).unwrap_or_default();
    let decides = matches!(delivery.state, DeliveryState::Failed | DeliveryState::Uncertain);
    Some(Step::new(format!("The last words about it: “{reason}”.{who}"), "delivery").decisive(decides))
}

/// What an answer is about.
pub(super) const fn about(class: AnswerClass) -> &'static str {
    match class {
        AnswerClass::Address => "the address, which does not exist",
        AnswerClass::Recipient => "this recipient",
        AnswerClass::Content => "the content of the message",
        AnswerClass::Policy => "a policy of the provider or the receiving side",
        AnswerClass::Sender => "the sender",
        AnswerClass::RelayRate => "the pace of the provider",
        AnswerClass::RelayConnections => "the number of calls to the provider at once",
        AnswerClass::RelayQuota => "a quota of the provider",
        AnswerClass::RelayAuth => "the credentials for the provider",
        AnswerClass::RelayOutage => "the provider, which could not be reached or could not work",
        AnswerClass::Unsure => "nobody in particular, as far as the provider says",
    }
}

/// Where it stands.
fn end(facts: &Facts, delivery: &Delivery) -> Step {
    let fact = match (delivery.state, delivery.category) {
        (DeliveryState::Pending, _) if delivery.due_at > facts.now => {
            return Step::new(format!("It is not tried again before {}.", delivery.due_at), "delivery").decisive(true);
        }
        (DeliveryState::Pending, _) => "It is due.".to_owned(),
        (DeliveryState::Sending, _) => "It is claimed, and no outcome is recorded yet.".to_owned(),
        (DeliveryState::Sent, Some(ErrorCategory::Resolved)) => "An operator has noted that it arrived.".to_owned(),
        (DeliveryState::Failed, Some(ErrorCategory::Resolved)) => {
            "An operator has noted that it did not arrive.".to_owned()
        }
        (DeliveryState::Sent, _) => match &delivery.provider_id {
            Some(id) => format!("The provider took it, as its message {id}."),
            None => "The provider took it.".to_owned(),
        },
        (DeliveryState::Failed, _) => "It ended as failed.".to_owned(),
        (DeliveryState::Skipped, _) => {
            let reason = delivery.reason.as_deref();
            let reason = reason.and_then(SkipReason::from_text).map(super::against::reason);
            format!("It was skipped: {}.", reason.or(delivery.reason.as_deref()).unwrap_or("no reason is recorded"))
        }
        (DeliveryState::Uncertain, _) => "It waits for evidence, or for a decision.".to_owned(),
    };
    let is_its_turn = facts.campaign.status == CampaignStatus::Sending
        && facts.campaign.suspension.is_none()
        && facts.campaign.trouble.is_none()
        && facts.contact.address.is_ok()
        && facts.against.may_send.is_ok();
    let decides = matches!(delivery.state, DeliveryState::Sent | DeliveryState::Skipped)
        || delivery.state == DeliveryState::Pending && is_its_turn
        || delivery.category == Some(ErrorCategory::Resolved);
    Step::new(fact, "delivery").at(delivery.settled_at).decisive(decides)
}

/// What nobody has written down.
pub(super) fn not_recorded(facts: &Facts) -> Option<Step> {
    let delivery = facts.delivery.as_ref()?;
    let earlier = i64::from(delivery.claims) - 1;
    let is_own_kept = facts.attempts.last().is_some_and(|newest| newest.claim_no == delivery.claims);
    let missing = earlier - (facts.attempts_kept - i64::from(is_own_kept));
    if missing > 0 {
        let are = if missing == 1 { "is not recorded by itself" } else { "are not recorded one by one" };
        let why = "put off without counting, never begun, or made before Volley recorded attempts";
        return Some(Step::new(format!("Of {earlier} earlier claims, {missing} {are}: {why}."), "none"));
    }
    if is_resolved(delivery) {
        return Some(Step::new("The delivery does not say who decided: the audit log does.", "none"));
    }
    None
}

fn is_resolved(delivery: &Delivery) -> bool {
    delivery.category == Some(ErrorCategory::Resolved)
}
