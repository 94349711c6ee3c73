//! Operators' decisions that every instance has to hear of: what they are about, and what they say.

use crate::domain::campaigns::CampaignEvent;
use crate::domain::ids::CampaignId;
use crate::domain::text_enum::text_enum;

text_enum! {
    /// What a decision is about.
    Scope {
        /// A campaign.
        Campaign = "campaign",
        /// A sender pool, on every instance.
        Pool = "pool",
    }
}

text_enum! {
    /// What was decided.
    Action {
        /// Hand nothing over until a resume.
        Pause = "pause",
        /// Go on.
        Resume = "resume",
        /// Hand nothing over any more.
        Stop = "stop",
        /// Hand nothing over through this pool until it is resumed.
        Suspend = "suspend",
    }
}

impl Action {
    /// What instances have to hear of when this has happened to a campaign, if they have to.
    #[must_use]
    pub fn of(event: CampaignEvent) -> Option<Self> {
        match event {
            CampaignEvent::Pause => Some(Self::Pause),
            CampaignEvent::Resume => Some(Self::Resume),
            CampaignEvent::Stop => Some(Self::Stop),
            CampaignEvent::Schedule
            | CampaignEvent::Unschedule
            | CampaignEvent::Launch
            | CampaignEvent::LaunchFailed
            | CampaignEvent::CompleteSent
            | CampaignEvent::CompleteFailed
            | CampaignEvent::Reopen => None,
        }
    }
}

/// What a decision is about, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A campaign.
    Campaign(CampaignId),
    /// A sender pool.
    Pool(String),
}

impl Subject {
    /// Which kind it is.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self {
            Self::Campaign(_) => Scope::Campaign,
            Self::Pool(_) => Scope::Pool,
        }
    }

    /// Its name in the table, and on the wire.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Campaign(id) => id.to_string(),
            Self::Pool(name) => name.clone(),
        }
    }

    /// The subject of that name, if there can be one.
    #[must_use]
    pub fn parse(scope: Scope, name: &str) -> Option<Self> {
        match scope {
            Scope::Campaign => name.parse().ok().map(|id| Self::Campaign(CampaignId(id))),
            Scope::Pool => Some(Self::Pool(name.to_owned())),
        }
    }
}
