//! Campaigns as lines of a table.

use super::plot::Bar;
use super::words::{When, grouped, sentence};
use crate::domain::campaigns::CampaignStatus;
use crate::http::api::overview::Glance;

/// A campaign as a line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) status: &'static str,
    pub(super) channel: String,
    pub(super) bar: Bar,
    pub(super) sent: String,
    pub(super) failed: String,
    pub(super) uncertain: String,
    pub(super) left: String,
    pub(super) total: String,
    /// The same in a sentence.
    pub(super) whole: String,
    /// How it stands.
    pub(super) sentence: String,
    /// Whether it cannot go on.
    pub(super) is_held: bool,
    /// When it was launched, or will be.
    pub(super) at: Option<When>,
}

impl Line {
    /// A campaign's line. `rate`: what was measured lately.
    pub(super) fn of(campaign: &Glance, rate: Option<f64>) -> Self {
        let counts = &campaign.stats.counts;
        let at = match campaign.status {
            CampaignStatus::Scheduled => campaign.scheduled_at,
            CampaignStatus::Draft
            | CampaignStatus::Sending
            | CampaignStatus::Paused
            | CampaignStatus::Sent
            | CampaignStatus::Failed
            | CampaignStatus::Stopped => campaign.launched_at,
        };
        let packing = campaign.packing_on();
        let whole = counts.total().max(packing.map_or(0, |packing| packing.expected));
        Self {
            id: campaign.id.0,
            name: campaign.name.clone(),
            status: campaign.status.as_str(),
            channel: campaign.channel.to_string(),
            bar: Bar::in_a_row(&campaign.stats, packing),
            sent: grouped(counts.sent),
            failed: grouped(counts.failed),
            uncertain: grouped(counts.uncertain),
            left: grouped(campaign.left),
            total: grouped(whole),
            whole: format!("{}{}", if packing.is_none() { "" } else { "about " }, grouped(whole)),
            sentence: match &campaign.attention {
                Some(attention) => attention.detail.clone(),
                None => sentence(campaign, rate),
            },
            is_held: campaign.attention.is_some(),
            at: at.map(When::of),
        }
    }
}
