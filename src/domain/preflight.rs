//! What is found out about a campaign before it is launched: everybody is counted and every message is made, and nothing is sent.

pub mod estimate;
pub mod failures;
pub mod funnel;
pub mod missing;
pub mod samples;
pub mod sms_parts;
pub mod verdict;

use serde::Serialize;
use utoipa::ToSchema;

use self::estimate::Estimate;
use self::failures::Failure;
use self::funnel::Funnel;
use self::missing::MissingValue;
use self::samples::Sample;
use self::sms_parts::SmsParts;
use self::verdict::Verdict;
use crate::domain::content::attachment::AttachedFile;
use crate::domain::ids::CampaignId;
use crate::domain::instant::UtcInstant;

/// How many contacts are named as examples of something.
pub const EXAMPLES: usize = 3;

/// The result of a preflight. Its samples and examples are personal data.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Report {
    /// Which campaign.
    pub campaign_id: CampaignId,
    /// Whether it can be sent, what forbids it, and what should be looked at first.
    pub verdict: Verdict,
    /// Names the audience and the content that were checked: `POST send {"preflight": …}` insists on it. `null`: the campaign cannot be
    /// launched as it is.
    pub fingerprint: Option<String>,
    /// How many people are left at each step.
    pub funnel: Funnel,
    /// Placeholders for which people have no value, the most frequent first.
    pub missing: Vec<MissingValue>,
    /// Why messages cannot be made, the most frequent first: at most 20 reasons.
    pub render_errors: Vec<Failure>,
    /// People among those who would get a message that were sent one by other campaigns in the last 24 hours.
    pub recently_mailed: RecentlyMailed,
    /// At most ten messages as their recipients would get them.
    pub samples: Vec<Sample>,
    /// Files that each of its messages has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachedFile>,
    /// What the messages take in parts. Only of text messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sms_parts: Option<SmsParts>,
    /// How long sending takes by the limits that are known.
    pub estimate: Estimate,
    /// When it began, by the database's clock.
    pub started_at: UtcInstant,
    /// When it ended.
    pub finished_at: UtcInstant,
}

/// People who were sent a message by other campaigns lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecentlyMailed {
    /// How many people.
    pub people: i64,
    /// How many other campaigns were looked at: those that were under way in the last 24 hours, at most the 20 newest.
    pub campaigns: usize,
    /// Whether these were all of them.
    pub complete: bool,
}

/// How far a preflight is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Progress {
    /// Recipients who were looked at so far.
    pub looked_at: i64,
    /// How far the walk through the ids of all contacts is, in thousandths.
    pub thousandths: i64,
}
