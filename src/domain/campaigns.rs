//! The campaign's life: statuses, the events that move them, and the audience.

use serde::{Deserialize, Serialize};

use super::ids::{ContactId, ListId};
use super::text_enum::text_enum;

text_enum! {
    /// Where a campaign stands.
    CampaignStatus {
        /// Being written; nothing is sent.
        Draft = "draft",
        /// Will launch by itself at `scheduled_at`.
        Scheduled = "scheduled",
        /// Launched: packed, handed over and retried.
        Sending = "sending",
        /// Launched, and nothing is handed over until it is resumed.
        Paused = "paused",
        /// Ended: something was sent, or nothing failed.
        Sent = "sent",
        /// Ended: something failed, nothing was sent and nothing is uncertain; or the launch itself was impossible.
        Failed = "failed",
        /// Ended by an operator, for good.
        Stopped = "stopped",
    }
}

text_enum! {
    /// What happened to a campaign. Clients never set a status; they cause events.
    CampaignEvent {
        /// A launch time was set.
        Schedule = "schedule",
        /// The launch time was taken away.
        Unschedule = "unschedule",
        /// Sending begins, by an operator or by the schedule.
        Launch = "launch",
        /// The scheduled launch was impossible.
        LaunchFailed = "launch_failed",
        /// Hand-overs stop until a resume.
        Pause = "pause",
        /// Hand-overs go on.
        Resume = "resume",
        /// Hand-overs stop for good.
        Stop = "stop",
        /// Everyone is settled and at least one was sent, or nobody failed.
        CompleteSent = "complete_sent",
        /// Everyone is settled, someone failed, nobody was sent and nobody is uncertain.
        CompleteFailed = "complete_failed",
        /// `retry-failed`, or an uncertain delivery resolved as pending.
        Reopen = "reopen",
    }
}

/// An event that the present status does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot {event} a campaign that is {from}")]
pub struct BadTransition {
    /// The status that refused.
    pub from: CampaignStatus,
    /// What was asked for.
    pub event: CampaignEvent,
}

impl CampaignStatus {
    /// The status after `event`. `docs/state-machines.md` draws the same table, and a test compares the two.
    ///
    /// # Errors
    /// [`BadTransition`] when the present status does not allow the event.
    pub fn next(self, event: CampaignEvent) -> Result<Self, BadTransition> {
        use CampaignEvent as E;
        use CampaignStatus as S;
        match (self, event) {
            (S::Draft | S::Scheduled, E::Schedule) => Ok(S::Scheduled),
            (S::Scheduled, E::Unschedule) => Ok(S::Draft),
            (S::Draft | S::Scheduled, E::Launch) => Ok(S::Sending),
            (S::Scheduled, E::LaunchFailed) => Ok(S::Failed),
            (S::Sending | S::Paused, E::Pause) => Ok(S::Paused),
            (S::Paused, E::Resume) => Ok(S::Sending),
            (S::Sending | S::Paused, E::Stop) => Ok(S::Stopped),
            (S::Sending, E::CompleteSent) => Ok(S::Sent),
            (S::Sending, E::CompleteFailed) => Ok(S::Failed),
            (S::Sent | S::Failed, E::Reopen) => Ok(S::Sending),
            _ => Err(BadTransition { from: self, event }),
        }
    }

    /// Whether nothing more will happen unless somebody re-opens the campaign.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Sent | Self::Failed | Self::Stopped)
    }

    /// Whether the campaign may still be edited.
    #[must_use]
    pub fn is_editable(self) -> bool {
        matches!(self, Self::Draft | Self::Scheduled)
    }
}

text_enum! {
    /// The way a message travels.
    ChannelKind {
        /// E-mail.
        Email = "email",
        /// Text message.
        Sms = "sms",
        /// WhatsApp.
        Whatsapp = "whatsapp",
        /// Any HTTP API.
        Http = "http",
    }
}

text_enum! {
    /// What happens to deliveries of which nobody knows whether the provider took them.
    OnUncertain {
        /// They stay `uncertain` until evidence or a person decides. Of the ambiguous ones measured, nine in ten had
        /// been accepted, so this is the default.
        Hold = "hold",
        /// They are sent again. Recipients may get the message twice.
        Resend = "resend",
    }
}

text_enum! {
    /// Whether a campaign's content was found to suit its recipients badly.
    ContentDoubt {
        /// Too many of them could not be rendered, and the campaign was paused for it.
        Raised = "raised",
        /// Somebody resumed it all the same: it is not paused for that again.
        Waived = "waived",
    }
}

/// Whether so many of `tried` recipients could not be rendered that the content, not the recipients, is at fault: more than
/// one in a hundred, once a hundred were tried.
#[must_use]
pub fn is_content_doubtful(tried: u32, unrenderable: u32) -> bool {
    const ENOUGH: u32 = 100;
    tried >= ENOUGH && u64::from(unrenderable) * 100 > u64::from(tried)
}

text_enum! {
    /// How a campaign ended, where its status alone does not say.
    CampaignOutcome {
        /// The audience named nobody.
        EmptyAudience = "empty_audience",
        /// Everyone named was skipped.
        NoneEligible = "none_eligible",
        /// A scheduled launch found the campaign impossible to send.
        LaunchFailed = "launch_failed",
    }
}

/// Who a campaign is for. Exactly one of the three ways to name people must be given; mailing everybody must be said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Audience {
    /// Members of any of these lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<ListId>,
    /// These contacts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contact_ids: Vec<ContactId>,
    /// Every live contact.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Who is left out of the above.
    #[serde(default, skip_serializing_if = "Exclusion::is_empty")]
    pub exclude: Exclusion,
}

/// People left out of an audience.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Exclusion {
    /// Members of any of these lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<ListId>,
    /// These contacts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contact_ids: Vec<ContactId>,
}

impl Exclusion {
    /// Whether nobody is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.contact_ids.is_empty()
    }
}

/// Why an audience cannot be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AudienceError {
    /// Nobody is named.
    #[error("name an audience: lists, contact_ids, or all: true")]
    Missing,
    /// Two ways of naming people were mixed.
    #[error("lists, contact_ids and all exclude one another: give one")]
    Ambiguous,
}

impl Audience {
    /// An audience of these contacts, each once, in id order.
    #[must_use]
    pub fn of_contacts(mut contact_ids: Vec<ContactId>) -> Self {
        contact_ids.sort_unstable();
        contact_ids.dedup();
        Self { contact_ids, ..Self::default() }
    }

    /// Which way of naming people it uses, as its field is called.
    #[must_use]
    pub fn strategy(&self) -> &'static str {
        if self.all {
            "all"
        } else if self.lists.is_empty() {
            "contact_ids"
        } else {
            "lists"
        }
    }

    /// Checks that exactly one way of naming people is used.
    ///
    /// # Errors
    /// [`AudienceError`] when none or several are used.
    pub fn check(&self) -> Result<(), AudienceError> {
        let ways =
            [!self.lists.is_empty(), !self.contact_ids.is_empty(), self.all].into_iter().filter(|used| *used).count();
        match ways {
            0 => Err(AudienceError::Missing),
            1 => Ok(()),
            _ => Err(AudienceError::Ambiguous),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_in_doubt_when_it_fails_for_more_than_one_in_a_hundred_of_at_least_a_hundred() {
        for (tried, unrenderable, doubtful) in
            [(99, 99, false), (100, 1, false), (100, 2, true), (1_000, 10, false), (1_000, 11, true)]
        {
            assert_eq!(is_content_doubtful(tried, unrenderable), doubtful, "{unrenderable} of {tried}");
        }
    }

    #[test]
    fn stop_is_final() {
        for event in CampaignEvent::ALL {
            assert!(CampaignStatus::Stopped.next(*event).is_err(), "{event} left stopped");
        }
    }

    #[test]
    fn pausing_a_paused_campaign_changes_nothing() {
        assert_eq!(CampaignStatus::Paused.next(CampaignEvent::Pause), Ok(CampaignStatus::Paused));
    }

    #[test]
    fn an_audience_names_people_in_exactly_one_way() {
        assert_eq!(Audience::default().check(), Err(AudienceError::Missing));
        let both = Audience { all: true, lists: vec![ListId(1)], ..Audience::default() };
        assert_eq!(both.check(), Err(AudienceError::Ambiguous));
        assert_eq!(Audience { all: true, ..Audience::default() }.check(), Ok(()));
    }
}
