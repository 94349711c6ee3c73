//! What can be done, with the request that does it.

use serde_json::json;

use super::answer::{Way, WhyAct, WhyState};
use super::facts::Facts;
use super::{against, journey};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::SkipReason;
use crate::domain::people::consent::Reason;

/// What can be done about where the person stands.
pub(super) fn ways(facts: &Facts, place: WhyState) -> Vec<Way> {
    match place {
        WhyState::NotLaunched => launch(facts).into_iter().collect(),
        WhyState::Pending | WhyState::NotPacked => {
            let mut ways: Vec<Way> = go_on(facts).into_iter().collect();
            if place == WhyState::Pending {
                ways.extend(consent(facts));
            }
            ways
        }
        WhyState::Failed => failed(facts),
        WhyState::Uncertain => resolve(facts),
        WhyState::Skipped => skipped(facts),
        WhyState::Sending | WhyState::Sent | WhyState::LeftOut | WhyState::NotNamed | WhyState::Missed => Vec::new(),
    }
}

fn way(act: WhyAct, what: &str, method: &'static str, path: String) -> Way {
    Way { act, what: what.to_owned(), method, path, body: None }
}

fn launch(facts: &Facts) -> Option<Way> {
    let campaign = &facts.campaign;
    let path = format!("/v1/campaigns/{}/send", campaign.id);
    let what = "Launch the campaign: it goes to everybody in its audience.";
    campaign.status.is_editable().then(|| way(WhyAct::Launch, what, "POST", path))
}

fn go_on(facts: &Facts) -> Option<Way> {
    let campaign = &facts.campaign;
    if campaign.status == CampaignStatus::Paused {
        let path = format!("/v1/campaigns/{}/resume", campaign.id);
        return Some(way(WhyAct::Resume, "Resume the campaign: it goes on for everybody who is left.", "POST", path));
    }
    let pool = campaign.pool.as_ref().filter(|_| campaign.suspension.is_some() && !campaign.status.is_ended())?;
    let what = "Resume the pool: all campaigns that use it go on.";
    Some(way(WhyAct::ResumePool, what, "POST", format!("/v1/pools/{pool}/resume")))
}

fn change_contact(facts: &Facts, what: &str) -> Way {
    way(WhyAct::ChangeContact, what, "PATCH", format!("/v1/contacts/{}", facts.contact.id))
}

fn failed(facts: &Facts) -> Vec<Way> {
    let campaign = &facts.campaign;
    let mut ways = Vec::new();
    let class = facts.delivery.as_ref().and_then(|delivery| delivery.class);
    if class == Some(AnswerClass::Address) && facts.contact.is_living() {
        ways.push(change_contact(facts, "Correct the address of the contact; then try again."));
    }
    let can_retry = match campaign.status {
        CampaignStatus::Paused | CampaignStatus::Sent | CampaignStatus::Failed => true,
        CampaignStatus::Draft | CampaignStatus::Scheduled | CampaignStatus::Sending | CampaignStatus::Stopped => false,
    };
    if can_retry {
        let path = format!("/v1/campaigns/{}/retry-failed", campaign.id);
        let what = "Try everybody again who has failed in this campaign, this contact among them.";
        ways.push(way(WhyAct::Retry, what, "POST", path));
    }
    ways
}

fn resolve(facts: &Facts) -> Vec<Way> {
    let campaign = &facts.campaign;
    let each = |act, what: &str, decided: &str| Way {
        body: Some(json!({ "contact_ids": [facts.contact.id], "as": decided })),
        ..way(act, what, "POST", format!("/v1/campaigns/{}/deliveries/resolve", campaign.id))
    };
    let mut ways = vec![
        each(WhyAct::ResolveSent, "Note that it arrived: it counts as sent.", "sent"),
        each(WhyAct::ResolveFailed, "Note that it did not arrive: it counts as failed.", "failed"),
    ];
    if campaign.status != CampaignStatus::Stopped {
        ways.push(each(WhyAct::ResolvePending, "Send it again: the recipient may get it twice.", "pending"));
    }
    ways
}

fn skipped(facts: &Facts) -> Vec<Way> {
    let is = |reason| journey::is_skipped_for(facts, reason);
    if is(SkipReason::NoAddress) && facts.contact.is_living() && facts.contact.address.is_err() {
        let what = "Give the contact an address, for later campaigns: this one does not come back to it.";
        return vec![change_contact(facts, what)];
    }
    if is(SkipReason::Stopped) || is(SkipReason::ContactDeleted) || is(SkipReason::NoAddress) {
        return Vec::new();
    }
    consent(facts)
}

/// What lifts what is held against the person now.
fn consent(facts: &Facts) -> Vec<Way> {
    let mut ways = Vec::new();
    if let Ok(address) = &facts.contact.address {
        ways.extend(against::held(facts).into_iter().map(|reason| lift(address, reason)));
        if facts.against.held.domain_blocked_at.is_some()
            && let Some((_, domain)) = address.rsplit_once('@')
        {
            let what = "Unblock the domain, for later campaigns.";
            let body = Some(json!({ "domain": domain }));
            ways.push(Way { body, ..way(WhyAct::Lift, what, "DELETE", "/v1/suppressions".to_owned()) });
        }
    }
    if matches!(facts.against.may_send, Err(SkipReason::NotSubscribed | SkipReason::Unconfirmed))
        && let Some((list, _)) = facts.against.topics.first()
    {
        let what = "Subscribe the contact, if the person has agreed to it: a message that still waits, and later campaigns reach it.";
        let body = Some(json!({ "contact_id": facts.contact.id }));
        ways.push(Way { body, ..way(WhyAct::Subscribe, what, "POST", format!("/v1/lists/{list}/subscribe")) });
    }
    ways
}

fn lift(address: &str, reason: Reason) -> Way {
    let what = match reason {
        Reason::Unsubscribed | Reason::Stopped => {
            "Take the refusal back, if the person has asked for that. It needs a note that says so."
        }
        Reason::Complained => "Lift the complaint. Messages to people who complain harm the sender.",
        Reason::Bounced => "Lift the bounce, if the address is known to exist.",
        Reason::SoftBounced => "End the rest after soft bounces.",
        Reason::Blocked => "Unblock the address.",
    };
    let mut body = json!({ "address": address, "reason": reason });
    let is_plain = address.contains('@') || address.starts_with('+');
    if let Some(fields) = body.as_object_mut() {
        if !is_plain {
            fields.insert("channel".to_owned(), json!("http"));
        }
        if matches!(reason, Reason::Unsubscribed | Reason::Stopped) {
            fields.insert("note".to_owned(), json!("when and how the person asked for it"));
        }
    }
    Way { body: Some(body), ..way(WhyAct::Lift, what, "DELETE", "/v1/suppressions".to_owned()) }
}
