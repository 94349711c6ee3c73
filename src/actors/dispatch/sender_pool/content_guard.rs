//! What is not the recipients' fault: content that too many of them cannot be rendered for, and the same refusal for nearly
//! all of them. The campaign is paused before it has failed them one by one.

use std::sync::atomic::Ordering;

use actix::prelude::*;

use super::SenderPool;
use super::content::CampaignContent;
use crate::domain::campaigns::CampaignStatus;
use crate::domain::ids::CampaignId;
use crate::domain::replicas::decision::{Action, Subject};
use crate::domain::replicas::messages::Control;
use crate::store::Lane;
use crate::store::campaigns::{self, Doubt};

impl SenderPool {
    /// Has campaigns paused that are in doubt. One that cannot be now is looked at again with the next report.
    pub(super) fn doubt_campaigns(&mut self, ctx: &mut Context<Self>) {
        let doubts =
            self.holdings.contents.iter().filter_map(|(campaign, content)| Some((*campaign, doubt_of(content)?)));
        for (campaign, doubt) in doubts.collect::<Vec<_>>() {
            self.doubt_campaign(campaign, doubt, ctx);
        }
    }

    fn doubt_campaign(&mut self, campaign: CampaignId, doubt: Doubt, ctx: &mut Context<Self>) {
        self.note_doubt(campaign, &doubt, true);
        let store = self.deps.store.clone();
        let cause = doubt.clone();
        let work = async move {
            let pause = move |conn: &mut crate::store::Conn| match conn
                .write(|conn| campaigns::doubt(conn, campaign, &cause))
            {
                Err(campaigns::TransitionError::Store(error)) => Err(error),
                other => Ok(other),
            };
            store.run(Lane::Control, "pause a campaign", pause).await
        };
        ctx.spawn(work.into_actor(self).map(move |result, pool, ctx| {
            let row = match result {
                Ok(Ok(row)) => row,
                // Gone, or ended in this moment.
                Ok(Err(_)) => return,
                Err(error) => {
                    pool.note_doubt(campaign, &doubt, false);
                    return pool.store_failed(&error);
                }
            };
            // Paused by somebody else in this moment: the doubt is raised when it goes on.
            pool.note_doubt(campaign, &doubt, doubt.is_noted(&row));
            pool.deps.status.set(campaign, row.status, row.status_version);
            if row.status == CampaignStatus::Paused {
                // The stored pause holds everywhere; the message makes the others stop in the middle of what they have claimed.
                let pause = Control::of(&Subject::Campaign(campaign), Action::Pause, row.status_version);
                pool.deps.announcer.control(&pause, None);
                let why = match doubt {
                    Doubt::Content => "too many recipients could not be rendered",
                    Doubt::Refusals { .. } => "nearly all recipients got the same refusal",
                };
                tracing::warn!(
                    event = "campaign.paused",
                    campaign.id = campaign.0,
                    correlation.id = row.correlation_id,
                    reason = why,
                    "Volley has paused the campaign by itself"
                );
            }
            pool.close_paused();
            pool.pump(ctx);
        }));
    }

    fn note_doubt(&self, campaign: CampaignId, doubt: &Doubt, raised: bool) {
        let Some(content) = self.holdings.contents.get(&campaign) else { return };
        match doubt {
            Doubt::Content => content.render_tally.raised.store(raised, Ordering::Relaxed),
            Doubt::Refusals { .. } => content.answers.note_raised(raised),
        }
    }
}

fn doubt_of(content: &CampaignContent) -> Option<Doubt> {
    if content.render_tally.is_to_be_doubted() {
        return Some(Doubt::Content);
    }
    content.answers.doubt().map(|(quote, version)| Doubt::Refusals { quote, version })
}
