//! The campaign's life: statuses, and the events that move them.

pub mod audience;
pub mod brake;
pub mod content_doubt;
pub mod order;
pub mod reach;

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
        /// Ended by an operator; final.
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
        /// Hand-overs stop, and never resume.
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
            (S::Draft | S::Scheduled | S::Sending | S::Paused, E::Stop) => Ok(S::Stopped),
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
