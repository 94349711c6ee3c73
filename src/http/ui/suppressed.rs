//! Why addresses are not written to, as pages show it.

use std::collections::HashMap;

use super::words::When;
use crate::domain::ids::ListId;
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::Reason;
use crate::http::api::people::suppressions::Suppression;

/// A suppression of an address on one channel.
pub(super) struct SuppressionView {
    pub(super) address: String,
    pub(super) channel: String,
    /// The list that is refused, and what it is called. `None`: everything.
    pub(super) list: Option<(i64, String)>,
    pub(super) reasons: Vec<ReasonView>,
    /// Where the last change came from.
    pub(super) source: String,
}

/// One reason.
pub(super) struct ReasonView {
    /// As a sentence about the address.
    pub(super) says: &'static str,
    /// `since`, `until`, `ended`.
    pub(super) word: &'static str,
    pub(super) at: When,
    /// The question whether to lift it.
    pub(super) lift: String,
    /// Whether only an administrator may.
    pub(super) is_for_admins: bool,
}

/// A reason as a sentence about the person or the address.
pub(super) const fn says(reason: Reason) -> &'static str {
    match reason {
        Reason::Unsubscribed => "refused",
        Reason::Stopped => "said stop on this channel",
        Reason::Complained => "complained to the mailbox provider",
        Reason::Bounced => "the address does not exist",
        Reason::SoftBounced => "the address takes no mail for now",
        Reason::Blocked => "blocked by an operator",
    }
}

/// A source as it is stored, in words.
pub(super) fn source(text: &str) -> String {
    match text {
        "one_click" => "one click in the mailbox".to_owned(),
        "page" => "page behind a link".to_owned(),
        "preferences" => "page of preferences".to_owned(),
        "confirmation" => "link that confirms".to_owned(),
        "new_address" => "new address".to_owned(),
        "taken_over" => "taken over from the address".to_owned(),
        other => other.to_owned(),
    }
}

/// The instant of a reason.
fn instant(found: &Suppression, reason: Reason) -> Option<UtcInstant> {
    match reason {
        Reason::Unsubscribed => found.unsubscribed_at,
        Reason::Stopped => found.stopped_at,
        Reason::Complained => found.complained_at,
        Reason::Bounced => found.bounced_at,
        Reason::SoftBounced => found.soft_until,
        Reason::Blocked => found.blocked_at,
    }
}

/// The reasons of a suppression that hold at a moment.
pub(super) fn holding(found: &Suppression, now: UtcInstant) -> impl Iterator<Item = Reason> {
    let holds = move |reason: &Reason| *reason != Reason::SoftBounced || found.soft_until.is_some_and(|end| end > now);
    found.reasons.iter().copied().filter(holds)
}

/// The question whether a reason shall be lifted.
fn lift(found: &Suppression, reason: Reason) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("address", &found.address).append_pair("channel", found.channel.as_str());
    if let Some(list) = found.list_id {
        query.append_pair("list", &list.to_string());
    }
    query.append_pair("reason", reason.as_str());
    format!("/ui/suppressions/lift?{}", query.finish())
}

impl SuppressionView {
    /// A suppression with the names of lists. `now`: `None` where the moment is not known.
    pub(super) fn of(found: &Suppression, names: &HashMap<ListId, String>, now: Option<UtcInstant>) -> Self {
        let list = found.list_id.map(|id| (id.0, names.get(&id).cloned().unwrap_or_else(|| format!("list {id}"))));
        let view = |reason: &Reason| {
            let at = instant(found, *reason)?;
            let word = match (*reason == Reason::SoftBounced, now.is_some_and(|now| at <= now)) {
                (false, _) => "since",
                (true, false) => "until",
                (true, true) => "ended",
            };
            let lift = lift(found, *reason);
            Some(ReasonView {
                says: says(*reason),
                word,
                at: When::of(at),
                lift,
                is_for_admins: reason.is_for_admins(),
            })
        };
        Self {
            address: found.address.clone(),
            channel: found.channel.to_string(),
            list,
            reasons: found.reasons.iter().filter_map(view).collect(),
            source: found.source.as_deref().map(source).unwrap_or_default(),
        }
    }
}
