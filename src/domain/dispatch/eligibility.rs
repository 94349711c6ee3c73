//! Where a channel reaches a contact, and why a contact is not sent to. `store::dispatch::eligibility` reads what is asked
//! here; a test holds both against each other.

use super::delivery::SkipReason;
use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::Profile;
use crate::domain::people::standing::Standing;

/// What decides whether a contact is sent to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Contactable<'a> {
    /// An email address.
    pub email: Option<&'a str>,
    /// A number in E.164 form.
    pub phone: Option<&'a str>,
    /// The contact's name in another system.
    pub external_id: Option<&'a str>,
    /// Whether the contact was deleted.
    pub is_deleted: bool,
}

impl<'a> From<&'a Profile> for Contactable<'a> {
    /// A profile is of a contact that was not deleted.
    fn from(profile: &'a Profile) -> Self {
        Self {
            email: profile.fields.email.as_deref(),
            phone: profile.fields.phone.as_deref(),
            external_id: profile.fields.external_id.as_deref(),
            is_deleted: false,
        }
    }
}

/// Where a channel reaches a contact: at its address or its number, or for an HTTP API at the first of address, number and
/// external id that it has.
///
/// # Errors
/// Why it is not sent to.
pub fn address_for<'a>(channel: ChannelKind, contact: impl Into<Contactable<'a>>) -> Result<&'a str, SkipReason> {
    let Contactable { email, phone, external_id, is_deleted } = contact.into();
    if is_deleted {
        return Err(SkipReason::ContactDeleted);
    }
    let address = match channel {
        ChannelKind::Email => email,
        ChannelKind::Sms | ChannelKind::Whatsapp => phone,
        ChannelKind::Http => email.or(phone).or(external_id),
    };
    address.ok_or(SkipReason::NoAddress)
}

/// What is held against an address, whatever the topic. Each reason by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// The person refused everything.
    pub unsubscribed_at: Option<UtcInstant>,
    /// The person wants nothing more on this channel.
    pub stopped_at: Option<UtcInstant>,
    /// The person called a message spam.
    pub complained_at: Option<UtcInstant>,
    /// The address does not exist.
    pub bounced_at: Option<UtcInstant>,
    /// Until when a soft bounce keeps messages back.
    pub soft_until: Option<UtcInstant>,
    /// An operator has blocked the address.
    pub blocked_at: Option<UtcInstant>,
    /// An operator has blocked the whole domain of an email address.
    pub domain_blocked_at: Option<UtcInstant>,
}

impl Held {
    /// Whether nothing may be sent to the address, whatever it is about.
    fn keeps_everything_back(&self, now: UtcInstant) -> bool {
        let Self {
            unsubscribed_at: _,
            stopped_at: _,
            complained_at,
            bounced_at,
            soft_until,
            blocked_at,
            domain_blocked_at,
        } = self;
        [complained_at, bounced_at, blocked_at, domain_blocked_at].into_iter().any(Option::is_some)
            || soft_until.is_some_and(|until| until > now)
    }
}

/// How a contact stands on one topic of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnTopic {
    /// Whether the topic counts everybody who was introduced and has not refused.
    pub default_opt_in: bool,
    /// The contact's standing, or that of its address where that has refused the topic. `None`: none.
    pub standing: Option<Standing>,
}

/// What a contact has agreed to and refused, as far as a campaign asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Consent<'a> {
    /// What is held against the address.
    pub held: Held,
    /// Whether an import, the API or the person's own act has introduced the contact.
    pub is_introduced: bool,
    /// When the person has last agreed to one of the topics by an act of their own, and still does.
    pub own_act_at: Option<UtcInstant>,
    /// The campaign's topics. Without any, no standing is asked.
    pub topics: &'a [OnTopic],
}

/// Whether a contact with an address may be sent a message of this category.
///
/// # Errors
/// Why not.
pub fn may_send(category: Category, consent: &Consent<'_>, now: UtcInstant) -> Result<(), SkipReason> {
    let Consent { held, is_introduced, own_act_at, topics } = consent;
    if held.keeps_everything_back(now) {
        return Err(SkipReason::Suppressed);
    }
    match category {
        Category::Transactional => return Ok(()),
        Category::Marketing => {}
    }
    // To agree to a topic says nothing about the channel.
    if held.stopped_at.is_some() {
        return Err(SkipReason::Unsubscribed);
    }
    // Who refused everything and came back to a topic afterwards, by their own act, wants that topic.
    if held.unsubscribed_at.is_some_and(|refused| own_act_at.is_none_or(|agreed| agreed <= refused)) {
        return Err(SkipReason::Unsubscribed);
    }
    let agrees = |topic: &OnTopic| match topic.standing {
        Some(Standing::Subscribed) => true,
        Some(Standing::Unsubscribed) => false,
        Some(Standing::Unconfirmed | Standing::Moved) | None => topic.default_opt_in && *is_introduced,
    };
    if topics.is_empty() || topics.iter().any(agrees) {
        return Ok(());
    }
    let stands = |standing: Standing| topics.iter().any(|topic| topic.standing == Some(standing));
    Err(if stands(Standing::Unsubscribed) {
        SkipReason::Unsubscribed
    } else if stands(Standing::Unconfirmed) {
        SkipReason::Unconfirmed
    } else {
        SkipReason::NotSubscribed
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcInstant = UtcInstant(1_000);
    const BEFORE: Option<UtcInstant> = Some(UtcInstant(500));
    const AFTER: Option<UtcInstant> = Some(UtcInstant(1_500));

    fn both(consent: &Consent<'_>) -> (Result<(), SkipReason>, Result<(), SkipReason>) {
        (may_send(Category::Marketing, consent, NOW), may_send(Category::Transactional, consent, NOW))
    }

    fn on(standing: Option<Standing>) -> OnTopic {
        OnTopic { default_opt_in: false, standing }
    }

    #[test]
    fn an_address_that_bounced_complained_or_is_blocked_gets_nothing_at_all() {
        let none = Held::default();
        for held in [
            Held { bounced_at: BEFORE, ..none },
            Held { complained_at: BEFORE, ..none },
            Held { blocked_at: BEFORE, ..none },
            Held { domain_blocked_at: BEFORE, ..none },
            Held { soft_until: AFTER, ..none },
        ] {
            let consent = Consent { held, topics: &[on(Some(Standing::Subscribed))], ..Consent::default() };
            assert_eq!(both(&consent), (Err(SkipReason::Suppressed), Err(SkipReason::Suppressed)), "{held:?}");
        }
        let over = Consent { held: Held { soft_until: BEFORE, ..none }, ..Consent::default() };
        assert_eq!(both(&over), (Ok(()), Ok(())), "a soft bounce that is over keeps nothing back");
    }

    #[test]
    fn who_refused_everything_gets_no_marketing_and_still_a_receipt() {
        let held = Held { unsubscribed_at: Some(UtcInstant(700)), ..Held::default() };
        let subscribed = [on(Some(Standing::Subscribed))];
        let refused = Consent { held, topics: &subscribed, ..Consent::default() };
        assert_eq!(both(&refused), (Err(SkipReason::Unsubscribed), Ok(())));
        let earlier = Consent { own_act_at: BEFORE, ..refused };
        assert_eq!(both(&earlier).0, Err(SkipReason::Unsubscribed));
        let came_back = Consent { own_act_at: Some(UtcInstant(800)), ..refused };
        assert_eq!(both(&came_back).0, Ok(()));
    }

    #[test]
    fn who_stopped_the_channel_gets_no_marketing_on_it_whatever_was_agreed_to_since() {
        let held = Held { stopped_at: BEFORE, ..Held::default() };
        let topics = [on(Some(Standing::Subscribed))];
        let stopped = Consent { held, topics: &topics, own_act_at: AFTER, ..Consent::default() };
        assert_eq!(both(&stopped), (Err(SkipReason::Unsubscribed), Ok(())));
    }

    #[test]
    fn marketing_needs_one_topic_that_was_agreed_to_and_transactional_messages_ask_for_none() {
        use Standing::{Moved, Subscribed, Unconfirmed, Unsubscribed};
        for (standings, expected) in [
            (vec![Some(Subscribed)], Ok(())),
            (vec![Some(Unsubscribed), Some(Subscribed)], Ok(())),
            (vec![Some(Unsubscribed)], Err(SkipReason::Unsubscribed)),
            (vec![Some(Unconfirmed)], Err(SkipReason::Unconfirmed)),
            (vec![Some(Unconfirmed), Some(Unsubscribed), None], Err(SkipReason::Unsubscribed)),
            (vec![None, Some(Unconfirmed)], Err(SkipReason::Unconfirmed)),
            (vec![None], Err(SkipReason::NotSubscribed)),
            (vec![Some(Moved)], Err(SkipReason::NotSubscribed)),
            (vec![], Ok(())),
        ] {
            let topics: Vec<OnTopic> = standings.iter().copied().map(on).collect();
            let consent = Consent { topics: &topics, is_introduced: true, ..Consent::default() };
            assert_eq!(both(&consent), (expected, Ok(())), "{standings:?}");
        }
    }

    #[test]
    fn a_topic_with_default_opt_in_counts_who_was_introduced_and_has_not_refused() {
        for (standing, is_introduced, expected) in [
            (None, true, Ok(())),
            (Some(Standing::Moved), true, Ok(())),
            (Some(Standing::Unsubscribed), true, Err(SkipReason::Unsubscribed)),
            (None, false, Err(SkipReason::NotSubscribed)),
            (Some(Standing::Subscribed), false, Ok(())),
        ] {
            let topics = [OnTopic { default_opt_in: true, standing }];
            let consent = Consent { topics: &topics, is_introduced, ..Consent::default() };
            assert_eq!(both(&consent).0, expected, "{standing:?} {is_introduced}");
        }
    }
}
