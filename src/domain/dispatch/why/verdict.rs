//! The answer in one sentence.

use super::answer::WhyState;
use super::facts::{Delivery, Facts};
use super::meant::Meant;
use super::{against, heard};
use crate::domain::campaigns::{CampaignOutcome, CampaignStatus};
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory, SkipReason};

/// The most characters of last words that a verdict quotes.
const QUOTED: usize = 120;

/// Where the person stands.
pub(super) fn place(facts: &Facts, meant: &Meant) -> WhyState {
    if let Some(delivery) = &facts.delivery {
        return match delivery.state {
            DeliveryState::Pending => WhyState::Pending,
            DeliveryState::Sending => WhyState::Sending,
            DeliveryState::Sent => WhyState::Sent,
            DeliveryState::Failed => WhyState::Failed,
            DeliveryState::Skipped => WhyState::Skipped,
            DeliveryState::Uncertain => WhyState::Uncertain,
        };
    }
    if !meant.is_named() {
        return WhyState::NotNamed;
    }
    if meant.is_left_out() {
        return WhyState::LeftOut;
    }
    if facts.campaign.launched_at.is_none() {
        return WhyState::NotLaunched;
    }
    match facts.packing {
        Some(packing) if packing.is_done => WhyState::Missed,
        Some(packing) if facts.contact.id <= packing.cursor || facts.contact.id > packing.last => WhyState::Missed,
        Some(_) | None => WhyState::NotPacked,
    }
}

/// The verdict.
pub(super) fn verdict(facts: &Facts, meant: &Meant, place: WhyState) -> String {
    let campaign = &facts.campaign;
    match (place, &facts.delivery) {
        (WhyState::Sent, Some(delivery)) => sent(facts, delivery),
        (WhyState::Failed, Some(delivery)) => failed(delivery),
        (WhyState::Skipped, Some(delivery)) => format!("Not sent: {}.", skipped(delivery)),
        (WhyState::Uncertain, Some(delivery)) => uncertain(delivery),
        (WhyState::Sending, _) => sending(facts),
        (WhyState::Pending, Some(delivery)) => pending(facts, delivery),
        (WhyState::LeftOut, _) => meant.left_out.first().map_or_else(String::new, |step| step.fact.clone()),
        (WhyState::NotNamed, _) if facts.clauses.is_empty() => {
            "Not meant: the campaign has no audience yet.".to_owned()
        }
        (WhyState::NotNamed, _) if !facts.contact.is_living() => {
            "Never meant: the contact was deleted, and the audience does not name it by its id.".to_owned()
        }
        (WhyState::NotNamed, _) => match meant.not_named.as_slice() {
            [only] => format!("Never meant: {}", part_of(&only.fact)),
            _ => "Never meant: no part of the audience names this contact.".to_owned(),
        },
        (WhyState::NotLaunched, _) => not_launched(facts),
        (WhyState::NotPacked, _) => match campaign.status {
            CampaignStatus::Paused => {
                "Not reached yet: the campaign is paused, and this part of its audience is not packed.".to_owned()
            }
            CampaignStatus::Stopped => {
                "Never reached: the campaign was stopped before this part of its audience was packed.".to_owned()
            }
            CampaignStatus::Draft
            | CampaignStatus::Scheduled
            | CampaignStatus::Sending
            | CampaignStatus::Sent
            | CampaignStatus::Failed => "Not reached yet: this part of the audience is not packed.".to_owned(),
        },
        (WhyState::Missed, _) if facts.packing.is_some_and(|packing| facts.contact.id > packing.last) => {
            "Never meant: the contact was created after the launch.".to_owned()
        }
        (WhyState::Missed, _) => {
            "Not in it: the audience would name this contact now, and did not when this part of it was packed."
                .to_owned()
        }
        (WhyState::Sent | WhyState::Failed | WhyState::Skipped | WhyState::Uncertain | WhyState::Pending, None) => {
            "There is no delivery.".to_owned()
        }
    }
}

/// A sentence as the end of another one.
fn part_of(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// Last words in brackets.
fn quoted(delivery: &Delivery) -> String {
    let Some(reason) = delivery.reason.as_deref().filter(|reason| !reason.is_empty()) else { return String::new() };
    let mut quoted: String = reason.chars().take(QUOTED).collect();
    if reason.chars().nth(QUOTED).is_some() {
        quoted.push('…');
    }
    format!(" (“{quoted}”)")
}

fn sent(facts: &Facts, delivery: &Delivery) -> String {
    let by = match delivery.category {
        Some(ErrorCategory::Resolved) => "Sent, as an operator has noted: it had been uncertain",
        Some(_) | None => "Sent: the provider took the message",
    };
    match heard::after(facts) {
        Some(after) => format!("{by}; {after}."),
        None => format!("{by}."),
    }
}

fn failed(delivery: &Delivery) -> String {
    let quoted = quoted(delivery);
    let Some(category) = delivery.category else {
        return match delivery.reason.as_deref() {
            Some("not_accepted") => {
                "Not sent: the provider is known not to have taken it, too late for another attempt.".to_owned()
            }
            Some(_) | None => format!("Not sent: it failed{quoted}."),
        };
    };
    let why = match category {
        ErrorCategory::Render => "the message could not be made for this contact",
        ErrorCategory::Poison => "handing it over ended the sender's process more than once, so it was given up",
        ErrorCategory::Resolved => return "Not sent, as an operator has noted: it had been uncertain.".to_owned(),
        ErrorCategory::ContactNotFound => "the contact was gone",
        ErrorCategory::Network => "the provider could not be reached, or did not answer",
        ErrorCategory::ProviderError => "the provider had trouble of its own until the attempts were used up",
        ErrorCategory::Throttled => "the provider took no more at this pace until the attempts were used up",
        ErrorCategory::Unexpected => "something unexpected ended it",
        ErrorCategory::Refused | ErrorCategory::Policy => match delivery.class {
            Some(AnswerClass::Address) => "the provider says that the address does not exist",
            Some(AnswerClass::Recipient) => "the provider refused this recipient",
            Some(AnswerClass::Content) => "the provider refused the content of the message",
            Some(AnswerClass::Policy) => "a policy of the provider or the receiving side refused it",
            Some(AnswerClass::Sender) => "the provider refused the sender",
            Some(
                AnswerClass::RelayRate
                | AnswerClass::RelayConnections
                | AnswerClass::RelayQuota
                | AnswerClass::RelayAuth
                | AnswerClass::RelayOutage
                | AnswerClass::Unsure,
            )
            | None => "the provider refused it",
        },
    };
    format!("Not sent: {why}{quoted}.")
}

fn skipped(delivery: &Delivery) -> String {
    let reason = delivery.reason.as_deref();
    let known = reason.and_then(SkipReason::from_text).map(against::reason);
    known.or(reason).unwrap_or("no reason is recorded").to_owned()
}

fn uncertain(delivery: &Delivery) -> String {
    // Words of a claim that could not repeat an attempt, or why the person gets nothing more.
    match delivery.reason.as_deref().and_then(SkipReason::from_text) {
        Some(reason) => format!(
            "Unknown whether it arrived: an attempt went unanswered, and it is not repeated because {}.",
            against::reason(reason)
        ),
        None => format!(
            "Unknown whether it arrived: a hand-over began, and no clear answer came{}. Asking again could send it twice.",
            quoted(delivery)
        ),
    }
}

fn sending(facts: &Facts) -> String {
    let page = facts.page.as_ref().filter(|page| page.owner.is_some());
    if page.and_then(|page| page.lease_until).is_some_and(|until| until > facts.now) {
        "Being handed over now: it is claimed, and no outcome is recorded yet.".to_owned()
    } else {
        "Was being handed over when its sender fell silent: whether it left is about to be found out.".to_owned()
    }
}

fn pending(facts: &Facts, delivery: &Delivery) -> String {
    let campaign = &facts.campaign;
    match campaign.status {
        CampaignStatus::Stopped => {
            "Not sent: the campaign was stopped, and this delivery is about to be skipped.".to_owned()
        }
        CampaignStatus::Paused => "Not sent yet: the campaign is paused.".to_owned(),
        CampaignStatus::Draft
        | CampaignStatus::Scheduled
        | CampaignStatus::Sending
        | CampaignStatus::Sent
        | CampaignStatus::Failed => {
            if let Some(reason) = kept_back(facts) {
                format!("Not sent yet, and it will not be, as things are: {}.", against::reason(reason))
            } else if let (Some(_), Some(pool)) = (&campaign.suspension, &campaign.pool) {
                format!("Not sent yet: the pool {pool} is suspended.")
            } else if let Some(trouble) = &campaign.trouble {
                format!("Not sent yet: the campaign cannot go on: {}.", trouble.detail.trim_end_matches('.'))
            } else if delivery.due_at > facts.now {
                format!("Not sent yet: it waits for another try{}.", quoted(delivery))
            } else {
                "Not sent yet: it waits for its turn.".to_owned()
            }
        }
    }
}

fn not_launched(facts: &Facts) -> String {
    let campaign = &facts.campaign;
    match (campaign.status, campaign.outcome) {
        (CampaignStatus::Scheduled, _) => "Not sent yet: the campaign launches by itself at its time.".to_owned(),
        (CampaignStatus::Failed, _) | (_, Some(CampaignOutcome::LaunchFailed)) => {
            "Not sent: the time of the campaign came, and it could not be launched.".to_owned()
        }
        (
            CampaignStatus::Draft
            | CampaignStatus::Sending
            | CampaignStatus::Paused
            | CampaignStatus::Sent
            | CampaignStatus::Stopped,
            _,
        ) => "Not sent yet: the campaign is a draft.".to_owned(),
    }
}

/// Why nothing is sent to the person: as the delivery was skipped, or as a claim would judge now one that waits.
pub(super) fn reason(facts: &Facts) -> Option<SkipReason> {
    let delivery = facts.delivery.as_ref()?;
    match delivery.state {
        DeliveryState::Skipped => delivery.reason.as_deref().and_then(SkipReason::from_text),
        DeliveryState::Pending if facts.campaign.status == CampaignStatus::Sending => kept_back(facts),
        DeliveryState::Pending
        | DeliveryState::Sending
        | DeliveryState::Sent
        | DeliveryState::Failed
        | DeliveryState::Uncertain => None,
    }
}

/// Why a claim would not take the person now.
fn kept_back(facts: &Facts) -> Option<SkipReason> {
    facts.contact.address.as_ref().err().copied().or(facts.against.may_send.err())
}
