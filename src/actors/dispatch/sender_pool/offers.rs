//! Pages that the broker told this pool of, and the tokens that it asks the database for.

use std::time::Instant;

use actix::prelude::*;

use super::SenderPool;
use crate::domain::ids::CampaignId;
use crate::runtime::pool::Offer;
use crate::store::replicas::rates::{self, Grant, Limit};
use crate::store::{Lane, StoreError};

impl Handler<Offer> for SenderPool {
    type Result = ();

    fn handle(&mut self, offer: Offer, ctx: &mut Self::Context) {
        if !self.draining() && self.holdings.get(offer.page).is_none() {
            self.turns.offer(offer);
            self.pump(ctx);
        }
    }
}

impl SenderPool {
    /// Asks for a block of tokens wherever some are wanted and a rate is shared.
    pub(super) fn ask_for_tokens(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        if let Some(limit) = self.admission.rate.ask(now) {
            self.ask(None, limit, ctx);
        }
        let wanted = self.admission.rates.iter_mut().filter_map(|(campaign, rate)| Some((*campaign, rate.ask(now)?)));
        for (campaign, limit) in wanted.collect::<Vec<_>>() {
            self.ask(Some(campaign), limit, ctx);
        }
    }

    fn ask(&self, campaign: Option<CampaignId>, limit: Limit, ctx: &mut Context<Self>) {
        let store = self.deps.store.clone();
        let work = async move {
            store.run(Lane::Hot, "take tokens", move |conn| conn.write(|conn| rates::take(conn, &limit))).await
        };
        ctx.spawn(work.into_actor(self).map(move |result: Result<Grant, StoreError>, pool, ctx| {
            let patience = pool.deps.timing.due_tick();
            if let Err(error) = &result {
                pool.store_failed(error);
            }
            let rate = match campaign {
                None => Some(&mut pool.admission.rate),
                Some(campaign) => pool.admission.rates.get_mut(&campaign),
            };
            if let Some(rate) = rate {
                rate.granted(result.ok(), Instant::now(), patience);
            }
            pool.pump(ctx);
        }));
    }
}
