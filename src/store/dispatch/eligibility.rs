//! Why a contact is not sent to, in SQL: the same as `domain::dispatch::eligibility` says of one contact.

use crate::domain::channel::ChannelKind;
use crate::domain::dispatch::delivery::SkipReason;

/// An expression over a row `c` of `contacts`: the reason why it is not sent to by `channel`, or NULL. It reads the same on both
/// databases.
#[must_use]
pub fn skip_reason(channel: ChannelKind) -> String {
    let reachable = match channel {
        ChannelKind::Email => "c.email IS NOT NULL",
        ChannelKind::Sms | ChannelKind::Whatsapp => "c.phone IS NOT NULL",
        ChannelKind::Http => "(c.email IS NOT NULL OR c.phone IS NOT NULL OR c.external_id IS NOT NULL)",
    };
    format!(
        "CASE WHEN c.deleted_at IS NOT NULL THEN '{}' WHEN {reachable} THEN NULL ELSE '{}' END",
        SkipReason::ContactDeleted.as_str(),
        SkipReason::NoAddress.as_str()
    )
}
