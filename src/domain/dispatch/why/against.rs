//! What is held against an address, and against messages of one kind, in words.

use super::answer::Step;
use super::facts::Facts;
use crate::domain::content::category::Category;
use crate::domain::dispatch::delivery::SkipReason;
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::Reason;
use crate::domain::people::standing::Standing;

/// Whether the channel reaches the contact.
pub(super) fn reach(facts: &Facts) -> Step {
    let (contact, channel) = (&facts.contact, facts.campaign.channel);
    let source = format!("contact {}", contact.id);
    match &contact.address {
        Ok(_) => Step::new(format!("The contact has an address for channel {channel}."), source),
        Err(_) if contact.created_at.is_none() => Step::new("There is no such contact any more.", "none"),
        Err(_) if contact.deleted_at.is_some() => Step::new("The contact was deleted.", source).at(contact.deleted_at),
        Err(_) => Step::new(format!("The contact has no address for channel {channel}."), source),
    }
}

/// What is held against the address now, and how the person stands on the campaign's topics. `because`: why the verdict says that
/// nothing is sent, where that is about consent.
pub(super) fn consent(facts: &Facts, because: Option<SkipReason>) -> Vec<Step> {
    let against = &facts.against;
    let held = &against.held;
    let said = against.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
    let (suppressed, refused) = (because == Some(SkipReason::Suppressed), because == Some(SkipReason::Unsubscribed));
    let each = [
        (held.complained_at, "The recipient called a message spam, so the address gets nothing more", suppressed),
        (
            held.bounced_at,
            "A message came back because the address does not exist, so it gets nothing more",
            suppressed,
        ),
        (held.blocked_at, "An operator has blocked the address", suppressed),
        (held.unsubscribed_at, "The person has refused all messages that need consent", refused),
        (held.stopped_at, "The person wants nothing more on this channel", refused),
    ];
    let step = |(at, fact, decides): (Option<UtcInstant>, &str, bool)| {
        Some(Step::new(format!("{fact}{said}."), "suppression").at(at?).decisive(decides))
    };
    let mut steps: Vec<Step> = each.into_iter().filter_map(step).collect();
    if let Some(at) = held.domain_blocked_at {
        let fact = "An operator has blocked the domain of the address.";
        steps.push(Step::new(fact, "blocked domain").at(at).decisive(suppressed));
    }
    if let Some(until) = held.soft_until {
        let rests = until > facts.now;
        let verb = if rests { "rests" } else { "rested" };
        let fact = format!("Messages came back, and the address {verb} until {until}{said}.");
        steps.push(Step::new(fact, "suppression").decisive(suppressed && rests));
    }
    if steps.is_empty() {
        steps.push(Step::new("Nothing is held against the address.", "suppression"));
    }
    if facts.campaign.category == Category::Marketing {
        let decides = |standing: Option<Standing>| match because {
            Some(SkipReason::Unsubscribed) => standing == Some(Standing::Unsubscribed),
            Some(SkipReason::Unconfirmed) => standing == Some(Standing::Unconfirmed),
            Some(SkipReason::NotSubscribed) => standing != Some(Standing::Subscribed),
            Some(SkipReason::NoAddress | SkipReason::ContactDeleted | SkipReason::Stopped | SkipReason::Suppressed)
            | None => false,
        };
        steps.extend(against.topics.iter().map(|(list, standing)| {
            let fact = match standing {
                Some(Standing::Subscribed) => "Subscribed to the topic",
                Some(Standing::Unsubscribed) => "The topic was refused, by the contact or for the address",
                Some(Standing::Unconfirmed) => "The topic is not confirmed yet",
                Some(Standing::Moved) => "Another contact of the same person has the subscription to the topic",
                None => "No standing on the topic",
            };
            Step::new(format!("{fact}."), format!("list {list}")).decisive(decides(*standing))
        }));
    }
    steps
}

/// Why something is skipped, in a part of a sentence.
pub(super) const fn reason(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::NoAddress => "the contact has no address for the channel",
        SkipReason::ContactDeleted => "the contact was deleted",
        SkipReason::Stopped => "the campaign was stopped first",
        SkipReason::Suppressed => "nothing is sent to the address: it bounced, complained, or is blocked",
        SkipReason::Unsubscribed => "the person has refused messages of this kind",
        SkipReason::Unconfirmed => "the person has not confirmed yet that they want the topic",
        SkipReason::NotSubscribed => "the person never agreed to a topic of the campaign",
    }
}

/// The reasons that are held against the address itself.
pub(super) fn held(facts: &Facts) -> Vec<Reason> {
    let held = &facts.against.held;
    let soft = held.soft_until.filter(|until| *until > facts.now);
    let marketing = |at| if facts.campaign.category == Category::Marketing { at } else { None };
    [
        (Reason::Complained, held.complained_at),
        (Reason::Bounced, held.bounced_at),
        (Reason::Blocked, held.blocked_at),
        (Reason::SoftBounced, soft),
        (Reason::Unsubscribed, marketing(held.unsubscribed_at)),
        (Reason::Stopped, marketing(held.stopped_at)),
    ]
    .into_iter()
    .filter_map(|(reason, at)| at.map(|_| reason))
    .collect()
}
