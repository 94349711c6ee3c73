//! Why recipients of a campaign failed, were skipped or are uncertain, as its page shows it.

use askama::Template;

use super::words::grouped;
use crate::domain::dispatch::delivery::ErrorCategory;
use crate::http::api::campaigns::reasons::{CampaignReason, CampaignReasons};

/// Most lines of it.
const MOST: usize = 10;

/// The most frequent reasons, each with a link to its people.
#[derive(Debug, Template)]
#[template(path = "ui/reasons.html")]
pub(super) struct Reasons {
    id: i64,
    rows: Vec<Row>,
    /// How many have a reason that is not shown.
    others: Option<String>,
    is_complete: bool,
}

/// A reason.
#[derive(Debug)]
struct Row {
    state: &'static str,
    words: String,
    /// The same as the API spells it.
    spelled: String,
    count: String,
    /// The page with these people.
    path: String,
}

/// A kind of trouble, in words.
pub(super) fn trouble(category: &str) -> String {
    let words = match ErrorCategory::from_text(category) {
        Some(ErrorCategory::Refused) => "refused by the provider",
        Some(ErrorCategory::Policy) => "refused by a policy",
        Some(ErrorCategory::Throttled) => "too fast for the provider",
        Some(ErrorCategory::ProviderError) => "the provider had trouble",
        Some(ErrorCategory::Network) => "the connection failed or was cut",
        Some(ErrorCategory::Unexpected) => "an unexpected answer",
        Some(ErrorCategory::ContactNotFound) => "the contact is gone",
        Some(ErrorCategory::Render) => "the message could not be made",
        Some(ErrorCategory::Poison) => "its message ended the process",
        Some(ErrorCategory::Resolved) => "an operator decided",
        None => return category.replace('_', " "),
    };
    words.to_owned()
}

/// The query of the list of recipients that has these.
fn query(reason: &CampaignReason) -> String {
    let part = |name: &str, value: Option<&str>| value.map(|value| format!("&{name}={value}")).unwrap_or_default();
    format!(
        "status={}{}{}{}",
        reason.status,
        part("error_category", reason.error_category.as_deref()),
        part("answer_class", reason.answer_class.as_deref()),
        part("skip_reason", reason.skip_reason.as_deref())
    )
}

impl Reasons {
    /// The reasons of the campaign with this id. `None`: there is nothing to say.
    pub(super) fn of(id: i64, reasons: &CampaignReasons) -> Option<Self> {
        if reasons.data.is_empty() && reasons.complete {
            return None;
        }
        let (shown, rest) = reasons.data.split_at(reasons.data.len().min(MOST));
        let others = rest.iter().map(|reason| reason.count).sum::<i64>() + reasons.other.total();
        Some(Self {
            id,
            rows: shown.iter().map(|reason| Row::of(id, reason)).collect(),
            others: (others > 0).then(|| grouped(others)),
            is_complete: reasons.complete,
        })
    }
}

impl Row {
    fn of(id: i64, reason: &CampaignReason) -> Self {
        let class = reason.answer_class.as_deref();
        let words = match (&reason.skip_reason, &reason.error_category) {
            (Some(skip), _) => skip.replace('_', " "),
            (None, Some(category)) => trouble(category),
            (None, None) => "no kind of trouble is recorded".to_owned(),
        };
        let about = class.map(|class| format!(", about the {}", class.replace('_', " "))).unwrap_or_default();
        let spelled: Vec<&str> =
            [reason.error_category.as_deref(), class, reason.skip_reason.as_deref()].into_iter().flatten().collect();
        Self {
            state: reason.status.as_str(),
            words: format!("{words}{about}"),
            spelled: spelled.join(" · "),
            count: grouped(reason.count),
            path: format!("/ui/campaigns/{id}/people?{}", query(reason)),
        }
    }
}
