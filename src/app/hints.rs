//! The hints of services, as messages to actors and to other instances.

use actix::Recipient;

use crate::actors::import::importer::Look;
use crate::actors::replicas::broker_link::outbox::Announcer;
use crate::actors::replicas::decision_follower::DecisionFollower;
use crate::domain::ids::CampaignId;
use crate::domain::replicas::messages::Control;
use crate::runtime::directory::Current;
use crate::runtime::hints::{Changed, LookNow};
use crate::services::{By, Hints};

/// Tells the actors of this process, and through the broker those of others.
pub(super) struct ActorHints {
    pub(super) campaigns: Recipient<Changed>,
    pub(super) imports: Recipient<Look>,
    pub(super) decisions: Current<DecisionFollower>,
    pub(super) announcer: Announcer,
}

impl Hints for ActorHints {
    fn campaign_changed(&self, campaign: CampaignId) {
        // A full mailbox loses the hint, which costs one tick.
        let _ = self.campaigns.try_send(Changed { campaign });
    }

    fn import_stored(&self) {
        let _ = self.imports.try_send(Look);
    }

    fn decision_stored(&self, decision: &Control, by: &By) {
        if let Some(follower) = self.decisions.get() {
            let _ = follower.try_send(LookNow);
        }
        self.announcer.control(decision, by.request_id.as_deref());
    }
}
