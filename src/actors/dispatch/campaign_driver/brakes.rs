//! The brakes: a campaign of which too much comes back is paused, wherever the bounces and complaints came in.

use actix::prelude::*;

use super::CampaignDriver;
use crate::domain::campaigns::CampaignStatus;
use crate::domain::campaigns::brake::Brake;
use crate::domain::ids::CampaignId;
use crate::domain::replicas::decision::{Action, Subject};
use crate::domain::replicas::messages::Control;
use crate::store::campaigns::{CampaignRow, PackingRow, TransitionError, Unfinished, brakes};
use crate::store::{Conn, Lane, MayBeStoreError, StoreError};

impl CampaignDriver {
    /// Looks at what came back of the campaigns that are being sent. Every instance does; one of them pulls the brake.
    pub(super) fn look_at_brakes(&mut self, unfinished: &[(Unfinished, PackingRow)], ctx: &mut Context<Self>) {
        let sending = unfinished.iter().filter(|(campaign, _)| campaign.status == CampaignStatus::Sending);
        let ids: Vec<CampaignId> = sending.map(|(campaign, _)| campaign.id).collect();
        if ids.is_empty() || self.braking {
            return;
        }
        self.braking = true;
        let (store, limits) = (self.store.clone(), self.brakes);
        let look = async move {
            store.run(Lane::Read, "look at what came back", move |conn| brakes::due(conn, &ids, limits)).await
        };
        ctx.spawn(look.into_actor(self).map(|due, driver, ctx| {
            driver.braking = false;
            match due {
                Ok(due) => due.into_iter().for_each(|(id, brake)| driver.brake(id, brake, ctx)),
                Err(error) => Self::brake_failed(&error),
            }
        }));
    }

    fn brake(&self, id: CampaignId, brake: Brake, ctx: &mut Context<Self>) {
        let store = self.store.clone();
        let work = async move {
            let pull = move |conn: &mut Conn| brakes::pull(conn, id, brake);
            store.transact(Lane::Control, "pause a campaign", pull).await.map_err(TransitionError::into_store_error)
        };
        ctx.spawn(work.into_actor(self).map(move |pulled, driver, _| match pulled {
            Ok(Some(row)) => driver.braked(&row, brake),
            Err(Ok(error)) => Self::brake_failed(&error),
            // Paused by somebody else, or gone, in this moment.
            Ok(None) | Err(Err(_)) => {}
        }));
    }

    fn brake_failed(error: &StoreError) {
        tracing::warn!(
            event = "driver.poll_failed",
            error = %error,
            "the campaign driver cannot read the database; it tries again"
        );
    }

    fn braked(&self, row: &CampaignRow, brake: Brake) {
        self.status.set(row.id, row.status, row.status_version);
        // The stored pause holds everywhere; the message makes the others stop in the middle of what they have claimed.
        let pause = Control::of(&Subject::Campaign(row.id), Action::Pause, row.status_version);
        self.announcer.control(&pause, None);
        tracing::warn!(
            event = "campaign.paused",
            campaign.id = row.id.0,
            correlation.id = row.correlation_id,
            reason = brake.kind.as_str(),
            "Volley has paused the campaign by itself"
        );
    }
}
