//! What follows for an address and its owner from what became of a message. The one place that decides it: for reports of providers, and
//! for what they say at the hand-over.
//!
//! Only what is about the address suppresses it. A sender, a server or a text that is refused says nothing about the address.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::domain::bounce::Cause;
use crate::domain::channel::ChannelKind;
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Act, EVERYTHING, Reason, SOFT_FOR_MS, Source, addresses_of, forms};
use crate::domain::people::fields::Fields;
use crate::domain::reports::ReportKind;
use crate::services::people::say_no::{SaidNo, What, say_no};
use crate::store::people::consent::{Ledger, Scribe};
use crate::store::people::refusals::RefusalBook;
use crate::store::people::standings;
use crate::store::people::suppressions::{self, Entry};
use crate::store::{Conn, StoreError, callbacks, engine};

/// How many soft bounces within [`SOFT_WITHIN_MS`] suppress an address.
const SOFT_BOUNCES: usize = 3;

/// How far back soft bounces are counted, in milliseconds.
const SOFT_WITHIN_MS: i64 = 30 * 86_400_000;

/// As far as a contact's soft bounces are read.
const SOFT_READ: i64 = 50;

/// What became of a message, as far as something may follow from it. It holds personal data: never logged, so it has no `Debug`.
#[derive(Clone)]
pub struct Happened {
    /// What became of it. A soft bounce is counted with the contact's events, of which this is already one.
    pub kind: ReportKind,
    /// Why, if it came back or was not sent.
    pub cause: Cause,
    /// Who it was for.
    pub contact: ContactId,
    /// The campaign.
    pub campaign: CampaignId,
    /// The campaign's channel.
    pub channel: ChannelKind,
    /// The pool whose provider says so.
    pub pool: String,
    /// The address that the message went to. An address that is not the contact's any more is not suppressed. Without one, only a
    /// complaint suppresses: the address that the contact has now.
    pub address: Option<String>,
    /// When it happened. None: now.
    pub at: Option<UtcInstant>,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// The address is suppressed.
    Suppress(Reason),
    /// The address is suppressed for a while, if this is not the first time.
    CountSoftBounces,
    /// The person refuses.
    Refuse(What),
}

impl Happened {
    fn effect(&self) -> Option<Effect> {
        match (self.kind, self.cause) {
            (_, Cause::Listed(Reason::Unsubscribed)) => Some(Effect::Refuse(What::Everything)),
            (_, Cause::Listed(reason @ (Reason::Complained | Reason::Bounced))) => Some(Effect::Suppress(reason)),
            (ReportKind::Complained, _) => Some(Effect::Suppress(Reason::Complained)),
            (ReportKind::Unsubscribed, _) => Some(Effect::Refuse(What::Campaign(self.campaign))),
            (ReportKind::HardBounced | ReportKind::RejectedLater, Cause::Address) => {
                Some(Effect::Suppress(Reason::Bounced))
            }
            (ReportKind::SoftBounced, Cause::Address | Cause::Other) => Some(Effect::CountSoftBounces),
            (
                ReportKind::HardBounced
                | ReportKind::SoftBounced
                | ReportKind::RejectedLater
                | ReportKind::Delivered
                | ReportKind::Opened(_)
                | ReportKind::Clicked(_)
                | ReportKind::Replied,
                _,
            ) => None,
        }
    }

    /// The contact's address that a suppression is about, if the message went there.
    fn suppressed_address(&self, keys: &Fields, reason: Reason) -> Option<String> {
        let own = addresses_of(keys).into_iter().filter(|(channel, _)| *channel == self.channel);
        let mut own = own.map(|(_, address)| address);
        match &self.address {
            Some(given) => {
                let forms = forms(self.channel, bare(given)).ok()?;
                own.find(|address| forms.contains(address))
            }
            None => own.next().filter(|_| reason == Reason::Complained),
        }
    }
}

/// An address without the name before it.
fn bare(text: &str) -> &str {
    let inside = text.rsplit_once('<').and_then(|(_, rest)| rest.split('>').next());
    inside.unwrap_or(text).trim()
}

/// Locks the contacts that something may follow for.
///
/// # Errors
/// The query failed.
pub fn hold(conn: &mut Conn, all: &[Happened]) -> Result<(), StoreError> {
    let concerned = all.iter().filter(|happened| happened.effect().is_some());
    let contacts: Vec<ContactId> = concerned.map(|happened| happened.contact).collect();
    if contacts.is_empty() { Ok(()) } else { standings::hold(conn, &contacts).map(drop) }
}

/// Stores what follows, inside the caller's write transaction: suppressions and refusals. Their contacts are locked already ([`hold`]).
/// Repeating it changes nothing.
///
/// # Errors
/// A query failed.
pub fn follow(conn: &mut Conn, book: &RefusalBook, all: &[Happened]) -> Result<(), StoreError> {
    let effects: Vec<(&Happened, Effect)> =
        all.iter().filter_map(|happened| Some((happened, happened.effect()?))).collect();
    if effects.is_empty() {
        return Ok(());
    }
    let contacts: Vec<ContactId> = effects.iter().map(|(happened, _)| happened.contact).collect();
    let held = standings::hold(conn, &contacts)?;
    let keys: HashMap<ContactId, Fields> = held.into_iter().map(|contact| (contact.id, contact.keys)).collect();
    let now = engine::now(conn)?;
    let (mut refusals, mut entries) = (Vec::new(), Vec::new());
    for (happened, effect) in effects {
        let Some(keys) = keys.get(&happened.contact) else { continue };
        match effect {
            // What a provider has on a list is an address, and not the person who has another one by now.
            Effect::Refuse(What::Everything) if happened.suppressed_address(keys, Reason::Unsubscribed).is_none() => {}
            Effect::Refuse(what) => refusals.push(refusal(happened, what, now)),
            Effect::Suppress(reason) => entries.extend(entry(happened, keys, reason, now)),
            Effect::CountSoftBounces if soft_bounces(conn, happened.contact, now)? >= SOFT_BOUNCES => {
                entries.extend(entry(happened, keys, Reason::SoftBounced, now));
            }
            Effect::CountSoftBounces => {}
        }
    }
    if !refusals.is_empty() {
        say_no(conn, book, &refusals)?;
    }
    if !entries.is_empty() {
        let scribe = Scribe { act: Arc::new(Act::of(Source::API)), book: book.clone() };
        let mut ledger = Ledger::new(&scribe);
        suppressions::set(conn, &mut ledger, &entries)?;
        ledger.close(conn)?;
    }
    Ok(())
}

fn refusal(happened: &Happened, what: What, now: UtcInstant) -> SaidNo {
    SaidNo {
        contact: happened.contact,
        what,
        campaign: Some(happened.campaign),
        source: Source::pool(&happened.pool).as_str().to_owned(),
        at: happened.at.unwrap_or(now),
        ip: None,
        user_agent: None,
    }
}

fn entry(happened: &Happened, keys: &Fields, reason: Reason, now: UtcInstant) -> Option<Entry> {
    let act = Act { campaign: Some(happened.campaign), ..Act::of(Source::pool(&happened.pool)) };
    let at = if reason == Reason::SoftBounced {
        now.plus_ms(SOFT_FOR_MS)
    } else {
        happened.at.map_or(now, |at| at.min(now))
    };
    Some(Entry {
        address: happened.suppressed_address(keys, reason)?,
        channel: happened.channel,
        topic: EVERYTHING,
        reason,
        at,
        contact: Some(happened.contact),
        act: Some(Arc::new(act)),
        is_said: true,
    })
}

/// How many soft bounces of a contact there were lately. Those that blame the sender do not count.
fn soft_bounces(conn: &mut Conn, contact: ContactId, now: UtcInstant) -> Result<usize, StoreError> {
    let Some(name) = ReportKind::SoftBounced.event() else { return Ok(0) };
    let since = now.plus_ms(-SOFT_WITHIN_MS);
    let all = callbacks::properties_since(conn, contact, name, since, SOFT_READ)?;
    let blames_the_sender = |properties: &String| {
        let properties: Value = serde_json::from_str(properties).unwrap_or_default();
        properties.get("cause").and_then(Value::as_str) == Some(Cause::Blocked.as_str())
    };
    Ok(all.iter().filter(|properties| !blames_the_sender(properties)).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reports::Reader;

    fn happened(kind: ReportKind, cause: Cause) -> Happened {
        Happened {
            kind,
            cause,
            contact: ContactId(1),
            campaign: CampaignId(2),
            channel: ChannelKind::Email,
            pool: "main".to_owned(),
            address: None,
            at: None,
        }
    }

    #[test]
    fn only_what_is_about_the_address_has_consequences() {
        let bounced = Some(Effect::Suppress(Reason::Bounced));
        let complained = Some(Effect::Suppress(Reason::Complained));
        for (kind, cause, effect) in [
            (ReportKind::HardBounced, Cause::Address, bounced),
            (ReportKind::RejectedLater, Cause::Address, bounced),
            (ReportKind::HardBounced, Cause::Blocked, None),
            (ReportKind::HardBounced, Cause::Other, None),
            (ReportKind::SoftBounced, Cause::Other, Some(Effect::CountSoftBounces)),
            (ReportKind::SoftBounced, Cause::Blocked, None),
            (ReportKind::Complained, Cause::Other, complained),
            (ReportKind::RejectedLater, Cause::Listed(Reason::Bounced), bounced),
            (ReportKind::RejectedLater, Cause::Listed(Reason::Complained), complained),
            (ReportKind::RejectedLater, Cause::Listed(Reason::Blocked), None),
            (ReportKind::RejectedLater, Cause::Listed(Reason::Unsubscribed), Some(Effect::Refuse(What::Everything))),
            (ReportKind::Unsubscribed, Cause::Other, Some(Effect::Refuse(What::Campaign(CampaignId(2))))),
            (ReportKind::Delivered, Cause::Other, None),
            (ReportKind::Opened(Reader::Person), Cause::Other, None),
        ] {
            assert_eq!(happened(kind, cause).effect(), effect, "{kind:?} {cause:?}");
        }
    }

    #[test]
    fn the_address_that_is_suppressed_is_one_that_the_contact_still_has() {
        let keys = Fields { email: Some("ann@example.com".to_owned()), ..Fields::default() };
        let address = |given: Option<&str>, reason| {
            let address = given.map(ToOwned::to_owned);
            Happened { address, ..happened(ReportKind::Complained, Cause::Other) }.suppressed_address(&keys, reason)
        };
        for given in ["ann@example.com", "Ann Miller <Ann@Example.com>", " ANN@EXAMPLE.COM "] {
            assert_eq!(address(Some(given), Reason::Bounced).as_deref(), Some("ann@example.com"), "{given}");
        }
        for given in ["old@example.com", "", "ann"] {
            assert_eq!(address(Some(given), Reason::Complained), None, "{given}");
        }
        assert_eq!(address(None, Reason::Complained).as_deref(), Some("ann@example.com"));
        assert_eq!(address(None, Reason::Bounced), None);
    }
}
